"""Find the nuclei: smooth, threshold, split what touches by its distance to the edge.

python scripts/segment.py data/corrected/P1 data/masks/P1 masks

The last word names the settings under `segment` in params.yaml. A mask has 0 for background and
each nucleus's own number elsewhere, 16 bit, 32 bit if there are more than 65535. lineage.csv says
which image each mask was made from: one channel only, which the names alone do not tell.
"""

import sys
from pathlib import Path

import numpy as np
from images import by_site, pixel_size, read, settings, stop, write, write_table
from scipy import ndimage
from skimage import filters
from skimage.feature import peak_local_max
from skimage.segmentation import watershed


def nuclei(pixels: np.ndarray, options: dict) -> np.ndarray:
    """Return an image in which every nucleus has its number."""
    smooth = ndimage.gaussian_filter(pixels.astype(np.float64), options["sigma"])
    threshold = getattr(filters, f"threshold_{options['threshold']}")
    inside = ndimage.binary_fill_holes(smooth > threshold(smooth))
    inside = without_small(ndimage.label(inside)[0], options["min_area"]) > 0
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), 2.0)
    centres = peak_local_max(
        distance,
        min_distance=int(options["min_distance"]),
        labels=ndimage.label(inside)[0],
        exclude_border=False,
    )
    seeds = np.zeros(pixels.shape, np.int32)
    seeds[tuple(centres.T)] = np.arange(1, len(centres) + 1)
    return whole(watershed(-distance, seeds, mask=inside), options)


def without_small(labels: np.ndarray, min_area: int) -> np.ndarray:
    """Drop what is smaller than a nucleus."""
    return np.where(np.bincount(labels.ravel())[labels] >= min_area, labels, 0)


def whole(labels: np.ndarray, options: dict) -> np.ndarray:
    """Drop what is too small or mostly beyond the edge; number the rest from 1, top to bottom."""
    areas = np.bincount(labels.ravel())
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    smallest = np.full(len(areas), options["min_area"], np.float64)
    if len(areas) > 1:
        smallest[np.unique(rim)] = max(
            options["min_area"], options["min_at_edge"] * np.median(areas[1:])
        )
    kept = [number for number in range(1, len(areas)) if areas[number] >= smallest[number]]
    numbers = np.zeros(len(areas), np.uint16 if len(kept) < 2**16 else np.uint32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return numbers[labels]


def main(corrected: Path, masks: Path, model: str) -> None:
    options = settings("params.yaml", "segment", model)
    lineage, found = [], 0
    for (well, site), channels in by_site(corrected).items():
        image = channels.get(options["channel"])
        if image is None:
            stop(f"{well} {site} has no channel {options['channel']}, only {', '.join(channels)}")
        labels = nuclei(read(image), options)
        found += int(labels.max())
        write(masks / f"{well}_{site}.tif", labels, pixel_size(image))
        lineage.append((f"{well}_{site}.tif", image.as_posix()))
    write_table(masks / "lineage.csv", ("output", "input"), lineage)
    print(f"{found} nuclei in {len(lineage)} fields")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
