"""Read Nikon ND2: structure by its own chunks, facts through the nd2 library.

The chunk map at the end of the file names every chunk; a cut file has lost it, which some readers
do not notice. The library is asked only about files whose structure holds.
"""

import re
import struct
import warnings
from typing import Any

from imgdata.images.bounded_file import BoundedFile
from imgdata.images.fact_book import FactBook, milliseconds
from imgdata.images.safe_xml import as_number
from imgdata.model.facts import Compression, Packing, Reading, Source, Symptom

SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"
CHUNK_MAGIC = b"\xda\xce\xbe\x0a"
_MAP_TAIL = 40
MAX_MAP = 64 * 1024 * 1024
_EXPOSURE = re.compile(r"Exposure:\s*([\d.,]+)\s*(\w+)")
_CAMERA = re.compile(r"Camera Name:\s*(.+?)\s*$", re.MULTILINE)
_MICROSCOPE = re.compile(r"Microscope:\s*(.+?)\s*$", re.MULTILINE)
_BINNING = re.compile(r"Binning:\s*(\d+)\s*x\s*\d+")
_VERDICTS = {
    None: Compression(Packing.LOSSLESS, "ND2 uncompressed"),
    "none": Compression(Packing.LOSSLESS, "ND2 uncompressed"),
    "lossless": Compression(Packing.LOSSLESS, "ND2, lossless (zlib)"),
    "lossy": Compression(Packing.LOSSY, "ND2, lossy"),
}


def read(file: BoundedFile) -> Reading:
    """Return what an ND2 says; damage becomes symptoms."""
    book = FactBook()
    symptoms = _structure(file)
    compression: Compression | None = None
    if not symptoms:
        compression, more = _describe(file, book)
        symptoms += more
    if compression is not None and compression.packing is Packing.LOSSY:
        symptoms.append(Symptom("IMG-201", compression.reason, "lossless or no compression"))
    if compression is not None and compression.packing is Packing.UNKNOWN:
        symptoms.append(Symptom("IMG-202", compression.reason, "a compression proved lossless"))
    return Reading(
        "nd2",
        "nd2",
        facts=book.facts,
        compression=compression,
        symptoms=tuple(symptoms),
        sample_hash=file.sample_hash(),
    )


def _structure(file: BoundedFile) -> list[Symptom]:
    """Walk the chunk map without the library: is it there, and do its chunks lie in the file?"""
    tail = file.some(file.size - _MAP_TAIL, _MAP_TAIL)
    if len(tail) < _MAP_TAIL or tail[:32] != SIGNATURE:
        return [
            Symptom(
                "IMG-101",
                f"{file.size:,} bytes without a chunk map at the end",
                "the chunk map that closes every ND2",
            )
        ]
    start = struct.unpack("<Q", tail[32:40])[0]
    if start >= file.size or file.size - start > MAX_MAP:
        return [
            Symptom("IMG-102", f"the chunk map begins at byte {start:,}", "a place in the file")
        ]
    head = file.some(start, 16)
    if head[:4] != CHUNK_MAGIC or len(head) < 16:  # noqa: PLR2004 - magic, name length, data length
        return [Symptom("IMG-102", "no chunk where the chunk map should be", "a chunk map")]
    name_length, data_length = struct.unpack("<IQ", head[4:16])
    if name_length + data_length > MAX_MAP:
        return [Symptom("IMG-102", f"a chunk map of {data_length:,} bytes", "a chunk map")]
    return _chunks(file, file.some(start + 16 + name_length, data_length))


def _chunks(file: BoundedFile, data: bytes) -> list[Symptom]:
    position, entries = 0, []
    while position < len(data):
        end = data.find(b"!", position)
        if end < 0 or len(data) < end + 17 or data[position : end + 1] == SIGNATURE:
            break
        offset, length = struct.unpack("<QQ", data[end + 1 : end + 17])
        entries.append((data[position:end], offset, length))
        position = end + 17
    beyond = [name for name, offset, length in entries if offset + length > file.size]
    if beyond:
        shown = beyond[0].decode("latin-1", "replace")[:60]
        return [
            Symptom(
                "IMG-101",
                f"{len(beyond)} of {len(entries)} chunks end beyond the file, as {shown}",
                f"all within {file.size:,} bytes",
            )
        ]
    broken = [name for name, offset, _ in _some(entries) if file.some(offset, 4) != CHUNK_MAGIC]
    if broken:
        shown = broken[0].decode("latin-1", "replace")[:60]
        return [Symptom("IMG-102", f"no chunk at the place of {shown}", "a chunk")]
    if not entries:
        return [Symptom("IMG-102", "an empty chunk map", "chunks")]
    return []


