"""Many files as one: an uncompressed zip whose bytes depend on its members alone.

A pack is never written to disk to be sent: `Pack` knows where each byte comes from and yields
any range of itself. Its last member, `MANIFEST.csv`, lists path, size, md5, sha256 and offset of
all others, so that one file is found, fetched by a single range request and checked without
reading the rest. Any zip program opens it.

Members are stored, in the order of their names, dated 1980-01-01, with mode 0644; 64-bit fields
are used only where a value needs them. Same files, same names: same bytes.

Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3.
"""

import bisect
import csv
import hashlib
import io
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from imgdata.errors import DamagedError, MachineError
from imgdata.system.progress import SILENT, Progress

MANIFEST_NAME = "MANIFEST.csv"
MANIFEST_COLUMNS = ("path", "size", "md5", "sha256", "offset")
CHUNK = 1 << 20
LARGEST_MANIFEST = 256 * 1024 * 1024

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_UTF8, _STORED, _JANUARY_1980 = 0x0800, 0, 0x21
_VERSION, _VERSION64, _UNIX = 20, 45, 3 << 8
_REGULAR_0644 = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class PackSource:
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


@dataclass(frozen=True, slots=True)
class MeasuredSource:
    """A source whose bytes were read once."""

    source: PackSource
    md5: str
    sha256: str
    crc32: int


@dataclass(frozen=True, slots=True)
class PackMember:
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


class ReadRange(Protocol):
    """Reads a part of something, in one request."""

    def __call__(self, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Consecutive bytes of a pack: given ones, or those of a file."""

    offset: int
    size: int
    data: bytes
    source: MeasuredSource | None


def measure(
    sources: Iterable[PackSource], progress: Progress = SILENT
) -> tuple[MeasuredSource, ...]:
    """Read every source once and compute what headers and manifest need.

    Raises:
        DamagedError: A file is missing, or its size or md5 is not as recorded.
    """
    return tuple(_measure_one(source, progress) for source in sources)


def _measure_one(source: PackSource, progress: Progress) -> MeasuredSource:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    crc = size = 0
    for chunk in file_chunks(source, 0, source.size):
        md5.update(chunk)
        sha256.update(chunk)
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
        progress.advance(size=len(chunk))
    found = md5.hexdigest()
    if source.md5 and found != source.md5:
        msg = f"{source.name} is not what was recorded, so it was not packed"
        raise DamagedError(
            msg,
            cause=f"recorded md5 {source.md5}, found {found}",
            remedy="imgdata status shows what changed",
        )
    progress.advance(items=1)
    return MeasuredSource(source, found, sha256.hexdigest(), crc)


def file_chunks(source: PackSource, start: int, length: int) -> Iterator[bytes]:
    """Yield a range of a file; a file that is shorter or longer than recorded is damaged."""
    try:
        with open(source.local, "rb") as stream:
            held = os.fstat(stream.fileno()).st_size
            if held != source.size:
                msg = f"{source.name} has {held} bytes, recorded are {source.size}"
                raise DamagedError(msg, remedy="imgdata status shows what changed")
            stream.seek(start)
            left = length
            while left:
                chunk = stream.read(min(CHUNK, left))
                if not chunk:
                    msg = f"{source.name} became shorter while it was read"
                    raise DamagedError(msg)
                left -= len(chunk)
                yield chunk
    except FileNotFoundError as error:
        msg = f"{source.name} is not here"
        raise DamagedError(msg, remedy="imgdata pull brings it back") from error
    except OSError as error:
        msg = f"{source.name} cannot be read"
        raise MachineError(msg, cause=str(error.strerror)) from error


class Pack:
    """A zip that exists as a recipe: any range of its bytes can be had at any time."""

    def __init__(
        self, sources: Iterable[MeasuredSource], held: Mapping[str, bytes] | None = None
    ) -> None:
        """Lay out a pack.

        Args:
            sources: Its members.
            held: Bytes of members that are in memory, by name; the others are read from disk.
        """
        ordered = sorted(sources, key=lambda measured: measured.source.name)
        _refuse_bad_names([measured.source.name for measured in ordered])
        self._held = held or {}
        self._pieces, self.members, self.size = _lay_out(ordered)
        self._starts = [piece.offset for piece in self._pieces]

    def chunks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a range, the whole pack by default, in pieces of up to 1 MiB.

        Raises:
            DamagedError: A member changed since it was measured.
        """
        end = self.size if length is None else min(self.size, start + length)
        index = max(0, bisect.bisect_right(self._starts, start) - 1)
        while start < end:
            piece = self._pieces[index]
            stop = min(end, piece.offset + piece.size)
            if stop > start:
                yield from self._piece_chunks(piece, start - piece.offset, stop - start)
                start = stop
            index += 1

    def _piece_chunks(self, piece: _Piece, start: int, length: int) -> Iterator[bytes]:
        if piece.source is None:
            yield piece.data[start : start + length]
            return
        name = piece.source.source.name
        if name in self._held:
            yield self._held[name][start : start + length]
            return
        crc = 0
        for chunk in file_chunks(piece.source.source, start, length):
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if length == piece.size and crc != piece.source.crc32:
            msg = f"{name} changed while it was being sent"
            raise DamagedError(msg, remedy="the same command starts this pack again")


def pack_size(members: Iterable[tuple[str, int]]) -> int:
    """Return the exact size of a pack of these (name, size) pairs, without reading a file."""
    blank = [
        MeasuredSource(PackSource(name, "", size, ""), "0" * 32, "0" * 64, 0)
        for name, size in sorted(members)
    ]
    return _lay_out(blank)[2]


def _refuse_bad_names(names: Sequence[str]) -> None:
    for name in names:
        if not is_safe_name(name) or name == MANIFEST_NAME:
            msg = f"{name!r} cannot be the name of a file in a pack"
            raise DamagedError(msg)
    if len(set(names)) != len(names):
        msg = "two files of a pack have the same name"
        raise DamagedError(msg)


# Controls, line and paragraph ends, marks that turn the direction of writing, halves of letters.
_UNWRITABLE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\\\]"
)


