"""When the `keep` rules let data go, by the clock that is passed in."""

from datetime import UTC, datetime, timedelta

import pytest

from imgdata.policy.retention import UnitLife, has_ended, why_to_move

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
USED = UnitLife(NOW - timedelta(days=30), is_used_up=True, is_published=True)
UNUSED = UnitLife(None, is_used_up=False, is_published=False)

ENDED = ["recompute", "until published", "30 days after last use", "until 2026-11-21"]
NOT_YET = ["forever", "31 days after last use", "until 2026-11-22"]


@pytest.mark.parametrize("keep", ENDED)
def test_a_rule_ends_when_its_day_has_come(keep: str) -> None:
    assert has_ended(keep, USED, NOW, NOW)


@pytest.mark.parametrize("keep", NOT_YET)
def test_a_rule_has_not_ended_before_its_day(keep: str) -> None:
    assert not has_ended(keep, USED, NOW, NOW)


@pytest.mark.parametrize("keep", ["recompute", "until published", "0 days after last use"])
def test_what_nobody_noted_has_not_happened(keep: str) -> None:
    assert not has_ended(keep, UNUSED, NOW, NOW)


@pytest.mark.parametrize("keep", ["0 days after last use", "until 2001-01-01"])
def test_a_clock_behind_the_log_lets_nothing_end(keep: str) -> None:
    back = NOW - timedelta(days=400)
    life = UnitLife(back - timedelta(days=1), is_used_up=True, is_published=False)
    assert has_ended(keep, life, back, back)
    assert not has_ended(keep, life, back, NOW)


def test_a_use_that_is_yet_to_come_is_no_use_of_long_ago() -> None:
    later = UnitLife(NOW + timedelta(days=3), is_used_up=False, is_published=False)
    assert not has_ended("0 days after last use", later, NOW, NOW)


def test_data_kept_for_ever_move_on_when_no_stage_needs_them() -> None:
    assert why_to_move("forever", USED, NOW, NOW) == "every stage that reads it is done"
    assert why_to_move("forever", UNUSED, NOW, NOW) == ""


def test_data_with_an_end_move_on_at_that_end() -> None:
    assert why_to_move("until 2026-11-21", UNUSED, NOW, NOW) == "keep: until 2026-11-21"
    assert why_to_move("until 2026-11-22", USED, NOW, NOW) == ""
