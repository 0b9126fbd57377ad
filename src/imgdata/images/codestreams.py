"""Tell from the first bytes of a compressed stream whether it can be exact.

Every function takes the stream's beginning and returns a verdict; none decodes pixels.
"""

import struct
import zlib

from imgdata.model.facts import Compression, Packing

LOSSLESS, LOSSY, UNKNOWN = Packing.LOSSLESS, Packing.LOSSY, Packing.UNKNOWN

_SOF_LOSSY = {0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC9, 0xCA, 0xCD, 0xCE}
_SOF_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_SOF_LS = 0xF7
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_SOS = 0xDA


def jpeg(data: bytes) -> Compression:
    """Judge a JPEG or JPEG-LS stream by its frame header (ITU-T T.81 table B.1, T.87)."""
    frame = jpeg_frame(data)
    if frame is None:
        return Compression(UNKNOWN, "JPEG without a frame header")
    marker, near = frame
    if marker in _SOF_LOSSLESS:
        return Compression(LOSSLESS, f"JPEG, lossless process (SOF{marker - 0xC0})")
    if marker == _SOF_LS:
        if near == 0:
            return Compression(LOSSLESS, "JPEG-LS, NEAR = 0")
        if near is None:
            return Compression(UNKNOWN, "JPEG-LS without a scan header")
        return Compression(LOSSY, f"JPEG-LS, NEAR = {near}")
    return Compression(LOSSY, f"JPEG, lossy process (SOF{marker - 0xC0})")


def jpeg_frame(data: bytes) -> tuple[int, int | None] | None:
    """Return the frame's marker and JPEG-LS's NEAR (None before a scan), or None without one."""
    position, marker_found = 0, None
    if data[:2] == b"\xff\xd8":
        position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return (marker_found, None) if marker_found else None
        marker = data[position + 1]
        if marker == 0xFF:  # noqa: PLR2004 - fill byte
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in _SOF_LOSSY | _SOF_LOSSLESS:
            return marker, None
        if marker == _SOS:
            return _scan_near(data, position, marker_found)
        marker_found = marker if marker == _SOF_LS else marker_found
        position += 2 + max(length, 2)
    return (marker_found, None) if marker_found else None


def _scan_near(data: bytes, position: int, marker: int | None) -> tuple[int, int | None] | None:
    if marker is None:
        return None
    components = data[position + 4] if position + 4 < len(data) else 0
    at = position + 5 + 2 * components
    return marker, data[at] if at < len(data) else None


def jpeg2000(data: bytes, *, stored: int = 0, declared: int = 0, depth: int = 0) -> Compression:
    """Judge a JPEG 2000 codestream by its COD marker (ITU-T T.800 A.6.1) and its size.

    The reversible 5/3 transform can still be cut to a rate, so the verdict is lossless only
    when the stream is as large as noise allows: less than 3:1 on 16 bit, 2:1 on 8 bit.

    Args:
        data: The codestream's beginning, from SOC or inside a JP2 box.
        stored: Bytes of the whole stream, 0 if not known.
        declared: Bytes the same pixels take uncompressed, 0 if not known.
        depth: Bits a sample, 0 if not known.
    """
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return Compression(UNKNOWN, "JPEG 2000 without a codestream header")
    transform = _j2k_transform(data, start + 2)
    if transform is None:
        return Compression(UNKNOWN, "JPEG 2000 without a coding style (COD)")
    if transform == 0:
        return Compression(LOSSY, "JPEG 2000, irreversible 9/7 transform")
    if transform != 1:
        return Compression(UNKNOWN, f"JPEG 2000, transform {transform}")
    credible = 3.0 if depth > 8 else 2.0  # noqa: PLR2004 - see the docstring
    if stored and declared and declared / stored < credible:
        ratio = declared / stored
        return Compression(LOSSLESS, f"JPEG 2000, reversible 5/3 transform at {ratio:.1f}:1")
    return Compression(
        UNKNOWN, "JPEG 2000, reversible 5/3 transform, which may still have been cut to a rate"
    )


def _j2k_transform(data: bytes, position: int) -> int | None:
    while position + 4 <= len(data):
        marker, length = struct.unpack(">HH", data[position : position + 4])
        if marker == 0xFF52:  # noqa: PLR2004 - COD
            at = position + 13
            return data[at] if at < len(data) else None
        if marker >> 8 != 0xFF or marker in {0xFF90, 0xFF93, 0xFFD9}:  # noqa: PLR2004 - SOT, SOD, EOC
            return None
        position += 2 + max(length, 2)
    return None


