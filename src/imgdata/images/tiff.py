"""Read TIFF, BigTIFF, OME-TIFF and the vendors' TIFFs: facts, compression, truncation.

Headers only: the directories, the descriptions, and for some codecs the first bytes of a strip.
"""

from msgspec import Struct, field

from imgdata.images import ome_xml, tiff_planes, tiff_vendors
from imgdata.images.bounded_file import BoundedFile, BrokenStructureError
from imgdata.images.fact_book import FactBook
from imgdata.images.safe_xml import BadXmlError, UnsafeXmlError, parse
from imgdata.images.tiff_directory import Directories, Directory, read_directories
from imgdata.model.facts import Compression, Fact, Packing, Reading, Symptom

DESCRIPTION, COMPRESSION = 270, 259
VERDICT_PAGES = 64
FAR_OFFSETS = 2**32


class _Draft(Struct):
    """What is known so far about one file."""

    format: str = "tiff"
    flavour: str = ""
    facts: dict[str, Fact] = field(default_factory=dict)
    compression: Compression | None = None
    symptoms: list[Symptom] = field(default_factory=list)
    siblings: tuple[str, ...] = ()

    def add(self, rule: str, found: str, expected: str = "", weight: str = "") -> None:
        self.symptoms.append(Symptom(rule, found, expected, weight))

    def learn(self, book: FactBook) -> None:
        for name, fact in book.facts.items():
            self.facts.setdefault(name, fact)


def read(file: BoundedFile) -> Reading:
    """Return what the file says about itself; damage becomes symptoms."""
    draft = _Draft()
    try:
        found = read_directories(file)
        _judge_structure(draft, found)
        if found.pages:
            _read_pages(draft, file, found)
    except BrokenStructureError as error:
        rule = "IMG-101" if error.kind == "truncated-image" else "IMG-102"
        draft.add(rule, error.problem)
    return Reading(
        format=draft.format,
        reader="imgdata tiff",
        facts=draft.facts,
        compression=draft.compression,
        symptoms=tuple(draft.symptoms),
        siblings=draft.siblings,
        flavour=draft.flavour,
        sample_hash=file.sample_hash(),
    )


def _judge_structure(draft: _Draft, found: Directories) -> None:
    if found.truncated:
        draft.add("IMG-101", found.truncated, "a whole chain of image directories")
    if found.broken:
        draft.add("IMG-102", found.broken, "a readable image directory")
    if found.loop:
        draft.add("IMG-102", "the chain of image directories returns to itself", "an end")
    if not found.complete:
        draft.add("IMG-902", f"more than {len(found.pages):,} pages", "")
    if not found.pages and not draft.symptoms:
        draft.add("IMG-102", "no image directory", "at least one image")


def _read_pages(draft: _Draft, file: BoundedFile, found: Directories) -> None:
    page = found.pages[0]
    description = _description(draft, page)
    plane = tiff_planes.plane_of(page)
    document = _ome(draft, description)
    vendor = _vendor(draft, page, description) if document is None else None
    if vendor is not None:
        draft.flavour = vendor.flavour
        draft.learn(vendor.book)
        if vendor.resaved_by:
            draft.add("IMG-205", f"written by {vendor.resaved_by}", "the microscope's own file")
    elif tiff_vendors.editor(page):
        # Python-driven microscopes write OME-TIFF with tifffile: with an instrument, a note.
        weight = "note" if "manufacturer" in draft.facts else ""
        by = tiff_vendors.editor(page)
        draft.add("IMG-205", f"written by {by}", "the microscope's own file", weight)
    if plane is None:
        if not draft.symptoms:
            draft.add("IMG-102", "the first page has no pixels", "width, height and strips")
        return
    _pixel_facts(draft, plane, len(found.pages), page)
    _judge_pixels(draft, file, found, plane)
    if document is not None:
        _judge_plan(draft, file, found, document, plane)


def _description(draft: _Draft, page: Directory) -> str:
    try:
        return page.text(DESCRIPTION)
    except BrokenStructureError as error:
        rule = "IMG-101" if error.kind == "truncated-image" else "IMG-102"
        draft.add(rule, error.problem)
        return ""


def _looks_like_ome(text: str) -> bool:
    head = text[:2000]
    return "<OME" in head or ":OME" in head


def _ome(draft: _Draft, description: str) -> ome_xml.OmeDocument | None:
    if not description.startswith("<") or not _looks_like_ome(description):
        return None
    draft.format = "ome-tiff"
    try:
        document = ome_xml.describe(parse(description), "OME-XML")
    except UnsafeXmlError as error:
        draft.add("IMG-107", error.problem)
        return None
    except BadXmlError as error:
        draft.add("IMG-102", f"OME-XML: {error.problem}", "a readable description", "warning")
        return None
    draft.learn(document.book)
    return document


def _vendor(draft: _Draft, page: Directory, description: str) -> tiff_vendors.Vendor | None:
    try:
        return tiff_vendors.describe(page, description)
    except UnsafeXmlError as error:
        draft.add("IMG-107", error.problem)
    except BadXmlError as error:
        draft.add("IMG-102", f"description: {error.problem}", "a readable description", "warning")
    except BrokenStructureError as error:
        rule = "IMG-101" if error.kind == "truncated-image" else "IMG-102"
        draft.add(rule, error.problem)
    return None


