"""`imgdata check`: is every file the original, whole, lossless and described?

Reads headers of all files (parallel, remembered), pixels of a sample or of all, and turns what
was read into findings. Nothing is written but the cache.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path, PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.model.facts import Fact, PixelFacts, Reading, Sidecar, Symptom
from imgdata.model.findings import CheckReport, FileCheck, Finding, Layout
from imgdata.model.keys import Key
from imgdata.policy import image_rules, plate_rules, profile_rules
from imgdata.policy.judging import Severities, in_order, judge
from imgdata.ports import ImageReader
from imgdata.system.files import file_md5
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows import check_sidecars
from imgdata.workflows.check_cache import Cache, Remembered
from imgdata.workflows.check_walk import Candidate, find, is_thumb

SAMPLE_FILES = 64
SAMPLE_BYTES = 64 * 1024 * 1024
THREADS = max(2, min(8, os.cpu_count() or 2))
CHUNK = 64
MASKS = "masks"
RAW = "raw"
_MASK_NAME = re.compile(
    r"(?:^|[_\-./ ])(?:cp_)?(?:masks?|labels?|segmentations?)(?=[A-Z_\-./ ]|$)|_label_image"
)


class Pixels(Enum):
    """How many files' pixels a check decodes."""

    NONE = "none"
    SAMPLE = "sample"
    ALL = "all"


class CheckOptions(Struct, frozen=True):
    """How files are judged.

    Attributes:
        level: The level they are on, or empty.
        keys: The level's key patterns; without them completeness is judged from the names.
        severities: The lab's choices by rule id.
        ignore: Globs of files to leave out, as in .gitignore.
        pixels: Whose pixels are decoded.
        recorded: md5 by path below the root, of files to compare with what was added.
        image_names: File names on the level below, for masks and profiles; None: not known.
        plate_maps: Plate name to its wells; `""` is a map for every plate.
        cache: Folder that remembers readings, or None.
        below: The images that masks were made from, when they are on another level.
        said: What a person answered, for files that are silent about it.
        unit_depth: 1 when the first folder below the root is the unit (plate), 0 without units.
    """

    level: str = ""
    keys: tuple[Key, ...] = ()
    severities: Severities = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    pixels: Pixels = Pixels.SAMPLE
    recorded: Mapping[str, str] = field(default_factory=dict)
    image_names: frozenset[str] | None = None
    plate_maps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    cache: Path | None = None
    unit_depth: int = 0
    said: Mapping[str, Fact] = field(default_factory=dict)
    below: tuple[FileCheck, ...] = ()


class _Checked(Struct):
    """One file on its way to the report."""

    candidate: Candidate
    reading: Reading
    level: str
    symptoms: list[Symptom]
    pixels: PixelFacts | None = None

    @property
    def is_mask(self) -> bool:
        return self.level == MASKS


def check_files(
    paths: Iterable[Path],
    reader: ImageReader,
    *,
    root: Path,
    options: CheckOptions | None = None,
    progress: Progress = SILENT,
) -> CheckReport:
    """Check files and folders and return what was found.

    Costs one open and a few kilobytes a file; with pixels, one decoded plane at a time.

    Args:
        paths: Files or folders; a folder named `*.zarr` is one file.
        reader: Reads every format.
        root: Folder that paths in the report are relative to.
        options: How files are judged.
        progress: Is told about files read.

    Raises:
        NothingFoundError: A path does not exist.
    """
    chosen = options or CheckOptions()
    candidates = list(find(paths, root, chosen.ignore))
    images = [c for c in candidates if not is_thumb(c.name)]
    sidecars = list(check_sidecars.find_sidecars(images, reader))
    checked = _read_all(images, reader, chosen, progress)
    _join_sidecars(checked, sidecars)
    _add_answers(checked, chosen.said)
    for one in checked:
        one.symptoms = list(_symptoms(one))
    _look_at_pixels(checked, reader, chosen, progress)
    findings = [
        judge(symptom, (one.candidate.name,), one.level, chosen.severities)
        for one in checked
        for symptom in one.symptoms
    ]
    names = {c.name for c in candidates}
    findings += _findings_of(check_sidecars.symptoms(sidecars, names, chosen.level), chosen)
    findings += _findings_of(_duplicates(checked), chosen)
    findings += _findings_of(_siblings(checked, names, chosen.level), chosen)
    findings += _findings_of(_recorded(checked, chosen, names), chosen)
    findings += _findings_of(profile_rules.symptoms(_profiles(checked), chosen.image_names), chosen)
    layouts, about = _completeness(checked, chosen)
    findings += _findings_of(about, chosen)
    ordered = in_order(findings)
    return CheckReport(
        root=str(root),
        level=chosen.level,
        files=tuple(
            FileCheck(c.candidate.name, c.candidate.size, c.reading, c.level) for c in checked
        ),
        findings=ordered,
        others=len(candidates) - len(checked),
        layouts=plate_rules.with_severities(layouts, ordered),
        deep=chosen.pixels is Pixels.ALL,
    )


