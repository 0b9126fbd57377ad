"""Small pictures of images that are here, as `data:` urls; what cannot be read is left out."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SIDE = 128
LARGEST = 200_000_000
"""Bytes; larger files are not opened for a picture of 128 pixels."""
TIFF = (".tif", ".tiff")
PLAIN = (".png", ".jpg", ".jpeg", ".gif", ".bmp")


def thumbnails(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Return a picture by path for each image below the root that can be read."""
    found: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        full = root / path
        if not path.lower().endswith((*TIFF, *PLAIN)) or not full.is_file():
            continue
        if full.stat().st_size > LARGEST:
            continue
        picture = _picture(full)
        if picture is not None:
            shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            found[shown] = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    return found


def _picture(full: Path) -> bytes | None:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only pages with images pay

    try:
        if full.name.lower().endswith(TIFF):
            pixels = _first_plane(full)
            image = None if pixels is None else Image.fromarray(_stretched(pixels))
        else:
            image = Image.open(full).convert("RGB")
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    if image is None:
        return None
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _first_plane(full: Path) -> "npt.NDArray[np.generic] | None":
    import tifffile  # noqa: PLC0415 - only pages with images pay

    try:
        with tifffile.TiffFile(full) as tiff:
            pixels = tiff.pages[0].asarray()
    except (tifffile.TiffFileError, IndexError, KeyError, RuntimeError, ImportError):
        return None
    return pixels if pixels.ndim == 2 and pixels.size else None  # noqa: PLR2004 - a grey plane


def _stretched(pixels: "npt.NDArray[np.generic]") -> "npt.NDArray[np.uint8]":
    """Map the middle 98 % of grey values to 8 bit: a picture to recognise, not to measure."""
    import numpy as np  # noqa: PLC0415 - comes with tifffile

    step = max(1, min(pixels.shape) // SIDE)
    small = np.asarray(pixels[::step, ::step], dtype=np.float64)
    low, high = np.percentile(small, (1, 99))
    if high <= low:
        low, high = float(small.min()), float(small.max()) or 1.0
    scaled = np.clip((small - low) / max(high - low, 1e-9), 0, 1) * 255
    small_again: npt.NDArray[np.uint8] = scaled.astype(np.uint8)
    return small_again
