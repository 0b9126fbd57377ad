"""OME-Zarr, CZI, LIF, HDF5, Imaris, DICOM and Parquet: facts, verdicts and damage."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

from imgdata.images.fingerprint import fingerprint, of_planes
from imgdata.images.readers import ImageReaders
from imgdata.images.zarr_codecs import verdict
from imgdata.model.facts import FactValue, Packing, Reading
from imgdata.policy.profile_rules import symptoms as profile_symptoms

BuildCzi = Callable[..., bytes]
Encode = Callable[[bytes], bytes | bytearray]
CHANCE = np.random.default_rng(2)
PIXELS = CHANCE.integers(0, 4000, (64, 64), dtype=np.uint16)
READERS = ImageReaders()


def read(path: Path) -> Reading:
    reading = READERS.read(path)
    assert reading is not None
    return reading


def rules(reading: Reading) -> set[str]:
    return {symptom.rule for symptom in reading.symptoms}


def value(reading: Reading, name: str) -> FactValue:
    return reading.facts[name].value


def packing(reading: Reading) -> str:
    return str(reading.compression.packing) if reading.compression else ""


# OME-Zarr -----------------------------------------------------------------------------------

SCALES: dict[str, Any] = {
    "multiscales": [
        {
            "version": "0.4",
            "axes": [
                {"name": "c", "type": "channel"},
                {"name": "y", "type": "space", "unit": "micrometer"},
                {"name": "x", "type": "space", "unit": "micrometer"},
            ],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": [1.0, 0.65, 0.65]}],
                }
            ],
        }
    ],
    "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]},
}
CHUNK = 32


def zarr_v2(root: Path, compressor: dict[str, Any] | None, encode: Encode = bytes) -> Path:
    """Write two channels in 32 x 32 chunks."""
    array = root / "0"
    array.mkdir(parents=True)
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    (root / ".zattrs").write_text(json.dumps(SCALES))
    metadata = {
        "zarr_format": 2,
        "shape": [2, 64, 64],
        "chunks": [1, CHUNK, CHUNK],
        "dtype": "<u2",
        "compressor": compressor,
        "fill_value": 0,
        "filters": None,
        "order": "C",
        "dimension_separator": "/",
    }
    (array / ".zarray").write_text(json.dumps(metadata))
    for c, y, x in np.ndindex(2, 2, 2):
        part = PIXELS[y * CHUNK : (y + 1) * CHUNK, x * CHUNK : (x + 1) * CHUNK] + c
        path = array / str(c) / str(y) / str(x)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(np.ascontiguousarray(part).tobytes()))
    return root


def zarr_v3(root: Path, codecs: list[dict[str, Any]], encode: Encode = bytes) -> Path:
    array = root / "0"
    (root).mkdir(parents=True)
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": {"version": "0.5", **SCALES}},
    }
    (root / "zarr.json").write_text(json.dumps(group))
    for c, y, x in np.ndindex(2, 2, 2):
        part = PIXELS[y * CHUNK : (y + 1) * CHUNK, x * CHUNK : (x + 1) * CHUNK] + c
        path = array / "c" / str(c) / str(y) / str(x)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(np.ascontiguousarray(part).tobytes()))
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [2, 64, 64],
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, CHUNK, CHUNK]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": codecs,
        "fill_value": 0,
    }
    (array / "zarr.json").write_text(json.dumps(metadata))
    return root


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def test_both_versions_say_the_same_and_show_the_same_pixels(tmp_path: Path) -> None:
    old = zarr_v2(tmp_path / "a.zarr", {"id": "zlib", "level": 1}, zlib.compress)
    new = zarr_v3(
        tmp_path / "b.zarr", [BYTES, {"name": "gzip"}], lambda data: zlib.compress(data, wbits=31)
    )
    for path in (old, new):
        reading = read(path)
        assert reading.format == "ome-zarr"
        assert value(reading, "pixel_size_x") == 0.65
        assert value(reading, "channels") == ("DAPI", "GFP")
        assert (value(reading, "size_x"), value(reading, "size_c")) == (64, 2)
        assert value(reading, "dtype") == "uint16"
        assert packing(reading) == "lossless"
        assert rules(reading) == set()
    expected = of_planes([PIXELS, PIXELS + 1])
    assert fingerprint(old) == fingerprint(new) == expected


@pytest.mark.parametrize("codec", ["blosc", "zstd"])
def test_chunks_of_common_codecs_are_decoded(tmp_path: Path, codec: str) -> None:
    encode = {"blosc": imagecodecs.blosc_encode, "zstd": imagecodecs.zstd_encode}[codec]
    root = zarr_v2(tmp_path / "a.zarr", {"id": codec}, encode)
    pixels = READERS.pixels(root, read(root), planes=0)
    assert pixels.error == ""
    assert pixels.high == PIXELS.max() + 1


def test_a_chunk_that_unpacks_to_more_than_declared_is_refused(tmp_path: Path) -> None:
    root = zarr_v2(tmp_path / "bomb.zarr", {"id": "zlib"}, zlib.compress)
    (root / "0" / "0" / "0" / "0").write_bytes(zlib.compress(bytes(50_000_000)))
    pixels = READERS.pixels(root, read(root), planes=0)
    assert "more than" in pixels.error


BROKEN: dict[str, tuple[str, Any, str]] = {
    "not JSON": (".zattrs", "{", "IMG-102"),
    "deep JSON": (".zattrs", "[" * 100_000, "IMG-102"),
    "array gone": ("0/.zarray", None, "IMG-102"),
    "shape of text": ("0/.zarray", '{"shape": "x", "chunks": [1], "dtype": "<u2"}', "IMG-102"),
    "chunks of zero": ("0/.zarray", '{"shape": [1], "chunks": [0], "dtype": "<u2"}', "IMG-102"),
    "path out": (
        ".zattrs",
        json.dumps(SCALES).replace('"path": "0"', '"path": "../../x"'),
        "IMG-107",
    ),
    "no datasets": (".zattrs", '{"multiscales": [{"datasets": []}]}', "IMG-102"),
    "empty chunk": ("0/0/0/0", "", "IMG-101"),
    "short chunk": ("0/0/0/0", "x", "IMG-101"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_zarr_is_a_finding(tmp_path: Path, name: str) -> None:
    root = zarr_v2(tmp_path / "a.zarr", None)
    file, text, rule = BROKEN[name]
    if text is None:
        (root / file).unlink()
    else:
        (root / file).write_text(text)
    assert rule in rules(read(root))


CODECS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"compressor": {"id": "blosc"}}, "lossless"),
    ({"compressor": None, "filters": [{"id": "delta"}]}, "lossless"),
    ({"compressor": {"id": "blosc"}, "filters": [{"id": "quantize", "digits": 2}]}, "lossy"),
    ({"compressor": {"id": "zstd"}, "filters": [{"id": "bitround", "keepbits": 8}]}, "lossy"),
    ({"filters": [{"id": "fixedscaleoffset", "scale": 10, "astype": "u1"}]}, "lossy"),
    ({"filters": [{"id": "packbits"}], "dtype": "|b1"}, "lossless"),
    ({"filters": [{"id": "packbits"}], "dtype": "<u2"}, "lossy"),
    ({"compressor": {"id": "imagecodecs_jpeg", "level": 90}}, "lossy"),
    ({"compressor": {"id": "imagecodecs_jpegxl", "lossless": True}}, "lossless"),
    ({"compressor": {"id": "imagecodecs_jpeg2k", "level": 20}}, "unknown"),
    ({"compressor": {"id": "zfpy", "mode": 4}}, "lossy"),
    ({"compressor": {"id": "my_own_codec"}}, "unknown"),
    ({"compressor": 7}, "unknown"),
    ({"zarr_format": 3, "codecs": [BYTES, {"name": "zstd"}]}, "lossless"),
    ({"zarr_format": 3, "codecs": [{"name": "numcodecs.quantize"}, BYTES]}, "lossy"),
    (
        {
            "zarr_format": 3,
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {"codecs": [BYTES, {"name": "numcodecs.bitround"}]},
                }
            ],
        },
        "lossy",
    ),
    (
        {
            "zarr_format": 3,
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "codecs": [
                            {"name": "transpose"},
                            BYTES,
                            {"name": "blosc"},
                            {"name": "crc32c"},
                        ]
                    },
                }
            ],
        },
        "lossless",
    ),
)


@pytest.mark.parametrize(("metadata", "expected"), CODECS)
def test_filters_count_as_much_as_compressors(metadata: dict[str, Any], expected: str) -> None:
    assert str(verdict({"dtype": "<u2", "zarr_format": 2, **metadata}).packing) == expected


# CZI ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "quality", "expected"),
    [
        (0, "", "lossless"),
        (2, "", "lossless"),
        (5, "", "lossless"),
        (6, "", "lossless"),
        (1, "", "lossy"),
        (4, "100", "lossless"),
        (4, "85", "lossy"),
        (4, "", "unknown"),
        (120, "", "unknown"),
    ],
)
def test_a_czi_is_judged_by_its_subblocks(
    tmp_path: Path, build_czi: BuildCzi, code: int, quality: str, expected: str
) -> None:
    path = tmp_path / "a.czi"
    path.write_bytes(build_czi(code, quality))
    reading = read(path)
    assert packing(reading) == expected
    assert value(reading, "pixel_size_x") == pytest.approx(0.325)
    assert (value(reading, "size_x"), value(reading, "dtype")) == (8, "uint16")


def test_a_jpeg_pyramid_does_not_count(tmp_path: Path, build_czi: BuildCzi) -> None:
    path = tmp_path / "a.czi"
    path.write_bytes(build_czi(0, pyramid=1))
    assert packing(read(path)) == "lossless"
    assert rules(read(path)) == set()


@pytest.mark.parametrize("share", [0.97, 0.6, 0.3, 0.1])
def test_a_cut_czi_is_truncated(tmp_path: Path, build_czi: BuildCzi, share: float) -> None:
    data = build_czi(0)
    path = tmp_path / "a.czi"
    path.write_bytes(data[: int(len(data) * share)])
    assert rules(read(path)) == {"IMG-101"}


# LIF ----------------------------------------------------------------------------------------


def test_a_lif_says_sizes_in_micrometres(tmp_path: Path, lif: bytes) -> None:
    path = tmp_path / "a.lif"
    path.write_bytes(lif)
    reading = read(path)
    assert value(reading, "pixel_size_x") == pytest.approx(1.0)
    assert value(reading, "dtype") == "uint8"
    assert packing(reading) == "lossless"
    assert rules(reading) == set()


@pytest.mark.parametrize("left", [-1, -100, -125, -140, 200, 10])
def test_a_cut_lif_is_truncated(tmp_path: Path, lif: bytes, left: int) -> None:
    path = tmp_path / "a.lif"
    path.write_bytes(lif[:left])
    assert rules(read(path)) == {"IMG-101"}


# HDF5 and Imaris ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "lossless"),
        ({"compression": "gzip"}, "lossless"),
        ({"compression": "lzf"}, "lossless"),
        ({"shuffle": True, "fletcher32": True}, "lossless"),
        ({"scaleoffset": 0}, "lossless"),
        ({"scaleoffset": 3}, "lossy"),
    ],
)
def test_hdf5_is_judged_by_its_filters(
    tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as root:
        root.create_dataset("image", data=PIXELS, chunks=(32, 32), **settings)
    reading = read(path)
    assert packing(reading) == expected
    assert value(reading, "size_x") == 64
    found = fingerprint(path)
    assert found is not None
    assert (found == of_planes([PIXELS])) == (expected == "lossless")


def test_a_cut_hdf5_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as root:
        root.create_dataset("image", data=PIXELS)
    path.write_bytes(path.read_bytes()[:-100])
    assert rules(read(path)) == {"IMG-101"}


def test_an_imaris_file_gives_its_voxel_size(tmp_path: Path) -> None:
    path = tmp_path / "a.ims"
    with h5py.File(path, "w") as root:
        image = root.create_group("DataSetInfo/Image")
        for name, text in {
            "X": "64",
            "Y": "64",
            "Z": "1",
            "ExtMin0": "10",
            "ExtMax0": "42",
            "ExtMin1": "0",
            "ExtMax1": "32",
            "Unit": "um",
        }.items():
            image.attrs[name] = np.array([c.encode() for c in text], dtype="S1")
        level = "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"
        root.create_dataset(level, data=PIXELS[None], chunks=(1, 32, 32), compression="gzip")
    reading = read(path)
    assert reading.format == "imaris"
    assert value(reading, "pixel_size_x") == 0.5
    assert packing(reading) == "lossless"


# DICOM --------------------------------------------------------------------------------------


def dicom(path: Path, syntax: UID = ExplicitVRLittleEndian, **elements: str) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.77.1.6")
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    meta.TransferSyntaxUID = syntax
    data = pydicom.Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, UID("1.2.3")
    data.Rows = data.Columns = 64
    data.SamplesPerPixel, data.BitsAllocated, data.BitsStored, data.HighBit = 1, 16, 16, 15
    data.PixelRepresentation, data.PhotometricInterpretation = 0, "MONOCHROME2"
    data.Manufacturer, data.PixelSpacing = "Acme", [0.0005, 0.0005]
    for name, content in elements.items():
        setattr(data, name, content)
    if syntax == JPEGBaseline8Bit:
        data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
    else:
        data.PixelData = PIXELS.tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def test_dicom_gives_facts_and_a_verdict(tmp_path: Path) -> None:
    reading = read(dicom(tmp_path / "a.dcm"))
    assert value(reading, "pixel_size_x") == pytest.approx(0.5)
    assert value(reading, "manufacturer") == "Acme"
    assert packing(reading) == "lossless"
    assert rules(reading) == set()


def test_the_mark_of_lossy_compression_sticks(tmp_path: Path) -> None:
    assert packing(read(dicom(tmp_path / "a.dcm", LossyImageCompression="01"))) == "lossy"
    assert packing(read(dicom(tmp_path / "b.dcm", JPEGBaseline8Bit))) == "lossy"


@pytest.mark.parametrize("left", [-1, -4000, -8190])
def test_a_cut_dicom_is_truncated(tmp_path: Path, left: int) -> None:
    path = dicom(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:left])
    assert rules(read(path)) == {"IMG-101"}


# Profiles -----------------------------------------------------------------------------------


def profile(path: Path, **columns: list[Any]) -> Reading:
    pq.write_table(pa.table(columns), path)
    return read(path)


def told(reading: Reading, names: frozenset[str] | None = None) -> list[str]:
    return [s.rule for s, _ in profile_symptoms([("p.parquet", reading)], names)]


def test_a_profile_is_judged_by_its_columns_and_images(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    good = profile(
        path,
        Metadata_Plate=["P1", "P1"],
        Metadata_Well=["B02", "B03"],
        Image_FileName_DAPI=["a.tif", "b.tif"],
        Cells_Area=[1.0, 2.0],
    )
    assert told(good, frozenset({"a.tif", "b.tif"})) == []
    assert told(good, frozenset({"a.tif"})) == ["IMG-603"]
    odd = profile(
        path,
        Image_Metadata_Plate_x=["P", "P"],
        Image_Metadata_Plate_y=["P", "P"],
        Cells_Area=[1.0, None],
        Cells_One=[3.0, 3.0],
    )
    assert sorted(told(odd)) == ["IMG-602", "IMG-604", "IMG-605", "IMG-606"]


def test_a_cut_profile_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    profile(path, Metadata_Plate=["P1"])
    path.write_bytes(path.read_bytes()[:-20])
    assert rules(read(path)) == {"IMG-601"}


def test_no_verdict_is_lossless_by_default() -> None:
    assert verdict({"compressor": {"id": ""}, "dtype": "<u2"}).packing is not Packing.LOSSLESS