# Reading ------------------------------------------------------------------------------------


def _read_all(
    images: Sequence[Candidate], reader: ImageReader, options: CheckOptions, progress: Progress
) -> list[_Checked]:
    cache = Cache(options.cache, getattr(reader, "version", ""))
    known = cache.load(images)
    fresh = [c for c in images if c.name not in known]
    progress.start("reading headers", items=len(fresh), size=0)
    told = dict(_read_fresh(fresh, reader, progress))
    progress.finish()
    whole = {c: one for c in fresh if not isinstance(one := told[c.name], OSError)}
    cache.save({c: Remembered(one) for c, one in whole.items()})
    readings = {name: row.reading for name, row in known.items()}
    for name, answer in told.items():
        readings[name] = _unread(answer) if isinstance(answer, OSError) else answer
    return [
        _Checked(c, found, _level_of(c.name, options.level, found), [])
        for c in images
        if (found := readings[c.name]) is not None
    ]


_Told = Reading | None | OSError
"""What a file told; why it could not be asked, which the next check asks again."""


def _read_fresh(
    fresh: Sequence[Candidate], reader: ImageReader, progress: Progress
) -> Iterator[tuple[str, _Told]]:
    def some(part: Sequence[Candidate]) -> list[tuple[str, _Told]]:
        found = [(c.name, _read_one(c, reader)) for c in part]
        progress.advance(items=len(found))
        return found

    parts = [fresh[at : at + CHUNK] for at in range(0, len(fresh), CHUNK)]
    if len(parts) < 2:  # noqa: PLR2004 - threads do not pay for a few files
        for part in parts:
            yield from some(part)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(some, parts):
            yield from found


def _read_one(candidate: Candidate, reader: ImageReader) -> _Told:
    try:
        return candidate.closed or reader.read(candidate.path)
    except OSError as error:
        return error


def _unread(error: OSError) -> Reading:
    found = f"cannot be read: {error.strerror or error}"
    symptom = Symptom("IMG-102", found, "a file or folder that can be read")
    return Reading("unknown", "imgdata", symptoms=(symptom,))


def _level_of(name: str, level: str, reading: Reading) -> str:
    if level:
        return level
    picture_of_labels = reading.format not in {"parquet", "csv"} and _MASK_NAME.search(
        PurePosixPath(name).with_suffix("").as_posix()
    )
    return MASKS if picture_of_labels else ""


def _join_sidecars(checked: Sequence[_Checked], sidecars: Sequence[check_sidecars.Placed]) -> None:
    by_folder: dict[str, list[Sidecar]] = defaultdict(list)
    for folder, sidecar in sidecars:
        by_folder[folder].append(sidecar)
    for one in checked if by_folder else ():
        for facts, sidecar in check_sidecars.facts_for(one.candidate.name, by_folder):
            one.reading = image_rules.with_sidecar(one.reading, facts, sidecar)


def _add_answers(checked: Sequence[_Checked], said: Mapping[str, Fact]) -> None:
    """Fill what the files do not say with a person's answers."""
    for one in checked if said else ():
        if one.reading.checked and one.reading.compression is not None:
            one.reading = replace(one.reading, facts={**said, **one.reading.facts})


# One file -----------------------------------------------------------------------------------


def _symptoms(one: _Checked) -> Iterator[Symptom]:
    # Every mask is written by a program, and its description is its image's.
    said = one.reading.symptoms
    yield from (s for s in said if not (one.is_mask and s.rule in {"IMG-205", "IMG-206"}))
    if one.reading.format in {"parquet", "csv"} or one.is_mask:
        return
    yield from image_rules.describe(one.reading)
    cropped = image_rules.region_disagrees(one.reading.facts)
    if cropped is not None:
        yield cropped


def _look_at_pixels(
    checked: Sequence[_Checked], reader: ImageReader, options: CheckOptions, progress: Progress
) -> None:
    chosen = _to_decode(checked, options.pixels)
    progress.start("looking at pixels", items=len(chosen), size=0)
    planes = 0 if options.pixels is Pixels.ALL else 1

    def look(one: _Checked) -> PixelFacts:
        found = reader.pixels(one.candidate.path, one.reading, planes=planes)
        progress.advance(items=1)
        return found

    with ThreadPoolExecutor(2) as pool:
        for one, pixels in zip(chosen, pool.map(look, chosen), strict=True):
            one.pixels = pixels
            one.symptoms += _pixel_symptoms(one, pixels, deep=planes == 0)
    progress.finish()


def _pixel_symptoms(one: _Checked, pixels: PixelFacts, *, deep: bool) -> Iterator[Symptom]:
    if one.is_mask:
        yield from image_rules.mask(pixels)
    else:
        yield from image_rules.hints(pixels, one.reading)
    if not pixels.error:
        return
    if "damaged" in pixels.error:
        return
    if "cannot be decoded" in pixels.error:
        yield Symptom("IMG-102", pixels.error, "pixels that can be decoded")
    elif deep:
        yield Symptom("IMG-902", pixels.error, "a look at the pixels")


