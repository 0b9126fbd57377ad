"""A package for the BioImage Archive from real images passes the validator; broken ones do not."""

from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from imgdata.api import init_project, open_project
from imgdata.deposits.bia import (
    CHECKLIST,
    REQUIRED,
    STUDY,
    BiaService,
    validate_package,
)
from imgdata.model.deposits import LevelFile, ListedFile
from imgdata.model.keys import parse_keys, read_name
from imgdata.repositories import Publishing
from imgdata.testing.depository import METADATA

TODAY = date(2026, 11, 20)
ANSWERS = tuple((name, f"answer to {name}") for name, _, _ in REQUIRED)
DESCRIBED = replace(
    METADATA,
    title="NF1 Schwann cells, Cell Painting, plate 2",
    answers=ANSWERS,
    published=date(2026, 12, 1),
)
KEY = parse_keys(("{well}_01_{_}_{site}_{channel}_001.tif",))


@pytest.fixture
def package(samples: Path, tmp_path: Path) -> Path:
    plate = samples / "nf1_plate2"
    listed = []
    for level in ("images", "masks"):
        for path in sorted((plate / level).rglob("*.tif*")):
            name = path.relative_to(plate).as_posix()
            file = LevelFile(level, "P2", name, str(path), path.stat().st_size, "")
            fields = read_name(KEY, path.name, "P2") or {}
            listed.append(ListedFile(file, {"plate": "P2", **fields}))
    assert listed
    BiaService().package(DESCRIBED, listed, tmp_path)
    return tmp_path


@pytest.mark.samples
def test_the_nf1_plate_as_a_package_is_valid(package: Path, samples: Path) -> None:
    assert validate_package(package, TODAY, samples / "nf1_plate2") == ()
    first, second, *_ = (package / "filelist_images.tsv").read_text().splitlines()
    assert first.split("\t")[:2] == ["Files", "Plate"]
    assert second.split("\t")[:2] == ["images/B7_01_1_3_DAPI_001.tif", "P2"]
    study = (package / STUDY).read_text()
    assert "Annotations\tAnnotations-1" in study
    assert "File List\tfilelist_masks.tsv" in study


@pytest.mark.samples
def test_the_checklist_names_every_step_with_its_files(package: Path) -> None:
    text = (package / CHECKLIST).read_text()
    assert text.count("- [ ]") == 11
    assert "imgdata publish images masks --to bia --draft" in text
    assert "nf1_schwann_cells_cell_painting_plate_2/images/B7_01_1_3_DAPI_001.tif" in text


@pytest.mark.samples
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("AttachTo\tBioImages\n", "", "AttachTo"),
        ("ReleaseDate\t2026-12-01", "ReleaseDate\t2020-01-01", "in the past"),
        ("ReleaseDate\t2026-12-01", "ReleaseDate\tsoon", "not a date"),
        ("Organism\tanswer to biosample.organism\n", "", "'Organism' is missing"),
        ("Specimen\tSpecimen-1", "Speciman\tSpecimen-1", "no section 'Specimen'"),
        ("Keywords\tCell Painting\n", "", "'Keywords' is missing"),
        (
            "Associations-1-1\tanswer",
            "Associations-1-1\tanother",
            "there is no Biosample 'another to",
        ),
        ("filelist_masks.tsv", "filelist_none.tsv", "filelist_none.tsv is missing"),
    ],
)
def test_a_broken_study_is_told(package: Path, before: str, after: str, said: str) -> None:
    text = (package / STUDY).read_text()
    assert before in text
    (package / STUDY).write_text(text.replace(before, after))
    assert any(said in problem for problem in validate_package(package, TODAY))


@pytest.mark.samples
def test_a_broken_file_list_is_told(package: Path, samples: Path) -> None:
    path = package / "filelist_masks.tsv"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows, rows[1], "../x\tP2", "gone.tif\tP2\tx\ty"]))
    problems = "\n".join(validate_package(package, TODAY, samples / "nf1_plate2"))
    for said in ("listed twice", "not a path below RootPath", "gone.tif does not exist", "cells"):
        assert said in problems


def test_missing_answers_are_questions() -> None:
    asked = {question.name for question in BiaService().asks(METADATA)}
    assert {name for name, _, _ in REQUIRED} <= asked
    assert BiaService().asks(DESCRIBED) == ()
    (asked_more,) = BiaService().asks(replace(DESCRIBED, keywords=()))
    assert (asked_more.name, asked_more.required) == ("study.keywords", True)


def test_keywords_that_a_person_answered_are_those_of_the_deposit(tmp_path: Path) -> None:
    root = tmp_path / "nf1"
    init_project(root, template="minimal", title="NF1 Schwann cells, Cell Painting, plate 2")
    config = root / "imgdata.yaml"
    config.write_text(config.read_text() + 'repositories: {bia: {url: "bia:"}}\n')
    (root / "metadata" / "rembi.yaml").write_text("study: {keywords: 'NF1, Cell Painting'}\n")
    project = open_project(root, writing=True)
    plate = tmp_path / "P1"
    plate.mkdir()
    (plate / "B03_1.tif").write_bytes(b"one")
    list(project.add(project.plan_add("raw", [plate])))
    plan = Publishing(open_project(root).clone, "bia").plan(["raw"])
    assert plan.metadata.keywords == ("NF1", "Cell Painting")
    assert "study.keywords" not in {question.name for question in plan.questions}
