"""The page of traps names tests that exist."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_trap_names_a_test_that_exists() -> None:
    page = (REPOSITORY / "docs/explanation/traps.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    named = [found for row in rows if (found := NAMED.search(row))]

    assert len(named) == len(rows) > 20
    gone = [
        found[0]
        for found in named
        if f"def {found[2]}(" not in (REPOSITORY / found[1]).read_text("utf-8")
    ]
    assert not gone
