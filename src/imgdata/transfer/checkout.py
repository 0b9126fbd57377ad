"""Put cache objects into the workspace, hashed before they are used."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from imgdata.model.objects import legacy_key, object_key
from imgdata.system.files import (
    CHUNK,
    OBJECT_MODE,
    Stamp,
    can_reflink,
    file_md5,
    machine_error,
    reflink,
    temporary_name,
    write_all,
)
from imgdata.system.line_ends import legacy_md5
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import in_parallel

JOBS, TOGETHER = 4, 32
WRITABLE_MODE = 0o666
CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP}


class Placement(Struct, frozen=True):
    """One file of the workspace and the content it must get.

    Attributes:
        path: Absolute path in the workspace.
        md5: Its content.
        hashed: The cache object was hashed by this command already.
        legacy: DVC before 3 recorded it (see `Item`).
    """

    path: str
    md5: str
    hashed: bool
    legacy: bool = False

    @property
    def key(self) -> str:
        """Where its content lies in the cache."""
        return legacy_key(self.md5) if self.legacy else object_key(self.md5)

    def found(self, md5: str, source: str) -> str:
        """Return what content's md5 is to be compared with the record: as DVC 2 had it, if so."""
        return md5 if md5 == self.md5 or not self.legacy else legacy_md5(source)


class Placed(Struct, frozen=True):
    """The file is in place. Stamps are those of the workspace file and of the cache object."""

    placement: Placement
    size: int
    stamp: Stamp
    object_stamp: Stamp


class CacheDamaged(Struct, frozen=True):
    """The cache object has other content than its name says; the workspace was not touched."""

    placement: Placement
    found: str


PlaceOutcome = Placed | CacheDamaged


def place_all(
    placements: Iterable[Placement],
    cache_dir: Path,
    cache_types: Sequence[str],
    *,
    read_only: bool,
    progress: Progress = SILENT,
) -> Iterator[PlaceOutcome]:
    """Link or copy cache objects to their paths, replacing what is there; outcomes as they finish.

    Raises:
        MachineError: The disk is full, or the workspace cannot be written.
    """
    made: set[str] = set()
    cache = str(cache_dir)
    # Asked once: where the disk cannot share blocks, a try costs four system calls a file.
    shares = "reflink" in cache_types and can_reflink(cache_dir)
    types = [kind for kind in cache_types if kind != "reflink" or shares]

    def work(placement: Placement) -> PlaceOutcome:
        outcome = _place_one(placement, cache, types, made, read_only=read_only)
        progress.advance(items=1, size=outcome.size if isinstance(outcome, Placed) else 0)
        return outcome

    return in_parallel(work, placements, JOBS, together=TOGETHER)


def _place_one(
    placement: Placement, cache: str, types: Sequence[str], made: set[str], *, read_only: bool
) -> PlaceOutcome:
    source = os.path.join(cache, placement.key)
    folder = os.path.dirname(placement.path)
    try:
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        linked = _link_anew(source, types, placement)
        if linked is not None:
            return linked
        temporary = temporary_name(placement.path)
        try:
            found = _bring(source, temporary, types, placement, read_only=read_only)
            if found != placement.md5:
                return CacheDamaged(placement, found)
            os.rename(temporary, placement.path)
        finally:
            # Renaming a link over another link of the same file does nothing (rename(2)).
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        status = os.stat(placement.path)
        return Placed(placement, status.st_size, Stamp.of(status), Stamp.of(os.stat(source)))
    except OSError as error:
        raise machine_error(error, "write", placement.path) from error


def _link_anew(source: str, types: Sequence[str], placement: Placement) -> Placed | None:
    """Link a good object to a path where nothing is; a file that is this object stays as it is.

    The way of nearly all files, in two system calls instead of six; None where it is not theirs.
    """
    if types[:1] != ["hardlink"] or not placement.hashed:
        return None
    status = os.stat(source)
    if not status.st_size:
        return None
    try:
        os.link(source, placement.path)
    except OSError as error:
        here = error.errno == errno.EEXIST and os.lstat(placement.path)
        if not here or not os.path.samestat(here, status):
            return None
    stamp = Stamp.of(status)
    return Placed(placement, status.st_size, stamp, stamp)


def _bring(
    source: str, target: str, types: Sequence[str], placement: Placement, *, read_only: bool
) -> str:
    """Make the target from the cache object by the first way that works; return its md5."""
    for kind in types:
        if kind == "copy":
            break
        way = WAYS[kind]
        if kind == "hardlink" and os.stat(source).st_size == 0:
            continue  # DVC never links empty files: one inode would collect thousands of names
        if (
            not placement.hashed
            and (found := placement.found(file_md5(source), source)) != placement.md5
        ):
            return found
        if way(source, target):
            if kind == "reflink":
                _set_mode(target, read_only=read_only)
            return placement.md5
    if placement.hashed:
        _copy(source, target, None, read_only=read_only)
        return placement.md5
    digest = hashlib.md5(usedforsecurity=False)
    _copy(source, target, digest, read_only=read_only)
    return placement.found(digest.hexdigest(), source)


def _copy(source: str, target: str, digest: "hashlib._Hash | None", *, read_only: bool) -> None:
    mode = OBJECT_MODE if read_only else WRITABLE_MODE
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(source, "rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                if digest is not None:
                    digest.update(chunk)
                write_all(descriptor, chunk)
            if read_only:
                status = os.fstat(stream.fileno())
                os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(descriptor)


def _reflink(source: str, target: str) -> bool:
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            done = reflink(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    if not done:
        os.unlink(target)
    return done


def _hardlink(source: str, target: str) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in CANNOT_LINK:
            return False
        raise
    return True


def _symlink(source: str, target: str) -> bool:
    os.symlink(source, target)
    return True


WAYS: dict[str, Callable[[str, str], bool]] = {
    "reflink": _reflink,
    "hardlink": _hardlink,
    "symlink": _symlink,
}


def _set_mode(path: str, *, read_only: bool) -> None:
    """Give a reflinked file its mode; only its owner may write."""
    os.chmod(path, OBJECT_MODE if read_only else OBJECT_MODE | stat.S_IWUSR)
