"""Which input images one image, or one row of a table, came from inside a batched stage.

Three kinds of evidence, the stronger first: a map the stage wrote (`lineage.csv`, or the image
names in the columns of a table), a join stated in imgdata.yaml (`from: [{level, by}]`), and the
fields two file names share, which is marked `by key, not recorded`. Only files of inputs that the
stage recorded are named, with the hash they had; nothing is claimed beyond that.
"""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct, field

from imgdata.dvc_files.places import Where, join
from imgdata.lineage.answer import How, Member
from imgdata.lineage.index import Claim, Index, Stage
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.tables import OBJECT, NamedFile, Table
from imgdata.model.keys import normal_value, read_name
from imgdata.project.config import Level, Source

MAP_NAME = "lineage.csv"
FOLDER_MARK = ".dir"

Fields = Mapping[str, str]
Files = dict[str, str | None]
"""Path from the repository's root to md5."""


def level_at(levels: Mapping[str, Level], prefix: str, path: str) -> Level | None:
    """Return the level a path from the git root is on, or None.

    `prefix` is the project's folder with a closing slash, empty where it is the git root.
    """
    if not path.startswith(prefix):
        return None
    inside = path[len(prefix) :]
    for level in levels.values():
        if inside == level.path or inside.startswith(f"{level.path}/"):
            return level
    return None


class Sources(Struct, frozen=True):
    """What members are found with.

    Attributes:
        index: Who claims what.
        levels: The levels of the project, none without an imgdata.yaml.
        prefix: The project's folder in the repository, empty or ending with `/`.
        folder_list: Files of a tracked folder by its hash, None when the list is not here.
        read: Bytes of a file by path and md5, None when they are not here.
        table: Parses a table; None for a file that is none.
    """

    index: Index
    levels: Mapping[str, Level]
    prefix: str
    folder_list: Callable[[str], dict[str, str] | None]
    read: Callable[[str, str], bytes | None]
    table: Callable[[str, bytes], Table | None]

    def level_of(self, path: str) -> Level | None:
        """Return the level a path is on, or None."""
        return level_at(self.levels, self.prefix, path)

    def fields(self, level: Level, path: str) -> Fields | None:
        """Return what the name of a file on a level says, or None when no key fits."""
        below = path[len(self.prefix) + len(level.path) + 1 :]
        unit = below.split("/", 1)[0] if level.unit is not None else None
        return read_name(level.keys, below, None if unit is None else _stem(unit))


class Subject(Struct, frozen=True):
    """A file whose inputs are looked for.

    Attributes:
        claim: The out it is, or is in.
        path: From the repository's root.
        md5: Its recorded hash.
        wanted: Fields that narrow its inputs, from a row; empty: no narrowing.
        files: Images a row names.
    """

    claim: Claim
    path: str
    md5: str | None
    wanted: tuple[Fields, ...] = ()
    files: tuple[NamedFile, ...] = ()


