"""`imgdata exclude`: leave files out of what is made next, and take that back; nothing is deleted.

The decision goes into a list that stages read and, with who, when and why, into the log.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from msgspec import Struct, field

from imgdata.dvc_files.index import Index
from imgdata.dvc_files.places import touches
from imgdata.errors import NothingFoundError, UsageError
from imgdata.levels.units import ZARR, Unit, choose_levels
from imgdata.model.decisions import Excluded
from imgdata.model.events import Json, time_text
from imgdata.model.keys import Fields, read_name
from imgdata.model.selection import Selection
from imgdata.project.config import Level
from imgdata.project.exclusion_lists import (
    EVENT,
    RESTORED,
    is_list,
    list_path,
    name_union_merge,
    read_list,
    read_lists,
    restorations,
    without_restored,
    write_list,
)
from imgdata.workflows.clone import Clone
from imgdata.workflows.objects import fields_of


class UnitDecision(Struct, frozen=True):
    """What a decision means for one unit.

    Attributes:
        level: The level's name.
        unit: The unit's name; None where the level has none.
        version: The unit's recorded version; empty where nothing is recorded.
        list: The list, relative to the project's root.
        files: The files that are newly excluded, or restored, by their names in the unit's folder.
        already: How many of the selected files are so already.
        total: How many files the unit has; 0 where a restoration does not look.
        readers: The stages that read the list, on the way to what is made from the unit.
    """

    level: str
    unit: str | None
    version: str
    list: str
    files: tuple[str, ...]
    already: int
    total: int
    readers: tuple[str, ...]

    @property
    def title(self) -> str:
        """Level and unit as messages name them."""
        return self.level if self.unit is None else f"{self.level} {self.unit}"


class ExcludePlan(Struct, frozen=True):
    """A decision about files of a level; without `undo` they are left out."""

    undo: bool
    reason: str
    units: tuple[UnitDecision, ...]

    @property
    def count(self) -> int:
        """How many files it is about that are not so already."""
        return sum(len(one.files) for one in self.units)


def plan_exclude(
    clone: Clone, level: str, selection: Selection, reason: str, *, undo: bool = False
) -> ExcludePlan:
    """Decide which files a decision is about; changes nothing.

    Raises:
        UsageError: No such level, no selection, no reason, or nothing fits the selection.
        NothingFoundError: Nothing of the level is excluded, so nothing can be taken back.
        DamagedError: The file list of a unit is not here.
    """
    (found,) = choose_levels(clone.config, [level])
    words = " ".join(reason.split())
    if not selection:
        problem = "say which files: --select FIELD=VALUE"
        raise UsageError(problem, remedy=f"for example: imgdata exclude {level} --select well=B07")
    if not undo and not words:
        problem = "say why: --reason TEXT"
        raise UsageError(problem, remedy='for example: --reason "out of focus"')
    chooser = _Chooser(clone, found, selection)
    units = chooser.restored() if undo else chooser.excluded()
    return ExcludePlan(undo, words, tuple(units))


def list_excluded(clone: Clone, levels: Sequence[str] = ()) -> tuple[Excluded, ...]:
    """Return what is excluded of levels, list by list.

    Raises:
        UsageError: A name is not a level.
        InvalidProjectError: A list cannot be read.
    """
    chosen = {level.name for level in choose_levels(clone.config, levels)}
    lists = read_lists(clone.root, _unitless(clone))
    gone = restorations(clone.events)
    return tuple(
        row
        for path, rows in lists.items()
        for row in without_restored(rows, gone.get(path, set()))
        if row.level in chosen or not levels
    )


def apply_exclude(clone: Clone, plan: ExcludePlan) -> tuple[Path, ...]:
    """Write the lists and one event a unit, and stage them for git; return what was written."""
    written: list[Path | None] = []
    events: list[tuple[str, dict[str, Json]]] = []
    with clone.writing():
        gone = restorations(clone.events)
        for one in plan.units:
            if not one.files:
                continue
            rows = read_list(clone.root, one.list, _unitless(clone))
            rows = without_restored(rows, gone.get(one.list, set()))
            changed, details = _decide(clone, plan, one, rows)
            written.append(write_list(clone.root, one.list, changed))
            events.append((EVENT, details))
        if events:
            written += [name_union_merge(clone.root), clone.log().write(events)]
        paths = tuple(path for path in written if path is not None)
        clone.git.stage(paths)
    return paths


def _decide(
    clone: Clone, plan: ExcludePlan, one: UnitDecision, rows: Sequence[Excluded]
) -> tuple[list[Excluded], dict[str, Json]]:
    """Return a list as it is after a decision, and the event that tells of it."""
    details: dict[str, Json] = {
        "action": RESTORED if plan.undo else "excluded",
        "level": one.level,
        "unit": one.unit,
        "version": one.version or None,
        "files": list(one.files),
        "n": len(one.files),
        "reason": plan.reason,
    }
    if plan.undo:
        names = {(one.level, name) for name in one.files}
        taken = [row for row in rows if (row.level, row.file) in names]
        details |= {
            "files": [row.file for row in taken],
            "decided_at": [row.at for row in taken],
        }
        return [row for row in rows if (row.level, row.file) not in names], details
    by, at = clone.git.identity() or "", time_text(clone.clock.now())
    there = {row.file for row in rows if row.level == one.level}
    new = [
        Excluded(one.level, one.unit, name, plan.reason, by, at)
        for name in one.files
        if name not in there
    ]
    return [*rows, *new], details


def settle_lists(clone: Clone) -> tuple[Path, ...]:
    """Make lists that stages ask for, and take lines out that a merge brought back; staged."""
    asked = {dep.path for stage in clone.index.stages for dep in stage.deps if is_list(dep.path)}
    absent = sorted(path for path in asked if not (clone.root / path).exists())
    mended: dict[str, list[Excluded]] = {}
    for path, gone in restorations(clone.events).items():
        rows = read_list(clone.root, path, _unitless(clone))
        kept = without_restored(rows, gone)
        if len(kept) < len(rows):
            mended[path] = kept
    if not (absent or mended):
        return ()
    with clone.writing():
        written = [write_list(clone.root, path, ()) for path in absent]
        written += [write_list(clone.root, path, rows) for path, rows in mended.items()]
        clone.git.stage(written)
    return tuple(written)


def readers_of(index: Index, path: str, unit: str | None) -> tuple[str, ...]:
    """Return the stages that read a list and can so leave files of a unit out.

    Where stages read the unit, only a reader counts that one of them is, or needs for something
    else than the unit: what was left out before the unit was made is no use to those who read it.
    """
    folder = path.rpartition("/")[0]
    readers = {
        stage.address: stage.name
        for stage in index.stages
        if any(dep.path in {path, folder} for dep in stage.deps)
    }
    consumers = {
        stage.address
        for stage in index.stages
        if unit and any(touches(dep.path, unit) for dep in stage.deps)
    }
    if not consumers:
        return tuple(readers.values())
    makers = {out.path: stage for stage in index.stages for out in stage.outs}
    reached, todo = set(consumers), [index.by_address[one] for one in consumers]
    while todo:
        for dep in todo.pop().deps:
            maker = None if unit and touches(dep.path, unit) else makers.get(dep.path)
            if maker is not None and maker.address not in reached:
                reached.add(maker.address)
                todo.append(maker)
    return tuple(name for address, name in readers.items() if address in reached)


def _unitless(clone: Clone) -> tuple[str, ...]:
    return tuple(level.name for level in clone.config.levels.values() if level.unit is None)


class _Chooser(Struct, dict=True):
    clone: Clone
    level: Level
    selection: Selection
    seen: list[Fields] = field(default_factory=list)

    @cached_property
    def _gone(self) -> dict[str, set[tuple[str, str, str]]]:
        return restorations(self.clone.events)

    def excluded(self) -> list[UnitDecision]:
        """Return the units with files that are selected."""
        found = []
        for unit in self.clone.units.by_level[self.level.name]:
            if not self._may_fit(unit.name):
                continue
            names = self._files(unit)
            chosen = [n for n in names if self._is_selected(self._fields(unit.name, unit, n))]
            if chosen:
                found.append(self._new(unit, chosen, len(names)))
        if not found:
            raise self.selection.nothing_matched(self.seen)
        return found

    def restored(self) -> list[UnitDecision]:
        """Return the units with excluded files that are selected."""
        rows = list_excluded(self.clone, [self.level.name])
        if not rows:
            problem = f"nothing of {self.level.name} is excluded"
            raise NothingFoundError(problem, remedy="imgdata exclude --list")
        units = {unit.name: unit for unit in self.clone.units.by_level[self.level.name]}
        by_unit: dict[str | None, list[str]] = {}
        for row in rows:
            fields = self._fields(row.unit, units.get(row.unit), row.file)
            if self._is_selected(fields):
                by_unit.setdefault(row.unit, []).append(row.file)
        if not by_unit:
            raise self.selection.nothing_matched(self.seen)
        return [
            self._decision(name, units.get(name), tuple(files), 0, 0)
            for name, files in by_unit.items()
        ]

    def _new(self, unit: Unit, chosen: Sequence[str], total: int) -> UnitDecision:
        """Return what excluding the chosen files changes."""
        path = list_path(self.level.name, unit.name)
        rows = read_list(self.clone.root, path, _unitless(self.clone))
        kept = without_restored(rows, self._gone.get(path, set()))
        there = {row.file for row in kept if row.level == self.level.name}
        new = tuple(one for one in chosen if one not in there)
        return self._decision(unit.name, unit, new, len(chosen) - len(new), total)

    def _decision(
        self, name: str | None, unit: Unit | None, files: tuple[str, ...], already: int, total: int
    ) -> UnitDecision:
        path = list_path(self.level.name, name)
        readers = readers_of(self.clone.index, path, unit.path if unit is not None else None)
        version = str(unit.version or "") if unit is not None else ""
        return UnitDecision(self.level.name, name, version, path, files, already, total, readers)

    def _may_fit(self, unit: str | None) -> bool:
        """Tell whether a unit has to be looked into; a wanted plate spares the others."""
        plates = self.selection.wanted.get("plate")
        if plates is None or unit is None:
            return True
        plate = {"plate": unit}
        self.seen.append(plate)
        return Selection({"plate": plates}).fits(plate)

    def _fields(self, name: str | None, unit: Unit | None, file: str) -> Fields | None:
        if unit is not None:
            path = "" if file == unit.path.rpartition("/")[2] else file
            return fields_of(unit, self.level, [path]).get(path)
        return read_name(self.level.keys, f"{name}/{file}" if name else file, name)

    def _is_selected(self, fields: Fields | None) -> bool:
        if fields is None:
            return False
        self.seen.append(fields)
        return self.selection.fits(fields)

    def _files(self, unit: Unit) -> list[str]:
        """Return the files of a unit, recorded or, before that, here; a zarr folder is one."""
        single = unit.path.rpartition("/")[2]
        if unit.version is not None:
            entries = self.clone.folder_list(unit)
            names = [single] if entries is None else [entry.relpath for entry in entries]
        else:
            names = [name or single for name in self.clone.workspace.scan(unit.path)]
        return sorted(dict.fromkeys(_one_file(name) for name in names))


def _one_file(name: str) -> str:
    parts = name.split("/")
    for count, part in enumerate(parts, 1):
        if part.endswith(ZARR):
            return "/".join(parts[:count])
    return name
