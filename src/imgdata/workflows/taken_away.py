"""Files that the project goes by, deleted here by accident: git still has them."""

import os
import shlex
from pathlib import Path

from imgdata.errors import NoProjectError
from imgdata.ports import Git
from imgdata.project.loader import CONFIG_NAME

NAMES = frozenset({CONFIG_NAME, "dvc.yaml", "dvc.lock"})


def taken_away(root: Path, git: Git) -> tuple[Path, ...]:
    """Return imgdata.yaml and DVC's files that git keeps and the working tree has no more."""
    kept = git.kept_below(root)
    ours = (path for path in kept if path.name in NAMES or path.suffix == ".dvc")
    return tuple(path for path in ours if not os.path.lexists(path))


def how_to_restore(paths: tuple[Path, ...]) -> str:
    """Return the command that brings files back from git, to be typed anywhere in the project."""
    here = Path.cwd()
    return f"git restore {shlex.join(os.path.relpath(path, here) for path in paths)}"


def refuse_deleted_config(here: Path, git: Git | None) -> None:
    """Stop where imgdata.yaml was deleted: by path the project would go without its rules.

    Raises:
        NoProjectError: Git keeps the imgdata.yaml of the DVC repository that the folder lies in.
    """
    root = next((one for one in (here, *here.parents) if (one / ".dvc").is_dir()), None)
    if root is None or git is None or (root / CONFIG_NAME).exists():
        return
    if kept := git.kept_below(root / CONFIG_NAME):
        problem = f"{root / CONFIG_NAME} is deleted here, and git has it"
        raise NoProjectError(problem, remedy=how_to_restore(kept))
