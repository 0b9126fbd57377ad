"""A folder or disk as a storage."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from imgdata.errors import ImgdataError, InvalidProjectError, MachineError, StorageError
from imgdata.model.objects import StoredObject
from imgdata.storage.keys import check_folder, check_key
from imgdata.storage.options import read_options
from imgdata.storage.streams import ended_early, exactly, no_object
from imgdata.system.files import (
    OBJECT_MODE,
    is_temporary,
    make_folders,
    shared_mode,
    write_all,
)
from imgdata.system.unfinished import hold, new_name, remove_abandoned

CHUNK_BYTES = 1 << 20

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_ABSENT = {errno.ENOENT, errno.ENOTDIR}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK}


class LocalSettings(Struct, frozen=True):
    """A folder needs no settings beyond its url."""


def open_local(
    name: str, url: str, options: Mapping[str, object], project_root: Path
) -> "LocalStorage":
    """Open the folder a path or `file:` url names; a relative one starts at the project root."""
    read_options(LocalSettings, name, options)
    return LocalStorage(local_path(name, url, project_root))


def local_path(name: str, url: str, project_root: Path) -> Path:
    """Return the absolute folder of a path or `file:///` url."""
    if not url.startswith("file:"):
        return Path(os.path.normpath(project_root.absolute() / Path(url).expanduser()))
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        msg = f"storage '{name}': {url} names the computer '{parts.netloc}'"
        remedy = "write file:///the/folder, or ssh://computer/folder for another computer"
        raise InvalidProjectError(msg, remedy=remedy)
    return (project_root / unquote(parts.path)).absolute()


class LocalStorage:
    """Keeps each object as a read-only file below a folder.

    A write goes to a temporary name in the object's own folder and is renamed, so a reader never
    sees half an object. Nothing is forced to the disk before `flush`. Where the root folder is
    writable for its group, so is every folder made below it, whatever the umask.

    The root is never made by a write: a missing root is a disk that is not mounted, and writing
    below its mount point would fill the wrong disk. `create_root` makes it when a person asks.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._shared: int | None = None  # not asked yet
        self._tidied: set[str] = set()

    @property
    def description(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def folder(self) -> Path:
        """The folder."""
        return self.root

    def create_root(self) -> None:
        """Make the root folder, for the first use of a new storage."""
        with self._explained(f"make the folder {self.root}"):
            os.makedirs(self.root, exist_ok=True)

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object, or None if there is none."""
        path = self._path(key)
        with self._explained(f"look at {key}"):
            found = self._stat(path)
        return None if found is None else _described(key, found)

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        """Open one object as chunks, in order."""
        with contextlib.closing(self._open(key)) as source:
            yield source.chunks()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`."""
        with contextlib.closing(self._open(key)) as source:
            return source.part(start, length)

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        """Store `size` bytes under the key; a disk has no checksum of its own, so `md5` is None."""
        path = self._path(key)
        with self._temporary(path, key, size) as temporary:
            temporary.fill(exactly(chunks, size, key))
            with self._explained(f"write {key}", size):
                temporary.rename(path)
        return StoredObject(key, size, None)

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Store the bytes unless the key exists; tell whether they were stored."""
        path = self._path(key)
        with self._temporary(path, key, len(data)) as temporary:
            temporary.fill([data])
            with self._explained(f"write {key}", len(data)):
                return _link_new(temporary.path, path)

    def erase(self, key: str) -> None:
        """Erase one object; it is no error when it is already gone."""
        path = self._path(key)
        with self._explained(f"erase {key}"):
            try:
                os.unlink(path)
            except FileNotFoundError:
                self._require_root()

    def flush(self) -> None:
        """Return when everything written before is on the disk."""
        with self._explained("write everything to the disk"):
            handle = os.open(self.root, os.O_RDONLY)
            try:
                _sync(handle)
            finally:
                os.close(handle)

    def tidy(self, folders: Iterable[str]) -> int:
        """Remove unfinished writes whose writer is dead from folders; return how many."""
        new = [folder for folder in folders if folder not in self._tidied]
        self._tidied.update(new)
        return sum(remove_abandoned(self._path(folder)) for folder in new)

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Yield all objects in the folder `under`. Linked folders are not followed."""
        folder = check_folder(under)
        top = f"{self.root}/{folder}" if folder else str(self.root)
        with self._explained(f"list {folder or 'its objects'}"):
            try:
                found = os.scandir(top)
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return
            yield from _walk(found, f"{folder}/" if folder else "")

    def _path(self, key: str) -> str:
        return f"{self.root}/{check_key(key)}"

    def _stat(self, path: str) -> os.stat_result | None:
        """Return the status of a file; None when there is no file; raise when there is no root."""
        try:
            found = os.stat(path)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            self._require_root()
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def _open(self, key: str) -> "_Source":
        path = self._path(key)
        with self._explained(f"read {key}"):
            try:
                # O_NONBLOCK: a pipe someone left there must not hang the reader.
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                self._require_root()
                raise no_object(key, self.description) from error
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode):
                return _Source(handle, found.st_size, key, self)
            os.close(handle)
        raise no_object(key, self.description)

    def _require_root(self) -> None:
        if not self.root.is_dir():
            raise not_there(self.root)

    @contextmanager
    def _temporary(self, path: str, key: str, size: int) -> Iterator["_Temporary"]:
        """Make a temporary file beside the path; whatever happens it is gone afterwards."""
        with self._explained(f"write {key}", size):
            handle, name = self._make_temporary(path)
        temporary = _Temporary(handle, name, self._explained(f"write {key}", size))
        try:
            yield temporary
        finally:
            temporary.discard()

    def _make_temporary(self, path: str) -> tuple[int, str]:
        folder = os.path.dirname(path)
        name = f"{folder}/{new_name(locked=True)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        if self._shared is None:
            self._require_root()
            self._shared = shared_mode(self.root)
        try:
            handle = os.open(name, flags, OBJECT_MODE)
        except FileNotFoundError:
            self._require_root()
            make_folders(folder, str(self.root))
            handle = os.open(name, flags, OBJECT_MODE)
        if self._shared:
            os.fchmod(handle, OBJECT_MODE & self._shared)
        return handle, name

    def _explained(self, action: str, size: int = 0) -> "_Explained":
        return _Explained(self.root, action, size)


