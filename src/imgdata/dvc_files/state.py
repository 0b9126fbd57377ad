"""DVC's state rows: which md5 a file had when it was last read, so that nobody reads it twice.

The rows are DVC's own (dvc_data.hashfile.state, version 1), in its folder and by its formula, so
that plain `dvc status` after imgdata hashes nothing, and the other way round. A row is written only
when the file did not change while it was read.
"""

import contextlib
import getpass
import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.config import LEGACY_SITE_CACHE
from imgdata.system.files import Stamp

logger = logging.getLogger(__name__)

DVC_MAJOR = 3
SALT = 0
ROW_VERSION = 1
UPSERT = (
    "INSERT INTO Cache(key, raw, store_time, expire_time, access_time, tag, mode, filename, value)"
    " VALUES (?, 1, 0, null, 0, null, 1, null, ?)"
    " ON CONFLICT(key, raw) DO UPDATE SET value = excluded.value"
)
MOVE = (
    "UPDATE OR REPLACE Cache SET key = ? || substr(key, ?)"
    " WHERE raw = 1 AND (key = ? OR (key > ? AND key < ?))"
)  # "0" is the character after "/"
CHUNK = 900  # below the 999 host parameters of old SQLite builds


class Row(Struct, frozen=True):
    """One file whose md5 is known as long as its stamp holds. `path` is absolute."""

    path: str
    stamp: Stamp
    md5: str


def checksum(stamp: Stamp) -> str:
    """Return DVC's token for an unchanged file (fsspec's tokenize of inode, time and size)."""
    text = str(([stamp.inode, stamp.mtime, stamp.size],))
    return str(int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16))


def state_folder(root: Path, site_cache_dir: Path) -> Path:
    """Return the folder of a repository's rows below DVC's site cache.

    `.dvc/tmp/btime` tells apart two repositories that lived at one path one after the other.
    """
    marker = root / ".dvc" / "tmp" / "btime"
    with contextlib.suppress(FileExistsError):
        marker.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    token = str((str(root), None, marker.stat().st_mtime, getpass.getuser(), DVC_MAJOR, SALT))
    digest = hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()
    return site_cache_dir / "repo" / digest


class State:
    """The rows of one repository. Opening is lazy; a missing store has no rows."""

    def __init__(self, root: Path, site_cache_dir: Path) -> None:
        self._root = root
        self._site = site_cache_dir
        self._held: list[Row] | None = None
        self._store: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Open the rows once for many small questions, and write all new ones at the end."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            store, self._store = self._store, None
            if store is not None:
                store.close()
            self.write(held)

    def _database(self) -> Path:
        return state_folder(self._root, self._site) / "hashes" / "local" / "cache.db"

    def read(self, paths: Iterable[str]) -> Mapping[str, tuple[str, str]]:
        """Return checksum and md5 by absolute path, for those that have a row."""
        store = self._store or self._open()
        if store is None:
            return {}
        try:
            return dict(_query(store, list(paths)))
        except sqlite3.DatabaseError:
            return {}  # a damaged store only costs a hash
        finally:
            if self._held is None:
                store.close()
            else:
                self._store = store

    def _open(self) -> sqlite3.Connection | None:
        try:
            database = self._database()
        except OSError:
            return None  # a read-only checkout without a marker has no rows
        if not database.is_file():
            return None
        return sqlite3.connect(f"file:{database}?mode=ro", uri=True)

    def known_md5(self, path: str, stamp: Stamp) -> str | None:
        """Return the md5 of a file that has not changed since it was hashed, else None."""
        row = self.read([path]).get(path)
        return row[1] if row and row[0] == checksum(stamp) else None

    def move(self, before: str, after: str) -> None:
        """Let the rows of a file, or of all files below a folder, follow it to another path.

        A file that is renamed keeps inode, time and size, so its row holds there too.
        """
        with contextlib.suppress(OSError, sqlite3.Error):  # then they are hashed again
            database = self._database()
            if not database.is_file():
                return
            with contextlib.closing(sqlite3.connect(database, timeout=60)) as store, store:
                store.execute(MOVE, (after, len(before) + 1, before, f"{before}/", f"{before}0"))

    def write(self, rows: Iterable[Row]) -> None:
        """Add or replace rows, all in one transaction.

        Where they cannot be kept (read-only checkout, damaged store, full disk), the files are
        hashed again next time, nothing else.
        """
        if self._held is not None:
            self._held += rows
            return
        values = [(row.path, _row_text(row)) for row in rows]
        if not values:
            return
        try:
            database = self._database()
            if not database.is_file():
                if self._site == LEGACY_SITE_CACHE:
                    make_shared_folder(self._site / "repo")
                _create(database.parent)
            with contextlib.closing(sqlite3.connect(database, timeout=60)) as store, store:
                store.executemany(UPSERT, values)
        except (OSError, sqlite3.Error) as error:
            logger.info("state rows could not be kept: %s", error)


def make_shared_folder(folder: Path) -> None:
    """Make DVC's default folder as DVC does: made by one user only, it would lock out all others.

    Source: `Repo.site_cache_dir` of DVC 3.
    """
    before = os.umask(0)
    try:
        for one in (folder.parent, folder):
            one.mkdir(mode=0o777, exist_ok=True)
    finally:
        os.umask(before)


def _row_text(row: Row) -> str:
    """Return the row as JSON, written by hand: there are two rows for each file of a plate."""
    return (
        f'{{"version": {ROW_VERSION}, "checksum": "{checksum(row.stamp)}", '
        f'"size": {row.stamp.size}, "hash_info": {{"md5": "{row.md5}"}}}}'
    )


def _query(store: sqlite3.Connection, paths: list[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for start in range(0, len(paths), CHUNK):
        some = paths[start : start + CHUNK]
        marks = ",".join("?" * len(some))
        query = f"SELECT key, value FROM Cache WHERE key IN ({marks}) AND raw = 1"  # noqa: S608 - only marks
        for path, text in store.execute(query, some):
            try:
                row = json.loads(text)
                if row["version"] == ROW_VERSION and row["hash_info"].get("md5"):
                    yield path, (str(row["checksum"]), str(row["hash_info"]["md5"]))
            except (ValueError, LookupError, TypeError, AttributeError):
                continue  # not a row of this version of DVC


def _create(folder: Path) -> None:
    """Make an empty store with diskcache itself, with the settings DVC gives it."""
    import diskcache  # noqa: PLC0415 - only for the first row of a clone

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    diskcache.Cache(str(folder), disk_pickle_protocol=4, cull_limit=0).close()
