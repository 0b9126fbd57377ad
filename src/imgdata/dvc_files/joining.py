"""Joins what dvc.yaml defines with what dvc.lock records, and reads `.dvc` files as stages."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from imgdata.dvc_files.dot_dvc import DotDvc
from imgdata.dvc_files.lock import LOCK_NAME, NO_PARAMS, Lock, LockEntry
from imgdata.dvc_files.outputs import DEFAULT_FLAGS
from imgdata.dvc_files.params import DEFAULT_PARAMS_FILE
from imgdata.dvc_files.pipeline import JOIN, DefinedStage, Pipeline
from imgdata.dvc_files.places import Place, Where, folder_of, join, resolve
from imgdata.dvc_files.recorded import Recorded
from imgdata.dvc_files.stages import Dep, Orphan, Out, Stage, StageKind


class Ground(Struct, frozen=True):
    """Where paths start: the DVC root, and the tree root's absolute path if it has one."""

    root: str
    home: str

    def wdir(self, file: str, written: str) -> str:
        """Return a stage's working folder, empty for the root of the tree."""
        folder = folder_of(file)
        if not written:
            return folder
        path = resolve(written, folder, self.home).path
        return "" if path == "." else path

    def dvc_path(self, file: str) -> str:
        """Return a file's path as typed in the DVC root."""
        return file[len(self.root) + 1 :] if self.root else file


def lock_path_of(pipeline_path: str) -> str:
    """Return where the lock of a dvc.yaml lies."""
    return join(folder_of(pipeline_path), LOCK_NAME)


def stages_of(pipeline: Pipeline, lock: Lock, ground: Ground) -> Iterator[Stage]:
    """Yield the stages of one dvc.yaml, each with its lock entry."""
    lock_path = lock_path_of(pipeline.path)
    file = ground.dvc_path(pipeline.path)
    prefix = f"{file}:" if "/" in file else ""
    wdirs: dict[str, str] = {}
    for name, defined in pipeline.stages.items():
        if defined.wdir not in wdirs:
            wdirs[defined.wdir] = ground.wdir(pipeline.path, defined.wdir)
        wdir = wdirs[defined.wdir]
        entry = lock.entries.get(name)
        yield Stage(
            address=f"{lock_path}::{name}",
            dvc_name=f"{prefix}{name}",
            name=name,
            kind="stage",
            file=pipeline.path,
            wdir=wdir,
            cmd=entry.cmd if entry else "",
            defined_cmd=defined.cmd,
            deps=_deps(defined, entry, wdir, ground.home),
            outs=_outs(defined, entry, wdir, ground.home),
            params=entry.params if entry else NO_PARAMS,
            defined_params=defined.params,
            frozen=defined.frozen,
            always_changed=defined.always_changed,
            desc=defined.desc,
            meta=defined.meta,
            group=defined.group,
            item=defined.item,
            entry=entry,
            home=ground.home,
        )


def _deps(defined: DefinedStage, entry: LockEntry | None, wdir: str, home: str) -> tuple[Dep, ...]:
    records = _Records(entry.deps if entry else (), wdir, home)
    places = ((written, resolve(written, wdir, home)) for written in defined.deps)
    return tuple(Dep(written, place, records.find(written, place)) for written, place in places)


def _outs(defined: DefinedStage, entry: LockEntry | None, wdir: str, home: str) -> tuple[Out, ...]:
    records = _Records(entry.outs if entry else (), wdir, home)
    places = ((out, resolve(out.path, wdir, home)) for out in defined.outs)
    return tuple(
        Out(out.path, place, out.flags, records.find(out.path, place)) for out, place in places
    )


def unresolved_of(pipeline: Pipeline, lock: Lock, ground: Ground) -> Iterator[Stage]:
    """Yield a stage for each lock entry whose definition is there but cannot be resolved."""
    lock_path = lock_path_of(pipeline.path)
    file = ground.dvc_path(pipeline.path)
    prefix = f"{file}:" if "/" in file else ""
    for name, entry in lock.entries.items():
        written = _unresolved_wdir(name, pipeline)
        if name in pipeline.stages or written is None:
            continue
        wdir = ground.wdir(pipeline.path, "" if "${" in written else written)
        places = [(record, resolve(record.path, wdir, ground.home)) for record in entry.deps]
        outs = [(record, resolve(record.path, wdir, ground.home)) for record in entry.outs]
        yield Stage(
            address=f"{lock_path}::{name}",
            dvc_name=f"{prefix}{name}",
            name=name,
            kind="stage",
            file=pipeline.path,
            wdir=wdir,
            cmd=entry.cmd,
            deps=tuple(Dep(record.path, place, record) for record, place in places),
            outs=tuple(Out(record.path, place, DEFAULT_FLAGS, record) for record, place in outs),
            params=entry.params,
            group=name.rpartition(JOIN)[0],
            entry=entry,
            home=ground.home,
            resolved=False,
        )


