"""What the writers of TIFF files say beside the standard tags: one function a writer.

A resolution tag is believed only from writers known to put the pixel size of the sample there.
"""

import json
import re
import struct
from collections.abc import Callable

from msgspec import Struct

from imgdata.images import harmony, metamorph
from imgdata.images.fact_book import FactBook, milliseconds
from imgdata.images.safe_xml import as_number, first, parse
from imgdata.images.tiff_directory import Directory
from imgdata.model.facts import Source

DESCRIPTION, MAKE, MODEL, SOFTWARE, DATE_TIME = 270, 271, 272, 305, 306
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
LSM_INFO, MICRO_MANAGER, NDPI_FORMAT, NDPI_LENS = 34412, 51123, 65420, 65421
PHOTOSHOP_RESOURCES, PHOTOSHOP_LAYERS = 34377, 37724
_EDITORS = re.compile(
    r"tifffile|imagej|fiji|adobe photoshop|photoshop|gimp|irfanview|paint\.net|imagemagick|"
    r"graphicsmagick|lightroom|acapella|matlab|libvips|xnview|affinity|opencv|scikit-image|"
    r"cellprofiler|pillow|faststone",
    re.IGNORECASE,
)


class Vendor(Struct, frozen=True):
    """Who wrote a TIFF, and what that program said.

    Attributes:
        flavour: Short name of the writer.
        book: The facts.
        resaved_by: The editor or script that wrote the file, or empty for an instrument.
    """

    flavour: str
    book: FactBook
    resaved_by: str = ""


def describe(page: Directory, description: str) -> Vendor:
    """Return what the file's writer said, by the first writer whose marks are there."""
    for matches, reader in _WRITERS:
        if matches(page, description):
            return reader(page, description)
    return _plain(page, description)


def editor(page: Directory) -> str:
    """Return the editor or script named by tag Software or by its private tags, or empty."""
    software = page.text(SOFTWARE)
    found = _EDITORS.search(software)
    if found:
        return software[:80]
    if PHOTOSHOP_LAYERS in page.tags or PHOTOSHOP_RESOURCES in page.tags:
        return "Adobe Photoshop (image resources)"
    return ""


def resolution_um(page: Directory) -> float | None:
    """Return the pixel size the resolution tags would mean, in micrometres; for messages only."""
    resolution = page.rational(X_RESOLUTION)
    unit = {2: 25400.0, 3: 10000.0}.get(page.whole(RESOLUTION_UNIT, 2))
    return unit / resolution if resolution and unit else None


def _standard(book: FactBook, page: Directory) -> None:
    book.put("manufacturer", page.text(MAKE), "tag Make")
    if page.text(MODEL):
        book.put_model(page.text(MODEL), "tag Model")
    book.put("software", page.text(SOFTWARE), "tag Software")
    book.put("acquired", page.text(DATE_TIME), "tag DateTime")


def _plain(page: Directory, description: str) -> Vendor:
    book = FactBook()
    _standard(book, page)
    metamorph.describe_text(book, description[:8000], "tag ImageDescription")
    return Vendor("", book, editor(page))


def _metaseries(page: Directory, description: str) -> Vendor:
    book = metamorph.describe_metaseries(description)
    _standard(book, page)
    return Vendor("metaseries", book)


def _stk(page: Directory, _description: str) -> Vendor:
    return Vendor("stk", metamorph.describe_stk(page))


def _harmony(page: Directory, _description: str) -> Vendor:
    return Vendor("phenix", harmony.describe(page))


