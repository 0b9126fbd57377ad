"""A plan fits the repository's limits, names what is missing, and holds back what may not leave."""

from collections.abc import Mapping
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from imgdata.model.deposits import (
    OPEN,
    Access,
    Creator,
    DepositLimits,
    DepositMetadata,
    LevelFile,
    PackFormat,
    Packing,
    PlannedItem,
    PlannedPack,
    Visibility,
)
from imgdata.policy.restrictions import Source
from imgdata.project.config import Origin
from imgdata.testing.depository import METADATA
from imgdata.workflows.deposit_layout import Layout, lay_out
from imgdata.workflows.deposit_plan import (
    DOCUMENTS,
    DepositRequest,
    plan_deposit,
    valid_orcid,
)

TODAY = date(2026, 11, 20)
ZENODO = DepositLimits(files=100, total=50 * 10**9, file=50 * 10**9)
OWN = {"own": Origin("own", "own")}


def _files(level: str, unit: str, count: int, size: int = 1000) -> tuple[LevelFile, ...]:
    return tuple(
        LevelFile(level, unit, f"data/{level}/{unit}/{n:04d}.tif", "/x", size, "0" * 32)
        for n in range(count)
    )


def _request(files: tuple[LevelFile, ...], **changes: object) -> DepositRequest:
    sources = {(file.level, file.unit): (Source(f"raw/{file.unit}", "own"),) for file in files}
    made = DepositRequest(
        repository="zenodo",
        levels=tuple(dict.fromkeys(file.level for file in files)),
        files=files,
        sources=sources,
        rules=(OWN, OWN),
        metadata=METADATA,
        access=OPEN,
        limits=ZENODO,
        today=TODAY,
        pack={},
    )
    return replace(made, **changes)


def _paths(items: tuple[PlannedItem, ...]) -> list[str]:
    found: list[str] = []
    for item in items:
        files = item.files if isinstance(item, PlannedPack) else (item.file,)
        found.extend(file.path for file in files)
    return sorted(found)


def test_a_plate_of_images_is_one_pack_and_a_table_stays_as_it_is() -> None:
    plan = plan_deposit(_request((*_files("masks", "P1", 3456), *_files("bulk", "P1", 1))))
    assert [item.name for item in plan.items] == ["masks_P1.zip", "0000.tif"]
    assert plan.files == 2 + len(DOCUMENTS)
    assert plan.over == ()
    assert plan.missing == ()


def test_names_keep_their_letters_and_no_file_takes_the_name_of_anothers() -> None:
    files = (
        *(LevelFile("masks", "Plätte é", f"data/masks/Plätte é/{n}.tif", "/x", 1, "0" * 32)
          for n in range(30)),
        LevelFile("bulk", "P1", "data/bulk/P1/wells.csv", "/x", 1, "0" * 32),
        LevelFile("bulk", "P2", "data/bulk/P2/wells.csv", "/x", 1, "0" * 32),
        LevelFile("bulk", "P2", "data/bulk/P2/Größe.csv", "/x", 1, "0" * 32),
    )  # fmt: skip
    first = {item.name for item in plan_deposit(_request(files)).items}
    assert first == {
        "masks_Platte_e.zip",
        "data_bulk_P1_wells.csv",
        "data_bulk_P2_wells.csv",
        "Grosse.csv",
    }
    earlier = LevelFile("bulk", "A0", "data/bulk/A0/wells.csv", "/x", 1, "0" * 32)
    second = {item.name for item in plan_deposit(_request((*files, earlier))).items}
    assert second == {*first, "data_bulk_A0_wells.csv"}


def test_a_name_in_other_letters_keeps_its_suffix() -> None:
    files = (
        LevelFile("bulk", "P1", "data/bulk/P1/日本 語.tif", "/x", 1, "0" * 32),
        LevelFile("bulk", "P1", "data/bulk/P1/Δ.csv", "/x", 1, "0" * 32),
        LevelFile("bulk", "P1", "data/bulk/P1/Ω.csv", "/x", 1, "0" * 32),
        LevelFile("bulk", "P1", "data/bulk/P1/.hidden", "/x", 1, "0" * 32),
    )
    names = {item.name for item in plan_deposit(_request(files)).items}
    assert names == {"file.tif", "data_bulk_P1__.csv", "data_bulk_P1__-2.csv", "hidden"}


def test_many_small_units_are_packed_when_the_limit_asks_for_it() -> None:
    files = tuple(file for n in range(60) for file in _files("bulk", f"P{n}", 3))
    plan = plan_deposit(_request(files))
    assert plan.over == ()
    assert plan.files <= 100
    assert _paths(plan.items) == sorted(file.path for file in files)


def test_more_plates_than_files_become_one_pack_a_level() -> None:
    files = tuple(file for n in range(200) for file in _files("masks", f"P{n:03d}", 20))
    plan = plan_deposit(_request(files))
    assert [item.name for item in plan.items] == ["masks.zip"]


def test_a_level_says_how_it_is_packed() -> None:
    files = (*_files("masks", "P1", 30), *_files("bulk", "P1", 2), *_files("raw", "P1", 30))
    pack = {"masks": Packing.TAR, "bulk": Packing.ZIP, "raw": Packing.NONE}
    plan = plan_deposit(_request(files, pack=pack))
    assert [item.name for item in plan.items][:2] == ["bulk_P1.zip", "masks_P1.tar"]
    assert len(plan.items) == 2 + 30
    crowded = plan_deposit(_request((*files, *_files("raw", "P2", 90)), pack=pack))
    assert any("a record takes 100" in text for text in crowded.over)


def _zarr(unit: str, name: str, inside: tuple[str, ...]) -> tuple[LevelFile, ...]:
    folder = f"data/raw/{unit}/{name}.zarr"
    return tuple(LevelFile("raw", unit, f"{folder}/{one}", "/x", 10, "0" * 32) for one in inside)