def is_safe_name(name: str) -> bool:
    r"""Tell whether a relative path stays below its folder on every system.

    No empty, `.` or `..` parts, no leading `/`, no `\`, no drive, no control characters, line
    breaks or marks that turn the direction of writing and so hide what a name ends in.
    """
    if not name or len(name.encode("utf-8", "replace")) > _MAX16 // 16:
        return False
    if name[1:2] == ":" or _UNWRITABLE.search(name):
        return False
    return all(part not in {"", ".", ".."} for part in name.split("/"))


def _lay_out(
    ordered: Sequence[MeasuredSource],
) -> tuple[list[_Piece], tuple[PackMember, ...], int]:
    """Place headers, members, manifest and directory; return them with the total size."""
    pieces: list[_Piece] = []
    directory: list[bytes] = []
    members: list[PackMember] = []
    at = 0

    def place(data: bytes, source: MeasuredSource | None = None) -> None:
        nonlocal at
        size = len(data) if source is None else source.source.size
        pieces.append(_Piece(at, size, data, source))
        at += size

    def entry(name: str, size: int, crc: int) -> None:
        directory.append(_central_header(name, size, crc, at))
        place(_local_header(name, size, crc))

    for measured in ordered:
        name, size = measured.source.name, measured.source.size
        entry(name, size, measured.crc32)
        members.append(PackMember(name, size, measured.md5, measured.sha256, at))
        place(b"", measured)
    manifest = manifest_text(members).encode()
    entry(MANIFEST_NAME, len(manifest), zlib.crc32(manifest))
    place(manifest)
    start = at
    place(b"".join(directory))
    place(_end_records(len(directory), at - start, start))
    return pieces, tuple(members), at


