"""Who claims which path: all stages and tracked data of one tree, live and dead.

DVC never removes an entry from dvc.lock, so an entry proves nothing about the present: an entry
is live when the dvc.yaml beside the lock still defines its stage. Nothing is parsed further than
a question needs: a lock is cut by lines, and only the entries that are asked about are read.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct, field

from imgdata.dvc_files.dot_dvc import DotDvc, is_dot_dvc, read_dot_dvc
from imgdata.dvc_files.lazy_lock import LazyLock
from imgdata.dvc_files.lock import LOCK_NAME
from imgdata.dvc_files.lock_entry import LockEntry
from imgdata.dvc_files.pipeline import JOIN, PIPELINE_NAME, DefinedStage, Pipeline, read_pipeline
from imgdata.dvc_files.places import (
    Place,
    Where,
    folder_of,
    folders_above,
    join,
    paths_below,
    resolve,
)
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.recorded import Recorded
from imgdata.lineage.answer import Kind
from imgdata.ports import Tree

NO_ENTRY = LockEntry("", "")
ENTRY_MARK = "::"


class Stage(Struct, frozen=True, eq=False):
    """One activity that recorded outs: an entry of a lock, or a `.dvc` file.

    Attributes:
        id: `<lock path>::<stage>`, or the path of the `.dvc` file.
        file: The lock or `.dvc` file.
        name: The stage's name; empty for a `.dvc` file.
        kind: What it is.
        wdir: The folder its paths are relative to; empty for the root.
        live: Whether the project still has it.
        dead_because: Why it is not live, or why that cannot be told; else empty.
        defined: The stage as dvc.yaml has it now; None for dead entries and `.dvc` files.
        load: Returns what was recorded.
        dot_dvc: The `.dvc` file, if it is one.
    """

    id: str
    file: str
    name: str
    kind: Kind
    wdir: str
    live: bool
    dead_because: str
    defined: DefinedStage | None
    load: Callable[[], LockEntry]
    dot_dvc: DotDvc | None = None

    @property
    def entry(self) -> LockEntry:
        """What was recorded when it last ran."""
        return self.load()

    def place(self, written: str, home: str) -> Place:
        """Return where a path of this stage points to."""
        return resolve(written, self.wdir, home)

    def declares(self, path: str, home: str) -> bool:
        """Tell whether dvc.yaml (or the `.dvc` file) still names the path as an out."""
        if self.defined is None:
            return self.dot_dvc is not None
        return any(self.place(out.path, home).path == path for out in self.defined.outs)

    def flags(self) -> Mapping[str, object]:
        """Return what is particular about it; only what is true."""
        source = self.defined or self.dot_dvc
        found = {
            "frozen": source is not None and source.frozen,
            "always_changed": source is not None and source.always_changed,
            "orphan": not self.live,
        }
        return {name: True for name, is_so in found.items() if is_so}


class Claim(Struct, frozen=True):
    """A stage's word that it made what is at a path."""

    stage: Stage
    path: str
    record: Recorded


class _Written(Struct, frozen=True):
    stage: Stage
    written: str


