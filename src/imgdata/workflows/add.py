"""`imgdata add`: take files as the microscope left them into a level."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from shlex import quote

from msgspec import Struct

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.dvc_files.rwlock import dvc_lock, refuse_busy_paths
from imgdata.dvc_files.state import Row
from imgdata.dvc_files.tracked import TrackedOut, dot_dvc_text, ignore_in_git
from imgdata.errors import MachineError, RefusedError, UsageError
from imgdata.levels.units import ZARR, Unit, unit_name
from imgdata.model.events import time_text
from imgdata.model.excerpts import first_lines
from imgdata.model.objects import ObjectId, object_key
from imgdata.model.sizes import format_size
from imgdata.project.by_name import level_named, origin_named
from imgdata.project.config import Level
from imgdata.project.exclusion_lists import FOLDER, list_path, make_empty_list
from imgdata.project.unit_list import add_to_unit_list
from imgdata.system.files import OBJECT_MODE, can_reflink, remove_leftovers, write_bytes, write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.checkout import CacheDamaged, Placement, place_all
from imgdata.transfer.take_in import (
    SourceFile,
    StillChanging,
    Taken,
    TakeOutcome,
    Unreadable,
    take_in,
)
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import dvc_remote_of
from imgdata.workflows.history import Version
from imgdata.workflows.leaving import Gate
from imgdata.workflows.originals import Originals, originals_anew, recorded_originals
from imgdata.workflows.source_files import LeftOut, list_source

SHOWN = 5


class UnitToAdd(Struct, frozen=True):
    """What would be added as one unit.

    Attributes:
        level: The level.
        name: The unit, or None for a level that is one piece.
        source: The folder or file it comes from.
        path: Where it goes, relative to the project's root.
        files: Files to read, with their paths below the unit ('' for a single file).
        size: Their bytes.
        left_out: What is not taken.
        origin: Where the data came from.
        stays: The source is where the unit is to stay.
        leaves: The source is to be deleted once its copies are evidenced.
    """

    level: Level
    name: str | None
    source: Path
    path: str
    files: tuple[SourceFile, ...]
    size: int
    left_out: tuple[LeftOut, ...]
    origin: str | None
    stays: bool
    leaves: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the unit is a single file."""
        return [file.relpath for file in self.files] == [""]

    @property
    def title(self) -> str:
        """Level and unit as messages name them."""
        return self.level.name if self.name is None else f"{self.level.name} {self.name}"


class AddPlan(Struct, frozen=True):
    """Everything an add would do; `emptied` are sources that a move before has deleted."""

    units: tuple[UnitToAdd, ...]
    emptied: tuple[Path, ...] = ()

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(unit.size for unit in self.units)


class Added(Struct, frozen=True):
    """One unit as it was added.

    Attributes:
        unit: What was planned.
        version: Its new version.
        new: Paths below the unit that were not recorded before.
        already: How many files of the source were recorded before.
        nfiles: Files of the unit now.
        size: Bytes of the unit now.
        left_out: What was not taken, also what could not be read.
        same_but_case: Pairs of names that are one file on other systems.
        written: Files of the project that changed, to be committed.
        taken: The files as they were read, where the source is to be deleted.
    """

    unit: UnitToAdd
    version: ObjectId
    new: tuple[str, ...]
    already: int
    nfiles: int
    size: int
    left_out: tuple[LeftOut, ...]
    same_but_case: tuple[tuple[str, str], ...]
    written: tuple[Path, ...]
    taken: tuple[Taken, ...] = ()


def plan_add(
    clone: Clone, level_name: str, sources: Sequence[Path], unit: str | None, origin: str | None
) -> AddPlan:
    """Decide what each source becomes. Lists the sources, reads none of their files.

    Raises:
        UsageError: Level, unit, origin or a source does not fit.
    """
    level = level_to_add_to(clone, level_name)
    if unit is not None and len(sources) > 1:
        problem = f"--unit names one unit, but there are {len(sources)} sources"
        raise UsageError(problem, remedy="add them one by one")
    if origin is not None:
        origin_named(clone.config, origin)
    plans = tuple(_plan_unit(clone, level, source, unit, origin) for source in sources)
    names = [plan.path for plan in plans]
    for plan in plans:
        if names.count(plan.path) > 1:
            problem = f"two sources would both become {plan.title}"
            raise UsageError(problem, remedy="name one with --unit")
    return AddPlan(plans)


