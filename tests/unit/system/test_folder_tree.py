"""A working folder as a tree."""

import os
from pathlib import Path

import pytest

from imgdata.errors import MachineError
from imgdata.system.folder_tree import FolderTree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("a-b", "a/b", "a/c/d", ".git/config", ".dvc/config", ".dvc/cache/x", ".dvc/tmp/y"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_files_come_sorted_without_git_and_without_objects(folder: Path) -> None:
    assert list(FolderTree(folder).files()) == [".dvc/config", "a-b", "a/b", "a/c/d"]
    assert list(FolderTree(folder).files("a")) == ["a/b", "a/c/d"]
    assert list(FolderTree(folder).files("nowhere")) == []


def test_one_folder_is_listed_without_those_below(folder: Path) -> None:
    assert FolderTree(folder).children() == (frozenset({".dvc", "a"}), ("a-b",))
    assert FolderTree(folder).children(".dvc") == (frozenset(), ("config",))


def test_files_are_read_by_their_path_from_the_root(folder: Path) -> None:
    tree = FolderTree(folder)
    assert tree.read("a/c/d") == b"a/c/d"
    assert [tree.read(path) for path in ("a", "no", "a-b/x", "x" * 5000, "a\0b", "\ud800")] == [
        None
    ] * 6
    assert tree.is_folder("a")
    assert tree.is_folder("")
    assert not tree.is_folder("a-b")


def test_links_are_followed_inside_the_folder_only(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "inside").symlink_to("a/b")
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    tree = FolderTree(folder)
    assert tree.read("inside") == b"a/b"
    paths = ("outside", "up/secret", "../secret", str(tmp_path / "secret"), "loop")
    assert [tree.read(path) for path in paths] == [None] * 5
    assert not tree.is_folder("up")
    assert "up/secret" not in list(tree.files())


def test_a_project_reached_by_a_link_is_read_as_itself(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert FolderTree(tmp_path / "link").read("a/b") == b"a/b"


def test_a_pipe_is_no_file_and_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert FolderTree(folder).read("pipe") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error_in_words(folder: Path) -> None:
    (folder / "a-b").chmod(0)
    with pytest.raises(MachineError, match="cannot be read"):
        FolderTree(folder).read("a-b")