def _some(entries: list[tuple[bytes, int, int]]) -> list[tuple[bytes, int, int]]:
    step = max(1, len(entries) // 256)
    return entries[::step]


def _describe(file: BoundedFile, book: FactBook) -> tuple[Compression | None, list[Symptom]]:
    import nd2  # noqa: PLC0415 - an extra, imported only for ND2 files

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with nd2.ND2File(file.path) as image:
                _sizes(book, image)
                _metadata(book, image)
                _texts(book, {key: str(text) for key, text in image.text_info.items()})
                return _VERDICTS.get(
                    image.attributes.compressionType,
                    Compression(Packing.UNKNOWN, f"ND2, {image.attributes.compressionType}"),
                ), _planned(image)
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 - nd2 raises anything on damaged metadata
        found = f"nd2 cannot read it: {type(error).__name__}: {str(error)[:160]}"
        return None, [Symptom("IMG-102", found, "readable metadata")]


def _sizes(book: FactBook, image: Any) -> None:  # noqa: ANN401 - nd2's own type
    sizes = dict(image.sizes)
    for axis in "XYZCT":
        book.put(f"size_{axis.lower()}", int(sizes.get(axis, 1)), f"ND2 {axis}")
    if "P" in sizes:
        book.put("positions", int(sizes["P"]), "ND2 XY positions")
    book.put("dtype", str(image.dtype), "ND2 attributes")
    bits = image.attributes.bitsPerComponentSignificant
    book.put("significant_bits", int(bits) if bits else None, "ND2 bitsPerComponentSignificant")
    voxel = image.voxel_size()
    calibrated = (True, True, True)
    channels = getattr(image.metadata, "channels", None) or []
    if channels:
        calibrated = channels[0].volume.axesCalibrated
    for axis, length, known in zip("xyz", voxel, calibrated, strict=True):
        if known:
            book.put_length(f"pixel_size_{axis}", length, "um", "ND2 axesCalibration")


def _metadata(book: FactBook, image: Any) -> None:  # noqa: ANN401 - nd2's own type
    book.put("manufacturer", "Nikon", "the ND2 format", source=Source.INFERRED)
    channels = getattr(image.metadata, "channels", None) or []
    if not channels:
        return
    book.put_channels((c.channel.name or "" for c in channels), "ND2 channel names")
    book.put_each(
        "emission_wavelength",
        (c.channel.emissionLambdaNm for c in channels),
        "ND2 emissionLambdaNm",
        "nm",
    )
    scope = channels[0].microscope
    book.put("objective", scope.objectiveName, "ND2 objectiveName")
    book.put(
        "objective_magnification",
        scope.objectiveMagnification or None,
        "ND2 objectiveMagnification",
    )
    book.put(
        "objective_na", scope.objectiveNumericalAperture or None, "ND2 objectiveNumericalAperture"
    )
    book.put("modality", tuple(scope.modalityFlags or ()), "ND2 modalityFlags")


def _texts(book: FactBook, said: dict[str, str]) -> None:
    description = said.get("description", "")
    scope = _MICROSCOPE.search(description)
    book.put("model", scope[1] if scope else None, "ND2 text_info Microscope")
    camera = _CAMERA.search(description)
    book.put("camera", camera[1] if camera else None, "ND2 text_info Camera Name")
    found = _EXPOSURE.findall(said.get("capturing", "")) or _EXPOSURE.findall(description)
    book.put_each(
        "exposure",
        (milliseconds(as_number(v), u) for v, u in found),
        "ND2 text_info Exposure",
        "ms",
    )
    binning = _BINNING.search(description)
    book.put("binning", int(binning[1]) if binning else None, "ND2 text_info Binning")
    book.put("acquired", said.get("date"), "ND2 text_info date")


def _planned(image: Any) -> list[Symptom]:  # noqa: ANN401 - nd2's own type
    """Compare the experiment's loops with the frames that are stored."""
    planned = 1
    for loop in image.experiment or []:
        planned *= max(1, int(loop.count))
    stored = int(image.attributes.sequenceCount or 0)
    if stored and planned > stored:
        return [Symptom("IMG-402", f"{stored:,} frames stored", f"{planned:,} frames planned")]
    return []
