"""What one file's facts amount to: description, plausibility, hints from its pixels. Pure."""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from imgdata.model.facts import (
    Fact,
    Packing,
    PixelFacts,
    Reading,
    Sidecar,
    Source,
    Symptom,
    number,
    text,
)

LOW_UM, HIGH_UM = 0.02, 20.0
CAMERA_PIXELS_UM = (1.2, 35.0)
BLOCKY = 1.5
EIGHT_BIT_LEVELS = 256
DAMAGE = frozenset({"IMG-101", "IMG-102", "IMG-103", "IMG-104"})
SETTINGS = (
    "objective_magnification",
    "objective_na",
    "objective",
    "exposure",
    "channels",
    "binning",
)
MACROSCOPIC = frozenset({"dicom"})
AGREEMENT = 0.01


def with_sidecar(reading: Reading, facts: Mapping[str, Fact], sidecar: Sidecar) -> Reading:
    """Return the reading with what a sidecar adds; where both speak and differ, a symptom.

    The pixels decide about sizes; for the rest the file stays and the disagreement is told.
    """
    joined = dict(reading.facts)
    symptoms = list(reading.symptoms)
    for name, fact in {**sidecar.facts, **facts}.items():
        own = joined.get(name)
        if own is None or own.source is Source.INFERRED:
            joined[name] = fact
        elif _disagree(own, fact):
            symptoms.append(
                Symptom(
                    "IMG-305",
                    f"{name} is {_shown(own)} in {own.detail}",
                    f"{_shown(fact)} in {fact.detail}",
                )
            )
    return replace(reading, facts=joined, symptoms=tuple(symptoms))


def _disagree(one: Fact, two: Fact) -> bool:
    if isinstance(one.value, str | tuple) or isinstance(two.value, str | tuple):
        return False
    largest = max(abs(one.value), abs(two.value))
    return largest > 0 and abs(one.value - two.value) > AGREEMENT * largest


def _shown(fact: Fact) -> str:
    value = f"{fact.value:g}" if isinstance(fact.value, float) else str(fact.value)
    return f"{value} {fact.unit}".strip()


def is_damaged(reading: Reading) -> bool:
    """Tell whether the file is too damaged for its description to be judged."""
    return any(s.rule in DAMAGE and s.weight != "warning" for s in reading.symptoms)


def describe(reading: Reading) -> Iterator[Symptom]:
    """Yield what is missing from or implausible in a file's description."""
    if not reading.checked or is_damaged(reading) or reading.compression is None:
        return
    yield from _pixel_size(reading)
    facts = reading.facts
    missing = [name for name in ("manufacturer", "model") if name not in facts]
    if missing:
        found = f"no {' and no '.join(missing)}"
        if "model" in missing and "serial" in facts:
            found += f" (serial number {text(facts, 'serial')})"
        # A file that names its maker lacks little; the finding is then a note.
        weight = "" if "manufacturer" in missing else "note"
        yield Symptom("IMG-303", found, "the microscope's manufacturer and model", weight)
    if not any(name in facts for name in SETTINGS):
        yield Symptom("IMG-304", "no objective, exposure or channel", "acquisition settings")
    yield from _cross_check(facts)


def _pixel_size(reading: Reading) -> Iterator[Symptom]:
    size = number(reading.facts, "pixel_size_x")
    if size is None:
        yield Symptom("IMG-301", _without_size(reading), "micrometres per pixel")
        return
    other = number(reading.facts, "pixel_size_y")
    detail = reading.facts["pixel_size_x"].detail
    if reading.format in MACROSCOPIC and size > HIGH_UM:
        return
    if not LOW_UM <= size <= HIGH_UM:
        yield Symptom("IMG-302", f"{size:g} um ({detail})", f"{LOW_UM:g} to {HIGH_UM:g} um")
    elif size == 1.0 and reading.format != "ome-zarr":
        yield Symptom(
            "IMG-302", f"exactly 1 um ({detail}), a placeholder", "a calibrated size", "note"
        )
    elif other is not None and abs(size - other) > 0.1 * size:
        yield Symptom("IMG-302", f"{size:g} x {other:g} um", "square pixels", "note")


