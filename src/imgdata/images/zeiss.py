"""Read Zeiss CZI by its segments: the directory of subblocks and the metadata XML.

The directory names each subblock's position, size and compression, so truncation and the
verdict need no pixel and no other library. Source: ZEISS, DS_ZISRAW-FileFormat 1.2.2.
"""

import struct
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from msgspec import Struct, field

from imgdata.images.bounded_file import BeyondEndError, BoundedFile, BrokenStructureError
from imgdata.images.fact_book import FactBook
from imgdata.images.safe_xml import (
    BadXmlError,
    UnsafeXmlError,
    as_number,
    child,
    children,
    descendants,
    first,
    parse,
)
from imgdata.model.facts import Compression, Packing, Reading, Source, Symptom

LOSSLESS, LOSSY, UNKNOWN = Packing.LOSSLESS, Packing.LOSSY, Packing.UNKNOWN
MAX_SUBBLOCKS = 2_000_000
JPEG_XR = 4
_COMPRESSIONS = {
    0: Compression(LOSSLESS, "CZI subblocks uncompressed"),
    1: Compression(LOSSY, "CZI subblocks in JPEG"),
    2: Compression(LOSSLESS, "CZI subblocks in LZW"),
    5: Compression(LOSSLESS, "CZI subblocks in Zstandard"),
    6: Compression(LOSSLESS, "CZI subblocks in Zstandard with byte packing"),
}
_PIXELS = {
    0: "uint8",
    1: "uint16",
    2: "float32",
    3: "uint8",
    4: "uint16",
    8: "float32",
    9: "uint8",
    10: "complex64",
    11: "complex64",
    12: "uint32",
    13: "float64",
}
_COLOUR_PIXELS = {3, 4, 8, 9}
_SEGMENT = 32


class _Blocks(Struct):
    """What the directory says about all subblocks of full resolution."""

    count: int = 0
    compressions: set[int] = field(default_factory=set)
    pixel_types: set[int] = field(default_factory=set)
    extent: dict[str, tuple[int, int]] = field(default_factory=dict)
    last: int = 0


def read(file: BoundedFile) -> Reading:
    """Return what a CZI says; damage becomes symptoms."""
    book = FactBook()
    symptoms: list[Symptom] = []
    compression: Compression | None = None
    try:
        _, directory, metadata = _header(file)
        xml = _metadata(file, metadata, symptoms)
        if xml is not None:
            _describe(book, xml)
        blocks = _directory(file, directory)
        _sizes(book, blocks)
        compression = _verdict(blocks, xml)
        if compression is not None and compression.packing is LOSSY:
            symptoms.append(Symptom("IMG-201", compression.reason, "lossless or no compression"))
        elif compression is not None and compression.packing is UNKNOWN:
            symptoms.append(Symptom("IMG-202", compression.reason, "a compression proved lossless"))
    except BeyondEndError as error:
        symptoms.append(Symptom("IMG-101", error.problem, "the whole file"))
    except BrokenStructureError as error:
        symptoms.append(Symptom("IMG-102", error.problem, "ZISRAW segments"))
    return Reading(
        "czi",
        "imgdata czi",
        facts=book.facts,
        compression=compression,
        symptoms=tuple(symptoms),
        sample_hash=file.sample_hash(),
    )


def _header(file: BoundedFile) -> tuple[int, int, int]:
    data = file.at(_SEGMENT, 80, "the file header")
    part, directory, metadata = struct.unpack("<iqq", data[48:68])
    if directory <= 0:
        msg = "the file header names no subblock directory: the recording was not finished"
        raise BeyondEndError(msg)
    return part, directory, metadata


def _segment(file: BoundedFile, offset: int, name: bytes) -> tuple[int, int]:
    """Return the position and used size of a segment's data."""
    data = file.at(offset, _SEGMENT, f"segment {name.decode()}")
    found = data[:16].rstrip(b"\0")
    if found != name:
        msg = f"no segment {name.decode()} at byte {offset:,}"
        raise BrokenStructureError(msg)
    allocated, used = struct.unpack("<qq", data[16:32])
    return offset + _SEGMENT, used or allocated