def webp(data: bytes) -> Compression:
    """Judge a WebP file or stream by its chunks (RFC 9649)."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return Compression(UNKNOWN, "WebP without its RIFF header")
    position = 12
    while position + 8 <= len(data):
        name = data[position : position + 4]
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if name == b"VP8 ":
            return Compression(LOSSY, "WebP, lossy (VP8)")
        if name == b"VP8L":
            return Compression(LOSSLESS, "WebP, lossless (VP8L)")
        if name == b"ANMF":
            position += 8 + 16
            continue
        position += 8 + size + (size & 1)
    return Compression(UNKNOWN, "WebP without an image chunk")


class _Bits:
    """Reads a JPEG XL header bit by bit, least significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:64], "little")
        self._left = len(data[:64]) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            msg = "header ends early"
            raise ValueError(msg)
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def u32(self, *choices: tuple[int, int]) -> int:
        """Read a U32: two bits choose (offset, bits)."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)


def jpeg_xl(data: bytes) -> Compression:
    """Judge a JPEG XL codestream or container by xyb_encoded (ISO/IEC 18181-1 annex D)."""
    stream = _jxl_codestream(data)
    if stream is None:
        return Compression(UNKNOWN, "JPEG XL without a codestream")
    if b"jbrd" in data[:4096]:
        return Compression(LOSSY, "JPEG XL made from a JPEG file")
    try:
        xyb = _xyb_encoded(_Bits(stream[2:]))
    except ValueError:
        return Compression(UNKNOWN, "JPEG XL with a header that ends early")
    if xyb is None:
        return Compression(UNKNOWN, "JPEG XL with a header that is not understood")
    if xyb:
        return Compression(LOSSY, "JPEG XL, XYB colours")
    return Compression(UNKNOWN, "JPEG XL without XYB colours, which may still be lossy")


def _jxl_codestream(data: bytes) -> bytes | None:
    if data[:2] == b"\xff\x0a":
        return data
    if data[4:8] != b"JXL ":
        return None
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        name = data[position + 4 : position + 8]
        if name == b"jxlc":
            return data[position + 8 :]
        if name == b"jxlp":
            return data[position + 12 :]
        if size < 8:  # noqa: PLR2004 - a box is at least its own header
            return None
        position += size
    return None


def _skip_size(bits: _Bits) -> None:
    choices = ((1, 9), (1, 13), (1, 18), (1, 30))
    if bits.take(1):
        bits.take(5)
        if bits.take(3) == 0:
            bits.take(5)
        return
    bits.u32(*choices)
    if bits.take(3) == 0:
        bits.u32(*choices)


def _skip_depth(bits: _Bits) -> None:
    if bits.take(1):
        bits.u32((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        bits.u32((8, 0), (10, 0), (12, 0), (1, 6))


def _xyb_encoded(bits: _Bits) -> bool | None:
    _skip_size(bits)
    if bits.take(1):
        return True
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            _skip_size(bits)
        if bits.take(2):
            return None
    _skip_depth(bits)
    bits.take(1)
    extra_channels = bits.u32((0, 0), (1, 0), (2, 4), (1, 12))
    for _ in range(extra_channels):
        if not bits.take(1):
            return None
    return bool(bits.take(1))


_LERC2 = b"Lerc2 "
_INTEGER_TYPES = range(6)


def lerc(data: bytes) -> Compression:
    """Judge a LERC blob by MaxZError (Esri LERC specification, Lerc2 header).

    For whole numbers an error bound of 0.5 rounds to the exact value, so it is lossless.
    """
    if data[:6] != _LERC2 or len(data) < 62:  # noqa: PLR2004 - the longest header up to MaxZError
        return Compression(UNKNOWN, "LERC of the first version, or without a header")
    version = int.from_bytes(data[6:10], "little", signed=True)
    position = 10 + (4 if version >= 3 else 0)  # noqa: PLR2004 - checksum since version 3
    counts = 6 + (1 if version >= 4 else 0) + (1 if version >= 6 else 0)  # noqa: PLR2004 - see spec
    fields = struct.unpack_from(f"<{counts}i", data, position)
    kind = fields[6 if version >= 4 else 5]  # noqa: PLR2004 - data type after the blob size
    position += 4 * counts + (4 if version >= 6 else 0)  # noqa: PLR2004 - four flags since version 6
    if len(data) < position + 8:
        return Compression(UNKNOWN, "LERC with a header that ends early")
    bound = struct.unpack_from("<d", data, position)[0]
    if bound == 0 or (kind in _INTEGER_TYPES and bound == 0.5):  # noqa: PLR2004 - see the docstring
        return Compression(LOSSLESS, f"LERC, MaxZError {bound:g}")
    return Compression(LOSSY, f"LERC, MaxZError {bound:g}")


def lerc_in_tiff(data: bytes, wrapped: int) -> Compression:
    """Judge a LERC strip of a TIFF, which may be deflated once more (tag 50674)."""
    if wrapped == 1:
        try:
            data = zlib.decompressobj().decompress(data, 256)
        except zlib.error:
            return Compression(UNKNOWN, "LERC inside a damaged deflate stream")
    elif wrapped:
        return Compression(UNKNOWN, "LERC inside zstd, whose error bound was not read")
    return lerc(data)