def level_to_add_to(clone: Clone, name: str) -> Level:
    """Return a level that files may be added to.

    Raises:
        UsageError: There is no such level, or stages make it.
    """
    level = level_named(clone.config, name)
    made = [unit for unit in clone.units.by_level[name] if not unit.is_raw]
    if made:
        problem = f"level '{name}' is made by stages such as '{made[0].stage.name}'"
        raise UsageError(problem, cause="files added by hand would be deleted by its next run")
    return level


def _plan_unit(
    clone: Clone, level: Level, source: Path, unit: str | None, origin: str | None
) -> UnitToAdd:
    if not source.exists():
        msg = f"{source} does not exist"
        raise UsageError(msg)
    real = source.resolve()
    is_file = real.is_file()
    if level.unit is None:
        name, path = None, level.path
    else:
        own = unit_name(real.name) if is_file or _is_zarr(real) else real.name
        name = own if unit is None else unit
        path = f"{level.path}/{name}{real.name.removeprefix(own)}"
        check_unit_name(name, path, has_format=is_file or _is_zarr(real))
    refuse_ignored(clone, path)
    found, left_out = [SourceFile(str(real), "")], list[LeftOut]()
    if not is_file:
        found, left_out = list_source(clone.root, real, path)
    if not found:
        problem = f"{source} holds no file that can be added"
        raise UsageError(
            problem, cause=first_lines((f"{one.path}: {one.why}" for one in left_out), SHOWN)
        )
    size = sum(os.stat(file.path).st_size for file in found)  # noqa: PTH116 - once a file
    chosen = _origin_of(clone, level, name, origin)
    return UnitToAdd(
        level=level,
        name=name,
        source=real,
        path=path,
        files=tuple(found),
        size=size,
        left_out=tuple(left_out),
        origin=chosen,
        stays=real == clone.root / path,
    )


def refuse_ignored(clone: Clone, path: str) -> None:
    """Stop where a `.gitignore` names the record of an out: DVC then takes it for not there.

    Raises:
        UsageError: Saying how to find the line.
    """
    record = f"{path}.dvc"
    if clone.git.ignores(clone.root / record):
        problem = f"git ignores {record}, and DVC with it: nothing would record {path}"
        remedy = (
            f"take the line out of .gitignore that this names: git check-ignore -v {quote(record)}"
        )
        raise UsageError(problem, remedy=remedy)


def _origin_of(clone: Clone, level: Level, name: str | None, asked: str | None) -> str | None:
    """Return where the files came from; what joins a unit has the unit's origin.

    Raises:
        RefusedError: The unit has another origin: its restriction would be lost.
    """
    before = clone.units.find(level.name, name)
    if before is None or before.version is None or before.origin is None:
        return asked or level.origin
    if asked not in {None, before.origin}:
        problem = f"{before.title} has origin '{before.origin}', its new files '{asked}'"
        raise RefusedError(problem, remedy="add them as a unit of their own with --unit NAME")
    return before.origin


def _is_zarr(path: Path) -> bool:
    return path.suffix == ZARR


def check_unit_name(name: str, path: str, *, has_format: bool) -> None:
    """Refuse what cannot be the name of a unit; `has_format` where its path has a suffix.

    Raises:
        UsageError: It cannot.
    """
    wrong = not name or "/" in name or name.startswith(".") or not name.isprintable()
    if wrong or name.endswith(".dvc") or (has_format and unit_name(path) != name):
        problem = f"'{name}' cannot be the name of a unit"
        raise UsageError(problem, remedy="choose another with --unit, without '/' or leading '.'")