class _Source:
    """An open object."""

    def __init__(self, handle: int, size: int, key: str, storage: LocalStorage) -> None:
        self._handle = handle
        self._size = size
        self._key = key
        self._place = storage.description
        self._explained = _Explained(storage.root, f"read {key}", size)

    def close(self) -> None:
        os.close(self._handle)

    def chunks(self) -> Iterator[bytes]:
        seen = 0
        while seen < self._size:
            with self._explained:
                chunk = os.read(self._handle, min(CHUNK_BYTES, self._size - seen))
            if not chunk:
                raise ended_early(self._key, self._place, seen, self._size)
            seen += len(chunk)
            yield chunk

    def part(self, start: int, length: int) -> bytes:
        with self._explained:
            data = os.pread(self._handle, length, start)
        if len(data) != length:
            raise ended_early(self._key, self._place, start + len(data), start + length)
        return data


class _Temporary:
    """A file being written. Only what the disk answers is explained, not what the source raises."""

    def __init__(self, handle: int, path: str, explained: "_Explained") -> None:
        self._handle = handle
        self._lock = hold(handle)  # until the object has its name, so that nobody tidies it away
        self._explained = explained
        self.path = path

    def fill(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            with self._explained:
                write_all(self._handle, chunk)
        with self._explained:
            self._close()

    def _close(self) -> None:
        """Close the file; on a network disk only this tells that the bytes arrived."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def rename(self, path: str) -> None:
        """Give the file its name; there is nothing left to discard."""
        os.replace(self.path, path)
        self.path = ""

    def discard(self) -> None:
        """Remove the temporary name, whatever the disk says to it: the first error counts."""
        with contextlib.suppress(OSError):
            self._close()
        if self.path:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def _walk(
    found: AbstractContextManager[Iterator["os.DirEntry[str]"]], prefix: str
) -> Iterator[StoredObject]:
    folders: list[tuple[str, str]] = []
    with found as entries:
        for entry in entries:
            if is_temporary(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, f"{prefix}{entry.name}/"))
                continue
            status = _entry_status(entry)
            if status is not None and stat.S_ISREG(status.st_mode):
                yield _described(prefix + entry.name, status)
    for path, name in folders:
        with contextlib.suppress(FileNotFoundError):
            yield from _walk(os.scandir(path), name)


def _entry_status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """Return the status of a listed name, or None when it went away meanwhile."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return None


def _link_new(temporary: str, path: str) -> bool:
    """Give the finished file its name, if the name is free; the disk decides."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _claim(temporary, path)
    return True


def _claim(temporary: str, path: str) -> bool:
    """Do the same on disks without hard links (exFAT, some network shares).

    The name is taken by an empty file first, which a reader may see for an instant.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OBJECT_MODE))
    except FileExistsError:
        return False
    os.replace(temporary, path)
    return True


def _sync(handle: int) -> None:
    """Wait for the disk that holds the open folder; other disks of the machine do not matter."""
    if not sys.platform.startswith("linux"):
        os.sync()
        return
    import ctypes  # noqa: PLC0415 - only what writes needs it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(handle) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class _Explained:
    """Turns what the operating system answers inside a `with` into our errors."""

    def __init__(self, root: Path, action: str, size: int) -> None:
        self._asked = (root, action, size)

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise our error in place of the system's."""
        if isinstance(error, OSError):
            raise explain_disk(*self._asked, error) from error


def _described(key: str, found: os.stat_result) -> StoredObject:
    """Describe a file; a change of its mode or name counts as a change, since bytes may have."""
    return StoredObject(key, found.st_size, None, max(found.st_mtime, found.st_ctime))


def explain_disk(root: Path, action: str, size: int, error: OSError) -> ImgdataError:
    """Tell what the operating system refused.

    Args:
        root: The storage's folder.
        action: What was tried, as the words after "could not".
        size: How many bytes it needed.
        error: What the operating system answered.
    """
    problem = f"could not {action} on {root}"
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return MachineError(
            f"{problem}: the disk is full",
            cause=f"{size} bytes were needed, {_free_bytes(root)} bytes are free ({reason})",
            remedy="free some space there, or 'imgdata drop' to see what could go; then try again",
        )
    if error.errno in _REFUSED:
        return MachineError(
            f"{problem}: not permitted",
            cause=f"{reason}: {error.filename or root}",
            remedy=f"ask its owner for access, or look with: ls -ld {root}",
        )
    if not root.is_dir():
        return not_there(root)
    return StorageError(
        problem, cause=reason, remedy="see whether the disk is well, then try again"
    )


def not_there(root: Path) -> StorageError:
    """Say that a storage's folder is missing."""
    problem = f"the folder {root} is not there"
    return StorageError(
        problem,
        cause="its disk is not mounted, or the folder was never made",
        remedy=f"mount the disk, or for a new storage: mkdir -p {root}",
    )


def _free_bytes(root: Path) -> int:
    try:
        found = os.statvfs(root)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