def test_a_zarr_is_one_file_and_travels_as_one() -> None:
    chunks = ("zarr.json", "0/zarr.json", *(f"0/c/{n}" for n in range(40)))
    files = (*_zarr("P1", "B02", chunks), *_zarr("P1", "B03", chunks), *_files("raw", "P1", 2))
    zarrs = {"data/raw/P1/B02.zarr": "0.5", "data/raw/P1/B03.zarr": ""}
    plan = plan_deposit(_request(files, zarrs=zarrs))
    assert sorted(item.name for item in plan.items) == [
        *("0000.tif", "0001.tif", "B02.ozx", "B03.zarr.zip"),
    ]
    (ozx,) = [one for one in plan.items if one.name == "B02.ozx"]
    assert isinstance(ozx, PlannedPack)
    assert ozx.format is PackFormat.OZX
    assert ozx.inside(ozx.files[0].path) == "0/c/0"
    many = tuple(f for n in range(20) for f in _zarr("P1", f"B{n:02}", chunks))
    assert [item.name for item in plan_deposit(_request(many)).items] == ["raw_P1.zip"]
    folders = plan_deposit(_request(files, pack={"raw": Packing.FOLDERS}, documents=()))
    assert len(folders.items) == len(files)


def test_what_is_larger_than_a_record_is_refused_before_a_byte_moves() -> None:
    plan = plan_deposit(_request(_files("raw", "P1", 20, 6 * 10**9)))
    assert plan.over == ("120 GB (120,000,006,780 bytes), a record takes 50.0 GB",)
    names = [item.name for item in plan.items]
    assert names == [f"raw_P1.part{n}of3.zip" for n in (1, 2, 3)]
    assert all(item.size <= 50 * 10**9 for item in plan.items)


def test_restricted_units_stay_and_are_told() -> None:
    files = (*_files("masks", "P1", 2), *_files("masks", "P2", 2))
    sources: Mapping[tuple[str, str], tuple[Source, ...]] = {
        ("masks", "P1"): (Source("raw/P1", "own"),),
        ("masks", "P2"): (),
    }
    plan = plan_deposit(_request(files, sources=sources))
    assert [held.unit for held in plan.held] == ["P2"]
    assert all("P2" not in path for path in _paths(plan.items))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"title": "ab"}, "title"),
        ({"creators": ()}, "creators"),
        ({"license": ""}, "license"),
        ({"license": "CC-BY-4"}, "license"),
        ({"license": "My lab's licence"}, "license"),
        ({"license": "LicenseRef-lab"}, "license"),
        ({"license": "MIT OR CC0-1.0"}, "license"),
        ({"description": " "}, "study.description"),
        ({"creators": (Creator("X", orcid="0000-0002-1825-0098"),)}, "creators.orcid"),
    ],
)
def test_what_a_doi_needs_is_asked_for(change: dict[str, object], name: str) -> None:
    metadata: DepositMetadata = replace(METADATA, **change)
    plan = plan_deposit(_request(_files("masks", "P1", 1), metadata=metadata))
    assert name in [question.name for question in plan.missing]


@pytest.mark.parametrize(
    ("origin", "asked"),
    [
        (Origin("own", "public"), True),
        (Origin("own", "public", license="CC-BY-NC-4.0"), True),
        (Origin("own", "public", license="CC-BY-ND-4.0"), True),
        (Origin("own", "public", license="Elsevier"), True),
        (Origin("own", "public", license="CC0-1.0"), False),
        (Origin("own", "public", license="CC-BY-4.0"), False),
        (Origin("own", "own"), False),
    ],
)
def test_the_licence_of_the_sources_must_allow_it(origin: Origin, *, asked: bool) -> None:
    rules = ({"own": origin}, {"own": origin})
    plan = plan_deposit(_request(_files("masks", "P1", 1), rules=rules))
    assert ("origins.own.license" in [q.name for q in plan.missing]) is asked


@pytest.mark.parametrize(
    "known", ["CC-BY-4.0", "cc0-1.0", "CC-BY-NC-SA-4.0", "ODbL-1.0", "EUPL-1.2"]
)
def test_a_licence_of_the_spdx_list_is_not_asked_about(known: str) -> None:
    metadata = replace(METADATA, license=known)
    assert plan_deposit(_request(_files("masks", "P1", 1), metadata=metadata)).missing == ()


def test_an_embargo_that_has_ended_is_a_question() -> None:
    access = Access(Visibility.EMBARGOED, TODAY)
    plan = plan_deposit(_request(_files("masks", "P1", 1), access=access))
    assert [question.name for question in plan.missing] == ["embargo"]


def test_orcids_are_checked_by_their_last_digit() -> None:
    assert valid_orcid("0000-0002-1825-0097")
    assert valid_orcid("0000-0002-1694-233X")
    assert not valid_orcid("0000-0002-1825-0098")
    assert not valid_orcid("0000000218250097")


@settings(max_examples=60, deadline=None)
@given(
    units=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    most=st.integers(8, 60),
    largest=st.integers(5_000, 50_000),
)
def test_every_file_travels_once_and_names_are_unique(
    units: list[int], most: int, largest: int
) -> None:
    files = tuple(f for n, count in enumerate(units) for f in _files("m", f"P{n}", count))
    limits = DepositLimits(files=most, total=None, file=largest)
    items = lay_out(files, limits, Layout(reserved=DOCUMENTS))
    assert _paths(items) == sorted(file.path for file in files)
    names = [item.name.lower() for item in items]
    assert len(set(names)) == len(names)
    assert not set(names) & {name.lower() for name in DOCUMENTS}
    assert all(item.size <= largest for item in items)
