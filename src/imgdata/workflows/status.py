"""`imgdata status`: level by unit, what is here, how it was made, where it is, what comes next."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.errors import StorageError
from imgdata.levels.changes import Comparison
from imgdata.levels.staleness import Freshness
from imgdata.levels.units import Unit
from imgdata.model.events import Event, parse_time
from imgdata.policy.ledger import Evidence
from imgdata.project.config import Level
from imgdata.project.hand_notes import hand_notes
from imgdata.system.folder_tree import FolderTree
from imgdata.transfer.presence import present_objects
from imgdata.workflows import merge_driver
from imgdata.workflows.brought_by_hand import brought_by_hand
from imgdata.workflows.by_path import MIGRATE, how_to_get, how_to_send, is_sent
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import differences
from imgdata.workflows.copies import Copies, Offline
from imgdata.workflows.former_files import former_files
from imgdata.workflows.former_storages import FormerStorages
from imgdata.workflows.leaving import Gate
from imgdata.workflows.level_follow import lying_behind
from imgdata.workflows.objects import content_of, copy_key, list_item_of
from imgdata.workflows.partial_notes import partial_note
from imgdata.workflows.taken_away import how_to_restore, taken_away

Here = Literal["complete", "partial", "changed", "absent", "unknown", "unrecorded"]


class UnitCopy(Struct, frozen=True):
    """One storage's copy of a unit's version, as far as it is known.

    Attributes:
        storage: Its name.
        evidence: The weakest evidence over all objects; None where the copy is not whole or not
            known.
        present: With `--remote`: how many objects the storage has now; None when not asked.
        wanted: How many objects the version has; None where its list is not here.
        fault: Why the storage could not be asked, or why nothing on it counts; may be empty.
    """

    storage: str
    evidence: Evidence | None
    present: int | None = None
    wanted: int | None = None
    fault: str = ""

    @property
    def is_asked(self) -> bool:
        """Whether the storage answered."""
        return self.present is not None

    @property
    def is_present(self) -> bool:
        """Whether the storage answered and has every object."""
        return self.present is not None and self.present == self.wanted

    @property
    def counts(self) -> bool:
        """Whether it counts against the rule: its content was verified, and nothing is missing."""
        complete = self.present is None or self.present == self.wanted
        return self.evidence is not None and self.evidence.is_verified and complete


class UnitStatus(Struct, frozen=True):
    """One line of the status.

    Attributes:
        unit: The unit.
        here: What of it is in the workspace.
        comparison: The details, where the record could be compared.
        stale: Why its stage would run again; empty when up to date or added by hand.
        made_by: The stage's name, or `add` or `import`.
        made_at: When it was added or last ran, if noted.
        copies: The storages of its level, and others with evidence.
        owed: Copies missing to the level's rule.
        next_step: One command, or an empty text.
        noted: Its changed files whose present content somebody noted as edited by hand.
    """

    unit: Unit
    here: Here
    comparison: Comparison | None
    stale: tuple[str, ...]
    made_by: str
    made_at: datetime | None
    copies: tuple[UnitCopy, ...]
    owed: int
    next_step: str
    noted: tuple[str, ...] = ()

    @property
    def is_hand_edited(self) -> bool:
        """Whether all that differs from the record are hand edits that somebody noted."""
        changes = self.comparison
        if self.here != "changed" or changes is None or changes.missing or self.unit.is_raw:
            return False
        return bool(self.noted) and len(self.noted) == len(changes.changed) + len(changes.extra)


class ProjectStatus(Struct, frozen=True):
    """All units of the chosen levels, and what is wrong with the project itself.

    Attributes:
        levels: The levels asked for, also those without units.
        units: In the order of levels and names.
        notes: Sentences about the project: DVC's files disagree, something cannot be read.
        by_path: There is no imgdata.yaml; levels are tracked paths.
    """

    levels: tuple[Level, ...]
    units: tuple[UnitStatus, ...]
    notes: tuple[str, ...]
    by_path: bool = False


def status(clone: Clone, levels: Sequence[Level], *, remote: bool) -> ProjectStatus:
    """Compare record, workspace, pipeline and log; only reads. With `remote`, asks the storages."""
    with clone.state.at_once():
        return _status(clone, levels, remote=remote)


def _status(clone: Clone, levels: Sequence[Level], *, remote: bool) -> ProjectStatus:
    freshness = Freshness(FolderTree(clone.root), clone.index, clone.workspace)
    runs = _last_runs(clone.events)
    chosen = [(level, unit) for level in levels for unit in clone.units.by_level[level.name]]
    asked = _Asked(clone, [unit for _, unit in chosen]) if remote else None
    units = tuple(
        _unit_status(clone, level, unit, freshness, runs, asked) for level, unit in chosen
    )
    notes = (*_notes(clone), *(asked.notes if asked else _nothing_remembered(clone)))
    return ProjectStatus(tuple(levels), units, notes, by_path=clone.by_path)


def _nothing_remembered(clone: Clone) -> Iterator[str]:
    if clone.by_path and clone.config.storages:
        yield "without imgdata.yaml no copy is remembered: --remote asks the remotes"


def not_here(clone: Clone, levels: Sequence[Level]) -> tuple[Unit, ...]:
    """Return the recorded units whose files are not all here as recorded."""
    units = clone.units.of(level.name for level in levels)
    with clone.state.at_once():
        return tuple(
            unit
            for unit in units
            if unit.version is not None
            and (is_sent(unit) or not clone.by_path)
            and look_at(clone, unit)[0] != "complete"
        )


def _notes(clone: Clone) -> Iterator[str]:
    if not clone.by_path:
        yield from _told_differences(clone)
    if clone.by_path:
        yield from _notes_by_path(clone)
    elif merge_driver.is_named(clone.root, clone.git) and not merge_driver.is_installed(clone.git):
        yield (
            "git in this clone does not merge dvc.lock stage by stage yet; "
            "the next command that writes sets it up, or now: imgdata init"
        )
    if not clone.by_path:
        yield from FormerStorages(clone).alone()
        yield from lying_behind(clone)
        yield from brought_by_hand(clone)
    if gone := taken_away(clone.root, clone.git):
        yield f"git has files of the project that are not here: {how_to_restore(gone)}"
    for problem in clone.index.problems:
        yield problem.sentence
    if line := merge_driver.keep_ours(clone.index.problems):
        yield f"to keep your side of each merge conflict, then imgdata run: {line}"


def _told_differences(clone: Clone) -> Iterator[str]:
    barred = Gate(clone, ask=False).barred_as_written
    told = list(differences(clone.config, clone.dvc, clone.units, clone.root, barred))
    if told:
        yield f"DVC's files differ from imgdata.yaml ({told[0]}): imgdata storage apply"


def _notes_by_path(clone: Clone) -> Iterator[str]:
    for out in clone.units.elsewhere:
        yield f"{out.written} lies outside the repository: left to DVC"


def _last_runs(events: Sequence[Event]) -> dict[str, datetime]:
    runs: dict[str, datetime] = {}
    for event in events:
        if event.event == "run" and event.details.get("rc") == 0:
            runs[event.text("stage")] = event.at
    return runs


def _unit_status(
    clone: Clone,
    level: Level,
    unit: Unit,
    freshness: Freshness,
    runs: dict[str, datetime],
    asked: "_Asked | None",
) -> UnitStatus:
    here, comparison = look_at(clone, unit)
    stale = freshness.reasons(unit.stage)
    copies = tuple(_copies(clone, level, unit, asked))
    owed = _owed(clone, level, unit, copies)
    made_by = unit.stage.name if unit.stage.kind == "stage" else unit.stage.kind
    found = UnitStatus(
        unit=unit,
        here=here,
        comparison=comparison,
        stale=stale,
        made_by=made_by,
        made_at=runs.get(unit.stage.address) or _added_at(unit),
        copies=copies,
        owed=owed,
        next_step=_dvc_step(unit, level, here, stale, owed)
        if clone.by_path
        else _next_step(
            unit,
            level,
            here,
            stale,
            _debt(clone, unit, copies) if owed else "",
            is_former=is_former(clone, unit, comparison),
        ),
        noted=_noted(clone, unit, comparison),
    )
    return replace(found, next_step="") if found.is_hand_edited and not owed else found


def _noted(clone: Clone, unit: Unit, comparison: Comparison | None) -> tuple[str, ...]:
    """Return the files of a unit that differ from their record as a note says."""
    names = (*comparison.changed, *comparison.extra) if comparison is not None else ()
    if not names:
        return ()
    known = {(note.path, note.md5) for note in hand_notes(clone.events)}
    paths = {name: f"{unit.path}/{name}" if name else unit.path for name in names}
    noted = {path for path, _ in known}
    return tuple(
        name
        for name, path in paths.items()
        if path in noted and (path, clone.content_hash(path)) in known
    )


def _owed(clone: Clone, level: Level, unit: Unit, copies: Sequence[UnitCopy]) -> int:
    """Return the copies missing to the level's rule; by path, one where a remote was asked."""
    if unit.version is None:
        return 0
    if clone.by_path:
        asked = [copy for copy in copies if copy.storage in level.storages and copy.is_asked]
        return int(bool(asked) and not any(copy.is_present for copy in asked))
    return max(0, level.copies - sum(1 for copy in copies if copy.counts))