def manifest_text(members: Iterable[PackMember]) -> str:
    """Write members as the CSV that lies in a pack."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MANIFEST_COLUMNS)
    for member in members:
        writer.writerow((member.path, member.size, member.md5, member.sha256, member.offset))
    return text.getvalue()


def _local_header(name: str, size: int, crc: int) -> bytes:
    encoded = name.encode()
    big = size >= _MAX32
    extra = struct.pack("<2H2Q", 1, 16, size, size) if big else b""
    shown = _MAX32 if big else size
    head = _LOCAL.pack(
        b"PK\x03\x04",
        _VERSION64 if big else _VERSION,
        _UTF8,
        _STORED,
        0,
        _JANUARY_1980,
        crc,
        shown,
        shown,
        len(encoded),
        len(extra),
    )
    return head + encoded + extra


def _central_header(name: str, size: int, crc: int, offset: int) -> bytes:
    encoded = name.encode()
    wide = ([size, size] if size >= _MAX32 else []) + ([offset] if offset >= _MAX32 else [])
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    version = _VERSION64 if wide else _VERSION
    shown = min(size, _MAX32)
    head = _CENTRAL.pack(
        b"PK\x01\x02",
        _UNIX | version,
        version,
        _UTF8,
        _STORED,
        0,
        _JANUARY_1980,
        crc,
        shown,
        shown,
        len(encoded),
        len(extra),
        0,
        0,
        0,
        _REGULAR_0644,
        min(offset, _MAX32),
    )
    return head + encoded + extra


def _end_records(count: int, size: int, start: int) -> bytes:
    end = _END.pack(
        b"PK\x05\x06",
        0,
        0,
        min(count, _MAX16),
        min(count, _MAX16),
        min(size, _MAX32),
        min(start, _MAX32),
        0,
    )
    if count < _MAX16 and size < _MAX32 and start < _MAX32:
        return end
    end64 = _END64.pack(
        b"PK\x06\x06",
        _END64.size - 12,
        _UNIX | _VERSION64,
        _VERSION64,
        0,
        0,
        count,
        count,
        size,
        start,
    )
    return end64 + _LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1) + end


def read_manifest(read_range: ReadRange, size: int) -> tuple[PackMember, ...]:
    """Return the members of a pack of that many bytes; two or three range requests.

    Raises:
        DamagedError: It is not a pack, or lists members that do not lie inside it.
    """
    tail = read_range(max(0, size - 64 * 1024), min(size, 64 * 1024))
    start, length = _directory(tail, size)
    # The manifest is the last member, so its end is the directory's start.
    directory = read_range(start, length)
    at = directory.rfind(b"PK\x01\x02")
    if at < 0 or len(directory) - at < _CENTRAL.size:
        raise _not_a_pack()
    fields = _CENTRAL.unpack_from(directory, at)
    name = directory[at + _CENTRAL.size : at + _CENTRAL.size + fields[10]]
    length = fields[9]
    if name != MANIFEST_NAME.encode() or length > min(start, LARGEST_MANIFEST):
        raise _not_a_pack()
    return parse_manifest(read_range(start - length, length), size)


def _directory(tail: bytes, size: int) -> tuple[int, int]:
    """Return offset and length of the central directory of a zip from its last bytes."""
    if tail[-_END.size :][:4] != b"PK\x05\x06":
        raise _not_a_pack()
    end = _END.unpack(tail[-_END.size :])
    length, start = end[5], end[6]
    wide = tail[-(_END.size + _LOCATOR.size + _END64.size) :]
    if wide[:4] == b"PK\x06\x06":
        fields = _END64.unpack(wide[: _END64.size])
        length, start = fields[8], fields[9]
    if start + length > size:
        raise _not_a_pack()
    return start, length


def parse_manifest(data: bytes, pack: int) -> tuple[PackMember, ...]:
    """Return the members a manifest lists, each checked to lie inside a pack of `pack` bytes."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode()), strict=True))
        if tuple(rows[0]) != MANIFEST_COLUMNS:
            raise _not_a_pack()
        members = tuple(
            PackMember(path, int(size), md5, sha256, int(offset))
            for path, size, md5, sha256, offset in rows[1:]
        )
    except (ValueError, IndexError, csv.Error) as error:
        raise _not_a_pack() from error
    for member in members:
        inside = 0 <= member.offset <= member.offset + member.size <= pack and member.size >= 0
        if not inside or not is_safe_name(member.path):
            raise _not_a_pack()
    return members


def read_member(read_range: ReadRange, member: PackMember) -> bytes:
    """Return one member's bytes by one range request, checked against its md5 and sha256."""
    data = read_range(member.offset, member.size)
    for name, wanted in (("md5", member.md5), ("sha256", member.sha256)):
        found = hashlib.new(name, data, usedforsecurity=False).hexdigest()
        if found != wanted:
            msg = f"{member.path} in the pack is damaged"
            raise DamagedError(msg, cause=f"its manifest says {name} {wanted}, found {found}")
    return data


def _not_a_pack() -> DamagedError:
    return DamagedError(
        "this zip is not a pack of imgdata, or it is damaged",
        cause=f"its last member is not a well-formed {MANIFEST_NAME}",
    )


Digests = tuple[str, str]


def digest(chunks: Iterable[bytes], advance: Callable[[int], None] = lambda _size: None) -> Digests:
    """Return md5 and sha256 of chunks, computed in one pass."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for chunk in chunks:
        md5.update(chunk)
        sha256.update(chunk)
        advance(len(chunk))
    return md5.hexdigest(), sha256.hexdigest()
