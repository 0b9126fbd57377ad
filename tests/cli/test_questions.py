"""What a person at a terminal sees before a question: what it is about, always above it."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from imgdata.testing.programs import PROGRAMS
from imgdata.testing.small_project import call


def _asked(folder: Path, *words: str, unbuffered: str) -> str:
    """Run imgdata on a terminal of its own, answer no; return all that the terminal showed."""
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [PROGRAMS / "imgdata", *words],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ):
        os.close(terminal)
        os.write(person, b"n\n")
        shown = b""
        try:
            while chunk := os.read(person, 4096):
                shown += chunk
        except OSError:  # Linux ends a terminal whose programs have gone with an error
            pass
    os.close(person)
    return shown.decode()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_would_change_stands_above_the_question(tmp_path: Path, unbuffered: str) -> None:
    """Containers set PYTHONUNBUFFERED; the diff must not wait there until the answer is given."""
    call(tmp_path, "git", "init", "-q")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    (tmp_path / "a.tif.dvc").write_text(f"outs:\n- md5: {'0' * 32}\n  hash: md5\n  path: a.tif\n")
    shown = _asked(tmp_path, "init", unbuffered=unbuffered)
    assert 0 < shown.index("+++ b/imgdata.yaml") < shown.index("[y/N]")
