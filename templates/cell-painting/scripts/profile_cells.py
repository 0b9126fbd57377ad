"""Measure every cell of a plate: one row a cell, in the columns the field uses.

python scripts/profile_cells.py data/corrected/P1 data/masks/P1 qc/P1.left_out.csv
    data/single_cell_profiles/P1.parquet

Nuclei_* is measured in the nucleus, Cells_* in the nucleus and `cell_border` pixels around it.
Given data/single_cell_images/P1 in the first place, pixels are read from the crops instead of the
corrected images; what reaches beyond a crop is then not measured.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
from images import by_site, cut, fields_left_out, left_out, read, settings, stop, window
from scipy import ndimage


def grow(labels: np.ndarray, border: int) -> np.ndarray:
    """Let every nucleus grow by some pixels into the background, never into its neighbour."""
    distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    return np.where(distance <= border, labels[tuple(nearest)], 0)


def shape(inside: np.ndarray) -> dict[str, float]:
    """Measure an outline: area, extent, and the ellipse with the same moments."""
    rows, columns = np.nonzero(inside)
    area = len(rows)
    spread = np.cov(np.stack([rows, columns]), bias=True) + np.eye(2) / 12
    minor, major = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 0)) * 4
    edge = inside & ~ndimage.binary_erosion(inside)
    box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    return {
        "Area": area,
        "Perimeter": int(edge.sum()),
        "Extent": area / box,
        "MajorAxisLength": major,
        "MinorAxisLength": minor,
        "Eccentricity": np.sqrt(1 - (minor / major) ** 2),
        "FormFactor": 4 * np.pi * area / max(int(edge.sum()), 1) ** 2,
    }


def intensity(pixels: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Measure how bright an object is."""
    values = pixels[inside].astype(np.float64)
    return {
        "IntegratedIntensity": values.sum(),
        "MeanIntensity": values.mean(),
        "StdIntensity": values.std(),
        "MinIntensity": values.min(),
        "MedianIntensity": np.median(values),
        "MaxIntensity": values.max(),
    }


def texture(pixels: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Measure how neighbouring pixels go together: their contrast and correlation."""
    both = inside[:, 1:] & inside[:, :-1]
    left, right = (side[both].astype(np.float64) for side in (pixels[:, :-1], pixels[:, 1:]))
    if not len(left) or not left.std() or not right.std():
        return {"Contrast": 0.0, "Correlation": 0.0}
    contrast = np.mean((left - right) ** 2) / max(left.mean(), 1.0) ** 2
    return {"Contrast": contrast, "Correlation": np.corrcoef(left, right)[0, 1]}


def measure(inside: np.ndarray, planes: dict[str, np.ndarray], name: str) -> dict[str, float]:
    """Measure one compartment (Nuclei or Cells) in all channels."""
    found = {f"{name}_AreaShape_{what}": value for what, value in shape(inside).items()}
    for channel, pixels in planes.items():
        for group, measured in (("Intensity", intensity), ("Texture", texture)):
            for what, value in measured(pixels, inside).items():
                found[f"{name}_{group}_{what}_{channel}"] = value
    return {what: float(value) for what, value in found.items()}


class Cell(NamedTuple):
    """One cell: its number in the mask, where it is, its outlines and its pixels."""

    number: int
    corner: tuple[int, int]
    nucleus: np.ndarray
    cell: np.ndarray
    planes: dict[str, np.ndarray]
    files: dict[str, Path]


def from_images(files: dict[str, Path], labels: np.ndarray, cells: np.ndarray) -> Iterator[Cell]:
    """Take the cells of a field from its corrected images."""
    planes = {channel: read(path) for channel, path in files.items()}
    for number, box in enumerate(ndimage.find_objects(cells), start=1):
        if box is not None:
            here = {channel: pixels[box] for channel, pixels in planes.items()}
            corner = (box[0].start, box[1].start)
            yield Cell(number, corner, labels[box] == number, cells[box] == number, here, files)


def from_crops(stem: Path, labels: np.ndarray, cells: np.ndarray) -> Iterator[Cell]:
    """Take the cells of a field from their crops, in which they are centred."""
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        path = stem.with_name(f"{stem.name}_{number}.tif")
        with tifffile.TiffFile(path) as tiff:
            names = json.loads(tiff.pages[0].description)["channels"]
            stack = np.stack([page.asarray() for page in tiff.pages])
        square = window(box, stack.shape[-1])
        corner = (square[0].start, square[1].start)
        nucleus, cell = (cut(drawn, square) == number for drawn in (labels, cells))
        planes = dict(zip(names, stack, strict=True))
        yield Cell(number, corner, nucleus, cell, planes, dict.fromkeys(names, path))


def row(cell: Cell, mask: Path) -> dict[str, object]:
    """Return the row of one cell."""
    well, site = mask.stem.split("_", 1)
    centre = np.argwhere(cell.nucleus).mean(axis=0) + cell.corner
    return {
        "Metadata_Plate": mask.parent.name,
        "Metadata_Well": well,
        "Metadata_Site": site,
        "Metadata_ObjectNumber": cell.number,
        "Metadata_Nuclei_Location_Center_X": float(centre[1]),
        "Metadata_Nuclei_Location_Center_Y": float(centre[0]),
        **{f"Image_FileName_{name}": path.name for name, path in cell.files.items()},
        **{f"Image_PathName_{name}": path.parent.as_posix() for name, path in cell.files.items()},
        "Image_ObjectsFileName_Nuclei": mask.name,
        "Image_ObjectsPathName_Nuclei": mask.parent.as_posix(),
        **measure(cell.nucleus, cell.planes, "Nuclei"),
        **measure(cell.cell, cell.planes, "Cells"),
    }


def main(images: Path, masks: Path, excluded: Path, table: Path) -> None:
    options = settings("params.yaml", "profile")
    skipped = fields_left_out(excluded, masks.parent.name)
    skipped_cells = left_out(excluded, "single_cell_images")
    fields = {} if options["images"] == "single_cell_images" else by_site(images)
    tables = []
    for mask in sorted(masks.glob("*.tif")):
        if mask.stem in skipped:
            continue
        labels = read(mask).astype(np.int32)
        cells = grow(labels, options["cell_border"])
        well, site = mask.stem.split("_", 1)
        found = (
            from_images(fields[well, site], labels, cells)
            if fields
            else from_crops(images / mask.stem, labels, cells)
        )
        kept = (one for one in found if f"{mask.stem}_{one.number}.tif" not in skipped_cells)
        if rows := [row(cell, mask) for cell in kept]:
            tables.append(pa.Table.from_pylist(rows))
    if not tables:
        stop(f"the masks in {masks} hold no cell, or all are in {excluded}")
    table.parent.mkdir(parents=True, exist_ok=True)
    profiles = pa.concat_tables(tables, promote_options="default")
    pq.write_table(profiles, table, compression="zstd")
    print(f"{len(profiles)} cells measured")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