Watch = Callable[[Sequence[tuple[str, str]], Progress], AbstractContextManager[Progress]]
"""Watches files being taken in: given where each comes from and goes to, and who is told."""


def _nobody(_: Sequence[tuple[str, str]], progress: Progress) -> AbstractContextManager[Progress]:
    return nullcontext(progress)


def apply_add(
    clone: Clone, plan: AddPlan, progress: Progress = SILENT, watch: Watch = _nobody
) -> Iterator[Added]:
    """Add the planned units one after the other; each is recorded before the next begins.

    `watch` is asked for each unit and follows it through the progress it returns, which finishes
    when all files are where they stay.

    Raises:
        RefusedError: A recorded original of the same name has other content.
        MachineError: No space or permission, or another command is at work.
    """
    with clone.writing():
        _refuse_without_space(clone, plan)
        for unit in plan.units:
            refuse_busy_paths(clone.tmp, [clone.root / unit.path])
            clone.refuse_link_out(unit.path)
            remove_leftovers(clone.root / unit.path, below=True)
            progress.start(f"add {unit.title}", items=len(unit.files), size=unit.size)
            try:
                with watch(_ways(clone, unit), progress) as told:
                    added = _add_unit(clone, unit, told)
                yield added
            finally:
                progress.finish()


def _ways(clone: Clone, unit: UnitToAdd) -> list[tuple[str, str]]:
    """Return where each file comes from and where it goes."""
    base = str(clone.root / unit.path)
    return [(file.path, _below(base, file.relpath)) for file in unit.files]


def _below(base: str, relpath: str) -> str:
    """Return the path of one file of a unit, which is the unit itself if it is a single file."""
    return f"{base}/{relpath}" if relpath else base


def _refuse_without_space(clone: Clone, plan: AddPlan) -> None:
    clone.dvc.cache_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(clone.dvc.cache_dir).free
    size = sum(unit.size for unit in plan.units if not _is_linked(clone, unit))
    if size > free and not can_reflink(clone.dvc.cache_dir):
        problem = (
            f"{format_size(size)} do not fit: {format_size(free)} are free on the cache's disk"
        )
        raise MachineError(
            problem,
            cause=f"the cache is {clone.dvc.cache_dir}",
            remedy="free some space, or put the cache on a larger disk: "
            "dvc cache dir --local /large/disk",
        )


def _is_linked(clone: Clone, unit: UnitToAdd) -> bool:
    """Whether files that lie where they stay can be linked to the cache instead of copied."""
    here, there = unit.source.stat().st_dev, clone.dvc.cache_dir.stat().st_dev
    return unit.stays and here == there and "hardlink" in clone.dvc.cache_types


def _add_unit(clone: Clone, unit: UnitToAdd, progress: Progress) -> Added:
    linked = _is_linked(clone, unit)
    outcomes = take_in(unit.files, clone.dvc.cache_dir, linked=linked, progress=progress)
    merged = merge(clone, unit, outcomes)
    with dvc_lock(clone.tmp):
        rows = list(_place(clone, unit, merged.taken))
        progress.finish()
        clone.state.write(rows)
        record = made_record(clone, merged)
        written = write_record(clone, unit, record)
    return added(merged, record, written)


class Merged(Struct, frozen=True):
    """What a unit is with the files of its source.

    Attributes:
        unit: What was planned.
        taken: The files of the source that were read, by their paths below the unit.
        left_out: What is not taken, also what could not be read.
        recorded: md5 by path of what was recorded before.
        files: md5 by path of all its files.
        size: Their bytes.
    """

    unit: UnitToAdd
    taken: Mapping[str, Taken]
    left_out: tuple[LeftOut, ...]
    recorded: Mapping[str, str]
    files: Mapping[str, str]
    size: int


