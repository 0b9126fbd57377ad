"""The units of levels, found in DVC's files."""

from pathlib import Path

import pytest

from imgdata.dvc_files.index import read_index
from imgdata.errors import InvalidProjectError, UsageError
from imgdata.levels.units import (
    Units,
    choose_levels,
    find_units,
    level_of,
    refuse_outside,
    unit_name,
)
from imgdata.project.config import Config
from imgdata.project.loader import parse_config
from imgdata.testing.memory_tree import MemoryTree

CONFIG = """\
version: 1
levels:
  raw: {path: data/raw}
  masks: {path: data/masks}
  profiles: {path: data/profiles}
  bulk: {path: data/bulk, unit: none}
"""
DIR, FILE = f"{'a' * 32}.dir", "b" * 32


@pytest.fixture(scope="module")
def config() -> Config:
    """Four levels, one of them one piece."""
    return parse_config(CONFIG)


def dot_dvc(name: str, *, folder: bool = True, more: str = "") -> str:
    nfiles = ", nfiles: 2" if folder else ""
    md5 = DIR if folder else FILE
    return f"outs:\n- {{path: {name}, hash: md5, md5: {md5}, size: 7{nfiles}{more}}}\n"


def units(config: Config, files: dict[str, str]) -> Units:
    return find_units(config, read_index(MemoryTree(files)))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("P1", "P1"),
        ("P1.parquet", "P1"),
        ("P1.zarr", "P1"),
        ("P1.ome.zarr", "P1"),
        ("P1.2024-05-02", "P1.2024-05-02"),
        (".hidden", ".hidden"),
        ("P1.", "P1."),
        ("P1..", "P1.."),
        ("a/b/P1.csv", "P1"),
    ],
)
def test_a_unit_is_named_without_its_format(path: str, name: str) -> None:
    assert unit_name(path) == name


def test_every_plate_is_a_unit_in_order(config: Config) -> None:
    found = units(
        config,
        {
            "data/raw/P2.dvc": dot_dvc("P2"),
            "data/raw/P1.dvc": dot_dvc("P1", more=", meta: {imgdata: {origin: own}}"),
            "dvc.yaml": "stages:\n  one:\n    cmd: x\n    outs: [data/masks/P1, report.html]\n",
        },
    )
    assert [unit.title for unit in found.of(["raw", "masks"])] == ["raw P1", "raw P2", "masks P1"]
    first, _, mask = found.of(["raw", "masks"])
    assert (first.version, first.size, first.nfiles, first.origin) == (DIR, 7, 2, "own")
    assert (first.is_raw, first.is_folder, first.path) == (True, True, "data/raw/P1")
    assert (mask.is_raw, mask.version, mask.size, mask.nfiles) == (False, None, 0, 0)
    assert [out.path for out in found.elsewhere] == ["report.html"]


def test_a_folder_with_a_dot_keeps_its_name_and_a_file_loses_its_format(config: Config) -> None:
    found = units(
        config,
        {
            "data/raw/P1.v2.dvc": dot_dvc("P1.v2"),
            "data/profiles/P1.parquet.dvc": dot_dvc("P1.parquet", folder=False),
        },
    )
    assert [unit.name for unit in found.of(["raw", "profiles"])] == ["P1.v2", "P1"]
    assert found.find("raw", "P1.v2") is not None
    assert found.find("raw", "P1") is None
    assert found.of(["profiles"])[0].nfiles == 1


def test_a_level_of_one_piece_has_a_nameless_unit(config: Config) -> None:
    found = units(config, {"data/bulk.dvc": dot_dvc("bulk")})
    assert [unit.title for unit in found.of(["bulk"])] == ["bulk"]


def test_a_hash_of_another_kind_is_no_version(config: Config) -> None:
    found = units(config, {"data/raw/P1.dvc": f"outs:\n- {{path: P1, md5: {DIR}, size: 7}}\n"})
    (unit,) = found.of(["raw"])
    assert unit.version is None
    assert unit.legacy_hash == "md5-dos2unix"


def test_a_level_is_found_by_whole_parts_of_the_path(config: Config) -> None:
    level = level_of(config, "data/raw/P1/x.tif")
    assert level is not None
    assert level.name == "raw"
    assert level_of(config, "data/raw2/P1") is None
    assert level_of(config, "data") is None


@pytest.mark.parametrize(
    "files",
    [
        {"x.dvc": dot_dvc("../out")},
        {"a/x.dvc": dot_dvc("../../out")},
        {"x.dvc": dot_dvc("/etc/passwd")},
        {"x.dvc": f"wdir: ..\n{dot_dvc('out')}"},
        {"a/x.dvc": f"wdir: ../..\n{dot_dvc('out')}"},
        {"dvc.yaml": "stages:\n  s:\n    cmd: x\n    wdir: ..\n    outs: [out]\n"},
        {"a/dvc.yaml": "stages:\n  s:\n    cmd: x\n    outs: [../../out]\n"},
        {"dvc.yaml": "stages:\n  s:\n    cmd: x\n    metrics: [/tmp/out]\n"},
    ],
)
def test_an_out_that_leaves_the_project_is_refused(files: dict[str, str]) -> None:
    with pytest.raises(InvalidProjectError, match="names an out outside the project"):
        refuse_outside(read_index(MemoryTree(files)))


@pytest.mark.parametrize(
    "files",
    [
        {"a/x.dvc": dot_dvc("../out")},
        {"a/b/x.dvc": f"wdir: ../..\n{dot_dvc('out')}"},
        {"a/dvc.yaml": "stages:\n  s:\n    cmd: x\n    wdir: ..\n    outs: [data/out]\n"},
    ],
)
def test_an_out_that_stays_inside_is_fine(files: dict[str, str]) -> None:
    refuse_outside(read_index(MemoryTree(files)))


def test_levels_are_chosen_in_the_projects_order(config: Config) -> None:
    assert [level.name for level in choose_levels(config, ["masks", "raw"])] == ["raw", "masks"]
    assert len(choose_levels(config, [])) == 4
    with pytest.raises(UsageError, match="'mask' is not a level of this project") as caught:
        choose_levels(config, ["mask"])
    assert "masks" in caught.value.cause


def test_no_file_is_no_unit(config: Config, tmp_path: Path) -> None:
    assert units(config, {}).of(config.levels) == ()
    assert not list(tmp_path.glob("*.dvc"))
