"""The history of lock entries and `.dvc` files: which commit recorded what.

Parsing is what costs, so versions are searched as bytes first and only the entry in question is
parsed, once for each distinct text. A version that cannot be read is skipped and named.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, field

from imgdata.dvc_files.dot_dvc import is_dot_dvc, read_dot_dvc
from imgdata.dvc_files.lazy_lock import HEAD, LazyLock, entry_around, entry_lines, is_regular
from imgdata.dvc_files.lock_entry import LockEntry
from imgdata.dvc_files.lock_text import IrregularError
from imgdata.dvc_files.pipeline import PIPELINE_NAME, read_pipeline
from imgdata.dvc_files.places import folder_of, join, resolve
from imgdata.dvc_files.problems import Problem
from imgdata.lineage.index import ENTRY_MARK, Stage
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.timeline import Timeline
from imgdata.model.commits import Commit
from imgdata.ports import GitObjects, History

DVC_FILES = (":(top,glob)**/dvc.lock", ":(top,glob)**/*.dvc")


class Recording(Struct, frozen=True):
    """Which commits recorded the hash a stage's out has now.

    Attributes:
        first: The first in which the stage's own entry has the hash.
        streak: The start of the streak without another hash in between.
        changed: The last change of what the entry says about this out.
        stage_changed: The last change of the whole entry: command, parameters, inputs, outs.
    """

    first: Commit | None
    streak: Commit | None
    changed: Commit | None
    stage_changed: Commit | None


def never_renamed(producer: str) -> tuple[str, ...]:
    """Say that a producer always had its name."""
    del producer
    return ()


class Versions(Struct):
    """All versions of all locks and `.dvc` files up to one commit.

    Attributes:
        former: Returns the ids a producer had before, the newest first.
    """

    objects: GitObjects
    history: History
    commit_id: str
    former: Callable[[str], tuple[str, ...]] = never_renamed
    problems: list[Problem] = field(default_factory=list)
    _timelines: dict[tuple[str, str], Timeline[LockEntry]] = field(default_factory=dict)
    _touching: dict[tuple[str, ...], tuple[Commit, ...]] = field(default_factory=dict)
    _blobs_of: dict[tuple[str, tuple[str, ...]], list[str | None]] = field(default_factory=dict)
    _everywhere: list[tuple[str, str, str]] | None = None
    _blobs: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _wdirs: dict[tuple[str, str], str] = field(default_factory=dict)

    def timeline(self, file: str, name: str) -> Timeline[LockEntry]:
        """Return the versions of one lock entry, or of a `.dvc` file (empty name)."""
        if (file, name) not in self._timelines:
            names = [(file, name), *map(parts_of_id, self.former(producer_id(file, name)))]
            files = tuple(dict.fromkeys(one for one, _ in names))
            values: dict[str, LockEntry] = {}
            for one, stage in reversed(names):
                values |= dict(self._entries_of(one, stage, files))
            self._timelines[file, name] = Timeline(self._touched(files), values)
        return self._timelines[file, name]

    def _entries_of(
        self, file: str, name: str, files: tuple[str, ...]
    ) -> Iterator[tuple[str, LockEntry]]:
        """Yield what a lock entry or `.dvc` file said at each of the commits, by commit id."""
        entries: dict[bytes, LockEntry | None] = {}
        for commit, blob in zip(self._touched(files), self._blobs_in(file, files), strict=True):
            entry = None if blob is None else self._entry(file, name, blob, entries)
            if entry is not None:
                yield commit.id, entry

    def _touched(self, files: tuple[str, ...]) -> tuple[Commit, ...]:
        if files not in self._touching:
            self._touching[files] = self.history.touching(self.commit_id, files)
        return self._touching[files]

    def _versions_of(self, file: str) -> tuple[tuple[Commit, ...], list[str | None]]:
        return self._touched((file,)), self._blobs_in(file, (file,))

    def _blobs_in(self, file: str, files: tuple[str, ...]) -> list[str | None]:
        """Return a file's object id at each commit that touched one of the files."""
        if (file, files) not in self._blobs_of:
            places = [(commit.id, file) for commit in self._touched(files)]
            self._blobs_of[file, files] = self.objects.blobs_at(places)
        return self._blobs_of[file, files]

    def _entry(
        self, file: str, name: str, blob: str, known: dict[bytes, LockEntry | None]
    ) -> LockEntry | None:
        data = self.objects.read_blob(blob)
        if data is None:
            return None
        if name and name.encode("utf-8", "surrogateescape") not in data:
            return None
        text = entry_source(data, name) if name else data
        if text is None:
            return None
        if text not in known:
            whole = text if not name or text is data else HEAD + text
            known[text] = self._parse(file, name, data, LazyLock(whole, file))
        return known[text]

    def _parse(self, file: str, name: str, data: bytes, lock: LazyLock) -> LockEntry | None:
        if name:
            entry = lock.entry(name)
            self.problems += [problem for problem in lock.problems if not problem.unit]
            return entry
        found = read_dot_dvc(data, file)
        self.problems += [problem for problem in found.problems if not problem.unit]
        deps = tuple(dep.recorded for dep in found.deps if dep.recorded is not None)
        outs = tuple(out.recorded for out in found.outs)
        return LockEntry("", found.cmd, deps, outs) if outs or deps or found.cmd else None

    def recording(self, stage: Stage, written: str, digest: str | None) -> Recording:
        """Return which commits recorded this hash for a stage's out.

        Args:
            stage: The producer.
            written: The out's path as the record has it now.
            digest: The recorded hash.
        """
        line = self.timeline(stage.file, stage.name)
        if digest is None or line.tip is None:
            return Recording(None, None, None, line.last_change())

        def has_hash(entry: LockEntry) -> bool:
            return has_out(entry, written, digest)

        first = line.first(has_hash)
        streak = line.since(line.commits[0], has_hash) if has_hash(line.tip) else None
        now = next((out for out in line.tip.outs if out.path == written), None)
        changed = None if now is None else line.since(line.commits[0], lambda one: now in one.outs)
        return Recording(first, streak, changed, line.last_change())

    def holder(self, stage: Stage, written: str, digest: str) -> Commit | None:
        """Return the commit whose version of the stage's own entry has the hash, the latest."""
        line = self.timeline(stage.file, stage.name)
        return line.latest(lambda entry: has_out(entry, written, digest))

    def everywhere(self) -> Sequence[tuple[str, str, str]]:
        """Return (commit id, path, blob) of all versions of all DVC files, newest first."""
        if self._everywhere is None:
            changes = self.history.changes(self.commit_id, DVC_FILES)
            self._everywhere = [(one.commit, one.path, one.blob) for one in changes if one.blob]
        return self._everywhere

    def claims(self, digest: str) -> Iterator[tuple[str, str, str]]:
        """Yield (commit id, producer, path as written) of all records of a hash, oldest first."""
        needle = digest.encode()
        known: dict[str, list[tuple[str, str]]] = {}
        for commit_id, path, blob in reversed(self.everywhere()):
            if blob not in known:
                data = self.objects.read_blob(blob)
                has_it = data is not None and needle in data
                known[blob] = list(outs_with(data, path, digest)) if data and has_it else []
            for name, written in known[blob]:
                yield commit_id, producer_id(path, name), written

    def path_at(self, commit_id: str, producer: str, written: str) -> str:
        """Return where a path of a record pointed to at a commit."""
        file, _, name = producer.partition(ENTRY_MARK)
        return resolve(written, self._wdir_at(commit_id, file, name)).path

    def first_anywhere(self, digest: str) -> Commit | None:
        """Return the first commit in which any entry recorded the hash as an out."""
        found = next(self.claims(digest), None)
        return None if found is None else self.objects.commit(found[0])

    def producers(self, path: str, home: str) -> list[str]:
        """Return the ids of all entries that ever claimed a path, the oldest first."""
        last = path.rsplit("/", 1)[-1]
        needle = (
            last.encode("utf-8", "surrogateescape") if last.isascii() and " " not in last else b""
        )
        seen: dict[str, None] = {}
        asked: dict[tuple[str, str, str | None], bool] = {}
        looked: set[str] = set()
        known: dict[tuple[str, bytes], tuple[str, ...]] = {}
        for commit_id, file, blob in reversed(self.everywhere()):
            if blob in looked:
                continue
            looked.add(blob)
            data = self.objects.read_blob(blob) or b""
            if needle not in data:
                continue
            for name, written in _outs_named(data, file, last, known):
                producer = producer_id(file, name)
                if producer in seen:
                    continue
                pipeline = join(folder_of(file), PIPELINE_NAME)
                key = producer, written, self._blob_at(commit_id, pipeline)
                if key not in asked:
                    wdir = self._wdir_at(commit_id, file, name)
                    asked[key] = _same_place(written, wdir, path, home)
                if asked[key]:
                    seen.setdefault(key[0])
        return list(seen)

    def _blob_at(self, commit_id: str, path: str) -> str | None:
        place = commit_id, path
        if place not in self._blobs:
            self._blobs[place] = self.objects.blobs_at([place])[0]
        return self._blobs[place]

    def past_wdir(self, file: str, name: str) -> str:
        """Return the wdir a stage had when dvc.yaml last defined it; empty if never found."""
        if (file, name) not in self._wdirs:
            self._wdirs[file, name] = self._find_wdir(file, name)
        return self._wdirs[file, name]

    def folder_now(self, file: str, name: str) -> str:
        """Return the folder the paths of a lock entry or `.dvc` file are relative to now."""
        return self._wdir_at(self.commit_id, file, name)

    def _find_wdir(self, file: str, name: str) -> str:
        pipeline = join(folder_of(file), PIPELINE_NAME)
        commits, blobs = self._versions_of(pipeline)
        group = name.split("@", maxsplit=1)[0].encode()
        for commit, blob in zip(commits, blobs, strict=True):
            data = None if blob is None else self.objects.read_blob(blob)
            if data is None or group not in data:
                continue
            if b"wdir" not in data:
                return ""
            found = read_pipeline(self.objects.tree(commit.id), pipeline)
            if name in found.stages:
                return found.stages[name].wdir
            if group.decode() in found.groups:
                return found.groups[group.decode()]
        return ""

    def _wdir_at(self, commit_id: str, file: str, name: str) -> str:
        """Return the folder a record's paths are relative to, seen from the root."""
        folder = folder_of(file)
        if is_dot_dvc(file):
            data = self.objects.read_blob(f"{commit_id}:{file}") if "\n" not in file else None
            wdir = "" if data is None else read_dot_dvc(data, file).wdir
            return join(folder, wdir) if wdir else folder
        pipeline = join(folder, PIPELINE_NAME)
        data = self.objects.read_blob(f"{commit_id}:{pipeline}") if "\n" not in file else None
        if data is None or b"wdir" not in data:
            return folder
        found = read_pipeline(self.objects.tree(commit_id), pipeline)
        stage = found.stages.get(name)
        wdir = stage.wdir if stage is not None else self.past_wdir(file, name)
        return join(folder, wdir) if wdir else folder


