"""push and pull by path in a DVC repository without imgdata.yaml; plain dvc is the judge."""

import shutil
from pathlib import Path

import pytest

from imgdata.testing.lab import flip_byte
from imgdata.testing.small_project import call
from tests.by_path.conftest import Repository, start

pytestmark = pytest.mark.dvc


def objects(place: Path) -> set[str]:
    return {path.parent.name + path.name for path in (place / "files" / "md5").glob("??/*")}


def test_a_push_sends_what_dvc_would_and_dvc_agrees(repository: Repository) -> None:
    told = repository.imgdata("push").stdout
    assert "data/P1 -> store: 5 objects sent" in told
    assert "arrival checked" in told
    assert "scratch.txt: not sent (push: false" in told
    assert "metrics.json: not sent (cache: false" in told
    assert repository.dvc_says("status", "--cloud") == {}
    sent = objects(repository.base / "store"), objects(repository.base / "other")
    for place in ("store", "other"):
        shutil.rmtree(repository.base / place)
    repository.dvc("push", "--quiet")
    assert (objects(repository.base / "store"), objects(repository.base / "other")) == sent
    assert repository.is_untouched()
    again = repository.imgdata("push").stdout
    assert "arrival checked" not in again
    assert "data/P1 -> store: 5 were there" in again
    assert {one["sent"] for one in repository.results("push") if "sent" in one} == {0}


def test_a_pull_brings_back_what_plain_dvc_calls_clean(repository: Repository) -> None:
    repository.imgdata("push")
    clone = repository.clone()
    one = clone.results("pull", "data/P1/sub/a.tif")
    assert [(found["placed"], found["left"]) for found in one] == [(1, 3)]
    assert sorted(path.name for path in (clone.root / "data").rglob("*.tif")) == ["a.tif"]
    clone.imgdata("pull")
    for name in ("data", "counts", "sum.txt", "tool.bin", "empty", "metrics.json"):
        call(repository.base, "diff", "-r", repository.root / name, clone.root / name)
    assert (clone.root / "tool.bin").stat().st_mode & 0o100
    stale = {"scratch": [{"changed outs": {"scratch.txt": "not in cache"}}]}
    assert clone.dvc_says("status") == stale, "push: false is nowhere to be had from"
    assert clone.dvc_says("status", "--cloud") == {}
    assert clone.is_untouched()
    here = {found["path"]: found["here"] for found in clone.results("status")}
    assert set(here.values()) == {"complete", "absent"}
    assert here["scratch.txt"] == "absent"


def test_paths_dvc_files_stages_and_folders_mean_what_they_say(repository: Repository) -> None:
    def chosen(*words: str, cwd: str = "") -> list[str]:
        done = repository.imgdata("push", "--dry-run", *words, cwd=repository.root / cwd)
        return [line.split(" ")[0].rstrip(":") for line in done.stdout.splitlines()]

    assert chosen("data") == ["data/P1", "data/P2"]
    assert chosen("data/P1.dvc") == ["data/P1"]
    assert chosen("P1", cwd="data") == ["data/P1"]
    assert chosen("..", cwd="data") == chosen()
    assert chosen("count") == ["counts/P1.txt", "counts/P2.txt"]
    assert chosen("count@P2") == ["counts/P2.txt"]
    assert chosen("dvc.yaml:sum") == ["sum.txt", "metrics.json"]
    assert chosen("../dvc.yaml:count@P1", cwd="data") == ["counts/P1.txt"]
    assert chosen(str(repository.root / "tool.bin"), "data/P2/sub") == ["data/P2", "tool.bin"]
    assert len(chosen("dvc.yaml")) == 5
    unknown = repository.imgdata("pull", "raw", status=2).stderr
    assert "neither a tracked path nor a stage" in unknown
    assert "without imgdata.yaml it has no levels" in unknown
    assert "imgdata init" in unknown
    assert "is not tracked by DVC" in repository.imgdata("whereis", ".dvcignore", status=1).stderr
    assert "not in this DVC repository" in repository.imgdata("status", "/etc", status=2).stderr
    assert "has no none.tif" in repository.imgdata("pull", "data/P1/none.tif", status=1).stderr


