"""Read picture formats: PNG, JPEG, JPEG 2000, JPEG XL, WebP, GIF, BMP, AVIF and HEIC.

Their headers are a few bytes each, so they are read here rather than by a library that decodes.
None of them has a pixel size of the sample or a microscope that could be trusted.
"""

import struct

from msgspec import Struct, field

from imgdata.images import codestreams
from imgdata.images.bounded_file import BoundedFile
from imgdata.images.fact_book import FactBook
from imgdata.model.facts import Compression, Packing, Reading, Symptom

_TAIL = 65536
_MAX_CHUNKS = 100_000
_PNG_SIGNATURE = 8
_PNG_TYPES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_COLOUR = 3


class _Picture(Struct):
    """One picture being described."""

    format: str
    compression: Compression
    book: FactBook = field(default_factory=FactBook)
    symptoms: list[Symptom] = field(default_factory=list)

    def sizes(self, width: int, height: int, samples: int, bits: int) -> None:
        where = f"{self.format} header"
        self.book.put("size_x", width or None, where)
        self.book.put("size_y", height or None, where)
        self.book.put("size_c", samples or None, where)
        self.book.put("size_z", 1, where)
        self.book.put("size_t", 1, where)
        kind = "bool" if bits == 1 else ("uint8" if bits <= 8 else "uint16")  # noqa: PLR2004
        self.book.put("dtype", kind if bits else None, where)

    def add(self, rule: str, found: str, expected: str = "") -> None:
        self.symptoms.append(Symptom(rule, found, expected))

    def export(self, why: str) -> None:
        self.add("IMG-206", why, "grey values as the detector gave them")

    def reading(self, file: BoundedFile) -> Reading:
        packing = self.compression.packing
        if packing is Packing.LOSSY:
            self.add("IMG-201", self.compression.reason, "lossless or no compression")
        elif packing is Packing.UNKNOWN:
            self.add("IMG-202", self.compression.reason, "a compression proved lossless")
        return Reading(
            format=self.format,
            reader="imgdata pictures",
            facts=self.book.facts,
            compression=self.compression,
            symptoms=tuple(self.symptoms),
            sample_hash=file.sample_hash(),
        )


def _cut(picture: _Picture, file: BoundedFile, expected: str) -> None:
    picture.add("IMG-101", f"{file.size:,} bytes", expected)


def read_png(file: BoundedFile) -> Reading:
    """Read a PNG: sizes from IHDR, and whether the chunks go on to IEND."""
    picture = _Picture("png", Compression(Packing.LOSSLESS, "PNG (deflate)"))
    if len(file.head) < 33:  # noqa: PLR2004 - signature and IHDR
        _cut(picture, file, "a whole PNG header")
        return picture.reading(file)
    width, height, bits, colour = struct.unpack(">IIBB", file.head[16:26])
    picture.sizes(width, height, _PNG_TYPES.get(colour, 0), bits)
    if colour == 3:  # noqa: PLR2004 - palette
        picture.export("a palette picture")
    elif colour in {2, 6} and bits == 8:  # noqa: PLR2004 - RGB and RGBA
        picture.export("an 8-bit colour picture")
    if file.head[12:16] != b"IHDR" or not width or not height:
        picture.add("IMG-102", "the PNG does not begin with a usable IHDR", "IHDR")
        return picture.reading(file)
    _walk_png(picture, file)
    return picture.reading(file)


def _walk_png(picture: _Picture, file: BoundedFile) -> None:
    position = _PNG_SIGNATURE
    for _ in range(_MAX_CHUNKS):
        head = file.some(position, 8)
        if len(head) < 8:  # noqa: PLR2004 - length and type
            break
        length, name = struct.unpack(">I4s", head)
        if not name.isalpha():
            picture.add("IMG-102", f"no PNG chunk at byte {position:,}", "a chunk name")
            return
        position += 12 + length
        if name == b"IEND":
            if position > file.size:
                break
            return
    _cut(picture, file, "chunks up to IEND")


def read_jpeg(file: BoundedFile) -> Reading:
    """Read a JPEG or JPEG-LS: process and sizes from the frame, EOI at the end."""
    data = file.some(0, 1 << 20)
    picture = _Picture("jpeg", codestreams.jpeg(data))
    frame = _jpeg_frame(data)
    if frame is None:
        _cut(picture, file, "a JPEG frame header")
        return picture.reading(file)
    bits, height, width, samples = frame
    picture.sizes(width, height, samples, bits)
    if samples == _COLOUR and bits == 8:  # noqa: PLR2004 - 8-bit colour
        picture.export("an 8-bit colour picture")
    tail = file.some(max(0, file.size - _TAIL), _TAIL)
    if b"\xff\xd9" not in tail:
        _cut(picture, file, "an end-of-image marker")
    return picture.reading(file)


def _jpeg_frame(data: bytes) -> tuple[int, int, int, int] | None:
    position = 2
    while position + 10 <= len(data):
        if data[position] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return None
        marker = data[position + 1]
        if (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}) or marker == 0xF7:  # noqa: PLR2004
            bits, height, width, samples = struct.unpack(
                ">BHHB", data[position + 4 : position + 10]
            )
            return bits, height, width, samples
        if marker in {0x01, 0xFF, *range(0xD0, 0xD9)}:
            position += 1 if marker == 0xFF else 2  # noqa: PLR2004 - fill byte
            continue
        position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
    return None


