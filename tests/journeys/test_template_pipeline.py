import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from imgdata.project.loader import load_config
from imgdata.project.unit_list import add_to_unit_list
from imgdata.testing import small_project
from imgdata.testing.plate import illumination, nuclei, write_plate

pytestmark = [pytest.mark.dvc, pytest.mark.xdist_group("cell-painting")]

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
ANSWERS = {
    "title": 'Zürich "pilot"',
    "id": "0123456789abcdef0123456789abcdef",
    "license": "CC-BY-4.0",
    "creators": [
        {"name": "Lovelace, Ada", "orcid": "0000-0002-1825-0097", "affiliation": "A & B Lab"}
    ],
    "archive_url": "../archive",
    "imgdata_version": "0.1.0",
    "year": 2026,
}


def fill(template: str, folder: Path, **answers: object) -> Path:
    """Fill a template into a folder: `.jinja` files are rendered, all others copied."""
    environment = SandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    source = TEMPLATES / template
    for path in sorted(source.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jinja":
            text = environment.from_string(path.read_text("utf-8")).render(**ANSWERS | answers)
            target.with_suffix("").write_text(text, "utf-8")
        else:
            shutil.copy(path, target)
    return folder


def call(project: Path, *args: str, accept: int = 0) -> str:
    """Run a program in a project with this environment's Python first, and a home of its own."""
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **small_project.environment(),
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
    }
    done = small_project.call(project, *args, check=False, env=environment)
    assert done.returncode == accept, done.stdout + done.stderr
    return done.stdout + done.stderr


def start(project: Path) -> Path:
    """Put a filled template under git and DVC."""
    call(project, "git", "init", "-q")
    call(project, "dvc", "init", "-q")
    return project


def replace(file: Path, old: str, new: str) -> None:
    """Change one place of a text file, which must have it."""
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
    file.write_text(text.replace(old, new), "utf-8")


def lock(project: Path) -> dict[str, dict[str, object]]:
    """Return the stages of dvc.lock."""
    stages: dict[str, dict[str, object]] = yaml.safe_load(
        (project / "dvc.lock").read_text("utf-8")
    )["stages"]
    return stages


def outputs(project: Path) -> dict[str, str]:
    """Return path and md5 of every output in dvc.lock."""
    return {
        str(out["path"]): str(out["md5"])
        for stage in lock(project).values()
        for out in _list(stage["outs"])
    }


