"""Options that several commands share, with their help."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.session import Session

if TYPE_CHECKING:
    from imgdata.workflows.conform import FileChange

Levels = Annotated[
    list[str] | None, typer.Argument(metavar="[LEVEL]...", help="Levels; all without one.")
]
LevelsOrPaths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[LEVEL|PATH]...",
        help="Levels; all without one. Without imgdata.yaml: tracked paths, .dvc files, stages.",
    ),
]
LevelOption = Annotated[
    list[str] | None, typer.Option("--level", metavar="LEVEL", help="The same, as an option.")
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select", metavar="FIELD=V[,V]", help="Only files whose name fits: well=B03..B06."
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Transfers at once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every question.")]
Remote = Annotated[bool, typer.Option("--remote", help="Ask the storages now.")]
Storages = Annotated[
    list[str] | None, typer.Option("--to", metavar="STORAGE", help="Storages instead of its own.")
]
Sources = Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Folders or files.")]


def session_of(context: typer.Context) -> Session:
    """Return the session of this call."""
    session = context.obj
    assert isinstance(session, Session), "main() sets it"  # noqa: S101 - for the type checker
    return session


def change_json(change: "FileChange", root: Path) -> dict[str, str]:
    """Return a change of one of the project's files as `--json` shows it."""
    return {"path": os.path.relpath(change.path, root), "diff": change.diff(root)}


def names(first: list[str] | None, second: list[str] | None) -> tuple[str, ...]:
    """Join what was given positionally and with `--level`, each once."""
    return tuple(dict.fromkeys([*(first or ()), *(second or ())]))