def test_what_is_damaged_is_named_and_the_rest_comes(repository: Repository) -> None:
    repository.imgdata("push")
    store = repository.base / "store"
    recorded = {one["path"]: one["version"] for one in repository.results("status")}
    bad = recorded["tool.bin"]
    flip_byte(store / "files" / "md5" / bad[:2] / bad[2:])
    clone = repository.clone()
    done = clone.imgdata("pull", status=6)
    assert "tool.bin: damaged on store" in done.stderr
    assert not (clone.root / "tool.bin").exists()
    assert (clone.root / "data" / "P2" / "sub" / "a.tif").is_file()
    told = repository.imgdata("push", "tool.bin").stdout
    assert "1 was there" in told, "the size is right, and nothing is remembered"
    repository.imgdata("push", "tool.bin", "--repair")
    clone.imgdata("pull", "tool.bin")
    lost = recorded["data/P1"]
    (store / "files" / "md5" / lost[:2] / lost[2:]).unlink()
    fresh = repository.clone("fresh")
    done = fresh.imgdata("pull", "data", status=6)
    assert "the file list of data/P1 is missing on store" in done.stderr
    assert (fresh.root / "data" / "P2" / "0.tif").is_file()


def test_hand_edits_are_kept_and_the_rest_comes(repository: Repository) -> None:
    repository.imgdata("push")
    clone = repository.clone()
    (clone.root / "tool.bin").write_text("mine")
    done = clone.imgdata("pull", status=5)
    assert "tool.bin" in done.stderr
    assert (clone.root / "tool.bin").read_text() == "mine"
    assert (clone.root / "sum.txt").is_file()


def test_a_remote_imgdata_cannot_speak_to_is_left_to_dvc(repository: Repository) -> None:
    repository.imgdata("push")
    done = repository.imgdata("push", "tool.bin", "--to", "bucket", status=4)
    assert "gs://" in done.stderr
    assert "dvc push -r bucket" in done.stderr
    clone = repository.clone()
    done = clone.imgdata("pull", "tool.bin", "--from", "bucket", status=4)
    assert "dvc pull -r bucket" in done.stderr
    repository.imgdata("push", "--to", "nowhere", status=2)


def test_an_import_is_not_pushed(repository: Repository, tmp_path: Path) -> None:
    repository.imgdata("push")
    user = Repository(repository.base, "user")
    user.root.mkdir()
    user.git("init", "--quiet")
    user.dvc("init", "--quiet")
    user.dvc("remote", "add", "--quiet", "-d", "mine", "../mine")
    user.dvc("import", "--quiet", repository.root, "tool.bin")
    (tmp_path / "web.csv").write_text("a,b")
    user.dvc("import-url", "--quiet", tmp_path / "web.csv")
    told = user.imgdata("push").stdout
    assert f"tool.bin: not sent (imported from {repository.root}, which keeps it)" in told
    assert "web.csv -> mine: 1 object sent" in told
    assert user.dvc_says("status", "--cloud") == {}
    (user.root / "tool.bin").unlink()
    user.imgdata("pull")
    assert (user.root / "tool.bin").is_file(), "from the cache"
    shutil.rmtree(user.root / ".dvc" / "cache")
    (user.root / "tool.bin").unlink()
    assert "dvc pull tool.bin.dvc" in user.imgdata("pull").stdout


def test_an_import_that_was_never_downloaded_names_the_command_that_does_it(
    tmp_path: Path,
) -> None:
    user = start(tmp_path)
    user.dvc("remote", "add", "--quiet", "-d", "mine", "../mine")
    (tmp_path / "web.csv").write_text("a,b")
    user.dvc("import-url", "--quiet", "--no-download", tmp_path / "web.csv")
    user.git("add", "--all")
    for _ in ("by path", "adopted"):
        (line,) = user.results("status")
        assert line["next"] == "dvc pull web.csv.dvc"
        assert "to get it: dvc pull web.csv.dvc" in user.imgdata("pull").stdout
        assert "run: dvc pull web.csv.dvc" in user.imgdata("push").stdout
        user.imgdata("init", "--yes")
    user.dvc("pull")
    assert (user.root / "web.csv").read_text() == "a,b"


def test_the_folder_of_a_new_local_remote_is_made_unless_its_disk_is_away(
    repository: Repository,
) -> None:
    repository.imgdata("push", "tool.bin")
    assert (repository.base / "store").is_dir()
    repository.dvc("remote", "add", "--quiet", "--local", "usb", "/no/such/disk/store")
    assert "mkdir" in repository.imgdata("push", "tool.bin", "--to", "usb", status=4).stderr


def test_nothing_of_a_pipeline_that_cannot_be_read_is_sent(repository: Repository) -> None:
    """Its flags say where an out goes and that some must not: nobody knows them now."""
    (repository.root / "dvc.yaml").write_text("stages: [")
    told = repository.imgdata("push").stdout
    assert "scratch.txt: not sent (dvc.yaml cannot be read" in told
    assert "data/P1 -> store: 5 objects sent" in told
    assert not (repository.base / "other").exists()
    assert "note: dvc.yaml" in repository.imgdata("status").stdout
