"""`imgdata push`."""

from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from imgdata.cli.options import (
    DryRun,
    Jobs,
    LevelOption,
    LevelsOrPaths,
    Select,
    Storages,
    names,
    session_of,
)
from imgdata.cli.session import Session
from imgdata.cli.text import count, was
from imgdata.model.selection import parse_selection
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.dvc_repository import DvcRepository
    from imgdata.workflows.push import Pushed, PushOutcome
    from imgdata.workflows.push_plan import PushOptions


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(push)


def push(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    levels: LevelsOrPaths = None,
    *,
    level: LevelOption = None,
    to: Storages = None,
    select: Select = None,
    jobs: Jobs = 8,
    repair: Annotated[
        bool, typer.Option("--repair", help="Send again what is damaged at the storage.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Archive levels to their storages; what is there already is not sent again."""
    from imgdata.workflows.push import summary_error  # noqa: PLC0415 - keeps --help fast
    from imgdata.workflows.push_plan import PushOptions  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    project = session.open_data(writing=not dry_run)
    options = PushOptions(tuple(to or ()), parse_selection(select or ()), jobs, repair)
    chosen = names(levels, level)
    for warning in project.out_of_sight():
        session.note(f"note: {warning}")
    if dry_run:
        _show_plans(session, project, chosen, options)
        _deposit(session, project, chosen, options, dry_run=True)
        return
    done = []
    with session.committing(project, f"Note copies of {', '.join(chosen) or 'all levels'}"):
        for outcome in project.push(chosen, options, progress=session.progress()):
            done.append(outcome)
            show_outcome(session, outcome)
        _deposit(session, project, chosen, options, dry_run=False)
    if error := summary_error(done):
        raise error


def _deposit(
    session: Session,
    project: "DvcRepository",
    chosen: tuple[str, ...],
    options: "PushOptions",
    *,
    dry_run: bool,
) -> None:
    """Update the draft of levels that were named and whose storage list names a repository."""
    if project.clone.by_path or options.to:
        return
    if not any(project.config.levels[name].repositories for name in chosen):
        return
    from imgdata.api import Project  # noqa: PLC0415 - as below
    from imgdata.cli.publish import deposit_levels  # noqa: PLC0415 - slow, rarely needed

    assert isinstance(project, Project), "not by path"  # noqa: S101 - for the type checker
    deposit_levels(session, project, chosen, dry_run=dry_run)


def _show_plans(
    session: Session, project: "DvcRepository", chosen: tuple[str, ...], options: "PushOptions"
) -> None:
    plans, skipped = project.plan_push(chosen, options)
    for plan in plans:
        session.say(
            f"{plan.target.unit.title} -> {plan.target.storage}: would send "
            f"{count(len(plan.send), 'object')}, {format_size(plan.size)} (as remembered)"
        )
        session.add(
            {
                "level": plan.target.unit.level,
                "unit": plan.target.unit.name,
                "storage": plan.target.storage,
                "files": [name for item in plan.send for name in item.names],
                "bytes": plan.size,
            }
        )
        if session.verbose:
            for item in plan.send:
                session.say(f"  {item.names[0]}")
    for one in skipped:
        show_outcome(session, one)


def show_outcome(session: Session, outcome: "PushOutcome") -> None:
    """Tell what became of one unit."""
    from imgdata.workflows.leaving import Withheld  # noqa: PLC0415 - keeps --help fast
    from imgdata.workflows.push import (  # noqa: PLC0415 - keeps --help fast
        Pushed,
        StorageFailed,
        Unlisted,
    )
    from imgdata.workflows.push_plan import NotPushed  # noqa: PLC0415 - keeps --help fast

    match outcome:
        case NotPushed(unit=unit, why=why):
            session.say(f"{unit.title}: not sent ({why})")
            session.add({"level": unit.level, "unit": unit.name, "not_sent": why})
        case Unlisted(unit, problem):
            session.say(f"{unit.title}: not sent: {problem.problem}")
            session.add(
                {
                    "level": unit.level,
                    "unit": unit.name,
                    "error": problem.problem,
                    "kind": problem.kind,
                }
            )
        case StorageFailed(storage, error):
            session.say(f"{storage}: {error.problem}")
            session.add({"storage": storage, "error": error.problem, "kind": error.kind})
        case Withheld(unit, storage, public, reasons, may):
            session.say(f"{unit.title} -> {storage}: NOT SENT, restricted ({public})")
            session.add(
                {
                    "level": unit.level,
                    "unit": unit.name,
                    "storage": storage,
                    "restricted": list(reasons),
                    "may_leave": list(may),
                }
            )
        case Pushed(target=target):
            unit = target.unit
            session.add(
                {
                    "level": unit.level,
                    "unit": unit.name,
                    "storage": target.storage,
                    "version": unit.version,
                    "sent": outcome.sent,
                    "bytes": outcome.size,
                    "checked": outcome.checked,
                    "present": outcome.present,
                    "gone": outcome.gone,
                    "damaged": [name for bad in outcome.damaged for name in bad.item.names],
                    "missing": [name for bad in outcome.missing for name in bad.item.names],
                }
            )
            session.say(f"{unit.title} -> {target.storage}: {_words(outcome)}")
            if outcome.gone:
                session.note(f"note: {_gone(outcome)}")
        case _:
            assert_never(outcome)


def _words(pushed: "Pushed") -> str:
    parts = []
    if pushed.sent:
        parts.append(
            f"{count(pushed.sent, 'object')} sent ({format_size(pushed.size)}), arrival checked"
        )
    if pushed.checked:
        parts.append(f"{was(pushed.checked, 'there')}, read back")
    if pushed.present:
        parts.append(was(pushed.present, "there"))
    bad = len(pushed.damaged) + len(pushed.missing)
    if bad:
        parts.append(f"{bad:,} DAMAGED or missing")
    return "; ".join(parts) or "nothing to do"


def _gone(pushed: "Pushed") -> str:
    """Say that a storage had lost what it had; it may be another drive of the same name."""
    name = pushed.target.storage
    objects = f"{count(pushed.gone, 'object')} {'was' if pushed.gone == 1 else 'were'}"
    return (
        f"{objects} on {name} before and not any more; is {pushed.place} still the same place? "
        f"What else is gone: imgdata verify --on {name}"
    )