class MemberSearch(Struct):
    """Walks from one file to its input files, level by level, down to raw."""

    sources: Sources
    found: list[Member] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    _labels: dict[str, str | None] = field(default_factory=dict)
    _maps: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _inputs: dict[str, Files] = field(default_factory=dict)
    _joined: dict[tuple[str, str, tuple[str, ...]], dict[tuple[str, ...], list[str]]] = field(
        default_factory=dict
    )

    def follow(self, start: Subject) -> "MemberSearch":
        """Collect the input files of a file, their input files, and so on; each path once."""
        waiting = deque([start])
        seen = {start.path}
        while waiting:
            subject = waiting.popleft()
            if subject.claim.stage.kind != "stage":
                continue
            for path, how in self._of(subject):
                if path in seen:
                    continue
                seen.add(path)
                following = self._next(subject, path, how)
                if following is not None:
                    waiting.append(following)
        self.gaps = list(dict.fromkeys(self.gaps))
        return self

    def direct(self, subject: Subject) -> list[tuple[str, How]]:
        """Return only the direct inputs of one file."""
        return list(self._of(subject))

    def _next(self, subject: Subject, path: str, how: How) -> Subject | None:
        md5 = self._files(subject.claim.stage).get(path)
        level = self.sources.level_of(path)
        index = self.sources.index
        claims = index.live(path) or [one for one in (index.around(path),) if one is not None]
        claim = claims[0] if claims else None
        self.found.append(
            Member(
                path, md5, how, None if level is None else level.name,
                None if claim is None else claim.stage.id, subject.path, self._labels.get(path),
            )
        )  # fmt: skip
        if claim is None:
            return None
        if not self._is_same(claim, path, md5):
            self.gaps.append(
                f"{subject.claim.stage.id} read another version of {claim.path} than "
                f"{claim.stage.id} has now; its members are those of that version"
            )
            return None
        wanted, files = self._narrowed(subject, path, md5)
        return Subject(claim, path, md5, wanted, files)

    def _is_same(self, claim: Claim, path: str, md5: str | None) -> bool:
        digest = hash_of(claim.record)
        if digest is None or md5 is None or path == claim.path:
            return digest is None or md5 is None or digest == md5
        listed = self.sources.folder_list(digest)
        return listed is None or listed.get(path[len(claim.path) + 1 :]) == md5

    def _narrowed(
        self, subject: Subject, path: str, md5: str | None
    ) -> tuple[tuple[Fields, ...], tuple[NamedFile, ...]]:
        """Return which rows of an input table are meant, when a row was asked about.

        For an image, only what its own name does not say narrows its inputs further.
        """
        if not subject.wanted or md5 is None:
            return (), ()
        level = self.sources.level_of(path)
        own = None if level is None else self.sources.fields(level, path)
        table = self._table(path, md5)
        if table is None:
            known = {OBJECT, *(own or {})}
            left = (
                {name: value for name, value in want.items() if name not in known}
                for want in subject.wanted
            )
            return tuple(want for want in left if want), ()
        rows = [
            number for number in range(table.length)
            if any(agree(table.fields(number), want) for want in subject.wanted)
        ]  # fmt: skip
        fields = {tuple(sorted(_without_object(table.fields(row)).items())): None for row in rows}
        files = {pair: None for row in rows for pair in table.files(row)}
        return tuple(dict(one) for one in fields), tuple(files)

    def _table(self, path: str, md5: str) -> Table | None:
        data = self.sources.read(path, md5)
        if data is None:
            self.gaps.append(f"{path} is not here, so its rows cannot be read: imgdata pull")
            return None
        return self.sources.table(path, data)

    def _of(self, subject: Subject) -> Iterator[tuple[str, How]]:
        """Yield the direct inputs of one file, from the strongest evidence there is."""
        files = self._files(subject.claim.stage)
        if subject.files:
            named = list(self._named(subject, files))
            if named:
                yield from ((path, "map") for path in named)
                return
        mapped = self._map(subject.claim).get(subject.path[len(subject.claim.path) + 1 :])
        if mapped is not None:
            yield from ((path, "map") for path in mapped)
            return
        level = self.sources.level_of(subject.path)
        if level is None:
            if files and self.sources.levels:
                self.gaps.append(f"{subject.path} is on no level, so its input files are not known")
            return
        yield from self._by_fields(subject, level, files)

    def _by_fields(self, subject: Subject, level: Level, files: Files) -> Iterator[tuple[str, How]]:
        mine = self.sources.fields(level, subject.path)
        if mine is None:
            self.gaps.append(f"no key of level {level.name} reads the name {subject.path}")
            return
        stated: dict[str, Source] = {source.level: source for source in level.sources}
        if not stated and not self._has_level(files):
            self.gaps.append(f"level {level.name} does not say which level it is made from")
        for name in stated or self._levels(files):
            source = stated.get(name)
            other = self.sources.levels[name]
            here = [path for path in files if self.sources.level_of(path) is other]
            if not here:
                self.gaps.append(
                    f"level {level.name} is made from {name}, but {subject.claim.stage.id} "
                    "recorded no input there"
                )
            yield from self._join(subject, mine, other, source)

    def _has_level(self, files: Files) -> bool:
        return any(True for _ in self._levels(files))

    def _levels(self, files: Files) -> list[str]:
        found = (self.sources.level_of(path) for path in files)
        return list(dict.fromkeys(level.name for level in found if level is not None))

    def _join(
        self, subject: Subject, mine: Fields, other: Level, source: Source | None
    ) -> Iterator[tuple[str, How]]:
        """Yield the files of another level whose names have the same values."""
        by = source.by if source is not None and source.by is not None else None
        shared = by or tuple(
            name
            for name in mine
            if any(name in key.fields or name == "plate" for key in other.keys)
        )
        values = _values(mine, shared)
        if values is None:
            self.gaps.append(
                f"the name {subject.path} lacks a field of the join with {other.name}: "
                f"{', '.join(shared)}"
            )
            return
        if not shared:
            self.gaps.append(
                f"the names of {subject.path} and of level {other.name} share no field"
            )
            return
        for path in self._by_values(subject.claim.stage, other, shared).get(values, ()):
            how = self._how(subject, other, path, stated=source is not None)
            if how is not None:
                yield path, how

    def _how(self, subject: Subject, other: Level, path: str, *, stated: bool) -> How | None:
        """Return how a joined file is known, None when the asked row rules it out."""
        if not subject.wanted:
            return "join" if stated else "by key, not recorded"
        theirs = self.sources.fields(other, path) or {}
        if not any(agree(theirs, want) for want in subject.wanted):
            return None
        mine = self.sources.fields(other, path) or {}
        narrowed = any(name in want for want in subject.wanted for name in mine if name != "plate")
        return "by key, not recorded" if narrowed or not stated else "join"

    def _by_values(
        self, stage: Stage, other: Level, names: tuple[str, ...]
    ) -> dict[tuple[str, ...], list[str]]:
        """Return the input files of a stage on one level, by the values they join on."""
        key = stage.id, other.name, names
        if key not in self._joined:
            found: dict[tuple[str, ...], list[str]] = {}
            for path in self._files(stage):
                if self.sources.level_of(path) is not other:
                    continue
                fields = self.sources.fields(other, path)
                values = None if fields is None else _values(fields, names)
                if values is not None:
                    found.setdefault(values, []).append(path)
            self._joined[key] = found
        return self._joined[key]

    def _files(self, stage: Stage) -> Files:
        """Return all files a stage recorded as input, with their hashes, in order."""
        if stage.id not in self._inputs:
            files: Files = {}
            for dep in stage.entry.deps:
                place = stage.place(dep.path, self.sources.index.home)
                if place.where is Where.INSIDE:
                    files.update(self._files_of(stage, place.path, hash_of(dep)))
            self._inputs[stage.id] = files
        return self._inputs[stage.id]

    def _files_of(self, stage: Stage, path: str, digest: str | None) -> Files:
        if digest is None or not digest.endswith(FOLDER_MARK):
            return {path: digest}
        listed = self.sources.folder_list(digest)
        if listed is None and self.sources.level_of(path) is not None:
            self.gaps.append(
                f"the list of files of {path} ({digest}), read by {stage.id}, is not here: "
                "imgdata pull"
            )
        return {join(path, name): md5 for name, md5 in (listed or {}).items()}

    def _named(self, subject: Subject, files: Files) -> Iterator[str]:
        """Yield the input files whose folder and name the row gives."""
        by_name: dict[str, list[str]] = {}
        for path in files:
            by_name.setdefault(path.rsplit("/", 1)[-1], []).append(path)
        for named in subject.files:
            last = named.name.replace("\\", "/").rsplit("/", 1)[-1]
            paths = by_name.get(last, [])
            fitting = [path for path in paths if _ends(path, named.folder)] or paths
            if len(fitting) == 1:
                if named.has_objects and len(subject.wanted) == 1:
                    self._labels[fitting[0]] = subject.wanted[0].get(OBJECT)
                yield fitting[0]
            else:
                count = "no" if not fitting else f"{len(fitting)}"
                self.gaps.append(f"{count} inputs of {subject.claim.stage.id} are named {last}")

    def _map(self, claim: Claim) -> dict[str, list[str]]:
        """Return inputs by output name from the map a stage wrote beside its outs."""
        if claim.path in self._maps:
            return self._maps[claim.path]
        found: dict[str, list[str]] = {}
        digest = hash_of(claim.record)
        listed = None if digest is None else self.sources.folder_list(digest)
        for name, md5 in (listed or {}).items():
            if name.rsplit("/", 1)[-1] == MAP_NAME:
                data = self.sources.read(join(claim.path, name), md5)
                if data is None:
                    self.gaps.append(f"the map {join(claim.path, name)} is not here: imgdata pull")
                    continue
                below = name.rpartition("/")[0]
                for output, given in self._rows(join(claim.path, name), data):
                    path = join(self.sources.prefix.rstrip("/"), given)
                    found.setdefault(join(below, output), []).append(path)
        known = self._files(claim.stage)
        self._maps[claim.path] = {
            output: [path for path in paths if self._is_input(path, known, claim)]
            for output, paths in found.items()
        }
        return self._maps[claim.path]

    def _is_input(self, path: str, known: Files, claim: Claim) -> bool:
        if path in known or not known:
            return True
        self.gaps.append(
            f"the map of {claim.path} names {path}, which is no recorded input of {claim.stage.id}"
        )
        return False

    def _rows(self, path: str, data: bytes) -> Iterator[tuple[str, str]]:
        try:
            reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
            if not {"output", "input"} <= set(reader.fieldnames or ()):
                self.gaps.append(f"{path} has no columns output and input, so it is no map")
                return
            for row in reader:
                output, given = row.get("output"), row.get("input")
                if output and given:
                    yield output.replace("\\", "/"), given.replace("\\", "/").removeprefix("./")
        except (UnicodeDecodeError, csv.Error) as error:
            self.gaps.append(f"the map {path} cannot be read: {error}")


def agree(one: Fields, other: Fields) -> bool:
    """Tell whether two sets of fields have the same value wherever both have one."""
    shared = one.keys() & other.keys()
    return bool(shared) and all(
        normal_value(name, one[name]) == normal_value(name, other[name]) for name in shared
    )


def _values(fields: Fields, names: tuple[str, ...]) -> tuple[str, ...] | None:
    if any(name not in fields for name in names):
        return None
    return tuple(normal_value(name, fields[name]) for name in names)


def _without_object(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name != OBJECT}


def _ends(path: str, folder: str) -> bool:
    if not folder:
        return False
    parts = folder.replace("\\", "/").strip("/")
    above = path.rpartition("/")[0]
    return above == parts or above.endswith(f"/{parts}") or parts.endswith(f"/{above}")


def _stem(unit: str) -> str:
    stem, dot, suffix = unit.partition(".")
    return stem if dot and stem and not suffix[:1].isdecimal() else unit