def _list(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


FIELDS = [(well, site) for well in ("B02", "B03", "C02") for site in (1, 2)]


def _with_plate(folder: Path) -> Path:
    project = start(fill("cell-painting", folder))
    write_plate(project / "data/raw/P1")
    call(project, "dvc", "add", "-q", "data/raw/P1")
    _name_plate(project, "P1")
    return project


def _name_plate(project: Path, plate: str) -> None:
    """Do by hand what `imgdata add` does: name the plate, and make its list of exclusions."""
    add_to_unit_list(project, "plate", plate)
    (project / "metadata/excluded" / f"{plate}.csv").touch()


def _exclude(project: Path, plate: str, *rows: str) -> None:
    lines = "\n".join(("level,file,reason,by,at", *rows))
    (project / "metadata/excluded" / f"{plate}.csv").write_text(f"{lines}\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pipeline has run once; tests copy it before they change it."""
    project = _with_plate(tmp_path_factory.mktemp("finished") / "project")
    call(project, "dvc", "repro", "-q")
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "project"
    shutil.copytree(finished, copy, symlinks=True)
    return copy


def _masks(project: Path, level: str = "masks") -> Iterator[tuple[str, np.ndarray]]:
    for path in sorted((project / "data" / level / "P1").glob("*.tif")):
        yield path.stem, tifffile.imread(path)


def _cells(project: Path) -> pd.DataFrame:
    return pd.read_parquet(project / "data/single_cell_profiles/P1.parquet")


def _lineage(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with (folder / "lineage.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["output"], set()).add(row["input"])
    return found


def _ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


@pytest.mark.parametrize("template", ["minimal", "cell-painting"])
@pytest.mark.parametrize("creators", [ANSWERS["creators"], [], [{"name": "The Lab"}]])
def test_a_filled_template_is_valid(template: str, creators: object, tmp_path: Path) -> None:
    project = fill(template, tmp_path / "project", creators=creators)
    config = load_config(project / "imgdata.yaml")
    citation = yaml.safe_load((project / "CITATION.cff").read_text("utf-8"))

    assert config.title == citation["title"] == ANSWERS["title"]
    assert config.levels["raw"].storages == ("archive",)
    assert len(citation["authors"]) == max(len(config.creators), 1)
    assert not [path for path in project.rglob("*") if path.suffix == ".jinja"]
    for name in ("README.md", "DATA_MANAGEMENT.md"):
        assert 'Zürich "pilot"' in (project / name).read_text("utf-8").splitlines()[0]


def test_an_empty_minimal_project_is_fine_for_plain_dvc(tmp_path: Path) -> None:
    project = start(fill("minimal", tmp_path / "project"))
    write_plate(project / "data/raw/P1", wells=["B02"], sites=1)
    call(project, "dvc", "add", "-q", "data/raw/P1")

    assert "up to date" in call(project, "dvc", "status")


def test_an_empty_project_is_fine_for_plain_dvc(tmp_path: Path) -> None:
    project = start(fill("cell-painting", tmp_path / "project"))

    assert "up to date" in call(project, "dvc", "repro")


def test_plain_dvc_has_nothing_left_to_do(finished: Path) -> None:
    assert "up to date" in call(finished, "dvc", "status")


def test_every_nucleus_has_its_own_number(finished: Path) -> None:
    masks = dict(_masks(finished))

    assert set(masks) == {f"{well}_{site}" for well, site in FIELDS}
    for well, site in FIELDS:
        labels = masks[f"{well}_{site}"]
        drawn = nuclei(well, site)
        assert labels.dtype == np.uint16
        numbers = [int(labels[cell.row, cell.column]) for cell in drawn]
        assert sorted(numbers) == list(range(1, len(drawn) + 1))
        assert int(labels.max()) == len(drawn)


@pytest.mark.parametrize("channel", ["DNA", "AGP", "Mito"])
def test_correction_evens_out_the_light_and_keeps_the_pixel_size(
    finished: Path, channel: str
) -> None:
    raw = tifffile.imread(finished / f"data/raw/P1/B02_1_{channel}.ome.tif")
    with tifffile.TiffFile(finished / f"data/corrected/P1/B02_1_{channel}.tif") as tiff:
        page = tiff.pages.first
        even = page.asarray()
        across, per = page.tags["XResolution"].value
    light = illumination()
    left = raw / even / light

    assert even.dtype == np.uint16
    assert left.std() / left.mean() < 0.2 * light.std() / light.mean()
    assert 10_000 * per / across == pytest.approx(0.65)


def test_a_profile_is_a_row_a_cell_in_the_columns_of_the_field(finished: Path) -> None:
    cells = _cells(finished)

    assert len(cells) == sum(len(nuclei(well, site)) for well, site in FIELDS)
    assert set(cells["Metadata_Plate"]) == {"P1"}
    assert set(cells["Metadata_Well"]) == {"B02", "B03", "C02"}
    assert not cells.duplicated(["Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]).any()
    first = cells.iloc[0]
    assert first["Image_FileName_DNA"] == "B02_1_DNA.tif"
    assert first["Image_PathName_DNA"] == "data/corrected/P1"
    assert first["Image_ObjectsFileName_Nuclei"] == "B02_1.tif"
    for channel in ("DNA", "AGP", "Mito"):
        for part in ("Nuclei", "Cells"):
            assert f"{part}_Intensity_MeanIntensity_{channel}" in cells
            assert f"{part}_Texture_Contrast_{channel}" in cells
    assert (cells["Cells_AreaShape_Area"] > cells["Nuclei_AreaShape_Area"]).all()
    assert cells.filter(regex="^(Cells|Nuclei)_").notna().all(axis=None)


def test_a_profile_measures_the_pixels_of_its_nucleus(finished: Path) -> None:
    row = _cells(finished).query("Metadata_Well == 'C02' and Metadata_ObjectNumber == 3").iloc[-1]
    labels = tifffile.imread(finished / "data/masks/P1" / row["Image_ObjectsFileName_Nuclei"])
    pixels = tifffile.imread(finished / row["Image_PathName_Mito"] / row["Image_FileName_Mito"])
    inside = pixels[labels == 3]

    assert row["Nuclei_AreaShape_Area"] == inside.size
    assert row["Nuclei_Intensity_MeanIntensity_Mito"] == pytest.approx(inside.mean())


def test_a_bulk_profile_is_the_median_of_each_well(finished: Path) -> None:
    wells = pd.read_parquet(finished / "data/bulk_profiles/P1.parquet").set_index("Metadata_Well")
    name = "Nuclei_Intensity_MeanIntensity_DNA"
    cells = _cells(finished).groupby("Metadata_Well")

    assert list(wells.index) == ["B02", "B03", "C02"]
    assert wells[name].to_dict() == pytest.approx(cells[name].median().to_dict())
    assert wells["Metadata_Object_Count"].to_dict() == cells.size().to_dict()


def test_lineage_names_the_images_a_mask_and_a_crop_came_from(finished: Path) -> None:
    masks = _lineage(finished / "data/masks/P1")
    crops = _lineage(finished / "data/single_cell_images/P1")

    assert masks["B03_2.tif"] == {"data/corrected/P1/B03_2_DNA.tif"}
    assert crops["B03_2_1.tif"] == {
        "data/masks/P1/B03_2.tif",
        *(f"data/corrected/P1/B03_2_{channel}.tif" for channel in ("DNA", "AGP", "Mito")),
    }
    named = {name for inputs in (*masks.values(), *crops.values()) for name in inputs}
    assert all((finished / name).is_file() for name in named)
    assert len(crops) == len(_cells(finished))


def test_stages_depend_on_their_own_plate_alone(finished: Path) -> None:
    for name, stage in lock(finished).items():
        deps = stage["deps"]
        assert isinstance(deps, list)
        data = [dep["path"] for dep in deps if dep["path"].startswith(("data/", "qc/"))]
        assert data, name
        assert all(re.search(r"/P1(\.|$)", path) for path in data), name


def test_the_same_plate_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    again = _with_plate(tmp_path / "again")
    call(again, "dvc", "repro", "-q")

    assert outputs(again) == outputs(finished)


def test_a_second_model_is_the_two_lines_of_the_readme(project: Path) -> None:
    readme = (project / "README.md").read_text("utf-8")
    lines = re.findall(r"^  masks-li: .*$", readme, re.MULTILINE)
    assert len(lines) == 2
    before = outputs(project)
    settings, level = lines
    replace(project / "params.yaml", "segment:\n", f"segment:\n{settings}\n")
    replace(project / "imgdata.yaml", "levels:\n", f"levels:\n{level}\n")

    assert _ran(call(project, "dvc", "repro")) == {"segment@P1-masks-li"}
    assert set(dict(_masks(project, "masks-li"))) == set(dict(_masks(project)))
    assert outputs(project).items() >= before.items()

    replace(project / "params.yaml", "images: corrected ", "images: single_cell_images ")
    text = (project / "params.yaml").read_text("utf-8")
    (project / "params.yaml").write_text(text.replace("  masks: masks ", "  masks: masks-li "))
    ran = _ran(call(project, "dvc", "repro"))

    assert ran == {"crop@P1", "profile@P1", "bulk@P1"}
    row = _cells(project).iloc[0]
    assert row["Image_PathName_DNA"] == "data/single_cell_images/P1"
    assert row["Image_ObjectsPathName_Nuclei"] == "data/masks-li/P1"
    labels = tifffile.imread(project / "data/masks-li/P1/B02_1.tif")
    assert row["Nuclei_AreaShape_Area"] == (labels == 1).sum()


def test_excluded_images_are_left_out_with_their_field(project: Path) -> None:
    rows = [f"raw,{well}_1_AGP.ome.tif,air bubble,," for well in ("B03", "C02")]
    _exclude(project, "P1", *rows, 'raw,B02_2_Mito.ome.tif,"stuck, by hand",Ada,2026-11-20')
    call(project, "dvc", "repro", "-q", "correct@P1")

    kept = {path.name for path in (project / "data/corrected/P1").iterdir()}
    assert kept == {
        f"{field}_{channel}.tif"
        for field in ("B02_1", "B03_2", "C02_2")
        for channel in ("DNA", "AGP", "Mito")
    }


def test_an_excluded_image_mask_or_cell_of_a_later_level_is_not_measured(project: Path) -> None:
    before = _cells(project)
    _exclude(
        project,
        "P1",
        "corrected,B02_1_AGP.tif,scratch,,",
        "masks,C02_2.tif,merged,,",
        "masks-other,C02_1.tif,of another model,,",
        "single_cell_images,B03_1_2.tif,dead,,",
    )

    assert _ran(call(project, "dvc", "repro")) == {"select@P1", "crop@P1", "profile@P1", "bulk@P1"}
    names = ["Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]
    gone = set(map(tuple, before[names].values)) - set(map(tuple, _cells(project)[names].values))
    fields = {(well, site) for well, site, _ in gone}
    assert fields == {("B02", "1"), ("C02", "2"), ("B03", "1")}
    assert {cell for cell in gone if cell[0] == "B03"} == {("B03", "1", 2)}
    crops = {path.name for path in (project / "data/single_cell_images/P1").glob("*.tif")}
    assert not [name for name in crops if name.startswith(("B02_1_", "C02_2_"))]
    assert (project / "data/masks/P1/C02_2.tif").exists()


def test_an_exclusion_that_no_script_can_heed_is_a_sentence(project: Path) -> None:
    _exclude(project, "P1", "single_cell_profiles,P1.parquet,bad,,")

    said = call(project, "dvc", "repro", "select@P1", accept=255)
    assert "leaves out single_cell_profiles, which no script here can" in said


def test_an_exclusion_on_another_plate_runs_nothing(project: Path) -> None:
    _exclude(project, "P2", "raw,B02_1_DNA.ome.tif,out of focus,,")

    assert _ran(call(project, "dvc", "repro")) == set()


def test_an_excluded_well_runs_its_plate_alone_and_comes_back_byte_for_byte(project: Path) -> None:
    write_plate(project / "data/raw/P2", wells=["D04"], sites=1, seed=2)
    call(project, "dvc", "add", "-q", "data/raw/P2")
    _name_plate(project, "P2")
    call(project, "dvc", "repro", "-q")
    before = outputs(project)
    call(project, "git", "config", "user.name", "Ada Lovelace")
    call(project, "git", "config", "user.email", "ada@lab.example")
    well = ("--select", "plate=P1", "--select", "well=b3")
    said = call(project, "imgdata", "exclude", "raw", *well, "--reason", "air bubble")
    assert "raw P1: 6 of 18 files excluded: air bubble" in said

    ran = re.findall(r"^\[\d+/\d+\] (\S+):", call(project, "imgdata", "run"), re.MULTILINE)
    stages = ("select", "correct", "segment", "crop", "profile", "bulk")
    assert ran == [f"{name}@P1{'-masks' if name == 'segment' else ''}" for name in stages]
    assert set(_cells(project)["Metadata_Well"]) == {"B02", "C02"}
    assert len(list((project / "data/raw/P1").iterdir())) == 18
    assert "6 files of raw P1 excluded: air bubble, Ada Lovelace, 20" in call(
        project, "imgdata", "lineage", "data/bulk_profiles/P1.parquet"
    )

    call(project, "imgdata", "exclude", "raw", *well, "--undo")
    call(project, "dvc", "repro", "-q")
    assert outputs(project) == before


def test_a_new_plate_leaves_the_first_alone(project: Path) -> None:
    write_plate(project / "data/raw/P2", wells=["D04"], sites=1, seed=2)
    call(project, "dvc", "add", "-q", "data/raw/P2")
    _name_plate(project, "P2")

    ran = _ran(call(project, "dvc", "repro", "segment"))
    assert ran == {"qc@P2", "select@P2", "correct@P2", "segment@P2-masks"}


def test_two_people_who_each_add_a_plate_have_no_conflict(tmp_path: Path) -> None:
    project = start(fill("cell-painting", tmp_path / "project"))
    commit = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@lab.example", "commit", "-qam")
    call(project, "git", "add", "--all")
    call(project, *commit, "Begin")
    call(project, "git", "branch", "other")
    for branch, plates in (("other", ["P2", "P3"]), ("-", ["P1"])):
        call(project, "git", "checkout", "-q", branch)
        for plate in plates:
            add_to_unit_list(project, "plate", plate)
        call(project, *commit, f"Add {plates}")
    call(project, *commit[:5], "merge", "-q", "--no-edit", "other")

    assert {"qc@P1", "qc@P2", "qc@P3"} <= set(
        call(project, "dvc", "stage", "list", "--all", "--name-only").split()
    )


@pytest.mark.samples
def test_a_real_plate_needs_its_key_and_channel_only(samples: Path, tmp_path: Path) -> None:
    project = start(fill("cell-painting", tmp_path / "project"))
    shutil.copytree(samples / "nf1_plate2/images", project / "data/raw/Plate_2")
    call(project, "dvc", "add", "-q", "data/raw/Plate_2")
    _name_plate(project, "Plate_2")
    replace(project / "params.yaml", "channel: DNA", "channel: DAPI")
    replace(
        project / "imgdata.yaml",
        "{plate}/{well}_{site}_{channel}.ome.tif",
        "{plate}/{well}_{_}_{_}_{site}_{channel}_001.tif",
    )
    call(project, "dvc", "repro", "-q")

    masks = sorted((project / "data/masks/Plate_2").glob("*.tif"))
    assert [path.stem for path in masks] == ["B07_3", "D06_2", "D07_1", "F07_2", "H12_1"]
    assert all(29 <= int(tifffile.imread(path).max()) <= 37 for path in masks)
    wells = pd.read_parquet(project / "data/bulk_profiles/Plate_2.parquet")
    assert list(wells["Metadata_Well"]) == ["B07", "D06", "D07", "F07", "H12"]
    assert {"Cells_Intensity_MeanIntensity_RFP", "Nuclei_Texture_Contrast_GFP"} <= set(wells)
