"""`imgdata init`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct

from imgdata.cli.options import DryRun, Yes, change_json, session_of
from imgdata.cli.session import Session
from imgdata.errors import UsageError

if TYPE_CHECKING:
    from imgdata.api import Project


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
        str | None,
        typer.Option(help="cell-painting, minimal, or a folder; cell-painting in a new folder."),
    ] = None,
    storage: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL=URL", help="Where a level is kept; 'none' for nowhere."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=KIND",
            help="Where raw data come from: own, academic-collaborator, industry-collaborator, "
            "public.",
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A cache shared by a group.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the project.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Make a project in a new folder, adopt an existing repository, or complete a project."""
    from imgdata.api import init_kind  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    kind, root = init_kind(folder or session.project)
    asked = Asked(
        root=root,
        template=template,
        title=title,
        storages=_pairs(storage, "--storage LEVEL=URL"),
        origins=_pairs(origin, "--origin NAME=KIND"),
        cache=cache,
        dry_run=dry_run,
        yes=yes,
    )
    if kind == "complete" and template is None:
        _complete(session, asked)
    elif kind == "adopt" and template is None:
        _adopt(session, asked)
    else:
        _make(session, asked)


class Asked(Struct, frozen=True):
    """The options of one call."""

    root: Path
    template: str | None
    title: str | None
    storages: dict[str, str]
    origins: dict[str, str]
    cache: Path | None
    dry_run: bool
    yes: bool


def _make(session: Session, asked: Asked) -> None:
    from imgdata.api import init_project  # noqa: PLC0415 - keeps --help fast

    new = not (asked.root / "imgdata.yaml").exists()
    template = asked.template or "cell-painting"
    if asked.dry_run:
        session.say(f"would make a project from the template {template} in {asked.root}")
        session.add({"root": str(asked.root), "template": template})
        return
    ask = new and asked.title is None
    title = session.ask("title", asked.root.name, yes=asked.yes) if ask else asked.title
    project, plan = init_project(
        asked.root,
        template=template,
        title=title,
        storages=asked.storages,
        origins=asked.origins,
        cache=asked.cache,
    )
    session.add({"root": str(project.root), "written": sorted(plan.files), "kept": plan.kept})
    verb = "made" if new else "completed"
    session.say(f"{verb} '{project.config.title}' in {project.root}")
    if (around := project.clone.git.root) != project.root:
        session.say(f"  in the git repository {around}: its commits, its clones")
    _show_project(session, project, "Start the project")


def _complete(session: Session, asked: Asked) -> None:
    from imgdata.api import complete_project, open_project  # noqa: PLC0415 - keeps --help fast

    if asked.storages or asked.origins:
        session.note("imgdata.yaml is there, so --storage and --origin change nothing: edit it, or")
        session.note("imgdata storage add NAME URL")
    if asked.dry_run:
        changes = open_project(asked.root).plan_apply()
        for change in changes:
            session.say(change.diff(asked.root))
        told = [change_json(change, asked.root) for change in changes]
        session.add({"root": str(asked.root), "changes": told})
        return
    project, done = complete_project(asked.root, cache=asked.cache)
    session.add({"root": str(project.root), "written": list(done), "kept": []})
    for one in done:
        session.say(f"added what was missing: {one}")
    if not done:
        session.say(f"'{project.config.title}' is complete; nothing was changed")
    session.finish_writing(project, "Complete the project")


def _adopt(session: Session, asked: Asked) -> None:
    from imgdata.api import adopt, plan_adoption  # noqa: PLC0415 - keeps --help fast

    plan = plan_adoption(
        asked.root, title=asked.title, storages=asked.storages, origins=asked.origins
    )
    result: dict[str, Any] = {
        "root": str(plan.root),
        "levels": [
            {"name": one.name, "path": one.path, "unit": one.unit, "data": len(one.data)}
            for one in plan.levels
        ],
        "changes": [change_json(change, plan.root) for change in plan.changes],
        "notes": list(plan.notes),
        "written": [],
    }
    session.add(result)
    session.say(plan.text)
    if asked.dry_run:
        return
    files = "one file" if len(plan.changes) == 1 else f"{len(plan.changes)} files"
    session.confirm(
        f"adopt {plan.root}: write these {files}?",
        yes=asked.yes,
        why=f"adopting {plan.root} would write {files} as shown; nothing was changed",
    )
    project = adopt(plan, cache=asked.cache)
    result["written"] = [change["path"] for change in result["changes"]]
    session.say(f"adopted '{project.config.title}' in {project.root}")
    session.say("copies on its storages count once they are verified: imgdata push")
    _show_project(session, project, "Adopt the project with imgdata")


def _show_project(session: Session, project: "Project", message: str) -> None:
    for level in project.levels:
        stored = ", ".join((*level.storages, *level.repositories)) or "stored nowhere: recomputed"
        session.say(f"  {level.name:<22}{level.path:<28}{stored}")
    for place in project.config.storages.values():
        session.say(f"  storage {place.name}: {place.url}")
    if project.clone.git.identity() is None:
        session.say("git does not know who you are; before the first commit:")
        session.say('  git config user.name "Your Name" && git config user.email you@lab.example')
    session.finish_writing(project, message)
    if not any(project.clone.units.by_level.values()):
        first = next((level.name for level in project.levels if level.origin), "raw")
        session.say(f"next:       imgdata add {first} FOLDER")
    else:
        session.say("next:       imgdata status")


def _pairs(texts: list[str] | None, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            problem = f"'{text}' is not of the form {form}"
            raise UsageError(problem)
        pairs[name] = value
    return pairs
