"""Measure every raw image of a plate: is it in focus, saturated, bright enough?

python scripts/qc.py data/raw/P1 qc/P1.csv
"""

import sys
from pathlib import Path

import numpy as np
from images import find_images, read, write_table

FULL_SCALE = {255, 1023, 4095, 16383, 65535}  # the highest value of 8, 10, 12, 14, 16 bit cameras


def focus(pixels: np.ndarray) -> float:
    """Return how sharply neighbours differ, relative to the brightness.

    Pixels are first joined in squares of four, so that camera noise counts less than structure.
    """
    height, width = (length // 2 * 2 for length in pixels.shape)
    small = pixels[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    steps = np.diff(small, axis=0)[:, :-1] ** 2 + np.diff(small, axis=1)[:-1] ** 2
    return float(np.sqrt(steps.mean()) / max(small.mean(), 1.0))


def saturated(pixels: np.ndarray) -> float:
    """Return the share of pixels at the camera's highest value."""
    highest = pixels.max()
    return float((pixels == highest).mean()) if int(highest) in FULL_SCALE else 0.0


def main(raw: Path, table: Path) -> None:
    rows = []
    for image in find_images(raw, "raw"):
        pixels = read(raw / image.file)
        measured = (focus(pixels), saturated(pixels), float(pixels.mean()))
        rows.append([*image, *(f"{value:.6g}" for value in measured)])
    columns = ["file", "well", "site", "channel", "focus", "saturated", "mean"]
    write_table(table, columns, rows)
    print(f"{len(rows)} images measured")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
