"""Chunks on their way to and from a storage, counted."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from imgdata.errors import DamagedError


class Counted:
    """Chunks that are counted while they pass, and must be `size` bytes in all if that is known.

    Iterating raises DamagedError when they are fewer or more; the surplus is never passed on.

    Attributes:
        size: Bytes there must be, or None.
        seen: Bytes so far.
    """

    def __init__(self, chunks: Iterable[bytes], size: int | None, key: str) -> None:
        self._chunks = chunks
        self.size = size
        self._key = key
        self.seen = 0

    def __iter__(self) -> Iterator[bytes]:
        """Pass the chunks on, empty ones left out."""
        for chunk in self._chunks:
            self.seen += len(chunk)
            if self.size is not None and self.seen > self.size:
                raise _wrong_size(self._key, f"more than the expected {self.size} bytes came")
            if chunk:
                yield chunk
        if self.size is not None and self.seen < self.size:
            raise _wrong_size(self._key, f"{self.seen} of {self.size} bytes came")


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
