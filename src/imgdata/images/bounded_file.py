"""Read parts of a file that may lie about its own size: never beyond its end, never too much."""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from imgdata.errors import DamagedError

HEAD_BYTES = 8192
SAMPLE_BYTES = 4096
LIMIT_BYTES = 64 * 1024 * 1024


class BrokenStructureError(DamagedError):
    """The file contradicts itself; the sentence says where."""

    kind = "broken-image"


class BeyondEndError(BrokenStructureError):
    """Something the file points to lies beyond its end."""

    kind = "truncated-image"


class BoundedFile:
    """One open file, its size and its first 8 kB.

    Attributes:
        path: Where it is.
        size: Bytes when it was opened.
        head: Its first 8 kB, or all of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            self.size = os.fstat(self._descriptor).st_size
            self.head = os.pread(self._descriptor, HEAD_BYTES, 0)
        except OSError:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def at(self, offset: int, length: int, what: str = "data") -> bytes:
        """Return exactly `length` bytes from `offset`.

        Raises:
            BeyondEndError: They are not all in the file.
            BrokenStructureError: The length is negative or over 64 MB.
        """
        end = offset + length
        if end <= HEAD_BYTES and 0 <= offset <= end <= len(self.head):
            return self.head[offset:end]
        if offset < 0 or length < 0:
            msg = f"{what} at a negative position ({offset}, {length} bytes)"
            raise BrokenStructureError(msg)
        if end > self.size:
            msg = f"{what} ends at byte {end:,}, the file has {self.size:,}"
            raise BeyondEndError(msg)
        if length > LIMIT_BYTES:
            msg = f"{what} of {length:,} bytes, more than any header needs"
            raise BrokenStructureError(msg)
        data = os.pread(self._descriptor, length, offset)
        if len(data) != length:
            msg = f"{what} at byte {offset:,} cannot be read to its end"
            raise BeyondEndError(msg)
        return data

    def some(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`: fewer at the end, none beyond it."""
        if offset < 0 or offset >= self.size:
            return b""
        return os.pread(self._descriptor, min(length, LIMIT_BYTES), offset)

    def sample_hash(self) -> str:
        """Return a hash of size, beginning, middle and end: equal for twins, cheap to compute."""
        digest = hashlib.blake2b(str(self.size).encode(), digest_size=12)
        digest.update(self.head[:SAMPLE_BYTES])
        if self.size > SAMPLE_BYTES:
            digest.update(self.some(self.size // 2, SAMPLE_BYTES))
            digest.update(self.some(max(0, self.size - SAMPLE_BYTES), SAMPLE_BYTES))
        return digest.hexdigest()
