"""`imgdata pull`: bring levels back, verified; nothing damaged is checked out."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from msgspec import Struct

from imgdata.errors import (
    DamagedError,
    ImgdataError,
    NothingFoundError,
    RefusedError,
    StorageError,
)
from imgdata.levels.units import Unit, level_of
from imgdata.model.excerpts import first_lines
from imgdata.model.keys import Fields
from imgdata.model.selection import Selection
from imgdata.project.config import Level
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows.by_path import MIGRATE, how_to_get, obstacle, why_nowhere
from imgdata.workflows.clone import Clone
from imgdata.workflows.into_folder import prepare
from imgdata.workflows.past import Past
from imgdata.workflows.pull_past import bring_past
from imgdata.workflows.pull_unit import SHOWN, Doors, Fetch, Pulled, PullOptions
from imgdata.workflows.push_plan import may_be_selected


class NotPulled(Struct, frozen=True):
    """A unit that is not brought back, why, and the command that makes it (may be empty).

    Attributes:
        fault: What a person has to mend; None where it stays away by rule.
    """

    unit: Unit
    why: str
    command: str
    fault: ImgdataError | None = None


class PullFailed(Struct, frozen=True):
    """A unit that could not be brought back, and why; the others were."""

    unit: Unit
    error: ImgdataError


PullOutcome = Pulled | NotPulled | PullFailed


def pull(
    clone: Clone, levels: Sequence[Level], options: PullOptions, progress: Progress = SILENT
) -> Iterator[PullOutcome]:
    """Bring the recorded versions of levels into the workspace; one outcome a unit.

    One that nobody has sent, that is damaged, or whose storages cannot be reached stops no other.
    In a repository without imgdata.yaml, where there is a unit for each tracked path, and at an
    earlier revision, none that fails does.

    Raises:
        UsageError: A storage is not configured, or the selection fits no file.
        RefusedError: Files here differ from their record and would be overwritten.
        MachineError: Disk full, no permission, or another command is at work.
    """
    for name in options.sources:
        clone.refuse_unknown_place(name)
    matched = not options.selection
    seen: list[Fields] = []
    doors, past = Doors(clone), options.past
    chosen = _by_name(clone, levels, options.selection)
    with clone.writing(), clone.state.at_once() if clone.by_path else nullcontext():
        if past is not None:
            prepare(clone, past)
        for level in levels:
            for unit in clone.units.by_level[level.name]:
                if unit.path not in chosen or (clone.by_path and _is_kept_elsewhere(clone, unit)):
                    continue
                fetch = Fetch(clone, unit, level, options, progress, doors)
                outcome = _outcome(fetch, seen)
                matched = matched or fetch.chosen > 0 or isinstance(outcome, PullFailed)
                yield outcome
    if not matched:
        raise options.selection.nothing_matched(seen)


def _by_name(clone: Clone, levels: Sequence[Level], selection: Selection) -> frozenset[str]:
    """Return the paths of the units whose name a selection fits, so that no others are asked for.

    All of them where it fits none: their files then tell which values there are.
    """
    units = [unit for level in levels for unit in clone.units.by_level[level.name]]
    fit = [unit for unit in units if may_be_selected(unit, selection)]
    return frozenset(unit.path for unit in fit or units)


def _is_kept_elsewhere(clone: Clone, unit: Unit) -> bool:
    """Tell whether an out without a cache is here: git keeps it, and nothing is to be brought."""
    is_here = clone.tree is not None or (clone.root / unit.path).exists()
    return not unit.out.flags.cache and is_here


def _why_no_version(unit: Unit, past: Past | None) -> str:
    if unit.legacy_hash is not None:
        return f"recorded as {unit.legacy_hash} by DVC before 3"
    return "nothing is recorded yet" if past is None else f"{past.name} records nothing of it"


def _why_nowhere(clone: Clone, unit: Unit) -> str:
    return why_nowhere(clone, unit) if clone.by_path else "storage: none"


def _maker(clone: Clone, unit: Unit, past: Past | None) -> str:
    """Return the command that makes or gets a unit which no storage has."""
    if past is None:
        return _maker_here(clone, unit, unit.level)
    command = _maker_here(clone, unit, past.level_then(unit.level))
    if command.startswith("imgdata run"):
        inputs = [past.level_then(name) for name in _stored_inputs(clone, unit)]
        command = f"imgdata pull {' '.join(inputs)} && {command}" if inputs else command
    return past.at_its_commit(command) if command and unit.out.recorded else ""


def _stored_inputs(clone: Clone, unit: Unit) -> tuple[str, ...]:
    """Return the levels from which a unit is made again: those on storages, nearest first."""
    stages, seen = [unit.stage], dict[str, Level]()
    for stage in stages:  # grows by the makers of inputs that are stored nowhere
        for dep in stage.deps:
            level = level_of(clone.config, dep.path) if dep.is_inside else None
            if level is not None and level.name not in seen:
                seen[level.name] = level
                if not level.storages:
                    stages += [one.stage for one in clone.units.by_level[level.name]]
    return tuple(name for name, level in seen.items() if level.storages)


def _maker_here(clone: Clone, unit: Unit, level: str) -> str:
    if unit.is_of_dvc_2:
        return MIGRATE
    if not clone.by_path and unit.stage.kind == "stage":
        return f"imgdata run {level}"
    return f"dvc pull {unit.stage.dvc_name}" if unit.legacy_hash else how_to_get(unit)


def _at(past: Past | None, fault: ImgdataError | None) -> ImgdataError | None:
    """Return a fault with a remedy that works at its commit."""
    if past is None or fault is None or fault.remedy != MIGRATE:
        return fault
    return type(fault)(fault.problem, cause=fault.cause, remedy=past.at_its_commit(MIGRATE))


def _outcome(fetch: Fetch, seen: list[Fields]) -> PullOutcome:
    clone, unit, past = fetch.clone, fetch.unit, fetch.options.past
    if unit.version is None:
        why = _why_no_version(unit, past)
        return NotPulled(unit, why, _maker(clone, unit, past), _at(past, obstacle(clone, unit)))
    if fetch.is_nowhere():
        if past is not None and (way_back := fetch.way_back()):
            problem = f"{unit.title} of {past.name} is on no storage that imgdata.yaml names"
            return PullFailed(unit, DamagedError(problem, remedy=way_back))
        return NotPulled(
            unit,
            _why_nowhere(clone, unit),
            _maker(clone, unit, past),
            _at(past, obstacle(clone, unit)),
        )
    try:
        return fetch.run(seen) if past is None else bring_past(fetch, past, seen)
    except (RefusedError, DamagedError, StorageError, NothingFoundError) as error:
        if isinstance(error, RefusedError) and not (clone.by_path or past):
            raise
        return PullFailed(unit, error)


def summary_error(outcomes: Sequence[PullOutcome]) -> ImgdataError | None:
    """Return what kept a pull from being whole, or None."""
    failed = [one for one in outcomes if isinstance(one, PullFailed)]
    bad = [line for one in outcomes if isinstance(one, Pulled) for line in one.bad]
    if failed:
        return _failed(failed, bad)
    if not bad:
        faults = (one.fault for one in outcomes if isinstance(one, NotPulled))
        return next((fault for fault in faults if fault), None)
    broken = next(one for one in outcomes if isinstance(one, Pulled) and one.bad)
    return _broken(bad, broken)


def _failed(failed: Sequence[PullFailed], bad: Sequence[str]) -> ImgdataError:
    """Return the first failure; what else did not come is among its causes."""
    first = failed[0].error
    others = dict.fromkeys(one.error.problem for one in failed[1:])
    others.pop(first.problem, None)
    lines = [line for line in (first.cause, *[*others, *bad][:SHOWN]) if line]
    return type(first)(first.problem, cause="\n".join(lines), remedy=first.remedy)


def _broken(bad: Sequence[str], broken: Pulled) -> DamagedError:
    count = "one file is" if len(bad) == 1 else f"{len(bad)} files are"
    return DamagedError(
        f"{count} damaged or missing and not checked out",
        cause=first_lines(bad, SHOWN),
        remedy=broken.remedy,
    )
