"""What imgdata puts into a commit: all that it staged, nothing else, however much it is."""

from pathlib import Path

import pytest

from imgdata.tracking.git import GitRepository, init_git


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    (tmp_path / "repo").mkdir()
    return init_git(tmp_path / "repo", "main")


def write(repository: GitRepository, name: str) -> Path:
    path = repository.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{name}\n" * 50)
    return path


def test_a_renamed_file_leaves_its_old_name_in_the_same_commit(repository: GitRepository) -> None:
    old = write(repository, "masks.dvc")
    repository.stage([old])
    repository.commit("Add masks")
    new = old.rename(repository.root / "labels.dvc")
    repository.stage([old, new])
    assert repository.staged == ("labels.dvc", "masks.dvc")
    repository.commit("Rename masks to labels")
    assert repository.dirty_paths() == ()


def test_a_name_with_the_signs_of_a_pattern_takes_no_other_file_along(
    repository: GitRepository,
) -> None:
    mine, foreign = write(repository, "P[12].dvc"), write(repository, "P1.dvc")
    repository.stage([mine])
    repository.commit("Add a plate")
    assert repository.kept_below(mine) == (mine,)
    assert repository.kept_below(foreign) == ()


def test_what_somebody_else_staged_is_not_committed(repository: GitRepository) -> None:
    GitRepository(repository.root).stage([write(repository, "theirs.dvc")])
    repository.stage([write(repository, "mine.dvc")])
    assert repository.staged == ("mine.dvc",)
    repository.commit("Add mine")
    assert repository.dirty_paths() == ("theirs.dvc",)


def test_more_names_than_fit_into_a_command_line_are_committed(repository: GitRepository) -> None:
    folder = "data/raw/" + "a-long-name-of-an-experiment/" * 80
    paths = [write(repository, f"{folder}{number}.dvc") for number in range(1_000)]
    repository.stage(paths)
    assert len(repository.staged) == len(paths)
    repository.commit("Add plates")
    assert repository.dirty_paths() == ()
