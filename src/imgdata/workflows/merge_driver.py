"""The merge driver of dvc.lock: merging with git, and naming the driver in a clone's configuration.

`.gitattributes` says which files it merges and travels with the project; what the name stands for
is git configuration, which never does. So the first command that writes in a clone sets it, and
a git that does not know the name merges line by line, as it would without the attribute.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.lock_text import IrregularError
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.yaml12 import CONFLICT
from imgdata.ports import Git
from imgdata.system.files import write_bytes
from imgdata.system.process import run

NAME = "imgdata-dvc-lock"
DRIVER = f"merge.{NAME}.driver"
TITLE = f"merge.{NAME}.name"
KEEP_OURS = "sed -i.bak -e '/^<<<<<<< /d' -e '/^=======$/,/^>>>>>>> /d'"
_PROGRAM = re.compile(r"for p in (\S+|'[^']*') imgdata;")
_BY_LINES = "git merge-file -L ours -L base -L theirs"


class MergeResult(Struct, frozen=True):
    """What became of one merge.

    Attributes:
        conflicts: Stages that both sides recorded differently.
        by_lines: The file could not be read stage by stage, so git merged its lines.
        clean: No conflict is left.
    """

    conflicts: tuple[str, ...]
    by_lines: bool
    clean: bool


def merge_lock_files(base: Path, ours: Path, theirs: Path) -> MergeResult:
    """Merge three versions of a dvc.lock into the file `ours`, as git asks a driver to."""
    from imgdata.dvc_files.lock_merge import merge_locks  # noqa: PLC0415 - for git alone

    try:
        merged = merge_locks(base.read_bytes(), ours.read_bytes(), theirs.read_bytes())
    except IrregularError:
        names = [str(path.absolute()) for path in (ours, base, theirs)]
        done = run((*_BY_LINES.split(), *names), cwd=Path.cwd(), accept=range(256))
        return MergeResult((), by_lines=True, clean=done.returncode == 0)
    write_bytes(ours, merged.data)
    return MergeResult(merged.conflicts, by_lines=False, clean=not merged.conflicts)


def keep_ours(problems: Iterable[Problem]) -> str:
    """Return the shell line that ends the merge conflicts of the files, ours kept; else nothing.

    `git checkout --ours` would throw away what merged well, and `git restore` refuses here.
    """
    files = dict.fromkeys(one.file for one in problems if CONFLICT in one.message)
    return keep_ours_in(*files) if files else ""


def keep_ours_in(*files: str) -> str:
    """Return the shell line for some files; the copy that every sed can make is taken away."""
    return f"{KEEP_OURS} {shlex.join(files)} && rm {shlex.join(f'{one}.bak' for one in files)}"


def driver_command() -> str:
    """Return the shell line git runs: imgdata where it answers, else git's own merge of lines.

    The installed program is named with its folder first, since git is often called without the
    environment that holds imgdata.
    """
    beside = Path(sys.executable).with_name("imgdata")
    program = str(beside) if beside.is_file() else shutil.which("imgdata") or "imgdata"
    quoted = shlex.quote(program).replace("%", "%%")
    return (
        f"for p in {quoted} imgdata; do "
        'if "$p" --version >/dev/null 2>&1; '
        'then exec "$p" merge-dvc-lock %O %A %B %P; fi; done; '
        f"exec {_BY_LINES} %A %O %B"
    )


def is_named(root: Path, git: Git) -> bool:
    """Tell whether `.gitattributes` of the project or of the repository names the driver."""
    for folder in dict.fromkeys((root, git.root)):
        path = folder / ".gitattributes"
        if path.is_file() and f"merge={NAME}" in path.read_text("utf-8", "replace").split():
            return True
    return False


def is_installed(git: Git) -> bool:
    """Tell whether git knows the driver in this clone, with a program that is still there."""
    known = git.get_config(DRIVER)
    if known is None:
        return False
    found = _PROGRAM.search(known)
    if found is None:
        return True  # somebody's own way to call it
    program = shlex.split(found[1])[0].replace("%%", "%")
    return shutil.which(program) is not None


def install(root: Path, git: Git) -> bool:
    """Tell git in this clone what the driver is, where it is named and not known; True if done."""
    if not is_named(root, git) or is_installed(git):
        return False
    git.config(TITLE, "imgdata: dvc.lock stage by stage")
    git.config(DRIVER, driver_command())
    return True
