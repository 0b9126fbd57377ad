"""Read Leica LIF: the XML header and the memory blocks it names.

LIF pixels are stored uncompressed by format; truncation shows as a memory block that ends beyond
the file or is not there. Source: Leica LIF file format as documented by Bio-Formats and liffile.
"""

import struct
from xml.etree.ElementTree import Element

from msgspec import Struct

from imgdata.images.bounded_file import BeyondEndError, BoundedFile, BrokenStructureError
from imgdata.images.fact_book import FactBook
from imgdata.images.safe_xml import (
    BadXmlError,
    UnsafeXmlError,
    as_number,
    descendants,
    first,
    parse,
)
from imgdata.model.facts import Compression, Packing, Reading, Source, Symptom

_MARK, _TEST = 0x70, 0x2A
MAX_BLOCKS = 1_000_000
_AXES = {1: "x", 2: "y", 3: "z", 4: "t"}
UNCOMPRESSED = Compression(Packing.LOSSLESS, "LIF stores pixels uncompressed")


class _Blocks(Struct):
    """Memory blocks found in the file: name to size."""

    sizes: dict[str, int]
    cut: str = ""


def read(file: BoundedFile) -> Reading:
    """Return what a LIF says about its first image; damage becomes symptoms."""
    book = FactBook()
    symptoms: list[Symptom] = []
    compression: Compression | None = None
    name = "lif"
    try:
        text, position = _xml_chunk(file)
        if text.startswith("LMS_Object_File"):
            return _object_file()
        root = parse(text)
        if first(root, "Memory") is None and root.tag.startswith("LMSDataContainerHeader"):
            name = "xlif"
        compression = UNCOMPRESSED
        _describe(book, root)
        blocks = _memory_blocks(file, position)
        _compare(symptoms, root, blocks)
    except BeyondEndError as error:
        symptoms.append(Symptom("IMG-101", error.problem, "the whole file"))
    except UnsafeXmlError as error:
        symptoms.append(Symptom("IMG-107", error.problem))
    except (BrokenStructureError, BadXmlError) as error:
        symptoms.append(Symptom("IMG-102", error.problem, "a LIF header"))
    return Reading(
        name,
        "imgdata lif",
        facts=book.facts,
        compression=compression,
        symptoms=tuple(symptoms),
        sample_hash=file.sample_hash(),
    )


def _object_file() -> Reading:
    """Leica's LOF keeps one image a file, in a form that is not read here."""
    symptom = Symptom("IMG-901", "Leica LOF: imgdata has no reader for it", "")
    return Reading("lof", "none", checked=False, symptoms=(symptom,))


def _xml_chunk(file: BoundedFile) -> tuple[str, int]:
    mark, length, test, characters = struct.unpack("<iibi", file.at(0, 13, "the header"))
    if mark != _MARK or test != _TEST or characters < 0:
        msg = "the header is not that of a LIF"
        raise BrokenStructureError(msg)
    data = file.at(13, characters * 2, "the XML header")
    return data.decode("utf-16-le", "replace"), 8 + length


def _memory_blocks(file: BoundedFile, position: int) -> _Blocks:
    found = _Blocks({})
    for _ in range(MAX_BLOCKS):
        if position >= file.size:
            return found
        head = file.at(position, 8, "a memory block")
        mark, length = struct.unpack("<ii", head)
        body = file.at(position + 8, max(0, min(length, 4096)), "a memory block")
        if mark != _MARK or len(body) < 10 or body[0] != _TEST:  # noqa: PLR2004 - size and test bytes
            msg = f"no memory block at byte {position:,}"
            raise BrokenStructureError(msg)
        size, name = _block(body)
        start = position + 8 + length
        if start + size > file.size:
            found.cut = f"{name} ends at byte {start + size:,}, the file has {file.size:,}"
            return found
        found.sizes[name] = size
        position = start + size
    return found


