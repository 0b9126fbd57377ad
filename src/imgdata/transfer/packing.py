"""Many files as one: an uncompressed zip whose bytes depend on its members alone.

A pack is never written to disk to be sent: `Pack` knows where each byte comes from and yields
any range of itself. Its last member, `MANIFEST.csv`, lists path, size, md5, sha256 and offset of
all others, so that one file is found, fetched by a single range request and checked without
reading the rest. Any zip program opens it.

Same files, same names: same bytes; a tar instead, and the zip of one OME-Zarr, on request.
"""

import bisect
import csv
import hashlib
import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, assert_never

from msgspec import Struct

from imgdata.errors import DamagedError, MachineError
from imgdata.model.deposits import PackFormat
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.pack_parts import (
    MANIFEST_COLUMNS,
    MANIFEST_NAME,
    Layout,
    MeasuredSource,
    PackMember,
    PackSource,
    Piece,
)
from imgdata.transfer.pack_tar import lay_out_tar
from imgdata.transfer.pack_zip import CENTRAL, END, END64, LOCATOR, lay_out_ozx, lay_out_zip

CHUNK = 1 << 20
LARGEST_MANIFEST = 256 * 1024 * 1024

_LONGEST_NAME = 0xFFFF // 16


class ReadRange(Protocol):
    """Reads a part of something, in one request."""

    def __call__(self, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`."""


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


class Style(Struct, frozen=True):
    """How a pack is laid out.

    Attributes:
        format: Zip, tar, or ozx: a zip that is one OME-Zarr hierarchy.
        ome_version: Of the hierarchy, for an ozx.
    """

    format: PackFormat = PackFormat.ZIP
    ome_version: str = ""

    def lay_out(self, ordered: Sequence[MeasuredSource]) -> Layout:
        """Place members that are sorted by name."""
        match self.format:
            case PackFormat.ZIP:
                return lay_out_zip(ordered)
            case PackFormat.TAR:
                return lay_out_tar(ordered)
            case PackFormat.OZX:
                return lay_out_ozx(ordered, self.ome_version)
            case _:
                assert_never(self.format)


ZIP = Style()


class Pack:
    """A zip that exists as a recipe: any range of its bytes can be had at any time."""

    def __init__(
        self,
        sources: Iterable[MeasuredSource],
        held: Mapping[str, bytes] | None = None,
        style: Style = ZIP,
    ) -> None:
        """Lay out a pack.

        Args:
            sources: Its members.
            held: Bytes of members that are in memory, by name; the others are read from disk.
            style: Zip, tar, or the zip of one OME-Zarr hierarchy.
        """
        ordered = sorted(sources, key=lambda measured: measured.source.name)
        _refuse_bad_names([measured.source.name for measured in ordered])
        self._held = held or {}
        layout = style.lay_out(ordered)
        self._pieces, self.members, self.size = layout.pieces, layout.members, layout.size
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

    def _piece_chunks(self, piece: Piece, start: int, length: int) -> Iterator[bytes]:
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


def pack_size(members: Iterable[tuple[str, int]], style: Style = ZIP) -> int:
    """Return the exact size of a pack of these (name, size) pairs, without reading a file."""
    blank = [
        MeasuredSource(PackSource(name, "", size, ""), "0" * 32, "0" * 64, 0)
        for name, size in sorted(members)
    ]
    return style.lay_out(blank).size


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
    if not name or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
        return False
    if name[1:2] == ":" or _UNWRITABLE.search(name):
        return False
    return all(part not in {"", ".", ".."} for part in name.split("/"))


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
    if at < 0 or len(directory) - at < CENTRAL.size:
        raise _not_a_pack()
    fields = CENTRAL.unpack_from(directory, at)
    name = directory[at + CENTRAL.size : at + CENTRAL.size + fields[10]]
    length = fields[9]
    if name != MANIFEST_NAME.encode() or length > min(start, LARGEST_MANIFEST):
        raise _not_a_pack()
    return parse_manifest(read_range(start - length, length), size)


def _directory(tail: bytes, size: int) -> tuple[int, int]:
    """Return offset and length of the central directory of a zip from its last bytes."""
    if tail[-END.size :][:4] != b"PK\x05\x06":
        raise _not_a_pack()
    end = END.unpack(tail[-END.size :])
    length, start = end[5], end[6]
    wide = tail[-(END.size + LOCATOR.size + END64.size) :]
    if wide[:4] == b"PK\x06\x06":
        fields = END64.unpack(wide[: END64.size])
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
