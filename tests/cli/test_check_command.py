"""`imgdata check`, `fingerprint` and `describe` as a person types them."""

import io
import json
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
import tifffile
from msgspec import Struct
from pyarrow import parquet

from imgdata.cli.main import main

CHANCE = np.random.default_rng(5)
SCHEMA = Path(__file__).resolve().parents[2] / "docs/reference/json/check.schema.json"


class Done(Struct, frozen=True):
    """What one call of the command line left."""

    returncode: int
    stdout: str
    stderr: str


def imgdata(folder: Path, *words: str) -> Done:
    """Run the command line in this process: a second of start-up less than a new one."""
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(folder),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main(list(words))
    assert isinstance(end.value.code, int)
    return Done(end.value.code, out.getvalue(), err.getvalue())


def test_the_installed_command_answers(folder: Path) -> None:
    image(folder / "a.tif")
    words = [sys.executable, "-m", "imgdata", "check", "."]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "IMG-301" in done.stdout


def document(folder: Path, *words: str) -> dict[str, Any]:
    done = imgdata(folder, *words, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    if "check" in words:
        jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "scope"
    path.mkdir()
    return path


def image(path: Path, compression: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = CHANCE.integers(100, 4000, (64, 80), dtype=np.uint16)
    tifffile.imwrite(path, pixels, metadata=None, software="", compression=compression)
    return path


def test_a_folder_without_a_project_is_checked(folder: Path) -> None:
    image(folder / "a.tif")
    found = document(folder, "check", ".")
    (result,) = found["results"]
    (file,) = result["files"]
    assert found["ok"]
    assert (file["path"], file["format"], file["checked"]) == ("a.tif", "tiff", True)
    assert file["compression"] == "lossless"
    assert file["facts"]["size_x"] == {
        "value": 80,
        "unit": "",
        "source": "file",
        "detail": "tag ImageWidth",
    }
    assert "pixel_size_x" not in file["facts"]
    assert result["summary"]["files"] == 1


def test_errors_exit_with_one_and_warnings_only_when_asked(folder: Path) -> None:
    path = image(folder / "a.tif")
    assert imgdata(folder, "check", "a.tif").returncode == 0
    assert imgdata(folder, "check", "a.tif", "--fail-on", "warning").returncode == 1
    path.write_bytes(path.read_bytes()[:3000])
    done = imgdata(folder, "check", "a.tif")
    assert done.returncode == 1
    assert "IMG-101" in done.stdout
    assert not document(folder, "check", "a.tif")["ok"]


@pytest.mark.parametrize(
    "words", [("check", "nowhere"), ("check", "--fail-on", "never"), ("check", "--level", "raw")]
)
def test_what_does_not_exist_is_a_sentence(folder: Path, words: tuple[str, ...]) -> None:
    done = imgdata(folder, *words)
    assert done.returncode in {1, 2}
    assert done.stderr.startswith("imgdata: ")
    assert "Traceback" not in done.stderr


def test_a_level_can_be_named_for_a_path(folder: Path) -> None:
    image(folder / "a.tif", compression="jpegxr")
    assert imgdata(folder, "check", "a.tif").returncode == 0
    assert imgdata(folder, "check", "a.tif", "--level", "raw").returncode == 1


def test_many_files_with_one_cause_are_one_line(folder: Path) -> None:
    for index in range(30):
        image(folder / f"plate_{index:02d}.tif")
    lines = [
        line for line in imgdata(folder, "check", ".").stdout.splitlines() if "IMG-301" in line
    ]
    assert len(lines) == 1
    assert "30 files" in lines[0]


def test_the_guessed_key_is_explained(folder: Path) -> None:
    for well in ("B02", "B03"):
        for site in (1, 2):
            image(folder / f"plate_{well}_s{site}_w1.TIF")
    done = imgdata(folder, "check", ".", "--infer-key")
    assert 'key: "' in done.stdout
    assert "ImageXpress" in done.stdout


def test_a_key_is_proposed_where_the_one_of_the_level_fits_no_name(folder: Path) -> None:
    """As in a new project, whose template has a key for other names."""
    imgdata(folder, "init", "p", "--template", "minimal", "--title", "x")
    for well in ("B02", "B03"):
        for site in (1, 2):
            image(folder / f"p/data/raw/P1/plate_{well}_s{site}_w1.TIF")
    said = imgdata(folder / "p", "check", "data/raw/P1", "--infer-key").stdout
    key = said.rpartition("key: ")[2].strip()
    assert "IMG-403" in said
    assert "imgdata check FOLDER --infer-key" in said
    config = folder / "p/imgdata.yaml"
    first = next(
        row for row in config.read_text("utf-8").splitlines() if row.strip().startswith("key:")
    )
    for value in (key, "imagexpress"):
        text = config.read_text("utf-8").replace(first, f"    key: {value}")
        config.write_text(text, "utf-8")
        first = f"    key: {value}"
        again = imgdata(folder / "p", "check", "data/raw/P1").stdout
        assert ("IMG-403" in again) is (value != key)


class Links(HTMLParser):
    """Collects what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, text in attrs:
            if name in {"src", "href"} and text and not text.startswith("data:"):
                self.outside.append(f"{tag} {text}")


def test_the_page_holds_everything_and_escapes_names(folder: Path) -> None:
    image(folder / "<img src=x onerror=alert(1)> B02_s1_w1.tif")
    assert imgdata(folder, "check", ".", "--report", "out/report.html").returncode == 0
    page = (folder / "out" / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert links.outside == []
    assert "<img src=x" not in page
    assert "data:image/png;base64," in page
    assert "<script" not in page


def test_a_report_for_a_stage_is_the_json(folder: Path) -> None:
    image(folder / "a.tif")
    imgdata(folder, "check", ".", "--report", "report.json")
    (result,) = json.loads((folder / "report.json").read_text())
    assert result["summary"]["verdict"] == "warning"


def test_a_conversion_without_loss_keeps_the_fingerprint(folder: Path) -> None:
    pixels = CHANCE.integers(0, 4000, (3, 64, 80), dtype=np.uint16)
    tifffile.imwrite(folder / "a.tif", pixels, photometric="minisblack")
    tifffile.imwrite(
        folder / "b.tif",
        pixels,
        photometric="minisblack",
        compression="zstd",
        byteorder=">",
        bigtiff=True,
    )
    tifffile.imwrite(folder / "c.tif", pixels + 1, photometric="minisblack")
    prints = {r["path"]: r["fingerprint"] for r in document(folder, "fingerprint", ".")["results"]}
    assert prints["a.tif"] == prints["b.tif"] != prints["c.tif"]
    assert "same image: a.tif, b.tif" in imgdata(folder, "fingerprint", ".").stdout


@pytest.fixture
def project(folder: Path) -> Path:
    done = imgdata(folder, "init", "nf1", "--title", "NF1", "--template", "minimal")
    assert done.returncode == 0, done.stderr
    return folder / "nf1"


@pytest.mark.dvc
def test_a_level_is_checked_against_what_was_added(folder: Path, project: Path) -> None:
    for well in ("B02", "B03"):
        image(folder / "P1" / f"{well}_1_DAPI.tif")
    done = imgdata(project, "add", "raw", str(folder / "P1"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "IMG-106" not in imgdata(project, "check", "raw").stdout
    path = next((project / "data" / "raw" / "P1").glob("*B02*"))
    data = bytearray(path.read_bytes())
    data[-10:] = bytes(10)
    shutil.copymode(path, folder / "P1" / path.name)
    path.unlink()
    path.write_bytes(data)
    done = imgdata(project, "check", "raw")
    assert "IMG-106" in done.stdout
    assert done.returncode == 1
    assert "IMG-106" in imgdata(folder, "check", str(path)).stdout


@pytest.mark.dvc
def test_answers_are_kept_and_silence_their_findings(folder: Path, project: Path) -> None:
    first = document(project, "describe")["results"][0]
    assert first["sentence"].startswith("ready for BioImage Archive: ")
    assert not (project / "metadata" / "rembi.yaml").exists()
    given = ["--answer", "acquisition.pixel_size_um=0.325", "--answer", "biosample.taxon=9606"]
    second = document(project, "describe", *given)["results"][0]
    assert second["ready"] == first["ready"] + 2
    assert "0.325" in (project / "metadata" / "rembi.yaml").read_text()
    image(project / "data" / "raw" / "P1" / "B02_1_DAPI.tif")
    done = imgdata(project, "check", "raw")
    assert "IMG-301" not in done.stdout
    wrong = imgdata(project, "describe", "--answer", "acquisition.imaging_method=confocal")
    assert wrong.returncode == 2
    assert "FBbi" in wrong.stderr
    del folder


def with_profiles(project: Path, path: str) -> Path:
    """Give a project a level of profiles in one file or folder, made from its raw images."""
    text = (project / "imgdata.yaml").read_text("utf-8")
    level = f"  bulk_profiles: {{path: {path}, unit: none, from: [raw], storage: [archive]}}\n"
    (project / "imgdata.yaml").write_text(text + level, "utf-8")
    return project / path


def test_a_level_that_is_one_file_is_checked(project: Path) -> None:
    path = with_profiles(project, "data/profiles.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"Metadata_Plate": ["P1"], "Cells_Area": [1.5]}), path)
    for words in (["check", "bulk_profiles"], ["check"]):
        answer = document(project, *words)
        (profiles,) = [one for one in answer["results"] if one["level"] == "bulk_profiles"]
        assert [one["path"] for one in profiles["files"]] == ["profiles.parquet"]
        assert [one["id"] for one in profiles["findings"]] == ["IMG-602"]
    assert imgdata(project, "add", "bulk_profiles", str(path)).returncode == 0
    path.unlink()
    parquet.write_table(pa.table({"Metadata_Plate": ["P2"], "Cells_Area": [1.5]}), path)
    (answer,) = document(project, "check", "bulk_profiles")["results"]
    changed = [one for one in answer["findings"] if one["id"] == "IMG-106"]
    assert [one["path"] for one in changed] == ["profiles.parquet"]


def test_profiles_of_images_that_are_folders_find_them(project: Path) -> None:
    path = with_profiles(project, "data/profiles") / "P1.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["B02_1.ome.zarr", "B03_1.ome.zarr"]
    parquet.write_table(pa.table({"Metadata_Plate": ["P1"] * 2, "Image_FileName_DNA": names}), path)
    plane = project / "data" / "raw" / "P1" / names[0] / "0"
    plane.mkdir(parents=True)
    (plane / "0.0").write_bytes(b"pixels")
    done = imgdata(project, "check", "bulk_profiles")
    assert f"1 of 2 named images are not there: {names[1]}" in done.stdout