def merge(clone: Clone, unit: UnitToAdd, outcomes: Iterable[TakeOutcome]) -> Merged:
    """Join what was read of a source with what is recorded of its unit.

    Raises:
        RefusedError: A recorded original of the same name has other content.
        MachineError: Nothing could be read.
    """
    before = clone.units.find(unit.level.name, unit.name)
    known = _recorded(clone, unit, before)
    taken: dict[str, Taken] = {}
    left_out = list(unit.left_out)
    for outcome in outcomes:
        match outcome:
            case Taken(source):
                taken[source.relpath] = outcome
            case Unreadable(source, why):
                left_out.append(LeftOut(source.relpath or source.path, why))
            case StillChanging(source):
                left_out.append(LeftOut(source.relpath or source.path, "still being written"))
    recorded = known if known is not None else _found_anew(clone, unit, before, taken)
    _refuse_other_originals(clone, unit, recorded, taken)
    files = {**recorded, **{path: one.md5 for path, one in taken.items()}}
    if not files:
        problem = f"no file of {unit.title} could be read"
        raise MachineError(
            problem, cause=first_lines((f"{one.path}: {one.why}" for one in left_out), SHOWN)
        )
    size = _total_size(clone, before, recorded, taken)
    return Merged(unit, taken, tuple(left_out), recorded, files, size)


def added(merged: Merged, record: "Record", written: tuple[Path, ...]) -> Added:
    """Return the outcome of an add."""
    taken, recorded = merged.taken, merged.recorded
    return Added(
        unit=merged.unit,
        version=record.version,
        new=tuple(sorted(taken.keys() - recorded.keys())),
        already=len(taken.keys() & recorded.keys()),
        nfiles=len(merged.files),
        size=merged.size,
        left_out=merged.left_out,
        same_but_case=_same_but_case(merged.files),
        written=written,
        taken=tuple(taken.values()) if merged.unit.leaves else (),
    )


def _recorded(clone: Clone, unit: UnitToAdd, before: Unit | None) -> Originals | None:
    """Return md5 by path of what the unit has already; None where that cannot be found out."""
    if before is None or before.version is None:
        return {}
    if before.path != unit.path:
        problem = f"{unit.title} exists as {before.path}, the source would make it {unit.path}"
        raise RefusedError(problem, remedy="choose another name with --unit")
    return recorded_originals(clone, before)


def _found_anew(
    clone: Clone, unit: UnitToAdd, before: Unit | None, taken: Mapping[str, Taken]
) -> Originals:
    if before is None:
        return {}
    here = clone.workspace.hashes(unit.path, clone.workspace.scan(unit.path))
    return originals_anew(before, here, {path: one.md5 for path, one in taken.items()})


def _refuse_other_originals(
    clone: Clone, unit: UnitToAdd, recorded: Mapping[str, str], taken: Mapping[str, Taken]
) -> None:
    """Stop before a recorded or unrecorded file here would be replaced by another content."""
    present = _here(clone, unit, taken)
    clashes = []
    for path, one in taken.items():
        known = recorded.get(path) or present.get(path)
        if known is not None and known != one.md5:
            here = _below(unit.path, path)
            clashes.append(f"{here} has md5 {known}, {one.source.path} has {one.md5}")
    if clashes:
        count = "one file" if len(clashes) == 1 else f"{len(clashes)} files"
        msg = f"{count} of {unit.title} would replace a different original of the same name"
        raise RefusedError(
            msg,
            cause=first_lines(clashes, SHOWN),
            remedy="add the source as a unit of its own: "
            f"imgdata add {unit.level.name} {unit.source} --unit NAME",
        )
    damaged = sorted(path for path in recorded.keys() & present if recorded[path] != present[path])
    if damaged:
        msg = f"originals of {unit.title} changed since they were added"
        raise RefusedError(
            msg,
            cause=first_lines((f"{unit.path}/{path}" for path in damaged), SHOWN),
            remedy="move them away and bring the recorded ones back: "
            f"imgdata pull {unit.level.name}",
        )


def _here(clone: Clone, unit: UnitToAdd, taken: Mapping[str, Taken]) -> Mapping[str, str]:
    """Return md5 by path of the files where the unit is to stay."""
    if unit.stays:
        return {path: one.md5 for path, one in taken.items()}
    return clone.workspace.hashes(unit.path, clone.workspace.scan(unit.path))


