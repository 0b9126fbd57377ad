"""Every row of the compression table that a permissive library can write, against its pixels.

Rows without a fixture, and why: 33004, 33007 beside the old numbers (no writer leaves pixels that
can be compared); 2, 3, 4, 32771 fax (one bit); 6, 34892 (no open writer); 34713 NEF, 34676/34677
LogLuv, 32909 PixarLog, JBIG, EER, Jetraw, NeXT, ThunderScan (no permissive writer): their verdict
is a constant of the table, covered by `test_a_number_outside_the_table_is_never_lossless`.
"""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from imgdata.images.formats import read_image
from imgdata.images.tiff_compression import PEEKS, TABLE
from imgdata.model.facts import Packing, Reading

Pixels = np.ndarray[Any, Any]
RNG = np.random.default_rng(7)
DEEP = RNG.integers(100, 4000, (96, 128), dtype=np.uint16)
SHALLOW = (DEEP >> 4).astype(np.uint8)
COLOUR = RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8)
FLOAT = DEEP.astype(np.float32)
SMOOTH = np.add.outer(np.arange(96, dtype=np.uint16) * 8, np.arange(128, dtype=np.uint16) * 4)

TIFF_ROWS: tuple[tuple[str, Pixels, dict[str, Any], str], ...] = (
    ("none", DEEP, {}, "lossless"),
    ("lzw", DEEP, {}, "lossless"),
    ("deflate", DEEP, {}, "lossless"),
    ("adobe_deflate", DEEP, {}, "lossless"),
    ("packbits", SHALLOW, {}, "lossless"),
    ("zstd", DEEP, {}, "lossless"),
    ("lzma", DEEP, {}, "lossless"),
    ("png", DEEP, {}, "lossless"),
    ("jpeg", SHALLOW, {"level": 70}, "lossy"),
    ("jpeg", DEEP, {"lossless": True}, "lossless"),
    ("jpeg2000", DEEP, {"reversible": True}, "lossless"),
    ("jpeg2000", SMOOTH, {"reversible": True}, "unknown"),
    ("jpeg2000", DEEP, {"reversible": False, "level": 40}, "lossy"),
    ("jpeg2000", DEEP, {"reversible": True, "level": 35}, "unknown"),
    ("aperio_jp2000_rgb", DEEP, {"reversible": True}, "lossless"),
    ("jpeg_2000_lossy", DEEP, {"reversible": False, "level": 40}, "lossy"),
    ("jpegxr", SHALLOW, {}, "unknown"),
    ("jpegxl", SHALLOW, {"lossless": True}, "unknown"),
    ("jpegxl", SHALLOW, {"lossless": False, "level": 70}, "lossy"),
    ("lerc", DEEP, {"level": 0}, "lossless"),
    ("lerc", DEEP, {"level": 3}, "lossy"),
    ("lerc", FLOAT, {"level": 0}, "lossless"),
    ("lerc", FLOAT, {"level": 2.0}, "lossy"),
    ("lerc", DEEP, {"compression": "deflate"}, "lossless"),
    ("lerc", DEEP, {"compression": "zstd"}, "unknown"),
    ("webp", COLOUR, {"lossless": True}, "lossless"),
    ("webp", COLOUR, {"lossless": False, "level": 80}, "lossy"),
)


def read(path: Path) -> Reading:
    reading = read_image(path)
    assert reading is not None
    return reading


def rules(reading: Reading) -> set[str]:
    return {symptom.rule for symptom in reading.symptoms}


@pytest.mark.parametrize(("codec", "pixels", "settings", "expected"), TIFF_ROWS)
def test_a_tiff_gets_the_verdict_its_pixels_prove(
    tmp_path: Path, codec: str, pixels: Pixels, settings: dict[str, Any], expected: str
) -> None:
    path = tmp_path / "image.tif"
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(
        path, pixels, photometric=photometric, compression=codec, compressionargs=settings or None
    )
    reading = read(path)
    assert reading.compression is not None
    assert str(reading.compression.packing) == expected, reading.compression.reason
    assert ("IMG-201" in rules(reading)) == (expected == "lossy")
    assert ("IMG-202" in rules(reading)) == (expected == "unknown")
    equal = bool(np.array_equal(tifffile.imread(path), pixels))
    if expected == "lossless":
        assert equal
    if expected == "lossy":
        assert not equal


