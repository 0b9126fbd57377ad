"""The reference pages of `imgdata check` say what the table of rules says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from imgdata.model.findings import Rule
from imgdata.policy.check_rules import RULES

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "reference" / "checks"


def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "check_pages", REPOSITORY / "tools/check_pages.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_the_one_the_table_writes() -> None:
    written = writer().pages()
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert found == written, "run: python tools/check_pages.py"


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_every_rule_says_why_and_what_to_do(rule: Rule) -> None:
    assert re.fullmatch(r"IMG-[0-9]{3}", rule.id)
    assert rule.why.endswith(".")
    assert len(rule.remedy) > 8
    assert rule.source


def test_ids_are_given_once() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
