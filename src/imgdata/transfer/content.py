"""What is sent in a deposit: bytes in memory, a file, a pack; each readable again from anywhere."""

import hashlib
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from imgdata.model.deposits import LevelFile, PlannedFile, PlannedItem, PlannedPack
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.pack_parts import PackSource
from imgdata.transfer.packing import (
    CHUNK,
    Pack,
    Style,
    digest,
    file_chunks,
    measure,
)


class BytesContent(Struct, frozen=True):
    """A small file made in memory."""

    name: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def md5(self) -> str:
        """Of all bytes."""
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    def chunks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a range in pieces of up to 1 MiB."""
        end = self.size if length is None else min(self.size, start + length)
        for at in range(start, end, CHUNK):
            yield self.data[at : min(end, at + CHUNK)]


class FileContent(Struct, frozen=True):
    """A file on disk, whose md5 was read, not believed."""

    name: str
    source: PackSource
    md5: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.source.size

    def chunks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a range.

        Raises:
            DamagedError: The file is gone or its size changed.
        """
        end = self.size if length is None else min(self.size, start + length)
        return file_chunks(self.source, start, max(0, end - start))


class PackContent(Struct, frozen=True):
    """A pack under its name in the deposit."""

    name: str
    pack: Pack
    md5: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.pack.size

    def chunks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a range."""
        return self.pack.chunks(start, length)


Sendable = BytesContent | FileContent | PackContent


class ManifestLine(Struct, frozen=True):
    """One file of a deposit, or one member of a pack in it.

    Attributes:
        file: Its name in the deposit.
        path: Its path in the project; empty for a pack itself.
        level: Level's name.
        unit: Unit's name, or empty.
        size: Bytes.
        md5: Of its bytes.
        sha256: Of its bytes.
        offset: Where a member's bytes begin in the file; 0 for a file itself.
    """

    file: str
    path: str
    level: str
    unit: str
    size: int
    md5: str
    sha256: str
    offset: int


class Prepared(Struct, frozen=True):
    """What was read and hashed of a plan: the contents to send, and what is in them."""

    contents: tuple[Sendable, ...]
    lines: tuple[ManifestLine, ...]


def prepare(items: Sequence[PlannedItem], progress: Progress = SILENT) -> Prepared:
    """Read every file of a plan and compute its md5 and sha256, and those of the packs.

    Cost: each file is read once, a packed file twice; nothing is written.

    Raises:
        DamagedError: A file is missing or is not what was recorded.
    """
    files = sum(len(i.files) if isinstance(i, PlannedPack) else 1 for i in items)
    size = sum(2 * i.size if isinstance(i, PlannedPack) else i.size for i in items)
    progress.start("read and hash", items=files, size=size)
    try:
        parts = [_prepare_one(item, progress) for item in items]
    finally:
        progress.finish()
    return Prepared(
        tuple(content for content, _ in parts),
        tuple(line for _, lines in parts for line in lines),
    )


def _prepare_one(
    item: PlannedItem, progress: Progress
) -> tuple[Sendable, tuple[ManifestLine, ...]]:
    if isinstance(item, PlannedFile):
        return _prepare_file(item, progress)
    return _prepare_pack(item, progress)


def _source(file: LevelFile) -> PackSource:
    return PackSource(file.path, file.local, file.size, file.md5)


def _prepare_file(
    item: PlannedFile, progress: Progress
) -> tuple[Sendable, tuple[ManifestLine, ...]]:
    (read,) = measure([_source(item.file)], progress)
    file = item.file
    line = ManifestLine(
        item.name, file.path, file.level, file.unit, file.size, read.md5, read.sha256, 0
    )
    return FileContent(item.name, read.source, read.md5), (line,)


def _prepare_pack(
    item: PlannedPack, progress: Progress
) -> tuple[Sendable, tuple[ManifestLine, ...]]:
    sources = [replace(_source(file), name=item.inside(file.path)) for file in item.files]
    pack = Pack(measure(sources, progress), style=Style(item.format, item.ome_version))
    md5, sha256 = digest(pack.chunks(), lambda size: progress.advance(size=size))
    files = {item.inside(file.path): file for file in item.files}
    whole = ManifestLine(item.name, "", item.level, item.unit, pack.size, md5, sha256, 0)
    inside = (
        ManifestLine(
            item.name,
            files[m.path].path,
            item.level,
            files[m.path].unit,
            m.size,
            m.md5,
            m.sha256,
            m.offset,
        )
        for m in pack.members
    )
    return PackContent(item.name, pack, md5), (whole, *inside)
