"""Every version that any commit, branch, tag or stash records, and which of them are in use."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property

from msgspec import Struct

from imgdata.dvc_files.dot_dvc import DotDvc, is_dot_dvc, read_dot_dvc
from imgdata.dvc_files.lazy_lock import LazyLock
from imgdata.dvc_files.lock import LOCK_NAME, LockEntry
from imgdata.dvc_files.places import Where, folder_of, resolve
from imgdata.dvc_files.recorded import MD5, Recorded
from imgdata.levels.units import level_of, unit_name
from imgdata.model.objects import is_folder, legacy_key, object_key
from imgdata.workflows.clone import Clone

WORKING_TREE = "working tree"


class Version(Struct, frozen=True):
    """One recorded content of a path.

    Attributes:
        path: The out, relative to the project's root; where it lies today if its level moved.
        level: The level it lies on, or an empty text.
        unit: The unit's name on that level, or None.
        version: The md5 of its folder list or single file.
        size: Bytes; 0 where it was not recorded.
        nfiles: Files; 1 for a single file, 0 where it was not recorded.
        legacy: DVC before 3 recorded it, in another layout.
    """

    path: str
    level: str
    unit: str | None
    version: str
    size: int
    nfiles: int
    legacy: bool = False

    @property
    def title(self) -> str:
        """Level and unit as messages name them; a path on no level as it is."""
        named = f"{self.level} {self.unit}" if self.unit else self.level
        return named or self.path

    @property
    def is_folder(self) -> bool:
        """Whether the version lists a folder."""
        return is_folder(self.version)

    @property
    def key(self) -> str:
        """Where its object lies in a cache or storage."""
        return legacy_key(self.version) if self.legacy else object_key(self.version)


Input = tuple[str, str]
"""What a stage read: its path from the project's root, and its md5 as recorded or empty."""


