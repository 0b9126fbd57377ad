"""`imgdata verify`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from imgdata.cli.options import Jobs, LevelOption, Levels, names, session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import UsageError
from imgdata.model.sizes import format_size, parse_size

if TYPE_CHECKING:
    from imgdata.workflows.verify import VerifyOutcome

SHOWN = 20
SHORT = 8


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    levels: Levels = None,
    *,
    level: LevelOption = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="STORAGE",
            help="Only this storage, what is published in this repository, or 'cache'.",
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="SIZE", help="Read so much: 200GB.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Replace what is bad from a good copy.")
    ] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="Ask whether all that is needed is stored.")
    ] = False,
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="With --stored: of every branch, tag, stash.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="FOLDER", help="May this folder be wiped?"),
    ] = None,
    jobs: Jobs = 8,
) -> None:
    """Read copies back and hash them, those checked longest ago first."""
    from imgdata.workflows.verify import VerifyOptions, summary_error  # noqa: PLC0415 - speed

    session = session_of(context)
    chosen = names(levels, level)
    if stored or source is not None:
        from imgdata.cli.stored import show_source, show_stored  # noqa: PLC0415 - keeps --help fast

        if source is not None:
            show_source(session, source)
        else:
            show_stored(session, chosen, all_versions=all_versions)
        return
    options = VerifyOptions(tuple(on or ()), _size(budget), jobs, repair)
    project = session.open(writing=True)
    done: list[VerifyOutcome] = []
    with session.committing(project, f"Note checks of {', '.join(chosen) or 'all levels'}"):
        for outcome in project.verify(chosen, options, progress=session.progress()):
            done.append(outcome)
            _show(session, outcome)
        _show_unread(session, done)
        if not done:
            session.say("no copies to read back: imgdata push")
    if error := summary_error(done):
        raise error


def _size(budget: str | None) -> int | None:
    try:
        return None if budget is None else parse_size(budget)
    except ValueError as error:
        raise UsageError(str(error), remedy="for example: --budget 200GB") from error


def _show(session: Session, outcome: "VerifyOutcome") -> None:
    from imgdata.workflows.verify import (  # noqa: PLC0415 - speed
        Extra,
        NotListed,
        NotVerified,
        Verified,
    )

    match outcome:
        case Verified():
            _show_verified(session, outcome)
        case NotVerified(storage=storage, error=error, is_drawer=is_drawer):
            why = "not plugged in" if is_drawer else error.problem
            session.say(f"{storage}: not read ({why})")
            session.add({"storage": storage, "not_read": why})
        case NotListed(storage, error):
            session.say(
                f"note: {storage}: whether it has objects that no recorded version has was not "
                f"looked for: {error.problem}"
            )
            session.add({"storage": storage, "not_listed": error.problem})
        case Extra(storage, number, size, examples):
            told = f"{count(number, 'object')} ({format_size(size)}) that no recorded version has"
            session.say(f"{storage}: {told}, for example {examples[0]}")
            session.add(
                {"storage": storage, "extra": number, "bytes": size, "keys": list(examples)}
            )
        case _:
            assert_never(outcome)


def _is_unread(outcome: "VerifyOutcome") -> bool:
    """Tell whether the budget was used up before a copy was begun."""
    from imgdata.workflows.verify import Verified  # noqa: PLC0415 - keeps --help fast

    return (
        isinstance(outcome, Verified)
        and bool(outcome.left and not outcome.checked)
        and (not outcome.bad)
    )


def _show_unread(session: Session, done: "Sequence[VerifyOutcome]") -> None:
    if unread := sum(map(_is_unread, done)):
        copies = "one more copy was" if unread == 1 else f"{unread:,} more copies were"
        session.say(f"{copies} not begun within the budget: first the next time")


def _show_verified(session: Session, outcome: "VerifyOutcome") -> None:
    from imgdata.workflows.verify import Verified  # noqa: PLC0415 - keeps --help fast

    assert isinstance(outcome, Verified), "asked before"  # noqa: S101 - for the type checker
    version = outcome.version
    which = f"{version.title} {version.version[:SHORT]}" if outcome.bad else version.title
    left = f", {outcome.left:,} left for the next time" if outcome.left else ""
    if not _is_unread(outcome):
        session.say(
            f"{which} on {outcome.storage}: {count(outcome.checked, 'object')} right "
            f"({format_size(outcome.size)} read){left}"
        )
    for why in outcome.why:
        session.say(f"  {why}")
    for bad in outcome.bad[:SHOWN]:
        cure = f"; repaired from {bad.repaired_from}" if bad.repaired_from else ""
        session.say(f"  {bad.names[0]}: {bad.how}{cure}")
    session.add(
        {
            "level": version.level,
            "unit": version.unit,
            "version": version.version,
            "storage": outcome.storage,
            "place": outcome.place,
            "checked": outcome.checked,
            "bytes": outcome.size,
            "left": outcome.left,
            "why": list(outcome.why),
            "bad": [
                {"files": list(bad.names), "how": bad.how, "repaired_from": bad.repaired_from}
                for bad in outcome.bad
            ],
        }
    )