class Index(Struct, dict=True):
    """All stages of a tree and the paths they claim.

    Attributes:
        tree: What was read.
        home: Absolute path of the tree's root, for absolute paths in records; empty if it has
            none.
        past_wdir: Returns the wdir a dead stage had, from the (lock path, name).
    """

    tree: Tree
    home: str = ""
    past_wdir: Callable[[str, str], str] | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    locks: dict[str, LazyLock] = field(default_factory=dict)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _live: dict[str, list[_Written]] = field(default_factory=dict)
    _dead: list[_Written] = field(default_factory=list)

    def gather(self) -> "Index":
        """Read all DVC files of the tree."""
        for path in self.tree.files():
            name = path.rsplit("/", 1)[-1]
            if ".dvc/" in f"{path}/" and f"/{path}".rpartition("/.dvc/")[1]:
                continue
            if name in {LOCK_NAME, PIPELINE_NAME}:
                self._pipeline(folder_of(path))
            elif is_dot_dvc(name):
                self._add_dot_dvc(path)
        return self

    def _pipeline(self, folder: str) -> None:
        lock_path = join(folder, LOCK_NAME)
        if lock_path in self.locks:
            return
        data = self.tree.read(lock_path)
        lock = LazyLock(b"" if data is None else data, lock_path)
        self.locks[lock_path] = lock
        pipeline_path = join(folder, PIPELINE_NAME)
        pipeline = None
        if self.tree.read(pipeline_path) is not None:
            pipeline = read_pipeline(self.tree, pipeline_path)
            self.pipelines[pipeline_path] = pipeline
            self.problems += pipeline.problems
        for name in lock.names:
            self._add_entry(lock, name, folder, pipeline)
        for name, out in lock.outs():
            self._claim(self.stages[f"{lock_path}{ENTRY_MARK}{name}"], out.path)
        self.problems += lock.problems

    def _add_entry(self, lock: LazyLock, name: str, folder: str, pipeline: Pipeline | None) -> None:
        defined = None if pipeline is None else pipeline.stages.get(name)
        live, why = (True, "") if defined is not None else life_of(name, pipeline)
        wdir = "" if defined is None else defined.wdir
        if defined is None and pipeline is not None:
            wdir = pipeline.groups.get(name.split(JOIN, maxsplit=1)[0], "")
        home = resolve(wdir or ".", folder, self.home)
        stage_id = f"{lock.path}{ENTRY_MARK}{name}"
        self.stages[stage_id] = Stage(
            id=stage_id,
            file=lock.path,
            name=name,
            kind="stage",
            wdir="" if home.path == "." else home.path,
            live=live,
            dead_because=why,
            defined=defined,
            load=lambda: lock.entry(name) or NO_ENTRY,
        )

    def _add_dot_dvc(self, path: str) -> None:
        data = self.tree.read(path)
        if data is None:
            return
        found = read_dot_dvc(data, path)
        self.problems += found.problems
        place = resolve(found.wdir or ".", folder_of(path), self.home)
        entry = LockEntry(
            name="",
            cmd=found.cmd,
            deps=tuple(dep.recorded for dep in found.deps if dep.recorded is not None),
            outs=tuple(out.recorded for out in found.outs),
            params={
                dep.recorded.path: dep.params
                for dep in found.deps
                if dep.recorded is not None and dep.params is not None
            },
        )
        stage = Stage(
            id=path,
            file=path,
            name="",
            kind=_kind(found),
            wdir="" if place.path == "." else place.path,
            live=True,
            dead_because="",
            defined=None,
            load=lambda: entry,
            dot_dvc=found,
        )
        self.stages[path] = stage
        for out in entry.outs:
            self._claim(stage, out.path)

    def _claim(self, stage: Stage, written: str) -> None:
        claim = _Written(stage, written)
        if not stage.live:
            self._dead.append(claim)
            return
        self._live.setdefault(stage.place(written, self.home).path, []).append(claim)

    @cached_property
    def live_paths(self) -> list[str]:
        """All paths that live stages claim, sorted."""
        return sorted(self._live)

    def live(self, path: str) -> list[Claim]:
        """Return the live claims to exactly this path, the best first.

        Best is a stage whose definition still names the path: an entry may be older than an edit
        of dvc.yaml.
        """
        found = [self._claim_of(written, path) for written in self._live.get(path, ())]
        claims = [claim for claim in found if claim is not None]
        return sorted(claims, key=lambda claim: not claim.stage.declares(path, self.home))

    def around(self, path: str) -> Claim | None:
        """Return the live claim to the innermost folder a path lies in, or None."""
        for folder in folders_above(path):
            claims = [claim for claim in self.live(folder) if is_folder_record(claim.record)]
            if claims:
                return claims[0]
        return None

    def below(self, folder: str) -> list[Claim]:
        """Return the live claims to paths below a folder, in the order of their stages."""
        found: list[Claim] = []
        for path in paths_below(self.live_paths, "" if folder == "." else folder):
            if path.startswith(("/", "../")) or "://" in path:
                continue
            found += self.live(path)[:1]
        if len(found) < 2:  # noqa: PLR2004 - nothing to sort
            return found
        return sorted(found, key=lambda claim: (self._order[claim.stage.id], claim.path))

    @cached_property
    def _order(self) -> dict[str, int]:
        return {stage_id: place for place, stage_id in enumerate(self.stages)}

    def dead(self, path: str) -> list[Claim]:
        """Return the dead claims to this path, or to a folder it lies in, nearest first."""
        parts = set(path.split("/"))
        found: list[Claim] = []
        for written in self._dead:
            last = written.written.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
            if last not in parts:
                continue
            stage = self._with_past_wdir(written.stage)
            place = stage.place(written.written, self.home).path
            if place == path or path.startswith(f"{place}/"):
                claim = self._claim_of(_Written(stage, written.written), place)
                found += [] if claim is None else [claim]
        return sorted(found, key=lambda claim: -len(claim.path))

    def _with_past_wdir(self, stage: Stage) -> Stage:
        """Return a dead stage with the wdir it had: dvc.yaml no longer tells."""
        if self.past_wdir is None or stage.dot_dvc is not None:
            return stage
        written = self.past_wdir(stage.file, stage.name)
        place = resolve(written or ".", folder_of(stage.file), self.home)
        wdir = "" if place.path == "." else place.path
        return Stage(
            stage.id, stage.file, stage.name, stage.kind, wdir, stage.live, stage.dead_because,
            stage.defined, stage.load, stage.dot_dvc,
        )  # fmt: skip

    def _claim_of(self, written: _Written, path: str) -> Claim | None:
        stage = written.stage
        record = next(
            (out for out in stage.entry.outs if stage.place(out.path, self.home).path == path), None
        )
        return None if record is None else Claim(stage, path, record)

    def defines(self, path: str) -> str | None:
        """Return the id of a stage that is defined to make the path, run or not."""
        for pipeline in self.pipelines.values():
            folder = folder_of(pipeline.path)
            for stage in pipeline.stages.values():
                wdir = resolve(stage.wdir or ".", folder, self.home).path
                if any(resolve(out.path, wdir, self.home).path == path for out in stage.outs):
                    return f"{join(folder, LOCK_NAME)}{ENTRY_MARK}{stage.name}"
        return None

    def readers(self) -> Iterator[tuple[Stage, str]]:
        """Yield each live stage with each path it reads, inside the tree."""
        for lock in self.locks.values():
            for name, dep in lock.deps():
                stage = self.stages[f"{lock.path}{ENTRY_MARK}{name}"]
                place = stage.place(dep.path, self.home)
                if stage.live and place.where is Where.INSIDE:
                    yield stage, place.path
        for stage in self.stages.values():
            if stage.dot_dvc is not None and stage.kind == "stage":
                for dep in stage.entry.deps:
                    yield stage, stage.place(dep.path, self.home).path


