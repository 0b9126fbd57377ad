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
Plane = np.ndarray[Any, Any]


class UndecodableError(DamagedError):
    """The pixels cannot be decoded here; the sentence says why."""

    kind = "undecodable"


def planes(path: Path, reading: Reading) -> Iterator[Plane]:
    """Yield an image's planes in stored order.

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
    _refuse_giant(reading)
    try:
        yield from decode(path)
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
            yield from _as_planes(image.asarray())


def _dicom(path: Path) -> Iterator[Plane]:
    _need("pydicom")
    import pydicom  # noqa: PLC0415 - an extra

    yield from _as_planes(pydicom.dcmread(path).pixel_array)


def _zarr(path: Path) -> Iterator[Plane]:
    from imgdata.images.zarr_chunks import planes as chunks  # noqa: PLC0415 - imports this module

    yield from chunks(path)


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
}
