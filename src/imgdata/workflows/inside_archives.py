"""The files inside archives of a unit: restricted data do not leave wrapped up either.

Looked into: zip, tar, and what gzip, bzip2 or xz pressed; archives in archives a few deep.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from msgspec import Struct

from imgdata.model.objects import object_key
from imgdata.ports import FindsFiles
from imgdata.workflows.clone import Clone
from imgdata.workflows.history import Version

Readable = IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
CHUNK = 1 << 20
DEEPEST = 4
KEPT = 256 << 20
"""An archive inside an archive is read into memory up to here."""
HEAD = 512
NAMES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".txz", ".tbz2")
PRESSED: Mapping[bytes, Callable[[IO[bytes]], Readable]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
BROKEN = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError,
          RuntimeError, NotImplementedError)  # fmt: skip


class Member(Struct, frozen=True):
    """A file inside an archive.

    Attributes:
        name: The archive and the member, as messages name them.
        md5: Of its content; empty where it cannot be read.
        why_not: Why it cannot be read; empty where it can.
    """

    name: str
    md5: str
    why_not: str = ""


def members(clone: Clone, version: Version, files: Mapping[str, str]) -> Iterator[Member]:
    """Yield what is inside the archives of a version, from the cache or from where it is read.

    Every file's first bytes are read; of a file that is not here, its name decides. An archive
    that cannot be looked into is told of: what is unknown counts as restricted.
    """
    elsewhere = clone.cache.file_of if isinstance(clone.cache, FindsFiles) else None
    for below, md5 in files.items():
        key = object_key(md5)
        path = (elsewhere(key) if elsewhere else None) or clone.dvc.cache_dir / key
        name = f"{version.path}/{below}" if below else version.path
        try:
            with path.open("rb") as stream:
                yield from inside(name, stream)
        except FileNotFoundError:
            if name.lower().endswith(NAMES):
                yield Member(
                    name, "", f"{name} is an archive that is not here to look into: imgdata pull"
                )


def inside(name: str, stream: IO[bytes], depth: int = 0) -> Iterator[Member]:
    """Yield the files inside an archive, at any depth; nothing for what is no archive."""
    start = stream.read(HEAD)
    stream.seek(0)
    unpack = _unpacker(start, stream)
    if unpack is None:
        return
    if depth == DEEPEST:
        yield Member(name, "", f"{name} has archives too deep inside to look into")
        return
    try:
        for below, content in unpack(stream):
            yield from _member(f"{name}!{below}" if below else name, content, depth)
    except BROKEN as error:
        reason = str(error) or type(error).__name__
        yield Member(name, "", f"{name} is an archive that cannot be looked into ({reason})")


Unpacker = Callable[[IO[bytes]], Iterator[tuple[str, Readable]]]


def _unpacker(start: bytes, stream: IO[bytes]) -> Unpacker | None:
    # A zip may begin with anything (a self-extracting one): its directory is at its end.
    if start.startswith(b"PK") or (len(start) == HEAD and _ends_as_zip(stream)):
        return _zip
    if start[257:262] == b"ustar":
        return _tar
    for magic, opener in PRESSED.items():
        if start.startswith(magic):
            return lambda pressed: iter([("", opener(pressed))])
    return None


def _ends_as_zip(stream: IO[bytes]) -> bool:
    found = zipfile.is_zipfile(stream)
    stream.seek(0)
    return found


def _zip(stream: IO[bytes]) -> Iterator[tuple[str, Readable]]:
    with zipfile.ZipFile(stream) as archive:
        for entry in archive.infolist():
            if not entry.is_dir():
                with archive.open(entry) as content:
                    yield entry.filename, content


def _tar(stream: IO[bytes]) -> Iterator[tuple[str, Readable]]:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isfile() else None
            if content is not None:
                yield entry.name, content


def _member(name: str, content: Readable, depth: int) -> Iterator[Member]:
    """Hash one member; look into it where it is an archive itself."""
    digest = hashlib.md5(usedforsecurity=False)
    kept = io.BytesIO()
    size = 0
    while chunk := content.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if size <= KEPT:
            kept.write(chunk)
    yield Member(name, digest.hexdigest())
    kept.seek(0)
    if size <= KEPT:
        yield from inside(name, kept, depth + 1)
    elif _unpacker(kept.read(HEAD), io.BytesIO()) is not None:
        yield Member(name, "", f"{name} is too large an archive in an archive to look into")
