"""DVC's two locks: `.dvc/tmp/lock` for the repository, `.dvc/tmp/rwlock` for single paths."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from imgdata.errors import MachineError
from imgdata.system.locks import hold

DVC_LOCK_WAIT_S = 30.0
POLL_S = 0.2


class Holder(Struct, frozen=True):
    """A live process that DVC has given a path to."""

    path: str
    pid: int
    command: str


def holders(tmp_dir: Path) -> Iterator[Holder]:
    """Yield the paths of `rwlock` that a live process reads or writes.

    What cannot be understood holds nothing; `mend_rwlock` removes it.
    """
    try:
        content = _read(tmp_dir)
    except (OSError, ValueError):
        return
    for kind in ("write", "read"):
        section = content.get(kind) if isinstance(content, dict) else None
        for path, info in section.items() if isinstance(section, dict) else ():
            for one in info if isinstance(info, list) else [info]:
                pid = one.get("pid") if isinstance(one, dict) else None
                if isinstance(pid, int) and is_alive(pid):
                    yield Holder(path, pid, str(one.get("cmd", "")))


def _read(tmp_dir: Path) -> object:
    return json.loads((tmp_dir / "rwlock").read_text("utf-8"))


def mend_rwlock(tmp_dir: Path) -> None:
    """Remove a `rwlock` that a killed dvc left half written: each later dvc would stop at it.

    DVC writes the file in place while it holds `rwlock.lock`, so nobody is writing it now.

    Raises:
        MachineError: Another dvc command keeps that lock.
    """
    if not (tmp_dir / "rwlock").exists():
        return
    with hold(tmp_dir / "rwlock.lock", wait_s=DVC_LOCK_WAIT_S, owner="a dvc command"):
        try:
            _read(tmp_dir)
        except FileNotFoundError:
            return
        except ValueError:
            (tmp_dir / "rwlock").unlink()


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


def refuse_busy_paths(tmp_dir: Path, paths: Iterable[Path], *, wait_s: float = 0.0) -> None:
    """Stop when a running DVC command uses one of the paths, or something in or above it.

    Args:
        tmp_dir: `.dvc/tmp`.
        paths: What the caller is about to change or read.
        wait_s: How long to wait for the other process first. A stage outlives an imgdata that was
            killed, so a rerun has to let it end.

    Raises:
        MachineError: Naming path, process id and command.
    """
    wanted = [str(path) for path in paths]
    deadline = time.monotonic() + wait_s
    while (found := _first_holder(tmp_dir, wanted)) is not None:
        if time.monotonic() < deadline:
            time.sleep(POLL_S)
            continue
        path, holder = found
        problem = f"{path} is in use by another process"
        raise MachineError(
            problem,
            cause=f"process {holder.pid}: {holder.command} holds {holder.path}",
            remedy="wait until it has ended and run the same command again",
        )


def _first_holder(tmp_dir: Path, wanted: list[str]) -> tuple[str, Holder] | None:
    for holder in holders(tmp_dir):
        for path in wanted:
            if _overlap(path, holder.path) and holder.pid != os.getpid():
                return path, holder
    return None


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
