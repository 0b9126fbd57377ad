"""Two people work on clones of one project, and git brings their work together."""

from pathlib import Path

import pytest

from imgdata.testing.small_project import (
    SmallProject,
    call,
    environment,
    make_small_project,
    write_random_plate,
)

DRIVER = "merge.imgdata-dvc-lock.driver"


@pytest.fixture
def two(tmp_path: Path) -> tuple[SmallProject, SmallProject]:
    """A project with plate P0 run, and a clone of it."""
    ada = make_small_project(tmp_path / "ada")
    add_and_run(ada, "P0", seed=1)
    ada.imgdata("push")
    ada.commit("Note copies")
    grace = ada.clone(tmp_path / "grace")
    grace.imgdata("pull")
    return ada, grace


def add_and_run(project: SmallProject, name: str, *, seed: int) -> None:
    source = write_random_plate(
        project.root.parent / f"{project.root.name}-{name}" / name, seed=seed
    )
    project.imgdata("add", "raw", source)
    project.imgdata("run")
    project.commit(f"Add and run {name}")


def lines(project: SmallProject, name: str) -> list[str]:
    return [line.strip().rstrip(",") for line in (project.root / name).read_text().splitlines()]


@pytest.mark.dvc
def test_two_people_who_each_added_a_plate_merge_without_a_word(
    two: tuple[SmallProject, SmallProject],
) -> None:
    ada, grace = two
    assert grace.git("config", DRIVER).stdout.strip()  # pull writes: it set the driver up
    add_and_run(ada, "P1", seed=2)
    add_and_run(grace, "P2", seed=3)
    ada.imgdata("push")
    ada.commit("Note copies")
    grace.git("pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")

    assert {'"P0"', '"P1"', '"P2"'} <= set(lines(grace, "plates.yaml"))
    assert {"/P0", "/P1", "/P2"} <= set(lines(grace, "data/raw/.gitignore"))
    lock = (grace.root / "dvc.lock").read_text()
    assert [lock.count(f"  sum@P{n}:\n") for n in range(3)] == [1, 1, 1]
    grace.imgdata("pull")
    assert "up to date" in grace.dvc("status").stdout
    assert not grace.git("status", "--porcelain").stdout


@pytest.mark.dvc
def test_a_rebase_merges_the_same_way(two: tuple[SmallProject, SmallProject]) -> None:
    ada, grace = two
    add_and_run(ada, "P1", seed=2)
    add_and_run(grace, "P2", seed=3)
    grace.git("pull", "--quiet", "--rebase", "origin", "main")
    lock = (grace.root / "dvc.lock").read_text()
    assert all(f"  sum@P{n}:\n" in lock for n in range(3))
    call(grace.root, "dvc", "stage", "list")


@pytest.mark.dvc
def test_the_same_stage_with_different_results_stays_a_conflict_of_that_stage(
    two: tuple[SmallProject, SmallProject],
) -> None:
    ada, grace = two
    for project, word in ((ada, "ada"), (grace, "grace")):
        pipeline = project.root / "dvc.yaml"
        text = pipeline.read_text().replace("md5sum *)", f"md5sum * && echo {word})")
        if word == "grace":
            add_and_run(project, "P2", seed=3)  # recorded with the old command
        pipeline.write_text(text)
        project.imgdata("run", "sum@P0")
        project.git("checkout", "--quiet", "dvc.yaml")  # only what ran is at stake here
        project.commit(f"Run it {word}'s way")
    merging = grace.git("pull", "--no-rebase", "--no-edit", "origin", "main", check=False)

    assert merging.returncode == 1
    assert "both sides recorded 'sum@P0' with different results" in merging.stderr
    lock = (grace.root / "dvc.lock").read_text()
    before, conflict = lock.split("<<<<<<< ours\n")
    ours, rest = conflict.split("=======\n")
    theirs, after = rest.split(">>>>>>> theirs\n")
    assert ours.startswith("  sum@P0:\n")
    assert "echo grace" in ours
    assert theirs.startswith("  sum@P0:\n")
    assert "echo ada" in theirs
    assert "  sum@P2:\n" in before + after
    assert "sum@P0" in grace.imgdata("status", check=False).stdout
    (grace.root / "dvc.lock").write_text(before + theirs + after)
    grace.git("commit", "--quiet", "--all", "--no-edit")
    grace.dvc("status")


