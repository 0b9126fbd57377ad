"""Unfinished writes: how they are named, and when one is certainly nobody's any more.

A writer holds a lock on its temporary file until the object has its name, and writes into the
name which boot of which machine it runs on. Where that is this one, a file whose lock is free
belongs to nobody. Of writers elsewhere nothing can be asked; they count as dead after a day.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import stat
from functools import cache
from pathlib import Path

from imgdata.system.files import TEMPORARY

DEAD_AFTER_S = 24 * 3600
"""How long nothing was written to the file of a writer that cannot be asked."""
SETTLED_S = 10
"""A writer takes its lock right after it made the file; by then it has."""
NAME = re.compile(rf"{re.escape(TEMPORARY)}(?:([0-9a-f]{{8}})-)?[0-9a-f]{{16}}")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Return a short text for this machine as it runs now; empty where it has none."""
    try:
        told = _BOOT.read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(told).hexdigest()[:8]


def new_name(*, locked: bool) -> str:
    """Return a name for an unfinished write.

    Args:
        locked: Whether the writer will hold a lock that others on this machine can ask.
    """
    here = f"{boot()}-" if locked and boot() else ""
    return f"{TEMPORARY}{here}{secrets.token_hex(8)}"


def hold(handle: int) -> int:
    """Lock the file of an open handle; return a handle that keeps the lock until it is closed.

    Where the disk knows no locks, nothing is locked, and asking finds nothing out either.
    """
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return os.dup(handle)


def is_old(name: str, written: float, now: float) -> bool:
    """Tell whether a write was given up by its age: all that can be known from afar.

    Args:
        name: The file's name.
        written: When the last byte came, by the disk's clock.
        now: The time by the same clock.
    """
    return NAME.fullmatch(name) is not None and now - written > DEAD_AFTER_S


def remove_abandoned(folder: str) -> int:
    """Remove the unfinished writes in a folder whose writer is dead; return how many.

    Reads the folder once. Objects, folders and files with other names are never touched.
    """
    removed = 0
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if NAME.fullmatch(entry.name)]
        now = os.stat(folder).st_mtime if found else 0.0
    except OSError:
        return 0
    for entry in found:
        with contextlib.suppress(OSError):
            removed += _remove_if_abandoned(entry, now)
    return removed


def _remove_if_abandoned(entry: "os.DirEntry[str]", now: float) -> bool:
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return False
    if is_old(entry.name, status.st_mtime, now):
        Path(entry.path).unlink()
        return True
    named = NAME.fullmatch(entry.name)
    if named is None or not boot() or named[1] != boot() or now - status.st_mtime < SETTLED_S:
        return False
    handle = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino != status.st_ino:
            return False
        Path(entry.path).unlink()
    finally:
        os.close(handle)
    return True
