"""Lengths of time as people say them."""

import pytest

from imgdata.model.durations import format_duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (40, "40 s"),
        (360, "6 min"),
        (12_600, "3.5 h"),
    ],
)
def test_a_length_of_time_is_said_in_its_unit(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said
