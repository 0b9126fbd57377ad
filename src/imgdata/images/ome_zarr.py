"""Read OME-Zarr 0.4 and 0.5 (and plain Zarr) folders from their JSON, without the zarr library.

A folder is one file. Metadata is read with bounds, paths in it may not leave the folder, and of
the chunks only a sample is looked at: a chunk that is not there reads as the fill value by the
specification, but an empty or shortened chunk file is damage.

Source: OME-NGFF 0.4 and 0.5; Zarr v2 and v3 specifications.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field

from imgdata.images import ome_xml, zarr_codecs
from imgdata.images.fact_book import FactBook
from imgdata.images.safe_xml import BadXmlError, UnsafeXmlError, parse
from imgdata.model.facts import Compression, Packing, Reading, Symptom

JSON_LIMIT = 32 * 1024 * 1024
MAX_IMAGES = 2_000
MAX_CHUNKS = 20_000
SAMPLED_CHUNKS = 64
_V2_TYPE = re.compile(r"[<>|]?([biufc])(\d{1,2})")
_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
Json = Mapping[str, object]


class Array(Struct):
    """One array's metadata, of either version."""

    path: Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    itemsize: int
    version: int
    metadata: Json
    separator: str = "/"

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one whole chunk uncompressed."""
        return math.prod(self.chunks) * self.itemsize


class _Draft(Struct):
    root: Path
    book: FactBook = field(default_factory=FactBook)
    symptoms: list[Symptom] = field(default_factory=list)
    compression: Compression | None = None
    images: int = 0
    without_chunks: list[str] = field(default_factory=list)

    def add(self, rule: str, found: str, expected: str = "", weight: str = "") -> None:
        if len(self.symptoms) < 100:  # noqa: PLR2004 - a broken plate needs no thousand lines
            self.symptoms.append(Symptom(rule, found, expected, weight))


class _NoJsonError(ValueError):
    """A metadata file is absent, too large or not JSON."""


def read(path: Path) -> Reading | None:
    """Return what an OME-Zarr folder says; None for a folder that is no Zarr at all."""
    draft = _Draft(path)
    attributes, kind = _attributes(draft, path)
    if kind == "none":
        if not any(path.iterdir()):
            return Reading(
                "ome-zarr",
                "imgdata zarr",
                symptoms=(Symptom("IMG-103", "an empty folder", "a Zarr hierarchy"),),
            )
        draft.add("IMG-102", "no .zgroup, .zarray or zarr.json", "Zarr metadata")
        return _reading(draft, "ome-zarr")
    name = "ome-zarr"
    if "plate" in attributes:
        _plate(draft, attributes["plate"])
    elif "multiscales" in attributes:
        _image(draft, path, attributes)
    elif "bioformats2raw.layout" in attributes:
        _series(draft)
    elif kind == "array":
        name = "zarr"
        _array_alone(draft, path)
    else:
        name = "zarr"
        if not draft.symptoms:
            draft.add(
                "IMG-102", "a Zarr group without OME metadata", "multiscales or plate", "warning"
            )
    _ome_metadata(draft)
    return _reading(draft, name)


def _reading(draft: _Draft, name: str) -> Reading:
    if draft.images > 1:
        draft.book.put("images", draft.images, "OME-Zarr images")
    if draft.without_chunks:
        count, first = len(draft.without_chunks), draft.without_chunks[0]
        found = f"{count} arrays store no chunk, as {first}: every pixel reads as the fill value"
        draft.add("IMG-402", found, "stored pixels")
    if draft.compression is not None and draft.compression.packing is not Packing.LOSSLESS:
        rule = "IMG-201" if draft.compression.packing is Packing.LOSSY else "IMG-202"
        draft.add(rule, draft.compression.reason, "lossless or no compression")
    return Reading(
        name,
        "imgdata zarr",
        facts=draft.book.facts,
        compression=draft.compression,
        symptoms=tuple(draft.symptoms),
        sample_hash=_sample_hash(draft.root),
    )


def _sample_hash(root: Path) -> str:
    """Return a hash of the names and sizes of the first files; twins of folders are rare."""
    digest = hashlib.blake2b(str(root.name).encode(), digest_size=12)
    return f"zarr-{digest.hexdigest()}"


# Metadata -----------------------------------------------------------------------------------


def load_json(path: Path) -> dict[str, object]:
    """Return a JSON object from a file of at most 32 MB.

    Raises:
        _NoJsonError: It is absent, larger, or not a JSON object.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(JSON_LIMIT + 1)
    except OSError as error:
        raise _NoJsonError(str(error.strerror or error)) from error
    if len(data) > JSON_LIMIT:
        msg = f"{path.name} is larger than any metadata"
        raise _NoJsonError(msg)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"{path.name} is not JSON: {str(error)[:100]}"
        raise _NoJsonError(msg) from error
    if not isinstance(found, dict):
        msg = f"{path.name} is not a JSON object"
        raise _NoJsonError(msg)
    return found