def _imagej(page: Directory, description: str) -> Vendor:
    book = FactBook()
    lines = dict(line.split("=", 1) for line in description[:20000].splitlines() if "=" in line)
    unit = lines.get("unit", "").strip()
    for axis, tag in (("x", X_RESOLUTION), ("y", Y_RESOLUTION)):
        resolution = page.rational(tag)
        if unit and resolution and unit.lower() not in {"pixel", "pixels", "inch"}:
            book.put_length(
                f"pixel_size_{axis}", 1 / resolution, unit, "ImageJ unit and resolution"
            )
    if unit:
        book.put_length("pixel_size_z", as_number(lines.get("spacing")), unit, "ImageJ spacing")
    for name, key in (("size_c", "channels"), ("size_z", "slices"), ("size_t", "frames")):
        count = as_number(lines.get(key))
        book.put(name, int(count) if count else None, f"ImageJ {key}")
    images = as_number(lines.get("images"))
    book.put("planes", int(images) if images and images > 0 else None, "ImageJ images")
    flavour, resaved = "imagej", f"ImageJ {lines.get('ImageJ', '')}".strip()
    if MICRO_MANAGER in page.tags:
        flavour, resaved = "micro-manager", ""
        _micro_manager(book, page)
    _standard(book, page)
    return Vendor(flavour, book, resaved)


def _micro_manager(book: FactBook, page: Directory) -> None:
    try:
        said = json.loads(page.raw(MICRO_MANAGER).rstrip(b"\0"))
    except (ValueError, RecursionError):
        return
    if not isinstance(said, dict):
        return
    where = "Micro-Manager metadata"
    size = said.get("PixelSizeUm", said.get("PixelSize_um"))
    if isinstance(size, int | float):
        book.put_length("pixel_size_x", float(size), "um", f"{where} PixelSizeUm")
        book.put_length("pixel_size_y", float(size), "um", f"{where} PixelSizeUm")
    exposure = said.get("Exposure-ms")
    if isinstance(exposure, int | float):
        book.put("exposure", float(exposure), f"{where} Exposure-ms", "ms")
    for name, key in (("camera", "Camera"), ("acquired", "Time"), ("binning", "Binning")):
        book.put(name, str(said.get(key, "")), f"{where} {key}")
    if isinstance(said.get("Channel"), str):
        book.put_channels([said["Channel"]], f"{where} Channel")


def _shaped(page: Directory, _description: str) -> Vendor:
    book = FactBook()
    _standard(book, page)
    return Vendor("tifffile", book, "tifffile (a script)")


def _lsm(page: Directory, _description: str) -> Vendor:
    book = FactBook()
    data = page.raw(LSM_INFO)
    book.put("manufacturer", "Zeiss", "the LSM format", source=Source.INFERRED)
    if len(data) >= 64:  # noqa: PLR2004 - CZ_LSMINFO up to VoxelSizeZ
        size_z, size_c, size_t = struct.unpack(page.layout.order + "3i", data[16:28])
        for name, count in (("size_z", size_z), ("size_c", size_c), ("size_t", size_t)):
            book.put(name, count if count > 0 else None, "CZ_LSMINFO")
        sizes = struct.unpack(page.layout.order + "3d", data[40:64])
        for axis, metres in zip("xyz", sizes, strict=True):
            book.put_length(
                f"pixel_size_{axis}", metres, "m", f"CZ_LSMINFO VoxelSize{axis.upper()}"
            )
    _standard(book, page)
    return Vendor("lsm", book)


def _ndpi(page: Directory, _description: str) -> Vendor:
    book = FactBook()
    for axis, tag in (("x", X_RESOLUTION), ("y", Y_RESOLUTION)):
        resolution = page.rational(tag)
        if resolution and page.whole(RESOLUTION_UNIT, 2) == 3:  # noqa: PLR2004 - centimetre
            book.put_length(f"pixel_size_{axis}", 1 / resolution, "cm", "tag XResolution (NDPI)")
    lens = page.raw(NDPI_LENS)
    if len(lens) == 4:  # noqa: PLR2004 - one float
        book.put(
            "objective_magnification",
            struct.unpack(page.layout.order + "f", lens)[0],
            "tag 65421 SourceLens",
        )
    _standard(book, page)
    return Vendor("ndpi", book)


