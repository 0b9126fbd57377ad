from hashlib import md5
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import tifffile

from imgdata.testing.plate import nuclei, write_plate

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def _digests(files: tuple[Path, ...]) -> dict[str, str]:
    return {file.name: md5(file.read_bytes(), usedforsecurity=False).hexdigest() for file in files}


def _ome(file: Path) -> ET.Element:
    with tifffile.TiffFile(file) as tiff:
        assert tiff.is_ome
        assert tiff.ome_metadata is not None
        return ET.fromstring(tiff.ome_metadata)  # noqa: S314 - our own file


def test_the_default_plate_has_three_wells_two_sites_three_channels(tmp_path: Path) -> None:
    files = write_plate(tmp_path / "P1")

    assert len(files) == 18
    assert files[0].name == "B02_1_DNA.ome.tif"
    assert sum(file.stat().st_size for file in files) < 3_000_000


def test_the_bytes_are_the_same_everywhere(tmp_path: Path) -> None:
    first = _digests(write_plate(tmp_path / "a"))

    assert first == _digests(write_plate(tmp_path / "b"))
    # What this plate has been since it was first made: a change breaks every golden file.
    assert first["B02_1_DNA.ome.tif"] == "4f5322daf055526f3fc5354702269c73"
    assert first["C02_2_Mito.ome.tif"] == "ddb1df6b48b7df2fdbe9da38dda2e4d5"


def test_every_file_is_different_and_so_is_another_seed(tmp_path: Path) -> None:
    first = set(_digests(write_plate(tmp_path / "a")).values())
    second = set(_digests(write_plate(tmp_path / "b", seed=2)).values())

    assert len(first) == 18
    assert not first & second


def test_a_larger_plate_holds_the_smaller_one(tmp_path: Path) -> None:
    small = _digests(write_plate(tmp_path / "a", wells=["B02"], sites=1))
    large = _digests(write_plate(tmp_path / "b", wells=["A01", "B02"], sites=3))

    assert small.items() <= large.items()


def test_every_file_says_how_it_was_acquired(tmp_path: Path) -> None:
    file = write_plate(tmp_path, wells=["B02"], sites=1)[1]
    image = _ome(file)
    microscope = image.find(f"{OME}Instrument/{OME}Microscope")
    objective = image.find(f"{OME}Instrument/{OME}Objective")
    pixels = image.find(f"{OME}Image/{OME}Pixels")
    assert microscope is not None
    assert objective is not None
    assert pixels is not None
    channel = pixels.find(f"{OME}Channel")
    plane = pixels.find(f"{OME}Plane")
    assert channel is not None
    assert plane is not None

    assert microscope.attrib["Manufacturer"] == "Example Microscopes"
    assert microscope.attrib["Model"] == "Plate Reader One"
    assert float(objective.attrib["NominalMagnification"]) == 20
    assert float(objective.attrib["LensNA"]) == 0.8
    assert pixels.attrib["PhysicalSizeX"] == pixels.attrib["PhysicalSizeY"] == "0.65"
    assert pixels.attrib["PhysicalSizeXUnit"] == "µm"
    assert (pixels.attrib["SizeX"], pixels.attrib["SizeY"]) == ("256", "256")
    assert channel.attrib["Name"] == "AGP"
    assert (plane.attrib["ExposureTime"], plane.attrib["ExposureTimeUnit"]) == ("60", "ms")
    assert image.findtext(f"{OME}Image/{OME}AcquisitionDate") == "2024-01-15T09:30:00"


def test_nuclei_are_brighter_than_what_is_around_them(tmp_path: Path) -> None:
    file = write_plate(tmp_path, wells=["C02"], sites=2, channels=["DNA"])[1]
    pixels = tifffile.imread(file)
    drawn = nuclei("C02", 2)

    assert pixels.dtype == np.uint16
    assert len(drawn) >= 5
    background = np.median(pixels)
    assert all(pixels[cell.row, cell.column] > 4 * background for cell in drawn)


def test_light_falls_off_to_the_corners(tmp_path: Path) -> None:
    file = write_plate(tmp_path, wells=["B02"], sites=1, channels=["DNA"])[0]
    pixels = tifffile.imread(file)

    centre = np.percentile(pixels[80:144, 100:164], 20)
    corner = np.percentile(pixels[-32:, :32], 20)
    assert corner < 0.8 * centre


def test_another_size_is_possible(tmp_path: Path) -> None:
    file = write_plate(tmp_path, wells=["B02"], sites=1, channels=["DNA"], size=(120, 200))[0]

    assert tifffile.imread(file).shape == (120, 200)
