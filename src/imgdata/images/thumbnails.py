"""Small pictures of images, for reports only."""

import io
from pathlib import Path

from imgdata.errors import ImgdataError
from imgdata.images import decoding
from imgdata.images.readers import ImageReaders

SIDE = 320
_LOW, _HIGH = 1.0, 99.8


def thumbnail(path: Path) -> bytes | None:
    """Return a PNG of at most 320 pixels of a file's first plane, or None if it cannot be shown.

    Grey values are stretched between two percentiles, so faint images can be seen.
    """
    import numpy as np  # noqa: PLC0415 - heavy, and only reports need it
    from PIL import Image  # noqa: PLC0415 - heavy, and only reports need it

    try:
        reading = ImageReaders().read(path)
        if reading is None:
            return None
        plane = next(decoding.planes(path, reading), None)
    except (ImgdataError, OSError):
        return None
    if plane is None or plane.size == 0 or plane.dtype.kind not in "uifb":
        return None
    step = max(1, max(plane.shape[:2]) // (2 * SIDE))
    small = plane[::step, ::step].astype(np.float32)
    low, high = np.percentile(small, (_LOW, _HIGH))
    if high <= low:
        low, high = float(small.min()), float(small.max())
    scaled = np.clip((small - low) / max(float(high - low), 1e-9), 0, 1) * 255
    image = Image.fromarray(scaled.astype(np.uint8))
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
