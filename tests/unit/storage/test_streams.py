"""Chunks on their way to a storage, counted."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.errors import DamagedError
from imgdata.storage.streams import ByteBudget, exactly


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


def test_bytes_in_memory_are_limited_and_one_too_big_still_passes() -> None:
    budget = ByteBudget(100)
    held: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def use(size: int) -> None:
        with budget.hold(size):
            with lock:
                held.append(size)
                most.append(sum(held))
            time.sleep(0.002)
            with lock:
                held.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, [40, 70, 20, 500, 10, 60] * 4))
    assert max(total for total in most if total != 500) <= 100
