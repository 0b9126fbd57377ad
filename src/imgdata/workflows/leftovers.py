"""What a stage that did not finish left behind is moved aside, never mistaken for a hand edit.

dvc writes dvc.lock in place, for seconds where there are thousands of stages. So what it said
before the stage is kept beside the note, for the case that dvc is killed just then.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from imgdata.dvc_files.stages import Out, Stage
from imgdata.system.files import write_bytes
from imgdata.workflows.clone import PRIVATE_FOLDER

UNFINISHED = PRIVATE_FOLDER / "unfinished"
LOCK_BEFORE = "lock"


def _folder(root: Path, stage: Stage) -> Path:
    name = hashlib.md5(stage.address.encode(), usedforsecurity=False).hexdigest()
    return root / UNFINISHED / name


def _lock_path(address: str) -> str:
    return address.rpartition("::")[0]


def begin(root: Path, stage: Stage) -> None:
    """Note that a stage runs; its outputs were right or absent at this moment."""
    folder = _folder(root, stage)
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.copyfile(root / _lock_path(stage.address), folder / LOCK_BEFORE)
    (folder / "stage").write_text(stage.address, "utf-8")


def began(root: Path, stage: Stage) -> bool:
    """Tell whether the last run of a stage failed or was killed."""
    return (_folder(root, stage) / "stage").is_file()


def torn_locks(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each dvc.lock of which only a part was written, and what it was before the stage.

    dvc ends the file with a line break, and so does every editor and merge.
    """
    for note in (root / UNFINISHED).glob("*/stage"):
        lock = root / _lock_path(note.read_text("utf-8"))
        if lock.is_file() and not lock.read_bytes().endswith(b"\n"):
            yield lock, note.with_name(LOCK_BEFORE)


def mend_locks(root: Path) -> None:
    """Make every torn dvc.lock what it was before; the stage that was killed is not in it."""
    for lock, before in torn_locks(root):
        if before.is_file():
            write_bytes(lock, before.read_bytes())
        else:
            lock.unlink()


def set_aside(root: Path, stage: Stage, out: Out) -> Path | None:
    """Move an unfinished output out of the way; return where it went."""
    source = root / out.path
    if not source.exists():
        return None
    target = _folder(root, stage) / out.path
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    return target


def end(root: Path, stage: Stage) -> None:
    """Forget the note and what was set aside: the stage has made its outputs anew."""
    shutil.rmtree(_folder(root, stage), ignore_errors=True)
