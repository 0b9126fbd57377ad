"""Full disks, missing permissions and locks: a sentence, exit status 8, and a rerun goes on."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgdata.testing.programs import PROGRAMS
from imgdata.testing.small_project import SmallProject, call, make_small_project, write_random_plate
from tests.cli.restricted import obeying


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return make_small_project(tmp_path / "p")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def told(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def fill(disk: Path, leave: int) -> Path:
    free = shutil.disk_usage(disk).free
    path = disk / "filler"
    path.write_bytes(b"x" * max(0, free - leave))
    return path


@pytest.mark.dvc
def test_the_storage_is_full_in_the_middle_of_a_push(
    project: SmallProject, tmp_path: Path, small_disk: Path
) -> None:
    source = write_random_plate(tmp_path / "P1", files=40, size=50_000)
    project.imgdata("add", "raw", source)
    settings = project.root / "imgdata.yaml"
    settings.write_text(settings.read_text().replace(str(project.archive), str(small_disk / "a")))
    (small_disk / "a").mkdir()
    project.imgdata("storage", "apply", "--yes")
    filler = fill(small_disk, 1_000_000)
    told(project.imgdata("push", check=False), 8, "the disk is full")
    filler.unlink()
    project.imgdata("push")
    assert "in sync" in project.dvc("status", "-c", "data/raw/P1.dvc").stdout


@pytest.mark.dvc
def test_the_cache_is_full_in_the_middle_of_a_pull_and_of_an_add(
    project: SmallProject, tmp_path: Path, small_disk: Path
) -> None:
    source = write_random_plate(tmp_path / "P1", files=40, size=50_000)
    project.imgdata("add", "raw", source)
    project.imgdata("push")
    project.commit("Add")
    clone = project.clone(tmp_path / "clone")
    clone.dvc("cache", "dir", "--local", small_disk / "cache")
    (small_disk / "cache").mkdir()
    filler = fill(small_disk, 700_000)
    told(clone.imgdata("pull", check=False), 8, "full")
    assert not (clone.root / "data" / "raw" / "P1").exists()
    more = write_random_plate(tmp_path / "P2", files=40, size=50_000, seed=2)
    told(clone.imgdata("add", "raw", more, check=False), 8)
    filler.unlink()
    clone.imgdata("pull")
    call(tmp_path, "diff", "-r", source, clone.root / "data" / "raw" / "P1")


def test_no_permission_to_write(project: SmallProject, tmp_path: Path) -> None:
    source = write_random_plate(tmp_path / "P1")
    project.imgdata("add", "raw", source)
    (project.root / "data" / "raw").chmod(0o555)
    more = write_random_plate(tmp_path / "P2", seed=2)
    words: tuple[str | Path, ...] = (*obeying(), PROGRAMS / "imgdata")
    told(call(project.root, *words, "add", "raw", more, check=False), 8, "no permission")
    assert not (project.root / "data" / "raw" / "P2.dvc").exists()
    (project.root / "data" / "raw").chmod(0o755)
    project.imgdata("add", "raw", more)


def test_another_imgdata_command_holds_the_project(project: SmallProject, tmp_path: Path) -> None:
    source = write_random_plate(tmp_path / "P1")
    lock = project.root / ".dvc" / "tmp" / "imgdata" / "lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told(
            project.imgdata("add", "raw", source, check=False),
            8,
            "locked by another imgdata command",
        )
        project.imgdata("status")
    project.imgdata("add", "raw", source)


def test_a_path_that_a_live_dvc_uses(project: SmallProject, tmp_path: Path) -> None:
    source = write_random_plate(tmp_path / "P1")
    rwlock = project.root / ".dvc" / "tmp" / "rwlock"
    rwlock.parent.mkdir(parents=True, exist_ok=True)
    busy = {str(project.root / "data" / "raw" / "P1"): {"pid": os.getpid(), "cmd": "dvc repro"}}
    rwlock.write_text(json.dumps({"write": busy, "read": {}}))
    told(project.imgdata("add", "raw", source, check=False), 8, "in use by another process")
    dead = {path: {**holder, "pid": 2**22 + 1} for path, holder in busy.items()}
    rwlock.write_text(json.dumps({"write": dead, "read": {}}))
    project.imgdata("add", "raw", source)
