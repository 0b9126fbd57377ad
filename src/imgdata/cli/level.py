"""`imgdata level ...`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import DryRun, Yes, change_json, session_of
from imgdata.cli.session import Session
from imgdata.errors import RefusedError

if TYPE_CHECKING:
    from imgdata.api import Project
    from imgdata.workflows.level_follow import LeftBehind
    from imgdata.workflows.level_move import Journal
    from imgdata.workflows.level_move_plan import MovePlan

SHOWN_LINES = 40
Strings = list[str] | None

app = typer.Typer(
    help="Levels: add one, or give one another name or folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="level")


@app.command(short_help="Add a level like those beside it.")
def add(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A new name: cytoplasm.")],
    *,
    path: Annotated[
        str, typer.Option(metavar="FOLDER", help="Its folder; beside the others' without one.")
    ] = "",
    unit: Annotated[str, typer.Option(help="What it grows by: plate, or none for one piece.")] = "",
    storage: Annotated[
        Strings, typer.Option(metavar="STORAGE", help="Where it is kept, or none.")
    ] = None,
    key: Annotated[
        str, typer.Option(metavar="PATTERN", help="What its file names mean: {plate}/{well}.tif.")
    ] = "",
    from_: Annotated[
        Strings, typer.Option("--from", metavar="LEVEL", help="A level it is made from.")
    ] = None,
    origin: Annotated[str, typer.Option(help="Where raw data come from.")] = "",
    keep: Annotated[str, typer.Option(help="forever, recompute, until published, ...")] = "",
    copies: Annotated[
        int, typer.Option(min=0, show_default=False, help="Checked copies it must have.")
    ] = 0,
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Add a level to imgdata.yaml; what is not said is as in the levels beside it."""
    from imgdata.workflows.level_add import NewLevel  # noqa: PLC0415 - fast --help

    session = session_of(context)
    project = session.open(writing=not dry_run)
    level = NewLevel(
        name=name, path=path, unit=unit, storages=tuple(storage or ()), key=key,
        sources=tuple(from_ or ()), origin=origin, keep=keep, copies=copies,
        description=description,
    )  # fmt: skip
    plan = project.level_changes.plan_add(level)
    for change in plan.changes:
        session.say(change.diff(project.root))
        session.add(change_json(change, project.root))
    for note in plan.notes:
        session.note(f"note: {note}")
    if dry_run:
        return
    project.level_changes.add(plan)
    session.finish_writing(project, f"Add level {name}")
    if plan.level.sources:
        out = plan.level.path if plan.level.unit == "none" else f"{plan.level.path}/${{item}}"
        session.say(f"next:       a stage in dvc.yaml with the out {out}, then imgdata run {name}")
    else:
        session.say(f"next:       imgdata add {name} FOLDER")


@app.command(short_help="Give a level another name, and its folder with it.")
def mv(
    context: typer.Context,
    level: Annotated[str, typer.Argument(metavar="OLD", help="The level's name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    *,
    path: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Its new folder; without one it follows the name."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Rename a level and its folder in imgdata.yaml and DVC's files; code is listed for you."""
    session = session_of(context)
    project = session.open(writing=not dry_run)
    unfinished = project.level_changes.unfinished()
    if unfinished is not None:
        _complete(session, project, unfinished, (level, new), dry_run=dry_run)
        return
    behind = project.level_changes.left_behind(level, new)
    if behind is not None:
        _follow(session, project, behind, dry_run=dry_run)
        return
    plan = project.level_changes.plan_move(level, new, path)
    _show(session, project, plan)
    if dry_run:
        return
    session.confirm(
        f"rename {level} to {new}?",
        yes=yes,
        why=f"renaming {level} would change these files as shown; nothing was changed",
    )
    project.level_changes.move(plan)
    session.say(f"renamed {level} to {new}; no data was read or sent")
    session.finish_writing(project, f"Rename level {level} to {new}")


def _complete(
    session: Session,
    project: "Project",
    journal: "Journal",
    asked: tuple[str, str],
    *,
    dry_run: bool,
) -> None:
    """Complete a renaming that was interrupted; it was agreed to then."""
    begun = journal.rename.level, journal.rename.to
    words = " ".join(begun)
    if asked != begun:
        problem = "renaming another level was interrupted half way"
        raise RefusedError(problem, remedy=f"imgdata level mv {words}")
    if dry_run:
        session.add({"level": begun[0], "to": begun[1], "completed": False})
        session.say(f"would complete renaming {begun[0]} to {begun[1]}, which was interrupted")
        return
    project.level_changes.complete(journal)
    session.add({"level": begun[0], "to": begun[1], "completed": True})
    session.say(f"completed renaming {begun[0]} to {begun[1]}, which was interrupted")
    session.finish_writing(project, f"Rename level {begun[0]} to {begun[1]}")


def _follow(session: Session, project: "Project", found: "LeftBehind", *, dry_run: bool) -> None:
    """Move the data of a level that another clone renamed."""
    rename = found.rename
    day = rename.at.date().isoformat()
    session.say(f"{rename.level} was renamed on {day} already; what lies here follows")
    for old, new in found.moves:
        session.say(f"rename {old} -> {new}")
        session.add({"from": old, "to": new})
    for old in found.both:
        session.say(f"{old} stays: the new folder has one already")
        session.add({"stays": old, "why": "the new folder has one already"})
    if not (found.moves or found.both):
        session.say(f"nothing of it lies in {rename.path} here")
    if not dry_run:
        project.level_changes.follow(found)


def _show(session: Session, project: "Project", plan: "MovePlan") -> None:
    rename = plan.rename
    session.add(
        {
            "level": rename.level,
            "to": rename.to,
            "path": rename.path,
            "to_path": rename.to_path,
            "moves": [list(pair) for pair in plan.moves],
            "changes": [change_json(one, project.root) for one in plan.changes],
            "stale": list(plan.stale),
            "mentions": [
                {"path": one.path, "line": one.line, "text": one.text} for one in plan.mentions
            ],
        }
    )
    session.say(plan.text(project.root, longest=10**9 if session.verbose else SHOWN_LINES))
    if plan.stale:
        session.say("\nmust run again afterwards:")
        for line in plan.stale:
            session.say(f"  {line}")
    if plan.mentions:
        count = len(plan.mentions)
        lines = "this line names" if count == 1 else f"these {count} lines name"
        session.say(
            f"\n{lines} {rename.level} or its folder; imgdata changes no code, look at them:"
        )
        shown = plan.mentions if session.verbose else plan.mentions[:SHOWN_LINES]
        for mention in shown:
            session.say(f"  {mention.sentence}")
        if len(shown) < count:
            session.say(f"  and {count - len(shown)} more: --verbose shows them")
        session.say("a stage whose code you change runs again")
