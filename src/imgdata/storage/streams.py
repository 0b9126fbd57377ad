"""Chunks on their way to and from a storage, counted."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from imgdata.errors import DamagedError


def exactly(chunks: Iterable[bytes], size: int, key: str) -> Iterator[bytes]:
    """Pass the chunks on and make sure that they are `size` bytes in all.

    Raises:
        DamagedError: They are fewer or more; the surplus is never passed on.
    """
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            raise _wrong_size(key, f"more than the expected {size} bytes came")
        if chunk:
            yield chunk
    if seen < size:
        raise _wrong_size(key, f"{seen} of {size} bytes came")


class ByteBudget:
    """Bytes that threads may hold in memory together; who asks for more waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until there is room, or nobody else holds anything; give the room back after."""
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + size <= self._limit)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()


def ended_early(key: str, place: str, seen: int, size: int) -> DamagedError:
    """Say that an object gave fewer bytes than it has."""
    problem = f"{key} on {place} ended after {seen} of {size} bytes"
    return DamagedError(problem, remedy="try again; 'imgdata verify' tells if the copy is damaged")


def no_object(key: str, place: str) -> DamagedError:
    """Say that there is no such object."""
    problem = f"there is no object {key} on {place}"
    remedy = "'imgdata whereis' names other copies; 'imgdata push' makes the missing one again"
    return DamagedError(problem, remedy=remedy)


def _wrong_size(key: str, cause: str) -> DamagedError:
    return DamagedError(
        f"{key} was not stored: its data are not as long as recorded",
        cause=cause,
        remedy="the file changed while it was read or is damaged; 'imgdata status' names it",
    )
