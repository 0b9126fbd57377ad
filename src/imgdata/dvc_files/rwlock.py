"""DVC's two locks: `.dvc/tmp/lock` for the repository, `.dvc/tmp/rwlock` for single paths."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imgdata.errors import MachineError
from imgdata.system.locks import hold

DVC_LOCK_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A live process that DVC has given a path to."""

    path: str
    pid: int
    command: str


def holders(tmp_dir: Path) -> Iterator[Holder]:
    """Yield the paths of `rwlock` that a live process reads or writes.

    What cannot be understood holds nothing: DVC replaces such a file too.
    """
    try:
        content = json.loads((tmp_dir / "rwlock").read_text("utf-8"))
    except (OSError, ValueError):
        return
    for kind in ("write", "read"):
        section = content.get(kind) if isinstance(content, dict) else None
        for path, info in section.items() if isinstance(section, dict) else ():
            for one in info if isinstance(info, list) else [info]:
                pid = one.get("pid") if isinstance(one, dict) else None
                if isinstance(pid, int) and is_alive(pid):
                    yield Holder(path, pid, str(one.get("cmd", "")))


def is_alive(pid: int) -> bool:
    """Tell whether a process of this machine exists."""
    if pid <= 0:
        return False  # these mean groups of processes
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def refuse_busy_paths(tmp_dir: Path, paths: Iterable[Path]) -> None:
    """Stop when a running DVC command uses one of the paths, or something in or above it.

    Raises:
        MachineError: Naming path, process id and command.
    """
    wanted = [str(path) for path in paths]
    for holder in holders(tmp_dir):
        for path in wanted:
            if _overlap(path, holder.path) and holder.pid != os.getpid():
                msg = f"{path} is in use by another process"
                raise MachineError(
                    msg,
                    cause=f"process {holder.pid}: {holder.command} holds {holder.path}",
                    remedy="wait until it has ended and run the same command again",
                )


def _overlap(first: str, second: str) -> bool:
    one, two = first.rstrip("/") + "/", second.rstrip("/") + "/"
    return one.startswith(two) or two.startswith(one)


@contextmanager
def dvc_lock(tmp_dir: Path) -> Iterator[None]:
    """Hold DVC's repository lock for a moment, as zc.lockfile does.

    Raises:
        MachineError: A dvc command holds it and does not let go.
    """
    with hold(tmp_dir / "lock", wait_s=DVC_LOCK_WAIT_S, owner="a dvc command"):
        yield
