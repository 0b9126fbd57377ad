"""Two people, two processes, and dvc beside imgdata: each gets its work done or a sentence."""

import shutil
import subprocess
from pathlib import Path

import pytest

from imgdata.testing.small_project import (
    SmallProject,
    call,
    environment,
    make_small_project,
    write_random_plate,
)


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return make_small_project(tmp_path / "p")


def start(project: SmallProject, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(word) for word in words],
        cwd=project.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Wait for the ends; return exit status and what was printed."""
    said = [one.communicate(timeout=200)[0] for one in processes]
    return [(one.returncode, text) for one, text in zip(processes, said, strict=True)]


@pytest.mark.dvc
def test_two_clones_push_the_same_and_other_units_to_one_storage(
    project: SmallProject, tmp_path: Path
) -> None:
    shared = write_random_plate(tmp_path / "new" / "P0", files=100, size=5_000, seed=1)
    project.imgdata("add", "raw", shared)
    project.commit("Add P0")
    other = project.clone(tmp_path / "other")
    shutil.copytree(
        project.root / ".dvc" / "cache", other.root / ".dvc" / "cache"
    )  # P0 is here too
    for seed, (one, name) in enumerate(((project, "P1"), (other, "P2")), 2):
        source = write_random_plate(tmp_path / "new" / name, files=100, size=5_000, seed=seed)
        one.imgdata("add", "raw", source)
    for status, said in ended(start(project, "imgdata", "push"), start(other, "imgdata", "push")):
        assert status == 0, said
    for one in (project, other):
        assert "in sync" in one.dvc("status", "-c", "-R", "data/raw").stdout
        one.commit("Push")
    other.git("pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")
    other.imgdata("pull", "raw")
    for name in ("P0", "P1", "P2"):
        call(tmp_path, "diff", "-r", tmp_path / "new" / name, other.root / "data" / "raw" / name)


@pytest.mark.dvc
def test_two_adds_in_one_project_and_dvc_beside_them(project: SmallProject, tmp_path: Path) -> None:
    sources = [
        write_random_plate(tmp_path / "new" / f"P{n}", files=200, size=10_000, seed=n)
        for n in (1, 2)
    ]
    running = [start(project, "imgdata", "add", "raw", source) for source in sources]
    beside = start(project, "dvc", "status")
    results = ended(*running)
    assert ended(beside)[0][0] in (0, 1, 255)
    for (status, said), source in zip(results, sources, strict=True):
        assert status in (0, 8), said
        if status == 8:
            assert "locked by another imgdata command" in said
            project.imgdata("add", "raw", source)
    for source in sources:
        call(tmp_path, "diff", "-r", source, project.root / "data" / "raw" / source.name)
    assert "up to date" in project.dvc("status", "-R", "data/raw").stdout


@pytest.mark.dvc
def test_a_running_dvc_repro_keeps_its_paths(project: SmallProject, tmp_path: Path) -> None:
    source = write_random_plate(tmp_path / "P1")
    project.imgdata("add", "raw", source)
    pipeline = project.root / "dvc.yaml"
    pipeline.write_text(
        pipeline.read_text().replace("mkdir -p", "touch started && sleep 8 && mkdir -p", 1)
    )
    repro = start(project, "dvc", "repro")
    while not (project.root / "started").exists():
        assert repro.poll() is None, repro.communicate()[0]
    refused = project.imgdata("pull", "sums", check=False)
    assert refused.returncode in (0, 8), refused.stderr
    more = write_random_plate(tmp_path / "P2", seed=2)
    project.imgdata("add", "raw", more)
    assert ended(repro)[0][0] == 0
    assert "  sum@P1:\n" in (project.root / "dvc.lock").read_text()
