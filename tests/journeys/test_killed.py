"""`kill -9` at any moment: the same command again completes, and nothing half is taken for whole.

Each test prints its seed; `IMGDATA_KILL_SEED` repeats one, `IMGDATA_KILLS` sets how often a
command is killed (20).
"""

import hashlib
import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from imgdata.storage.local import LocalStorage
from imgdata.system.files import TEMPORARY
from imgdata.testing.programs import kill_after
from imgdata.testing.small_project import (
    SmallProject,
    call,
    environment,
    make_small_project,
    write_random_plate,
)

KILLS = int(os.environ.get("IMGDATA_KILLS", "20"))
SEED = int(os.environ.get("IMGDATA_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
FILES = 200
SIZE = 20_000
pytestmark = [pytest.mark.slow, pytest.mark.dvc, pytest.mark.timeout(900)]


@pytest.fixture
def chance() -> random.Random:
    print(f"IMGDATA_KILL_SEED={SEED}")  # noqa: T201 - shown when the test fails
    return random.Random(SEED)  # noqa: S311 - test data


def every_object_is_whole(folder: Path) -> None:
    """An object's bytes are what its name says; temporary names are not objects."""
    objects = folder / "files" / "md5"
    for path in objects.glob("??/*") if objects.is_dir() else ():
        if path.name.startswith(TEMPORARY):
            continue
        name = path.parent.name + path.name.removesuffix(".dir")
        assert hashlib.md5(path.read_bytes()).hexdigest() == name, path


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(f"{TEMPORARY}*")]


def log_is_whole(project: SmallProject) -> None:
    for path in (project.root / ".imgdata" / "log").rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            json.loads(line)


def duration(project: SmallProject, *words: str | Path) -> float:
    """Return how long a new process takes, loading included: the kills come within this time."""
    start = time.monotonic()
    assert not kill_after(project.root, 300, words, environment())
    return time.monotonic() - start


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return make_small_project(tmp_path / "p")


def test_add(project: SmallProject, tmp_path: Path, chance: random.Random) -> None:
    first = write_random_plate(tmp_path / "warm" / "P0", files=FILES, size=SIZE, seed=1)
    whole = duration(project, "add", "raw", first)
    sources: list[Path] = []
    killed = 0
    for number in range(KILLS):
        if not sources or (project.root / "data" / "raw" / f"{sources[-1].name}.dvc").exists():
            folder = tmp_path / "new" / f"P{number + 1}"
            sources.append(write_random_plate(folder, files=FILES, size=SIZE, seed=number + 2))
        before = contents(sources[-1])
        killed += kill_after(
            project.root, chance.uniform(0, whole), ["add", "raw", sources[-1]], environment()
        )
        assert contents(sources[-1]) == before, "the source is not touched"
        every_object_is_whole(project.root / ".dvc" / "cache")
        log_is_whole(project)
    assert killed
    project.imgdata("add", "raw", *sources)
    for source in sources:
        assert contents(project.root / "data" / "raw" / source.name) == contents(source)
    assert not leftovers(project.root / "data")
    assert not leftovers(project.root / ".dvc" / "cache")
    trackers = [f"data/raw/{source.name}.dvc" for source in sources]
    assert "up to date" in project.dvc("status", *trackers).stdout
    listed = (project.root / "plates.yaml").read_text()
    assert all(f'"{source.name}"' in listed for source in sources)
    project.imgdata("push", "raw")
    every_object_is_whole(project.archive)
    assert "in sync" in project.dvc("status", "-c", *trackers).stdout


def test_push(project: SmallProject, tmp_path: Path, chance: random.Random) -> None:
    source = write_random_plate(tmp_path / "new" / "P1", files=FILES, size=SIZE, seed=3)
    project.imgdata("add", "raw", source)
    whole = duration(project, "push")
    killed = 0
    for _ in range(KILLS):
        shutil.rmtree(project.archive / "files", ignore_errors=True)
        shutil.rmtree(project.root / ".imgdata" / "log", ignore_errors=True)
        killed += kill_after(project.root, chance.uniform(0.1, whole), ["push"], environment())
        every_object_is_whole(project.archive)
        log_is_whole(project)
        noted = json.loads(project.imgdata("status", "raw", "--json").stdout)["results"][0]
        if noted["owed"] == 0:
            assert "in sync" in project.dvc("status", "-c", "-R", "data/raw").stdout, (
                "noted means there"
            )
    assert killed
    for left in leftovers(project.archive):  # a writer that began just now is not judged yet
        written = Path(left).stat().st_mtime - 60
        os.utime(left, (written, written))
    project.imgdata("push")
    assert not leftovers(project.archive), "a rerun removes what killed writers left"
    every_object_is_whole(project.archive)
    listed = {found.key for found in LocalStorage(project.archive).list("files")}
    assert not [key for key in listed if TEMPORARY in key], "half objects are never listed"
    assert "in sync" in project.dvc("status", "-c").stdout


def test_pull(project: SmallProject, tmp_path: Path, chance: random.Random) -> None:
    source = write_random_plate(tmp_path / "new" / "P1", files=FILES, size=SIZE, seed=4)
    project.imgdata("add", "raw", source)
    project.imgdata("push")
    project.commit("Add and push")
    wanted = contents(source)
    clone = project.clone(tmp_path / "clone")
    data, cache = clone.root / "data" / "raw" / "P1", clone.root / ".dvc" / "cache"
    whole = duration(clone, "pull")
    killed = 0
    for number in range(KILLS):
        if number % 2 == 0:
            shutil.rmtree(cache, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)
        killed += kill_after(clone.root, chance.uniform(0.1, whole), ["pull"], environment())
        every_object_is_whole(cache)
        got = contents(data) if data.is_dir() else {}
        whole_files = {name: md5 for name, md5 in got.items() if TEMPORARY not in name}
        assert whole_files.items() <= wanted.items(), "no half file under its own name"
    assert killed
    clone.imgdata("pull")
    assert contents(data) == wanted
    assert not leftovers(clone.root / "data")
    assert "up to date" in clone.dvc("status", "data/raw/P1.dvc").stdout
    call(tmp_path, "diff", "-r", source, data)


def test_run(project: SmallProject, tmp_path: Path, chance: random.Random) -> None:
    source = write_random_plate(tmp_path / "new" / "P1", files=20, seed=5)
    project.imgdata("add", "raw", source)
    whole = duration(project, "run")
    wanted = contents(project.root / "data" / "sums")
    killed = 0
    for number in range(KILLS):
        pipeline = project.root / "dvc.yaml"
        pipeline.write_text(pipeline.read_text().replace("mkdir -p", "true && mkdir -p", 1))
        killed += kill_after(project.root, chance.uniform(0.2, whole), ["run"], environment())
        log_is_whole(project)
        every_object_is_whole(project.root / ".dvc" / "cache")
        if number % 5 == 4:
            project.imgdata("run")
    assert killed
    project.imgdata("run")
    assert contents(project.root / "data" / "sums") == wanted
    assert "up to date" in project.dvc("status").stdout
    assert contents(project.root / "data" / "raw" / "P1") == contents(source)
    project.imgdata("push")
    assert "in sync" in project.dvc("status", "-c").stdout
