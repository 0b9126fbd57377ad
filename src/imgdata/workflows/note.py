"""`imgdata note`: say what a person did to a file, tied to the file's content."""

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from imgdata.errors import NothingFoundError, UsageError
from imgdata.levels.units import ZARR, Unit
from imgdata.model.events import Json
from imgdata.project.hand_notes import EVENT
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.versions import version_of


class NotedFile(Struct, frozen=True):
    """One file that a note is about.

    Attributes:
        path: Relative to the project's root.
        md5: Its content now; of a `*.zarr` folder the hash of its list of files.
        recorded: The recorded content; None where nothing is recorded or the list is not here.
        level: Its level, or None.
        unit: Its unit, or None.
        stage: The stage that made it, as dvc is told its name; empty for none.
    """

    path: str
    md5: str
    recorded: str | None
    level: str | None = None
    unit: str | None = None
    stage: str = ""

    @property
    def is_hand_edit(self) -> bool:
        """Whether its content is not the recorded one."""
        return self.recorded is not None and self.recorded != self.md5


class NotePlan(Struct, frozen=True):
    """What would be noted."""

    reason: str
    files: tuple[NotedFile, ...]


def plan_note(clone: Clone, names: Sequence[str], here: Path, reason: str) -> NotePlan:
    """Hash the files a note is about; of a folder, those whose content is not the recorded one.

    Raises:
        UsageError: No reason, or a name is not a file of this project.
        NothingFoundError: No file of a folder was edited.
    """
    words = " ".join(reason.split())
    if not words:
        problem = "say what was done, and why: --reason TEXT"
        raise UsageError(problem, remedy='for example: --reason "split two touching nuclei"')
    contents = Contents(clone)
    found: dict[str, NotedFile] = {}
    for name in names:
        path = _path(clone, name, here)
        full = clone.root / path
        if full.is_dir() and not path.endswith(ZARR):
            found |= {one.path: one for one in _edited(clone, path, contents)}
        else:
            one = _noted(clone, path, contents)
            found[one.path] = one
    return NotePlan(words, tuple(found.values()))


def apply_note(clone: Clone, plan: NotePlan) -> Path | None:
    """Write one event a file and stage the log's new file."""
    events: list[tuple[str, dict[str, Json]]] = [
        (
            EVENT,
            {
                "path": one.path,
                "md5": one.md5,
                "recorded": one.recorded,
                "level": one.level,
                "unit": one.unit,
                "reason": plan.reason,
            },
        )
        for one in plan.files
    ]
    with clone.writing():
        path = clone.log().write(events)
        clone.git.stage([] if path is None else [path])
    return path


def _path(clone: Clone, name: str, here: Path) -> str:
    full = os.path.normpath(here / name)
    path = os.path.relpath(full, clone.root)
    if path == "." or path.startswith("..") or not os.path.lexists(full):
        problem = f"{name} is not a file of this project"
        cause = "" if os.path.lexists(full) else "there is no such file here"
        raise UsageError(problem, cause=cause, remedy="imgdata note FILE --reason TEXT")
    return path.replace(os.sep, "/")


def _unit_of(clone: Clone, path: str) -> Unit | None:
    units = (unit for some in clone.units.by_level.values() for unit in some)
    return next((one for one in units if path == one.path or path.startswith(f"{one.path}/")), None)


def _noted(clone: Clone, path: str, contents: Contents) -> NotedFile:
    md5 = clone.content_hash(path)
    unit = _unit_of(clone, path)
    if unit is None:
        return NotedFile(path, md5, None)
    files = contents.files(version_of(unit)) if unit.version is not None else None
    recorded = (files or {}).get(path[len(unit.path) + 1 :])
    stage = "" if unit.is_raw else unit.stage.dvc_name
    return NotedFile(path, md5, recorded, unit.level, unit.name, stage)


def _edited(clone: Clone, path: str, contents: Contents) -> list[NotedFile]:
    """Return the files of a folder whose content is not the recorded one, or not recorded."""
    found = []
    for some in clone.units.by_level.values():
        for unit in some:
            inside = unit.path == path or unit.path.startswith(f"{path}/")
            if not inside and not path.startswith(f"{unit.path}/"):
                continue
            comparison = clone.compare(unit)
            for name in (*comparison.changed, *comparison.extra):
                one = f"{unit.path}/{name}" if name else unit.path
                if one == path or one.startswith(f"{path}/"):
                    found.append(_noted(clone, one, contents))
    if not found:
        problem = f"no file in {path} was edited: all are as recorded"
        raise NothingFoundError(problem, remedy=f"name one file: imgdata note {path}/FILE")
    return found
