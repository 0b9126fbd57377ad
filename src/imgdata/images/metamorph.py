"""What MetaMorph and MetaXpress write: MetaSeries XML, plain text blocks and STK's UIC tags."""

import re
import struct

from imgdata.images.fact_book import FactBook, milliseconds
from imgdata.images.safe_xml import as_number, parse
from imgdata.images.tiff_directory import Directory
from imgdata.model.facts import Source

UIC1, UIC2 = 33628, 33629
_EXPOSURE = re.compile(r"^\s*Exposure:\s*([\d.,]+)\s*(\w+)", re.MULTILINE)
_BINNING = re.compile(r"^\s*Binning:\s*(\d+)\s*x\s*(\d+)", re.MULTILINE)
_REGION = re.compile(r"^\s*Region:\s*(\d+)\s*x\s*(\d+)", re.MULTILINE)
_CAMERA = re.compile(r"^\s*Acquired from\s+(.+?)\s*$", re.MULTILINE)
_TIME = re.compile(r"([\d.,]+)\s*(\w+)")
_MAGNIFICATION = re.compile(r"(\d+(?:\.\d+)?)\s*[xX]\b")
_MAX_PAIRS = 4096


def is_metaseries(text: str) -> bool:
    """Tell MetaSeries XML from other descriptions."""
    return text.lstrip().startswith("<MetaData>") and "</MetaData>" in text


def describe_metaseries(text: str) -> FactBook:
    """Return the facts of a MetaSeries description (MetaMorph, MetaXpress, ImageXpress)."""
    book = FactBook()
    root = parse(text)
    props = {
        node.get("id", ""): node.get("value", "")
        for node in root.iter()
        if node.tag in {"prop", "custom-prop"}
    }
    calibrated = props.get("spatial-calibration-state", "on") == "on"
    unit = props.get("spatial-calibration-units", "")
    if calibrated and unit:
        for axis in "xy":
            key = f"spatial-calibration-{axis}"
            book.put_length(
                f"pixel_size_{axis}", as_number(props.get(key)), unit, f"MetaSeries {key}"
            )
    _instrument(book, props)
    channel = props.get("_IllumSetting_") or props.get("image-name", "")
    book.put_channels([channel], "MetaSeries _IllumSetting_")
    book.put(
        "emission_wavelength", as_number(props.get("wavelength")), "MetaSeries wavelength", "nm"
    )
    exposure = _TIME.match(props.get("Exposure Time", ""))
    if exposure:
        book.put(
            "exposure",
            milliseconds(as_number(exposure[1]), exposure[2]),
            "MetaSeries Exposure Time",
            "ms",
        )
    book.put("acquired", props.get("acquisition-time-local"), "MetaSeries acquisition-time-local")
    book.put("stage_label", props.get("stage-label"), "MetaSeries stage-label")
    describe_text(book, props.get("Description", ""), "MetaSeries Description")
    binning = as_number(props.get("camera-binning-x"))
    book.put("binning", int(binning) if binning else None, "MetaSeries camera-binning-x")
    return book


def _instrument(book: FactBook, props: dict[str, str]) -> None:
    model = next((name for name in props if name.startswith("ImageXpress")), "")
    if model or "MetaXpress" in props.get("Description", ""):
        book.put(
            "manufacturer", "Molecular Devices", "MetaSeries key names", source=Source.INFERRED
        )
    if model:
        book.put(
            "model", " ".join(model.split()[:2]), "MetaSeries key names", source=Source.INFERRED
        )
    book.put("serial", props.get("Instrument Serial Number"), "MetaSeries Instrument Serial Number")
    book.put("objective", props.get("_MagSetting_"), "MetaSeries _MagSetting_")
    magnification = _MAGNIFICATION.search(props.get("_MagSetting_", ""))
    book.put(
        "objective_magnification",
        as_number(magnification[1]) if magnification else None,
        "MetaSeries _MagSetting_",
    )
    book.put("objective_na", as_number(props.get("_MagNA_")), "MetaSeries _MagNA_")
    application = f"{props.get('ApplicationName', '')} {props.get('ApplicationVersion', '')}"
    book.put("software", application.strip(), "MetaSeries ApplicationName")


def describe_text(book: FactBook, text: str, where: str) -> None:
    """Note exposure, binning, region and camera of MetaMorph's text block."""
    exposure = _EXPOSURE.search(text)
    if exposure:
        book.put("exposure", milliseconds(as_number(exposure[1]), exposure[2]), where, "ms")
    binning = _BINNING.search(text)
    if binning:
        book.put("binning", int(binning[1]), where)
    region = _REGION.search(text)
    if region:
        book.put("region_x", int(region[1]), where, "px")
        book.put("region_y", int(region[2]), where, "px")
    camera = _CAMERA.search(text)
    if camera:
        book.put("camera", camera[1], where)


def describe_stk(page: Directory) -> FactBook:
    """Return the facts of a MetaMorph stack: planes (UIC2) and calibration (UIC1)."""
    book = FactBook()
    planes = page.tags[UIC2][1] if UIC2 in page.tags else 1
    book.put("planes", planes, "UIC2 count")
    order = page.layout.order
    entry = page.tags.get(UIC1)
    if entry is not None and entry[2]:
        count = min(entry[1], _MAX_PAIRS)
        offset = struct.unpack(order + "I", entry[2][:4])[0]
        pairs = struct.unpack(
            f"{order}{2 * count}I", page.file.some(offset, 8 * count).ljust(8 * count, b"\0")
        )
        _calibration(book, page, dict(zip(pairs[::2], pairs[1::2], strict=True)))
    text = page.text(270)
    describe_text(book, text, "MetaMorph text block")
    book.put("software", page.text(305), "tag Software")
    book.put("acquired", page.text(306), "tag DateTime")
    return book


def _calibration(book: FactBook, page: Directory, uic: dict[int, int]) -> None:
    order = page.layout.order
    name = page.file.some(uic.get(6, 0), 4)
    length = struct.unpack(order + "I", name)[0] if len(name) == 4 else 0  # noqa: PLR2004 - one LONG
    unit = page.file.some(uic.get(6, 0) + 4, min(length, 64)).split(b"\0")[0].decode("latin-1")
    if uic.get(3, 1) == 0 or 6 not in uic:  # noqa: PLR2004 - SpatialCalibration, CalibrationUnits
        return
    for axis, key in (("x", 4), ("y", 5)):
        data = page.file.some(uic.get(key, 0), 8) if key in uic else b""
        if len(data) == 8:  # noqa: PLR2004 - one fraction
            above, below = struct.unpack(order + "II", data)
            book.put_length(
                f"pixel_size_{axis}",
                above / below if below else None,
                unit,
                f"UIC1 {axis.upper()}Calibration",
            )
