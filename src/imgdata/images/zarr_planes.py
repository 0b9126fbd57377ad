"""Put the chunks of a Zarr array together to whole planes, one plane at a time."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from imgdata.images import ome_zarr, zarr_chunks
from imgdata.images.decoding import PLANE_LIMIT, UndecodableError

Plane = np.ndarray[Any, Any]
_PLANE_AXES = 2


def whole_planes(root: Path) -> Iterator[Plane]:
    """Yield the planes of every full-resolution array in the order of its axes.

    A chunk that is not stored reads as the fill value. Each chunk is read once for every plane it
    holds, so memory is one plane and one chunk.

    Raises:
        UndecodableError: A codec is not decoded here.
    """
    for folder in zarr_chunks.arrays(root):
        array = ome_zarr.array_at(folder)
        if len(array.shape) < _PLANE_AXES or array.itemsize == 0:
            msg = f"{folder.name} is no image"
            raise UndecodableError(msg)
        height, width = array.shape[-2:]
        if height * width > PLANE_LIMIT or array.chunk_bytes > zarr_chunks.CHUNK_LIMIT:
            msg = f"a plane of {height:,} x {width:,} pixels is larger than imgdata decodes"
            raise UndecodableError(msg)
        for index in product(*(range(size) for size in array.shape[:-2])):
            yield _plane(array, index)


def _plane(array: ome_zarr.Array, index: tuple[int, ...]) -> Plane:
    height, width = array.shape[-2:]
    rows, columns = array.chunks[-2:]
    fill = array.metadata.get("fill_value") or 0
    plane = np.full((height, width), fill, dtype=array.dtype)
    outer = tuple(i // c for i, c in zip(index, array.chunks, strict=False))
    within = tuple(i % c for i, c in zip(index, array.chunks, strict=False))
    for row, column in product(range(-(-height // rows)), range(-(-width // columns))):
        path = _chunk_path(array, (*outer, row, column))
        if not path.is_file():
            continue
        part = zarr_chunks.chunk(array, path.read_bytes())[within]
        top, left = row * rows, column * columns
        plane[top : top + rows, left : left + columns] = part[: height - top, : width - left]
    return plane


def _chunk_path(array: ome_zarr.Array, index: tuple[int, ...]) -> Path:
    name = array.separator.join(map(str, index))
    if array.version == 3:  # noqa: PLR2004 - Zarr v3 puts `c` before the index by default
        encoding = array.metadata.get("chunk_key_encoding")
        default = not (isinstance(encoding, dict) and encoding.get("name") == "v2")
        return array.path / (f"c{array.separator}{name}" if default else name)
    return array.path / name
