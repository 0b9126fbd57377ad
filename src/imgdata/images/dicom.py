"""Read DICOM: transfer syntax, the sticky mark of lossy compression, sizes, manufacturer.

Pixels are never loaded; whether they are all there follows from sizes and the last element.
"""

import warnings
from typing import Any

from imgdata.images import codestreams
from imgdata.images.bounded_file import BoundedFile
from imgdata.images.fact_book import FactBook, milliseconds
from imgdata.images.safe_xml import as_number
from imgdata.model.facts import Compression, Packing, Reading, Symptom

LOSSLESS, LOSSY, UNKNOWN = Packing.LOSSLESS, Packing.LOSSY, Packing.UNKNOWN
_BASE = "1.2.840.10008.1.2"
SYNTAXES = {
    _BASE: (LOSSLESS, "implicit VR little endian"),
    f"{_BASE}.1": (LOSSLESS, "explicit VR little endian"),
    f"{_BASE}.1.99": (LOSSLESS, "deflated explicit VR"),
    f"{_BASE}.2": (LOSSLESS, "explicit VR big endian"),
    f"{_BASE}.5": (LOSSLESS, "RLE"),
    f"{_BASE}.4.50": (LOSSY, "JPEG baseline"),
    f"{_BASE}.4.51": (LOSSY, "JPEG extended"),
    f"{_BASE}.4.57": (LOSSLESS, "JPEG lossless"),
    f"{_BASE}.4.70": (LOSSLESS, "JPEG lossless, first order"),
    f"{_BASE}.4.80": (LOSSLESS, "JPEG-LS lossless"),
    f"{_BASE}.4.81": (LOSSY, "JPEG-LS near-lossless"),
    f"{_BASE}.4.90": (LOSSLESS, "JPEG 2000 lossless"),
    f"{_BASE}.4.91": (UNKNOWN, "JPEG 2000"),
    f"{_BASE}.4.92": (LOSSLESS, "JPEG 2000 part 2 lossless"),
    f"{_BASE}.4.93": (UNKNOWN, "JPEG 2000 part 2"),
    f"{_BASE}.4.100": (LOSSY, "MPEG-2"),
    f"{_BASE}.4.102": (LOSSY, "MPEG-4"),
    f"{_BASE}.4.107": (LOSSY, "HEVC"),
    f"{_BASE}.4.110": (LOSSLESS, "JPEG XL lossless"),
    f"{_BASE}.4.111": (LOSSY, "JPEG XL made from JPEG"),
    f"{_BASE}.4.112": (UNKNOWN, "JPEG XL"),
    f"{_BASE}.4.201": (LOSSLESS, "HTJ2K lossless"),
    f"{_BASE}.4.202": (LOSSLESS, "HTJ2K lossless, RPCL"),
    f"{_BASE}.4.203": (UNKNOWN, "HTJ2K"),
}
DEFLATED = f"{_BASE}.1.99"
PIXEL_DATA = b"\xe0\x7f\x10\x00"
_END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0"


def read(file: BoundedFile) -> Reading:
    """Return what a DICOM file says; damage becomes symptoms."""
    book = FactBook()
    symptoms: list[Symptom] = []
    compression: Compression | None = None
    try:
        compression = _describe(file, book, symptoms)
    except EOFError as error:
        symptoms.append(Symptom("IMG-101", f"the data set ends early: {error}", "whole elements"))
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 - pydicom raises anything on damaged files
        found = f"pydicom cannot read it: {type(error).__name__}: {str(error)[:160]}"
        symptoms.append(Symptom("IMG-102", found, "readable DICOM"))
    if compression is not None and compression.packing is not LOSSLESS:
        rule = "IMG-201" if compression.packing is LOSSY else "IMG-202"
        symptoms.append(Symptom(rule, compression.reason, "lossless or no compression"))
    return Reading(
        "dicom",
        "pydicom",
        facts=book.facts,
        compression=compression,
        symptoms=tuple(symptoms),
        sample_hash=file.sample_hash(),
    )


def _describe(file: BoundedFile, book: FactBook, symptoms: list[Symptom]) -> Compression:
    import pydicom  # noqa: PLC0415 - an extra, imported only for DICOM files

    with warnings.catch_warnings(), file.path.open("rb") as stream:
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(stream, stop_before_pixels=True, defer_size=65536, force=True)
        _facts(book, data)
        at = stream.tell()
        syntax = str(data.file_meta.get("TransferSyntaxUID", ""))
        lossy = str(data.get("LossyImageCompression", ""))
        if syntax != DEFLATED:
            _pixels(file, at, data, syntax, symptoms)
    if not syntax:
        syntax = _guessed_syntax(data)
    packing, title = SYNTAXES.get(syntax, (UNKNOWN, f"transfer syntax {syntax or 'not named'}"))
    if lossy == "01":
        return Compression(LOSSY, f"DICOM, marked as lossy (0028,2110); now {title}")
    verdict = Compression(packing, f"DICOM, {title}")
    if packing is UNKNOWN and "JPEG 2000" in title:
        verdict = _codestream(file, at) or verdict
    return verdict


