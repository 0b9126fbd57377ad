"""Which TIFF compressions keep pixels exactly: a table, and a look at the stream if need be.

No value outside the table may count as lossless. Sources: TIFF 6.0 and its technical notes, the
libtiff and tifffile registries, and measurements on twins of the same pixels.
"""

from collections.abc import Callable
from types import MappingProxyType

from msgspec import Struct

from imgdata.images import codestreams
from imgdata.images.tiff_directory import Directory
from imgdata.model.facts import Compression, Packing

LOSSLESS, LOSSY, UNKNOWN = Packing.LOSSLESS, Packing.LOSSY, Packing.UNKNOWN
COMPRESSION = 259
LERC_PARAMETERS = 50674
PEEK_BYTES = 4096

TABLE = MappingProxyType(
    {
        1: Compression(LOSSLESS, "uncompressed"),
        2: Compression(LOSSLESS, "CCITT RLE (1 bit)"),
        3: Compression(LOSSLESS, "CCITT fax group 3 (1 bit)"),
        4: Compression(LOSSLESS, "CCITT fax group 4 (1 bit)"),
        5: Compression(LOSSLESS, "LZW"),
        6: Compression(LOSSY, "JPEG, old style"),
        8: Compression(LOSSLESS, "deflate"),
        32771: Compression(LOSSLESS, "CCITT RLE, word aligned (1 bit)"),
        32773: Compression(LOSSLESS, "PackBits"),
        32946: Compression(LOSSLESS, "deflate, PKZIP"),
        33004: Compression(LOSSY, "JPEG 2000, lossy"),
        33007: Compression(LOSSY, "JPEG, alternative"),
        34892: Compression(LOSSY, "JPEG, lossy DNG"),
        34925: Compression(LOSSLESS, "LZMA"),
        34926: Compression(LOSSLESS, "Zstandard, old number"),
        34933: Compression(LOSSLESS, "PNG"),
        50000: Compression(LOSSLESS, "Zstandard"),
        9: Compression(UNKNOWN, "JBIG, black and white"),
        10: Compression(UNKNOWN, "JBIG, colour"),
        22610: Compression(UNKNOWN, "JPEG XR, whose quantiser is not in the header"),
        32766: Compression(UNKNOWN, "NeXT RLE"),
        32809: Compression(UNKNOWN, "ThunderScan"),
        32909: Compression(UNKNOWN, "PixarLog"),
        34661: Compression(UNKNOWN, "JBIG"),
        34676: Compression(UNKNOWN, "SGI LogLuv"),
        34677: Compression(UNKNOWN, "SGI LogLuv, 24 bit"),
        34713: Compression(UNKNOWN, "Nikon NEF"),
        34715: Compression(UNKNOWN, "JBIG 2"),
        34934: Compression(UNKNOWN, "JPEG XR, whose quantiser is not in the header"),
        48124: Compression(UNKNOWN, "Jetraw, which replaces noise"),
        65000: Compression(UNKNOWN, "EER electron counting"),
        65001: Compression(UNKNOWN, "EER electron counting, 7 bit"),
        65002: Compression(UNKNOWN, "EER electron counting, variable"),
    }
)


class StreamSize(Struct, frozen=True):
    """One strip or tile: its bytes as stored and uncompressed, and its bits a sample."""

    stored: int
    declared: int
    depth: int


Peek = Callable[[bytes, StreamSize, Directory], Compression]


def _jpeg2000(data: bytes, size: StreamSize, page: Directory) -> Compression:
    del page
    return codestreams.jpeg2000(data, stored=size.stored, declared=size.declared, depth=size.depth)


def _lerc(data: bytes, size: StreamSize, page: Directory) -> Compression:
    del size
    parameters = page.ints(LERC_PARAMETERS)
    return codestreams.lerc_in_tiff(data, int(parameters[1]) if len(parameters) > 1 else 0)


PEEKS: MappingProxyType[int, Peek] = MappingProxyType(
    {
        7: lambda data, _size, _page: codestreams.jpeg(data),
        34712: _jpeg2000,
        33003: _jpeg2000,
        33005: _jpeg2000,
        34887: _lerc,
        34927: lambda data, _size, _page: codestreams.webp(data),
        50001: lambda data, _size, _page: codestreams.webp(data),
        50002: lambda data, _size, _page: codestreams.jpeg_xl(data),
        52546: lambda data, _size, _page: codestreams.jpeg_xl(data),
    }
)


def judge(
    page: Directory, streams: list[tuple[int, int]], declared: int, depth: int
) -> Compression:
    """Return the verdict on one page.

    Args:
        page: The image directory.
        streams: Offset and length of its strips or tiles.
        declared: Bytes of one strip or tile uncompressed.
        depth: Bits a sample.
    """
    code = page.whole(COMPRESSION, 1)
    known = TABLE.get(code)
    if known is not None:
        return known
    peek = PEEKS.get(code)
    if peek is None:
        return Compression(UNKNOWN, f"TIFF compression {code}, which is not in any registry")
    looked = [pair for pair in streams if pair[1]]
    if not looked:
        return Compression(UNKNOWN, f"TIFF compression {code} without data to look at")
    chosen = {0, len(looked) // 2, len(looked) - 1}
    stored = sum(length for _, length in looked)
    verdict: Compression | None = None
    for index in sorted(chosen):
        offset, length = looked[index]
        data = page.file.some(offset, min(length, PEEK_BYTES))
        size = StreamSize(stored, declared * len(looked), depth)
        found = peek(data, size, page)
        verdict = found if verdict is None else verdict.worse(found)
    return verdict or Compression(UNKNOWN, f"TIFF compression {code}")
