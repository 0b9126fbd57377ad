"""`imgdata describe`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import session_of
from imgdata.cli.session import Session

if TYPE_CHECKING:
    from imgdata.model.rembi import Completeness

SKIP = ""
LONGEST = 70


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(describe)


def describe(
    context: typer.Context,
    *,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", metavar="FIELD=TEXT", help="Answer without being asked."),
    ] = None,
) -> None:
    """Ask what only a person can say about the images, and tell how complete it is."""
    from imgdata import checks  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    description = checks.describe(session.project, tuple(answer or ()))
    if session.is_terminal and not answer:
        given = _ask(session, description.state)
        if given:
            description = checks.describe(session.project, given)
    session.results.append(checks.description_json(description))
    _show(session, description.state)
    if description.written is not None:
        session.say(f"written to {description.written}")


def _ask(session: Session, state: "Completeness") -> tuple[str, ...]:
    session.note(f"{state.sentence()}; an empty answer leaves a question open")
    given = []
    for field in state.questions:
        text = session.ask(f"{field.question} (for example: {field.example})", SKIP, yes=False)
        if text.strip():
            given.append(f"{field.name}={text.strip()}")
    return tuple(given)


def _show(session: Session, state: "Completeness") -> None:
    session.say(state.sentence())
    for one in state.answers:
        session.say(f"  {one.field.name:<28} {_in_short(one.value)}  ({one.source}: {one.detail})")
    for field in state.questions:
        session.say(f"  {field.name:<28} open: {field.question}")
    for problem in state.problems:
        session.say(f"  {problem}")
    if state.questions and not session.is_terminal:
        session.say(f'to answer:  imgdata describe --answer {state.questions[0].name}="..."')


def _in_short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
