"""What is read from git's history does not depend on what a person likes to see of it."""

import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from imgdata.tracking.git import GitRepository, init_git
from imgdata.tracking.git_history import GitHistory


def git(root: Path, *args: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["git", *args], cwd=root, check=True, capture_output=True, text=True, input=stdin
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    (tmp_path / "repo").mkdir()
    return init_git(tmp_path / "repo", "main")


def commit(repository: GitRepository, name: str, text: str) -> str:
    (repository.root / name).write_text(text)
    repository.stage([repository.root / name])
    return repository.commit(f"{name}: {text[:9]}")


def sign(root: Path) -> str:
    """Put a signature into the last commit, which nobody here can check."""
    head, _, message = git(root, "cat-file", "commit", "HEAD").partition("\n\n")
    signed = f"{head}\ngpgsig -----BEGIN SSH SIGNATURE-----\n -----END SSH SIGNATURE-----"
    made = git(root, "hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{signed}\n\n{message}")
    git(root, "reset", "--quiet", "--soft", made)
    return made


def test_signed_commits_are_read_where_git_shows_signatures(repository: GitRepository) -> None:
    commit(repository, "P1.dvc", "one")
    made = sign(repository.root)
    repository.config("log.showSignature", "true")
    (found,) = repository.dvc_files_ever()
    assert (found.path, found.commit) == ("P1.dvc", made)
    history = GitHistory(repository.root)
    assert history.commit("HEAD").id == made
    history.close()


def test_a_content_that_only_a_merge_made_counts_as_committed(repository: GitRepository) -> None:
    commit(repository, "imgdata.yaml", "first")
    git(repository.root, "switch", "--quiet", "--create", "other")
    commit(repository, "imgdata.yaml", "theirs")
    git(repository.root, "switch", "--quiet", "main")
    commit(repository, "imgdata.yaml", "ours")
    git(repository.root, "merge", "--quiet", "--strategy=ours", "--no-commit", "other")
    commit_of_both = repository.root / "imgdata.yaml"
    commit_of_both.write_text("both")
    git(repository.root, "commit", "--quiet", "--all", "--message=Merge")
    commit(repository, "imgdata.yaml", "last")
    states = set(repository.states_ever("imgdata.yaml"))
    assert states == {b"first", b"theirs", b"ours", b"both", b"last"}


def test_a_content_of_a_branch_that_a_merge_passed_over_counts_too(
    repository: GitRepository,
) -> None:
    commit(repository, "imgdata.yaml", "first")
    git(repository.root, "switch", "--quiet", "--create", "other")
    commit(repository, "imgdata.yaml", "theirs")
    git(repository.root, "switch", "--quiet", "main")
    commit(repository, "readme", "more")
    git(repository.root, "merge", "--quiet", "--strategy=ours", "--message=Merge", "other")
    git(repository.root, "branch", "--quiet", "--delete", "other")
    assert set(repository.states_ever("imgdata.yaml")) == {b"first", b"theirs"}


def test_a_long_history_is_not_held_in_memory(repository: GitRepository) -> None:
    size = 2_000_000
    for _ in range(12):
        commit(repository, "dvc.lock", os.urandom(size // 2).hex())
    tracemalloc.start()
    sizes = [len(state) for state in repository.states_ever("dvc.lock")]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == [size] * 12
    assert most < 4 * size