def test_a_reversible_jpeg2000_cut_to_a_rate_is_not_called_lossless(tmp_path: Path) -> None:
    path = tmp_path / "cut.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(DEEP, reversible=True, level=35))
    assert not np.array_equal(imagecodecs.jpeg2k_decode(path.read_bytes()), DEEP)
    compression = read(path).compression
    assert compression is not None
    assert compression.packing is Packing.UNKNOWN
    assert "cut to a rate" in compression.reason


PICTURES: list[tuple[str, bytes | bytearray, str]] = [
    ("a.jp2", imagecodecs.jpeg2k_encode(DEEP, reversible=True), "lossless"),
    (
        "b.j2k",
        imagecodecs.jpeg2k_encode(DEEP, codecformat="j2k", reversible=False, level=40),
        "lossy",
    ),
    ("c.jxl", imagecodecs.jpegxl_encode(SHALLOW, lossless=True), "unknown"),
    ("d.jxl", imagecodecs.jpegxl_encode(SHALLOW, lossless=False, level=70), "lossy"),
    ("e.jls", imagecodecs.jpegls_encode(DEEP), "lossless"),
    ("f.jls", imagecodecs.jpegls_encode(DEEP, level=3), "lossy"),
    ("g.jpg", imagecodecs.ljpeg_encode(DEEP), "lossless"),
    ("h.jpg", imagecodecs.jpeg_encode(SHALLOW), "lossy"),
    ("i.webp", imagecodecs.webp_encode(COLOUR, lossless=True), "lossless"),
    ("j.webp", imagecodecs.webp_encode(COLOUR, lossless=False, level=80), "lossy"),
    ("k.png", imagecodecs.png_encode(DEEP), "lossless"),
    ("l.jxr", imagecodecs.jpegxr_encode(SHALLOW), "unknown"),
]


@pytest.mark.parametrize(("name", "data", "expected"), PICTURES, ids=[p[0] for p in PICTURES])
def test_a_picture_gets_the_verdict_of_its_header(
    tmp_path: Path, name: str, data: bytes | bytearray, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    reading = read(path)
    assert reading.compression is not None
    assert str(reading.compression.packing) == expected, reading.compression.reason
    assert "IMG-104" not in rules(reading)
    assert "IMG-101" not in rules(reading)


@pytest.mark.parametrize("suffix", ["gif", "bmp", "avif"])
def test_display_formats_are_told_apart(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(SHALLOW).save(path)
    reading = read(path)
    assert reading.compression is not None
    expected = {"gif": "lossless", "bmp": "lossless", "avif": "unknown"}[suffix]
    assert str(reading.compression.packing) == expected


@pytest.mark.parametrize("number", [0, 10, 7777, 34661, 34676, 34713, 48124, 65000, 65001, 65535])
def test_a_number_outside_the_table_is_never_lossless(tmp_path: Path, number: int) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, DEEP, metadata=None)
    data = bytearray(path.read_bytes())
    at = data.find(b"\x03\x01\x03\x00\x01\x00\x00\x00")
    data[at + 8 : at + 10] = number.to_bytes(2, "little")
    path.write_bytes(data)
    reading = read(path)
    assert reading.compression is not None
    assert reading.compression.packing is not Packing.LOSSLESS
    assert reading.compression.reason


def test_every_number_is_either_in_the_table_or_looked_at() -> None:
    assert not set(TABLE) & set(PEEKS)
    lossless = {code for code, row in TABLE.items() if row.packing is Packing.LOSSLESS}
    assert lossless == {
        1,
        2,
        3,
        4,
        5,
        8,
        32771,
        32773,
        32946,
        34925,
        34926,
        34933,
        50000,
    }
