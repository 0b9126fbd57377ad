"""`imgdata level mv`: do what was planned, all of it or nothing, whatever gets in the way.

Before anything moves, the whole plan lies in a journal. A failure undoes what was done; a rerun
after a kill reads the journal and completes. Data move by rename and are not read.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from imgdata.dvc_files.rwlock import dvc_lock, refuse_busy_paths
from imgdata.errors import ImgdataError, MachineError, RefusedError
from imgdata.model.events import Event
from imgdata.model.renames import RENAMED, Rename, rename_of
from imgdata.system.files import machine_error, write_text
from imgdata.workflows.clone import MOVE_JOURNAL, Clone
from imgdata.workflows.level_move_plan import MovePlan
from imgdata.workflows.partial_notes import move_partial_notes

VERSION = 1


class Journal(Struct, frozen=True):
    """A renaming that was begun.

    Attributes:
        rename: As the plan has it.
        moves: Old path and new path, relative to the project, in order.
        texts: What files say before and after, by their path afterwards.
    """

    rename: Rename
    moves: tuple[tuple[str, str], ...]
    texts: Mapping[str, tuple[str, str]]


def apply_move(clone: Clone, plan: MovePlan) -> tuple[Path, ...]:
    """Rename the level; return the paths git must look at.

    Raises:
        MachineError: Disk full, no permission, another command at work; everything is as before.
        RefusedError: Something changed since the plan was made.
    """
    texts = {
        change.path.relative_to(clone.root).as_posix(): (change.before, change.after)
        for change in plan.changes
    }
    journal = Journal(plan.rename, plan.moves, texts)
    with clone.writing(), dvc_lock(clone.tmp):
        refuse_busy_paths(clone.tmp, [clone.root / path for pair in plan.moves for path in pair])
        _refuse_changed(clone.root, journal)
        kept = _kept(clone, plan.moves)
        write_text(clone.root / MOVE_JOURNAL, _journal_text(journal))
        return (*kept, *_carry_out(clone, journal, _undo))


def unfinished_move(root: Path) -> Journal | None:
    """Return the renaming that a killed command left half done, or None."""
    try:
        value = json.loads((root / MOVE_JOURNAL).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return _journal(value)


def complete_move(clone: Clone, journal: Journal) -> tuple[Path, ...]:
    """Complete a renaming that was begun; return the paths git must look at.

    Raises:
        RefusedError: A file was changed since, so that neither state would be right.
    """
    with clone.completing_move(), dvc_lock(clone.tmp):
        _refuse_foreign(clone.root, journal)
        kept = _kept(clone, journal.moves)
        return (*kept, *_carry_out(clone, journal, _keep_journal))


def _kept(clone: Clone, moves: Sequence[tuple[str, str]]) -> tuple[Path, ...]:
    """Return the files git knows at old paths, and those paths where they will be."""
    found: list[Path] = []
    for old, new in moves:
        before = clone.git.kept_below(clone.root / old)
        found += before
        found += [clone.root / new / path.relative_to(clone.root / old) for path in before]
    return tuple(found)


def _carry_out(
    clone: Clone, journal: Journal, on_failure: Callable[[Path, Journal], None]
) -> tuple[Path, ...]:
    root = clone.root
    try:
        for old, new in journal.moves:
            _rename(root / old, root / new)
        for path, (_, after) in journal.texts.items():
            write_text(root / path, after)
        log = clone.log().write([(RENAMED, journal.rename.details)])
    except BaseException:
        on_failure(root, journal)
        raise
    for old, new in journal.moves:
        clone.state.move(str(root / old), str(root / new))
        move_partial_notes(root, old, new)
    (root / MOVE_JOURNAL).unlink()
    written = [root / path for path in journal.texts]
    return (*written, *([log] if log else []))


def _rename(old: Path, new: Path) -> None:
    if not os.path.lexists(old):
        return  # done before the command was killed
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        os.rename(old, new)  # noqa: PTH104 - an empty folder may lie there
    except OSError as error:
        raise machine_error(error, "move", old) from error


def _undo(root: Path, journal: Journal) -> None:
    """Bring everything back; where that fails too, the journal stays and a rerun completes."""
    with suppress(ImgdataError, OSError):
        for path, (before, after) in journal.texts.items():
            if (root / path).is_file() and _read(root / path) == after != before:
                _restore(root / path, before)
        for old, new in reversed(journal.moves):
            if os.path.lexists(root / new) and not os.path.lexists(root / old):
                os.rename(root / new, root / old)  # noqa: PTH104 - folders and links alike
        _remove_empty(root, journal)
        (root / MOVE_JOURNAL).unlink()


def _restore(path: Path, before: str) -> None:
    if before:
        write_text(path, before)
    else:
        path.unlink()


def _remove_empty(root: Path, journal: Journal) -> None:
    """Remove the folders that were made for the new place."""
    for _, new in journal.moves:
        for folder in (root / new).parents:
            if folder == root or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def _keep_journal(root: Path, journal: Journal) -> None:
    """Leave everything for the next rerun."""
    del root, journal


def _refuse_changed(root: Path, journal: Journal) -> None:
    """Stop where a file is not what the plan was made from."""
    back = {new: old for old, new in journal.moves}
    for path, (before, _) in journal.texts.items():
        full = root / _path_now(path, back)
        if (_read(full) if full.is_file() else "") != before:
            problem = f"{full.relative_to(root)} changed while this was decided; nothing was done"
            raise RefusedError(problem, remedy="run the same command again")


def _path_now(path: str, back: Mapping[str, str]) -> str:
    for new, old in back.items():
        if path == new or path.startswith(f"{new}/"):
            return old + path[len(new) :]
    return path


def _refuse_foreign(root: Path, journal: Journal) -> None:
    """Stop where a file is neither as before nor as after."""
    back = {new: old for old, new in journal.moves}
    for path, states in journal.texts.items():
        old = root / _path_now(path, back)
        full = root / path if (root / path).is_file() else old
        if (_read(full) if full.is_file() else "") not in states:
            name = full.relative_to(root)
            problem = f"{name} was changed after the renaming was interrupted"
            remedy = f"keep your change elsewhere, then: git checkout -- {name}"
            raise RefusedError(problem, remedy=f"{remedy}\nand run the same command again")


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise machine_error(error, "read", path) from error


def _journal_text(journal: Journal) -> str:
    value = {
        "v": VERSION,
        "rename": journal.rename.details,
        "moves": journal.moves,
        "texts": journal.texts,
    }
    return json.dumps(value, ensure_ascii=False)


def _journal(value: Any) -> Journal:  # noqa: ANN401 - JSON
    noted = Event("", datetime.now(UTC), "", "", RENAMED, value["rename"])
    rename = rename_of(noted)
    if value["v"] != VERSION or rename is None:
        problem = f"{MOVE_JOURNAL} is of another version of imgdata"
        raise MachineError(problem, remedy="run the same command with the imgdata that began it")
    moves = tuple((str(old), str(new)) for old, new in value["moves"])
    texts = {path: (str(both[0]), str(both[1])) for path, both in value["texts"].items()}
    return Journal(rename, moves, texts)
