"""Even out the illumination of the images that passed, per plate and channel.

python scripts/correct.py data/raw/P1 qc/P1.pass.csv data/corrected/P1

The illumination is what all images of a channel have in common: each image is reduced to a
coarse grid, the median over the images keeps the lamp and drops the cells, smoothing the rest.
Pixels are divided by it. Images stay 16 bit and keep their pixel size; wells are written as B02.
"""

import sys
from pathlib import Path

import numpy as np
from images import Image, pixel_size, read, read_table, settings, stop, write
from scipy import ndimage


def coarse(pixels: np.ndarray, grid: int) -> np.ndarray:
    """Reduce an image to the median of each field of a grid."""
    return np.array(
        [
            [np.median(field) for field in np.array_split(band, grid, axis=1)]
            for band in np.array_split(pixels, grid, axis=0)
        ]
    )


def illumination(paths: list[Path], grid: int, smooth: float) -> np.ndarray:
    """Estimate the illumination on the grid, 1 on average."""
    grids = []
    for path in paths:
        small = coarse(read(path), grid)
        grids.append(small / max(np.median(small), 1.0))
    common = ndimage.gaussian_filter(np.median(grids, axis=0), smooth, mode="nearest")
    return np.clip(common / common.mean(), 0.1, None)


def enlarge(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw the grid as large as the image, smoothly."""
    where = [
        np.clip((np.arange(length) + 0.5) * side / length - 0.5, 0, side - 1)
        for length, side in zip(shape, field.shape, strict=True)
    ]
    return ndimage.map_coordinates(field, np.meshgrid(*where, indexing="ij"), order=1)


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
            even = np.clip(np.rint(pixels / enlarge(light, pixels.shape)), 0, 65535)
            write(target, even.astype(np.uint16), pixel_size(raw / image.file))
    print(f"{len(written)} images corrected")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
