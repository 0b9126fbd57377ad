"""Facts, damage and hostile structures of TIFF files."""

import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from imgdata.images.formats import read_image
from imgdata.model.facts import FactValue, Reading

PIXELS = np.random.default_rng(3).integers(100, 4000, (64, 80), dtype=np.uint16)


def read(path: Path) -> Reading:
    reading = read_image(path)
    assert reading is not None
    return reading


def rules(reading: Reading) -> set[str]:
    return {symptom.rule for symptom in reading.symptoms}


def value(reading: Reading, name: str) -> FactValue:
    return reading.facts[name].value


VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"bigtiff": True, "byteorder": ">"},
    {"tile": (32, 32)},
    {"compression": "zlib", "rowsperstrip": 7},
    {"compression": "lzw", "tile": (16, 16), "byteorder": ">"},
)


@pytest.mark.parametrize("options", VARIANTS)
def test_sizes_and_type_are_those_of_the_pixels(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, PIXELS, **options)
    reading = read(path)
    assert (value(reading, "size_x"), value(reading, "size_y")) == (80, 64)
    assert value(reading, "dtype") == "uint16"
    assert not rules(reading) & {"IMG-101", "IMG-102", "IMG-104"}


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("share", [0.999, 0.6, 0.2, 0.02])
def test_a_cut_file_is_truncated(tmp_path: Path, options: dict[str, Any], share: float) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, PIXELS, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "IMG-101" in rules(read(path))