def _metadata(file: BoundedFile, offset: int, symptoms: list[Symptom]) -> Element | None:
    if offset <= 0:
        return None
    start, _ = _segment(file, offset, b"ZISRAWMETADATA")
    length = struct.unpack("<i", file.at(start, 4, "metadata"))[0]
    data = file.at(start + 256, length, "metadata XML")
    try:
        return parse(data)
    except UnsafeXmlError as error:
        symptoms.append(Symptom("IMG-107", error.problem))
    except BadXmlError as error:
        symptoms.append(Symptom("IMG-102", f"metadata: {error.problem}", "", "warning"))
    return None


def _directory(file: BoundedFile, offset: int) -> _Blocks:
    start, used = _segment(file, offset, b"ZISRAWDIRECTORY")
    count = struct.unpack("<i", file.at(start, 4, "the subblock directory"))[0]
    if not 0 <= count <= MAX_SUBBLOCKS:
        msg = f"the directory declares {count:,} subblocks"
        raise BrokenStructureError(msg)
    data = file.at(start + 128, max(0, used - 128), "the subblock directory")
    blocks = _Blocks()
    for entry in _entries(data, count):
        _note(blocks, entry)
    if blocks.last:
        _check_last(file, blocks.last)
    return blocks


class _Entry(Struct, frozen=True):
    pixel_type: int
    position: int
    compression: int
    pyramid: int
    dimensions: tuple[tuple[str, int, int, int], ...]


def _entries(data: bytes, count: int) -> Iterator[_Entry]:
    at = 0
    for _ in range(count):
        if at + 32 > len(data):
            msg = "the subblock directory ends early"
            raise BeyondEndError(msg)
        kind, position, _, compression, pyramid, number = struct.unpack_from(
            "<2xiqiib5xi", data, at
        )
        if data[at : at + 2] != b"DV" or not 0 <= number <= 64:  # noqa: PLR2004 - dimensions
            msg = "the subblock directory holds an entry of another schema"
            raise BrokenStructureError(msg)
        at += 32
        if at + 20 * number > len(data):
            msg = "the subblock directory ends early"
            raise BeyondEndError(msg)
        found = []
        for _index in range(number):
            name, begin, size, _, stored = struct.unpack_from("<4siifi", data, at)
            found.append((name.rstrip(b"\0").decode("latin-1"), begin, size, stored))
            at += 20
        yield _Entry(kind, position, compression, pyramid, tuple(found))


def _note(blocks: _Blocks, entry: _Entry) -> None:
    blocks.last = max(blocks.last, entry.position)
    reduced = entry.pyramid or any(
        stored and size > stored for name, _, size, stored in entry.dimensions if name in {"X", "Y"}
    )
    if reduced:
        return
    blocks.count += 1
    blocks.compressions.add(entry.compression)
    blocks.pixel_types.add(entry.pixel_type)
    for name, begin, size, _ in entry.dimensions:
        low, high = blocks.extent.get(name, (begin, begin + size))
        blocks.extent[name] = (min(low, begin), max(high, begin + size))


def _check_last(file: BoundedFile, position: int) -> None:
    start, _ = _segment(file, position, b"ZISRAWSUBBLOCK")
    metadata, attachment, pixels = struct.unpack("<iiq", file.at(start, 16, "a subblock"))
    end = start + 16 + max(metadata, 0) + max(attachment, 0) + max(pixels, 0)
    if end > file.size:
        msg = f"the last subblock ends at byte {end:,}, the file has {file.size:,}"
        raise BeyondEndError(msg)


def _sizes(book: FactBook, blocks: _Blocks) -> None:
    where = "CZI subblock directory"
    for name in "XYZCT":
        low, high = blocks.extent.get(name, (0, 1))
        book.put(f"size_{name.lower()}", max(1, high - low), where)
    for name, fact in (("S", "scenes"), ("M", "tiles")):
        if name in blocks.extent:
            book.put(fact, blocks.extent[name][1] - blocks.extent[name][0], where)
    kinds = {_PIXELS[kind] for kind in blocks.pixel_types if kind in _PIXELS}
    if len(kinds) == 1:
        book.put("dtype", next(iter(kinds)), where)
    if blocks.pixel_types & _COLOUR_PIXELS:
        book.put("samples", 3, where)