def look_at(clone: Clone, unit: Unit) -> tuple[Here, Comparison | None]:
    """Return what of a unit is in the workspace, and how it compares with its record."""
    if unit.version is None:
        exists = (clone.root / unit.path).exists()
        return ("unrecorded" if exists or unit.stage.kind == "stage" else "absent"), None
    if not clone.has_list(unit) and not clone.by_path:
        return ("unknown" if (clone.root / unit.path).exists() else "absent"), None
    comparison = clone.compare(unit)
    if comparison.is_complete:
        return "complete", comparison
    if comparison.is_absent:
        return "absent", comparison
    if comparison.is_partial and partial_note(clone.root, unit).is_file():
        return "partial", comparison
    return "changed", comparison


def _added_at(unit: Unit) -> datetime | None:
    noted = unit.out.flags.meta.get("imgdata")
    text = noted.get("added") if isinstance(noted, dict) else None
    try:
        return parse_time(str(text)) if text else None
    except ValueError:
        return None


def _copies(clone: Clone, level: Level, unit: Unit, asked: "_Asked | None") -> Iterator[UnitCopy]:
    if unit.version is None:
        return
    names = dict.fromkeys((*level.storages, *level.then))
    for name in clone.copy_places:
        copy = clone.ledger.copy(copy_key(unit, name))
        if name not in names and not copy.notes:
            continue
        present, wanted = asked.count(unit, name) if asked else (None, None)
        fault = asked.faults.get(name, "") if asked else ""
        yield UnitCopy(name, copy.weakest, present, wanted, fault)