def _aperio(page: Directory, description: str) -> Vendor:
    book = FactBook()
    pairs = dict(p.split("=", 1) for p in description[:20000].split("|") if "=" in p)
    said = {key.strip(): text.strip() for key, text in pairs.items()}
    for axis in "xy":
        book.put_length(f"pixel_size_{axis}", as_number(said.get("MPP")), "um", "Aperio MPP")
    book.put("objective_magnification", as_number(said.get("AppMag")), "Aperio AppMag")
    book.put("manufacturer", "Aperio", "Aperio description", source=Source.INFERRED)
    book.put("serial", said.get("ScanScope ID"), "Aperio ScanScope ID")
    book.put("acquired", f"{said.get('Date', '')} {said.get('Time', '')}".strip(), "Aperio Date")
    _standard(book, page)
    return Vendor("aperio", book)


def _qptiff(page: Directory, description: str) -> Vendor:
    book = FactBook()
    root = parse(description)

    def said(*names: str) -> str:
        node = first(root, *names)
        return (node.text or "").strip() if node is not None else ""

    for axis in "xy":
        book.put_length(
            f"pixel_size_{axis}",
            as_number(said("PixelSizeMicrons")),
            "um",
            "PerkinElmer-QPI PixelSizeMicrons",
        )
    for axis, tag in (("x", X_RESOLUTION), ("y", Y_RESOLUTION)):
        resolution = page.rational(tag)
        if resolution and page.whole(RESOLUTION_UNIT, 2) == 3:  # noqa: PLR2004 - centimetre
            book.put_length(f"pixel_size_{axis}", 1 / resolution, "cm", "tag XResolution (QPTIFF)")
    book.put("manufacturer", "PerkinElmer", "PerkinElmer-QPI", source=Source.INFERRED)
    book.put("model", said("InstrumentType"), "PerkinElmer-QPI InstrumentType")
    book.put(
        "exposure",
        milliseconds(as_number(said("ExposureTime")), "us"),
        "PerkinElmer-QPI ExposureTime",
        "ms",
    )
    book.put("objective", said("Objective"), "PerkinElmer-QPI Objective")
    book.put_channels([said("Name")], "PerkinElmer-QPI Name")
    _standard(book, page)
    return Vendor("qptiff", book)


def _leica_scn(page: Directory, description: str) -> Vendor:
    book = FactBook()
    root = parse(description)
    node = first(root, "objective")
    book.put("manufacturer", "Leica", "the SCN format", source=Source.INFERRED)
    book.put(
        "objective_magnification",
        as_number(node.text if node is not None else None),
        "SCN objective",
    )
    aperture = first(root, "numericalAperture")
    book.put(
        "objective_na",
        as_number(aperture.text if aperture is not None else None),
        "SCN numericalAperture",
    )
    device = first(root, "device")
    book.put("model", device.get("model", "") if device is not None else "", "SCN device@model")
    for axis, tag in (("x", X_RESOLUTION), ("y", Y_RESOLUTION)):
        resolution = page.rational(tag)
        if resolution and page.whole(RESOLUTION_UNIT, 2) == 3:  # noqa: PLR2004 - centimetre
            book.put_length(f"pixel_size_{axis}", 1 / resolution, "cm", "tag XResolution (SCN)")
    _standard(book, page)
    return Vendor("scn", book)


_Match = Callable[[Directory, str], bool]
_Read = Callable[[Directory, str], Vendor]
_WRITERS: tuple[tuple[_Match, _Read], ...] = (
    (lambda page, _: metamorph.UIC2 in page.tags, _stk),
    (lambda _, text: metamorph.is_metaseries(text), _metaseries),
    (lambda page, _: harmony.is_harmony(page), _harmony),
    (lambda page, _: LSM_INFO in page.tags, _lsm),
    (lambda page, _: NDPI_FORMAT in page.tags, _ndpi),
    (lambda _, text: text.startswith("ImageJ="), _imagej),
    (lambda _, text: text.startswith('{"shape":'), _shaped),
    (lambda _, text: text.startswith("Aperio "), _aperio),
    (lambda _, text: "<PerkinElmer-QPI-ImageDescription" in text[:400], _qptiff),
    (lambda _, text: "http://www.leica-microsystems.com/scn" in text[:600], _leica_scn),
)
