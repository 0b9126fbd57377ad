"""`imgdata status`."""

import shlex
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgdata.cli.options import LevelOption, LevelsOrPaths, Remote, names, session_of
from imgdata.cli.session import Session
from imgdata.errors import Exit, UsageError
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.project.config import Level
    from imgdata.workflows.status import ProjectStatus, UnitStatus

LINES_A_LEVEL = 12
HERE_WORDS = {
    "complete": "here",
    "partial": "in part",
    "changed": "CHANGED",
    "absent": "not here",
    "unknown": "not compared",
    "unrecorded": "not made yet",
}
NOTED = "hand-edited (noted)"


def show_paths(session: Session, title: str, found: "ProjectStatus") -> None:
    """Show a DVC repository, path by path; the renderer is loaded only for one."""
    from imgdata.cli.status_by_path import rows_of  # noqa: PLC0415 - see above

    show_table(session, title, rows_of(found), right=(1, 2))
    show_notes(session, found)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    context: typer.Context,
    levels: LevelsOrPaths = None,
    *,
    level: LevelOption = None,
    remote: Remote = False,
    fail_on: Annotated[
        str | None, typer.Option(metavar="stale|unstored|changed", help="Exit 1 when it is so.")
    ] = None,
) -> None:
    """Show every level and unit: what is here, how it was made, its copies, the next step."""
    from imgdata.workflows.status import fails_on  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    if fail_on not in {None, "stale", "unstored", "changed"}:
        problem = f"--fail-on takes stale, unstored or changed, not '{fail_on}'"
        raise UsageError(problem)
    project = session.open_data()
    found = project.status(names(levels, level), remote=remote)
    rules = {} if found.by_path else {one.name: one for one in found.levels}
    session.results += [_json(one, rules.get(one.unit.level)) for one in found.units]
    _show(session, project.config.title, found)
    if fail_on == "unstored" and project.clone.by_path and not remote:
        problem = "without imgdata.yaml no copy is remembered: --fail-on unstored needs --remote"
        raise UsageError(problem)
    if fail_on and fails_on(found, fail_on):
        session.ok = False
        raise typer.Exit(Exit.FINDINGS)


def _show(session: Session, title: str, found: "ProjectStatus") -> None:
    if found.by_path:
        show_paths(session, title, found)
        return
    rows: list[tuple[str, ...]] = [
        ("level", "unit", "files", "size", "state", "made by", "copies", "next")
    ]
    for level in found.levels:
        units = [one for one in found.units if one.unit.level == level.name]
        if not units:
            step = f"imgdata add {level.name} FOLDER" if level.origin else ""
            rows.append((level.name, "-", "", "", "nothing yet", "", "", step))
        rows += _rows(units, level.copies)
    show_table(session, title, rows, right=(2, 3))
    show_notes(session, found)


def show_table(
    session: Session, title: str, rows: "Sequence[Sequence[str]]", right: tuple[int, ...]
) -> None:
    """Print rows in columns, some of them aligned to the right.

    Where a terminal is too narrow for all of them, it is not told who made what.
    """
    session.say(title)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if sum(widths) + 2 * len(widths) - 2 > session.width:
        widths[rows[0].index("made by")] = 0
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            if width
        ]
        session.say("  ".join(cells).rstrip())


def show_notes(session: Session, found: "ProjectStatus") -> None:
    """Print what is to be said of the whole, and with `--verbose` each difference."""
    for note in found.notes:
        session.say(f"note: {note}")
    if session.verbose:
        _show_details(session, found)


def _rows(units: "list[UnitStatus]", rule: int) -> list[tuple[str, ...]]:
    """Return a line a unit, or a line a group of like units where there are many."""
    if len(units) <= LINES_A_LEVEL:
        return [_row([one], rule) for one in units]
    groups = groupby(
        units,
        key=lambda one: (one.here, one.is_hand_edited, bool(one.stale), one.owed, one.next_step),
    )
    return [_row(list(some), rule) for _, some in groups]


def state_words(one: "UnitStatus") -> str:
    """Say what is here of a unit, and whether its stage would run."""
    stale = one.stale and one.here != "unrecorded"
    if one.unit.is_of_dvc_2:
        return "of DVC 2"
    here = NOTED if one.is_hand_edited else HERE_WORDS[one.here]
    return here + (", stale" if stale else "")


def _row(some: "list[UnitStatus]", rule: int) -> tuple[str, ...]:
    first, last = some[0], some[-1]
    name = first.unit.name or "(all)"
    if len(some) > 1:
        name = f"{name} ... {last.unit.name} ({len(some)})"
    nfiles = sum(one.unit.nfiles for one in some)
    size = sum(one.unit.size for one in some)
    state = state_words(first)
    made = first.made_by if len(some) == 1 else first.made_by.split("@", 1)[0]
    when = f" {first.made_at:%Y-%m-%d %H:%M}" if first.made_at and len(some) == 1 else ""
    good = min(sum(1 for copy in one.copies if copy.counts) for one in some)
    asked = f"of {rule}" if rule else "though none by rule"  # pushed with --to, or before the rule
    copies = f"{good} {asked}" if rule or good else "none by rule"
    return (
        first.unit.level,
        name,
        f"{nfiles:,}" if nfiles else "",
        format_size(size) if size else "",
        state,
        f"{made}{when}",
        copies if first.unit.version else "",
        first.next_step,
    )


def _show_details(session: Session, found: "ProjectStatus") -> None:
    for one in found.units:
        for reason in one.stale:
            session.say(f"{one.unit.title} is stale: {reason}")
        if one.comparison is not None and one.here in {"changed", "partial"}:
            for word in ("changed", "missing", "extra"):
                for path in getattr(one.comparison, word)[:LINES_A_LEVEL]:
                    session.say(f"{one.unit.title}: {word} {one.unit.path}/{path}".rstrip("/"))
        if one.next_step.endswith("--verbose"):
            session.say(f"{one.unit.title}: {_about_changes(one)}")


def _about_changes(one: "UnitStatus") -> str:
    back = f"move what changed away, then imgdata pull {one.unit.level}"
    if one.unit.is_raw:
        return f"to bring the original back: {back}"
    note = f"imgdata note {shlex.quote(one.unit.path)} --reason TEXT"
    return f"to keep an edit: {note}; to undo it: {back}"


def _json(one: "UnitStatus", rule: "Level | None") -> dict[str, Any]:
    unit = one.unit
    return {
        "level": unit.level,
        "unit": unit.name,
        "path": unit.path,
        "version": unit.version,
        "files": unit.nfiles,
        "size": unit.size,
        "here": one.here,
        "changed": list(one.comparison.changed) if one.comparison else [],
        "missing": list(one.comparison.missing) if one.comparison else [],
        "extra": list(one.comparison.extra) if one.comparison else [],
        "hand_edited_noted": list(one.noted),
        "stale": list(one.stale),
        "made_by": one.made_by,
        "made_at": one.made_at.isoformat() if one.made_at else None,
        "origin": unit.origin,
        "copies": [
            {
                "storage": copy.storage,
                "counts": copy.counts,
                "verified_at": copy.evidence.at.isoformat() if copy.evidence else None,
                "how": copy.evidence.how if copy.evidence else None,
                "present": copy.present,
                "wanted": copy.wanted,
                "fault": copy.fault,
            }
            for copy in one.copies
        ],
        "rule": rule and {"copies": rule.copies, "verify_every_days": rule.verify_every_days},
        "owed": one.owed,
        "next": one.next_step,
    }
