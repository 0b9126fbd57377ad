"""What a remedy tells to install goes where imgdata is, and leaves the rest as it is."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from imgdata.system.installing import install_line

SOURCES = Path(__file__).resolve().parents[3] / "src/imgdata"


def test_the_line_that_installs_an_extra_takes_the_imgdata_that_is_there() -> None:
    words = shlex.split(install_line("imgdata"))
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]} here")
    done = subprocess.run([*words, "--dry-run"], capture_output=True, text=True, check=True)
    assert "Would install" not in done.stdout + done.stderr


def test_no_remedy_fetches_imgdata_by_its_name_alone() -> None:
    """The package of that name on PyPI is another program."""
    told = [str(file) for file in SOURCES.rglob("*.py") if "uv tool install" in file.read_text()]
    assert not told, told
