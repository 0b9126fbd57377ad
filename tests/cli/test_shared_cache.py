"""A cache that a group shares: `imgdata init --cache DIR`."""

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from imgdata.system.files import TEMPORARY
from imgdata.system.unfinished import NAME, hold, new_name, remove_abandoned
from imgdata.testing.lab import Answer, Lab
from imgdata.testing.programs import PROGRAMS


def in_private(lab: Lab, *words: str | Path) -> Answer:
    """Run imgdata as somebody whose umask lets nobody else in."""
    line = ["sh", "-c", 'umask 077; exec "$@"', "sh", PROGRAMS / "imgdata", *words]
    answer = lab.call(*line)
    assert answer.status == 0, answer.err + answer.out
    return answer


@pytest.fixture
def cache(lab: Lab) -> Path:
    """A shared cache that the project was given by the path as it was typed."""
    lab.ok("init", "--cache", "../shared/cache")
    return lab.base / "shared" / "cache"


def test_the_cache_is_made_for_the_group_where_it_was_named(lab: Lab, cache: Path) -> None:
    assert stat.S_IMODE(cache.stat().st_mode) == 0o2775
    assert lab.dvc("config", "cache.dir").out.strip() == str(cache)
    assert not lab.file("shared").exists()


def test_everybody_of_the_group_can_add_to_what_others_added(lab: Lab, cache: Path) -> None:
    in_private(lab, "add", "raw", lab.plate("P2"))
    in_private(lab, "add", "raw", lab.plate("P3").rename(lab.file("data/raw/P3")))
    folders = [path for path in cache.rglob("*") if path.is_dir()]
    assert len(folders) > 3
    for folder in folders:
        assert stat.S_IMODE(folder.stat().st_mode) & 0o2070 == 0o2070, folder
    assert lab.objects(cache)
    for path in lab.objects(cache).values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o444, path


def test_nothing_is_added_while_the_disk_of_the_cache_is_not_mounted(lab: Lab, cache: Path) -> None:
    shutil.rmtree(cache.parent)
    refused = lab.imgdata("add", "raw", lab.plate("P2"))
    assert refused.status == 8
    assert f"DVC's cache {cache} is not there" in refused.err
    assert not cache.parent.exists()
    assert not lab.file("data/raw/P2").exists()


def leave_half(folder: Path) -> Path:
    """Leave in a folder what a writer that was killed a minute ago leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / new_name(locked=True)
    path.write_bytes(b"half an image")
    before = time.time() - 60
    os.utime(path, (before, before))
    return path


def test_what_a_killed_add_left_goes_and_what_others_write_stays(lab: Lab, cache: Path) -> None:
    killed, working = (leave_half(cache / "files" / "md5") for _ in range(2))
    with working.open("rb") as theirs:
        lock = hold(theirs.fileno())
        lab.ok("add", "raw", lab.plate("P2"))
        os.close(lock)
    assert not killed.exists()
    assert working.exists()


def stop_while_adding(lab: Lab, cache: Path, plate: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Add a plate and stop the command while it writes; return both, or try again."""
    plate.mkdir()
    (plate / "large.tif").write_bytes(bytes(60_000_000))
    adding = subprocess.Popen(
        [PROGRAMS / "imgdata", "add", "raw", plate], cwd=lab.project, env=lab.environment
    )
    found: list[Path] = []
    while adding.poll() is None and not found:
        some = (cache / "files" / "md5").glob(f"{TEMPORARY}*")
        found = [path for path in some if NAME.fullmatch(path.name)]  # not a look at the disk
    adding.send_signal(signal.SIGSTOP)
    if found and found[0].exists():
        return adding, found[0]
    adding.kill()
    adding.wait()
    return stop_while_adding(lab, cache, plate.with_name(f"{plate.name}x"))


def test_what_an_add_at_work_writes_is_known_to_be_somebodys(lab: Lab, cache: Path) -> None:
    adding, half = stop_while_adding(lab, cache, lab.microscope / "P2")
    before = time.time() - 60
    os.utime(half, (before, before))
    assert remove_abandoned(str(half.parent)) == 0
    adding.kill()
    adding.wait()
    assert remove_abandoned(str(half.parent)) == 1


def test_what_a_killed_pull_left_in_the_cache_goes_with_the_next(lab: Lab) -> None:
    cache, stored = lab.objects(), lab.objects(lab.archive)
    halves = [leave_half(cache[name].parent) for name in stored]
    for name in stored:
        cache[name].unlink()
    for level in ("raw", "masks"):
        shutil.rmtree(lab.file(f"data/{level}/P1"))
    lab.ok("pull", "raw", "masks")
    assert not [half for half in halves if half.exists()]
    assert lab.objects().keys() == cache.keys()
