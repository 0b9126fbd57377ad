"""A dvc.lock of which only what is asked for is read."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from imgdata.dvc_files.lock import LOCK_NAME, read_lock_by_yaml
from imgdata.dvc_files.lock_entry import LockEntry
from imgdata.dvc_files.lock_text import IrregularError, LockText
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.recorded import Recorded

HEAD = b"schema: '2.0'\nstages:\n"
_PLAIN = re.compile(rb"[A-Za-z_][A-Za-z0-9_.@/-]*")
_NEXT = re.compile(rb"\n(?:  [^ \n]|[^ \n])")
_CONFLICT = (b"\n<<<<<<<", b"\n>>>>>>>", b"\r", b"\t")


def is_regular(data: bytes) -> bool:
    """Tell whether a lock can be cut by lines: it begins as DVC writes it and holds no conflict."""
    return data.startswith(HEAD) and not any(sign in data for sign in _CONFLICT)


def entry_lines(data: bytes, name: str) -> bytes | None:
    """Return the lines of one entry of a regular lock, found by one search; None if it has none.

    Raises:
        IrregularError: The name could be written in several ways.
    """
    written = name.encode("utf-8", "surrogateescape")
    if not _PLAIN.fullmatch(written):
        raise IrregularError
    start = data.find(b"\n  " + written + b":\n")
    if start < 0:
        if b"'" + written + b"'" in data:
            raise IrregularError
        return None
    return _lines_from(data, start + 1)


def entry_around(data: bytes, place: int) -> tuple[str, bytes] | None:
    """Return name and lines of the entry of a regular lock that a place is in."""
    start = place
    while start > 0:
        start = data.rfind(b"\n  ", 0, start)
        if start >= 0 and data[start + 3 : start + 4] not in (b" ", b"-", b"#"):
            lines = _lines_from(data, start + 1)
            name = lines[2 : lines.find(b"\n")].rstrip().removesuffix(b":")
            plain = _PLAIN.fullmatch(name)
            return None if plain is None else (name.decode("ascii"), lines)
    return None


def _lines_from(data: bytes, start: int) -> bytes:
    end = _NEXT.search(data, start)
    return data[start:] if end is None else data[start : end.start() + 1]


class LazyLock:
    """The entries of one dvc.lock, each read when it is asked for; never raises for its content."""

    def __init__(self, data: bytes, path: str = LOCK_NAME) -> None:
        """Take the bytes of a lock; `path` is where it lies, for problems."""
        self.path = path
        self._problems: list[Problem] = []
        self._read: dict[str, LockEntry | None] = {}
        self._data = data
        try:
            self._text: LockText | None = LockText(data)
        except IrregularError:
            self._text = None

    @cached_property
    def _all(self) -> Mapping[str, LockEntry]:
        lock = read_lock_by_yaml(self._data, self.path)
        self._problems += lock.problems
        return lock.entries

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be understood so far; grows with what is asked."""
        if self._text is None:
            _ = self._all
        return tuple(dict.fromkeys(self._problems))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all entries, in the order of the file."""
        return tuple(self._all) if self._text is None else self._text.names

    def entry(self, name: str) -> LockEntry | None:
        """Return one entry, or None if the lock has none of this name."""
        if self._text is None:
            return self._all.get(name)
        if name not in self._read:
            try:
                self._read[name] = self._text.entry(name, self.path, self._problems)
            except IrregularError:
                self._text = None
                return self._all.get(name)
        return self._read[name]

    def source(self, name: str) -> bytes | None:
        """Return the bytes one entry can be read from: its own lines, or the whole lock.

        None if the lock has no such entry. Two versions with the same bytes have the same entry.
        """
        if self._text is None:
            return self._data
        text = self._text.entry_text(name)
        return None if text is None else text.encode()

    def mentioning(self, fragment: str) -> tuple[str, ...]:
        """Return the names of the entries that may hold a word, such as an md5."""
        return self.names if self._text is None else self._text.mentioning(fragment)

    def deps(self) -> Iterator[tuple[str, Recorded]]:
        """Yield each entry's name with each of its deps."""
        for name in self.names:
            entry = self.entry(name)
            yield from ((name, dep) for dep in (() if entry is None else entry.deps))

    def outs(self) -> Iterator[tuple[str, Recorded]]:
        """Yield each entry's name with each of its outs."""
        for name in self.names:
            entry = self.entry(name)
            yield from ((name, out) for out in (() if entry is None else entry.outs))
