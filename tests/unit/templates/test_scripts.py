"""The cell-painting template's scripts, a function at a time; the journey runs them as DVC does."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import pytest
import tifffile
import yaml

from imgdata.model.keys import PRESETS, normal_value, parse_keys, read_name

TEMPLATE = Path(__file__).resolve().parents[3] / "templates/cell-painting"
SCRIPTS = ("images", "qc", "select_images", "correct", "segment", "profile_cells")


class Script(Protocol):
    def __call__(self, name: str) -> ModuleType: ...


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Import a script of the template as Python does when it is run."""
    monkeypatch.syspath_prepend(str(TEMPLATE / "scripts"))
    yield importlib.import_module
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the template's settings, in which scripts run."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text((TEMPLATE / "params.yaml").read_text())
    _set_key(folder, "{plate}/{well}_{site}_{channel}.ome.tif")
    monkeypatch.chdir(folder)
    return folder


def _set_key(project: Path, key: str | list[str]) -> None:
    (project / "imgdata.yaml").write_text(yaml.safe_dump({"levels": {"raw": {"key": key}}}))


def _raw(project: Path, *names: str) -> Path:
    folder = project / "data/raw/P1"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.full((32, 32), 500, np.uint16))
    return folder


def select(script: Script, project: Path, passed: Path, summary: Path) -> None:
    """Select the images of P1, of which nobody excluded one."""
    absent, left_out = project / "none.csv", project / "left_out.csv"
    script("select_images").main(project / "P1.csv", absent, passed, left_out, summary)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("{plate}/{well}_{site}_{channel}.ome.tif", "B02_1_DNA.ome.tif"),
        ("{plate}/{well}_{_}_{_}_{site}_{channel}_001.tif", "B7_01_1_3_DAPI_001.tif"),
        ("{well}_{site}_{channel}.tif", "B02_1_w1_DNA.tif"),
        ("{plate}/{row}{column:[0-9]{2}}/f{site}-{channel}.tiff", "C11/f003-AGP.tiff"),
        ("{plate}/r{row:[0-9]+}c{column}.tif", "r02c03.tif"),
        ("{plate}/{channel}/{plate}_{well}_{site}.tif", "DNA/P1_b2_1.tif"),
        ("phenix", "Images/r02c03f04p01-ch2sk1fk1fl1.tiff"),
        ("phenix", "r16c24f04p01-ch2sk1fk1fl1.tiff"),
        ("imagexpress", "scan_B02_s1_w2AE9E3C2D-7B9E-4B5C-8A6F-0123456789AB.tif"),
        ("nf1", "H12_01_1_1_DAPI_001.tif"),
    ],
)
def test_a_key_means_what_it_means_to_imgdata(
    script: Script, project: Path, key: str, name: str
) -> None:
    folder = _raw(project, name)
    _set_key(project, key)
    fields = read_name(parse_keys((key,)), f"P1/{name}", "P1")
    assert fields is not None

    (image,) = script("images").find_images(folder, "raw")
    assert image.file == name
    assert image.well == normal_value("well", fields["well"])
    assert image.site == fields.get("site", "1")
    assert image.channel == fields.get("channel", "all")


def test_every_preset_of_imgdata_is_known(script: Script) -> None:
    assert set(script("images").PRESETS) == set(PRESETS)


def test_files_that_fit_no_key_are_left_aside(script: Script, project: Path) -> None:
    folder = _raw(project, "B02_1_DNA.ome.tif", "thumb.tif")
    (folder / "Index.xml").write_text("<x/>")

    assert [image.file for image in script("images").find_images(folder, "raw")] == [
        "B02_1_DNA.ome.tif"
    ]


def test_a_key_that_fits_nothing_is_a_sentence(script: Script, project: Path) -> None:
    folder = _raw(project, "a.tif")

    with pytest.raises(SystemExit, match=r"no file in .*P1 fits the key .*there is: \['a.tif'\]"):
        script("images").find_images(folder, "raw")


def test_a_stack_is_a_sentence(script: Script, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "z.tif", np.zeros((3, 8, 8), np.uint16), photometric="minisblack")

    with pytest.raises(SystemExit, match="one plane and one channel a file is expected"):
        script("images").read(tmp_path / "z.tif")


def test_two_files_for_one_image_are_a_sentence(script: Script, project: Path) -> None:
    folder = _raw(project, "B2_1_DNA.ome.tif", "B02_1_DNA.ome.tif")
    table, passed = project / "P1.csv", project / "pass.csv"
    script("qc").main(folder, table)
    select(script, project, passed, project / "P1.json")

    with pytest.raises(SystemExit, match=r"two raw files are B02_1_DNA\.tif"):
        script("correct").main(folder, passed, project / "out")


