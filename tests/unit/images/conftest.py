"""Small files of formats no open library writes, and one of every format to mutate."""

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile

PIXELS = np.random.default_rng(4).integers(0, 4000, (48, 64), dtype=np.uint16)
SHALLOW = (PIXELS >> 4).astype(np.uint8)


def segment(name: bytes, data: bytes) -> bytes:
    return name.ljust(16, b"\0") + struct.pack("<qq", len(data), len(data)) + data


def czi(compression: int, quality: str = "", *, pyramid: int | None = None) -> bytes:
    """Build a CZI of one 8 x 8 subblock, and a pyramid subblock of another compression."""
    xml = (
        "<ImageDocument><Metadata><Information><Image>"
        + (f"<OriginalEncodingQuality>{quality}</OriginalEncodingQuality>" if quality else "")
        + '</Image></Information><Scaling><Items><Distance Id="X"><Value>3.25E-07</Value>'
        "</Distance></Items></Scaling></Metadata></ImageDocument>"
    ).encode()
    start = 32 + 512
    blocks, entries = b"", b""
    for code, reduced in [(compression, False)] + (
        [(pyramid, True)] if pyramid is not None else []
    ):
        position = start + len(blocks)
        stored = 4 if reduced else 8
        sizes = b"".join(struct.pack("<4siifi", axis, 0, 8, 0.0, stored) for axis in (b"X", b"Y"))
        entry = b"DV" + struct.pack("<iqiib5xi", 1, position, 0, code, int(reduced), 2) + sizes
        entries += entry
        pixels = bytes(128)
        body = struct.pack("<iiq", 0, 0, len(pixels)) + entry
        blocks += segment(b"ZISRAWSUBBLOCK", body.ljust(256, b"\0") + pixels)
    metadata_at = start + len(blocks)
    metadata = segment(b"ZISRAWMETADATA", struct.pack("<ii", len(xml), 0).ljust(256, b"\0") + xml)
    directory_at = metadata_at + len(metadata)
    count = entries.count(b"DV")
    directory = segment(b"ZISRAWDIRECTORY", struct.pack("<i", count).ljust(128, b"\0") + entries)
    header = struct.pack("<ii8x32xi", 1, 0, 0) + struct.pack("<qqi", directory_at, metadata_at, 0)
    return segment(b"ZISRAWFILE", header.ljust(512, b"\0")) + blocks + metadata + directory


@pytest.fixture(scope="session")
def build_czi() -> Callable[..., bytes]:
    """Builds a CZI of one subblock in a given compression."""
    return czi


LIF_XML = (
    '<LMSDataContainerHeader Version="2"><Element Name="a"><Data><Image><ImageDescription>'
    "<Channels>"
    '<ChannelDescription DataType="0" Resolution="8" LUTName="Green"/></Channels><Dimensions>'
    '<DimensionDescription DimID="1" NumberOfElements="11" Length="1e-05" Unit="m"/>'
    '<DimensionDescription DimID="2" NumberOfElements="11" Length="1e-05" Unit="m"/></Dimensions>'
    '</ImageDescription></Image></Data><Memory Size="121" MemoryBlockID="MemBlock_1"/></Element>'
    "</LMSDataContainerHeader>"
)


def _lif() -> bytes:
    xml = LIF_XML.encode("utf-16-le")
    name = "MemBlock_1".encode("utf-16-le")
    head = struct.pack("<iibi", 0x70, len(xml) + 5, 0x2A, len(LIF_XML)) + xml
    body = struct.pack("<bqbi", 0x2A, 121, 0x2A, 10) + name
    return head + struct.pack("<ii", 0x70, len(body)) + body + bytes(121)


@pytest.fixture(scope="session")
def lif() -> bytes:
    """A LIF of one 11 x 11 image."""
    return _lif()


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One small file of every format, by file name."""
    folder = tmp_path_factory.mktemp("seeds")
    ome = np.stack([PIXELS] * 4).reshape(2, 2, 48, 64)
    tifffile.imwrite(folder / "plain.tif", PIXELS)
    tifffile.imwrite(folder / "big.tif", PIXELS, bigtiff=True, byteorder=">", tile=(16, 16))
    tifffile.imwrite(folder / "lzw.tif", PIXELS, compression="lzw", rowsperstrip=5)
    tifffile.imwrite(folder / "jpeg.tif", SHALLOW, compression="jpeg")
    tifffile.imwrite(folder / "lerc.tif", PIXELS, compression="lerc")
    tifffile.imwrite(folder / "a.ome.tif", ome, metadata={"axes": "CZYX", "PhysicalSizeX": 0.65})
    tifffile.imwrite(folder / "ij.tif", ome[0], imagej=True)
    with h5py.File(folder / "a.h5", "w") as root:
        root.create_dataset("image", data=PIXELS, chunks=(16, 16), compression="gzip")
    pq.write_table(pa.table({"Metadata_Well": ["A01"], "Cells_Area": [1.0]}), folder / "a.parquet")
    found = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    pictures = {
        "a.png": imagecodecs.png_encode(PIXELS),
        "a.jpg": imagecodecs.jpeg_encode(SHALLOW),
        "a.jls": imagecodecs.jpegls_encode(PIXELS),
        "a.jp2": imagecodecs.jpeg2k_encode(PIXELS),
        "a.jxl": imagecodecs.jpegxl_encode(SHALLOW, lossless=True),
        "a.webp": imagecodecs.webp_encode(np.stack([SHALLOW] * 3, axis=-1), lossless=True),
        "a.avif": imagecodecs.avif_encode(np.stack([SHALLOW] * 3, axis=-1)),
    }
    found |= {name: bytes(data) for name, data in pictures.items()}
    return {**found, "a.czi": czi(0), "a.lif": _lif()}
