"""Opera Phenix and Operetta: the private tag 65500 of a single TIFF.

The resolution tags of these files are not the pixel size of the sample (they hold the camera's
pixel, 6.45 um, whatever the objective); Model is a serial number. The sidecar Index.xml has both.
"""

import re
from xml.etree.ElementTree import Element

from imgdata.images.fact_book import FactBook, milliseconds
from imgdata.images.safe_xml import BadXmlError, as_number, child, children, first, parse
from imgdata.images.tiff_directory import Directory

TAG = 65500
_TYPE = re.compile(rb"<InstrumentDescription>\s*<Type>([^<]{1,80})</Type>")
_SERIAL = re.compile(rb"<Serial>([\x20-\x7e]{1,80}?)</Serial>")
_MAGNIFICATION = re.compile(rb"<Magnification[^>]*>([^<]{1,40})<")
_APERTURE = re.compile(rb"<NumAperture[^>]*>([^<]{1,40})<")
NAMES = {"sonata": "Operetta CLS"}


def instrument_name(code: str) -> str:
    """Return the name a lab knows an instrument type by (`Sonata` is the Operetta CLS)."""
    return NAMES.get(code.strip().lower(), code.strip())


def is_harmony(page: Directory) -> bool:
    """Tell whether the page carries Harmony's private description."""
    return TAG in page.tags and b"InstrumentDescription" in page.raw(TAG)[:4096]


def describe(page: Directory) -> FactBook:
    """Return the facts of the private tag; the pixel size is not among them.

    Only the few elements that describe this image are parsed: the tag has 80 kB in every file.
    """
    book = FactBook()
    data = page.raw(TAG)
    book.put("manufacturer", page.text(271), "tag Make")
    kind = _TYPE.search(data)
    if kind:
        name = instrument_name(kind[1].decode("utf-8", "replace"))
        book.put("model", name, "tag 65500 InstrumentDescription/Type")
    serial = _SERIAL.search(data)
    book.put("serial", serial[1].decode() if serial else page.text(272), "tag 65500 Serial")
    image = _part(data, b"<Image ", b"</Image>")
    if image is not None:
        _exposure(book, data, image)
        book.put("acquired", _text(image, "AbsTime"), "tag 65500 Image/AbsTime")
    book.put("acquired", page.text(306), "tag DateTime")
    book.put("software", page.text(305), "tag Software")
    return book


def _part(data: bytes, start: bytes, end: bytes) -> Element | None:
    """Parse one element out of the text; None when it is absent or damaged."""
    begin = data.find(start)
    stop = data.find(end, begin)
    if begin < 0 or stop < 0:
        return None
    try:
        return parse(data[begin : stop + len(end)])
    except BadXmlError:
        return None


def _text(node: Element | None, name: str) -> str:
    found = child(node, name)
    return (found.text or "").strip() if found is not None else ""


def _nth(nodes: list[Element], number: str) -> Element | None:
    index = int(as_number(number) or 1) - 1
    return nodes[index] if 0 <= index < len(nodes) else None


def _exposure(book: FactBook, data: bytes, image: Element) -> None:
    exposures = _part(data, b"<Exposures>", b"</Exposures>")
    if exposures is None:
        return
    exposure = _nth(list(children(exposures, "Exposure")), _text(image, "ExposureID"))
    if exposure is None:
        return
    record = _nth(list(children(exposure, "Record")), _text(image, "RecordID"))
    if record is not None:
        _channel(book, record)
    _objective(book, data, _text(exposure, "Objective"))


def _channel(book: FactBook, record: Element) -> None:
    where = "tag 65500 Exposure/Record"
    book.put_channels([_text(first(record, "Channels", "Channel"), "Name")], where)
    camera = first(record, "CameraSetting")
    book.put("exposure", milliseconds(as_number(_text(camera, "Exposuretime")), "s"), where, "ms")
    binning = as_number(_text(camera, "BinningX"))
    book.put("binning", int(binning) if binning else None, where)


def _objective(book: FactBook, data: bytes, identifier: str) -> None:
    at = data.find(f"<ID>{identifier}</ID>".encode())
    if not identifier or at < 0:
        return
    part = data[at : data.find(b"</Objective>", at)]
    where = "tag 65500 Objective"
    book.put("objective", identifier, where)
    for name, pattern in (("objective_magnification", _MAGNIFICATION), ("objective_na", _APERTURE)):
        found = pattern.search(part)
        book.put(name, as_number(found[1].decode("ascii", "replace")) if found else None, where)