class Record(Struct, frozen=True):
    """What records a unit: its version, the list of its files unless it is one, its `.dvc` file."""

    version: ObjectId
    listing: bytes | None
    text: str


def made_record(clone: Clone, merged: Merged) -> Record:
    """Decide what records a unit; writes nothing."""
    unit, listing, nfiles = merged.unit, None, None
    if unit.is_file:
        version = ObjectId(merged.files[""])
    else:
        entries = (FolderEntry(md5, path) for path, md5 in merged.files.items())
        listing, version = write_folder(entries)
        nfiles = len(merged.files)
    recorded = Version(
        unit.path, unit.level.name, unit.name, str(version), merged.size, nfiles or 1
    )
    barred = Gate(clone, ask=False).barred_new(recorded, unit.origin, merged.files.values())
    remote, push = dvc_remote_of(clone.config, unit.level, barred)
    out = TrackedOut(
        path=Path(unit.path).name,
        object_id=version,
        size=merged.size,
        nfiles=nfiles,
        remote=remote,
        push=push,
        origin=unit.origin,
        added=time_text(clone.clock.now()),
    )
    return Record(version, listing, dot_dvc_text(out))


def write_record(clone: Clone, unit: UnitToAdd, record: Record) -> tuple[Path, ...]:
    """Write what records a unit; DVC's lock is held. Return the files of the project."""
    if record.listing is not None:
        path = clone.dvc.cache_dir / object_key(record.version)
        write_bytes(path, record.listing, mode=OBJECT_MODE)
    target = clone.root / unit.path
    tracker = target.with_name(f"{target.name}.dvc")
    if not (tracker.is_file() and str(record.version) in tracker.read_text("utf-8")):
        write_text(tracker, record.text)
    written = [tracker, ignore_in_git(target)]
    if unit.name is not None and unit.level.unit is not None:
        written.append(add_to_unit_list(clone.root, unit.level.unit, unit.name))
        if (clone.root / FOLDER).is_dir():  # its stages will ask for the list of excluded files
            excluded = list_path(unit.level.name, unit.name)
            written.append(make_empty_list(clone.root, excluded))
    return tuple(path for path in written if path is not None)


def _place(clone: Clone, unit: UnitToAdd, taken: Mapping[str, Taken]) -> Iterator[Row]:
    """Put the files into the workspace, read-only; yield the state rows of both ends."""
    base = str(clone.root / unit.path)
    cache, types = clone.dvc.cache_dir, clone.dvc.cache_types
    objects = str(cache)
    placements = []
    for path, one in taken.items():
        if one.is_object:
            yield Row(_below(base, path), one.stamp, one.md5)
            yield Row(f"{objects}/{object_key(one.md5)}", one.stamp, one.md5)
        else:
            placements.append(Placement(_below(base, path), one.md5, hashed=True))
    for outcome in place_all(placements, cache, types, read_only=True):
        match outcome:
            case CacheDamaged(placement, found):
                problem = f"{placement.path} was damaged on its way through the cache"
                raise MachineError(problem, cause=f"md5 {found}, expected {placement.md5}")
            case placed:
                md5 = placed.placement.md5
                yield Row(placed.placement.path, placed.stamp, md5)
                yield Row(f"{objects}/{object_key(md5)}", placed.object_stamp, md5)


def _total_size(
    clone: Clone, before: Unit | None, recorded: Mapping[str, str], taken: Mapping[str, Taken]
) -> int:
    """Return the bytes of a unit: what was recorded, which may not be here, and what is new."""
    new = sum(one.size for path, one in taken.items() if path not in recorded)
    if before is not None and before.size:
        return before.size + new
    stored = (clone.cache.stat(object_key(md5)) for md5 in recorded.values())
    return new + sum(found.size for found in stored if found is not None)


def _same_but_case(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    seen: dict[str, str] = {}
    pairs = []
    for path in sorted(paths):
        first = seen.setdefault(path.casefold(), path)
        if first != path:
            pairs.append((first, path))
    return tuple(pairs)
