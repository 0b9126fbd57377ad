"""Read the headers of files in a second process while the first one takes the files in.

Headers are parsed in Python, where threads would only take turns with the work beside them. What
was read is remembered where a check looks first; what is not there, the check reads itself.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count, islice
from pathlib import Path

from msgspec import Struct

from imgdata.errors import MachineError
from imgdata.images.readers import ImageReaders
from imgdata.system.dialogue import Dialogue
from imgdata.system.progress import Progress
from imgdata.workflows.check_cache import Cache, Remembered
from imgdata.workflows.check_walk import ZARR, Candidate, is_thumb

MANY = 1_000
"""Files from which on a second process saves more than its start costs."""
BATCH = 64
TAKEN, PLACED = b"t", b"p"


@contextmanager
def reading_ahead(
    cache: Path, files: Sequence[tuple[str, str]], progress: Progress
) -> Iterator[Progress]:
    """Read headers while the block takes files in, and remember them once these are in place.

    Args:
        cache: Folder that remembers readings.
        files: Where each file is read from, and where it will be when the progress finishes.
        progress: Is told of the files as they are taken in.

    Yields what is to be told instead. A file is read after it was taken in, so that a slow disk is
    read once.
    """
    with ExitStack() as opened:
        reader = _start(cache, files, opened) if len(files) >= MANY else None
        if reader is None:
            yield progress
        else:
            yield _Told(reader, progress, taken=count(1))


def _start(cache: Path, files: Sequence[tuple[str, str]], opened: ExitStack) -> Dialogue | None:
    """Start the second process; None where it cannot be: taking in does not depend on it."""
    try:
        with tempfile.NamedTemporaryFile(delete=False) as names:
            path = Path(names.name)
            opened.callback(path.unlink, missing_ok=True)
            names.write(b"\0".join(os.fsencode(one) for pair in files for one in pair))
        command = (sys.executable, "-P", "-m", __spec__.name, str(path), str(cache))
        return opened.enter_context(closing(Dialogue(command, cwd=path.parent)))
    except (OSError, MachineError):
        return None


class _Told(Struct, frozen=True):
    """Tells the second process, too, how far the first one has come."""

    reader: Dialogue
    progress: Progress
    taken: Iterator[int]

    def start(self, label: str, *, items: int, size: int) -> None:
        self.progress.start(label, items=items, size=size)

    def advance(self, *, items: int = 0, size: int = 0) -> None:
        self.progress.advance(items=items, size=size)
        if items and next(self.taken) % BATCH == 0:
            _send(self.reader, TAKEN)

    def finish(self) -> None:
        self.progress.finish()
        _send(self.reader, PLACED)


def _send(reader: Dialogue, signal: bytes) -> None:
    with suppress(MachineError):  # it ended: the check will read the files
        reader.ask(signal)


class _Read(Struct, frozen=True):
    """What one file told, and what tells whether its copy is this file."""

    target: str
    size: int
    mtime_ns: int
    told: Remembered


def main() -> None:
    """Read the files of a list as the signals on standard input tell that they were taken in."""
    names, cache = map(Path, sys.argv[1:])
    paths = iter(os.fsdecode(names.read_bytes()).split("\0"))
    names.unlink()  # here, for the first process may be killed
    reader = ImageReaders()
    found = _readings(zip(paths, paths, strict=True), reader)
    read: list[_Read] = []
    while signal := os.read(sys.stdin.fileno(), 1):
        read += islice(found, BATCH if signal == TAKEN else None)
        if signal == PLACED:
            Cache(cache, reader.version).save(dict(_placed(read)))


def _readings(files: Iterator[tuple[str, str]], reader: ImageReaders) -> Iterator[_Read]:
    for source, target in files:
        if is_thumb(target) or f"{ZARR}/" in target.lower():
            continue  # a check looks at neither
        with suppress(OSError):
            status = os.stat(source)  # noqa: PTH116 - once a file
            told = Remembered(reader.read(Path(source)))
            yield _Read(target, status.st_size, status.st_mtime_ns, told)


def _placed(read: Sequence[_Read]) -> Iterator[tuple[Candidate, Remembered]]:
    """Yield the readings of the files whose copies are in place, with the stamps of these."""
    for one in read:
        with suppress(OSError):
            now = os.stat(one.target)  # noqa: PTH116 - once a file
            if (now.st_size, now.st_mtime_ns) == (one.size, one.mtime_ns):
                yield (
                    Candidate(one.target, one.target, one.size, one.mtime_ns, now.st_ino),
                    one.told,
                )


if __name__ == "__main__":
    main()
