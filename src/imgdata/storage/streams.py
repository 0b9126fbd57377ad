"""Chunks on their way to a storage, counted."""

from collections.abc import Iterable, Iterator

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