def _guessed_syntax(data: Any) -> str:  # noqa: ANN401 - pydicom's own type
    """Return the syntax of a data set without a file header: never compressed."""
    implicit, little = data.original_encoding
    if implicit:
        return _BASE
    return f"{_BASE}.1" if little else f"{_BASE}.2"


def _codestream(file: BoundedFile, at: int) -> Compression | None:
    found = codestreams.jpeg2000(file.some(at, 65536))
    return found if found.packing is LOSSY else None


def _pixels(file: BoundedFile, at: int, data: Any, syntax: str, symptoms: list[Symptom]) -> None:  # noqa: ANN401 - pydicom's own type
    """Check that the pixel data element is whole: by its length, or by its closing delimiter."""
    head = file.some(at, 12)
    little = syntax != f"{_BASE}.2"
    order = "little" if little else "big"
    if head[:4] not in {PIXEL_DATA, b"\x7f\xe0\x00\x10"}:
        if data.get("Rows") and data.get("SOPClassUID") and not head:
            symptoms.append(Symptom("IMG-101", "no pixel data behind the header", "pixel data"))
        return
    explicit = head[4:6] in {b"OB", b"OW"}
    length = int.from_bytes(head[8:12] if explicit else head[4:8], order)  # type: ignore[arg-type]
    start = at + (12 if explicit else 8)
    if length == 0xFFFFFFFF:  # noqa: PLR2004 - undefined length: fragments up to a delimiter
        if _END_OF_SEQUENCE not in file.some(max(start, file.size - 4096), 4096):
            symptoms.append(
                Symptom(
                    "IMG-101",
                    "fragments without their closing delimiter",
                    "a sequence delimiter at the end",
                )
            )
        return
    if start + length > file.size:
        symptoms.append(Symptom("IMG-101", f"{file.size:,} bytes", f"{start + length:,} bytes"))
        return
    needed = _needed(data)
    if needed and length < needed:
        symptoms.append(Symptom("IMG-101", f"{length:,} bytes of pixels", f"{needed:,} bytes"))


def _needed(data: Any) -> int:  # noqa: ANN401 - pydicom's own type
    try:
        bits = int(data.get("BitsAllocated", 0))
        count = int(data.get("Rows", 0)) * int(data.get("Columns", 0))
        samples = int(data.get("SamplesPerPixel", 1))
        frames = int(data.get("NumberOfFrames", 1) or 1)
    except (TypeError, ValueError):
        return 0
    if "422" in str(data.get("PhotometricInterpretation", "")):
        return 0
    return count * samples * frames * bits // 8


def _facts(book: FactBook, data: Any) -> None:  # noqa: ANN401 - pydicom's own type
    def said(name: str) -> str:
        return str(data.get(name, "") or "").strip()

    def whole(name: str) -> int | None:
        found = as_number(said(name))
        return int(found) if found else None

    book.put("size_x", whole("Columns"), "(0028,0011) Columns")
    book.put("size_y", whole("Rows"), "(0028,0010) Rows")
    book.put("size_c", whole("SamplesPerPixel"), "(0028,0002) SamplesPerPixel")
    book.put("planes", whole("NumberOfFrames"), "(0028,0008) NumberOfFrames")
    book.put("total_size_x", whole("TotalPixelMatrixColumns"), "(0048,0006)")
    book.put("total_size_y", whole("TotalPixelMatrixRows"), "(0048,0007)")
    bits = whole("BitsAllocated")
    if bits:
        kind = "int" if said("PixelRepresentation") == "1" else "uint"
        book.put("dtype", "bool" if bits == 1 else f"{kind}{bits}", "(0028,0100) BitsAllocated")
    book.put("significant_bits", whole("BitsStored"), "(0028,0101) BitsStored")
    book.put("manufacturer", said("Manufacturer"), "(0008,0070) Manufacturer")
    if said("ManufacturerModelName"):
        book.put_model(said("ManufacturerModelName"), "(0008,1090) ManufacturerModelName")
    book.put("serial", said("DeviceSerialNumber"), "(0018,1000) DeviceSerialNumber")
    book.put(
        "exposure",
        milliseconds(as_number(said("ExposureTime")), "ms"),
        "(0018,1150) ExposureTime",
        "ms",
    )
    book.put("modality", said("Modality"), "(0008,0060) Modality")
    book.put("acquired", said("AcquisitionDateTime") or said("AcquisitionDate"), "(0008,0022)")
    _spacing(book, data)


def _spacing(book: FactBook, data: Any) -> None:  # noqa: ANN401 - pydicom's own type
    spacing = data.get("PixelSpacing")
    where = "(0028,0030) PixelSpacing"
    if spacing is None:
        shared = data.get("SharedFunctionalGroupsSequence")
        measures = shared[0].get("PixelMeasuresSequence") if shared else None
        spacing = measures[0].get("PixelSpacing") if measures else None
        where = "PixelMeasuresSequence/PixelSpacing"
    if spacing is not None and len(spacing) == 2:  # noqa: PLR2004 - rows, columns
        book.put_length("pixel_size_y", as_number(str(spacing[0])), "mm", where)
        book.put_length("pixel_size_x", as_number(str(spacing[1])), "mm", where)
