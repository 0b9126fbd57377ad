"""Calls of git that write, where a killed git leaves a lock file that every later one stumbles on.

Git takes `index.lock` and its like by making a file, which stays when the process is killed or the
power fails. While imgdata lets git write it holds a lock of its own, so that it can tell later
which of these files its own killed git left: only those are removed.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from imgdata.errors import MachineError
from imgdata.system.locks import hold
from imgdata.system.process import CommandError
from imgdata.tracking.git_call import FATAL, call_git

OWN_LOCK = "imgdata-writing"
LOCKS = ("index.lock", "HEAD.lock", "config.lock")
TAKEN = b".lock': File exists"
TAKEN_CONFIG = b"could not lock config file"
WAIT_S = 10.0
POLL_S = 0.1
NAMES_NOT_PATTERNS = {"GIT_LITERAL_PATHSPECS": "1"}
GRACE_S = 1.0
"""How long a git may outlive an imgdata that was killed alone."""


def write_git(args: Sequence[str], root: Path, *, paths: Sequence[str] = ()) -> None:
    """Run one git command that writes to the index, a branch or the options of a clone.

    Args:
        args: The command.
        root: Where it runs.
        paths: What it reads from its standard input: a command line holds only so many.

    Raises:
        MachineError: Another git is at work there for longer than `WAIT_S`, or was killed there.
    """
    with hold(
        _git_paths(root, OWN_LOCK)[0], wait_s=WAIT_S, owner="another imgdata command"
    ) as died:
        if died is not None:
            _remove_left(root, died)
        _call_when_free(args, root, paths)


def _git_paths(root: Path, *names: str) -> list[Path]:
    """Return where git keeps files of these names for a working tree; linked ones differ."""
    args = ("rev-parse", *(word for name in names for word in ("--git-path", name)))
    return [root / line for line in call_git(args, root).text.splitlines()]


def _remove_left(root: Path, since: float) -> None:
    """Remove the lock files that were made after a killed imgdata began to write here."""
    branch = call_git(("symbolic-ref", "--quiet", "HEAD"), root, accept=(0, 1, FATAL)).text.strip()
    locks = _git_paths(root, *LOCKS, *([f"{branch}.lock"] if branch else []))
    if any(path.exists() for path in locks):
        time.sleep(GRACE_S)
    for path in locks:
        with suppress(FileNotFoundError):
            if path.stat().st_mtime >= since:
                path.unlink()


def _call_when_free(args: Sequence[str], root: Path, paths: Sequence[str]) -> None:
    deadline = time.monotonic() + WAIT_S
    given = "\0".join(paths).encode("utf-8", "surrogateescape")
    while True:
        try:
            call_git(args, root, stdin=given, env=NAMES_NOT_PATTERNS)
        except CommandError as error:
            said = error.completed.stderr
            if TAKEN not in said and TAKEN_CONFIG not in said:
                raise
            if time.monotonic() > deadline:
                raise _in_the_way(root, error) from error
            time.sleep(POLL_S)
        else:
            return


def _in_the_way(root: Path, error: CommandError) -> MachineError:
    found = [path for path in _git_paths(root, *LOCKS) if path.exists()]
    cause = "\n".join(f"{path} exists" for path in found) or error.cause.partition("\n")[0]
    words = " ".join(min(str(path), os.path.relpath(path), key=len) for path in found)
    remove = f"if no git is running here, one was killed: rm {words}; then " if words else ""
    return MachineError(
        "another git command is at work in this repository",
        cause=cause,
        remedy=f"wait until it has ended; {remove}run the same command again",
    )