def _verdict(blocks: _Blocks, xml: Element | None) -> Compression | None:
    verdict: Compression | None = None
    for code in sorted(blocks.compressions):
        one = _COMPRESSIONS.get(code)
        if one is None:
            one = (
                _jpeg_xr(xml)
                if code == JPEG_XR
                else Compression(UNKNOWN, f"CZI compression {code}, camera or system specific")
            )
        verdict = one if verdict is None else verdict.worse(one)
    return verdict


def _jpeg_xr(xml: Element | None) -> Compression:
    quality = as_number(_text(first(xml, "OriginalEncodingQuality"))) if xml is not None else None
    if quality is None:
        return Compression(UNKNOWN, "CZI subblocks in JPEG XR of unstated quality")
    if quality < 100:  # noqa: PLR2004 - percent
        return Compression(LOSSY, f"CZI subblocks in JPEG XR, quality {quality:g}")
    return Compression(LOSSLESS, "CZI subblocks in JPEG XR, quality 100 by the metadata")


def _text(node: Element | None) -> str:
    return (node.text or "").strip() if node is not None else ""


def _describe(book: FactBook, xml: Element) -> None:
    for node in descendants(xml, "Distance"):
        axis = node.get("Id", "").lower()
        if axis in {"x", "y", "z"}:
            book.put_length(
                f"pixel_size_{axis}",
                as_number(_text(child(node, "Value"))),
                "m",
                f"Scaling/Items/Distance[{axis.upper()}]",
            )
    book.put("manufacturer", "Zeiss", "the CZI format", source=Source.INFERRED)
    scope = first(xml, "Instrument", "Microscopes", "Microscope")
    if scope is not None:
        system = _text(child(scope, "System"))
        for text in (_text(first(scope, "Model")), system, scope.get("Name", "")):
            if text:
                book.put_model(text, "Instrument/Microscope")
    _objective(book, xml)
    _channels(book, xml)
    image = first(xml, "Information", "Image")
    if image is not None:
        book.put(
            "acquired",
            _text(child(image, "AcquisitionDateAndTime")),
            "Image/AcquisitionDateAndTime",
        )
    software = first(xml, "Application")
    if software is not None:
        name = f"{_text(child(software, 'Name'))} {_text(child(software, 'Version'))}"
        book.put("software", name.strip(), "Application")


def _objective(book: FactBook, xml: Element) -> None:
    settings = first(xml, "ObjectiveSettings")
    reference = first(settings, "ObjectiveRef") if settings is not None else None
    wanted = reference.get("Id") if reference is not None else None
    for node in descendants(xml, "Objective"):
        if wanted and node.get("Id") != wanted:
            continue
        magnification = as_number(_text(child(node, "NominalMagnification")))
        aperture = as_number(_text(child(node, "LensNA")))
        if magnification or aperture:
            book.put("objective_magnification", magnification, "Objective/NominalMagnification")
            book.put("objective_na", aperture, "Objective/LensNA")
            name = node.get("Name", "") or _text(first(node, "Model"))
            book.put("objective", name, "Objective@Name")
            return


def _channels(book: FactBook, xml: Element) -> None:
    dimensions = first(xml, "Image", "Dimensions", "Channels")
    if dimensions is None:
        return
    nodes = list(children(dimensions, "Channel"))
    where = "Dimensions/Channels/Channel"
    book.put_channels((n.get("Name") or _text(child(n, "Fluor")) for n in nodes), where)
    exposures = (as_number(_text(first(n, "ExposureTime"))) for n in nodes)
    book.put_each(
        "exposure",
        (e / 1e6 if e is not None else None for e in exposures),
        f"{where}/ExposureTime",
        "ms",
    )
    book.put_each(
        "excitation_wavelength",
        (as_number(_text(first(n, "ExcitationWavelength"))) for n in nodes),
        where,
        "nm",
    )
    book.put("binning", _text(first(dimensions, "Binning")), where)
