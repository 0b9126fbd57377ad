"""`imgdata add --to STORAGE`: record a unit that goes to a storage without a copy here.

Each file is read twice: hashed first, for its address is its hash, then sent and hashed again on
the way, so that a file that changed in between is not taken for what was hashed. The project
records the unit when the storage has all of it.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.dot_dvc import read_dot_dvc
from imgdata.dvc_files.joining import Ground, dot_dvc_stage
from imgdata.dvc_files.rwlock import dvc_lock, refuse_busy_paths
from imgdata.errors import MachineError, PartlyDoneError, RefusedError, UsageError
from imgdata.model.excerpts import first_lines
from imgdata.project.by_name import storage_named
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.source_objects import SOURCE, SourceObjects
from imgdata.transfer.take_in import hash_only
from imgdata.workflows.add import Added, added
from imgdata.workflows.add_plan import SHOWN, AddPlan, UnitToAdd
from imgdata.workflows.add_record import Merged, Record, made_record, merge, write_record
from imgdata.workflows.clone import Clone
from imgdata.workflows.leaving import Gate
from imgdata.workflows.push import Pushed, PushOutcome, push
from imgdata.workflows.push_plan import PushOptions


class NotRecorded(Struct, frozen=True):
    """A unit that the storage does not have whole, so that nothing of it is recorded."""

    unit: UnitToAdd
    error: PartlyDoneError


StreamOutcome = PushOutcome | NotRecorded | Added


def stream(
    clone: Clone, plan: AddPlan, to: str, progress: Progress = SILENT
) -> Iterator[StreamOutcome]:
    """Send units from their sources to a storage, each recorded once it is there whole.

    An interrupted stream leaves whole objects only; the next one sends what is missing.

    Raises:
        UsageError: There is no such storage.
        RefusedError: A restricted unit to a public storage, before a file is read; an original
            of the same name has other content; or the storage belongs to another project.
        MachineError: Another imgdata command is at work here.
    """
    refuse_stream(clone, plan, to)
    for unit in plan.units:
        yield from _stream_unit(clone.reread(), unit, to, progress)


def refuse_stream(clone: Clone, plan: AddPlan, to: str) -> None:
    """Stop before anything is read where a unit may not go to a storage; asks nobody.

    Raises:
        UsageError: There is no such storage, or the source lies where the unit is to stay.
        RefusedError: A restricted unit to a public storage.
    """
    storage_named(clone.config, to)
    gate = Gate(clone, ask=False)
    for unit in plan.units:
        if unit.stays:
            problem = f"{unit.source} lies in the project already"
            raise UsageError(problem, remedy=f"imgdata add {unit.level.name} {unit.source}")
        reasons = gate.forbidden_new(unit.level, unit.name, unit.origin, to)
        if reasons:
            problem = f"{unit.title} is restricted and may not go to '{to}', which is public"
            remedy = "choose a storage that is not public, or leave out --to"
            raise RefusedError(problem, cause="\n".join(reasons), remedy=remedy)


def _stream_unit(
    clone: Clone, unit: UnitToAdd, to: str, progress: Progress
) -> Iterator[StreamOutcome]:
    progress.start(f"hash {unit.title}", items=len(unit.files), size=unit.size)
    try:
        merged = merge(clone, unit, hash_only(unit.files, progress=progress))
    finally:
        progress.finish()
    record = made_record(clone, merged)
    options = PushOptions(to=(to,), only=frozenset({unit.path}), repair=True)
    outcomes: list[PushOutcome] = []
    for outcome in push(_as_recorded(clone, merged, record), [unit.level], options, progress):
        outcomes.append(outcome)
        yield outcome
    arrived = [one for one in outcomes if isinstance(one, Pushed)]
    if arrived and all(one.is_whole for one in arrived):
        yield _record(clone, merged, record)
    elif arrived:
        yield NotRecorded(unit, _not_whole(unit, arrived[0]))


def _as_recorded(clone: Clone, merged: Merged, record: Record) -> Clone:
    """Return the clone as it will be when the unit is recorded, its files read at the source."""
    path = f"{merged.unit.path}.dvc"
    stage = dot_dvc_stage(
        read_dot_dvc(record.text.encode("utf-8"), path), Ground("", str(clone.root))
    )
    others = (one for one in clone.index.stages if one.file != path)
    lists = {} if record.listing is None else {str(record.version): record.listing}
    return replace(
        clone,
        read_before=replace(clone.index, stages=(*others, stage)),
        cache=SourceObjects(merged.taken.values(), lists, clone.cache),
    )


def _record(clone: Clone, merged: Merged, record: Record) -> Added:
    """Write down what arrived, unless the unit was changed by another command meanwhile.

    Raises:
        MachineError: It was.
    """
    unit, before = merged.unit, clone.units.find(merged.unit.level.name, merged.unit.name)
    with clone.writing():
        refuse_busy_paths(clone.tmp, [clone.root / unit.path])
        clone.refuse_link_out(unit.path)
        found = clone.reread().units.find(unit.level.name, unit.name)
        if (found and found.version) != (before and before.version):
            problem = f"{unit.title} was changed by another command meanwhile"
            raise MachineError(problem, remedy="run the same command again; what is sent stays")
        (clone.root / unit.path).parent.mkdir(parents=True, exist_ok=True)
        with dvc_lock(clone.tmp):
            written = write_record(clone, unit, record)
    return added(merged, record, written)


def _not_whole(unit: UnitToAdd, pushed: Pushed) -> PartlyDoneError:
    bad = [(one.item.names[0], one.place, one.found) for one in pushed.damaged]
    bad += [(one.item.names[0], one.place, "missing") for one in pushed.missing]
    lines = [
        f"{name}: changed or gone since it was hashed"
        if place == SOURCE
        else f"{name}: {found} on {place}"
        for name, place, found in bad
    ]
    count = "one file" if len(lines) == 1 else f"{len(lines)} files"
    problem = f"{unit.title} is not recorded: {count} did not arrive"
    cause = first_lines(lines, SHOWN)
    remedy = "run the same command again; what arrived is not sent again"
    return PartlyDoneError(problem, cause=cause, remedy=remedy)
