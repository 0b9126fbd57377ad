"""Which folder is the project's, or the DVC repository's, from any folder inside it.

Links are followed, as git and DVC do: the folder has one name, whatever way it was reached.
"""

import os
from pathlib import Path

from imgdata.dvc_files.collecting import DVC_FOLDER, dvc_roots
from imgdata.errors import NoProjectError
from imgdata.project.loader import CONFIG_NAME
from imgdata.system.folder_tree import FolderTree
from imgdata.tracking.git import find_git
from imgdata.workflows.taken_away import refuse_deleted_config


def folder_and_above(start: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return a folder and all above it by the name it was given, the nearest first."""
    here = Path(os.path.abspath(start))  # noqa: PTH100 - the folder above a link is meant
    return (here, *here.parents)


def project_root(start: Path) -> Path:
    """Return the folder of imgdata.yaml, at or above a folder.

    Raises:
        NoProjectError: There is none.
    """
    above = folder_and_above(start)
    for folder in above:
        if (folder / CONFIG_NAME).is_file():
            return folder.resolve()
    refuse_deleted_config(above[0], find_git(above[0]))
    is_dvc = any((folder / DVC_FOLDER).is_dir() for folder in above)
    problem = f"no {CONFIG_NAME} in {above[0]} or a folder above it"
    known = "this is a DVC repository that imgdata does not know yet: "
    cause = f"{known}status, whereis, push and pull work by path" if is_dvc else ""
    raise NoProjectError(problem, cause=cause, remedy="imgdata init")


def dvc_root(start: Path) -> Path | None:
    """Return the DVC repository's folder at or above a folder, else the only one below in git.

    Raises:
        NoProjectError: Several lie below.
    """
    for folder in folder_and_above(start):
        if (folder / DVC_FOLDER).is_dir():
            return folder.resolve()
    here = start.resolve()
    git = find_git(here) if here.is_dir() else None
    if git is None:
        return None
    below = dvc_roots(FolderTree(here))
    if len(below) > 1:
        problem = f"{here} holds {len(below)} DVC repositories"
        remedy = f"choose one: imgdata --project {below[0]} status"
        raise NoProjectError(problem, cause="\n".join(below), remedy=remedy)
    return here / below[0] if below else None
