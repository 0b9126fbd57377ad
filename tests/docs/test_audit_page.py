"""The page about the audit lists its rules, in their order and words."""

from pathlib import Path

from imgdata.policy.audit.table import RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "audit.md"


def test_the_page_lists_every_rule_in_its_words() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text("utf-8").splitlines() if "| `" in line]
    assert [(row[0].strip("| `"), row[1]) for row in rows] == [(r.name, r.asks) for r in RULES]
