"""`.dvc` files: byte for byte what `dvc add` writes, and what DVC keeps of what imgdata adds."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.dvc_files.tracked import (
    TrackedOut,
    dot_dvc_text,
    escape_pattern,
    hash_text,
    ignore_in_git,
)
from imgdata.model.objects import ObjectId
from imgdata.system.files import file_md5
from imgdata.testing.lab import Lab, make_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A project in which plain dvc adds a folder and a file."""
    lab = make_lab(tmp_path_factory.mktemp("tracked") / "lab")
    folder = lab.file("größe 1")
    folder.mkdir()
    (folder / "a.tif").write_bytes(b"one")
    (folder / "b.tif").write_bytes(b"")
    lab.file("one file.csv").write_bytes(b"a,b\n")
    added = lab.dvc("add", "größe 1", "one file.csv")
    assert added.status == 0, added.err
    return lab


def tracked(path: Path, **more: Any) -> str:
    plain = {"remote": None, "push": True, "origin": None, "added": None}
    if path.is_dir():
        files = sorted(path.iterdir())
        size = sum(one.stat().st_size for one in files)
        version = write_folder(FolderEntry(file_md5(one), one.name) for one in files)[1]
        return dot_dvc_text(TrackedOut(path.name, version, size, len(files), **{**plain, **more}))
    version = ObjectId(file_md5(path))
    return dot_dvc_text(
        TrackedOut(path.name, version, path.stat().st_size, None, **{**plain, **more})
    )


@pytest.mark.dvc
@pytest.mark.parametrize("name", ["größe 1", "one file.csv"])
def test_the_file_is_the_one_that_dvc_add_writes(lab: Lab, name: str) -> None:
    assert tracked(lab.file(name)) == lab.file(f"{name}.dvc").read_text("utf-8")


@pytest.mark.dvc
def test_the_ignored_name_is_the_one_that_dvc_add_writes(lab: Lab, tmp_path: Path) -> None:
    for name in ("größe 1", "one file.csv"):
        ignore_in_git(tmp_path / name)
    written = (tmp_path / ".gitignore").read_text("utf-8").splitlines()
    assert written == lab.file(".gitignore").read_text("utf-8").splitlines()[:2]


@pytest.mark.dvc
def test_dvc_keeps_remote_push_and_origin_when_it_writes_the_file_again(lab: Lab) -> None:
    lab.file("two.csv").write_bytes(b"a\n")
    assert lab.dvc("add", "two.csv").status == 0
    path = lab.file("two.csv.dvc")
    more = {"remote": "archive", "push": False, "origin": "own", "added": "2026-11-20T10:00:00Z"}
    path.write_text(tracked(lab.file("two.csv"), **more), "utf-8")
    lab.file("two.csv").unlink()
    lab.file("two.csv").write_bytes(b"changed\n")
    committed = lab.dvc("commit", "--force", "two.csv.dvc")
    assert committed.status == 0, committed.err
    out = yaml.safe_load(path.read_text("utf-8"))["outs"][0]
    assert out["md5"] == file_md5(lab.file("two.csv"))
    assert (out["remote"], out["push"]) == ("archive", False)
    assert out["meta"] == {"imgdata": {"origin": "own", "added": "2026-11-20T10:00:00Z"}}


@given(st.from_regex(r"[0-9a-f]{32}|[0-9]{32}|[0-9]{16}e[0-9]{15}|0[0-7]{31}", fullmatch=True))
def test_a_hash_is_a_text_for_every_yaml_reader(md5: str) -> None:
    out = TrackedOut("P1", ObjectId(md5), 1, None, None, True, None, None)
    assert yaml.safe_load(dot_dvc_text(out))["outs"][0]["md5"] == md5
    number = re.fullmatch(r"[0-9_]+(?:e[0-9]+)?", md5)
    assert f"'{md5}'" in dot_dvc_text(out) or not number


def test_only_a_hash_that_looks_like_a_number_is_quoted() -> None:
    assert type(hash_text("1" * 32)) is not str
    assert type(hash_text("1" * 15 + "e" + "2" * 16)) is not str
    assert type(hash_text("1" * 31 + "a")) is str
    assert type(hash_text("1" * 32 + ".dir")) is str


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12))
def test_any_name_stays_the_name_it_is(name: str) -> None:
    out = TrackedOut(name, ObjectId("a" * 32), 1, None, None, True, name, None)
    read = yaml.safe_load(dot_dvc_text(out))["outs"][0]
    assert read["path"] == name
    assert read["meta"]["imgdata"]["origin"] == name


@pytest.mark.parametrize("name", ["a[1]*", "#a", "!a", "a b ", "a\\b", "größe?", "a"])
def test_the_ignored_pattern_means_just_that_name(name: str, tmp_path: Path) -> None:
    from pathspec import GitIgnoreSpec

    ignore_in_git(tmp_path / name)
    spec = GitIgnoreSpec.from_lines((tmp_path / ".gitignore").read_text("utf-8").splitlines())
    assert spec.match_file(name)
    for other in ("a1", "b", "xa", "größe1", "aa"):
        assert not spec.match_file(other)
    assert escape_pattern("plain.tif") == "plain.tif"


def test_a_name_is_ignored_once_and_other_lines_stay(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("/other")
    assert ignore_in_git(tmp_path / "P1") == tmp_path / ".gitignore"
    assert ignore_in_git(tmp_path / "P1") is None
    assert (tmp_path / ".gitignore").read_text() == "/other\n/P1\n"