def _block(body: bytes) -> tuple[int, str]:
    """Return size and name of a memory block; sizes are 32 bits before version 2, then 64."""
    if body[5] == _TEST:
        size, at = struct.unpack("<I", body[1:5])[0], 6
    else:
        size, at = struct.unpack("<q", body[1:9])[0], 10
    if size < 0:
        msg = "a memory block of negative size"
        raise BrokenStructureError(msg)
    count = struct.unpack("<i", body[at : at + 4].ljust(4, b"\0"))[0]
    return size, body[at + 4 : at + 4 + 2 * max(0, count)].decode("utf-16-le", "replace")


def _compare(symptoms: list[Symptom], root: Element, blocks: _Blocks) -> None:
    if blocks.cut:
        symptoms.append(Symptom("IMG-101", blocks.cut, "all memory blocks"))
        return
    wanted = {
        node.get("MemoryBlockID", ""): int(as_number(node.get("Size")) or 0)
        for node in descendants(root, "Memory")
    }
    gone = [name for name, size in wanted.items() if size > 0 and name not in blocks.sizes]
    if gone and wanted:
        symptoms.append(
            Symptom(
                "IMG-101",
                f"{len(gone)} of {len(wanted)} memory blocks are not in the file",
                "all memory blocks",
            )
        )


def _describe(book: FactBook, root: Element) -> None:
    book.put("manufacturer", "Leica", "the LIF format", source=Source.INFERRED)
    image = next(
        (n for n in descendants(root, "Image") if first(n, "DimensionDescription") is not None),
        None,
    )
    if image is None:
        return
    images = sum(1 for n in descendants(root, "Image") if first(n, "Dimensions") is not None)
    book.put("images", images, "Image elements")
    where = "ImageDescription/Dimensions"
    for node in descendants(image, "DimensionDescription"):
        _dimension(book, node, where)
    channels = list(descendants(image, "ChannelDescription"))
    book.put("size_c", len(channels) or None, "ChannelDescription")
    bits = as_number(channels[0].get("Resolution")) if channels else None
    if bits:
        kind = "float" if channels[0].get("DataType") == "1" else "uint"
        size = next((s for s in (8, 16, 32, 64) if bits <= s), 64)
        book.put("dtype", f"{kind}{size}", "ChannelDescription@Resolution")
        book.put("significant_bits", int(bits), "ChannelDescription@Resolution")
    for axis in "zt":
        book.put(f"size_{axis}", 1, where)
    _instrument(book, root, image)


def _dimension(book: FactBook, node: Element, where: str) -> None:
    axis = _AXES.get(int(as_number(node.get("DimID")) or 0))
    count = int(as_number(node.get("NumberOfElements")) or 0)
    if axis is None or count <= 0:
        return
    book.put(f"size_{axis}", count, f"{where}@NumberOfElements")
    length = as_number(node.get("Length"))
    if axis != "t" and length is not None and count > 1:
        # Leica gives the distance between the first and the last pixel's centres.
        unit = node.get("Unit", "m")
        book.put_length(f"pixel_size_{axis}", abs(length) / (count - 1), unit, f"{where}@Length")


def _instrument(book: FactBook, root: Element, image: Element) -> None:
    settings = next(
        (
            n
            for n in image.iter()
            if n.tag in {"ATLConfocalSettingDefinition", "ATLCameraSettingDefinition"}
        ),
        None,
    )
    if settings is not None:
        names = settings.attrib
        where = settings.tag
        book.put("model", names.get("SystemTypeName") or names.get("MicroscopeModel"), where)
        book.put("serial", names.get("SystemSerialNumber"), where)
        book.put("objective", names.get("ObjectiveName"), where)
        book.put("objective_magnification", as_number(names.get("Magnification")), where)
        book.put("objective_na", as_number(names.get("NumericalAperture")), where)
    records = {
        (n.get("Identifier") or ""): n.get("Variant", "")
        for n in descendants(root, "ScannerSettingRecord")
    }
    book.put("model", records.get("SystemType"), "ScannerSettingRecord SystemType")
    names_of = [n.get("LUTName", "") for n in descendants(image, "ChannelDescription")]
    book.put_channels(names_of, "ChannelDescription@LUTName")
    exposures = [as_number(n.get("ExposureTime")) for n in image.iter() if n.get("ExposureTime")]
    book.put_each(
        "exposure",
        (e * 1e3 if e is not None else None for e in exposures[:16]),
        "ExposureTime",
        "ms",
    )
