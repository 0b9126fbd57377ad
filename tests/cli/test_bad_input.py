"""Bad input: each with a sentence and the exit status of the contract."""

import fcntl
import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.system.files import file_md5
from imgdata.testing.lab import Lab
from tests.cli.restricted import restricted


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_no_project(lab: Lab) -> None:
    answer = lab.imgdata("status", "--json", cwd=lab.base)
    assert (answer.status, answer.error["kind"]) == (3, "no-project")
    assert "imgdata init" in answer.error["remedy"]


def test_broken_yaml_and_many_unknown_keys(lab: Lab) -> None:
    path = lab.file("imgdata.yaml")
    good = path.read_text()
    path.write_text(f"{good}  bad: [\n")
    answer = lab.imgdata("status")
    assert (answer.status, "imgdata.yaml is not valid YAML" in answer.err) == (2, True)
    path.write_text(f"titel: x\n{good}copys: 1\n")
    answer = lab.imgdata("push")
    assert (answer.status, "imgdata.yaml has 2 problems" in answer.err) == (2, True)
    assert "did you mean 'title'" in answer.err


def test_unknown_words(lab: Lab) -> None:
    for words in (
        ["push", "row"],
        ["pull", "--level", "row"],
        ["status", "row"],
        ["run", "row"],
        ["push", "--to", "nowhere"],
        ["pull", "--from", "nowhere"],
        ["pull", "--select", "well"],
        ["pull", "raw", "--select", "well=H12"],
        ["nothing"],
        ["push", "--nothing"],
        ["status", "--fail-on", "monday"],
    ):
        answer = lab.imgdata(*words)
        assert (answer.status, bool(answer.err.strip())) == (2, True), words


def test_an_unknown_storage_scheme(lab: Lab) -> None:
    edit(lab.file("imgdata.yaml"), "../archive", "gopher://archive/x")
    assert lab.imgdata("push", "raw").status == 2
    assert lab.imgdata("storage", "apply", "--yes").status in {0, 2}
    answer = lab.imgdata("push", "raw")
    assert (answer.status, "gopher" in answer.err) == (2, True)


def test_another_imgdata_holds_the_lock(lab: Lab) -> None:
    path = lab.file(".dvc/tmp/imgdata/lock")
    with path.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(f" {os.getpid()}\n")
        stream.flush()
        answer = lab.imgdata("push", "raw", "--json")
    assert (answer.status, answer.error["kind"]) == (8, "machine")
    assert str(os.getpid()) in answer.error["cause"]


@pytest.mark.parametrize(
    "words", [["pull", "raw"], ["add", "raw", "../microscope/P1"], ["run", "--force"]]
)
def test_a_path_that_a_live_dvc_holds(lab: Lab, words: list[str]) -> None:
    held = {"write": {str(lab.file("data/raw/P1")): {"pid": os.getpid(), "cmd": "dvc x"}}}
    lab.file(".dvc/tmp/rwlock").write_text(json.dumps(held))
    answer = lab.imgdata(*words)
    assert (answer.status, str(os.getpid()) in answer.err) == (8, True)


def make_list(lab: Lab, relpath: str) -> None:
    """Let a new commit's P1 be a folder list with one hostile path."""
    md5 = file_md5(lab.file("data/raw/P1/B02_1_DNA.tif"))
    data, name = write_folder([FolderEntry(md5, relpath)])
    for place in (lab.archive, lab.file(".dvc/cache")):
        path = place / "files" / "md5" / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    text = lab.file("data/raw/P1.dvc").read_text()
    old = next(line.split()[-1] for line in text.splitlines() if "md5: " in line)
    lab.file("data/raw/P1.dvc").write_text(text.replace(old, name))
    lab.commit("Hostile")


@pytest.mark.parametrize("path", ["../../../../evil", "a/../../../../evil", "/imgdata-evil"])
def test_a_folder_list_that_leaves_the_project(lab: Lab, path: str) -> None:
    make_list(lab, path)
    clone = lab.clone()
    answer = clone.imgdata("pull", "raw")
    assert (answer.status, "outside its folder" in answer.err) == (2, True)
    assert not (lab.base / "evil").exists()
    assert not Path("/imgdata-evil").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("evil.dvc", "outs:\n- {path: ../evil, md5: %s, hash: md5, size: 1}\n"),
        ("evil.dvc", "wdir: ..\nouts:\n- {path: evil, md5: %s, hash: md5, size: 1}\n"),
        ("sub/evil.dvc", "wdir: ../..\nouts:\n- {path: evil, md5: %s, hash: md5, size: 1}\n"),
        ("sub/dvc.yaml", "stages: {a: {cmd: x, wdir: ../.., outs: [evil]}}\n# %s\n"),
    ],
)
def test_an_out_that_leaves_the_project(lab: Lab, file: str, text: str) -> None:
    path = lab.file(file)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text % ("a" * 32))
    for words in (["pull"], ["push"], ["run"]):
        answer = lab.imgdata(*words)
        assert (answer.status, file in answer.err) == (2, True), answer.err
    assert not (lab.base / "evil").exists()


def test_a_link_that_leads_out_of_the_project_is_not_written_through(lab: Lab) -> None:
    outside = lab.base / "outside"
    outside.mkdir()
    lab.file("data/masks/.gitignore").unlink()
    clone = lab.clone()
    subprocess.run(["rm", "-rf", clone.file("data/masks")], check=True)
    clone.file("data/masks").symlink_to(outside)
    answer = clone.imgdata("pull", "masks")
    assert (answer.status, list(outside.iterdir())) == (2, [])


