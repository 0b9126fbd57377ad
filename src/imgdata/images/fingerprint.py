"""A hash of what an image shows: decoded pixels, their type, shape and order; not of its bytes.

Two files with one fingerprint hold the same image, however they are packed: a TIFF and the
OME-Zarr made from it, an uncompressed file and its zstd twin.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from imgdata.images import decoding
from imgdata.images.readers import ImageReaders
from imgdata.images.zarr_planes import whole_planes

METHOD = "sha256-planes-1"
Plane = np.ndarray[Any, Any]


class Fingerprint(Struct, frozen=True):
    """The hash and what it was made from.

    Attributes:
        hash: `sha256-planes-1:` and 64 hex digits.
        planes: How many planes were hashed.
        shape: Height and width of a plane.
        dtype: Type of a pixel.
    """

    hash: str
    planes: int
    shape: tuple[int, ...]
    dtype: str


def fingerprint(path: Path) -> Fingerprint | None:
    """Return a file's fingerprint, or None for a file that is no image; one plane in memory.

    Raises:
        UndecodableError: A plane cannot be decoded.
    """
    reading = ImageReaders().read(path)
    if reading is None:
        return None
    planes: Iterator[Plane] = (
        whole_planes(path) if path.is_dir() else decoding.planes(path, reading)
    )
    return of_planes(planes)


def of_planes(planes: Iterable[Plane]) -> Fingerprint:
    """Return the fingerprint of planes in TCZ order, each with Y first.

    Type and shape go into the hash, so that zeros of two sizes differ; byte order does not.
    """
    digest = hashlib.sha256()
    count, shape, dtype = 0, (), ""
    for plane in planes:
        native = np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<"))
        digest.update(f"{native.dtype.str}{native.shape}".encode())
        digest.update(native.data)
        count, shape, dtype = count + 1, native.shape, str(native.dtype)
    return Fingerprint(f"{METHOD}:{digest.hexdigest()}", count, shape, dtype)
