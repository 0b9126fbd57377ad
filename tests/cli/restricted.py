"""Run commands as someone whom file permissions stop, also where the tests run as root."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from imgdata.testing.lab import Answer, Lab
from imgdata.testing.programs import PROGRAMS

DROPPED = "--bounding-set=-dac_override,-dac_read_search"


def obeying() -> tuple[str, ...]:
    """Return what to write before a command so that permissions hold for it, also for root.

    The same person without the right to overlook them: every folder above stays in reach.
    """
    if os.geteuid() != 0:
        return ()
    before = (shutil.which("setpriv") or "setpriv", DROPPED)
    tried = subprocess.run([*before, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"root here cannot give up its rights: {tried.stderr.decode()}")
    return before


def restricted(lab: Lab, *words: str | Path, cwd: Path | None = None) -> Answer:
    """Run imgdata without the right to overlook permissions."""
    answer = lab.call(*obeying(), PROGRAMS / "imgdata", *words, cwd=cwd)
    assert "Traceback" not in answer.err
    assert answer.status != 70, answer.err
    return answer