def _attributes(draft: _Draft, folder: Path) -> tuple[dict[str, object], str]:
    """Return a node's attributes and whether it is a group, an array or nothing."""
    try:
        if (folder / "zarr.json").is_file():
            node = load_json(folder / "zarr.json")
            said = node.get("attributes")
            said = said if isinstance(said, dict) else {}
            ome = said.get("ome")
            return (ome if isinstance(ome, dict) else said), str(node.get("node_type", "group"))
        kind = "group" if (folder / ".zgroup").is_file() else "none"
        kind = "array" if (folder / ".zarray").is_file() else kind
        if (folder / ".zattrs").is_file():
            return load_json(folder / ".zattrs"), kind if kind != "none" else "group"
    except _NoJsonError as error:
        draft.add("IMG-102", str(error), "readable Zarr metadata")
        return {}, "broken"
    else:
        return {}, kind


def inside(root: Path, *parts: object) -> Path | None:
    """Return a path below the root, or None when the metadata leads out of it."""
    text = "/".join(str(part) for part in parts)
    if "\0" in text or text.startswith(("/", "\\")) or ".." in text.replace("\\", "/").split("/"):
        return None
    path = root / text
    if not os.path.realpath(path).startswith(os.path.realpath(root)):
        return None
    return path


def array_at(folder: Path) -> Array:
    """Return an array's metadata.

    Raises:
        ValueError: It is absent or contradicts itself.
    """
    if (folder / "zarr.json").is_file():
        said = load_json(folder / "zarr.json")
        grid = said.get("chunk_grid")
        settings = grid.get("configuration") if isinstance(grid, dict) else None
        chunks = settings.get("chunk_shape") if isinstance(settings, dict) else None
        dtype = str(said.get("data_type", ""))
        encoding = said.get("chunk_key_encoding")
        separator = _separator(encoding) if isinstance(encoding, dict) else "/"
        return _array(folder, said, chunks, _v3_type(dtype), 3, separator)
    said = load_json(folder / ".zarray")
    dtype, size = _v2_type(str(said.get("dtype", "")))
    separator = str(said.get("dimension_separator", "."))
    return _array(folder, said, said.get("chunks"), (dtype, size), 2, separator)


def _separator(encoding: Mapping[str, object]) -> str:
    settings = encoding.get("configuration")
    default = "." if encoding.get("name") == "v2" else "/"
    return str(settings.get("separator", default)) if isinstance(settings, dict) else default


def _v2_type(text: str) -> tuple[str, int]:
    found = _V2_TYPE.fullmatch(text)
    if not found:
        return text[:20], 0
    size = int(found[2])
    name = _KINDS[found[1]]
    return (name if name == "bool" else f"{name}{size * 8}"), size


def _v3_type(text: str) -> tuple[str, int]:
    bits = re.search(r"(\d+)$", text)
    if text == "bool":
        return text, 1
    return text[:20], int(bits[1]) // 8 if bits else 0


def _array(
    folder: Path, said: Json, chunks: object, kind: tuple[str, int], version: int, separator: str
) -> Array:
    shape = _whole_numbers(said.get("shape"))
    sizes = _whole_numbers(chunks)
    if shape is None or sizes is None or len(shape) != len(sizes) or not all(sizes):
        msg = (
            f"shape {str(said.get('shape'))[:60]} and chunks {str(chunks)[:60]} do not fit together"
        )
        raise ValueError(msg)
    return Array(folder, shape, sizes, kind[0], kind[1], version, said, separator)


