"""`imgdata whereis`."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import LevelOption, Remote, names, session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.model.durations import format_duration
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.dvc_repository import DvcRepository
    from imgdata.workflows.whereis import CopyLine, Whereabouts

SHOWN = 3
AllVersions = Annotated[
    bool, typer.Option("--all-versions", help="Versions of every commit too, not only these.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(whereis)


def whereis(
    context: typer.Context,
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LEVEL|FILE]...", help="Levels, files, or any tracked paths."),
    ] = None,
    *,
    level: LevelOption = None,
    remote: Remote = False,
    all_versions: AllVersions = False,
) -> None:
    """Say where the copies are, when each was checked, and what the rule still asks."""
    from imgdata.workflows.whereis import WhereisOptions  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    project = session.open_data()
    here = Path.cwd()
    if not here.is_relative_to(project.root):
        here /= session.project
    options = WhereisOptions(remote, all_versions, here)
    found = list(project.whereis(names(what, level), options))
    now = project.clone.clock.now()
    for one in found:
        session.add(_result(one))
    by_level: dict[str, list[Whereabouts]] = {}
    joined = project.clone.by_path and not names(what, level)
    for one in found:
        storages = project.config.levels[one.version.level].storages if joined else ()
        heading = _remote_heading(storages) if joined else _heading(one)
        by_level.setdefault(heading, []).append(one)
    for heading, some in by_level.items():
        told = f"{heading}, {count(len(some), 'path')}" if joined else heading
        _show(session, told, some, now, project.config.currency)
        if project.clone.by_path:
            _show_next(session, project, some)
        else:
            _show_rule(session, some)
    if not found:
        session.say(_why_nothing(project))


def _why_nothing(project: "DvcRepository") -> str:
    from imgdata.workflows.by_path import MIGRATE  # noqa: PLC0415 - rarely needed

    units = project.clone.units.of(project.config.levels)
    if any(unit.is_of_dvc_2 for unit in units):
        return f"all is recorded in the form of DVC 2, of which imgdata notes no copies: {MIGRATE}"
    step = "dvc add PATH" if project.clone.by_path else "imgdata add LEVEL FOLDER"
    return f"nothing is recorded yet: {step}"


def _heading(one: "Whereabouts") -> str:
    name = one.version.level or one.version.path
    if one.file:
        name = f"{one.version.path}/{one.file}"
    return name if one.is_current else f"{name}, older versions"


def _show(
    session: Session, heading: str, some: "Sequence[Whereabouts]", now: datetime, currency: str
) -> None:
    from rich.table import Table  # noqa: PLC0415 - keeps --help fast

    files = sum(one.files for one in some)
    size = sum(one.version.size for one in some)
    amount = "" if any(one.file for one in some) else f", {format_size(size)}"
    session.say(f"{heading}: {count(files, 'file')}{amount}")
    # A unit without files lacks none anywhere.
    some = [one for one in some if one.files] or some
    table = Table(box=None, pad_edge=True, header_style="")
    for name in ("storage", "kind", "files", "verified", f"{currency}/month", "note"):
        # A link that is cut short cannot be followed.
        table.add_column(name, justify="right" if name == "files" else "left", overflow="fold")
    storages = dict.fromkeys(line.storage for one in some for line in one.lines)
    for storage in storages:
        lines = [line for one in some for line in one.lines if line.storage == storage]
        missing_lines = len(some) - len(lines)
        table.add_row(*_cells(lines, now, whole=not missing_lines))
    if any(one.recipe for one in some):
        table.add_row(*_recipe_cells(some, now))
    session.out.print(table)


def _cells(lines: "Sequence[CopyLine]", now: datetime, *, whole: bool) -> tuple[str, ...]:
    first = lines[0]
    lacks = [name for line in lines for name in line.lacks]
    notes = dict.fromkeys(note for line in lines for note in line.notes)
    if lacks and first.storage:
        more = f" and {len(lacks) - SHOWN} more" if len(lacks) > SHOWN else ""
        notes[f"lacks {', '.join(lacks[:SHOWN])}{more}"] = None
    verified = "-"
    if first.storage:
        times = [line.verified_at for line in lines]
        known = [at for at in times if at is not None]
        how = {line.how for line in lines}
        verified = "not whole" if not whole or len(known) < len(times) else _ago(min(known), now)
        if known and verified != "not whole":
            verified += f", {_how(how)}"
        if how == {"size"}:
            verified = "size only"
        verified = verified if all(line.known for line in lines) else "unknown"
    costs = [line.cost for line in lines if line.cost is not None]
    return (
        first.storage or "here",
        first.kind,
        f"{sum(line.files for line in lines):,}" if all(line.known for line in lines) else "?",
        verified,
        f"{sum(costs):.2f}" if costs else "-",
        "; ".join(notes),
    )


def _recipe_cells(some: "Sequence[Whereabouts]", now: datetime) -> tuple[str, ...]:
    """Return the row that says whether stages make it again: when proven, how long, why not."""
    from imgdata.policy.recoverable import NEVER_PROVEN  # noqa: PLC0415 - keeps --help fast

    recipes = [one.recipe for one in some if one.recipe is not None]
    good = [one for one in recipes if not one.faults]
    files = sum(one.files for one in some if one.recipe is not None and not one.recipe.faults)
    times = [one.proven_at for one in recipes if one.proven_at is not None]
    verified = "not proven"
    if times and len(times) == len(recipes):
        verdicts = "/".join(sorted({one.verdict for one in recipes}))
        verified = f"proven {_ago(min(times), now)}, {verdicts}"
    faults = dict.fromkeys(fault for one in recipes for fault in one.faults)
    faults.pop(NEVER_PROVEN, None)  # the column before says it
    notes = [f"not recomputable: {', '.join(faults)}"] if faults else []
    if verified == "not proven":
        notes.append(f"imgdata run {some[0].version.level} --prove")
    if good:
        notes.append(f"takes {format_duration(sum(one.seconds or 0 for one in good))}")
    if needs := dict.fromkeys(name for one in good for name in one.needs):
        notes.append(f"needs {', '.join(list(needs)[:SHOWN])}{' ...' * (len(needs) > SHOWN)}")
    return "recipe", "recompute", f"{files:,}", verified, "-", "; ".join(notes)


def _how(ways: set[str]) -> str:
    words = {"read": "read back", "checksum": "server checksum", "size": "size only"}
    return "/".join(words.get(way, way) for way in sorted(ways))


def _ago(at: datetime, now: datetime) -> str:
    days = (now - at).days
    return "today" if days <= 0 else f"{days} d ago"


def _remote_heading(storages: tuple[str, ...]) -> str:
    return f"remote {storages[0]}" if storages else "on no remote"


def _show_next(session: Session, project: "DvcRepository", some: "Sequence[Whereabouts]") -> None:
    """Say what to type where the remote a path belongs to was asked and lacks files."""
    for one in some:
        own = project.config.levels[one.version.level].storages if one.version.level else ()
        lines = [line for line in one.lines if line.storage in own and line.known]
        if one.is_current and any(line.files < one.files for line in lines):
            session.say(f"  next: imgdata push {shlex.quote(one.version.path)}")
            return


def _show_rule(session: Session, some: "Sequence[Whereabouts]") -> None:
    rules = {one.rule for one in some if one.rule is not None}
    if not rules:
        session.say("  rule: stored nowhere, made again when needed")
        return
    for rule in rules:
        copies = "1 copy" if rule.copies == 1 else f"{rule.copies} copies"
        short = [name for one in some if one.rule == rule for name in one.short]
        told = "kept"
        if short:
            more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
            count = "1 file" if len(short) == 1 else f"{len(short):,} files"
            told = f"{count} below the rule: {', '.join(short[:SHOWN])}{more}"
            if not some[0].is_current:  # the rule is for what is recorded now
                told = f"{count} at fewer places; branches and tags that need them: imgdata audit"
        session.say(f"  rule: {copies}, checked within {rule.verify_every.days} days -> {told}")
        if short and some[0].is_current:
            level = some[0].version.level
            session.say(f"  next: imgdata push {level}")


def _result(one: "Whereabouts") -> dict[str, object]:
    version = one.version
    return {
        "level": version.level or None,
        "unit": version.unit,
        "path": version.path,
        "file": one.file,
        "version": version.version,
        "current": one.is_current,
        "files": one.files,
        "bytes": version.size,
        "rule": None if one.rule is None else _rule(one),
        "copies": [_copy(line) for line in one.lines],
        "below_rule": list(one.short),
        "names_known": one.list_known,
        "recipe": _recipe(one),
    }


def _recipe(one: "Whereabouts") -> dict[str, object] | None:
    recipe = one.recipe
    if recipe is None:
        return None
    return {
        "stage": recipe.stage,
        "recomputable": not recipe.faults,
        "verdict": recipe.verdict or None,
        "proven_at": recipe.proven_at.isoformat() if recipe.proven_at else None,
        "seconds": recipe.seconds,
        "needs": list(recipe.needs),
        "why_not": list(recipe.faults),
    }


def _rule(one: "Whereabouts") -> dict[str, object]:
    assert one.rule is not None, "asked before"  # noqa: S101 - for the type checker
    return {"copies": one.rule.copies, "verify_every_days": one.rule.verify_every.days}


def _copy(line: "CopyLine") -> dict[str, object]:
    return {
        "storage": line.storage or None,
        "kind": line.kind,
        "place": line.place,
        "files": line.files,
        "verified_at": line.verified_at.isoformat() if line.verified_at else None,
        "how": line.how or None,
        "cost_per_month": line.cost,
        "counts": line.counts,
        "missing": list(line.lacks),
        "notes": list(line.notes),
    }
