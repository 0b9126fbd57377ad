"""What the stages share: what a file name means, and images read and written in one way.

Needs numpy, tifffile and PyYAML only. File names are understood by the `key` of `imgdata.yaml`:
`{plate}/{well}_{site}_{channel}.ome.tif` reads `P1/B02_1_DNA.ome.tif`. A field is one or more
characters without `/`, as few as possible; `{_}` skips a part, `{site:[0-9]+}` says more exactly
what fits.
"""

import csv
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import tifffile
import yaml

# Names that imgdata knows for the keys of common microscopes.
PRESETS = {
    "phenix": [
        (
            r"{plate}/{_:(?:Images/)?}r{row:[0-9]+}c{column:[0-9]+}f{site:[0-9]+}p{_:[0-9]+}"
            r"-ch{channel:[0-9]+}sk{_:[0-9]+}fk{_:[0-9]+}fl{_:[0-9]+}.tiff"
        )
    ],
    "imagexpress": [
        (
            r"{plate}/{_:(?:.+/)?}{_}_{well:[A-Z]{1,2}[0-9]{2}}_s{site:[0-9]+}"
            r"_w{channel:[0-9]}{_:[0-9A-F-]{36}}.tif"
        )
    ],
    "nf1": ["{plate}/{well}_{_}_{_}_{site}_{channel}_001.tif"],
}
FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::((?:[^{}]|\{[^{}]*\})+))?\}")


class Image(NamedTuple):
    """One image file of a plate and what its name says."""

    file: str  # relative to the plate's folder
    well: str  # always as B02
    site: str
    channel: str


def stop(problem: str) -> NoReturn:
    """End the stage with a sentence instead of a traceback."""
    sys.exit(f"{Path(sys.argv[0]).name}: {problem}")


def settings(file: str, *names: str) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return one entry of a YAML file, its names from the outside in."""
    found = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    for name in names:
        if not isinstance(found, dict) or name not in found:
            stop(f"{file} has no '{'.'.join(names)}'")
        found = found[name]
    return found


def pattern(key: str) -> re.Pattern:
    """Turn a key into a regular expression."""
    parts, seen, end = [], set(), 0
    for field in FIELD.finditer(key):
        name, fits = field[1], field[2] or "[^/]+?"
        parts.append(re.escape(key[end : field.start()]))
        if name == "_":
            parts.append(f"(?:{fits})")
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            parts.append(f"(?P<{name}>{fits})")
        seen.add(name)
        end = field.end()
    return re.compile("".join(parts) + re.escape(key[end:]))


def well_name(text: str) -> str:
    """Write a well as letter and two digits: B7, b07 and B007 are B07."""
    well = re.fullmatch(r"([A-Za-z]{1,2})0*([1-9]\d?)", text)
    return f"{well[1].upper()}{int(well[2]):02d}" if well else text


def _well(fields: dict) -> str:
    if "well" in fields or "row" not in fields:
        return well_name(fields.get("well", "all"))
    row = fields["row"]
    return well_name((chr(ord("A") + int(row) - 1) if row.isdigit() else row) + fields["column"])


def find_images(folder: Path, level: str) -> list[Image]:
    """List the images of one plate whose names fit the level's key; other files are left aside."""
    keys = settings("imgdata.yaml", "levels", level, "key")
    keys = [keys] if isinstance(keys, str) else keys
    patterns = [pattern(one) for key in keys for one in PRESETS.get(key, [key])]
    images, aside = [], []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        fits = (one.fullmatch(f"{folder.name}/{name}") or one.fullmatch(name) for one in patterns)
        found = next(filter(None, fits), None)
        if found is None:
            aside.append(name)
            continue
        fields = found.groupdict()
        images.append(
            Image(name, _well(fields), fields.get("site", "1"), fields.get("channel", "all"))
        )
    if not images:
        stop(f"no file in {folder} fits the key {keys} in imgdata.yaml; there is: {aside[:3]}")
    if aside:
        print(f"{len(aside)} files do not fit the key and are left aside, {aside[0]} among them")
    return images


def by_site(folder: Path) -> dict[tuple[str, str], dict[str, Path]]:
    """List what `correct` wrote, a well and site at a time: {("B02", "1"): {"DNA": path}}."""
    sites: dict[tuple[str, str], dict[str, Path]] = {}
    for path in sorted(folder.glob("*.tif")):
        well, site, channel = path.stem.split("_", 2)
        sites.setdefault((well, site), {})[channel] = path
    return sites


def read(path: Path) -> np.ndarray:
    """Return the pixels of an image of one plane."""
    pixels = np.squeeze(tifffile.imread(path))
    if pixels.ndim != len("yx"):
        stop(f"{path} has the shape {pixels.shape}: one plane and one channel a file is expected")
    return pixels


def pixel_size(path: Path) -> float:
    """Return micrometres per pixel, from OME metadata or the resolution tags; 0 if not known."""
    with tifffile.TiffFile(path) as tiff:
        text, tags = tiff.ome_metadata or "", tiff.pages[0].tags
    size = re.search(r'PhysicalSizeX="([0-9.eE+-]+)"', text)
    unit = re.search(r'PhysicalSizeXUnit="([^"]*)"', text)
    if size:
        return float(size[1]) * {"nm": 1e-3, "mm": 1e3}.get(unit[1] if unit else "", 1.0)
    unit_um = {2: 25400.0, 3: 10000.0}.get(tags.valueof("ResolutionUnit", 1))
    across, per = tags.valueof("XResolution", (0, 1))
    return unit_um * per / across if unit_um and across > per else 0.0


def write(path: Path, pixels: np.ndarray, um_per_pixel: float = 0.0, text: str = "") -> None:
    """Write a lossless TIFF of the same bytes every time: no date, no program, no random id."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = {}
    if um_per_pixel:
        scale = {"resolution": (1e4 / um_per_pixel, 1e4 / um_per_pixel), "resolutionunit": 3}
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        compression="zlib",
        predictor=True,
        description=text or None,
        metadata=None,
        software=False,
        **scale,
    )


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Write a CSV table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV table; a file that is not there is an empty one."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.DictReader(file) if any(row.values())]


def left_out(table: Path, *levels: str) -> set[str]:
    """List the files of some levels that somebody excluded from what is made next."""
    return {row["file"] for row in read_table(table) if row["level"] in levels}


def fields_left_out(table: Path, masks: str) -> set[str]:
    """List the fields, `B02_1`, of which a corrected image or the mask is excluded."""
    images = {"_".join(Path(file).stem.split("_", 2)[:2]) for file in left_out(table, "corrected")}
    return images | {Path(file).stem for file in left_out(table, masks)}


def window(nucleus: tuple[slice, slice], size: int) -> tuple[slice, slice]:
    """Return a square of `size` pixels about a nucleus; it may reach over the image's edge."""
    starts = [(part.start + part.stop) // 2 - size // 2 for part in nucleus]
    return slice(starts[0], starts[0] + size), slice(starts[1], starts[1] + size)


def cut(pixels: np.ndarray, square: tuple[slice, slice]) -> np.ndarray:
    """Return the pixels of a square, zero where it reaches over the edge."""
    out = np.zeros([part.stop - part.start for part in square], pixels.dtype)
    inside = [
        slice(max(part.start, 0), min(part.stop, length))
        for part, length in zip(square, pixels.shape, strict=True)
    ]
    into = [
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(inside, square, strict=True)
    ]
    out[tuple(into)] = pixels[tuple(inside)]
    return out
