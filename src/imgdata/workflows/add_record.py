"""What records a unit: its files joined with those of a source, its version, its `.dvc` file."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.dvc_files.tracked import TrackedOut, dot_dvc_text, ignore_in_git
from imgdata.errors import MachineError, RefusedError
from imgdata.levels.units import Unit
from imgdata.model.events import time_text
from imgdata.model.excerpts import first_lines
from imgdata.model.objects import ObjectId, object_key
from imgdata.project.exclusion_lists import FOLDER, list_path, make_empty_list
from imgdata.project.unit_list import add_to_unit_list
from imgdata.system.files import write_text
from imgdata.transfer.take_in import StillChanging, Taken, TakeOutcome, Unreadable
from imgdata.workflows.add_plan import SHOWN, UnitToAdd, path_in
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import dvc_remote_of
from imgdata.workflows.history import Version
from imgdata.workflows.leaving import Gate
from imgdata.workflows.originals import Originals, originals_anew, recorded_originals
from imgdata.workflows.source_files import LeftOut


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
            here = path_in(unit.path, path)
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


def _total_size(
    clone: Clone, before: Unit | None, recorded: Mapping[str, str], taken: Mapping[str, Taken]
) -> int:
    """Return the bytes of a unit: what was recorded, which may not be here, and what is new."""
    new = sum(one.size for path, one in taken.items() if path not in recorded)
    if before is not None and before.size:
        return before.size + new
    stored = (clone.cache.stat(object_key(md5)) for md5 in recorded.values())
    return new + sum(found.size for found in stored if found is not None)


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
        key = object_key(record.version)
        clone.cache.write(key, [record.listing], len(record.listing))
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
