"""Decode the chunks of a Zarr array one at a time, each bounded by what the array declares."""

import bz2
import lzma
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imgdata.images import ome_zarr, zarr_codecs
from imgdata.images.decoding import PLANE_LIMIT, UndecodableError
from imgdata.images.formats import is_installed

CHUNK_LIMIT = 256 * 1024 * 1024
Plane = np.ndarray[Any, Any]
_LEFT_ALONE = frozenset({"bytes", "endian", "crc32c"})


def planes(root: Path) -> Iterator[Plane]:
    """Yield the stored chunks of every full-resolution array, as planes in no promised order.

    Raises:
        UndecodableError: A codec is not decoded here, or a chunk is larger than declared.
    """
    for folder in arrays(root):
        array = ome_zarr.array_at(folder)
        if array.chunk_bytes > min(CHUNK_LIMIT, PLANE_LIMIT) or not array.itemsize:
            msg = f"chunks of {array.chunk_bytes:,} bytes are larger than imgdata decodes"
            raise UndecodableError(msg)
        for path, _ in ome_zarr.chunk_files(array):
            data = chunk(array, Path(path).read_bytes())
            flat = data.reshape(-1, *array.chunks[-2:]) if data.ndim > 2 else data[None]  # noqa: PLR2004
            yield from flat


def arrays(root: Path) -> Iterator[Path]:
    """Yield the folders of the full-resolution arrays below a Zarr folder."""
    found = sorted(
        {p.parent for p in root.rglob(".zarray")}
        | {p.parent for p in root.rglob("zarr.json") if _is_array(p)}
    )
    for folder in found:
        inside = folder.relative_to(root).parts
        if "labels" not in inside and (not inside or inside[-1] == "0" or len(found) == 1):
            yield folder


def _is_array(path: Path) -> bool:
    try:
        return ome_zarr.load_json(path).get("node_type") == "array"
    except ValueError:
        return False


def chunk(array: ome_zarr.Array, data: bytes) -> Plane:
    """Decode one chunk.

    Raises:
        UndecodableError: Its codec is not decoded here, or it is not as long as declared.
    """
    said = list(zarr_codecs.codecs(array.metadata))
    if zarr_codecs.is_sharded(array.metadata):
        msg = "sharded Zarr arrays are not decoded"
        raise UndecodableError(msg)
    for name, settings in reversed(said):
        if name not in _LEFT_ALONE:
            data = _decompress(name, settings, data, array.chunk_bytes)
        elif name == "crc32c":
            data = data[:-4]
    if len(data) != array.chunk_bytes:
        msg = f"a chunk holds {len(data):,} bytes, {array.chunk_bytes:,} declared"
        raise UndecodableError(msg)
    found = np.frombuffer(data, dtype=_dtype(array, said))
    order = "F" if array.metadata.get("order") == "F" else "C"
    return found.reshape(array.chunks, order=order)  # type: ignore[call-overload,no-any-return]  # a literal


def _dtype(array: ome_zarr.Array, said: list[tuple[str, Mapping[str, object]]]) -> str:
    if array.version != 3:  # noqa: PLR2004 - Zarr v2 names the byte order in the type
        return str(array.metadata.get("dtype"))
    endian = next((s.get("endian") for n, s in said if n in {"bytes", "endian"}), "little")
    return (">" if endian == "big" else "<") + str(np.dtype(array.dtype).str[1:])


def _decompress(name: str, settings: Mapping[str, object], data: bytes, most: int) -> bytes:
    """Undo one codec; the result may not be longer than the chunk declares."""
    del settings
    if name in {"zlib", "gzip", "deflate"}:
        out = zlib.decompressobj(47).decompress(data, most + 1)
    elif name == "bz2":
        out = bz2.BZ2Decompressor().decompress(data, most + 1)
    elif name == "lzma":
        out = lzma.LZMADecompressor().decompress(data, most + 1)
    else:
        out = _with_imagecodecs(name, data, most)
    if len(out) > most:
        msg = f"a chunk of {len(data):,} bytes unpacks to more than the {most:,} declared"
        raise UndecodableError(msg)
    return out


def _with_imagecodecs(name: str, data: bytes, most: int) -> bytes:
    if name not in {"blosc", "zstd", "lz4"}:
        msg = f"Zarr codec {name} is not decoded"
        raise UndecodableError(msg)
    if not is_installed("imagecodecs"):
        msg = f"Zarr codec {name} needs pip install 'imgdata[formats]'"
        raise UndecodableError(msg)
    import imagecodecs  # noqa: PLC0415 - an extra

    if name == "blosc":
        # The header declares the size; a bomb is refused before anything is allocated.
        if int.from_bytes(data[4:8], "little") > most:
            msg = f"a chunk declares {int.from_bytes(data[4:8], 'little'):,} bytes"
            raise UndecodableError(msg)
        return bytes(imagecodecs.blosc_decode(data))
    if name == "zstd":
        return bytes(imagecodecs.zstd_decode(data, out=most))
    return bytes(imagecodecs.lz4_decode(data[4:], out=most))