def _to_decode(checked: Sequence[_Checked], pixels: Pixels) -> list[_Checked]:
    """Return the files to decode: all, or as many as a sample allows, evenly spread."""
    if pixels is Pixels.NONE:
        return []
    able = [
        c
        for c in checked
        if c.reading.checked
        and c.reading.compression is not None
        and not image_rules.is_damaged(c.reading)
    ]
    if pixels is Pixels.ALL:
        return able
    small = [c for c in able if c.candidate.size <= SAMPLE_BYTES and c.reading.format in _SAMPLED]
    if len(small) <= SAMPLE_FILES:
        return small
    return [small[index * len(small) // SAMPLE_FILES] for index in range(SAMPLE_FILES)]


_SAMPLED = frozenset({"tiff", "ome-tiff", "png", "bmp", "gif"})


# Several files ------------------------------------------------------------------------------

_About = tuple[Symptom, tuple[str, ...]]


def _findings_of(pairs: Iterable[_About], options: CheckOptions) -> list[Finding]:
    return [
        judge(symptom, paths, options.level or _common_level(paths), options.severities)
        for symptom, paths in pairs
    ]


def _common_level(paths: tuple[str, ...]) -> str:
    return MASKS if paths and all(_MASK_NAME.search(p) for p in paths) else ""


def _duplicates(checked: Sequence[_Checked]) -> Iterator[_About]:
    twins: dict[str, list[Candidate]] = defaultdict(list)
    for one in checked:
        if one.reading.sample_hash and one.candidate.size:
            twins[one.reading.sample_hash].append(one.candidate)
    for group in (g for g in twins.values() if len(g) > 1):
        same: dict[str, list[str]] = defaultdict(list)
        for candidate in group:
            if candidate.path.is_file():
                same[file_md5(candidate.path)].append(candidate.name)
        for names in same.values():
            if len(names) > 1:
                found = f"{len(names)} files have identical content"
                yield Symptom("IMG-105", found, "different content"), tuple(sorted(names))


def _siblings(checked: Sequence[_Checked], names: set[str], level: str) -> Iterator[_About]:
    """Yield files of a multi-file OME-TIFF that are not beside the file that names them."""
    lower = {name.lower() for name in names}
    missing: dict[str, list[str]] = defaultdict(list)
    for one in checked:
        folder = one.candidate.name.rpartition("/")[0]
        for sibling in one.reading.siblings:
            if ".." in sibling.replace("\\", "/").split("/"):
                found = f"OME-XML names a path outside its folder: {sibling[:80]}"
                yield Symptom("IMG-107", found, "names beside the file"), (one.candidate.name,)
                continue
            name = PurePosixPath(sibling.replace("\\", "/")).name
            path = f"{folder}/{name}" if folder else name
            if path.lower() not in lower and not (one.candidate.path.parent / name).exists():
                missing[path].append(one.candidate.name)
    for path, named_by in missing.items():
        count = "one file names" if len(named_by) == 1 else f"{len(named_by)} files name"
        found = f"not in the folder; {count} it"
        # One file of a set that was picked out is no damage, unless it is the raw level.
        weight = "" if level == RAW else "warning"
        yield Symptom("IMG-401", found, "part of a multi-file OME-TIFF", weight), (path,)


def _recorded(
    checked: Sequence[_Checked], options: CheckOptions, names: set[str]
) -> Iterator[_About]:
    by_name = {one.candidate.name: one for one in checked}
    for name, md5 in options.recorded.items():
        if name not in names:
            yield (
                Symptom("IMG-401", "recorded when it was added, not here now", "the file"),
                (name,),
            )
            continue
        one = by_name.get(name)
        if one is not None and one.candidate.path.is_file():
            found = file_md5(one.candidate.path)
            if found != md5:
                yield Symptom("IMG-106", f"md5 {found}", f"md5 {md5}"), (name,)


def _profiles(checked: Sequence[_Checked]) -> list[tuple[str, Reading]]:
    return [
        (c.candidate.name, c.reading) for c in checked if c.reading.format in {"parquet", "csv"}
    ]


def _completeness(
    checked: Sequence[_Checked], options: CheckOptions
) -> tuple[tuple[Layout, ...], list[_About]]:
    images = [
        plate_rules.Named(c.candidate.name, c.reading, c.pixels, c.is_mask, options.unit_depth)
        for c in checked
        if c.reading.format not in {"parquet", "csv"}
    ]
    below = [
        plate_rules.Named(f.path, f.reading, None, is_mask=False, unit_depth=0)
        for f in options.below
    ]
    layouts, about = plate_rules.complete(
        images, options.keys, plate_maps=options.plate_maps, below=below
    )
    return layouts, list(about)


def counted(report: CheckReport) -> Mapping[str, int]:
    """Return the number of findings by severity."""
    return Counter(f.severity.value for f in report.findings)
