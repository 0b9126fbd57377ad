"""Take files into the cache: read once, hashed in the pass that places them."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from imgdata.model.objects import object_key
from imgdata.system.files import (
    CHUNK,
    OBJECT_MODE,
    Stamp,
    can_reflink,
    file_md5,
    machine_error,
    make_folders,
    reflink,
    write_all,
)
from imgdata.system.progress import SILENT, Progress
from imgdata.system.unfinished import hold, new_name
from imgdata.transfer.link_in import LinkIn
from imgdata.transfer.move import in_parallel

JOBS, TOGETHER = 4, 32
JOBS_HERE = min(JOBS, os.cpu_count() or JOBS)
"""Where files are linked no file server is waited for: threads beyond the processors only wait."""
ATTEMPTS = 3
SETTLE_S = 0.2


class SourceFile(Struct, frozen=True):
    """One file to take in: where it is read from and its path below the unit."""

    path: str
    relpath: str


class Taken(Struct, frozen=True):
    """The file's content is known, and in the cache where it was taken in.

    Attributes:
        source: The file.
        md5: Its content.
        size: Its bytes.
        stamp: That of the source as it was read.
        is_object: The file is the object in the cache, under two names.
    """

    source: SourceFile
    md5: str
    size: int
    stamp: Stamp
    is_object: bool = False


class Unreadable(Struct, frozen=True):
    """The file could not be read; nothing of it is kept."""

    source: SourceFile
    why: str


class StillChanging(Struct, frozen=True):
    """The file changed each time while it was read; nothing of it is kept."""

    source: SourceFile


TakeOutcome = Taken | Unreadable | StillChanging


def take_in(
    files: Iterable[SourceFile],
    cache_dir: Path,
    *,
    linked: bool = False,
    progress: Progress = SILENT,
) -> Iterator[TakeOutcome]:
    """Bring files into DVC's cache layout; outcomes come as they finish.

    They are copied. With `linked`, for files that lie where they are to stay, what can is linked
    and becomes read-only. One unreadable file does not stop the others.

    Raises:
        MachineError: The cache's disk is full, or the cache cannot be written.
    """
    objects = os.path.join(cache_dir, "files", "md5")
    make_folders(objects, str(cache_dir))
    shares = can_reflink(Path(objects))
    links = LinkIn(str(cache_dir)) if linked and not shares else None
    into = _Into(str(cache_dir), shares, links, made=set())

    def take(source: SourceFile, descriptor: int, before: os.stat_result) -> TakeOutcome | None:
        return _take_open(source, descriptor, before, into)

    return _take_all(files, take, progress, jobs=JOBS_HERE if links else JOBS)


def hash_only(files: Iterable[SourceFile], *, progress: Progress = SILENT) -> Iterator[TakeOutcome]:
    """Read and hash files as `take_in` does, but keep nothing of them."""
    return _take_all(files, _hash_open, progress)


Take = Callable[[SourceFile, int, os.stat_result], TakeOutcome | None]
"""Takes one open file; None when it changed meanwhile."""


def _take_all(
    files: Iterable[SourceFile], take: Take, progress: Progress, *, jobs: int = JOBS
) -> Iterator[TakeOutcome]:
    def work(source: SourceFile) -> TakeOutcome:
        outcome = _take_one(source, take)
        progress.advance(items=1, size=outcome.size if isinstance(outcome, Taken) else 0)
        return outcome

    return in_parallel(work, files, jobs, together=TOGETHER)


class _Into(Struct, frozen=True):
    """The cache.

    Attributes:
        cache_dir: Its folder.
        shares: Its disk can share blocks.
        links: Links files in, where they are where they are to stay.
        made: Folders known to be there.
    """

    cache_dir: str
    shares: bool
    links: LinkIn | None
    made: set[str]


def _take_one(source: SourceFile, take: Take) -> TakeOutcome:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(SETTLE_S)
        try:
            descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            return Unreadable(source, error.strerror or str(error))
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                return Unreadable(source, "not a regular file")
            outcome = take(source, descriptor, before)
        finally:
            os.close(descriptor)
        if outcome is not None:
            return outcome
    return StillChanging(source)


def _take_open(
    source: SourceFile, descriptor: int, before: os.stat_result, into: _Into
) -> TakeOutcome | None:
    """Link or copy an open file; None when it changed meanwhile."""
    linked = into.links.take(source.path, descriptor, before) if into.links is not None else None
    if linked is not None:
        md5, status = linked
        return Taken(source, md5, status.st_size, Stamp.of(status), is_object=True)
    temporary = os.path.join(into.cache_dir, "files", "md5", new_name(locked=True))
    try:
        target = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise machine_error(error, "write to the cache", temporary) from error
    lock = hold(target)  # until it has its name: another command may be tidying a shared cache
    used = False
    try:
        try:
            copied = _copy(descriptor, target, temporary, share=into.shares)
            outcome = _unless_changed(source, descriptor, before, copied)
            if not isinstance(outcome, Taken):
                return outcome
            os.fchmod(target, OBJECT_MODE)
            os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        finally:
            os.close(target)
        used = _publish(temporary, outcome.md5, into)
        return outcome
    finally:
        if not used:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        os.close(lock)


def _unless_changed(
    source: SourceFile, descriptor: int, before: os.stat_result, read: tuple[str, int] | str
) -> TakeOutcome | None:
    """Return what was read of an open file; None when it changed meanwhile."""
    if isinstance(read, str):
        return Unreadable(source, read)
    md5, size = read
    after = os.fstat(descriptor)
    if size != after.st_size or before.st_mtime_ns != after.st_mtime_ns:
        return None
    return Taken(source, md5, size, Stamp.of(after))


def _hash_open(source: SourceFile, descriptor: int, before: os.stat_result) -> TakeOutcome | None:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        while chunk := os.read(descriptor, CHUNK):
            digest.update(chunk)
            size += len(chunk)
    except OSError as error:
        return Unreadable(source, error.strerror or str(error))
    return _unless_changed(source, descriptor, before, (digest.hexdigest(), size))


def _copy(source: int, target: int, name: str, *, share: bool) -> tuple[str, int] | str:
    """Copy and hash; return md5 and size, or why the source cannot be read."""
    digest = hashlib.md5(usedforsecurity=False)
    shared = share and reflink(source, target)
    reading = target if shared else source
    size = 0
    while True:
        try:
            chunk = os.read(reading, CHUNK)
        except OSError as error:
            return error.strerror or str(error)
        if not chunk:
            return digest.hexdigest(), size
        digest.update(chunk)
        size += len(chunk)
        if not shared:
            try:
                write_all(target, chunk)
            except OSError as error:
                raise machine_error(error, "write to the cache", name) from error


def _publish(temporary: str, md5: str, into: _Into) -> bool:
    """Give the temporary file its name in the cache, unless a good object has it already.

    Tells whether the temporary file became the object.
    """
    path = os.path.join(into.cache_dir, object_key(md5))
    folder = os.path.dirname(path)
    try:
        if folder not in into.made:
            make_folders(folder, into.cache_dir)
            into.made.add(folder)
        used = not os.path.exists(path) or file_md5(path) != md5
        if used:
            os.rename(temporary, path)
    except OSError as error:
        raise machine_error(error, "write to the cache", path) from error
    return used