class History:
    """What a project's commits record; reads each state of a DVC file once.

    Args:
        clone: The project.
        with_reflog: Also read commits that were amended or reset away in this clone.
    """

    def __init__(self, clone: Clone, *, with_reflog: bool = False) -> None:
        self._clone = clone
        self._with_reflog = with_reflog
        self._inputs: dict[Version, set[Input]] = {}
        self._parsed: dict[tuple[str, str], tuple[Version, ...]] = {}
        self._entries: dict[tuple[str, str, bytes | None], tuple[Version, ...]] = {}
        self._origins: dict[Version, set[str]] = {}
        self._commits: dict[Version, str] = {}
        self._prefix = ""
        if clone.root != clone.git.root:
            self._prefix = f"{clone.root.relative_to(clone.git.root).as_posix()}/"

    @cached_property
    def current(self) -> tuple[Version, ...]:
        """The versions the working tree records, with outs on no level."""
        return tuple(
            self._version(out.path, out.recorded)
            for stage in self._clone.index.stages
            for out in stage.outs
            if out.is_inside and out.flags.cache and _is_ours(out.recorded)
        )

    @cached_property
    def in_use(self) -> Mapping[Version, tuple[str, ...]]:
        """The versions at the tip of any branch, tag, stash, or in the working tree, and where."""
        found: dict[Version, dict[str, None]] = {}
        for version in self.current:
            found.setdefault(version, {})[WORKING_TREE] = None
        git = self._clone.git
        names: dict[str, list[str]] = {}
        for name, commit in git.tips().items():
            names.setdefault(commit, []).append(name)
        files = {commit: self._inside(git.dvc_files_at(commit)) for commit in names}
        self._parse(place for some in files.values() for place in some.items())
        for commit, some in files.items():
            for place in some.items():
                for version in self._parsed[place]:
                    found.setdefault(version, {}).update(dict.fromkeys(names[commit]))
        return {version: tuple(where) for version, where in found.items()}

    @cached_property
    def ever(self) -> Mapping[Version, datetime]:
        """All versions of any commit or the working tree, and when each was last committed."""
        found = dict.fromkeys(self.current, self._clone.clock.now())
        states = [
            (state.path.removeprefix(self._prefix), state)
            for state in self._clone.git.dvc_files_ever(with_reflog=self._with_reflog)
            if state.path.startswith(self._prefix)
        ]
        self._parse((path, state.blob) for path, state in states)
        for path, state in states:
            for version in self._parsed[path, state.blob]:
                found[version] = max(found.get(version, state.at), state.at)
                self._commits.setdefault(version, state.commit)
        for version in self.in_use:
            found.setdefault(version, self._clone.clock.now())
        return found

    @property
    def commits(self) -> Mapping[Version, str]:
        """A commit that records each version, the newest that changed its file to it."""
        _ = self.ever
        return self._commits

    @property
    def origins(self) -> Mapping[Version, set[str]]:
        """The origins that any commit or the working tree records of added versions.

        An empty text stands for a record without one.
        """
        _ = self.ever
        for stage in self._clone.index.stages:
            for out in stage.outs:
                if stage.kind != "stage" and out.is_inside and _is_ours(out.recorded):
                    version = self._version(out.path, out.recorded)
                    self._origins.setdefault(version, set()).add(_origin(out.flags.meta))
        return self._origins

    @property
    def inputs(self) -> Mapping[Version, set[Input]]:
        """What any recorded run, or the pipeline of now, made a version from."""
        _ = self.ever
        for stage in self._clone.index.stages:
            if stage.kind != "stage":
                continue
            inputs = {(dep.path, _md5(dep.recorded)) for dep in stage.deps if dep.is_inside}
            for out in stage.outs:
                if out.is_inside and _is_ours(out.recorded):
                    version = self._version(out.path, out.recorded)
                    self._inputs.setdefault(version, set()).update(inputs)
        return self._inputs

    def _inside(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return files of this project by path from its root."""
        start = len(self._prefix)
        return {path[start:]: blob for path, blob in files.items() if path.startswith(self._prefix)}

    def _parse(self, places: Iterable[tuple[str, str]]) -> None:
        paths: dict[str, list[str]] = {}
        for path, blob in dict.fromkeys(places):
            if (path, blob) not in self._parsed:
                self._parsed[path, blob] = ()
                paths.setdefault(blob, []).append(path)
        for blob, data in self._clone.git.read_blobs(paths):
            for path in paths[blob]:
                self._parsed[path, blob] = tuple(dict.fromkeys(self._versions(path, data)))

    def _versions(self, file: str, data: bytes) -> Iterator[Version]:
        """Yield the versions one DVC file records; paths of a stage follow its folder today."""
        if is_dot_dvc(file):
            yield from self._of_dot_dvc(read_dot_dvc(data, file))
        elif file.rpartition("/")[2] == LOCK_NAME:
            lock = LazyLock(data, file)
            names = lock.names
            yield from self._of_entries(lock, names)
            if lock.names != names:  # an entry showed that it has to be read in another way
                yield from self._of_entries(lock, lock.names)

    def _of_dot_dvc(self, read: DotDvc) -> Iterator[Version]:
        wdir = resolve(read.wdir or ".", folder_of(read.path)).path
        for out in read.outs:
            if _is_ours(out.recorded):
                path = _path(out.recorded, "" if wdir == "." else wdir)
                version = self._version(path, out.recorded)
                self._origins.setdefault(version, set()).add(_origin(out.flags.meta))
                yield version

    def _of_entries(self, lock: LazyLock, names: Iterable[str]) -> Iterator[Version]:
        """Yield the versions of entries; the same lines in another commit are not read again."""
        for name in names:
            lines = (lock.path, name, lock.source(name))
            if lines not in self._entries:
                entry = lock.entry(name)
                self._entries[lines] = () if entry is None else self._of_entry(lock.path, entry)
            yield from self._entries[lines]

    def _of_entry(self, file: str, entry: LockEntry) -> tuple[Version, ...]:
        stage = self._clone.index.by_address.get(f"{file}::{entry.name}")
        wdir = folder_of(file) if stage is None else stage.wdir
        inputs = {(_path(dep, wdir), _md5(dep)) for dep in entry.deps}
        made = [self._version(_path(out, wdir), out) for out in entry.outs if _is_ours(out)]
        for version in made:
            self._inputs.setdefault(version, set()).update(inputs)
        return tuple(made)

    def _version(self, path: str, recorded: Recorded | None) -> Version:
        assert recorded is not None, "callers filter"  # noqa: S101 - for the type checker
        assert recorded.hash is not None, "callers filter"  # noqa: S101 - for the type checker
        path = self._clone.renames.path_now(path)
        level = level_of(self._clone.config, path)
        below = path.removeprefix(level.path).lstrip("/").split("/")[0] if level else ""
        named = bool(level and level.unit is not None and below)
        is_dir = recorded.nfiles is not None or recorded.hash.is_folder
        unit = (below if is_dir else unit_name(below)) if named else None
        nfiles = recorded.nfiles if recorded.nfiles is not None else int(not is_dir)
        return Version(
            path, level.name if level else "", unit, recorded.hash.value, recorded.size or 0, nfiles
        )


def _origin(meta: Mapping[str, object]) -> str:
    noted = meta.get("imgdata")
    origin = noted.get("origin") if isinstance(noted, dict) else None
    return origin if isinstance(origin, str) else ""


def _path(recorded: Recorded, wdir: str) -> str:
    place = resolve(recorded.path, wdir)
    return place.path if place.where is Where.INSIDE else recorded.path


def _md5(recorded: Recorded | None) -> str:
    return recorded.hash.value if recorded is not None and recorded.hash is not None else ""


def _is_ours(recorded: Recorded | None) -> bool:
    """Tell whether a record names an object of DVC 3's layout."""
    return recorded is not None and recorded.hash is not None and recorded.hash.name == MD5
