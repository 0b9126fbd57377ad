"""`imgdata pull`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import (
    DryRun,
    Jobs,
    LevelOption,
    LevelsOrPaths,
    Select,
    Yes,
    names,
    session_of,
)
from imgdata.cli.session import Session
from imgdata.cli.text import count, was
from imgdata.model.selection import parse_selection
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgdata.model.selection import Selection
    from imgdata.workflows.pull import PullOutcome
    from imgdata.workflows.pull_plan import WouldPull
    from imgdata.workflows.pull_unit import Pulled

ASK_ABOVE = 50 * 10**9


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(pull)


def pull(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    levels: LevelsOrPaths = None,
    *,
    level: LevelOption = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="STORAGE",
            help="Read from this storage, or what is published in this repository; "
            "replaces damaged cache objects by its good ones.",
        ),
    ] = None,
    select: Select = None,
    jobs: Jobs = 8,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Bring levels back, verified; files edited by hand are never overwritten."""
    from imgdata.workflows.pull import summary_error  # noqa: PLC0415 - keeps --help fast
    from imgdata.workflows.pull_unit import PullOptions  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    project = session.open_data(writing=not dry_run)
    options = PullOptions(tuple(source or ()), parse_selection(select or ()), jobs)
    chosen = names(levels, level)
    if dry_run:
        _show_plan(session, project.plan_pull(chosen, options.selection), options.selection)
        return
    size = sum(unit.size for unit in project.not_here(chosen))
    if size > ASK_ABOVE and not options.selection:
        question = f"this brings back up to {format_size(size)}; go on?"
        session.confirm(question, yes=yes, why=f"this would bring back {format_size(size)}")
    done = []
    for outcome in project.pull(chosen, options, progress=session.progress()):
        done.append(outcome)
        _show(session, outcome)
    if not done:
        session.say("nothing to do")
    if error := summary_error(done):
        raise error


def _show_plan(session: Session, plan: "Sequence[WouldPull]", selection: "Selection") -> None:
    for one in plan:
        unit, size = one.unit, format_size(one.size)
        if one.files is not None:
            said = f"{count(one.files, 'file')}, about {size}"
        elif selection:
            said = f"a part of {size}; which, its file list will tell"
        else:
            said = f"up to {size}"
        session.say(f"{unit.title}: {said} (as remembered)")
        told = {"level": unit.level, "unit": unit.name, "bytes": one.size}
        session.add(told if one.files is None else {**told, "files": one.files})


def _show(session: Session, outcome: "PullOutcome") -> None:
    from imgdata.workflows.pull import NotPulled, PullFailed  # noqa: PLC0415 - keeps --help fast

    unit = outcome.unit
    if isinstance(outcome, PullFailed):
        session.say(f"{unit.title}: NOT brought back: {outcome.error.problem}")
        failed = {"kind": outcome.error.kind, "problem": outcome.error.problem}
        session.add({"level": unit.level, "unit": unit.name, "error": failed})
        return
    if isinstance(outcome, NotPulled):
        word = "get" if outcome.command.startswith("dvc pull") else "make"
        command = f"; to {word} it: {outcome.command}" if outcome.command else ""
        session.say(f"{unit.title}: not brought back ({outcome.why}){command}")
        session.add({"level": unit.level, "unit": unit.name, "not_pulled": outcome.why})
        return
    session.add(
        {
            "level": unit.level,
            "unit": unit.name,
            "version": unit.version,
            "fetched": outcome.fetched,
            "bytes": outcome.size,
            "placed": outcome.placed,
            "replaced": outcome.replaced,
            "present": outcome.present,
            "left": outcome.left,
            "bad": list(outcome.bad),
            "healed": list(outcome.healed),
            "sources": list(outcome.sources),
        }
    )
    session.say(f"{unit.title}: {_words(outcome)}")
    for path in outcome.healed:
        session.say(f"  note: {path} is damaged on one storage; a good copy came from another")


def _words(pulled: "Pulled") -> str:
    parts = []
    if pulled.placed:
        parts.append(f"{count(pulled.placed, 'file')} brought back")
    if pulled.fetched:
        places = ", ".join(pulled.sources)
        parts.append(f"{format_size(pulled.size)} from {places}, verified")
    if pulled.replaced:
        parts.append(f"{pulled.replaced:,} of another version replaced or taken out")
    if pulled.present:
        parts.append(was(pulled.present, "here"))
    if pulled.left:
        parts.append(f"{pulled.left:,} not selected")
    if pulled.bad:
        parts.append(f"{len(pulled.bad):,} DAMAGED or missing")
    return "; ".join(parts) or "nothing to do"
