"""Chunks on their way to a storage, counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.errors import DamagedError
from imgdata.storage.streams import exactly


@given(st.lists(st.binary(max_size=20)))
def test_chunks_of_the_right_size_pass_unchanged(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert b"".join(exactly(iter(chunks), len(whole), "k")) == whole


@given(st.lists(st.binary(max_size=20)), st.integers(-30, 30).filter(bool))
def test_chunks_of_another_size_are_told_and_never_passed_beyond_it(
    chunks: list[bytes], wrong: int
) -> None:
    size = max(0, len(b"".join(chunks)) + wrong)
    if size == len(b"".join(chunks)):
        size += 1
    seen = bytearray()
    with pytest.raises(DamagedError, match="was not stored"):
        seen.extend(b"".join(exactly(iter(chunks), size, "k")))
    assert len(seen) <= size