@pytest.mark.parametrize("imagej", [True, False])
def test_a_stack_cut_in_its_last_plane_is_truncated(tmp_path: Path, imagej: bool) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.stack([PIXELS] * 6), imagej=imagej, contiguous=True)
    assert "IMG-101" not in rules(read(path))
    data = path.read_bytes()
    path.write_bytes(data[: -PIXELS.nbytes // 2])
    assert "IMG-101" in rules(read(path))


def test_a_resolution_tag_alone_is_no_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, PIXELS, resolution=(1550.0, 1550.0), resolutionunit="CENTIMETER")
    reading = read(path)
    assert "pixel_size_x" not in reading.facts
    assert value(reading, "resolution_tag") == pytest.approx(6.4516, rel=1e-3)


def test_imagej_says_its_pixel_size_in_its_own_words(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(
        path,
        np.stack([PIXELS] * 3),
        imagej=True,
        resolution=(1 / 0.325, 1 / 0.325),
        metadata={"unit": "um", "spacing": 2.0, "axes": "ZYX"},
    )
    reading = read(path)
    assert value(reading, "pixel_size_x") == pytest.approx(0.325, rel=1e-4)
    assert value(reading, "pixel_size_z") == 2.0
    assert value(reading, "size_z") == 3


def test_ome_xml_gives_facts_with_units(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.tif"
    tifffile.imwrite(
        path,
        np.stack([PIXELS] * 6).reshape(2, 3, 64, 80),
        metadata={
            "axes": "CZYX",
            "PhysicalSizeX": 650.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.65,
            "Channel": {"Name": ["DAPI", "GFP"]},
        },
    )
    reading = read(path)
    assert reading.format == "ome-tiff"
    assert value(reading, "pixel_size_x") == pytest.approx(0.65)
    assert value(reading, "pixel_size_y") == pytest.approx(0.65)
    assert value(reading, "channels") == ("DAPI", "GFP")
    assert (value(reading, "size_c"), value(reading, "size_z")) == (2, 3)
    assert "IMG-402" not in rules(reading)


OME_2008 = """<?xml version="1.0" encoding="UTF-8"?>
<OME:OME xmlns:OME="http://www.openmicroscopy.org/Schemas/OME/2008-09">
 <OME:Instrument ID="Instrument:0"><OME:Microscope Type="Inverted">
   <OME:Manufacturer>Leica</OME:Manufacturer><OME:Model>DMI6000</OME:Model></OME:Microscope>
  <OME:Objective ID="Objective:0"><OME:LensNA>0.4</OME:LensNA>
   <OME:NominalMagnification>10</OME:NominalMagnification></OME:Objective></OME:Instrument>
 <OME:Image ID="Image:0"><OME:ObjectiveRef ID="Objective:0"/>
  <OME:Pixels DimensionOrder="XYZCT" PixelType="uint16" SizeX="80" SizeY="64" SizeZ="1" SizeC="1"
   SizeT="1" PhysicalSizeX="0.9" PhysicalSizeY="0.9"><OME:TiffData/></OME:Pixels></OME:Image>
</OME:OME>"""


def with_description(path: Path, text: str) -> Path:
    tifffile.imwrite(path, PIXELS, description=text, metadata=None)
    return path


def test_an_old_schema_is_read_like_a_new_one(tmp_path: Path) -> None:
    reading = read(with_description(tmp_path / "leica.ome.tif", OME_2008))
    assert value(reading, "manufacturer") == "Leica"
    assert value(reading, "model") == "DMI6000"
    assert value(reading, "objective_na") == 0.4
    assert value(reading, "objective_magnification") == 10
    assert value(reading, "pixel_size_x") == 0.9
    assert [(s.rule, s.weight) for s in reading.symptoms] == [("IMG-205", "note")]


def test_planes_that_the_ome_xml_plans_and_the_file_lacks_are_told(tmp_path: Path) -> None:
    text = OME_2008.replace('SizeT="1"', 'SizeT="120"')
    reading = read(with_description(tmp_path / "stopped.ome.tif", text))
    assert "IMG-402" in rules(reading)


def test_files_of_a_multi_file_ome_tiff_are_named(tmp_path: Path) -> None:
    text = OME_2008.replace(
        "<OME:TiffData/>",
        '<OME:TiffData FirstC="0" IFD="0" PlaneCount="1">'
        '<OME:UUID FileName="other.ome.tif">urn:uuid:1</OME:UUID></OME:TiffData>',
    )
    reading = read(with_description(tmp_path / "one.ome.tif", text))
    assert reading.siblings == ("other.ome.tif",)
    assert "IMG-402" not in rules(reading)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>',
        '<!DOCTYPE OME SYSTEM "file:///etc/passwd">',
        "<!DOCTYPE OME [<!ENTITY % remote SYSTEM 'http://127.0.0.1/x'> %remote;]>",
    ],
)
def test_a_description_that_declares_entities_is_refused(tmp_path: Path, declaration: str) -> None:
    text = OME_2008.replace("<OME:OME ", f"{declaration}<OME:OME ", 1)
    reading = read(with_description(tmp_path / "bomb.ome.tif", text))
    assert "IMG-107" in rules(reading)
    assert "manufacturer" not in reading.facts


def test_a_serial_number_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tags = [(271, "s", 0, "PerkinElmer", True), (272, "s", 0, "1400L15075", True)]
    tifffile.imwrite(path, PIXELS, extratags=tags, metadata=None)
    reading = read(path)
    assert value(reading, "manufacturer") == "PerkinElmer"
    assert value(reading, "serial") == "1400L15075"
    assert "model" not in reading.facts


@pytest.mark.parametrize(
    "software", ["Adobe Photoshop 25.0 (Windows)", "GIMP 2.10", "IrfanView", "Acapella", "ImageJ"]
)
def test_an_editor_is_named(tmp_path: Path, software: str) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, PIXELS, software=software, metadata=None)
    found = [s.found for s in read(path).symptoms if s.rule == "IMG-205"]
    assert found == [f"written by {software}"]


# Hostile structures -------------------------------------------------------------------------


def classic(
    entries: list[tuple[int, int, int, int]], following: int = 0, tail: bytes = b""
) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", len(entries))
        + body
        + struct.pack("<I", following)
        + tail
    )


SMALL = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (273, 4, 1, 200), (279, 4, 1, 16)]

