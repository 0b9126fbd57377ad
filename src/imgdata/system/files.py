"""Files: read and hash in one pass, write then rename, link."""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from contextlib import suppress
from itertools import count
from pathlib import Path

from msgspec import Struct

from imgdata.errors import ImgdataError, MachineError
from imgdata.model.sizes import format_size

CHUNK = 1 << 20
OBJECT_MODE = 0o444
TEMPORARY = ".tmp-imgdata-"
_TOKEN = secrets.token_hex(6)  # tells apart processes of one id on two machines
_NUMBERS = count()
FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file


class Stamp(Struct, frozen=True):
    """What tells whether a file is still the one that was hashed: inode, time, size."""

    inode: int
    mtime: float
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Return the stamp of a stat result; the time is in seconds, as DVC keeps it."""
        return cls(status.st_ino, status.st_mtime, status.st_size)


def machine_error(error: OSError, action: str, path: Path | str) -> ImgdataError:
    """Return an operating system's refusal as a sentence with what to do about it."""
    problem = f"cannot {action} {path}"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            free = _free_words(Path(path))
            return MachineError(
                f"{problem}: the disk is full",
                cause=f"{error.strerror}; {free}" if free else f"{error.strerror}",
                remedy="free some space and run the same command again; it goes on from here",
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return MachineError(
                f"{problem}: no permission",
                cause=error.strerror or "",
                remedy=f"ask for write permission: ls -ld {Path(path).parent}",
            )
        case _:
            return MachineError(problem, cause=error.strerror or str(error))


def _free_words(path: Path) -> str:
    for folder in (path, *path.parents):
        with suppress(OSError):
            return f"{format_size(shutil.disk_usage(folder).free)} free on {folder}"
    return ""


def temporary_name(target: str) -> str:
    """Return a name beside the target that no other process uses."""
    folder = os.path.dirname(target)
    return os.path.join(folder, f"{TEMPORARY}{os.getpid()}-{_TOKEN}-{next(_NUMBERS)}")


def is_temporary(name: str) -> bool:
    """Tell whether a file name is one that a killed command may have left."""
    return name.startswith(TEMPORARY)


def remove_leftovers(folder: Path | str, *, below: bool = False) -> int:
    """Remove what killed commands left in a folder, and below it if asked; return how many.

    For places that one command at a time writes to: the caller holds the lock that says so.
    """
    removed = 0
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise machine_error(error, "look into", folder) from error
    for entry in entries:
        if is_temporary(entry.name) and not entry.is_dir(follow_symlinks=False):
            with suppress(OSError):
                os.unlink(entry.path)
                removed += 1
        elif below and entry.is_dir(follow_symlinks=False):
            removed += remove_leftovers(entry.path, below=True)
    return removed


def shared_mode(root: Path | str) -> int:
    """Return the permissions that everything shares with a folder its group may write to, or 0."""
    mode = stat.S_IMODE(os.stat(root).st_mode)
    return mode & (stat.S_ISGID | 0o775) if mode & stat.S_IWGRP else 0


def make_folders(folder: str, root: str) -> None:
    """Make a folder and those above it up to a root that is there; they are its group's too.

    Several threads may do it at once.
    """
    if folder == root or os.path.isdir(folder):
        return
    make_folders(os.path.dirname(folder), root)
    with suppress(FileExistsError):
        os.mkdir(folder)
        if shared := shared_mode(root):
            os.chmod(folder, stat.S_IMODE(os.stat(folder).st_mode) | shared)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all bytes, also where the system takes fewer at once."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_bytes(
    path: Path | str, data: bytes, *, mode: int | None = None, synced: bool = False
) -> None:
    """Write a file whole or not at all, and the folders above it.

    Args:
        path: The file.
        data: All that is to be in it.
        mode: Its permissions; those of a new file if not given.
        synced: Whether file and name are to be safe against a power cut on return.

    Raises:
        MachineError: Disk full, or no permission.
    """
    temporary = temporary_name(os.fspath(path))
    try:
        try:
            _write_new(temporary, data, mode, synced=synced)
            os.rename(temporary, path)
            if synced:
                _sync_folder(os.path.dirname(path))
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise machine_error(error, "write", path) from error


def _write_new(path: str, data: bytes, mode: int | None, *, synced: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o666)
    try:
        write_all(descriptor, data)
        if mode is not None:
            os.fchmod(descriptor, mode)
        if synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, *, synced: bool = False) -> None:
    """Write a text file whole or not at all; keeps the mode of the one that is there."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mode = None
    write_bytes(path, text.encode("utf-8"), mode=mode, synced=synced)


def unlink_same(path: Path, stamp: Stamp) -> bool:
    """Delete a file if it is still the one with this stamp; tell whether it is gone.

    Raises:
        MachineError: No permission.
    """
    try:
        if Stamp.of(path.stat()) != stamp:
            return False
        path.unlink()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise machine_error(error, "delete", path) from error
    return True


def remove_empty(top: Path) -> None:
    """Remove the folders below a folder, and itself, that hold nothing any more."""
    for folder, _, _ in sorted(os.walk(top), reverse=True):
        with suppress(OSError):
            os.rmdir(folder)


def file_md5(path: Path | str) -> str:
    """Return the md5 of a file's content; about 650 MB/s a core."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def reflink(source: int, target: int) -> bool:
    """Let an open target share the blocks of an open source; False where the disk cannot."""
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows

        fcntl.ioctl(target, FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def can_reflink(folder: Path) -> bool:
    """Tell whether the file system of a folder lets files share blocks; tries it on two files."""
    names = [temporary_name(os.path.join(folder, "x")) for _ in range(2)]
    opened: list[int] = []
    try:
        opened = [os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600) for name in names]
        os.write(opened[0], b"x")
        return reflink(opened[0], opened[1])
    except OSError:
        return False
    finally:
        for descriptor in opened:
            os.close(descriptor)
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name)
