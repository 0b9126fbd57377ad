"""`imgdata fingerprint`."""

from typing import Annotated

import typer

from imgdata.cli.options import session_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(fingerprint)


def fingerprint(
    context: typer.Context,
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LEVEL|PATH]...", help="Levels, files or folders."),
    ] = None,
) -> None:
    """Hash what images show, whatever their format: proves that a conversion lost nothing."""
    from imgdata import checks  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    found = checks.fingerprint(
        checks.Request(session.project, tuple(targets or ())), progress=session.progress()
    )
    for one in found.files:
        session.add(checks.fingerprint_json(one))
        session.say(f"{one.hash or 'not decoded: ' + one.error}  {one.path}")
    for paths in found.same:
        session.say(f"same image: {', '.join(paths)}")
    if found.written is not None:
        session.say(f"written to {found.written}")
