"""Remember what was read from a file, so that an unchanged file is never read twice.

A row belongs to a path, a size, a time of change and an inode; any difference reads again. The
table is a convenience: when it cannot be read or written, files are read once more.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from imgdata.model.facts import Reading
from imgdata.workflows.check_walk import Candidate

_log = logging.getLogger(__name__)
FILE_NAME = "check-1.sqlite"
_KEEP_ROWS = 2_000_000
_AT_ONCE = 900  # below the 999 host parameters of old SQLite builds


class Remembered(msgspec.Struct, frozen=True):
    """What one file told: its reading (None: no image)."""

    reading: Reading | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode


def stamp_of(candidate: Candidate, version: str) -> str:
    """Return what must be equal for a remembered reading to be used."""
    return f"{version}:{candidate.size}:{candidate.mtime_ns}:{candidate.inode}"


def _key(candidate: Candidate) -> str:
    return os.path.abspath(candidate.full)  # noqa: PTH100 - a link has readings of its own


def _rows(table: sqlite3.Connection, paths: list[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield the rows of some paths: the table has those of every project of this clone."""
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        yield from table.execute(
            f"SELECT path, stamp, data FROM reading WHERE path IN ({marks})",  # noqa: S608 - marks
            some,
        )


class Cache:
    """Readings by path in one SQLite file; without a folder it remembers nothing."""

    def __init__(self, folder: Path | None, version: str) -> None:
        self._file = folder / FILE_NAME if folder is not None else None
        self._version = version

    def load(self, candidates: Iterable[Candidate]) -> dict[str, Remembered]:
        """Return what is remembered of unchanged files, by candidate name."""
        if self._file is None or not self._file.is_file():
            return {}
        wanted = {_key(c): c for c in candidates}
        found: dict[str, Remembered] = {}
        try:
            with closing(self._open()) as table:
                for path, stamp, data in _rows(table, list(wanted)):
                    one = wanted[path]
                    if stamp == stamp_of(one, self._version):
                        found[one.name] = _decode(data)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            _log.info("remembered readings cannot be used: %s", error)
        return found

    def save(self, rows: Mapping[Candidate, Remembered]) -> None:
        """Remember readings; a full or read-only disk is no reason to stop a check."""
        if self._file is None or not rows:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as table, table:
                table.executemany(
                    "INSERT OR REPLACE INTO reading VALUES (?, ?, ?)",
                    [
                        (_key(c), stamp_of(c, self._version), _encode(row))
                        for c, row in rows.items()
                    ],
                )
                table.execute(
                    "DELETE FROM reading WHERE rowid <= (SELECT max(rowid) FROM reading) - ?",
                    (_KEEP_ROWS,),
                )
        except (sqlite3.Error, OSError) as error:
            _log.info("readings cannot be remembered: %s", error)

    def _open(self) -> sqlite3.Connection:
        table = sqlite3.connect(f"{self._file}", timeout=5)
        table.execute("PRAGMA synchronous=OFF")
        table.execute(
            "CREATE TABLE IF NOT EXISTS reading (path TEXT PRIMARY KEY, stamp TEXT, data BLOB)"
        )
        return table
