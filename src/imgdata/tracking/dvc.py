"""The dvc program: makes repositories and runs stages. It is never imported."""

import importlib.util
import os
import sys
from pathlib import Path

from imgdata.dvc_files.rwlock import mend_rwlock
from imgdata.errors import MachineError, StageFailedError
from imgdata.system.installing import install_line
from imgdata.system.process import CommandError, Completed, run

QUIET = {"DVC_NO_ANALYTICS": "1", "DVC_STUDIO_OFFLINE": "1"}


def dvc_is_installed() -> bool:
    """Tell whether the dvc of this environment can be run."""
    return importlib.util.find_spec("dvc") is not None


def call_dvc(args: tuple[str, ...], root: Path) -> Completed:
    """Run `dvc ARGS` of this environment in a project.

    Raises:
        MachineError: dvc is not installed.
        CommandError: It ended with an error.
    """
    if not dvc_is_installed():
        problem = "this needs dvc, which is not installed here"
        raise MachineError(problem, remedy=install_line("dvc"))
    env = {**QUIET, "PATH": stage_path()}
    return run((sys.executable, "-m", "dvc", *args), cwd=root, env=env)


def stage_path() -> str:
    """Return the search path of stages: the user's own, then this environment's programs.

    So `python` means the python of the shell; where there is none, the one imgdata runs in.
    """
    own = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    return path if own in path.split(os.pathsep) else f"{path}{os.pathsep}{own}"


class DvcRunner:
    """Runs stages one by one; implements `imgdata.ports.StageRunner`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def run(self, stage: str, *, force: bool) -> str:
        """Run one stage through dvc, which records it in dvc.lock; return what it printed."""
        mend_rwlock(self._root / ".dvc" / "tmp")
        args = ("--wait-for-lock", "repro", "--single-item", *(("--force",) if force else ()))
        try:
            done = call_dvc((*args, "--", stage), self._root)
        except CommandError as error:
            problem = f"stage '{stage}' failed"
            remedy = f"correct it and run again: imgdata run {stage}"
            raise StageFailedError(
                problem, cause=error.completed.tail or _both(error.completed), remedy=remedy
            ) from error
        return done.text


def _both(completed: Completed) -> str:
    return f"dvc ended with exit status {completed.returncode}"
