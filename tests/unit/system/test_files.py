"""Files are written whole, and stay what they were to everybody else."""

import os
import stat
from pathlib import Path

import pytest

from imgdata.errors import MachineError
from imgdata.system.files import write_bytes, write_text


def test_a_file_of_a_group_stays_the_groups_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "imgdata.yaml"
    path.write_text("title: old\n")
    path.chmod(0o664)
    before = os.umask(0o077)
    try:
        write_text(path, "title: new\n")
    finally:
        os.umask(before)
    assert path.read_text() == "title: new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_new_file_follows_the_umask_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "new.txt"
    before = os.umask(0o027)
    try:
        write_text(path, "new\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "taken").mkdir(parents=True)
    with pytest.raises(MachineError, match="cannot write"):
        write_bytes(folder / "taken", b"new")
    assert [path.name for path in folder.iterdir()] == ["taken"]
