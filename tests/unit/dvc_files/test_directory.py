"""Folder lists: the bytes that DVC writes, and refusal of what would leave the folder."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.directory import FolderEntry, read_folder, write_folder
from imgdata.errors import DamagedError, InvalidProjectError

ASK = Path(__file__).with_name("ask_dvc_data.py")
NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
PATHS = st.lists(NAME.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=3)


def no_file_is_a_folder(files: dict[str, bytes]) -> bool:
    return not any(path.startswith(f"{other}/") for path in files for other in files)


FILES = st.dictionaries(PATHS.map("/".join), st.binary(max_size=3), max_size=8).filter(
    no_file_is_a_folder
)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def entries(files: dict[str, bytes]) -> list[FolderEntry]:
    return [FolderEntry(md5(data), path) for path, data in files.items()]


def listed(data: bytes) -> list[FolderEntry]:
    return read_folder(data, f"{md5(data)}.dir")


@given(FILES)
def test_what_is_written_is_read_back_in_order(files: dict[str, bytes]) -> None:
    data, name = write_folder(entries(files))
    assert read_folder(data, name) == sorted(entries(files), key=lambda entry: entry.relpath)
    assert name == f"{md5(data)}.dir"


@given(FILES)
def test_the_order_of_entries_does_not_matter(files: dict[str, bytes]) -> None:
    assert write_folder(entries(files)) == write_folder(reversed(entries(files)))


@pytest.mark.dvc
def test_the_bytes_are_those_of_dvc() -> None:
    names = (
        "b.tif",
        "a/x.tif",
        "a.tif",
        "größe.tif",
        "a b.tif",
        "日本/1.tif",
        'q"uo\\te',
        "B",
        "é",
    )
    pairs = [[md5(name.encode()), name] for name in names]
    asked = subprocess.run(
        [sys.executable, ASK, "folder"], input=json.dumps(pairs), text=True, stdout=-1, check=True
    )
    data, name = write_folder(FolderEntry(*pair) for pair in pairs)
    assert json.loads(asked.stdout) == [name, data.decode()]


def test_other_bytes_than_the_name_says_are_damage() -> None:
    data, name = write_folder(entries({"a": b"1"}))
    with pytest.raises(DamagedError, match="its content has another md5"):
        read_folder(data + b" ", name)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b'[{"md5": 1, "relpath": "a"}]', b'[{"md5": "x"}]', b"\xff", b"null"],
)
def test_what_is_no_list_of_files_is_damage(data: bytes) -> None:
    with pytest.raises(DamagedError, match="is not a list of files"):
        listed(data)


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/./b", "a/", "..", "a\0b"]
)
def test_a_path_that_leaves_the_folder_is_refused(path: str) -> None:
    data = json.dumps([{"md5": md5(b""), "relpath": path}]).encode()
    with pytest.raises(InvalidProjectError, match="names a path outside its folder"):
        listed(data)


@pytest.mark.parametrize("name", ["..hidden", "a..b", "...", "a/..b", "with space ", "\u202e"])
def test_odd_names_that_stay_inside_are_files(name: str) -> None:
    assert [entry.relpath for entry in listed(write_folder([FolderEntry(md5(b""), name)])[0])]


@pytest.mark.parametrize("bad", ["", "../../../etc/passwd", "A" * 32, "0" * 31, f"{'0' * 32}.dir"])
def test_what_is_no_md5_is_damage(bad: str) -> None:
    data = json.dumps([{"md5": bad, "relpath": "a"}]).encode()
    with pytest.raises(DamagedError, match="is not a list of files"):
        listed(data)


def test_a_list_that_names_a_path_twice_or_as_file_and_folder_is_damage() -> None:
    for other in ("a", "a/b"):
        pair = [{"md5": md5(b"1"), "relpath": "a"}, {"md5": md5(b"2"), "relpath": other}]
        with pytest.raises(DamagedError, match="is not a list of files"):
            listed(json.dumps(pair).encode())


def test_what_a_newer_dvc_may_add_is_ignored() -> None:
    data = json.dumps([{"md5": md5(b"1"), "relpath": "a", "size": 1}]).encode()
    assert listed(data) == [FolderEntry(md5(b"1"), "a")]