def has_out(entry: LockEntry, written: str, digest: str) -> bool:
    """Tell whether an entry recorded a hash for an out, whatever its folder was called then.

    Where several outs share the hash (empty files do), the path as written decides.
    """
    same = [out for out in entry.outs if hash_of(out) == digest]
    return len(same) == 1 or any(out.path == written for out in same)


def parts_of_id(producer: str) -> tuple[str, str]:
    """Return the file of a producer and its stage, empty for a `.dvc` file."""
    file, _, name = producer.partition(ENTRY_MARK)
    return file, name


def producer_id(file: str, name: str) -> str:
    """Return the id of a producer: lock path and stage, or the `.dvc` path."""
    return f"{file}{ENTRY_MARK}{name}" if name else file


def outs_with(data: bytes, path: str, digest: str) -> Iterator[tuple[str, str]]:
    """Yield (stage name, path as written) of all outs in a DVC file that have the hash."""
    if is_dot_dvc(path):
        for out in read_dot_dvc(data, path).outs:
            if hash_of(out.recorded) == digest:
                yield "", out.recorded.path
        return
    needle = digest.encode()
    once = is_regular(data) and data.count(needle) == 1
    found = entry_around(data, data.find(needle)) if once else None
    lock = LazyLock(data if found is None else HEAD + found[1], path)
    for name in lock.mentioning(digest):
        entry = lock.entry(name)
        outs = () if entry is None else entry.outs
        yield from ((name, out.path) for out in outs if hash_of(out) == digest)