@pytest.mark.dvc
def test_a_conflict_ends_by_the_line_that_imgdata_prints(
    two: tuple[SmallProject, SmallProject],
) -> None:
    """The one plate made again by both, and another by each of them, which must not be lost."""
    ada, grace = two
    for project, word, other, seed in ((ada, "ada", "P1", 2), (grace, "grace", "P2", 3)):
        add_and_run(project, other, seed=seed)
        pipeline = project.root / "dvc.yaml"
        text = pipeline.read_text()
        pipeline.write_text(text.replace("md5sum *)", f"md5sum * && echo {word})"))
        project.imgdata("run", "sum@P0")
        project.git("checkout", "--quiet", "dvc.yaml")
        project.imgdata("push")
        project.commit(f"Run it {word}'s way")
    said = grace.git("pull", "--no-rebase", "--no-edit", "origin", "main", check=False).stderr
    line = next(row.strip() for row in said.splitlines() if row.startswith("  sed "))
    refused = grace.imgdata("run", check=False)
    noted = grace.imgdata("status").stdout

    assert refused.returncode == 2
    assert line in refused.stderr
    assert line in noted
    assert noted.count("sum@P0: the entry lies in a merge conflict") == 1
    call(grace.root, "sh", "-c", line)
    assert not list(grace.root.glob("*.bak"))
    lock = (grace.root / "dvc.lock").read_text()
    assert "echo grace" in lock
    assert [lock.count(f"  sum@P{n}:\n") for n in range(3)] == [1, 1, 1]
    grace.imgdata("pull")
    grace.imgdata("run")
    assert "up to date" in grace.dvc("status").stdout


@pytest.mark.dvc
def test_plain_git_users_without_imgdata_merge_as_if_there_were_no_driver(
    two: tuple[SmallProject, SmallProject], tmp_path: Path
) -> None:
    ada, grace = two
    add_and_run(ada, "P1", seed=2)
    (grace.root / "notes.txt").write_text("x\n")
    grace.commit("Note something")
    gone = tmp_path / "uninstalled" / "imgdata"
    command = grace.git("config", DRIVER).stdout.strip()
    first_word = command.split("for p in ")[1].split(" imgdata;")[0]
    grace.git("config", DRIVER, command.replace(first_word, str(gone)))
    plain = {**environment(), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    lock = grace.root / "dvc.lock"
    lock.write_text(lock.read_text().replace("size: 6000", "size: 6001"))
    grace.git("commit", "--quiet", "--all", "-m", "Change a line")
    done = call(grace.root, "git", "merge", "--no-edit", "origin/main", env=plain)
    assert done.returncode == 0
    call(grace.root, "git", "pull", "--no-rebase", "--no-edit", "origin", "main", env=plain)
    assert "size: 6001" in lock.read_text()
    assert "  sum@P1:\n" in lock.read_text()

    grace.git("config", "--remove-section", "merge.imgdata-dvc-lock")
    assert "does not merge dvc.lock stage by stage yet" in grace.imgdata("status").stdout
    grace.imgdata("storage", "apply")
    assert "does not merge" not in grace.imgdata("status").stdout


def test_a_driver_whose_program_has_moved_is_set_anew(tmp_path: Path) -> None:
    project = make_small_project(tmp_path / "p")
    command = project.git("config", DRIVER).stdout
    first_word = command.split("for p in ")[1].split(" imgdata;")[0]
    project.git("config", DRIVER, command.replace(first_word, "/gone/bin/imgdata"))
    assert "stage by stage yet" in project.imgdata("status").stdout
    project.imgdata("storage", "apply")
    assert project.git("config", DRIVER).stdout == command


def test_a_way_to_call_the_driver_that_somebody_chose_is_kept(tmp_path: Path) -> None:
    project = make_small_project(tmp_path / "p")
    project.git("config", DRIVER, "my-merge %O %A %B")
    project.imgdata("storage", "apply")
    assert project.git("config", DRIVER).stdout == "my-merge %O %A %B\n"


def test_a_lock_that_is_no_lock_is_merged_by_lines(tmp_path: Path) -> None:
    texts = {"base": "a\nb\nc\n", "ours": "A\nb\nc\n", "theirs": "a\nb\nC\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    call(tmp_path, "imgdata", "merge-dvc-lock", "base", "ours", "theirs", "dvc.lock")
    assert (tmp_path / "ours").read_text() == "A\nb\nC\n"
    (tmp_path / "theirs").write_text("X\nb\nc\n")
    done = call(
        tmp_path, "imgdata", "merge-dvc-lock", "base", "ours", "theirs", "dvc.lock", check=False
    )
    assert done.returncode == 1
    assert "<<<<<<< ours" in (tmp_path / "ours").read_text()
