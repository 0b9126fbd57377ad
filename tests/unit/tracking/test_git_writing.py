"""What imgdata writes to git survives a git that was killed, and leaves other people's locks."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imgdata.errors import MachineError
from imgdata.tracking import git_writing
from imgdata.tracking.git import GitRepository, init_git

STAGE = """
import sys
from pathlib import Path
from imgdata.tracking.git import GitRepository
root = Path(sys.argv[1])
git = GitRepository(root)
git.stage([root / "b.txt"])
git.commit("Add b")
"""
KILLED_GIT = """#!/bin/sh
for word in "$@"; do
    if [ "$word" = {verb} ]; then
        : > "$(command -p git rev-parse --git-path {lock})"
        kill -9 0
    fi
done
exec {git} "$@"
"""


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    (tmp_path / "repo").mkdir()
    found = init_git(tmp_path / "repo", "main")
    found.config("user.name", "Ada Lovelace")
    found.config("user.email", "ada@lab.example")
    (found.root / "a.txt").write_text("a\n")
    found.stage([found.root / "a.txt"])
    found.commit("Add a")
    (found.root / "b.txt").write_text("b\n")
    return found


def die_in_git(root: Path, tmp_path: Path, verb: str, lock: str) -> None:
    """Run imgdata's writing with a git that leaves a lock and kills the whole process group."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "git"
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout
    program.write_text(KILLED_GIT.format(verb=verb, lock=lock, git=real.strip()))
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", STAGE, str(root)],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        start_new_session=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


TIDYING = """
import sys, time
from pathlib import Path
from imgdata.tracking import git_writing
git_writing.GRACE_S = 600.0
git_writing.write_git(("add", "b.txt"), Path(sys.argv[1]))
"""


def test_a_second_kill_while_it_tidies_loses_no_lock_of_the_first(
    repository: GitRepository, tmp_path: Path
) -> None:
    die_in_git(repository.root, tmp_path, "add", "index.lock")
    time.sleep(0.05)  # the second holder begins later, by the coarsest clock of a kernel
    with subprocess.Popen([sys.executable, "-c", TIDYING, str(repository.root)]) as second:
        own = repository.root / ".git" / git_writing.OWN_LOCK
        deadline = time.monotonic() + 30
        while f" {second.pid}" not in own.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        second.kill()
    repository.stage([repository.root / "b.txt"])
    assert repository.staged == ("b.txt",)


@pytest.mark.parametrize(
    ("verb", "lock"),
    [
        ("add", "index.lock"),
        ("commit", "index.lock"),
        ("commit", "HEAD.lock"),
        ("commit", "refs/heads/main.lock"),
    ],
)
def test_a_lock_that_a_killed_git_of_ours_left_is_removed(
    repository: GitRepository, tmp_path: Path, verb: str, lock: str
) -> None:
    die_in_git(repository.root, tmp_path, verb, lock)
    assert (repository.root / ".git" / lock).exists()
    again = GitRepository(repository.root)
    again.stage([repository.root / "b.txt"])
    again.commit("Add b")
    assert not again.dirty_paths()
    assert not (repository.root / ".git" / lock).exists()


def test_also_in_a_linked_worktree(repository: GitRepository, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    subprocess.run(
        ["git", "worktree", "add", "-q", "-b", "other", str(linked)],
        cwd=repository.root,
        check=True,
    )
    (linked / "b.txt").write_text("b\n")
    die_in_git(linked, tmp_path, "commit", "index.lock")
    assert (repository.root / ".git" / "worktrees" / "linked" / "index.lock").exists()
    again = GitRepository(linked)
    again.stage([linked / "b.txt"])
    again.commit("Add b")
    assert not again.dirty_paths()


def test_a_lock_of_somebody_elses_git_is_left_and_said(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_writing, "WAIT_S", 0.2)
    lock = repository.root / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(MachineError) as caught:
        repository.stage([repository.root / "b.txt"])
    assert "another git command is at work" in caught.value.problem
    assert str(lock) in caught.value.cause
    assert f"rm {lock}; then" in caught.value.remedy
    assert lock.exists()


def test_a_lock_older_than_our_killed_git_is_somebody_elses(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_in_git(repository.root, tmp_path, "add", "index.lock")
    monkeypatch.setattr(git_writing, "WAIT_S", 0.2)
    lock = repository.root / ".git" / "index.lock"
    os.utime(lock, (time.time() - 3600, time.time() - 3600))
    with pytest.raises(MachineError):
        GitRepository(repository.root).stage([repository.root / "b.txt"])
    assert lock.exists()


def test_a_git_that_ends_soon_is_waited_for(repository: GitRepository) -> None:
    lock = repository.root / ".git" / "index.lock"
    lock.touch()
    threading.Timer(0.5, lock.unlink).start()
    repository.stage([repository.root / "b.txt"])
    assert repository.staged == ("b.txt",)