def _outs_named(
    data: bytes, file: str, last: str, known: dict[tuple[str, bytes], tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Yield (stage name, path as written) of the outs in a DVC file that have a file name."""
    outs: Iterator[tuple[str, str]]
    if is_dot_dvc(file):
        outs = (("", out.recorded.path) for out in read_dot_dvc(data, file).outs)
    elif is_regular(data) and last.isascii() and " " not in last:
        outs = _regular_outs(data, file, last, known)
    else:
        outs = _lock_outs(LazyLock(data, file), last, known)
    for name, written in outs:
        if written.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] == last:
            yield name, written


def _regular_outs(
    data: bytes, file: str, last: str, known: dict[tuple[str, bytes], tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Yield the outs of the entries around each place that holds a file name."""
    needle = last.encode()
    place = data.find(needle)
    while place >= 0:
        found = entry_around(data, place)
        if found is None:
            yield from _lock_outs(LazyLock(data, file), last, known)
            return
        if found not in known:
            entry = LazyLock(HEAD + found[1], file).entry(found[0])
            known[found] = () if entry is None else tuple(out.path for out in entry.outs)
        yield from ((found[0], written) for written in known[found])
        place = data.find(needle, place + 1)


def entry_source(data: bytes, name: str) -> bytes | None:
    """Return the bytes an entry can be read from: its lines, or the whole lock; None if absent."""
    if is_regular(data):
        try:
            return entry_lines(data, name)
        except IrregularError:
            return data
    return LazyLock(data).source(name)


def _lock_outs(
    lock: LazyLock, last: str, known: dict[tuple[str, bytes], tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    for name in lock.mentioning(last):
        source = lock.source(name)
        if source is None:
            continue
        if (name, source) not in known:
            entry = lock.entry(name)
            known[name, source] = () if entry is None else tuple(out.path for out in entry.outs)
        yield from ((name, written) for written in known[name, source])


def _same_place(written: str, wdir: str, path: str, home: str) -> bool:
    return resolve(written, wdir, home).path == path
