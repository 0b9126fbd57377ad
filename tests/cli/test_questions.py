"""What a person sees at a terminal: no question before what it is about, no broken table."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from imgdata.testing.lab import make_lab
from imgdata.testing.programs import PROGRAMS
from imgdata.testing.small_project import call


def _shown(folder: Path, *words: str, **environment: str) -> str:
    """Run imgdata on a terminal of its own, answer no; return all that the terminal showed."""
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [PROGRAMS / "imgdata", *words],
        cwd=folder,
        env={**os.environ, **environment},
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
    shown = _shown(tmp_path, "init", PYTHONUNBUFFERED=unbuffered)
    assert 0 < shown.index("+++ b/imgdata.yaml") < shown.index("[y/N]")


@pytest.mark.parametrize(("columns", "told"), [("80", False), ("200", True)])
def test_the_table_of_status_fits_on_the_terminal(tmp_path: Path, columns: str, told: bool) -> None:
    lab = make_lab(tmp_path)
    lab.imgdata("add", "raw", lab.plate("P1"))
    shown = _shown(lab.project, "status", COLUMNS=columns)
    assert max(map(len, shown.splitlines())) <= int(columns)
    assert ("made by" in shown) is told
