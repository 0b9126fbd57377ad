"""A lock that ends with its process: `flock` on a file that names who holds it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgdata.errors import MachineError
from imgdata.system.files import machine_error

POLL_S = 0.1


@contextmanager
def hold(path: Path, *, wait_s: float, owner: str) -> Iterator[float | None]:
    """Hold the lock file at `path` until the block ends.

    The file stays; its content is the holder's process id, as zc.lockfile (which DVC uses) writes
    it, and nothing once the block has ended.

    Yields:
        When the holder before took it (seconds since 1970), if it was killed inside its block; of
        several that were killed one after the other, the first.

    Raises:
        MachineError: Another process holds it for longer than `wait_s` seconds.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise machine_error(error, "lock", path) from error
    try:
        _acquire(descriptor, path, wait_s, owner)
        before = os.fstat(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f" {os.getpid()}\n".encode(), 0)
        if before.st_size:  # killed too, this holder has not tidied what the one before it left
            os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
        try:
            yield before.st_mtime if before.st_size else None
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_s: float, owner: str) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(POLL_S)
                continue
            holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
            msg = f"the project is locked by {owner}"
            raise MachineError(
                msg,
                cause=f"{path} is held by process {holder or 'unknown'}",
                remedy="wait until it has ended and run the same command again",
            ) from None
        return
