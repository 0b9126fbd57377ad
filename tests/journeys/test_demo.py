"""`make demo` keeps its promises: what it prints is what a person reads first."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "tools" / "demo.py"

pytestmark = [pytest.mark.dvc, pytest.mark.slow]


def test_the_demo_frees_the_disk_and_brings_every_byte_back(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, DEMO], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert said.count("byte for byte as before: yes") == 2
    freed = re.search(r"before: ([\d,]+) bytes, after: ([\d,]+) bytes; (\d+) % freed", said)
    assert freed is not None
    full, left = (int(text.replace(",", "")) for text in freed.groups()[:2])
    assert full > left > 0
    assert 100 * (full - left) / full > 80
    for line in (
        "masks: would free .* here. 6 of 7 files are safe:",
        r"  6 have 1 checked copy \(archive\) .*",
        "  1 is NOT safe: data/masks/P1/B02_1.tif - hand-edited, the only copy",
        "raw: would free .* here. All 18 files are safe:",
        r"  18 have 2 checked copies \(archive, mirror\) .*",
        r"  57 are recomputable, proven identical on \d{4}-\d\d-\d\d, .*",
        "breaks nothing: single_cell_profiles is stored in its own right.*",
        r"nothing deleted \(dry run\)",
    ):
        assert re.search(f"^{line}$", said, re.MULTILINE), line
