"""`imgdata add --move`: delete a source, file by file, once its copies are evidenced."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from imgdata.errors import ImgdataError, MachineError, UsageError
from imgdata.levels.units import Unit, unit_name
from imgdata.ports import LiesInFolder
from imgdata.project.config import Level
from imgdata.system.files import remove_empty, unlink_same
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import Item
from imgdata.transfer.take_in import Taken
from imgdata.workflows.add import Added
from imgdata.workflows.add_plan import AddPlan, level_to_add_to, plan_add
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents, list_item
from imgdata.workflows.copies import Copies, rule_of
from imgdata.workflows.push import PushOutcome, push
from imgdata.workflows.push_plan import PushOptions
from imgdata.workflows.source_files import IGNORED, LeftOut
from imgdata.workflows.stored import enough_copies
from imgdata.workflows.versions import version_of

LINKED = "a link: what it leads to is not of this folder"
CHANGED = "changed since it was read"
NEW = "came after the folder was read"


class Leaving(Struct, frozen=True):
    """A source to delete: the literal list of its files as they were read.

    Attributes:
        level: The level.
        unit: The unit it became, or None for a level that is one piece.
        source: The folder or file.
        taken: Its files; none where an interrupted move has deleted all of them.
        left_out: What was not taken and stays.
    """

    level: Level
    unit: str | None
    source: Path
    taken: tuple[Taken, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def title(self) -> str:
        """Level and unit as messages name them."""
        return self.level.name if self.unit is None else f"{self.level.name} {self.unit}"


class MovePlan(Struct, frozen=True):
    """What would be added and then deleted, and the sources whose files are gone already."""

    add: AddPlan
    emptied: tuple[Leaving, ...]


class Gone(Struct, frozen=True):
    """A source after its deletion.

    Attributes:
        files: Files that were deleted, and `size` their bytes.
        copies: The storages whose copies were relied on.
        left: What stays at the source, and why.
    """

    leaving: Leaving
    files: int
    size: int
    copies: tuple[str, ...]
    left: tuple[LeftOut, ...]

    @property
    def unsettled(self) -> tuple[LeftOut, ...]:
        """What stays although nobody said so."""
        return tuple(one for one in self.left if one.why != IGNORED)


class Stays(Struct, frozen=True):
    """A source of which nothing was deleted: files with too few copies, and why."""

    leaving: Leaving
    why: tuple[LeftOut, ...]


def plan_move(
    clone: Clone,
    level_name: str,
    sources: Sequence[Path],
    unit: str | None,
    origin: str | None,
    *,
    to: str | None = None,
) -> MovePlan:
    """Decide what each source becomes before it is deleted; reads no file.

    A source that is not there or holds no file, of a unit that is recorded, was moved before.

    Raises:
        UsageError: As `plan_add`; or nothing of the level is stored, or a source shares files
            with the project, its cache or a storage.
    """
    level = level_to_add_to(clone, level_name)
    if not (level.storages or to):
        problem = f"level '{level.name}' is stored nowhere, so no source of it can be deleted"
        raise UsageError(problem, remedy="leave out --move, or name a storage with --to")
    emptied: list[Leaving] = []
    full: list[Path] = []
    for source in sources:
        known = _recorded_unit(clone, level, source, unit)
        if known is not None and _has_no_file(source):
            emptied.append(Leaving(level, known.name, source))
        else:
            full.append(source)
            _refuse_shared(clone, source)
    plan = plan_add(clone, level_name, full, unit, origin)
    leaving = tuple(replace(one, leaves=True) for one in plan.units)
    return MovePlan(replace(plan, units=leaving), tuple(emptied))


def _recorded_unit(clone: Clone, level: Level, source: Path, unit: str | None) -> Unit | None:
    names = [None] if level.unit is None else [unit or source.name, unit or unit_name(source.name)]
    found = (clone.units.find(level.name, name) for name in names)
    return next((one for one in found if one is not None and one.version is not None), None)


def _has_no_file(source: Path) -> bool:
    if not source.is_dir():
        return not source.exists()
    return not any(
        names or any((Path(folder) / one).is_symlink() for one in folders)
        for folder, folders, names in os.walk(source, onerror=_refuse_unreadable)
    )


def _refuse_unreadable(error: OSError) -> None:
    problem = f"cannot look into {error.filename}"
    raise MachineError(problem, cause=error.strerror or str(error))


def _refuse_shared(clone: Clone, source: Path) -> None:
    """Stop where deleting a source would delete the project or a copy of it.

    Raises:
        UsageError: Naming what it shares files with.
    """
    places = {"the project": clone.root, "DVC's cache": clone.dvc.cache_dir}
    for storage in clone.config.storages.values():
        with suppress(ImgdataError):  # one that cannot be opened is no folder here
            opened = clone.open_storage(storage)
            if isinstance(opened, LiesInFolder) and opened.folder is not None:
                places[f"storage '{storage.name}'"] = opened.folder
    for name, place in places.items():
        if _overlap(source.resolve(), place.resolve()):
            problem = f"{source} and {name} share files, so with --move it would lose them"
            raise UsageError(problem, cause=f"{name} is {place}", remedy="leave out --move")


def _overlap(one: Path, other: Path) -> bool:
    """Tell whether a path lies in another, also by a second name of a folder (a bind mount)."""
    if not (one.exists() and other.exists()):
        return False
    return any(above.samefile(other) for above in (one, *one.parents)) or any(
        above.samefile(one) for above in (other, *other.parents)
    )


def leaving_of(added: Added) -> Leaving:
    """Return what is to be deleted of a source that was just read and recorded."""
    unit = added.unit
    return Leaving(unit.level, unit.name, unit.source, added.taken, added.left_out)


def push_units(
    clone: Clone, leaving: Sequence[Leaving], progress: Progress = SILENT
) -> Iterator[PushOutcome]:
    """Send the units that sources became to their level's storages."""
    if not leaving:
        return
    now = clone.reread()
    units = [now.units.find(one.level.name, one.unit) for one in leaving]
    only = frozenset(unit.path for unit in units if unit is not None)
    yield from push(now, [leaving[0].level], PushOptions(only=only), progress)


