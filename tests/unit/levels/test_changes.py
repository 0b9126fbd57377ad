"""What changed in the working folder, reading only what nobody has read."""

import os
from pathlib import Path

import pytest

from imgdata.dvc_files.directory import FolderEntry
from imgdata.dvc_files.state import Row, State
from imgdata.levels.changes import Workspace, recorded_files
from imgdata.system.files import Stamp, file_md5

LIE = "0" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one plate of three files."""
    folder = tmp_path / "project"
    plate = folder / "data" / "raw" / "P1"
    (plate / "deep").mkdir(parents=True)
    (plate / "a.tif").write_bytes(b"a")
    (plate / "b.tif").write_bytes(b"b")
    (plate / "deep" / "c.tif").write_bytes(b"c")
    return folder


@pytest.fixture
def state(root: Path) -> State:
    """The rows of the project."""
    return State(root, root.parent / "site")


@pytest.fixture
def workspace(root: Path, state: State) -> Workspace:
    """The files of the project."""
    return Workspace(root, state)


def recorded(root: Path) -> dict[str, str]:
    plate = root / "data/raw/P1"
    return {
        path.relative_to(plate).as_posix(): file_md5(path)
        for path in plate.rglob("*")
        if path.is_file()
    }


def test_nothing_changed(root: Path, workspace: Workspace) -> None:
    found = workspace.compare("data/raw/P1", recorded(root))
    assert found.is_complete
    assert (found.same, found.size, found.is_partial, found.is_absent) == (3, 3, False, False)


def test_changed_missing_and_new_files_are_named(root: Path, workspace: Workspace) -> None:
    before = recorded(root)
    plate = root / "data/raw/P1"
    (plate / "a.tif").write_bytes(b"x")
    (plate / "deep" / "c.tif").unlink()
    (plate / "new.tif").write_bytes(b"n")
    found = workspace.compare("data/raw/P1", before)
    assert (found.changed, found.missing, found.extra) == (
        ("a.tif",),
        ("deep/c.tif",),
        ("new.tif",),
    )
    assert not found.is_complete
    assert not found.is_partial


def test_a_part_is_partial_and_nothing_is_absent(root: Path, workspace: Workspace) -> None:
    before = recorded(root)
    (root / "data/raw/P1/a.tif").unlink()
    assert workspace.compare("data/raw/P1", before).is_partial
    found = workspace.compare("data/raw/P2", before)
    assert found.is_absent
    assert len(found.missing) == 3


def test_a_file_is_read_once(root: Path, workspace: Workspace, state: State) -> None:
    path = root / "data/raw/P1/a.tif"
    scanned = workspace.scan("data/raw/P1")
    first = workspace.hashes("data/raw/P1", scanned)
    assert state.known_md5(str(path), Stamp.of(path.stat())) == first["a.tif"]
    state.write([Row(str(path), Stamp.of(path.stat()), LIE)])
    assert workspace.hashes("data/raw/P1", scanned)["a.tif"] == LIE
    os.utime(path, (1, 1))
    again = workspace.hashes("data/raw/P1", workspace.scan("data/raw/P1"))
    assert again["a.tif"] == first["a.tif"]


def test_ignored_names_and_leftovers_are_no_files(root: Path, workspace: Workspace) -> None:
    before = recorded(root)
    (root / ".dvcignore").write_text("*.tmp\nthumbs/\n")
    plate = root / "data/raw/P1"
    (plate / "x.tmp").touch()
    (plate / ".tmp-imgdata-1-abc").touch()
    (plate / "thumbs").mkdir()
    (plate / "thumbs" / "a.png").touch()
    assert workspace.compare("data/raw/P1", before).is_complete


def test_links_are_followed_and_a_link_to_nothing_is_wrong(
    root: Path, workspace: Workspace
) -> None:
    before = recorded(root)
    path = root / "data/raw/P1/a.tif"
    path.replace(root / "elsewhere")
    path.symlink_to(root / "elsewhere")
    assert workspace.compare("data/raw/P1", before).is_complete
    (root / "elsewhere").unlink()
    assert not workspace.compare("data/raw/P1", before).is_complete


def test_links_in_a_circle_are_no_endless_walk(root: Path, workspace: Workspace) -> None:
    before = recorded(root)
    plate = root / "data/raw/P1"
    (plate / "self").symlink_to("self")
    (plate / "deep" / "up").symlink_to(plate)
    found = workspace.compare("data/raw/P1", before)
    assert found.same == 3
    assert not found.is_complete


def test_a_single_file_is_one_nameless_path(root: Path, workspace: Workspace) -> None:
    path = root / "data" / "all.parquet"
    path.write_bytes(b"rows")
    assert recorded_files(None, "x") == {"": "x"}
    assert workspace.compare("data/all.parquet", {"": file_md5(path)}).is_complete
    assert workspace.compare("data/all.parquet", {"": LIE}).changed == ("",)
    assert workspace.compare("data/none.parquet", {"": LIE}).is_absent


def test_a_file_where_a_folder_was_recorded_is_a_change(root: Path, workspace: Workspace) -> None:
    (root / "data/raw/P2").write_bytes(b"x")
    found = workspace.compare("data/raw/P2", recorded_files([FolderEntry(LIE, "a.tif")], ""))
    assert (found.missing, found.extra) == (("a.tif",), ("",))