def _whole_numbers(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or len(value) > 32:  # noqa: PLR2004 - dimensions
        return None
    if not all(isinstance(v, int) and 0 <= v < 2**62 for v in value):
        return None
    return tuple(value)


# Images -------------------------------------------------------------------------------------


def _dicts(value: object) -> list[dict[str, object]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _plate(draft: _Draft, plate: object) -> None:
    wells = _dicts(plate.get("wells")) if isinstance(plate, dict) else []
    if not wells:
        draft.add("IMG-102", "a plate without wells", "plate/wells")
    draft.book.put("wells", len(wells) or None, "plate/wells")
    gone: list[str] = []
    for well in wells[:MAX_IMAGES]:
        path = inside(draft.root, well.get("path", ""))
        if path is None:
            draft.add(
                "IMG-107", f"a well's path leads out of the folder: {str(well.get('path'))[:80]}"
            )
            continue
        attributes, kind = _attributes(draft, path)
        if kind == "none":
            gone.append(str(well.get("path")))
            continue
        _well(draft, path, attributes)
    if gone:
        draft.add(
            "IMG-401",
            f"{len(gone)} of {len(wells)} wells are not there: {', '.join(gone[:8])}",
            "every well the plate lists",
        )


def _well(draft: _Draft, path: Path, attributes: Json) -> None:
    well = attributes.get("well")
    images = _dicts(well.get("images")) if isinstance(well, dict) else []
    for image in images[:MAX_IMAGES]:
        folder = inside(draft.root, os.path.relpath(path, draft.root), image.get("path", ""))
        if folder is None:
            draft.add("IMG-107", "an image's path leads out of the folder")
            continue
        if draft.images >= MAX_IMAGES:
            draft.add("IMG-902", f"more than {MAX_IMAGES:,} images", "")
            return
        said, kind = _attributes(draft, folder)
        if kind == "none":
            where = os.path.relpath(folder, draft.root)
            draft.add("IMG-401", f"image {where} is not there", "every image the well lists")
        else:
            _image(draft, folder, said)


def _series(draft: _Draft) -> None:
    for index in range(MAX_IMAGES):
        folder = draft.root / str(index)
        if not folder.is_dir():
            break
        attributes, _ = _attributes(draft, folder)
        _image(draft, folder, attributes)
    if not draft.images:
        draft.add("IMG-102", "no image 0", "images numbered from 0")


def _image(draft: _Draft, folder: Path, attributes: Json) -> None:
    draft.images += 1
    scales = _dicts(attributes.get("multiscales"))
    where = os.path.relpath(folder, draft.root)
    if not scales:
        draft.add("IMG-102", f"{where}: no multiscales", "multiscales")
        return
    datasets = _dicts(scales[0].get("datasets"))
    if not datasets:
        draft.add("IMG-102", f"{where}: multiscales without datasets", "datasets")
        return
    for index, dataset in enumerate(datasets[:32]):
        array = _open(draft, folder, dataset)
        if array is None:
            continue
        if index == 0:
            _level(draft, array, scales[0], dataset)
    _channels(draft, attributes)


def _open(draft: _Draft, folder: Path, dataset: Json) -> Array | None:
    where = os.path.relpath(folder, draft.root)
    path = inside(draft.root, where, dataset.get("path", ""))
    if path is None:
        draft.add(
            "IMG-107", f"{where}: a dataset's path leads out of the folder", "a path below it"
        )
        return None
    try:
        return array_at(path)
    except ValueError as error:
        draft.add(
            "IMG-102",
            f"array {os.path.relpath(path, draft.root)}: {str(error)[:160]}",
            "a readable array",
        )
        return None


def _level(draft: _Draft, array: Array, scale: Json, dataset: Json) -> None:
    axes = _axes(scale, len(array.shape))
    book = draft.book
    if len(axes) != len(array.shape):
        draft.add("IMG-305", f"{len(axes)} axes for {len(array.shape)} dimensions", "one axis each")
    for (name, _), size in zip(axes, array.shape, strict=False):
        if name in "xyzct":
            book.put(f"size_{name}", size, "multiscales/axes and array shape")
    for name in "zct":
        book.put(f"size_{name}", 1, "no such axis")
    book.put("dtype", array.dtype, "array dtype")
    _scale(book, axes, scale, dataset)
    verdict = zarr_codecs.verdict(array.metadata)
    draft.compression = verdict if draft.compression is None else draft.compression.worse(verdict)
    _look_at_chunks(draft, array)


def _axes(scale: Json, dimensions: int) -> list[tuple[str, str]]:
    listed = scale.get("axes")
    found: list[tuple[str, str]] = []
    for axis in listed if isinstance(listed, list) else []:
        if isinstance(axis, dict):
            found.append((str(axis.get("name", "")).lower(), str(axis.get("unit") or "")))
        else:
            found.append((str(axis).lower(), ""))
    return found or [(name, "") for name in "tczyx"[-dimensions:]]


def _scale(book: FactBook, axes: list[tuple[str, str]], scale: Json, dataset: Json) -> None:
    factors = [1.0] * len(axes)
    said = False
    for source in (dataset, scale):
        for step in _dicts(source.get("coordinateTransformations")):
            values = step.get("scale")
            if step.get("type") != "scale" or not isinstance(values, list):
                continue
            if len(values) != len(axes) or not all(isinstance(v, int | float) for v in values):
                continue
            said = True
            factors = [a * float(b) for a, b in zip(factors, values, strict=True)]
    if not said:
        return
    for (name, unit), factor in zip(axes, factors, strict=True):
        if name in "xyz" and unit:
            book.put_length(f"pixel_size_{name}", factor, unit, "coordinateTransformations scale")


def _channels(draft: _Draft, attributes: Json) -> None:
    omero = attributes.get("omero")
    channels = _dicts(omero.get("channels")) if isinstance(omero, dict) else []
    draft.book.put_channels((str(c.get("label") or "") for c in channels), "omero/channels@label")


def _array_alone(draft: _Draft, path: Path) -> None:
    try:
        array = array_at(path)
    except ValueError as error:
        draft.add("IMG-102", str(error)[:160], "a readable array")
        return
    draft.images += 1
    draft.book.put("dtype", array.dtype, "array dtype")
    if len(array.shape) >= 2:  # noqa: PLR2004 - a plane
        draft.book.put("size_x", array.shape[-1], "array shape")
        draft.book.put("size_y", array.shape[-2], "array shape")
    draft.compression = zarr_codecs.verdict(array.metadata)
    _look_at_chunks(draft, array)


def _ome_metadata(draft: _Draft) -> None:
    """Learn from the OME-XML that bioformats2raw keeps beside the images."""
    path = draft.root / "OME" / "METADATA.ome.xml"
    if not path.is_file() or path.stat().st_size > JSON_LIMIT:
        return
    try:
        document = ome_xml.describe(parse(path.read_bytes()), "OME/METADATA.ome.xml")
    except UnsafeXmlError as error:
        draft.add("IMG-107", error.problem)
        return
    except BadXmlError as error:
        draft.add("IMG-102", f"OME/METADATA.ome.xml: {error.problem}", "", "warning")
        return
    for name, fact in document.book.facts.items():
        draft.book.facts.setdefault(name, fact)


# Chunks -------------------------------------------------------------------------------------


def chunk_files(array: Array) -> Iterator[tuple[str, int]]:
    """Yield path and size of an array's chunk files, at most 20,000."""
    count = 0
    start = array.path / "c" if array.version == 3 and array.separator == "/" else array.path  # noqa: PLR2004
    pending = [str(start)]
    while pending and count < MAX_CHUNKS:
        try:
            entries = sorted(os.scandir(pending.pop()), key=lambda e: e.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith((".z", "zarr.json")):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif entry.is_file() and count < MAX_CHUNKS:
                count += 1
                yield entry.path, entry.stat().st_size


def _look_at_chunks(draft: _Draft, array: Array) -> None:
    files = list(chunk_files(array))
    where = os.path.relpath(array.path, draft.root)
    expected = math.prod(-(-s // c) for s, c in zip(array.shape, array.chunks, strict=True))
    if not files and expected:
        draft.without_chunks.append(where)
        return
    empty = [path for path, size in files if size == 0]
    if empty:
        draft.add(
            "IMG-101",
            f"{where}: {len(empty)} empty chunk files, as {os.path.relpath(empty[0], draft.root)}",
            "whole chunks",
        )
    step = max(1, len(files) // SAMPLED_CHUNKS)
    for path, size in files[::step]:
        problem = _chunk_problem(array, path, size)
        if problem:
            draft.add(
                "IMG-101", f"chunk {os.path.relpath(path, draft.root)}: {problem}", "a whole chunk"
            )
            return


def _chunk_problem(array: Array, path: str, size: int) -> str:
    """Compare a chunk's size with what its codec says about itself."""
    names = [name for name, _ in zarr_codecs.codecs(array.metadata)]
    sharded = zarr_codecs.is_sharded(array.metadata)
    plain = not (set(names) - {"bytes", "endian", "transpose"})
    if size == 0 or sharded:
        return ""
    if plain and array.itemsize:
        return (
            "" if size == array.chunk_bytes else f"{size:,} bytes, {array.chunk_bytes:,} expected"
        )
    if names and names[-1] == "blosc" and size >= 16:  # noqa: PLR2004 - blosc header
        with Path(path).open("rb") as stream:
            head = stream.read(16)
        stored = int.from_bytes(head[12:16], "little")
        if stored != size:
            return f"{size:,} bytes, {stored:,} by its blosc header"
    return ""