def test_a_plate_of_which_nothing_is_left_is_a_sentence(script: Script, project: Path) -> None:
    table, decisions = project / "P1.csv", project / "excluded.csv"
    script("qc").main(_raw(project, "B02_1_DNA.ome.tif"), table)
    decisions.write_text("level,file,reason,by,at\nraw,B02_1_DNA.ome.tif,blurred,,\n")

    with pytest.raises(SystemExit, match=r"no image of plate P1 is left.*out of plates\.yaml"):
        script("select_images").main(table, decisions, *(project / name for name in "abc"))


def test_a_heading_that_a_merge_doubled_leaves_nothing_out(script: Script, project: Path) -> None:
    table, decisions, left_out = (project / name for name in ("P1.csv", "x.csv", "left.csv"))
    script("qc").main(_raw(project, "B02_1_DNA.ome.tif"), table)
    heading = "level,file,reason,by,at\n"
    decisions.write_text(f"{heading}{heading}masks,B02_1.tif,merged,,\n")
    script("select_images").main(table, decisions, project / "a", left_out, project / "b")

    assert script("images").read_table(left_out) == [{"level": "masks", "file": "B02_1.tif"}]


def test_saturated_images_fail_with_their_field(script: Script, project: Path) -> None:
    folder = _raw(
        project,
        *(f"{well}_1_{channel}.ome.tif" for well in ("B02", "B03") for channel in ("DNA", "AGP")),
    )
    bright = np.full((32, 32), 500, np.uint16)
    bright[:8] = 65535
    tifffile.imwrite(folder / "B03_1_AGP.ome.tif", bright)
    table, passed, summary = (project / name for name in ("P1.csv", "pass.csv", "P1.json"))
    script("qc").main(folder, table)
    select(script, project, passed, summary)

    assert [row["file"] for row in script("images").read_table(passed)] == [
        "B02_1_AGP.ome.tif",
        "B02_1_DNA.ome.tif",
    ]
    report = json.loads(summary.read_text())
    assert (report["images"], report["passed"], report["saturated"]) == (4, 2, 1)


def test_a_blurred_image_has_less_focus(script: Script) -> None:
    from scipy import ndimage

    sharp = np.random.default_rng(1).integers(0, 4000, (128, 128)).astype(np.uint16)
    sharp = ndimage.gaussian_filter(sharp, 1.5)
    focus = script("qc").focus

    assert focus(ndimage.gaussian_filter(sharp, 4)) < 0.5 * focus(sharp)


def test_an_empty_field_has_no_nuclei(script: Script) -> None:
    options = yaml.safe_load((TEMPLATE / "params.yaml").read_text())["segment"]["masks"]
    labels = script("segment").nuclei(np.full((64, 64), 300, np.uint16), options)

    assert labels.dtype == np.uint16
    assert not labels.any()


def test_touching_nuclei_are_split(script: Script) -> None:
    options = yaml.safe_load((TEMPLATE / "params.yaml").read_text())["segment"]["masks"]
    rows, columns = np.ogrid[:100, :120]
    pixels = np.full((100, 120), 300.0)
    for column in (40, 74):
        pixels[(rows - 50) ** 2 + (columns - column) ** 2 < 20**2] = 5000
    labels = script("segment").nuclei(pixels.astype(np.uint16), options)

    assert labels.max() == 2
    assert labels[50, 40] != labels[50, 74]


def test_more_nuclei_than_16_bits_can_number_get_32(script: Script) -> None:
    labels = np.zeros((402, 402), np.int32)
    labels[1:-1:1, 1:-1] = np.arange(1, 160_001).reshape(400, 400)
    numbered = script("segment").whole(labels, {"min_area": 1, "min_at_edge": 0.5})

    assert numbered.dtype == np.uint32
    assert len(np.unique(numbered)) == 160_001


def test_cells_grow_around_nuclei_but_not_into_each_other(script: Script) -> None:
    labels = np.zeros((20, 40), np.int32)
    labels[8:12, 10:14] = 1
    labels[8:12, 18:22] = 2
    cells = script("profile_cells").grow(labels, 5)

    assert (cells[labels > 0] == labels[labels > 0]).all()
    assert cells[10, 15] == 1
    assert cells[10, 16] == 2
    assert cells[10, 26] == 2
    assert cells[10, 27] == 0


def test_a_field_without_nuclei_has_no_cells(script: Script) -> None:
    assert not script("profile_cells").grow(np.zeros((8, 8), np.int32), 5).any()


def test_a_cut_over_the_edge_is_filled_with_zeros(script: Script) -> None:
    images = script("images")
    pixels = np.arange(1, 26, dtype=np.uint16).reshape(5, 5)
    cut = images.cut(pixels, images.window((slice(0, 1), slice(4, 5)), 4))

    assert cut.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [3, 4, 5, 0], [8, 9, 10, 0]]
