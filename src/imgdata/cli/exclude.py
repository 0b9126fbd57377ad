"""`imgdata exclude`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import DryRun, LevelOption, Levels, Select, names, session_of
from imgdata.cli.session import Session
from imgdata.errors import UsageError
from imgdata.model.selection import parse_selection

if TYPE_CHECKING:
    from imgdata.model.decisions import Excluded
    from imgdata.workflows.exclude import ExcludePlan, UnitDecision

SHOWN = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(exclude)


def exclude(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    levels: Levels = None,
    *,
    level: LevelOption = None,
    select: Select = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take exclusions back.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List what is excluded.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Leave images out of what is made next, with a reason; no image is deleted."""
    session = session_of(context)
    chosen = names(levels, level)
    if list_:
        _show_list(session, session.open().excluded(chosen))
        return
    if len(chosen) != 1:
        problem = "exclude takes one level" if chosen else "say of which level"
        remedy = 'imgdata exclude raw --select well=B07 --reason "out of focus"'
        raise UsageError(problem, remedy=remedy)
    project = session.open(writing=not dry_run)
    plan = project.plan_exclude(chosen[0], parse_selection(select or ()), reason, undo=undo)
    _show_plan(session, plan, dry_run=dry_run)
    if dry_run or not plan.count:
        return
    project.exclude(plan)
    if any(one.readers for one in plan.units):
        session.say("next: imgdata run   (only what reads these lists runs again)")
    word = "Take back exclusions of" if undo else "Exclude files of"
    session.finish_writing(project, f"{word} {chosen[0]}{f': {plan.reason}' if reason else ''}")


def _show_plan(session: Session, plan: "ExcludePlan", *, dry_run: bool) -> None:
    verb = "taken back" if plan.undo else "excluded"
    would = "would be " if dry_run else ""
    for one in plan.units:
        session.add(_result(plan, one, dry_run=dry_run))
        already = f", {one.already:,} were so already" if one.already else ""
        total = f" of {one.total:,}" if one.total else ""
        reason = f": {plan.reason}" if plan.reason else ""
        count = len(one.files)
        files = f"{count:,}{total} files" if total or count != 1 else "one file"
        session.say(f"{one.title}: {files} {would}{verb}{reason}{already}")
        more = f" and {count - SHOWN:,} more" if count > SHOWN else ""
        if count:
            session.say(f"  {', '.join(one.files[:SHOWN])}{more}")
        if one.total and count + one.already == one.total:
            session.note(f"  nothing is left of {one.title}")
    _warn_unread(session, plan)


def _warn_unread(session: Session, plan: "ExcludePlan") -> None:
    """Say when nothing that is made will leave the files out."""
    unread = [one for one in plan.units if one.files and not one.readers]
    if plan.undo or not unread:
        return
    first = unread[0]
    more = f" (and {len(unread) - 1:,} more such lists)" if len(unread) > 1 else ""
    session.note(
        f"no stage of dvc.yaml that reads {first.title} heeds {first.list}{more}: "
        "nothing that is made leaves them out\n"
        f"  name the list in 'deps' of the stage that reads {first.title}, and let its script "
        "skip those files"
    )


def _result(plan: "ExcludePlan", one: "UnitDecision", *, dry_run: bool) -> dict[str, object]:
    return {
        "level": one.level,
        "unit": one.unit,
        "action": "restore" if plan.undo else "exclude",
        "list": one.list,
        "files": list(one.files),
        "already": one.already,
        "reason": plan.reason,
        "read_by": list(one.readers),
        "written": bool(one.files) and not dry_run,
    }


def _show_list(session: Session, rows: "tuple[Excluded, ...]") -> None:
    groups: dict[tuple[str, str | None, str, str, str], list[str]] = {}
    for row in rows:
        session.add(
            {
                "level": row.level,
                "unit": row.unit,
                "file": row.file,
                "reason": row.reason,
                "by": row.by or None,
                "at": row.at or None,
            }
        )
        key = (row.level, row.unit, row.reason, row.by, row.at)
        groups.setdefault(key, []).append(row.file)
    for (level, unit, reason, by, at), files in groups.items():
        who = ", ".join(part for part in (by.split(" <")[0], at[:10]) if part)
        count = "one file" if len(files) == 1 else f"{len(files):,} files"
        title = level if unit is None else f"{level} {unit}"
        session.say(f"{title}: {count}: {reason or 'no reason given'}{f' ({who})' if who else ''}")
        more = f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else ""
        session.say(f"  {', '.join(files[:SHOWN])}{more}")
    if not rows:
        session.say("nothing is excluded")
