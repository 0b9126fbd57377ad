"""`imgdata add`: take files as the microscope left them into a level."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.config import require_cache
from imgdata.dvc_files.rwlock import dvc_lock, refuse_busy_paths
from imgdata.dvc_files.state import Row
from imgdata.errors import MachineError
from imgdata.model.objects import ObjectId, object_key
from imgdata.model.same_but_case import same_but_case
from imgdata.model.sizes import format_size
from imgdata.system.files import can_reflink, remove_leftovers
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.checkout import CacheDamaged, Placement, place_all
from imgdata.transfer.take_in import Taken, take_in
from imgdata.workflows.add_plan import AddPlan, UnitToAdd, path_in
from imgdata.workflows.add_record import Merged, Record, made_record, merge, write_record
from imgdata.workflows.clone import Clone
from imgdata.workflows.source_files import LeftOut


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
    return [(file.path, path_in(base, file.relpath)) for file in unit.files]


def _refuse_without_space(clone: Clone, plan: AddPlan) -> None:
    require_cache(clone.dvc.cache_dir)
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


def added(merged: Merged, record: Record, written: tuple[Path, ...]) -> Added:
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
        same_but_case=same_but_case(sorted(merged.files)),
        written=written,
        taken=tuple(taken.values()) if merged.unit.leaves else (),
    )


def _place(clone: Clone, unit: UnitToAdd, taken: Mapping[str, Taken]) -> Iterator[Row]:
    """Put the files into the workspace, read-only; yield the state rows of both ends."""
    base = str(clone.root / unit.path)
    cache, types = clone.dvc.cache_dir, clone.dvc.cache_types
    objects = str(cache)
    placements = []
    for path, one in taken.items():
        if one.is_object:
            yield Row(path_in(base, path), one.stamp, one.md5)
            yield Row(f"{objects}/{object_key(one.md5)}", one.stamp, one.md5)
        else:
            placements.append(Placement(path_in(base, path), one.md5, hashed=True))
    for outcome in place_all(placements, cache, types, read_only=True):
        match outcome:
            case CacheDamaged(placement, found):
                problem = f"{placement.path} was damaged on its way through the cache"
                raise MachineError(problem, cause=f"md5 {found}, expected {placement.md5}")
            case placed:
                md5 = placed.placement.md5
                yield Row(placed.placement.path, placed.stamp, md5)
                yield Row(f"{objects}/{object_key(md5)}", placed.object_stamp, md5)
