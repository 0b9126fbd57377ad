"""`imgdata pull --rev` in a DVC repository without imgdata.yaml; plain dvc is the judge."""

import shutil
from pathlib import Path

import pytest

from imgdata.testing.small_project import call
from tests.by_path.conftest import Repository

pytestmark = pytest.mark.dvc


@pytest.fixture
def aged(repository: Repository) -> Repository:
    """The commit before has other images, and a stage that is no more; both on their remotes."""
    repository.imgdata("push")
    repository.git("tag", "v1")
    shutil.copytree(repository.root, repository.base / "then")
    (repository.root / "data" / "P1" / "0.tif").unlink()
    (repository.root / "data" / "P1" / "0.tif").write_text("another")
    repository.dvc("add", "--quiet", "data/P1")
    repository.git("rm", "--quiet", "tool.bin.dvc")
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@lab.example")
    repository.git(*person, "commit", "--quiet", "-a", "-m", "Another image")
    repository.imgdata("push", "data/P1")
    listed = repository.git("show", "v1:data/P1.dvc").split("md5: ")[1].split()[0]
    gone = 0
    for path in (repository.root / ".dvc" / "cache" / "files").glob("md5/??/*"):
        is_old = path.parent.name + path.name == listed
        if is_old or path.read_bytes() in {b"P1 0", b"a program", b"x\n"}:
            path.unlink()
            gone += 1
    assert gone == 4
    (repository.root / "scratch.txt").unlink()
    return repository


def test_all_of_a_commit_comes_into_a_folder_and_dvc_sees_no_change(aged: Repository) -> None:
    before = aged.dvc("status")
    into = aged.base / "old"
    told = aged.imgdata("pull", "--rev", "v1", "--into", into).stdout
    for name in ("data", "counts", "sum.txt", "tool.bin", "empty"):
        shown = call(aged.base, "diff", "-r", "-x", "*.dvc", "-x", ".gitignore",
                     aged.base / "then" / name, into / name)  # fmt: skip
        assert shown.stdout == ""
    assert (into / "tool.bin").stat().st_mode & 0o100
    assert "scratch.txt: not brought back (push: false" in told
    assert f"git worktree add --detach ../repo-{aged.git('rev-parse', 'v1')[:8]}" in told
    assert not (into / "metrics.json").exists(), "git keeps it"
    assert aged.dvc("status") == before
    assert aged.is_untouched()


def test_a_part_comes_by_its_path_and_into_the_cache(aged: Repository) -> None:
    one = aged.results("pull", "data/P1/sub", "--rev", "v1", "--into", "../old")
    assert [(found["level"], found["placed"], found["left"]) for found in one] == [
        ("data/P1", 1, 3)
    ]
    assert aged.imgdata("pull", "tool.bin", "--rev", "HEAD", status=1).stderr
    told = aged.imgdata("pull", "data/P1", "--rev", "v1").stdout
    assert "git checkout v1 && imgdata pull data/P1" in told
    refused = aged.imgdata("pull", "--rev", "v1", "--into", "data/P1/old", status=5).stderr
    assert "data/P1, which DVC keeps" in refused
    aged.git("checkout", "--quiet", "v1", "data/P1.dvc")
    shutil.rmtree(aged.base / "store")
    shutil.rmtree(aged.root / "data" / "P1")
    aged.dvc("checkout", "--quiet", "data/P1.dvc")
    assert (aged.root / "data" / "P1" / "0.tif").read_text() == "P1 0"


def test_a_repository_below_the_top_of_git_and_one_without_git(tmp_path: Path) -> None:
    top = Repository(tmp_path, "top")
    (top.root / "below").mkdir(parents=True)
    top.git("init", "--quiet", "--initial-branch=main")
    inner = Repository(top.root, "below")
    inner.dvc("init", "--quiet", "--subdir")
    inner.dvc("remote", "add", "--quiet", "-d", "store", tmp_path / "far")
    for text in ("first", "second"):
        (inner.root / "x").unlink(missing_ok=True)
        (inner.root / "x").write_text(text)
        inner.dvc("add", "--quiet", "x")
        inner.imgdata("push")
        person = ("-c", "user.name=Ada", "-c", "user.email=ada@lab.example")
        inner.git("add", "--all")
        inner.git(*person, "commit", "--quiet", "-m", text)
    inner.imgdata("pull", "--rev", "HEAD~1", "--into", tmp_path / "out")
    assert (tmp_path / "out" / "x").read_text() == "first"
    assert (inner.root / "x").read_text() == "second"

    bare = Repository(tmp_path, "bare")
    bare.root.mkdir()
    bare.dvc("init", "--quiet", "--no-scm")
    assert "in no git repository" in bare.imgdata("pull", "--rev", "v1", status=2).stderr
