"""`imgdata storage move`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.drop import refuse_unsafe
from imgdata.cli.drop import show_dropped as show_drop
from imgdata.cli.options import DryRun, Jobs, LevelOption, Levels, Select, Yes, names, session_of
from imgdata.cli.push import show_outcome as show_push
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import UsageError
from imgdata.model.selection import parse_selection
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.api import Project
    from imgdata.workflows.drop_plan import DropPlan
    from imgdata.workflows.move_storage import Leg, MoveOptions
    from imgdata.workflows.push import PushOutcome


def move(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    levels: Levels = None,
    *,
    level: LevelOption = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="STORAGE", help="The one to leave; else the level's first."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--to", metavar="STORAGE", help="Where to; else what 'then' names."),
    ] = None,
    select: Select = None,
    due: Annotated[
        bool, typer.Option("--due", help="Only units that 'then' says should move now.")
    ] = False,
    jobs: Jobs = 8,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Move levels to their next storage: copied, checked there, then dropped from the former."""
    from imgdata.workflows.move_storage import MoveOptions  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    chosen = names(levels, level)
    if not (chosen or due):
        problem = "name the levels to move, or --due for all that should move now"
        raise UsageError(problem, remedy="imgdata storage move --due --dry-run")
    project = session.open(writing=not dry_run)
    options = MoveOptions(
        source or "", target or "", parse_selection(select or ()), due, jobs, ask=not dry_run
    )
    legs = project.plan_move(chosen, options)
    _show_plan(session, legs, part=bool(select))
    if dry_run or not legs:
        return
    question = f"move {count(sum(len(leg.units) for leg in legs), 'unit')} as shown?"
    session.confirm(question, yes=yes, why=f"this would {question.rstrip('?')}")
    _move(session, project, legs, options)


def _show_plan(session: Session, legs: "tuple[Leg, ...]", *, part: bool) -> None:
    some = "the chosen files of " if part else ""
    for leg in legs:
        known = len(leg.units) - len(leg.to_copy)
        there = f", {known:,} there already" if known else ""
        session.say(
            f"{leg.level.name}: {some}{count(len(leg.units), 'unit')} from {leg.source} to "
            f"{leg.target}; {format_size(leg.size)} to copy{there} (as remembered)"
        )
        for one in leg.withheld:
            session.say(f"  {one.unit.title} stays: {one.sentence}")
        session.add(
            {
                "level": leg.level.name,
                "from": leg.source,
                "to": leg.target,
                "units": [unit.name for unit in leg.units],
                "bytes": leg.size,
                "withheld": [one.unit.name for one in leg.withheld],
            }
        )
    if not legs:
        session.say("nothing to move")


def _move(
    session: Session, project: "Project", legs: "tuple[Leg, ...]", options: "MoveOptions"
) -> None:
    from imgdata.workflows.drop import Dropped  # noqa: PLC0415 - keeps --help fast
    from imgdata.workflows.move_storage import Stays  # noqa: PLC0415 - keeps --help fast
    from imgdata.workflows.push import summary_error  # noqa: PLC0415 - keeps --help fast

    pushed: list[PushOutcome] = []
    stays: list[DropPlan] = []
    moved: set[str] = set()
    with session.committing(project, f"Move {', '.join(leg.level.name for leg in legs)}"):
        for leg in legs:
            for outcome in project.move(leg, options, session.progress()):
                match outcome:
                    case Dropped():
                        moved.add(leg.level.name)
                        show_drop(session, outcome)
                    case Stays(plan):
                        stays.append(plan)
                    case _:
                        pushed.append(outcome)
                        show_push(session, outcome)
    for leg in (one for one in legs if one.level.name in moved):
        session.note(
            f"plain dvc pull looks for {leg.level.name} on {leg.source}; imgdata pull knows "
            f"{leg.target}"
        )
    if error := summary_error(pushed):
        raise error
    for plan in stays:
        refuse_unsafe(plan)
