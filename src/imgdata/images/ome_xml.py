"""OME-XML of any schema year, read leniently: what is there counts, what is odd is skipped.

Attributes of newer schemas are children in older ones (2003-FC to 2008-09); both are read.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from msgspec import Struct, field

from imgdata.images.fact_book import FactBook, milliseconds
from imgdata.images.safe_xml import (
    as_number,
    attributes,
    child,
    children,
    descendants,
    first,
    local,
    value,
)

_TYPES = {
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "float": "float32",
    "double": "float64",
    "complex": "complex64",
    "double-complex": "complex128",
    "bit": "bool",
    "float32": "float32",
    "float64": "float64",
}
MAX_PLANES_READ = 4096
SIZES = ("SizeX", "SizeY", "SizeZ", "SizeC", "SizeT")


class OmeImage(Struct):
    """One Image of an OME document, as far as planning and comparing needs it."""

    sizes: dict[str, int]
    pixel_type: str
    samples_per_channel: int
    channels: int
    files: dict[str, int] = field(default_factory=dict)

    @property
    def planes(self) -> int:
        """Planes the dimensions promise; samples of one channel share a plane."""
        total = self.sizes["SizeZ"] * self.sizes["SizeT"]
        size_c = self.sizes["SizeC"]
        return total * max(1, -(-size_c // max(1, self.samples_per_channel)))


class OmeDocument(Struct):
    """What an OME-XML text says."""

    book: FactBook
    images: list[OmeImage]
    binary_only: str = ""


def describe(root: Element, where: str) -> OmeDocument:
    """Return facts of the first image and the plan of all images of an OME document."""
    book = FactBook()
    own = root.get("UUID", "")
    images = [_image(node, own) for node in children(root, "Image")]
    document = OmeDocument(book, [i for i in images if i is not None])
    reference = first(root, "BinaryOnly")
    if reference is not None:
        document.binary_only = reference.get("MetadataFile", "")
    node = next(children(root, "Image"), None)
    pixels = child(node, "Pixels")
    if node is None or pixels is None:
        return document
    _sizes(book, pixels, document, where)
    _pixel_size(book, node, pixels, where)
    _instrument(book, root, node, where)
    _channels(book, node, pixels, where)
    book.put(
        "acquired",
        value(node, "AcquisitionDate") or value(node, "AcquiredDate"),
        f"{where}: Image/AcquisitionDate",
    )
    book.put("images", len(document.images), f"{where}: Image elements")
    return document


def _whole(text: str) -> int:
    found = as_number(text)
    return int(found) if found is not None and 0 < found < 2**40 else 1


def _image(node: Element, own: str) -> OmeImage | None:
    pixels = child(node, "Pixels")
    if pixels is None:
        return None
    names = attributes(pixels)
    channels = list(children(pixels, "Channel")) or list(children(node, "LogicalChannel"))
    samples = [_whole(value(c, "SamplesPerPixel") or "1") for c in channels]
    kind = names.get("Type") or names.get("PixelType") or ""
    image = OmeImage(
        sizes={name: _whole(names.get(name, "1")) for name in SIZES},
        pixel_type=_TYPES.get(kind.lower(), kind.lower()),
        samples_per_channel=max(samples, default=1),
        channels=len(channels),
    )
    for data in children(pixels, "TiffData"):
        _tiff_data(image, data, own)
    return image


def _tiff_data(image: OmeImage, data: Element, own: str) -> None:
    """Note which file holds some planes; a file that was renamed still knows its own UUID."""
    count = as_number(data.get("PlaneCount") or data.get("NumPlanes"))
    uuid = child(data, "UUID")
    name = uuid.get("FileName", "") if uuid is not None else ""
    planes = int(count) if count is not None else (1 if data.get("IFD") is not None else 0)
    if not name or (uuid is not None and own and (uuid.text or "").strip() == own):
        return
    image.files[name] = image.files.get(name, 0) + (planes or 1)


def _sizes(book: FactBook, pixels: Element, document: OmeDocument, where: str) -> None:
    if not document.images:
        return
    image = document.images[0]
    for name in SIZES:
        if value(pixels, name):
            book.put(f"size_{name[-1].lower()}", image.sizes[name], f"{where}: Pixels@{name}")
    book.put("dtype", image.pixel_type, f"{where}: Pixels@Type")
    significant = as_number(value(pixels, "SignificantBits"))
    book.put(
        "significant_bits",
        int(significant) if significant else None,
        f"{where}: Pixels@SignificantBits",
    )


def _pixel_size(book: FactBook, image: Element, pixels: Element, where: str) -> None:
    for axis in "XYZ":
        name = f"PhysicalSize{axis}"
        unit = value(pixels, f"{name}Unit") or "um"
        book.put_length(
            f"pixel_size_{axis.lower()}",
            as_number(value(pixels, name)),
            unit,
            f"{where}: Pixels@{name}",
        )
        old = as_number(value(image, f"PixelSize{axis}") or value(pixels, f"PixelSize{axis}"))
        book.put_length(f"pixel_size_{axis.lower()}", old, "um", f"{where}: PixelSize{axis}")


def _by_id(root: Element, name: str, reference: Element | None) -> Element | None:
    wanted = reference.get("ID") if reference is not None else None
    nodes = list(descendants(root, name))
    for node in nodes:
        if wanted and node.get("ID") == wanted:
            return node
    return nodes[0] if len(nodes) == 1 or (nodes and not wanted) else None


def _instrument(book: FactBook, root: Element, image: Element, where: str) -> None:
    instrument = _by_id(root, "Instrument", child(image, "InstrumentRef"))
    if instrument is None:
        return
    scope = child(instrument, "Microscope")
    book.put("manufacturer", value(scope, "Manufacturer"), f"{where}: Microscope@Manufacturer")
    book.put_model(value(scope, "Model"), f"{where}: Microscope@Model")
    book.put("serial", value(scope, "SerialNumber"), f"{where}: Microscope@SerialNumber")
    reference = child(image, "ObjectiveSettings")
    if reference is None:
        reference = child(image, "ObjectiveRef")
    objective = _by_id(instrument, "Objective", reference)
    if objective is not None:
        _objective(book, objective, where)
    detector = first(instrument, "Detector")
    book.put("camera", value(detector, "Model"), f"{where}: Detector@Model")


def _objective(book: FactBook, node: Element, where: str) -> None:
    magnification = as_number(value(node, "NominalMagnification"))
    if magnification is None:
        magnification = as_number(
            value(node, "CalibratedMagnification") or value(node, "Magnification")
        )
    book.put("objective_magnification", magnification, f"{where}: Objective@NominalMagnification")
    book.put("objective_na", as_number(value(node, "LensNA")), f"{where}: Objective@LensNA")
    book.put("objective", value(node, "Model"), f"{where}: Objective@Model")


def _planes(pixels: Element) -> Iterator[Element]:
    for count, node in enumerate(descendants(pixels, "Plane")):
        if count >= MAX_PLANES_READ:
            return
        yield node


def _exposure_of(node: Element) -> tuple[str, float | None]:
    timing = child(node, "PlaneTiming")
    raw = value(node, "ExposureTime") or value(timing, "ExposureTime")
    return value(node, "TheC") or "0", milliseconds(
        as_number(raw), value(node, "ExposureTimeUnit") or "s"
    )


def _channels(book: FactBook, image: Element, pixels: Element, where: str) -> None:
    nodes = list(children(pixels, "Channel")) or list(children(image, "LogicalChannel"))
    book.put_channels(
        (value(n, "Name") or value(n, "Fluor") for n in nodes), f"{where}: Channel@Name"
    )
    book.put_each(
        "excitation_wavelength",
        (as_number(value(n, "ExcitationWavelength") or value(n, "ExWave")) for n in nodes),
        f"{where}: Channel@ExcitationWavelength",
        "nm",
    )
    book.put_each(
        "emission_wavelength",
        (as_number(value(n, "EmissionWavelength") or value(n, "EmWave")) for n in nodes),
        f"{where}: Channel@EmissionWavelength",
        "nm",
    )
    exposures: dict[str, float] = {}
    for node in _planes(pixels):
        channel, exposure = _exposure_of(node)
        if exposure is not None:
            exposures.setdefault(channel, exposure)
    book.put_each("exposure", exposures.values(), f"{where}: Plane@ExposureTime", "ms")
    settings = next((s for n in nodes for s in n if local(s) == "DetectorSettings"), None)
    book.put("binning", value(settings, "Binning"), f"{where}: DetectorSettings@Binning")
