"""Run a stage's command the way dvc does, outside of dvc."""

import os
from collections.abc import Sequence
from pathlib import Path

from imgdata.errors import MachineError
from imgdata.system.process import CommandError, run
from imgdata.tracking.dvc import stage_path


def run_command(command: str | Sequence[str], folder: Path) -> None:
    """Run one command, or several one after the other, by the user's shell in a folder.

    Raises:
        MachineError: One ended with an error; the cause is what it printed last.
    """
    shell = os.environ.get("SHELL") or "/bin/sh"
    # Git must not find the repository around a scratch checkout and give a script its data.
    ceiling = os.pathsep.join(str(one) for one in (folder, *folder.parents))
    env = {"PATH": stage_path(), "GIT_CEILING_DIRECTORIES": ceiling}
    for one in [command] if isinstance(command, str) else command:
        try:
            run((shell, "-c", one), cwd=folder, env=env)
        except CommandError as error:
            problem = "a command ended with an error"
            raise MachineError(problem, cause=error.completed.tail or error.problem) from error
