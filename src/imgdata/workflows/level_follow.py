"""`imgdata level mv` in another clone: git brought the new name, the data lie where they lay.

Git moves what it keeps, and nothing in the old folder is ignored any more. Data move by rename to
where they are looked for now.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.rwlock import dvc_lock, refuse_busy_paths
from imgdata.model.renames import Rename
from imgdata.system.files import machine_error
from imgdata.workflows.clone import Clone


class LeftBehind(Struct, frozen=True):
    """Data of a level that another clone renamed.

    Attributes:
        rename: The renaming.
        moves: Old path and new path of each unit that lies in the old folder and not in the new.
        both: Paths that lie in both; neither is touched.
    """

    rename: Rename
    moves: tuple[tuple[str, str], ...]
    both: tuple[str, ...]


def left_behind(clone: Clone, level: str, to: str) -> LeftBehind | None:
    """Return what lies in folders a level had, or None if no commit gave it the new name."""
    renames = clone.renames
    known = [one for one in renames.all if one.level == level]
    if level in clone.config.levels or not known:
        return None
    if to not in clone.config.levels or to not in renames.level_now(level, known[-1].at):
        return None
    moves: dict[str, str] = {}
    both = []
    for unit in clone.units.by_level[to]:
        for old in renames.places(unit.path):
            if not os.path.lexists(clone.root / old):
                continue
            if os.path.lexists(clone.root / unit.path) or unit.path in moves.values():
                both.append(old)
            else:
                moves[old] = unit.path
    return LeftBehind(known[-1], tuple(moves.items()), tuple(both))


def lying_behind(clone: Clone) -> Iterator[str]:
    """Say which data lie where a level was before its renaming, and the command that moves them."""
    for name, rename in {one.level: one for one in clone.renames.all}.items():
        now = clone.renames.level_now(name, rename.at)[-1]
        found = left_behind(clone, name, now)
        if found is None or not found.moves:
            continue
        first, more = found.moves[0][0], len(found.moves) - 1
        what = f"{first} lies" if not more else f"{first} and {more} more lie"
        danger = "" if clone.git.ignores(clone.root / first) else ", where git add --all takes them"
        command = f"imgdata level mv {name} {now}"
        yield f"{what} where level '{now}' was before its renaming{danger}; to move them: {command}"


def follow(clone: Clone, found: LeftBehind) -> None:
    """Move what was left behind; a rerun goes on after a kill.

    Raises:
        MachineError: No permission, another disk, or another command is at work.
    """
    root = clone.root
    with clone.writing(), dvc_lock(clone.tmp):
        refuse_busy_paths(clone.tmp, [root / path for pair in found.moves for path in pair])
        for old, new in found.moves:
            try:
                (root / new).parent.mkdir(parents=True, exist_ok=True)
                (root / old).rename(root / new)
            except OSError as error:
                raise machine_error(error, "move", root / old) from error
            clone.state.move(str(root / old), str(root / new))
        for folder in {(root / old).parent for old, _ in found.moves}:
            _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # something else lies there: it stays
        folder.rmdir()
