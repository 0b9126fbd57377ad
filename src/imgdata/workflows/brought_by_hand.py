"""Plates that somebody copied into a raw level's folder and did not add."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from imgdata.project.config import Level
from imgdata.workflows.clone import Clone

SHOWN = 3


def brought_by_hand(clone: Clone) -> Iterator[str]:
    """Say which folders of raw levels nothing records, and the command that takes them in."""
    for level in clone.config.levels.values():
        found = list(_unrecorded(clone, level)) if level.origin and level.unit else []
        if found:
            some = " ".join(shlex.quote(path) for path in found[:SHOWN])
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            yield (
                f"{', '.join(found[:SHOWN])}{more}: not recorded, and git add --all would take it; "
                f"to take it in: imgdata add {level.name} {some}"
            )


def _unrecorded(clone: Clone, level: Level) -> Iterator[str]:
    recorded = {unit.path for unit in clone.units.by_level[level.name]}
    for path in sorted(_folders(clone.root / level.path)):
        name = f"{level.path}/{path.name}"
        if name not in recorded and not clone.git.kept_below(path) and not clone.git.ignores(path):
            yield name


def _folders(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield folder / entry.name
