"""What every layout of a pack is made of: sources, members, pieces, the manifest's text."""

import csv
import io
from collections.abc import Iterable

from msgspec import Struct

MANIFEST_NAME = "MANIFEST.csv"
MANIFEST_COLUMNS = ("path", "size", "md5", "sha256", "offset")


class PackSource(Struct, frozen=True):
    """A file that is to become a member.

    Attributes:
        name: Its path in the pack, `/` between parts.
        local: Where its bytes are.
        size: Bytes.
        md5: As recorded; empty when nothing is recorded.
    """

    name: str
    local: str
    size: int
    md5: str


class MeasuredSource(Struct, frozen=True):
    """A source whose bytes were read once."""

    source: PackSource
    md5: str
    sha256: str
    crc32: int


class PackMember(Struct, frozen=True):
    """One line of a pack's manifest.

    Attributes:
        path: Its path in the pack.
        size: Bytes.
        md5: Of its bytes.
        sha256: Of its bytes.
        offset: Where its bytes begin in the pack.
    """

    path: str
    size: int
    md5: str
    sha256: str
    offset: int


class Piece(Struct, frozen=True):
    """Consecutive bytes of a pack: given ones, or those of a file."""

    offset: int
    size: int
    data: bytes
    source: MeasuredSource | None


class Layout(Struct, frozen=True):
    """Where everything of a pack lies: its pieces in order, its members, its size in bytes."""

    pieces: tuple[Piece, ...]
    members: tuple[PackMember, ...]
    size: int


def manifest_text(members: Iterable[PackMember]) -> str:
    """Write members as the CSV that lies in a pack."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MANIFEST_COLUMNS)
    for member in members:
        writer.writerow((member.path, member.size, member.md5, member.sha256, member.offset))
    return text.getvalue()


class Placing:
    """Places pieces one after another."""

    def __init__(self) -> None:
        self.at = 0
        self.members: list[PackMember] = []
        self._pieces: list[Piece] = []

    def data(self, data: bytes) -> None:
        """Place given bytes."""
        self._place(len(data), data, None)

    def source(self, measured: MeasuredSource) -> None:
        """Place a file's bytes, and note the member."""
        name, size = measured.source.name, measured.source.size
        self.members.append(PackMember(name, size, measured.md5, measured.sha256, self.at))
        self._place(size, b"", measured)

    def _place(self, size: int, data: bytes, source: MeasuredSource | None) -> None:
        self._pieces.append(Piece(self.at, size, data, source))
        self.at += size

    def done(self) -> Layout:
        """Return what was placed."""
        return Layout(tuple(self._pieces), tuple(self.members), self.at)
