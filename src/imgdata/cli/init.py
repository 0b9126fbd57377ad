"""`imgdata init`."""

from pathlib import Path
from typing import Annotated

import typer

from imgdata.cli.options import Yes, session_of
from imgdata.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The project's folder; this one without.")
    ] = None,
    *,
    template: Annotated[
        str, typer.Option(help="cell-painting, minimal, or a folder.")
    ] = "cell-painting",
    storage: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL=URL", help="Where a level is kept; 'none' for nowhere."),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="NAME=KIND", help="Where raw data come from.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A cache shared by a group.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the project.")] = None,
    yes: Yes = False,
) -> None:
    """Make a project in a new or empty folder, or complete one that is there."""
    from imgdata.api import init_project  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    root = (folder or session.project).absolute()
    new = not (root / "imgdata.yaml").exists()
    chosen = title or (session.ask("title", root.name, yes=yes) if new else None)
    project, plan = init_project(
        root,
        template=template,
        title=chosen,
        storages=_pairs(storage, "--storage LEVEL=URL"),
        origins=_pairs(origin, "--origin NAME=KIND"),
        cache=cache,
    )
    session.add({"root": str(project.root), "written": sorted(plan.files), "kept": plan.kept})
    verb = "made" if new else "completed"
    session.say(f"{verb} '{project.config.title}' in {project.root}")
    for level in project.levels:
        stored = ", ".join((*level.storages, *level.repositories)) or "stored nowhere: recomputed"
        session.say(f"  {level.name:<22}{level.path:<28}{stored}")
    for place in project.config.storages.values():
        session.say(f"  storage {place.name}: {place.url}")
    if project.clone.git.identity() is None:
        session.say("git does not know who you are; before the first commit:")
        session.say('  git config user.name "Your Name" && git config user.email you@lab.example')
    session.finish_writing(project, "Start the project")
    first = next((level.name for level in project.levels if level.origin), "raw")
    session.say(f"next:       imgdata add {first} FOLDER")


def _pairs(texts: list[str] | None, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            problem = f"'{text}' is not of the form {form}"
            raise UsageError(problem)
        pairs[name] = value
    return pairs
