"""Know that nobody writes to a file while it is looked at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment] # asked below

# Sent when somebody else wants to write; it is ignored unless a program asks for it, where the
# kernel's usual choice, SIGIO, would end the process.
_SIGURG = 23


@contextmanager
def without_writers(descriptor: int) -> Iterator[Callable[[], bool]]:
    """Hold a read lease on a file opened for reading only.

    Yields a question: has nobody had the file open for writing since the block began? Whoever
    opens it for writing meanwhile waits until the block ends, and the answer is no. It is also no
    from the start where the system has no leases, or the file belongs to somebody else.

    Source: fcntl(2), "Leases".
    """
    held = _take(descriptor)
    try:
        yield lambda: held and fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK
    finally:
        if held:
            with suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _take(descriptor: int) -> bool:
    if not hasattr(fcntl, "F_SETLEASE") or not hasattr(fcntl, "F_SETSIG"):
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, _SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return False
    return True
