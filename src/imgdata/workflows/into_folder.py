"""The folder that the data of an earlier commit are written into, told apart from all others.

It holds nothing but one commit's data, and a note of which. So an interrupted pull goes on, and
nothing of another commit, or of a person, gets mixed with them.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from imgdata.errors import RefusedError, UsageError
from imgdata.system.files import is_temporary, machine_error, remove_leftovers, write_text
from imgdata.workflows.clone import Clone
from imgdata.workflows.past import Past

NOTE_NAME = "imgdata-revision.json"


def refuse_unfit(clone: Clone, past: Past) -> None:
    """Stop where the folder is in the way of the project, or holds anything else; writes nothing.

    Args:
        clone: The project as it is today.
        past: The revision, with its folder.

    Raises:
        UsageError: It is no folder.
        RefusedError: It lies in a place that git, DVC or a level keeps, or is not empty.
    """
    if past.into is None:
        return
    _refuse_place(clone, past.into)
    if past.into.exists() and not past.into.is_dir():
        problem = f"{past.into} is not a folder"
        raise UsageError(problem, remedy="name a new folder")
    if not _is_free(past.into) and _noted(past.into) != _note(clone, past):
        problem = f"{past.into} is not empty"
        cause = f"it holds other things than data of {past.name} ({past.commit[:8]})"
        raise RefusedError(problem, cause=cause, remedy="name a new or empty folder")


def prepare(clone: Clone, past: Past) -> None:
    """Make the folder, and note in it whose data it holds; clear what a killed pull left.

    Raises:
        MachineError: It cannot be written.
    """
    if past.into is None:
        return
    try:
        past.into.mkdir(parents=True, exist_ok=True)
        remove_leftovers(past.into)
        if _noted(past.into) is None:
            write_text(past.into / NOTE_NAME, json.dumps(_note(clone, past), indent=2) + "\n")
    except OSError as error:
        raise machine_error(error, "write", past.into) from error


def refuse_link_out(folder: Path, path: str) -> None:
    """Stop before something is written through a link that leads out of the folder.

    Raises:
        RefusedError: Naming the path and where it leads.
    """
    real = (folder / path).resolve()
    if not real.is_relative_to(folder.resolve()):
        problem = f"{folder / path} leads out of {folder}"
        raise RefusedError(problem, cause=f"by a link to {real}", remedy="name another folder")


def _refuse_place(clone: Clone, into: Path) -> None:
    real = into.resolve()
    for place, what in _kept_places(clone):
        if real.is_relative_to(place.resolve()):
            problem = f"{into} lies in {what}"
            cause = "data of another version would be taken for a part of it"
            raise RefusedError(problem, cause=cause, remedy="name a folder outside of it")


def _kept_places(clone: Clone) -> Iterator[tuple[Path, str]]:
    for name in (".dvc", ".imgdata"):
        yield clone.root / name, name
    yield clone.git.root / ".git", ".git"
    yield clone.dvc.cache_dir, "the cache"
    for level in clone.config.levels.values():
        what = "which DVC keeps" if clone.by_path else f"where the level {level.name} lies"
        yield clone.root / level.path, f"{level.path}, {what}"
    for out in clone.units.elsewhere:
        if out.is_inside:
            yield clone.root / out.path, f"{out.path}, which DVC keeps"


def _is_free(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return all(is_temporary(entry.name) for entry in entries)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise machine_error(error, "look into", folder) from error


def _note(clone: Clone, past: Past) -> dict[str, str]:
    return {"project": clone.config.id or clone.root.name, "commit": past.commit}


def _noted(folder: Path) -> dict[str, str] | None:
    """Return the folder's note; None where it has none, something else where it is another's."""
    try:
        found = json.loads((folder / NOTE_NAME).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
