"""`imgdata note`."""

from pathlib import Path
from typing import Annotated

import typer

from imgdata.cli.options import DryRun, session_of

SHORT = 8


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(note)


def note(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files; a folder means what was edited in it."),
    ],
    *,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="What was done, and why.")
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Say what was done to a file by hand; lineage tells it for this very content."""
    session = session_of(context)
    project = session.open(writing=not dry_run)
    plan = project.plan_note(files, reason, Path.cwd() / session.project)
    verb = "would be noted" if dry_run else "noted"
    for one in plan.files:
        edited = " as edited by hand" if one.is_hand_edit else ""
        session.say(f"{one.path} (md5 {one.md5[:SHORT]}) {verb}{edited}: {plan.reason}")
        session.add(
            {
                "file": one.path,
                "md5": one.md5,
                "recorded": one.recorded,
                "level": one.level,
                "unit": one.unit,
                "hand_edited": one.is_hand_edit,
                "reason": plan.reason,
                "written": not dry_run,
            }
        )
    if dry_run:
        return
    project.note(plan)
    stages = dict.fromkeys(one.stage for one in plan.files if one.is_hand_edit and one.stage)
    if stages:
        session.say(f"to go on with it: dvc commit {' '.join(stages)}, then imgdata run")
    names = plan.files[0].path if len(plan.files) == 1 else f"{len(plan.files)} files"
    session.finish_writing(project, f"Note on {names}: {plan.reason}")
