"""Where the pixels of a TIFF lie, and whether all of them are in the file.

No pixel is decoded: offsets, lengths and the size of the file decide.
"""

from msgspec import Struct

from imgdata.images import tiff_compression
from imgdata.images.tiff_directory import Directory
from imgdata.model.facts import Compression

WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES, PLANAR, FORMAT = 256, 257, 258, 262, 277, 284, 339
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_COUNTS = 273, 278, 279
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
SUBFILE_TYPE, OLD_SUBFILE_TYPE = 254, 255
YCBCR = 6
MOST_PER_BYTE = {5: 2800, 8: 1040, 32946: 1040, 32773: 64}
"""The most bytes one stored byte can stand for: LZW, deflate (zlib), PackBits."""

_FORMATS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "int", 6: "complex"}


class Plane(Struct, frozen=True):
    """One page's pixels: their shape, type and place.

    Attributes:
        width: Pixels in X.
        height: Pixels in Y.
        samples: Values a pixel (3 for RGB).
        bits: Bits a value.
        dtype: The type as numpy names it.
        streams: Offset and length of each strip or tile.
        stream_bytes: Bytes of one strip or tile uncompressed.
        separate: True when each sample has its own strips.
    """

    width: int
    height: int
    samples: int
    bits: int
    dtype: str
    streams: tuple[tuple[int, int], ...]
    stream_bytes: int
    separate: bool

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of one plane of samples."""
        return (self.width * (1 if self.separate else self.samples) * self.bits + 7) // 8

    @property
    def declared_bytes(self) -> int:
        """Bytes all pixels take uncompressed."""
        return self.row_bytes * self.height * (self.samples if self.separate else 1)


def dtype_of(bits: int, kind: int) -> str:
    """Return numpy's name of a sample type; odd bit depths are stored in the next larger one."""
    if bits == 1:
        return "bool"
    name = _FORMATS.get(kind, "uint")
    size = next((s for s in (8, 16, 32, 64, 128) if bits <= s), 128)
    return f"{name}{max(size, 16) if name == 'float' else size}"


def plane_of(page: Directory) -> Plane | None:
    """Return the page's plane, or None when it has no pixels (width, height or strips missing)."""
    width, height = page.whole(WIDTH, 0), page.whole(HEIGHT, 0)
    tiled = TILE_OFFSETS in page.tags
    offsets = page.ints(TILE_OFFSETS if tiled else STRIP_OFFSETS)
    if width <= 0 or height <= 0 or not len(offsets):
        return None
    samples = max(1, page.whole(SAMPLES, 1))
    bits = max(1, page.whole(BITS, 1))
    separate = page.whole(PLANAR, 1) == 2  # noqa: PLR2004 - PlanarConfiguration separate
    together = 1 if separate else samples
    if tiled:
        rows, columns = page.whole(TILE_LENGTH, height), page.whole(TILE_WIDTH, width)
    else:
        rows, columns = min(page.whole(ROWS_PER_STRIP, height) or height, height), width
    stream_bytes = rows * ((columns * together * bits + 7) // 8)
    counts = page.ints(TILE_COUNTS if tiled else STRIP_COUNTS)
    if len(counts) < len(offsets):
        lengths = [stream_bytes] * len(offsets)
        if not tiled and len(offsets) == 1:
            lengths = [height * ((width * together * bits + 7) // 8)]
    else:
        lengths = list(counts)
    return Plane(
        width,
        height,
        samples,
        bits,
        dtype_of(bits, page.whole(FORMAT, 1)),
        tuple(zip(map(int, offsets), map(int, lengths), strict=False)),
        stream_bytes,
        separate,
    )


def is_reduced(page: Directory) -> bool:
    """Tell whether the page is a thumbnail or a lower resolution of another page."""
    return bool(page.whole(SUBFILE_TYPE, 0) & 1) or page.whole(OLD_SUBFILE_TYPE, 1) == 2  # noqa: PLR2004


def missing_bytes(page: Directory, plane: Plane, contiguous: int = 1) -> tuple[str, str] | None:
    """Return (found, expected) when pixels lie beyond the end of the file, else None.

    Args:
        page: The image directory.
        plane: Its plane.
        contiguous: Planes stored one after the other from the first strip on (STK, ImageJ).
    """
    size = page.file.size
    if contiguous > 1:
        end = plane.streams[0][0] + plane.declared_bytes * contiguous
        if end > size:
            return f"{size:,} bytes", f"{end:,} bytes for {contiguous:,} planes"
        return None
    end = max((offset + length for offset, length in plane.streams if length), default=0)
    code = page.whole(tiff_compression.COMPRESSION, 1)
    if code == 1 and plane.bits % 8 == 0 and page.whole(PHOTOMETRIC, 1) != YCBCR:
        end = max(end, _uncompressed_end(page, plane))
    if end > size:
        return f"{size:,} bytes", f"at least {end:,} bytes"
    return _impossibly_small(plane, code)


def _uncompressed_end(page: Directory, plane: Plane) -> int:
    """Return where uncompressed pixels must end, whatever the byte counts claim."""
    if TILE_OFFSETS in page.tags:
        starts = [offset for offset, length in plane.streams if length]
        return max(starts, default=0) + plane.stream_bytes if starts else 0
    if len(plane.streams) == 1:
        offset = plane.streams[0][0]
        return offset + plane.row_bytes * plane.height
    rows = plane.stream_bytes // max(1, plane.row_bytes)
    full, rest = divmod(plane.height, max(1, rows))
    per_plane = full + (1 if rest else 0)
    ends = 0
    for index, (offset, length) in enumerate(plane.streams):
        if not length:
            continue
        last = rest and per_plane and index % per_plane == per_plane - 1
        ends = max(ends, offset + (rest if last else rows) * plane.row_bytes)
    return ends


def _impossibly_small(plane: Plane, code: int) -> tuple[str, str] | None:
    most = 1 if code == 1 else MOST_PER_BYTE.get(code)
    stored = sum(length for _, length in plane.streams)
    if most is None or not stored or any(not length for _, length in plane.streams):
        return None
    if plane.bits % 8 or plane.declared_bytes <= stored * most:
        return None
    return (
        f"{stored:,} bytes stored",
        (
            f"{plane.width:,} x {plane.height:,} pixels need at least "
            f"{-(-plane.declared_bytes // most):,} bytes"
        ),
    )


def verdict(page: Directory, plane: Plane) -> Compression:
    """Return the compression verdict on one page."""
    return tiff_compression.judge(page, list(plane.streams), plane.stream_bytes, plane.bits)
