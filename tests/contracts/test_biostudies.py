"""A package is brought into one draft of a BioStudies account, checked there, and left alone."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from imgdata.deposits.bia import REQUIRED, BiaService
from imgdata.deposits.biostudies import BioStudies
from imgdata.errors import CredentialsError, DamagedError, RefusedError, StorageError
from imgdata.model.deposits import LevelFile, ListedFile, Package
from imgdata.system.credentials import Token
from imgdata.testing import small_biostudies
from imgdata.testing.depository import METADATA
from imgdata.testing.small_biostudies import SmallBioStudies

TOKEN = Token("bia", f"{small_biostudies.USER}:{small_biostudies.PASSWORD}")
ROOT = "nf1_schwann_cells_cell_painting_plate_2"
DESCRIBED = replace(
    METADATA,
    title="NF1 Schwann cells, Cell Painting, plate 2",
    answers=tuple((name, f"answer to {name}") for name, _, _ in REQUIRED),
    published=date(2026, 12, 1),
)


@pytest.fixture
def site() -> Iterator[SmallBioStudies]:
    with small_biostudies.serve() as served:
        yield served


@pytest.fixture
def package(tmp_path: Path) -> Package:
    listed = []
    for level, name, data in (
        ("raw", "data/raw/P1/B03 1.tif", b"one"),
        ("raw", "data/raw/P1/B04_1.tif", b"twotwo"),
        ("masks", "data/masks/P1/B03_1.tif", b"mask"),
    ):
        local = tmp_path / name
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(data)
        file = LevelFile(level, "P1", name, str(local), len(data), "")
        listed.append(ListedFile(file, {"plate": "P1"}))
    folder = tmp_path / "package"
    BiaService().package(DESCRIBED, listed, folder)
    return Package(DESCRIBED, ("raw", "masks"), tuple(listed), folder)


def test_a_package_becomes_one_draft_with_all_its_files(
    site: SmallBioStudies, package: Package
) -> None:
    service = BiaService(site.base)
    done = service.draft(package, TOKEN)
    assert (done.key, done.sent, done.already) == ("TMP_1", 6, 0)
    assert site.files[f"{ROOT}/data/raw/P1/B03 1.tif"] == b"one"
    assert {name.rpartition("/")[2] for name in site.files} >= {
        "study.tsv",
        "filelist_raw.tsv",
        "filelist_masks.tsv",
    }
    (draft,) = site.drafts.values()
    study = draft["section"]
    kinds = [one["type"] for one in study["subsections"]]
    assert kinds.count("Study Component") == kinds.count("Annotations") == 1
    assert {"name": "RootPath", "value": ROOT} in draft["attributes"]
    component = study["subsections"][kinds.index("Study Component")]
    titles = {
        attribute["value"]
        for one in study["subsections"]
        for attribute in one["attributes"]
        if attribute["name"] == "Title"
    }
    ((row,),) = component["subsections"]
    assert {attribute["value"] for attribute in row["attributes"]} <= titles
    assert not any(path.endswith("/submit") for _, path, _ in site.seen)


def test_a_rerun_sends_what_is_missing_and_the_lists_and_keeps_the_one_draft(
    site: SmallBioStudies, package: Package
) -> None:
    service = BiaService(site.base)
    first = service.draft(package, TOKEN)
    del site.files[f"{ROOT}/data/raw/P1/B04_1.tif"]
    second = service.draft(package, TOKEN, first.key)
    assert (second.key, second.sent, second.already) == (first.key, 4, 2)
    assert len(site.drafts) == 1


def test_a_creation_that_was_not_answered_is_found_again(
    site: SmallBioStudies, package: Package
) -> None:
    site.drop = 1
    with pytest.raises(StorageError):
        BiaService(site.base).draft(package, TOKEN)
    assert BiaService(site.base).draft(package, TOKEN).key == "TMP_1"
    assert len(site.drafts) == 1


def test_a_file_that_arrives_in_part_is_named(site: SmallBioStudies, package: Package) -> None:
    site.spoil = "B04_1.tif"
    with pytest.raises(DamagedError) as caught:
        BiaService(site.base).draft(package, TOKEN)
    assert caught.value.cause == "data/raw/P1/B04_1.tif"
    assert site.drafts == {}


def test_what_biostudies_misses_stops_before_the_draft(
    site: SmallBioStudies, package: Package
) -> None:
    path = package.folder / "filelist_raw.tsv"
    path.write_text(path.read_text() + "data/raw/P1/gone.tif\tP1\n")
    with pytest.raises(RefusedError) as caught:
        BiaService(site.base).draft(package, TOKEN)
    assert caught.value.cause == "filelist_raw.tsv: file not found: data/raw/P1/gone.tif"
    assert site.drafts == {}


@pytest.mark.parametrize("secret", ["ada@lab.example", ":x", f"{small_biostudies.USER}:wrong"])
def test_a_wrong_account_is_refused_and_its_password_not_shown(
    site: SmallBioStudies, package: Package, secret: str
) -> None:
    with pytest.raises(CredentialsError) as caught:
        BiaService(site.base).draft(package, Token("bia", secret))
    said = f"{caught.value.problem}{caught.value.cause}{caught.value.remedy}"
    assert "IMGDATA_BIA_TOKEN" in said
    assert "wrong" not in said
    assert {path for _, path, _ in site.seen} <= {"/auth/login"}


def test_the_session_goes_to_biostudies_only_and_no_password_after_sign_in(
    site: SmallBioStudies, package: Package
) -> None:
    opened = BioStudies(site.base, TOKEN)
    opened.close()
    BiaService(site.base).draft(package, TOKEN)
    assert {session for _, path, session in site.seen if path == "/auth/login"} == {None}
    assert {session for _, path, session in site.seen if path != "/auth/login"} == {
        small_biostudies.SESSION
    }