def life_of(name: str, pipeline: Pipeline | None) -> tuple[bool, str]:
    """Tell whether an entry without a definition of its name may still be live, and why."""
    if pipeline is None:
        return False, "there is no dvc.yaml beside its lock"
    group = name.split(JOIN, maxsplit=1)[0]
    if name in pipeline.unresolved or group in pipeline.unresolved:
        return True, "its definition in dvc.yaml cannot be resolved, so it may be an old entry"
    if any(not problem.unit for problem in pipeline.problems):
        return True, "dvc.yaml cannot be read, so it may be an old entry"
    if JOIN in name and group in pipeline.stages:
        return False, f"'{group}' is one stage now, no longer a group"
    if name in pipeline.groups:
        return False, f"'{name}' is a group of stages now"
    return False, "dvc.yaml no longer defines it"


def is_folder_record(record: Recorded) -> bool:
    """Tell whether a record is of a folder."""
    return (
        bool(record.files)
        or (record.hash is not None and (record.hash.is_folder or not record.hash.is_md5))
        or record.nfiles is not None
        or record.hash is None
    )


def _kind(found: DotDvc) -> Kind:
    if found.cmd:
        return "stage"
    if any(dep.repo is not None for dep in found.deps):
        return "import"
    return "import-url" if found.deps else "add"
