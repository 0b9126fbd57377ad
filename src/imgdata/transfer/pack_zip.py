"""A pack as an uncompressed zip; with `ome_version`, one OME-Zarr hierarchy as its RFC 9 says.

Members are stored, in the order of their names, dated 1980-01-01, with mode 0644. Same files, same
names: same bytes.

Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3; OME-NGFF RFC 9 (zipped OME-Zarr, `.ozx`).
"""

import json
import struct
import zlib
from collections.abc import Sequence

from imgdata.transfer.pack_parts import (
    MANIFEST_NAME,
    Layout,
    MeasuredSource,
    Placing,
    manifest_text,
)

_LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_UTF8, _STORED, _JANUARY_1980 = 0x0800, 0, 0x21
_VERSION, _VERSION64, _UNIX = 20, 45, 3 << 8
_REGULAR_0644 = 0o100644 << 16
ZARR_JSON = "zarr.json"


def lay_out_zip(ordered: Sequence[MeasuredSource]) -> Layout:
    """Place headers, members, manifest and directory. 64-bit fields only where one is needed."""
    placing = Placing()
    directory: list[bytes] = []
    for measured in ordered:
        _place_entry(placing, directory, measured, wide=False)
    manifest = manifest_text(placing.members).encode()
    crc = zlib.crc32(manifest)
    directory.append(_central_header(MANIFEST_NAME, len(manifest), crc, placing.at))
    placing.data(_local_header(MANIFEST_NAME, len(manifest), crc, wide=False))
    placing.data(manifest)
    _place_directory(placing, directory, b"", wide=False)
    return placing.done()


def lay_out_ozx(ordered: Sequence[MeasuredSource], ome_version: str) -> Layout:
    """Place one OME-Zarr hierarchy: its `zarr.json` files first, breadth first, then the chunks.

    64-bit fields throughout, and the hierarchy's version in the zip's comment. It holds nothing
    but the hierarchy, so no manifest: the deposit's own lists its members.
    """
    placing = Placing()
    directory: list[bytes] = []
    for measured in sorted(ordered, key=lambda one: _ozx_order(one.source.name)):
        _place_entry(placing, directory, measured, wide=True)
    told = {"version": ome_version, "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    comment = json.dumps({"ome": told}, separators=(",", ":")).encode()
    _place_directory(placing, directory, comment, wide=True)
    return placing.done()


def _ozx_order(name: str) -> tuple[bool, int, str]:
    is_chunk = name.rpartition("/")[2] != ZARR_JSON
    return is_chunk, 0 if is_chunk else name.count("/"), name


def _place_entry(
    placing: Placing, directory: list[bytes], measured: MeasuredSource, *, wide: bool
) -> None:
    name, size = measured.source.name, measured.source.size
    directory.append(_central_header(name, size, measured.crc32, placing.at))
    placing.data(_local_header(name, size, measured.crc32, wide=wide))
    placing.source(measured)


def _place_directory(
    placing: Placing, directory: list[bytes], comment: bytes, *, wide: bool
) -> None:
    start = placing.at
    placing.data(b"".join(directory))
    end = _end_records(len(directory), placing.at - start, start, len(comment), wide=wide)
    placing.data(end + comment)


def _local_header(name: str, size: int, crc: int, *, wide: bool) -> bytes:
    encoded = name.encode()
    big = wide or size >= _MAX32
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
    head = CENTRAL.pack(
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


def _end_records(count: int, size: int, start: int, comment: int, *, wide: bool) -> bytes:
    end = END.pack(
        b"PK\x05\x06",
        0,
        0,
        min(count, _MAX16),
        min(count, _MAX16),
        min(size, _MAX32),
        min(start, _MAX32),
        comment,
    )
    if not wide and count < _MAX16 and size < _MAX32 and start < _MAX32:
        return end
    end64 = END64.pack(
        b"PK\x06\x06",
        END64.size - 12,
        _UNIX | _VERSION64,
        _VERSION64,
        0,
        0,
        count,
        count,
        size,
        start,
    )
    return end64 + LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1) + end
