"""The directories (IFDs) of TIFF and BigTIFF files, read without trusting them.

Only the standard library is used: a check of ten thousand files must not wait for numpy, and a
hostile file must not make anything allocate what it merely declares.

Source: TIFF revision 6.0 section 2; BigTIFF as in the libtiff documentation.
"""

import struct
import sys
from array import array

from msgspec import Struct, field

from imgdata.images.bounded_file import BeyondEndError, BoundedFile, BrokenStructureError

TYPE_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_INTEGER_CODES = {
    1: "B",
    3: "H",
    4: "I",
    6: "b",
    7: "B",
    8: "h",
    9: "i",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
MAX_TAGS = 4096
MAX_DIRECTORIES = 200_000
MAX_SUB_DIRECTORIES = 4096
SUB_IFDS = 330
_BIG = 43


class Layout(Struct, frozen=True):
    """How numbers and offsets are stored in one file."""

    order: str
    big: bool

    @property
    def name(self) -> str:
        """`TIFF` or `BigTIFF` with its byte order, for messages."""
        kind = "BigTIFF" if self.big else "TIFF"
        return f"{kind}, {'little' if self.order == '<' else 'big'} endian"


class Directory(Struct):
    """One IFD: its position and its tags, undecoded as (type, count, inline bytes, offset)."""

    file: BoundedFile
    layout: Layout
    offset: int
    tags: dict[int, tuple[int, int, bytes]]

    def raw(self, code: int) -> bytes:
        """Return a tag's bytes, empty if the tag is absent."""
        entry = self.tags.get(code)
        if entry is None:
            return b""
        kind, count, inline = entry
        length = TYPE_SIZES.get(kind, 1) * count
        if length <= len(inline):
            return inline[:length]
        offset = struct.unpack(self.layout.order + ("Q" if self.layout.big else "I"), inline)[0]
        return self.file.at(offset, length, f"tag {code}")

    def ints(self, code: int) -> "array[int]":
        """Return a tag's integers, empty if the tag is absent or of another type."""
        entry = self.tags.get(code)
        if entry is None or entry[0] not in _INTEGER_CODES:
            return array("Q")
        values = array(_INTEGER_CODES[entry[0]])
        values.frombytes(self.raw(code))
        if (self.layout.order == "<") != (sys.byteorder == "little"):
            values.byteswap()
        return values

    def whole(self, code: int, default: int) -> int:
        """Return a tag's first integer, or the default."""
        entry = self.tags.get(code)
        if entry is None:
            return default
        kind, count, inline = entry
        if count == 1 and kind in {3, 4}:
            end = 2 if kind == 3 else 4  # noqa: PLR2004 - bytes of SHORT and LONG
            return int.from_bytes(inline[:end], "little" if self.layout.order == "<" else "big")
        values = self.ints(code)
        return int(values[0]) if len(values) else default

    def text(self, code: int) -> str:
        """Return a tag's text up to its first NUL; UTF-8, else Latin-1."""
        data = self.raw(code).split(b"\0", 1)[0]
        try:
            return data.decode("utf-8").strip()
        except UnicodeDecodeError:
            return data.decode("latin-1").strip()

    def rational(self, code: int) -> float | None:
        """Return a tag's first fraction as a number; None when absent or divided by zero."""
        data = self.raw(code)[:8]
        if self.tags.get(code, (0, 0, b""))[0] not in {5, 10} or len(data) < 8:  # noqa: PLR2004
            return None
        above, below = struct.unpack(self.layout.order + "II", data)
        return above / below if below else None


class Directories(Struct):
    """All IFDs of a file, in order, and what was wrong with the chain."""

    layout: Layout
    pages: list[Directory] = field(default_factory=list)
    subs: list[Directory] = field(default_factory=list)
    loop: bool = False
    truncated: str = ""
    broken: str = ""
    complete: bool = True


def layout_of(head: bytes) -> Layout | None:
    """Return the layout of a TIFF by its first four bytes, or None for another kind of file."""
    orders = {b"II": "<", b"MM": ">"}
    order = orders.get(head[:2])
    if order is None or len(head) < 4:  # noqa: PLR2004 - byte order and version
        return None
    version = struct.unpack(order + "H", head[2:4])[0]
    return Layout(order, big=version == _BIG) if version in {42, _BIG} else None


def read_directories(file: BoundedFile) -> Directories:
    """Read all IFDs of a file, at most 200,000; what is wrong is noted, not raised."""
    layout = layout_of(file.head)
    if layout is None:
        msg = "the first four bytes are not those of a TIFF"
        raise BrokenStructureError(msg)
    found = Directories(layout)
    seen: set[int] = set()
    try:
        offset = _first_offset(file, layout)
        while offset:
            if offset in seen:
                found.loop = True
                break
            if len(found.pages) >= MAX_DIRECTORIES:
                found.complete = False
                break
            seen.add(offset)
            directory, offset = _directory(file, layout, offset)
            found.pages.append(directory)
        _add_sub_directories(file, found, seen)
    except BeyondEndError as error:
        found.truncated = error.problem
    except BrokenStructureError as error:
        found.broken = error.problem
    return found


def _first_offset(file: BoundedFile, layout: Layout) -> int:
    if not layout.big:
        return int(struct.unpack(layout.order + "I", file.at(4, 4, "the header"))[0])
    size, zero, offset = struct.unpack(layout.order + "HHQ", file.at(4, 12, "the header"))
    if size != 8 or zero != 0:  # noqa: PLR2004 - BigTIFF offsets have eight bytes
        msg = "the BigTIFF header does not name eight-byte offsets"
        raise BrokenStructureError(msg)
    return int(offset)


def _directory(file: BoundedFile, layout: Layout, offset: int) -> tuple[Directory, int]:
    big = layout.big
    head = 8 if big else 2
    data = file.at(offset, head, "an image directory")
    count = struct.unpack(layout.order + ("Q" if big else "H"), data)[0]
    if count > MAX_TAGS:
        msg = f"an image directory at byte {offset:,} declares {count:,} tags"
        raise BrokenStructureError(msg)
    entry, tail = (20, 8) if big else (12, 4)
    body = file.at(offset + head, count * entry + tail, "an image directory")
    pattern = layout.order + ("HHQ8s" if big else "HHI4s")
    tags = {
        code: (kind, number, inline)
        for code, kind, number, inline in struct.iter_unpack(pattern, body[: count * entry])
    }
    following = struct.unpack(layout.order + ("Q" if big else "I"), body[count * entry :])[0]
    return Directory(file, layout, offset, tags), int(following)


def _add_sub_directories(file: BoundedFile, found: Directories, seen: set[int]) -> None:
    for page in found.pages:
        if SUB_IFDS not in page.tags:
            continue
        for start in page.ints(SUB_IFDS):
            offset = int(start)
            if offset == 0 or offset in seen or len(found.subs) >= MAX_SUB_DIRECTORIES:
                continue
            seen.add(offset)
            found.subs.append(_directory(file, found.layout, offset)[0])