class _Asked(Struct, dict=True):
    """What the storages say now, each asked once for all units.

    A folder whose list is not here is asked for by its list alone, which is sent last.
    """

    clone: Clone
    units: Sequence[Unit]
    notes: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    _there: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def count(self, unit: Unit, name: str) -> tuple[int | None, int | None]:
        """Return how many objects of a unit a storage has, and of how many; None if unknown."""
        keys = self._keys[unit.path]
        if name not in self._there:
            self._there[name] = self._ask(name)
        there = self._there[name]
        if there is None:
            return (None, None) if self.clone.by_path else (0, len(keys))
        return len(there.intersection(keys)), len(keys)

    def _ask(self, name: str) -> frozenset[str] | None:
        wanted = {key for keys in self._keys.values() for key in keys}
        copies = Copies(self.clone, ask=True)
        answer = copies.reach(name)
        try:
            if isinstance(answer, Offline):
                raise answer.error
            if theirs := copies.not_ours(name):
                self.faults[name] = theirs
                self.notes.append(f"nothing on {name} counts: {theirs}")
                return frozenset()
            return frozenset(present_objects(answer.storage, wanted))
        except StorageError as error:
            self.faults[name] = error.problem
            self.notes.append(f"{name} cannot be asked: {error.problem}")
            return None

    @cached_property
    def _keys(self) -> dict[str, list[str]]:
        return {unit.path: self._keys_of(unit) for unit in self.units if unit.version is not None}

    def _keys_of(self, unit: Unit) -> list[str]:
        assert unit.version is not None, "filtered"  # noqa: S101 - for the type checker
        if not self.clone.has_list(unit):
            return [list_item_of(unit).key]
        content = content_of(unit, self.clone.folder_list(unit))
        keys = [item.key for item in content.items()]
        return [*keys, content.list_item.key] if content.list_item else keys


