"""Read HDF5 and Imaris: truncation by the superblock, filters of the image data, Imaris attributes.

The superblock is checked before the library opens the file: it names the end of the file.
"""

import struct
from collections.abc import Iterator
from typing import Any

from imgdata.images.bounded_file import BoundedFile
from imgdata.images.fact_book import FactBook
from imgdata.images.safe_xml import as_number
from imgdata.model.facts import Compression, Packing, Reading, Source, Symptom

LOSSLESS, LOSSY, UNKNOWN = Packing.LOSSLESS, Packing.LOSSY, Packing.UNKNOWN
MAX_OBJECTS = 5_000
FILTERS = {
    1: (LOSSLESS, "deflate"),
    2: (LOSSLESS, "shuffle"),
    3: (LOSSLESS, "Fletcher32 checksum"),
    4: (LOSSLESS, "szip"),
    5: (LOSSLESS, "n-bit packing"),
    307: (LOSSLESS, "bzip2"),
    32000: (LOSSLESS, "LZF"),
    32001: (LOSSLESS, "blosc"),
    32004: (LOSSLESS, "LZ4"),
    32008: (LOSSLESS, "bitshuffle"),
    32015: (LOSSLESS, "Zstandard"),
    32026: (LOSSLESS, "blosc2"),
    32013: (UNKNOWN, "ZFP"),
    32017: (UNKNOWN, "SZ"),
    32024: (UNKNOWN, "SZ3"),
    32019: (LOSSY, "JPEG"),
    32022: (LOSSY, "granular bit round"),
    32023: (LOSSY, "quantize"),
    32028: (UNKNOWN, "LERC"),
    32030: (UNKNOWN, "B3D"),
    32012: (UNKNOWN, "SPDP"),
}
SCALE_OFFSET = 6


def read(file: BoundedFile) -> Reading:
    """Return what an HDF5 file says; damage becomes symptoms."""
    book = FactBook()
    name = "hdf5"
    symptoms = _superblock(file)
    compression: Compression | None = None
    if not symptoms:
        try:
            name, compression = _describe(file, book)
        except ImportError:
            raise
        except Exception as error:  # noqa: BLE001 - h5py raises anything on damaged files
            found = f"h5py cannot read it: {type(error).__name__}: {str(error)[:160]}"
            symptoms.append(Symptom("IMG-102", found, "readable HDF5"))
    if compression is not None and compression.packing is not LOSSLESS:
        rule = "IMG-201" if compression.packing is LOSSY else "IMG-202"
        symptoms.append(Symptom(rule, compression.reason, "lossless or no compression"))
    return Reading(
        name,
        "h5py",
        facts=book.facts,
        compression=compression,
        symptoms=tuple(symptoms),
        sample_hash=file.sample_hash(),
    )


def _superblock(file: BoundedFile) -> list[Symptom]:
    """Compare the end-of-file address of the superblock with the file's size."""
    head = file.head[:128]
    version = head[8] if len(head) > 8 else 255  # noqa: PLR2004 - after the signature
    if version in {0, 1}:
        size = head[13] if len(head) > 13 else 0  # noqa: PLR2004 - bytes of an offset
        at = 24 + (4 if version == 1 else 0)
        position = at + 2 * size
    elif version in {2, 3}:
        size = head[9]
        position = 12 + 2 * size
    else:
        return [Symptom("IMG-102", f"superblock of version {version}", "0 to 3")]
    if size != 8 or len(head) < position + 8:  # noqa: PLR2004 - eight-byte offsets
        return []
    end = struct.unpack("<Q", head[position : position + 8])[0]
    if end > file.size:
        return [Symptom("IMG-101", f"{file.size:,} bytes", f"{end:,} bytes by the superblock")]
    return []


def _describe(file: BoundedFile, book: FactBook) -> tuple[str, Compression | None]:
    import h5py  # noqa: PLC0415 - an extra, imported only for HDF5 files

    with h5py.File(file.path, "r") as root:
        imaris = "DataSetInfo" in root and "DataSet" in root
        if imaris:
            _imaris(book, root)
        compression: Compression | None = None
        for dataset in datasets(root, imaris=imaris):
            one = _verdict(dataset)
            compression = one if compression is None else compression.worse(one)
            if not imaris:
                _shape(book, dataset)
        return ("imaris" if imaris else "hdf5"), compression


