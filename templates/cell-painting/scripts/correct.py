"""Even out the illumination of the images that passed, per plate and channel.

python scripts/correct.py data/raw/P1 qc/P1.pass.csv data/corrected/P1

The illumination is seen where no cell is: each image is reduced to a coarse grid, the darkest
images count in each of its fields, and a smooth bowl is laid below what is left of the cells.
Pixels are divided by it. Images stay 16 bit and keep their pixel size; wells are written as B02.
"""

import sys
from pathlib import Path

import numpy as np
from images import Image, pixel_size, read, read_table, settings, stop, write


def coarse(pixels: np.ndarray, grid: int) -> np.ndarray:
    """Reduce an image to the mean of each field of a grid."""
    bands = np.array_split(pixels, grid, axis=0)
    return np.array(
        [[field.mean() for field in np.array_split(band, grid, axis=1)] for band in bands]
    )


def bowl(height: int, width: int) -> np.ndarray:
    """Return the terms of a quadratic surface at every pixel."""
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    y, x = y / height, x / width
    return np.stack([np.ones_like(x), y, x, y * y, x * y, x * x], axis=-1)


def illumination(paths: list[Path], grid: int, darkest: float) -> np.ndarray:
    """Fit the bowl: its logarithm has these six terms."""
    grids = [coarse(read(path), grid) for path in paths]
    relative = [field / max(np.median(field), 1.0) for field in grids]
    values = np.log(np.maximum(np.quantile(relative, darkest, axis=0), 1e-3)).ravel()
    terms = bowl(grid, grid).reshape(len(values), -1)
    weights = np.ones(len(values))
    for _ in range(20):  # what is brighter than the bowl is probably a cell and counts less
        fitted = np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=None)[0]
        weights = np.where(values > terms @ fitted, 0.3, 1.0)
    return fitted


def main(raw: Path, passed: Path, corrected: Path) -> None:
    options = settings("params.yaml", "correct")
    images = [Image(**row) for row in read_table(passed)]
    written = set()
    for channel in sorted({image.channel for image in images}):
        ours = [image for image in images if image.channel == channel]
        light = illumination([raw / image.file for image in ours], **options)
        for image in ours:
            target = corrected / f"{image.well}_{image.site}_{channel}.tif"
            if target in written:
                stop(f"two raw files are {target.name}, {image.file} is one: is the key complete?")
            written.add(target)
            pixels = read(raw / image.file)
            bright = np.exp(bowl(*pixels.shape) @ light)
            even = np.clip(np.rint(pixels / (bright / bright.mean())), 0, 65535)
            write(target, even.astype(np.uint16), pixel_size(raw / image.file))
    print(f"{len(written)} images corrected")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