def _pixel_facts(draft: _Draft, plane: tiff_planes.Plane, pages: int, page: Directory) -> None:
    book = FactBook()
    book.put("size_x", plane.width, "tag ImageWidth")
    book.put("size_y", plane.height, "tag ImageLength")
    book.put("dtype", plane.dtype, "tags BitsPerSample and SampleFormat")
    book.put("planes", pages, "image directories")
    if pages == 1 and "planes" not in draft.facts and draft.format == "tiff":
        book.put("size_z", 1, "one image directory")
        book.put("size_t", 1, "one image directory")
        book.put("size_c", plane.samples, "tag SamplesPerPixel")
    if plane.bits not in {1, 8, 16, 32, 64, 128}:
        book.put("significant_bits", plane.bits, "tag BitsPerSample")
    resolution = tiff_vendors.resolution_um(page)
    if resolution is not None:
        book.put("resolution_tag", resolution, "tag XResolution, not a pixel size", "um")
    for name in ("size_x", "size_y"):
        _compare(draft, name, book.facts[name])
    draft.learn(book)


def _compare(draft: _Draft, name: str, stored: Fact) -> None:
    said = draft.facts.get(name)
    if said is not None and said.value != stored.value:
        draft.add(
            "IMG-305",
            f"{name} is {stored.value} in the pixels, {said.value} in {said.detail}",
            "the same size",
        )
        draft.facts[name] = stored


def _judge_pixels(
    draft: _Draft, file: BoundedFile, found: Directories, plane: tiff_planes.Plane
) -> None:
    contiguous = _contiguous_planes(draft, found)
    judged = 0
    gone: tuple[str, str] | None = None
    for index, page in enumerate([*found.pages, *found.subs]):
        current = plane if index == 0 else tiff_planes.plane_of(page)
        if current is None:
            continue
        if _far(file, draft):
            break
        if draft.flavour != "lsm" or page.whole(COMPRESSION, 1) == 1:
            # Compressed LSM names the uncompressed length of its strips.
            gone = gone or tiff_planes.missing_bytes(page, current, contiguous if index == 0 else 1)
        main = index < len(found.pages) and (index == 0 or not tiff_planes.is_reduced(page))
        if main and judged < VERDICT_PAGES:
            judged += 1
            one = tiff_planes.verdict(page, current)
            draft.compression = one if draft.compression is None else draft.compression.worse(one)
    if gone is not None:
        draft.add("IMG-101", gone[0], gone[1])
    _judge_compression(draft)


def _far(file: BoundedFile, draft: _Draft) -> bool:
    """Hamamatsu's NDPI and Zeiss's LSM wrap offsets beyond 4 GB: they cannot be judged there."""
    return draft.flavour in {"ndpi", "lsm"} and file.size >= FAR_OFFSETS


def _contiguous_planes(draft: _Draft, found: Directories) -> int:
    """Return how many planes lie behind one directory: MetaMorph stacks, large ImageJ stacks."""
    planes = draft.facts.get("planes")
    if planes is None or not isinstance(planes.value, int) or len(found.pages) != 1:
        return 1
    return planes.value if draft.flavour in {"stk", "imagej"} else 1


def _judge_compression(draft: _Draft) -> None:
    if draft.compression is None:
        return
    if draft.compression.packing is Packing.LOSSY:
        draft.add("IMG-201", draft.compression.reason, "lossless or no compression")
    elif draft.compression.packing is Packing.UNKNOWN:
        draft.add("IMG-202", draft.compression.reason, "a compression proved lossless")


def _judge_plan(
    draft: _Draft,
    file: BoundedFile,
    found: Directories,
    document: ome_xml.OmeDocument,
    plane: tiff_planes.Plane,
) -> None:
    """Compare what the OME-XML plans with the pixels that are there."""
    if not document.images:
        return
    image = document.images[0]
    if image.pixel_type and image.pixel_type != plane.dtype and not _same_depth(image, plane):
        draft.add(
            "IMG-305", f"pixels are {plane.dtype}, OME-XML says {image.pixel_type}", "one type"
        )
    files = {name for entry in document.images for name in entry.files}
    others = {name for name in files if name != file.path.name}
    if others:
        draft.siblings = tuple(sorted(others))
        return
    if document.binary_only:
        draft.siblings = (document.binary_only,)
        return
    planned = sum(entry.planes for entry in document.images)
    stored = sum(1 for page in found.pages if not tiff_planes.is_reduced(page))
    if plane.samples > 1 and all(entry.samples_per_channel == 1 for entry in document.images):
        stored *= plane.samples
    if stored < planned and found.complete and not any(s.rule == "IMG-101" for s in draft.symptoms):
        draft.add("IMG-402", f"{stored:,} planes stored", f"{planned:,} planes by the OME-XML")


def _same_depth(image: ome_xml.OmeImage, plane: tiff_planes.Plane) -> bool:
    """Signed and unsigned of one depth are confused by too many writers to be worth a finding."""
    return "".join(filter(str.isdigit, image.pixel_type)) == "".join(
        filter(str.isdigit, plane.dtype)
    )
