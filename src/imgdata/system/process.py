"""The one way to run another program."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from imgdata.errors import ImgdataError, MachineError

TOKEN = re.compile(r"IMGDATA_[A-Z0-9_]+_TOKEN")
TAIL_LINES = 20
OTHER_REPOSITORY = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
        "GIT_REPLACE_REF_BASE",
        "GIT_CEILING_DIRECTORIES",
    }
)
"""Variables that make git read another repository than the one around the project."""


class Completed(Struct, frozen=True):
    """What a program left behind: exit status and everything it printed."""

    args: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; undecodable bytes are kept as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape")

    @property
    def tail(self) -> str:
        """The last lines a person should see: standard error, else standard output."""
        shown = self.stderr.strip() or self.stdout.strip()
        lines = shown.decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])


class CommandError(ImgdataError):
    """A program ended with an exit status that was not expected."""

    kind = "command"
    exit_status = MachineError.exit_status

    def __init__(self, completed: Completed, problem: str) -> None:
        super().__init__(problem, cause=completed.tail)
        self.completed = completed


def machine_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a program whose output is read by code: C locale, no prompts.

    Tokens for repositories and storages are left out: no program needs them, and a stage that
    prints its environment would publish them. So are variables that name another git repository.
    """
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in OTHER_REPOSITORY and not TOKEN.fullmatch(name)
    }
    return {**own, "LC_ALL": "C.UTF-8", "LANGUAGE": "", **(extra or {})}


def run(
    args: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    accept: Sequence[int] = (0,),
) -> Completed:
    """Run a program to its end and return what it printed.

    Args:
        args: The program and its arguments; put `--` before paths.
        cwd: The folder it runs in.
        env: Variables on top of a C-locale copy of this process's environment.
        stdin: Bytes for its standard input; without them it reads nothing.
        accept: Exit statuses that are an answer, not a failure.

    Raises:
        MachineError: The program is not installed.
        CommandError: It ended with another exit status.
    """
    try:
        done = subprocess.run(
            list(args),
            cwd=cwd,
            env=machine_environment(env),
            input=b"" if stdin is None else stdin,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        if not cwd.is_dir():
            msg = f"the folder {cwd} does not exist"
            raise MachineError(msg) from error
        msg = f"'{args[0]}' is not installed or not on PATH"
        raise MachineError(
            msg,
            remedy=f"install {args[0]} and try again",
        ) from error
    completed = Completed(tuple(args), done.returncode, done.stdout, done.stderr)
    if done.returncode not in accept:
        shown = " ".join(args[:3])
        raise CommandError(completed, f"'{shown} ...' ended with exit status {done.returncode}")
    return completed