def read_jp2(file: BoundedFile) -> Reading:
    """Read JPEG 2000 (JP2 boxes or a bare codestream): SIZ, COD, EOC at the end."""
    data = file.some(0, 1 << 20)
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 42:
        picture = _Picture("jp2", Compression(Packing.UNKNOWN, "JPEG 2000 without a codestream"))
        _cut(picture, file, "a codestream header")
        return picture.reading(file)
    x1, y1, x0, y0 = struct.unpack(">4I", data[start + 8 : start + 24])
    samples, depth = struct.unpack(">HB", data[start + 40 : start + 43].ljust(3, b"\0"))
    bits = (depth & 0x7F) + 1
    declared = max(0, x1 - x0) * max(0, y1 - y0) * samples * (-(-bits // 8))
    verdict = codestreams.jpeg2000(data, stored=file.size - start, declared=declared, depth=bits)
    picture = _Picture("jp2", verdict)
    picture.sizes(max(0, x1 - x0), max(0, y1 - y0), samples, bits)
    if b"\xff\xd9" not in file.some(max(0, file.size - _TAIL), _TAIL):
        _cut(picture, file, "an end-of-codestream marker")
    return picture.reading(file)


def read_webp(file: BoundedFile) -> Reading:
    """Read WebP: RIFF length against the file, VP8 or VP8L."""
    data = file.some(0, 1 << 16)
    picture = _Picture("webp", codestreams.webp(data))
    declared = int.from_bytes(data[4:8], "little") + 8
    if declared > file.size:
        _cut(picture, file, f"{declared:,} bytes")
    at = data.find(b"VP8L", 12)
    if 0 <= at <= len(data) - 13:
        packed = int.from_bytes(data[at + 9 : at + 13], "little")
        picture.sizes((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, 3, 8)
    at = data.find(b"VP8 ", 12)
    if 0 <= at <= len(data) - 18:
        width, height = struct.unpack("<HH", data[at + 14 : at + 18])
        picture.sizes(width & 0x3FFF, height & 0x3FFF, 3, 8)
    picture.export("a WebP picture, 8 bit a channel")
    return picture.reading(file)


def read_jxl(file: BoundedFile) -> Reading:
    """Read JPEG XL: the verdict of its header."""
    picture = _Picture("jxl", codestreams.jpeg_xl(file.some(0, 1 << 16)))
    if file.head[4:8] == b"JXL ":
        _walk_boxes(picture, file)
    return picture.reading(file)


def _walk_boxes(picture: _Picture, file: BoundedFile) -> None:
    position = 0
    for _ in range(_MAX_CHUNKS):
        head = file.some(position, 16)
        if len(head) < 8:  # noqa: PLR2004 - length and type
            if position != file.size:
                _cut(picture, file, "whole boxes")
            return
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:
            return
        if length < 8:  # noqa: PLR2004 - a box is at least its own header
            picture.add("IMG-102", f"a box of {length} bytes", "at least 8")
            return
        position += length
        if position > file.size:
            _cut(picture, file, f"at least {position:,} bytes")
            return


def read_gif(file: BoundedFile) -> Reading:
    """Read GIF: sizes; a palette format is never a detector's original."""
    picture = _Picture("gif", Compression(Packing.LOSSLESS, "GIF (LZW)"))
    if len(file.head) < 13:  # noqa: PLR2004 - header and logical screen
        _cut(picture, file, "a whole GIF header")
        return picture.reading(file)
    width, height = struct.unpack("<HH", file.head[6:10])
    picture.sizes(width, height, 1, 8)
    picture.export("a palette picture (GIF)")
    if b"\x3b" not in file.some(max(0, file.size - _TAIL), _TAIL):
        _cut(picture, file, "a trailer")
    return picture.reading(file)


def read_bmp(file: BoundedFile) -> Reading:
    """Read BMP: sizes and the declared length; JPEG inside is possible and lossy."""
    picture = _Picture("bmp", Compression(Packing.LOSSLESS, "BMP"))
    if len(file.head) < 34:  # noqa: PLR2004 - both headers up to biCompression
        _cut(picture, file, "a whole BMP header")
        return picture.reading(file)
    declared = int.from_bytes(file.head[2:6], "little")
    width, height = struct.unpack("<ii", file.head[18:26])
    bits, method = struct.unpack("<HI", file.head[28:34])
    if method == 4:  # noqa: PLR2004 - BI_JPEG
        picture.compression = Compression(Packing.LOSSY, "BMP with JPEG inside")
    elif method not in {0, 1, 2, 3, 5, 6}:
        picture.compression = Compression(Packing.UNKNOWN, f"BMP compression {method}")
    picture.sizes(abs(width), abs(height), 3 if bits >= 24 else 1, 8)  # noqa: PLR2004 - true colour
    if bits >= 24:  # noqa: PLR2004 - true colour
        picture.export("an 8-bit colour picture")
    if declared > file.size:
        _cut(picture, file, f"{declared:,} bytes")
    return picture.reading(file)


def read_heif(file: BoundedFile) -> Reading:
    """Read AVIF and HEIC: lossless and lossy look alike in the header."""
    kind = "avif" if b"avi" in file.head[8:32] else "heic"
    picture = _Picture(kind, Compression(Packing.UNKNOWN, f"{kind.upper()}, which is mostly lossy"))
    _walk_boxes(picture, file)
    return picture.reading(file)


def read_jxr(file: BoundedFile) -> Reading:
    """Read JPEG XR files: the quantiser is not in the header."""
    reason = "JPEG XR, whose quantiser is not in the header"
    return _Picture("jxr", Compression(Packing.UNKNOWN, reason)).reading(file)
