"""The table of image formats: first bytes, reader, extra; and the one function that reads a file.

A format is a row here and a file beside this one. Names never decide: a file is what its first
bytes say, and a name that promises something else is a finding (IMG-104).
"""

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from imgdata.images.bounded_file import BoundedFile
from imgdata.model.facts import Reading, Symptom

Recognise = Callable[[bytes], bool]
Read = Callable[[BoundedFile], Reading]


class Format(Struct, frozen=True):
    """One row: how to recognise a format and what reads it.

    Attributes:
        name: Short name in reports.
        title: The name a person knows.
        recognise: Tells from the first 8 kB.
        reader: `module:function`, imported when first needed.
        needs: Modules that must be installed, from the extra `formats`.
        suffixes: Endings such files may bear.
    """

    name: str
    title: str
    recognise: Recognise
    reader: str
    needs: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()


def _starts(*marks: bytes) -> Recognise:
    return lambda head: head.startswith(marks)


def _at(position: int, *marks: bytes) -> Recognise:
    return lambda head: head[position : position + 32].startswith(marks)


def _markup(head: bytes) -> bytes:
    return head[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()


def _is_text(head: bytes) -> bool:
    part = head[:1024]
    return bool(part) and not any(b < 9 or 13 < b < 32 for b in part)  # noqa: PLR2004 - control codes


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in {
        b"avif",
        b"avis",
        b"heic",
        b"heix",
        b"mif1",
        b"msf1",
        b"hevc",
    }


def _is_bmp(head: bytes) -> bool:
    return (
        head[:2] == b"BM"
        and head[6:10] == b"\0\0\0\0"
        and head[14:18]
        in {b"\x28\0\0\0", b"\x0c\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0", b"\x38\0\0\0"}
    )


def _is_lif(head: bytes) -> bool:
    return head[:4] == b"\x70\0\0\0" and head[8:9] == b"\x2a"


def _is_dicom(head: bytes) -> bool:
    """Recognise DICOM by its prefix, or by a first element of group 2 or 8 without one."""
    if head[128:132] == b"DICM":
        return True
    group, element, kind = head[:2], head[2:4], head[4:8]
    if group in {b"\x02\0", b"\x08\0"} and element[1:] == b"\0":
        explicit = kind[:2] in {b"UL", b"CS", b"UI", b"DA", b"TM", b"SH", b"OB"}
        return explicit or (0 < int.from_bytes(kind, "little") <= 64)  # noqa: PLR2004 - a short element
    return group == b"\0\x08" and element[:1] == b"\0" and kind[:2].isalpha()


TIFF_SUFFIXES = (
    ".tif",
    ".tiff",
    ".stk",
    ".lsm",
    ".svs",
    ".ndpi",
    ".scn",
    ".btf",
    ".tf2",
    ".tf8",
    ".flex",
    ".qptiff",
    ".dng",
    ".nef",
    ".cr2",
    ".arw",
    ".ome",
    ".tnb",
    ".gel",
    ".bif",
    ".vsi",
)
FORMATS: tuple[Format, ...] = (
    # First: a DICOM slide may carry a TIFF header in its preamble.
    Format(
        "dicom",
        "DICOM",
        _is_dicom,
        "imgdata.images.dicom:read",
        ("pydicom",),
        (".dcm", ".dicom", ".ima"),
    ),
    Format(
        "tiff",
        "TIFF",
        _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "imgdata.images.tiff:read",
        (),
        TIFF_SUFFIXES,
    ),
    Format(
        "png",
        "PNG",
        _starts(b"\x89PNG\r\n\x1a\n"),
        "imgdata.images.pictures:read_png",
        (),
        (".png",),
    ),
    Format(
        "jpeg",
        "JPEG",
        _starts(b"\xff\xd8\xff"),
        "imgdata.images.pictures:read_jpeg",
        (),
        (".jpg", ".jpeg", ".jpe", ".jfif", ".jls", ".jpls"),
    ),
    Format(
        "jp2",
        "JPEG 2000",
        _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        "imgdata.images.pictures:read_jp2",
        (),
        (".jp2", ".j2k", ".jpx", ".j2c", ".jpc", ".jpf", ".nd2"),
    ),
    Format(
        "jxl",
        "JPEG XL",
        _starts(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
        "imgdata.images.pictures:read_jxl",
        (),
        (".jxl",),
    ),
    Format(
        "webp",
        "WebP",
        lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        "imgdata.images.pictures:read_webp",
        (),
        (".webp",),
    ),
    Format(
        "gif",
        "GIF",
        _starts(b"GIF87a", b"GIF89a"),
        "imgdata.images.pictures:read_gif",
        (),
        (".gif",),
    ),
    Format("bmp", "BMP", _is_bmp, "imgdata.images.pictures:read_bmp", (), (".bmp", ".dib")),
    Format(
        "heif",
        "AVIF or HEIC",
        _is_heif,
        "imgdata.images.pictures:read_heif",
        (),
        (".avif", ".heic", ".heif"),
    ),
    Format(
        "jxr",
        "JPEG XR",
        _starts(b"II\xbc\x00", b"II\xbc\x01"),
        "imgdata.images.pictures:read_jxr",
        (),
        (".jxr", ".wdp", ".hdp"),
    ),
    Format(
        "nd2",
        "Nikon ND2",
        _starts(b"\xda\xce\xbe\x0a"),
        "imgdata.images.nikon:read",
        ("nd2",),
        (".nd2",),
    ),
    Format("czi", "Zeiss CZI", _starts(b"ZISRAWFILE"), "imgdata.images.zeiss:read", (), (".czi",)),
    Format(
        "lif",
        "Leica LIF",
        _is_lif,
        "imgdata.images.leica:read",
        (),
        (".lif", ".lof", ".xlef", ".lifext"),
    ),
    Format(
        "hdf5",
        "HDF5",
        _starts(b"\x89HDF\r\n\x1a\n"),
        "imgdata.images.hdf5:read",
        ("h5py",),
        (".h5", ".hdf5", ".hdf", ".ims", ".he5", ".nwb", ".mat", ".ilp", ".ch5", ".loom", ".h5ad"),
    ),
    Format(
        "parquet",
        "Parquet",
        _starts(b"PAR1"),
        "imgdata.images.profile_tables:read",
        ("pyarrow",),
        (".parquet", ".pq"),
    ),
)
UNREADABLE: tuple[tuple[str, str, Recognise, tuple[str, ...]], ...] = (
    (
        "ole",
        "OLE compound file (Olympus OIB, Zeiss ZVI, Bitplane)",
        _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        (".oib", ".zvi", ".ipw", ".apl", ".mtb", ".sld"),
    ),
    ("dv", "DeltaVision", _at(96, b"\xa0\xc0", b"\xc0\xa0"), (".dv", ".r3d", ".d3d")),
    ("fits", "FITS", _starts(b"SIMPLE  ="), (".fits", ".fit", ".fts")),
    ("nrrd", "NRRD", _starts(b"NRRD000"), (".nrrd", ".nhdr")),
    ("ics", "Image Cytometry Standard", _starts(b"ics_version", b"\t\r\nics_version"), (".ics",)),
    ("etsf", "Olympus VSI/ETS", _starts(b"SIS\0"), (".ets",)),
    ("sldy", "SlideBook", _starts(b"Version 6", b"II\0\0\0\1II"), (".sld",)),
    ("nifti", "NIfTI", _at(344, b"n+1\0", b"ni1\0"), (".nii",)),
    ("exr", "OpenEXR", _starts(b"\x76\x2f\x31\x01"), (".exr",)),
    ("mrc", "MRC", _at(208, b"MAP "), (".mrc", ".mrcs", ".map", ".st", ".rec")),
)
OTHER_KINDS: tuple[tuple[str, Recognise], ...] = (
    ("a web page (HTML)", lambda head: _markup(head).startswith((b"<!doctype html", b"<html"))),
    ("XML", lambda head: _markup(head).startswith(b"<?xml")),
    ("a ZIP archive", _starts(b"PK\x03\x04")),
    ("a gzip archive", _starts(b"\x1f\x8b")),
    ("a PDF", _starts(b"%PDF-")),
    ("JSON", lambda head: _markup(head)[:1] in {b"{", b"["} and _is_text(head)),
    ("a git LFS pointer", _starts(b"version https://git-lfs.github.com/spec")),
    ("text", _is_text),
)
IMAGE_SUFFIXES = frozenset(
    suffix
    for row in FORMATS
    for suffix in row.suffixes
    if suffix not in {".mat", ".h5ad", ".loom", ".nwb", ".ilp", ".ome", ".xlef", ".lifext"}
) | frozenset(
    suffix for row in UNREADABLE for suffix in row[3] if suffix not in {".map", ".st", ".rec"}
)


def recognise(head: bytes) -> Format | None:
    """Return the format a file's first bytes belong to, or None."""
    return next((row for row in FORMATS if row.recognise(head)), None)


def read_image(path: Path) -> Reading | None:
    """Read one file: facts, compression and damage; None when it is no image by bytes or name.

    Opens the file once. Raises nothing for what is in the file: damage is a symptom.

    Raises:
        OSError: The file cannot be opened or read from its disk.
    """
    with BoundedFile(path) as file:
        suffix = path.suffix.lower()
        named = suffix in IMAGE_SUFFIXES
        if file.size == 0:
            return _plain("", Symptom("IMG-103", "0 bytes", "an image")) if named else None
        row = recognise(file.head)
        if row is not None:
            return _read_row(row, file, suffix)
        return _unknown(file, path) if named else None


def _read_row(row: Format, file: BoundedFile, suffix: str) -> Reading:
    reading = _not_checked(row.name, row.title)
    if all(is_installed(name) for name in row.needs):
        # Installed but broken: what could not be read has not been checked either.
        with suppress(ImportError):
            reading = _reader(row)(file)
    if suffix in IMAGE_SUFFIXES and suffix not in row.suffixes:
        symptom = Symptom("IMG-104", f"{row.title} content named {suffix}", f"{suffix} content")
        return _with(reading, symptom)
    return reading


def is_installed(module: str) -> bool:
    """Tell whether a module can be found, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _reader(row: Format) -> Read:
    module, _, function = row.reader.partition(":")
    return cast(Read, getattr(importlib.import_module(module), function))


def _with(reading: Reading, symptom: Symptom) -> Reading:
    return replace(reading, symptoms=(*reading.symptoms, symptom))


def _not_checked(name: str, title: str) -> Reading:
    symptom = Symptom(
        "IMG-901", f"{title}: no reader is installed", "pip install 'imgdata[formats]'"
    )
    return Reading(name, "none", checked=False, symptoms=(symptom,))


def _plain(name: str, *symptoms: Symptom) -> Reading:
    return Reading(name or "unknown", "imgdata", symptoms=symptoms)


def _unknown(file: BoundedFile, path: Path) -> Reading:
    suffix = path.suffix.lower()
    for name, title, recognises, _ in UNREADABLE:
        if recognises(file.head):
            symptom = Symptom("IMG-901", f"{title}: imgdata has no reader for it", "")
            return Reading(name, "none", checked=False, symptoms=(symptom,))
    if suffix in {s for row in UNREADABLE for s in row[3]}:
        symptom = Symptom("IMG-901", f"{suffix}: imgdata has no reader for it", "")
        return Reading(suffix.lstrip("."), "none", checked=False, symptoms=(symptom,))
    if not any(file.head):
        return _plain("", Symptom("IMG-102", "only zero bytes", "an image"))
    kind = next((title for title, recognises in OTHER_KINDS if recognises(file.head)), None)
    if kind is not None:
        return _plain("", Symptom("IMG-104", f"{kind} named {suffix}", f"{suffix} content"))
    if _cut_signature(file.head):
        return _plain("", Symptom("IMG-101", f"{file.size} bytes", "a whole header"))
    return _plain("", Symptom("IMG-102", "the first bytes belong to no image format", suffix))


def _cut_signature(head: bytes) -> bool:
    return len(head) < 8 and head[:2] in {b"II", b"MM", b"\x89P", b"\xff\xd8", b"ZI", b"\xda\xce"}  # noqa: PLR2004
