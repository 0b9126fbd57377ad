"""Which Zarr codecs and filters keep values exactly: a table; unknown names never pass.

Sources: Zarr v2 and v3 specifications, numcodecs and imagecodecs registries.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from imgdata.model.facts import Compression, Packing

LOSSLESS, LOSSY, UNKNOWN = Packing.LOSSLESS, Packing.LOSSY, Packing.UNKNOWN

_LOSSLESS = frozenset(
    {
        "blosc",
        "zlib",
        "gzip",
        "zstd",
        "lz4",
        "bz2",
        "lzma",
        "zfpy-reversible",
        "shuffle",
        "delta",
        "crc32c",
        "crc32",
        "adler32",
        "fletcher32",
        "jenkins_lookup3",
        "transpose",
        "bytes",
        "endian",
        "vlen-utf8",
        "vlen-bytes",
        "vlen-array",
        "json2",
        "msgpack2",
        "pickle",
        "categorize",
        "snappy",
        "lzf",
        "lzw",
        "deflate",
        "packbits_bool",
        "bitshuffle",
        "imagecodecs_delta",
        "imagecodecs_png",
        "imagecodecs_lzw",
        "imagecodecs_zstd",
        "imagecodecs_deflate",
        "imagecodecs_bitshuffle",
        "imagecodecs_byteshuffle",
        "pcodec",
        "n5_wrapper",
        "base64",
    }
)
_LOSSY = MappingProxyType(
    {
        "quantize": "rounds to decimal digits",
        "bitround": "rounds mantissas",
        "imagecodecs_bitround": "rounds mantissas",
        "imagecodecs_quantize": "rounds values",
        "imagecodecs_jpeg": "JPEG",
        "imagecodecs_jpeg8": "JPEG",
        "jpeg": "JPEG",
        "imagecodecs_mozjpeg": "JPEG",
    }
)
_MAYBE = frozenset(
    {
        "jpeg2k",
        "imagecodecs_jpeg2k",
        "jpegxl",
        "imagecodecs_jpegxl",
        "jpegxr",
        "imagecodecs_jpegxr",
        "jpegls",
        "imagecodecs_jpegls",
        "webp",
        "imagecodecs_webp",
        "avif",
        "imagecodecs_avif",
        "lerc",
        "imagecodecs_lerc",
        "zfpy",
        "zfp",
        "imagecodecs_zfp",
        "sz",
        "sz3",
        "sperr",
    }
)
_FLOATS = ("<f", ">f", "float", "|f")


def verdict(metadata: Mapping[str, object]) -> Compression:
    """Return the verdict on an array's metadata (`.zarray` or `zarr.json`)."""
    dtype = str(metadata.get("dtype") or metadata.get("data_type") or "")
    found = Compression(LOSSLESS, "Zarr, uncompressed")
    for name, settings in codecs(metadata):
        one = _judge(name, settings, dtype)
        found = one if found.reason.endswith("uncompressed") else found.worse(one)
    return found


def codecs(metadata: Mapping[str, object]) -> Iterable[tuple[str, Mapping[str, object]]]:
    """Yield the name and settings of each filter and codec, inside shards too."""
    listed: list[object] = []
    if metadata.get("zarr_format") == 3:  # noqa: PLR2004 - Zarr v3
        listed += _as_list(metadata.get("codecs"))
    else:
        listed += _as_list(metadata.get("filters"))
        listed += [metadata["compressor"]] if metadata.get("compressor") else []
    pending, seen = list(listed), 0
    while pending and seen < 64:  # noqa: PLR2004 - no pipeline is longer
        seen += 1
        entry = pending.pop(0)
        if isinstance(entry, str):
            yield _short(entry), {}
            continue
        if not isinstance(entry, dict):
            yield "(not a codec)", {}
            continue
        name = _short(str(entry.get("id") or entry.get("name") or "(no name)"))
        settings = entry.get("configuration", entry)
        settings = settings if isinstance(settings, dict) else {}
        if name == "sharding_indexed":
            pending += _as_list(settings.get("codecs"))
            continue
        yield name, settings


def is_sharded(metadata: Mapping[str, object]) -> bool:
    """Tell whether several chunks share one file."""
    listed = _as_list(metadata.get("codecs"))
    return any(isinstance(c, dict) and c.get("name") == "sharding_indexed" for c in listed)


def _as_list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []


def _short(name: str) -> str:
    return name.removeprefix("numcodecs.").strip().lower()


def _judge(name: str, settings: Mapping[str, object], dtype: str) -> Compression:
    if name in _LOSSLESS:
        return Compression(LOSSLESS, f"Zarr, {name}")
    if name in _LOSSY:
        return Compression(LOSSY, f"Zarr, {name} ({_LOSSY[name]})")
    if name == "packbits":
        exact = dtype in {"|b1", "bool"}
        return Compression(LOSSLESS if exact else LOSSY, f"Zarr, packbits on {dtype}")
    if name == "fixedscaleoffset":
        return _fixed_scale(settings, dtype)
    if name in {"astype", "cast_value"}:
        return _as_type(settings)
    if name in _MAYBE:
        return _maybe(name, settings)
    return Compression(UNKNOWN, f"Zarr codec {name}, which is not in any registry")


def _fixed_scale(settings: Mapping[str, object], dtype: str) -> Compression:
    exact = settings.get("scale") == 1 and not str(settings.get("dtype", dtype)).startswith(_FLOATS)
    kind = LOSSLESS if exact and dtype == settings.get("astype", dtype) else LOSSY
    return Compression(kind, "Zarr, fixedscaleoffset")


def _as_type(settings: Mapping[str, object]) -> Compression:
    stored = str(settings.get("encode_dtype", settings.get("dtype", "?")))
    seen = str(settings.get("decode_dtype", "?"))
    return Compression(UNKNOWN if stored != seen else LOSSLESS, f"Zarr, astype {seen} to {stored}")


def _maybe(name: str, settings: Mapping[str, object]) -> Compression:
    level = settings.get("level", settings.get("quality"))
    if settings.get("lossless") is True or settings.get("reversible") is True:
        return Compression(LOSSLESS, f"Zarr, {name}, lossless by its settings")
    if name.endswith("lerc") and not level:
        return Compression(LOSSLESS, f"Zarr, {name} without an error bound")
    if name == "zfpy" and settings.get("mode") == 5:  # noqa: PLR2004 - reversible
        return Compression(LOSSLESS, "Zarr, zfpy, reversible")
    if settings.get("lossless") is False or name in {"zfpy", "zfp"}:
        return Compression(LOSSY, f"Zarr, {name}")
    return Compression(UNKNOWN, f"Zarr, {name}")