def _unresolved_wdir(name: str, pipeline: Pipeline) -> str | None:
    """Return the wdir as written of a definition that cannot be resolved, if it is this one's."""
    if not pipeline.readable:
        return ""
    group = name.rpartition(JOIN)[0]
    return pipeline.unresolved.get(name, pipeline.unresolved.get(group))


def orphans_of(pipeline: Pipeline, lock: Lock, ground: Ground) -> Iterator[Orphan]:
    """Yield the lock entries whose stage dvc.yaml no longer has."""
    lock_path = lock_path_of(pipeline.path)
    for name, entry in lock.entries.items():
        reason = _why_dead(name, pipeline)
        if reason:
            group = name.rpartition(JOIN)[0]
            written = pipeline.groups.get(group, "")
            wdir = "" if "${" in written else written
            yield Orphan(
                address=f"{lock_path}::{name}",
                name=name,
                file=pipeline.path,
                wdir=ground.wdir(pipeline.path, wdir),
                reason=reason,
                entry=entry,
                home=ground.home,
            )


def _why_dead(name: str, pipeline: Pipeline) -> str:
    """Return why no stage of dvc.yaml has this lock entry; empty when one has, or may have."""
    group = name.rpartition(JOIN)[0]
    if name in pipeline.stages or _unresolved_wdir(name, pipeline) is not None:
        return ""
    if name in pipeline.groups:
        return f"'{name}' is a foreach or matrix now"
    if group in pipeline.groups:
        return f"'{group}' has no such item now"
    if group in pipeline.stages:
        return f"'{group}' is a single stage now"
    return f"dvc.yaml has no stage '{name}'"


class _Records:
    """The records of one section of a lock entry, found by path as written or by place."""

    def __init__(self, records: Sequence[Recorded], wdir: str, home: str) -> None:
        self._written = {record.path: record for record in records}
        self._wdir = wdir
        self._home = home
        self._places: dict[str, Recorded] | None = None

    def find(self, written: str, place: Place) -> Recorded | None:
        found = self._written.get(written)
        if found is not None or not self._written:
            return found
        if self._places is None:
            self._places = {
                resolve(path, self._wdir, self._home).path: record
                for path, record in self._written.items()
            }
        return self._places.get(place.path)


def dot_dvc_stage(file: DotDvc, ground: Ground) -> Stage:
    """Return a `.dvc` file as a stage."""
    wdir = ground.wdir(file.path, file.wdir)
    deps: list[Dep] = []
    params: dict[str, Mapping[str, object]] = {}
    for dep in file.deps:
        written = dep.recorded.path if dep.recorded else ""
        if dep.params is not None:
            params[written or DEFAULT_PARAMS_FILE] = dep.params
            continue
        place = Place(written, Where.URL) if dep.repo else resolve(written, wdir, ground.home)
        recorded = dep.recorded if dep.recorded and dep.recorded.hash else None
        deps.append(Dep(written, place, recorded, dep.repo, dep.database))
    return Stage(
        address=file.path,
        dvc_name=ground.dvc_path(file.path),
        name=file.path,
        kind=_kind(file),
        file=file.path,
        wdir=wdir,
        cmd=file.cmd,
        defined_cmd=file.cmd,
        deps=tuple(deps),
        outs=tuple(
            Out(
                out.recorded.path,
                resolve(out.recorded.path, wdir, ground.home),
                out.flags,
                out.recorded if out.recorded.hash else None,
            )
            for out in file.outs
        ),
        params=params or NO_PARAMS,
        defined_params={name: tuple(values) for name, values in params.items()},
        frozen=file.frozen,
        always_changed=file.always_changed,
        desc=file.desc,
        meta=file.meta or None,
        home=ground.home,
    )


def _kind(file: DotDvc) -> StageKind:
    """Return what made a `.dvc` file, by DVC's own rule: an import has one dep and one out."""
    if file.cmd:
        return "stage"
    if not file.deps:
        return "add"
    if any(dep.database for dep in file.deps):
        return "import-db"
    return "import" if any(dep.repo for dep in file.deps) else "import-url"