def delete_sources(
    clone: Clone, leaving: Sequence[Leaving], progress: Progress = SILENT
) -> Iterator[Gone | Stays]:
    """Delete the files of sources whose copies count as they do for `drop`; one outcome a source.

    Storages are asked now. Of a source nothing goes unless each of its files, and the list of the
    unit's files, has as many copies as the level asks; each file must still be the one that was
    read.

    Raises:
        MachineError: Another imgdata command is at work here.
    """
    now = clone.reread()
    with now.writing():
        copies = Copies(now, ask=True)
        contents = Contents(now)
        settled = False
        for one in leaving:
            counted, short = _judge(now, one, copies, contents)
            if short:
                yield Stays(one, short)
                continue
            if not settled:
                os.sync()  # what was recorded and taken in must outlive a power cut, too
                settled = True
            progress.start(f"delete {one.source}", items=len(one.taken), size=0)
            try:
                yield _delete(one, counted, progress)
            finally:
                progress.finish()


def _judge(
    clone: Clone, leaving: Leaving, copies: Copies, contents: Contents
) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Return the storages that have all of a source, and what too few have."""
    unit = clone.units.find(leaving.level.name, leaving.unit)
    if unit is None or unit.version is None:
        return (), (LeftOut(str(leaving.source), "its unit is not recorded any more"),)
    version = version_of(unit)
    recorded = contents.items(version)
    if recorded is None:
        return (), (LeftOut(unit.path, "the list of its files is not here"),)
    items = _items_of(leaving, unit, recorded)
    if isinstance(items, LeftOut):
        return (), (items,)
    facts, rule, now = copies.facts(version, items), rule_of(leaving.level), clone.clock.now()
    judged = [(item, *enough_copies(facts[item.object_id], rule, now)) for item in items]
    short = [LeftOut(name, why) for item, _, why in judged if why for name in item.names]
    places = [set(counted) for _, counted, _ in judged]
    return tuple(sorted(set.intersection(*places) or set.union(*places))), tuple(short)


def _items_of(leaving: Leaving, unit: Unit, recorded: Iterable[Item]) -> tuple[Item, ...] | LeftOut:
    """Return the objects that must be safe: those of the source and the list of the unit's files.

    All of the unit where nothing of the source is left.
    """
    known: Mapping[str, Item] = {item.object_id: item for item in recorded}
    if not leaving.taken:
        return tuple(known.values())
    found: dict[str, Item] = {}
    for one in leaving.taken:
        if one.md5 not in known:
            return LeftOut(one.source.path, f"{unit.title} records other files by now")
        found[one.md5] = replace(known[one.md5], size=one.size)
    lists = (list_item(version_of(unit)),) if unit.is_folder else ()
    return (*found.values(), *lists)


def _delete(leaving: Leaving, counted: tuple[str, ...], progress: Progress) -> Gone:
    left = list(leaving.left_out)
    real: dict[str, bool] = {}
    files = size = 0
    for one in leaving.taken:
        if why := _why_kept(one, real):
            left.append(LeftOut(one.source.relpath or one.source.path, why))
        else:
            files += 1
            size += one.size
        progress.advance(items=1)
    if leaving.source.is_dir():
        remove_empty(leaving.source)
        told = {one.path for one in left}
        left += [LeftOut(path, NEW) for path in _remaining(leaving.source) if path not in told]
    return Gone(leaving, files, size, counted, tuple(left))


def _why_kept(one: Taken, real: dict[str, bool]) -> str:
    """Delete one file if it is still the one that was read; else say why it stays."""
    path = Path(one.source.path)
    folder = str(path.parent)
    if folder not in real:
        real[folder] = os.path.realpath(folder) == folder
    if not real[folder] or path.is_symlink():
        return LINKED
    try:
        return "" if unlink_same(path, one.stamp) else CHANGED
    except MachineError as error:
        return error.problem


def _remaining(source: Path) -> Iterator[str]:
    for folder, _, names in os.walk(source):
        below = Path(folder).relative_to(source)
        yield from ((below / name).as_posix() for name in names)