HOSTILE = {
    "loop": (classic(SMALL, following=8, tail=bytes(300)), "IMG-102"),
    "giant plane": (
        classic(
            [
                (256, 4, 1, 100_000),
                (257, 4, 1, 50_000),
                (258, 3, 1, 16),
                (273, 4, 1, 100),
                (279, 4, 1, 16),
            ],
            tail=bytes(900),
        ),
        "IMG-101",
    ),
    "giant deflate plane": (
        classic(
            [
                (256, 4, 1, 100_000),
                (257, 4, 1, 50_000),
                (258, 3, 1, 16),
                (259, 3, 1, 8),
                (273, 4, 1, 100),
                (279, 4, 1, 16),
            ],
            tail=bytes(900),
        ),
        "IMG-101",
    ),
    "tag count": (
        classic([(256, 4, 1, 4), (257, 4, 1, 4), (273, 4, 0xFFFFFFFF, 8), (279, 4, 1, 16)]),
        "IMG-101",
    ),
    "directory far away": (b"II*\0" + struct.pack("<I", 0xFFFFFF00), "IMG-101"),
    "big tag count": (
        b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 2**40) + bytes(64),
        "IMG-102",
    ),
    "big offset size": (b"II+\0" + struct.pack("<HHQ", 4, 0, 16) + bytes(64), "IMG-102"),
    "no directory": (b"II*\0\0\0\0\0", "IMG-102"),
    "header only": (b"II*\0", "IMG-101"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_finding_in_no_time(tmp_path: Path, name: str) -> None:
    data, expected = HOSTILE[name]
    path = tmp_path / "hostile.tif"
    path.write_bytes(data)
    tracemalloc.start()
    begin = time.process_time()
    reading = read(path)
    spent = time.process_time() - begin
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert expected in rules(reading)
    assert spent < 1
    assert peak < 20_000_000


def test_a_long_chain_of_directories_ends(tmp_path: Path) -> None:
    path = tmp_path / "chain.tif"
    size = len(classic(SMALL)) - 8
    chain = b"".join(
        classic(SMALL, following=8 + (index + 1) * size)[8:] for index in range(30_000)
    )
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + chain)
    begin = time.process_time()
    reading = read(path)
    assert time.process_time() - begin < 5
    assert value(reading, "planes") == 30_000


def test_a_renamed_ome_tiff_knows_itself_by_its_uuid(tmp_path: Path) -> None:
    text = OME_2008.replace("<OME:OME ", '<OME:OME UUID="urn:uuid:7" ', 1).replace(
        "<OME:TiffData/>",
        '<OME:TiffData><OME:UUID FileName="before.ome.tif">urn:uuid:7</OME:UUID></OME:TiffData>',
    )
    reading = read(with_description(tmp_path / "after.ome.tif", text))
    assert reading.siblings == ()


def stk(planes: int, *, stored: int) -> bytes:
    """Build a MetaMorph stack: planes one after the other behind a single directory."""
    size = 16 * 8
    uic = struct.pack("<4I", 4, 900, 6, 920)
    text = b"Exposure: 50 ms\r\nBinning: 1 x 1\r\nAcquired from CoolSNAP Camera\0"
    entries = [
        (256, 4, 1, 8),
        (257, 4, 1, 8),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (270, 2, len(text), 600),
        (273, 4, 1, 1000),
        (278, 4, 1, 8),
        (279, 4, 1, size),
        (33628, 4, 2, 800),
        (33629, 5, planes, 700),
    ]
    data = bytearray(1000 + size * stored)
    head = classic(entries)
    data[: len(head)] = head
    data[600 : 600 + len(text)] = text
    data[800 : 800 + len(uic)] = uic
    data[900:908] = struct.pack("<II", 645, 1000)
    data[920:927] = struct.pack("<I", 3) + b"um\0"
    return bytes(data)


def test_a_metamorph_stack_gives_calibration_and_planes(tmp_path: Path) -> None:
    path = tmp_path / "a.stk"
    path.write_bytes(stk(3, stored=3))
    reading = read(path)
    assert reading.flavour == "stk"
    assert value(reading, "planes") == 3
    assert value(reading, "pixel_size_x") == pytest.approx(0.645)
    assert value(reading, "exposure") == 50
    assert rules(reading) == set()
    path.write_bytes(stk(3, stored=2))
    assert rules(read(path)) == {"IMG-101"}