def datasets(root: Any, *, imaris: bool) -> Iterator[Any]:  # noqa: ANN401 - h5py's own types
    """Yield numeric datasets of two or more dimensions; of Imaris full resolution only.

    Links are not followed out of the file, and each object is visited once.
    """
    start = root["DataSet/ResolutionLevel 0"] if imaris else root
    pending, visited = [start], 0
    while pending and visited < MAX_OBJECTS:
        group = pending.pop()
        for name in group:
            visited += 1
            link = group.get(name, getlink=True)
            if type(link).__name__ != "HardLink":
                continue
            item = group[name]
            if hasattr(item, "keys"):
                pending.append(item)
            elif len(item.shape or ()) >= 2 and item.dtype.kind in "uif":  # noqa: PLR2004 - a plane
                yield item


def _verdict(dataset: Any) -> Compression:  # noqa: ANN401 - h5py's own type
    properties = dataset.id.get_create_plist()
    verdict = Compression(LOSSLESS, "HDF5, uncompressed")
    for index in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(index)
        if code == SCALE_OFFSET:
            exact = dataset.dtype.kind in "ui" and (len(values) < 2 or values[1] == 0)  # noqa: PLR2004
            one = Compression(LOSSLESS if exact else LOSSY, "HDF5 scale-offset")
        else:
            packing, title = FILTERS.get(code, (UNKNOWN, f"filter {code}"))
            one = Compression(packing, f"HDF5, {title}")
        verdict = one if verdict.reason.endswith("uncompressed") else verdict.worse(one)
    return verdict


def _shape(book: FactBook, dataset: Any) -> None:  # noqa: ANN401 - h5py's own type
    shape = dataset.shape
    where = f"dataset {dataset.name[:80]}"
    book.put("size_x", int(shape[-1]), where)
    book.put("size_y", int(shape[-2]), where)
    book.put("dtype", str(dataset.dtype), where)


def _text(value: object) -> str:
    """Return an Imaris attribute: an array of single characters."""
    try:
        return b"".join(value).decode("utf-8", "replace")  # type: ignore[arg-type]  # h5py array
    except TypeError:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _imaris(book: FactBook, root: Any) -> None:  # noqa: ANN401 - h5py's own type
    info = root["DataSetInfo"]
    image = {k: _text(v) for k, v in info["Image"].attrs.items()} if "Image" in info else {}
    counts = {}
    for axis in "XYZ":
        count = as_number(image.get(axis))
        counts[axis] = int(count) if count else 0
        book.put(f"size_{axis.lower()}", counts[axis] or None, f"Imaris Image@{axis}")
    unit = image.get("Unit", "um")
    for index, axis in enumerate("XYZ"):
        low, high = (as_number(image.get(f"Ext{end}{index}")) for end in ("Min", "Max"))
        if low is not None and high is not None and counts[axis]:
            book.put_length(
                f"pixel_size_{axis.lower()}",
                abs(high - low) / counts[axis],
                unit,
                f"Imaris Image@ExtMax{index}",
            )
    level = root["DataSet/ResolutionLevel 0"]
    times = sorted(level)
    channels = sorted(level[times[0]]) if times else []
    book.put("size_t", len(times) or None, "Imaris DataSet")
    book.put("size_c", len(channels) or None, "Imaris DataSet")
    if channels and "Data" in level[times[0]][channels[0]]:
        book.put("dtype", str(level[times[0]][channels[0]]["Data"].dtype), "Imaris Data")
    names = [
        _text(info[f"Channel {i}"].attrs.get("Name", b"")) if f"Channel {i}" in info else ""
        for i in range(len(channels))
    ]
    book.put_channels(names, "Imaris Channel@Name")
    book.put("acquired", image.get("RecordingDate"), "Imaris Image@RecordingDate")
    magnification = as_number(image.get("LensPower", "").rstrip("xX "))
    book.put("objective_magnification", magnification or None, "Imaris Image@LensPower")
    book.put(
        "objective_na",
        as_number(image.get("NumericalAperture")) or None,
        "Imaris Image@NumericalAperture",
    )
    book.put(
        "model",
        image.get("MicroscopeModality"),
        "Imaris Image@MicroscopeModality",
        source=Source.FILE,
    )
