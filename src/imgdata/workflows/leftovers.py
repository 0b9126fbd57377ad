"""What a stage that did not finish left behind is moved aside, never mistaken for a hand edit."""

import hashlib
import shutil
from pathlib import Path

from imgdata.dvc_files.stages import Out, Stage
from imgdata.workflows.clone import PRIVATE_FOLDER


def _folder(root: Path, stage: Stage) -> Path:
    name = hashlib.md5(stage.address.encode(), usedforsecurity=False).hexdigest()
    return root / PRIVATE_FOLDER / "unfinished" / name


def begin(root: Path, stage: Stage) -> None:
    """Note that a stage runs; its outputs were right or absent at this moment."""
    folder = _folder(root, stage)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stage").write_text(stage.address, "utf-8")


def began(root: Path, stage: Stage) -> bool:
    """Tell whether the last run of a stage failed or was killed."""
    return (_folder(root, stage) / "stage").is_file()


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
