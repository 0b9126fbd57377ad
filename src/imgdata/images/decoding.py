"""Decode an image plane by plane, whatever its format, as numpy arrays.

What a file declares is believed only after its size was compared with what it holds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgdata.errors import DamagedError
from imgdata.images.formats import is_installed
from imgdata.model.facts import Reading, number

PLANE_LIMIT = 1 << 30
PIECES_ABOVE = 1 << 26
READ_AHEAD = 1 << 24
Plane = np.ndarray[Any, Any]


class UndecodableError(DamagedError):
    """The pixels cannot be decoded here; the sentence says why."""

    kind = "undecodable"


def planes(path: Path, reading: Reading, *, pieces: bool = False) -> Iterator[Plane]:
    """Yield an image's planes in stored order.

    Args:
        path: The file.
        reading: What its headers said.
        pieces: A TIFF plane of more than 64 million pixels comes as its strips or tiles, so that
            a file of 4 GB does not need 4 GB of memory.

    Raises:
        UndecodableError: Not every plane can be decoded.
    """
    decode = _DECODERS.get(reading.format)
    if decode is None:
        msg = f"imgdata does not decode pixels of {reading.format} files"
        raise UndecodableError(msg)
    if any(s.rule in {"IMG-101", "IMG-102", "IMG-103"} for s in reading.symptoms):
        msg = "the file is damaged"
        raise UndecodableError(msg)
    in_pieces = pieces and decode is _tiff and _is_large(reading)
    if not in_pieces:
        _refuse_giant(reading)
    try:
        yield from _tiff_pieces(path) if in_pieces else decode(path)
    except UndecodableError:
        raise
    except Exception as error:
        msg = f"the pixels cannot be decoded: {type(error).__name__}: {str(error)[:200]}"
        raise UndecodableError(msg) from error


def _refuse_giant(reading: Reading) -> None:
    width, height = number(reading.facts, "size_x"), number(reading.facts, "size_y")
    if width and height and width * height > PLANE_LIMIT:
        msg = f"a plane of {width:,.0f} x {height:,.0f} pixels is larger than imgdata decodes"
        raise UndecodableError(msg)


def _is_large(reading: Reading) -> bool:
    width, height = number(reading.facts, "size_x"), number(reading.facts, "size_y")
    return bool(width and height and width * height > PIECES_ABOVE)


def _tiff_pieces(path: Path) -> Iterator[Plane]:
    """Yield each strip or tile of each page; one of them in memory at a time."""
    import tifffile  # noqa: PLC0415 - only a look at pixels needs it

    with tifffile.TiffFile(path) as file:
        for index in range(len(file.pages)):
            page = file.pages.get(index, cache=False, aspage=True)
            if not isinstance(page, tifffile.TiffPage) or page.is_reduced:
                continue
            rows, columns = page.chunks[-2:] if page.samplesperpixel == 1 else page.chunks[:2]
            if rows * columns > PLANE_LIMIT // 4:
                msg = f"strips of {rows:,} x {columns:,} pixels are larger than imgdata decodes"
                raise UndecodableError(msg)
            for piece, _, _ in page.segments(maxworkers=1, buffersize=READ_AHEAD):
                if piece is not None:
                    yield from _as_planes(np.squeeze(piece))


def _tiff(path: Path) -> Iterator[Plane]:
    import tifffile  # noqa: PLC0415 - only a look at pixels needs it

    with tifffile.TiffFile(path) as file:
        if file.is_stk or (file.is_imagej and len(file.pages) == 1):
            data = file.series[0].asarray(out="memmap") if _plain(file) else file.asarray()
            yield from _as_planes(np.asarray(data))
            return
        for page in file.pages:
            if not getattr(page, "is_reduced", False):
                yield from _as_planes(page.asarray(maxworkers=1))


def _plain(file: Any) -> bool:  # noqa: ANN401 - tifffile's own type
    return bool(file.pages[0].compression == 1)


def _as_planes(data: Plane) -> Iterator[Plane]:
    """Split an array of more than two dimensions; a last axis of 3 or 4 is colour."""
    if data.ndim <= 2 or (data.ndim == 3 and data.shape[-1] in {3, 4}):  # noqa: PLR2004
        yield data
        return
    for part in data:
        yield from _as_planes(part)


def _picture(path: Path) -> Iterator[Plane]:
    from PIL import Image  # noqa: PLC0415 - only a look at pixels needs it

    with Image.open(path) as image:
        if image.width * image.height > PLANE_LIMIT // 4:
            msg = f"a picture of {image.width:,} x {image.height:,} pixels"
            raise UndecodableError(msg)
        array = np.asarray(image)
    if array.dtype == np.int32:
        array = array.astype(np.uint16)
    yield array


def _nd2(path: Path) -> Iterator[Plane]:
    _need("nd2")
    import nd2  # noqa: PLC0415 - an extra

    with nd2.ND2File(path) as file:
        for index in range(file.attributes.sequenceCount):
            frame = np.asarray(file.read_frame(index))
            if frame.ndim == 3 and frame.shape[0] <= 64:  # noqa: PLR2004 - channels first
                yield from frame
            else:
                yield frame


def _czi(path: Path) -> Iterator[Plane]:
    _need("czifile")
    import czifile  # noqa: PLC0415 - an extra

    with czifile.CziFile(path) as file:
        for entry in file.filtered_subblock_directory:
            data = np.squeeze(entry.data_segment().data(resize=False, order=0))
            yield from _as_planes(data)


def _lif(path: Path) -> Iterator[Plane]:
    _need("liffile")
    import liffile  # noqa: PLC0415 - an extra

    with liffile.LifFile(path) as file:
        for image in file.images:
            yield from _as_planes(image.asarray(out="memmap"))


def _dicom(path: Path) -> Iterator[Plane]:
    _need("pydicom")
    from pydicom.pixels import iter_pixels  # noqa: PLC0415 - an extra

    for frame in iter_pixels(path):
        yield from _as_planes(np.asarray(frame))


def _zarr(path: Path) -> Iterator[Plane]:
    from imgdata.images.zarr_chunks import planes as chunks  # noqa: PLC0415 - imports this module

    yield from chunks(path)


def _hdf5(path: Path) -> Iterator[Plane]:
    _need("h5py")
    import h5py  # noqa: PLC0415 - an extra

    from imgdata.images.hdf5 import datasets  # noqa: PLC0415 - needs the extra

    with h5py.File(path, "r") as root:
        for dataset in datasets(root, imaris="DataSetInfo" in root and "DataSet" in root):
            for index in np.ndindex(dataset.shape[:-2]):
                yield np.asarray(dataset[index])


def _need(module: str) -> None:
    if not is_installed(module):
        msg = f"{module} is not installed: pip install 'imgdata[formats]'"
        raise UndecodableError(msg)


_DECODERS: dict[str, Callable[[Path], Iterator[Plane]]] = {
    "tiff": _tiff,
    "ome-tiff": _tiff,
    "png": _picture,
    "jpeg": _picture,
    "jp2": _picture,
    "webp": _picture,
    "gif": _picture,
    "bmp": _picture,
    "nd2": _nd2,
    "czi": _czi,
    "lif": _lif,
    "dicom": _dicom,
    "ome-zarr": _zarr,
    "zarr": _zarr,
    "hdf5": _hdf5,
    "imaris": _hdf5,
}