def is_former(clone: Clone, unit: Unit, comparison: Comparison | None) -> bool:
    """Tell whether all that differs here is of another recorded version."""
    differing = (*comparison.changed, *comparison.extra) if comparison is not None else ()
    return bool(differing) and former_files(clone, unit.path, differing) >= set(differing)


def _to_begin_with(unit: Unit, level: Level, *, is_former: bool) -> str:
    """Return what comes before everything else: what is here is not what is recorded."""
    if unit.is_of_dvc_2:
        return MIGRATE
    if unit.version is None and unit.is_raw:
        return how_to_get(unit)
    if is_former:
        verb = "pull" if level.storages or level.then else "run"
        return f"imgdata {verb} {level.name}"
    return ""


def _next_step(
    unit: Unit, level: Level, here: Here, stale: tuple[str, ...], debt: str, *, is_former: bool
) -> str:
    name = level.name
    if first := _to_begin_with(unit, level, is_former=is_former):
        return first
    if here == "changed" and unit.is_raw:
        return f"original changed: imgdata status {name} --verbose"
    if stale:
        return f"imgdata run {name}"
    if here == "changed":
        return f"imgdata status {name} --verbose"
    if here == "unrecorded":
        return f"imgdata run {name}"
    if debt:
        return debt
    if here in {"absent", "unknown"} and (level.storages or level.then):
        return f"imgdata pull {name}"
    return ""


def _debt(clone: Clone, unit: Unit, copies: Sequence[UnitCopy]) -> str:
    """Return what brings the copies that are owed: another storage's are sent on."""
    is_stored = any(copy.counts for copy in copies)
    return f"imgdata push {unit.level}" if is_stored else how_to_send(clone, unit)


def _dvc_step(unit: Unit, level: Level, here: Here, stale: tuple[str, ...], owed: int) -> str:
    """Return the next command where there is no imgdata.yaml: dvc's where imgdata has none."""
    stage = shlex.quote(unit.stage.dvc_name)
    if unit.version is None and unit.is_raw:
        return how_to_get(unit)
    if here == "changed" and (unit.stage.kind != "stage" or unit.stage.frozen):
        return f"to keep it: dvc commit {stage}; to undo: dvc checkout {stage}"
    if stale or here == "unrecorded":
        return f"dvc repro {stage}" if unit.stage.kind == "stage" else ""
    if owed and here == "absent":  # nothing here could be sent
        return f"imgdata whereis {shlex.quote(level.name)} --remote"
    if owed:
        return f"imgdata push {shlex.quote(level.name)}"
    if here in {"absent", "partial"}:
        if level.storages:
            return f"imgdata pull {shlex.quote(level.name)}"
        return how_to_get(unit)
    return f"to undo: dvc checkout {stage}" if here == "changed" else ""


def fails_on(found: ProjectStatus, condition: str) -> bool:
    """Tell whether a status meets a `--fail-on` condition: stale, unstored or changed."""
    match condition:
        case "stale":
            return any(one.stale for one in found.units)
        case "unstored":
            return any(one.owed for one in found.units)
        case _:
            return any(one.here == "changed" for one in found.units)