def test_a_full_disk(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        lab.archive.rename(lab.base / "old")
        lab.archive.symlink_to(disk)
        big = lab.microscope / "P2"
        big.mkdir()
        (big / "big.tif").write_bytes(os.urandom(200_000))
        lab.ok("add", "raw", big)
        answer = lab.imgdata("push", "raw")
        assert (answer.status, "the disk is full" in answer.err) == (8, True), answer.err
        assert not [path for path in disk.rglob("*") if path.name.startswith(".tmp")]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_project_on_a_full_disk_is_told_so_and_goes_on(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        full = lab.copy_to(disk / "lab")
        filler = disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass
        words = ("verify", "raw", "--on", "archive")
        answer = full.imgdata(*words)
        assert (answer.status, "the disk is full" in answer.err) == (8, True), answer.err
        assert "run the same command again" in answer.err
        filler.unlink()
        full.ok(*words)
        full.ok("drop", "raw", "--yes")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_no_permission_to_write(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"))
    for folder in (lab.archive / "files/md5", *(lab.archive / "files/md5").iterdir(), lab.archive):
        folder.chmod(0o555)
    answer = restricted(lab, "push", "raw")
    assert answer.status == 8, answer.err
    assert str(lab.archive) in answer.err
    lab.file("data").chmod(0o555)
    lab.file("data/raw").chmod(0o555)
    answer = restricted(lab, "add", "raw", lab.plate("P3"))
    assert (answer.status, "permi" in answer.err) == (8, True), answer.err
    for folder in (lab.file("data"), lab.file("data/raw"), lab.archive):
        folder.chmod(0o755)


def test_another_projects_prefix_and_a_disagreeing_pipeline(lab: Lab) -> None:
    marker = lab.archive / "imgdata-project.json"
    before = marker.read_text()
    marker.chmod(0o644)
    marker.write_text('{"id": "x", "title": "Somebody else\'s"}')
    answer = lab.imgdata("push")
    assert (answer.status, "Somebody else's" in answer.err) == (5, True)
    marker.write_text(before)
    edit(lab.file("dvc.yaml"), "remote: archive", "push: false")
    answer = lab.imgdata("push")
    assert (answer.status, "imgdata storage apply" in answer.err) == (2, True)


def test_a_dry_run_sends_nothing(lab: Lab) -> None:
    answer = lab.ok("push", "--to", "mirror", "--dry-run", "--json")
    assert {one["storage"] for one in answer.results} == {"mirror"}
    assert sum(len(one["files"]) for one in answer.results) == 9
    assert list((lab.base / "mirror").iterdir()) == []


def test_hand_edits_stop_a_pull(lab: Lab) -> None:
    path = lab.file("data/masks/P1/B02_1_DNA.tif")
    path.unlink()
    path.write_bytes(b"mine")
    answer = lab.imgdata("pull", "masks")
    assert (answer.status, "data/masks/P1/B02_1_DNA.tif" in answer.err) == (5, True)
    assert path.read_bytes() == b"mine"


def test_a_part_is_pulled_run_refuses_and_a_whole_pull_completes(lab: Lab) -> None:
    clone = lab.clone()
    (pulled,) = clone.ok("pull", "raw", "--select", "well=B2", "--json").results
    assert (pulled["placed"], pulled["left"]) == (2, 2)
    answer = clone.imgdata("run", "masks", "--force")
    assert (answer.status, "missing: data/raw/P1/B03_1_AGP.tif" in answer.err) == (5, True)
    clone.ok("pull", "raw")
    assert len(list(clone.file("data/raw/P1").iterdir())) == 4


def test_a_dry_run_of_a_part_plans_the_part(lab: Lab) -> None:
    clone = lab.clone()
    raw = ("pull", "raw", "--dry-run")
    assert "raw P1: up to" in clone.ok(*raw).out
    assert "a part of" in clone.ok(*raw, "--select", "well=B2").out, "its file list is not here"
    assert clone.ok(*raw, "--select", "plate=P1", "--json").results
    clone.ok("pull", "raw", "--select", "channel=DNA")
    (whole,) = clone.ok(*raw, "--json").results
    (part,) = clone.ok(*raw, "--select", "well=B2", "--json").results
    assert part == {"level": "raw", "unit": "P1", "bytes": whole["bytes"] // 4, "files": 1}
    assert "raw P1: 1 file, about" in clone.ok(*raw, "--select", "well=B2").out
    assert clone.ok(*raw, "--select", "channel=DNA", "--json").results == []
    answer = clone.imgdata(*raw, "--select", "well=H12")
    assert (answer.status, "nearest" in answer.err) == (2, True)


def test_every_answer_in_json_is_one_document(lab: Lab) -> None:
    for words in (
        ["init", "--yes"],
        ["add", "raw", lab.microscope / "P1"],
        ["run"],
        ["status"],
        ["push"],
        ["push", "--dry-run"],
        ["pull"],
        ["pull", "--dry-run"],
        ["storage", "apply", "--yes"],
        ["status", "row"],
        ["nothing"],
    ):
        answer = lab.imgdata("--json", *words)
        assert set(answer.document) >= {"v", "ok", "command", "results"}, words
        assert (answer.document["v"], answer.document["ok"]) == (1, answer.status == 0)
        assert ("error" in answer.document) == (answer.status != 0)
        if answer.status:
            assert set(answer.error) == {"kind", "problem", "cause", "remedy"}
