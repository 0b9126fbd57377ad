"""`imgdata pull`."""

import shlex
from pathlib import Path
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
from imgdata.errors import UsageError
from imgdata.model.selection import parse_selection
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgdata.dvc_repository import DvcRepository
    from imgdata.model.selection import Selection
    from imgdata.workflows.past import Past
    from imgdata.workflows.pull import PullOutcome
    from imgdata.workflows.pull_past import PastPull
    from imgdata.workflows.pull_plan import WouldPull
    from imgdata.workflows.pull_unit import Pulled, PullOptions

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
    rev: Annotated[
        str | None,
        typer.Option(
            "--rev", metavar="REV", help="What this commit, tag, branch or stash records."
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="DIR",
            help="With --rev: write its files below this new folder; without it they come into "
            "the cache, for a checkout.",
        ),
    ] = None,
    jobs: Jobs = 8,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Bring levels back, verified; files edited by hand are never overwritten."""
    from imgdata.workflows.pull_unit import PullOptions  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    if into is not None and rev is None:
        problem = "--into goes with --rev: levels of now are brought to their own folders"
        raise UsageError(problem, remedy=f"imgdata pull --rev HEAD --into {into}")
    project = session.open_data(writing=not dry_run)
    options = PullOptions(tuple(source or ()), parse_selection(select or ()), jobs)
    chosen = names(levels, level)
    if rev is not None:
        plan = project.plan_pull_of(rev, chosen, options, into=into)
        with session.committing(project, _message(chosen)):
            _pull_past(session, project, plan, dry_run=dry_run, yes=yes)
        return
    if dry_run:
        _show_plan(session, project.plan_pull(chosen, options.selection), options.selection)
        return
    _ask_about(session, sum(one.size for one in project.not_here(chosen)), options, yes=yes)
    with session.committing(project, _message(chosen)):
        _follow(session, project.pull(chosen, options, progress=session.progress()), options)


def _message(chosen: "Sequence[str]") -> str:
    """Return the commit's message: a pull notes damage that it found on storages."""
    return f"Note what a pull of {', '.join(chosen) or 'all levels'} found"


def _pull_past(
    session: Session, project: "DvcRepository", plan: "PastPull", *, dry_run: bool, yes: bool
) -> None:
    from imgdata.workflows.pull_plan import WouldPull  # noqa: PLC0415 - keeps --help fast

    lacking = plan.lacking()
    if dry_run:
        would = [WouldPull(unit, size, None) for unit, size in lacking]
        _show_plan(session, would, plan.options.selection)
        return
    _ask_about(session, sum(size for _, size in lacking), plan.options, yes=yes)
    _follow(session, project.pull_of(plan, progress=session.progress()), plan.options)
    _say_where(session, project, plan)


def _ask_about(session: Session, size: int, options: "PullOptions", *, yes: bool) -> None:
    """Ask before much is brought back."""
    if size > ASK_ABOVE and not options.selection:
        question = f"this brings back up to {format_size(size)}; go on?"
        session.confirm(question, yes=yes, why=f"this would bring back {format_size(size)}")


def _follow(session: Session, outcomes: "Iterable[PullOutcome]", options: "PullOptions") -> None:
    from imgdata.workflows.pull import summary_error  # noqa: PLC0415 - keeps --help fast

    done = []
    for outcome in outcomes:
        done.append(outcome)
        _show(session, outcome, options.past)
    if not done:
        session.say("nothing to do")
    if error := summary_error(done):
        raise error


def _say_where(session: Session, project: "DvcRepository", plan: "PastPull") -> None:
    """Say what to do with the data of an earlier revision."""
    into = plan.past.into
    if into is None:
        session.say(f"to work with it:  {plan.next_step}")
        session.say(f"to have it beside the files of now:  {plan.into_command}")
        return
    session.say(f"{plan.past.name} ({plan.past.commit[:8]}) is in {into}")
    root = project.clone.git.root
    full = into.resolve()
    if full.is_relative_to(root.resolve()) and not project.clone.git.ignores(full):
        line = f"/{full.relative_to(root.resolve()).as_posix()}/"
        told = f"note: git does not ignore {into}; to keep it out of commits: "
        session.note(f"{told}echo {shlex.quote(line)} >> {shlex.quote(str(root / '.gitignore'))}")


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


def _show(session: Session, outcome: "PullOutcome", past: "Past | None") -> None:
    from imgdata.workflows.pull import NotPulled, PullFailed  # noqa: PLC0415 - keeps --help fast

    unit = outcome.unit
    of = {} if past is None else _told(past)
    if isinstance(outcome, PullFailed):
        session.say(f"{unit.title}: NOT brought back: {outcome.error.problem}")
        failed = {"kind": outcome.error.kind, "problem": outcome.error.problem}
        session.add({"level": unit.level, "unit": unit.name, "error": failed, **of})
        return
    if isinstance(outcome, NotPulled):
        word = "get" if "dvc pull" in outcome.command else "make"
        command = f"; to {word} it: {outcome.command}" if outcome.command else ""
        session.say(f"{unit.title}: not brought back ({outcome.why}){command}")
        why = {"not_pulled": outcome.why, "command": outcome.command}
        session.add({"level": unit.level, "unit": unit.name, **why, **of})
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
            **of,
        }
    )
    session.say(f"{unit.title}: {_words(outcome, past)}")
    for path in outcome.healed:
        session.say(f"  note: {path} is damaged on one storage; a good copy came from another")


def _told(past: "Past") -> dict[str, str | None]:
    into = None if past.into is None else str(past.into)
    return {"revision": past.name, "commit": past.commit, "into": into}


def _words(pulled: "Pulled", past: "Past | None") -> str:
    parts = []
    if pulled.placed:
        parts.append(f"{count(pulled.placed, 'file')} brought back")
    if pulled.fetched:
        places = ", ".join(pulled.sources)
        where = " into the cache" if past is not None and past.into is None else ""
        parts.append(f"{format_size(pulled.size)} from {places}{where}, verified")
    if pulled.replaced:
        parts.append(f"{pulled.replaced:,} of another version replaced or taken out")
    if pulled.present:
        place = "here" if past is None else "there" if past.into else "in the cache"
        parts.append(was(pulled.present, place))
    if pulled.left:
        parts.append(f"{pulled.left:,} not selected")
    if pulled.bad:
        parts.append(f"{len(pulled.bad):,} DAMAGED or missing")
    return "; ".join(parts) or "nothing to do"
