"""`imgdata storage ...`."""

import typer

from imgdata.cli.options import DryRun, Yes, session_of

app = typer.Typer(
    help="Storages: bring DVC's files in line with imgdata.yaml.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    from imgdata.cli.storage_lost import lost  # noqa: PLC0415 - it stands in a file of its own

    app.command()(lost)
    parent.add_typer(app, name="storage")


@app.command()
def apply(context: typer.Context, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Show what DVC's files must say after a change of imgdata.yaml, and write it."""
    session = session_of(context)
    project = session.open(writing=not dry_run)
    changes = project.plan_apply()
    for change in changes:
        session.say(change.diff(project.root))
        session.add({"path": str(change.path.relative_to(project.root))})
    if not changes:
        session.say("DVC's files agree with imgdata.yaml")
    if dry_run or not changes:
        return
    session.confirm("write this?", yes=yes, why="this would change DVC's files as shown")
    project.apply(changes)
    session.finish_writing(project, "Bring DVC's files in line with imgdata.yaml")