def _without_size(reading: Reading) -> str:
    tag = number(reading.facts, "resolution_tag")
    if tag is None:
        return "no pixel size"
    return f"no pixel size; the resolution tag would mean {tag:.4g} um and is not trusted"


def _cross_check(facts: Mapping[str, Fact]) -> Iterator[Symptom]:
    """Compare pixel size x magnification with what camera pixels measure, given the binning."""
    size = number(facts, "pixel_size_x")
    magnification = number(facts, "objective_magnification")
    binning = number(facts, "binning")
    if not size or not magnification or not binning:
        return
    camera = size * magnification / binning
    low, high = CAMERA_PIXELS_UM
    if not low <= camera <= high:
        yield Symptom(
            "IMG-305",
            f"{size:g} um a pixel at {magnification:g}x and binning {binning:g} means a camera "
            f"pixel of {camera:.3g} um",
            f"{low:g} to {high:g} um",
        )


def region_disagrees(facts: Mapping[str, Fact]) -> Symptom | None:
    """Compare MetaMorph's camera region and binning with the shape of the image."""
    binning = number(facts, "binning")
    if not binning:
        return None
    sizes = [(number(facts, f"region_{a}"), number(facts, f"size_{a}")) for a in "xy"]
    for region, size in sizes:
        if not region or not size:
            return None
    wrong = [(r, s) for r, s in sizes if r and s and abs(r / binning - s) > 1 and r != s]
    if not wrong:
        return None
    (region, size) = wrong[0]
    return Symptom(
        "IMG-205",
        f"{size:g} pixels where the camera region of {region:g} at binning {binning:g} gives "
        f"{region / binning if region else 0:g}",
        "the image as the camera delivered it",
    )


def hints(pixels: PixelFacts, reading: Reading) -> Iterator[Symptom]:
    """Yield what the pixels tell about earlier loss; hints, never proof."""
    if pixels.error or not pixels.planes:
        return
    wide = pixels.dtype in {"uint16", "int16", "uint32", "int32"}
    if wide and 2 < pixels.levels <= EIGHT_BIT_LEVELS and pixels.step > 1:  # noqa: PLR2004 - masks
        how = {257: "8-bit data times 257", 256: "8-bit data times 256"}.get(
            pixels.step, f"even steps of {pixels.step}"
        )
        yield Symptom(
            "IMG-204",
            f"{pixels.levels} grey levels in {pixels.dtype}, all multiples of {pixels.step} "
            f"({how})",
            "the detector's full range",
        )
    elif wide and pixels.step in {4, 8, 16, 32, 64, 128} and pixels.levels > EIGHT_BIT_LEVELS:
        yield Symptom(
            "IMG-204",
            f"all values are multiples of {pixels.step}: fewer bits shifted left, as some cameras "
            "do",
            "values in single steps",
            "note",
        )
    lossless = reading.compression is not None and reading.compression.packing is Packing.LOSSLESS
    if lossless and pixels.blockiness > BLOCKY:
        yield Symptom(
            "IMG-203",
            f"jumps at 8 x 8 block borders are {pixels.blockiness:.2f} times those inside",
            f"about 1, at most {BLOCKY:g}",
        )


def mask(pixels: PixelFacts) -> Iterator[Symptom]:
    """Yield what makes a mask hard to count from: one value, wrong type, gaps."""
    if pixels.error or not pixels.planes:
        return
    if pixels.dtype.startswith(("float", "complex")):
        yield Symptom("IMG-502", f"pixels are {pixels.dtype}", "whole numbers")
        return
    if pixels.labels == 1 or pixels.dtype == "bool":
        yield Symptom("IMG-501", f"one non-zero value ({pixels.high:g})", "one number an object")
    elif pixels.labels and pixels.high != pixels.labels:
        yield Symptom(
            "IMG-504", f"{pixels.labels} labels up to {pixels.high:g}", "labels from 1 without gaps"
        )
