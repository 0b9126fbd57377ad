"""Decode planes one at a time and measure what only pixels can tell.

Memory is bounded by one strip row of one plane where a format allows it, else by one plane; a
plane that declares more than `PLANE_LIMIT` bytes is not decoded.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from imgdata.images import decoding
from imgdata.model.facts import PixelFacts, Reading

LEVELS_LIMIT = 65_537
BLOCK = 8
Plane = np.ndarray[Any, Any]


def measure(path: Path, reading: Reading, planes: int) -> PixelFacts:
    """Return what up to so many planes show (0: all)."""
    total = _Total()
    try:
        found: Iterator[Plane] = decoding.planes(path, reading, pieces=True)
        for plane in islice(found, planes or None):
            total.add(plane)
    except decoding.UndecodableError as error:
        return PixelFacts(planes=total.planes, error=error.problem)
    return total.facts()


class _Total:
    """Sums over the planes of one file."""

    def __init__(self) -> None:
        self.planes = 0
        self.dtype = ""
        self.values: Plane | None = None
        self.many = False
        self.step = 0
        self.low, self.high = np.inf, -np.inf
        self.sum, self.count = 0.0, 0
        self.saturated = 0
        self.focus = 0.0
        self.blocks: list[float] = []

    def add(self, plane: Plane) -> None:
        self.planes += 1
        self.dtype = str(plane.dtype)
        if plane.size == 0 or plane.dtype.kind not in "uifb":
            return
        self._levels(plane)
        self.low = min(self.low, float(plane.min()))
        self.high = max(self.high, float(plane.max()))
        self.sum += float(plane.sum(dtype=np.float64))
        self.count += plane.size
        if plane.dtype.kind in "ui":
            self.saturated += int(np.count_nonzero(plane == np.iinfo(plane.dtype).max))
        flat = plane if plane.ndim == 2 else plane.reshape(plane.shape[0], -1)  # noqa: PLR2004
        self.focus = max(self.focus, focus(flat))
        if plane.ndim == 2:  # noqa: PLR2004 - colours would mix rows
            self.blocks.append(blockiness(flat))

    def _levels(self, plane: Plane) -> None:
        if self.many:
            return
        found = _distinct(plane)
        if self.values is not None:
            found = np.union1d(self.values, found)
        self.many = len(found) >= LEVELS_LIMIT
        self.values = found[:LEVELS_LIMIT]

    def facts(self) -> PixelFacts:
        values = self.values if self.values is not None else np.array([], dtype=np.uint8)
        whole = values.dtype.kind in "ui" and len(values) > 0
        return PixelFacts(
            planes=self.planes,
            dtype=self.dtype,
            levels=len(values),
            step=int(np.gcd.reduce(values.astype(np.int64))) if whole else 0,
            low=float(self.low) if self.count else 0.0,
            high=float(self.high) if self.count else 0.0,
            mean=self.sum / self.count if self.count else 0.0,
            saturated=self.saturated / self.count if self.count else 0.0,
            focus=self.focus,
            blockiness=float(np.median(self.blocks)) if self.blocks else 1.0,
            labels=int(np.count_nonzero(values > 0)) if len(values) else 0,
        )


def _distinct(plane: Plane) -> Plane:
    """Return the sorted distinct values; a table of flags is ten times faster than sorting."""
    if plane.dtype.kind == "u" and plane.dtype.itemsize <= 2:  # noqa: PLR2004 - 65,536 flags
        seen = np.zeros(np.iinfo(plane.dtype).max + 1, dtype=bool)
        seen[plane.ravel()] = True
        return np.flatnonzero(seen).astype(plane.dtype)
    return np.unique(plane)


def focus(plane: Plane) -> float:
    """Return the variance of the Laplacian over the squared mean: sharp images score high."""
    if min(plane.shape[:2]) < 3:  # noqa: PLR2004 - the kernel is 3 x 3
        return 0.0
    small = plane[:1024, :1024].astype(np.float32)
    lap = (
        small[:-2, 1:-1]
        + small[2:, 1:-1]
        + small[1:-1, :-2]
        + small[1:-1, 2:]
        - 4 * small[1:-1, 1:-1]
    )
    mean = float(small.mean())
    return float(lap.var()) / (mean * mean) if mean else 0.0


def blockiness(plane: Plane) -> float:
    """Return the ratio of jumps across 8 x 8 block borders to those inside blocks.

    JPEG quantises each 8 x 8 block alone, so what was once a JPEG jumps at its borders: 2.7 to
    3.3 at quality 70 to 80, 0.999 to 1.01 on images that never were.
    """
    ratios = []
    for image in (plane[:2048, :2048], plane[:2048, :2048].T):
        if image.shape[1] < 4 * BLOCK:
            continue
        jumps = np.abs(np.diff(image.astype(np.float32), axis=1)).mean(axis=0)
        at = np.arange(len(jumps)) % BLOCK == BLOCK - 1
        inside = float(jumps[~at].mean())
        if inside > 0:
            ratios.append(float(jumps[at].mean()) / inside)
    return float(np.mean(ratios)) if ratios else 1.0
