"""Amounts of data as people read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.model.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (123_456, "123 kB"),
        (99_960, "100 kB"),
        (999_960, "1.0 MB"),
        (5 * 10**15, "5.0 PB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes_have_at_most_three_digits(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200GB", 200 * 10**9),
        ("1.5 TB", 1_500_000_000_000),
        ("7", 7),
        (" 3 kB ", 3000),
        ("1GiB", 2**30),
        ("10 B", 10),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 XB", "1,5 GB", "1e3", "nan"])
def test_what_is_no_size_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="a size is a number with"):
        parse_size(text)


@given(st.integers(0, 10**17))
def test_a_size_reads_back_close_to_itself(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.06, abs=1)
