"""`imgdata merge-dvc-lock`: what git calls to merge a dvc.lock; not for people."""

from pathlib import Path
from typing import Annotated

import typer

from imgdata.cli.options import session_of

Version = Annotated[Path, typer.Argument()]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("merge-dvc-lock", hidden=True)(merge_dvc_lock)


def merge_dvc_lock(
    context: typer.Context,
    base: Version,
    ours: Version,
    theirs: Version,
    path: Annotated[str, typer.Argument()] = "dvc.lock",
) -> None:
    """Merge BASE, OURS and THEIRS into OURS, stage by stage; exit status 1 when conflicts stay."""
    from imgdata.workflows.merge_driver import (  # noqa: PLC0415 - keeps --help fast
        keep_ours_in,
        merge_lock_files,
    )

    session = session_of(context)
    result = merge_lock_files(base, ours, theirs)
    session.add(
        {"path": path, "conflicts": list(result.conflicts), "merged_by_lines": result.by_lines}
    )
    for stage in result.conflicts:
        session.note(f"{path}: both sides recorded '{stage}' with different results")
    if result.conflicts:
        session.note("keep one of the two entries, then: imgdata run; to keep yours everywhere:")
        session.note(f"  {keep_ours_in(path)}")
    raise typer.Exit(0 if result.clean else 1)
