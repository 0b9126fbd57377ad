"""Bring public files into a folder: resumable, counted, hashed while they arrive."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from imgdata.errors import (
    CredentialsError,
    DamagedError,
    ImgdataError,
    MachineError,
    StorageError,
)
from imgdata.model.public_data import Fetched, FetchOutcome, NotFetched, PublicFile
from imgdata.ports import PublicSource
from imgdata.system.files import machine_error
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import in_parallel

PART = ".imgdata-part"
ATTEMPTS = 4
CHUNK = 1 << 20


class _Hashes:
    """Md5 and sha256 of what has arrived so far."""

    def __init__(self) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()
        self.size = 0

    def add(self, data: bytes) -> None:
        self.md5.update(data)
        self.sha256.update(data)
        self.size += len(data)


def fetch_all(
    source: PublicSource,
    files: tuple[PublicFile, ...],
    folder: Path,
    *,
    jobs: int = 4,
    progress: Progress = SILENT,
) -> Iterator[FetchOutcome]:
    """Bring files below a folder; outcomes come as they finish, one failure stops no other.

    Names are known to be safe. A file that is there whole is hashed and not fetched again; one
    that was begun goes on where it stopped.
    """
    return in_parallel(lambda file: fetch_one(source, file, folder, progress), files, jobs)


def fetch_one(
    source: PublicSource, file: PublicFile, folder: Path, progress: Progress = SILENT
) -> FetchOutcome:
    """Bring one file; see `fetch_all`.

    Raises:
        MachineError: The disk is full, or the folder cannot be written.
    """
    target = folder / file.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            found = _judged(file, _hash_file(target), target, progress)
            if isinstance(found, Fetched):
                return found
        part = target.with_name(target.name + PART)
        arrived = _insist(source, file, part, progress)
        if isinstance(arrived, NotFetched):
            return arrived
        os.replace(part, target)
        return _judged(file, arrived, target, progress)
    except OSError as error:
        raise machine_error(error, "write", target) from error


def _insist(
    source: PublicSource, file: PublicFile, part: Path, progress: Progress
) -> _Hashes | NotFetched:
    """Go on after a dropped connection, a few times; a clear answer is final."""
    last: ImgdataError = StorageError(f"{file.name} was not fetched")
    for _ in range(ATTEMPTS):
        try:
            return _arrive(source, file, part, progress)
        except MachineError:
            raise
        except StorageError as error:
            last = error
            if _is_final(error):
                break
        except ImgdataError as error:
            part.unlink(missing_ok=True)
            last = error
            break
    return NotFetched(
        file, last.problem, last.cause, last.remedy, isinstance(last, CredentialsError)
    )


def _is_final(error: StorageError) -> bool:
    """Tell whether asking again cannot help: the server has answered, and clearly."""
    status = getattr(error, "status", None)
    refused = isinstance(status, int) and 400 <= status < 500  # noqa: PLR2004 - HTTP's client errors
    return refused or isinstance(error, CredentialsError)


def _arrive(source: PublicSource, file: PublicFile, part: Path, progress: Progress) -> _Hashes:
    """Append to the part what is missing, from its end on where the source can."""
    hashes = _hash_file(part) if part.is_file() else _Hashes()
    start = hashes.size
    if start and (file.size is None or start > file.size):
        start = 0
    if start and start == file.size:
        return hashes
    try:
        return _append(source, file, part, start, hashes if start else _Hashes(), progress)
    except StorageError as error:
        # 200 where 206 was needed, or 416: this source cannot begin in the middle.
        if start and getattr(error, "status", 0) in {200, 416}:
            return _append(source, file, part, 0, _Hashes(), progress)
        raise


def _append(
    source: PublicSource,
    file: PublicFile,
    part: Path,
    start: int,
    hashes: _Hashes,
    progress: Progress,
) -> _Hashes:
    with source.open(file, start) as chunks, part.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        for chunk in chunks:
            hashes.add(chunk)
            if file.size is not None and hashes.size > file.size:
                msg = f"{file.name} is longer than its source says"
                raise DamagedError(msg, cause=f"expected {file.size} bytes")
            stream.write(chunk)
            progress.advance(size=len(chunk))
    if file.size is not None and hashes.size < file.size:
        msg = f"{file.name} ended early"
        raise StorageError(msg, cause=f"{hashes.size} of {file.size} bytes")
    return hashes


def _hash_file(path: Path) -> _Hashes:
    hashes = _Hashes()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            hashes.add(chunk)
    return hashes


def _judged(file: PublicFile, hashes: _Hashes, target: Path, progress: Progress) -> FetchOutcome:
    """Compare what arrived with the source's checksum; wrong bytes are not kept."""
    md5, sha256 = hashes.md5.hexdigest(), hashes.sha256.hexdigest()
    algorithm, _, wanted = file.checksum.lower().partition(":")
    found = {"md5": md5, "sha256": sha256, "sha-256": sha256}.get(algorithm)
    wrong_size = file.size is not None and hashes.size != file.size
    if wrong_size or (found is not None and found != wanted):
        target.unlink(missing_ok=True)
        return NotFetched(
            file,
            f"{file.name} is not what its source says",
            f"expected {file.size} bytes {file.checksum}, got {hashes.size} bytes md5:{md5}",
        )
    progress.advance(items=1)
    return Fetched(file, md5, sha256, hashes.size, checked=found is not None)
