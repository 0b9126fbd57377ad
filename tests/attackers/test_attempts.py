"""None of these ways brings restricted data to a public place, and each refusal says why."""

import os
from collections.abc import Iterator

import pytest

from tests.attackers.attempts import Attempt
from tests.attackers.attempts_elsewhere import EVERY
from tests.attackers.vault import RULE, SECRET, TWIN, Vault


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Attempts may set variables; they end with the test."""
    monkeypatch.setenv("IMGDATA_SHELF_TOKEN", "made-up")
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


def test_there_are_two_hundred() -> None:
    assert len(EVERY) >= 200
    assert len({(one.family, one.name) for one in EVERY}) == len(EVERY)


@pytest.mark.parametrize("attempt", EVERY, ids=lambda one: f"{one.family}: {one.name}")
def test_it_stays_and_the_refusal_names_origin_and_rule(vault: Vault, attempt: Attempt) -> None:
    answer = vault.imgdata(*attempt.do(vault, SECRET))
    assert vault.escaped() == set()
    assert vault.in_the_world() & vault.secrets() == set()
    assert answer.status == 5, answer.said
    assert RULE in answer.said, answer.said


TWINS = [one for one in EVERY if one.has_twin]
FIRST = {one.family: one for one in reversed(TWINS)}
TRIED = TWINS if os.environ.get("IMGDATA_ALL_TWINS") else list(FIRST.values())
"""One of a family; all of them where the variable asks for it (after attempts were changed)."""


@pytest.mark.parametrize("attempt", TRIED, ids=lambda one: f"{one.family}: {one.name}")
def test_the_twin_gets_through(vault: Vault, attempt: Attempt) -> None:
    words = attempt.do(vault, TWIN)
    if words[0] == "publish":
        plan = vault.ok(*words, "--dry-run")
        assert "will upload 0 files" not in plan.said
        assert "blocked" not in plan.said
        return
    answer = vault.ok(*words)
    assert vault.in_the_world(), answer.said
