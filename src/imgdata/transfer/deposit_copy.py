"""Published deposits as a storage that only lets itself be read: whole files and pack members.

What is read is hashed by whoever reads it, as from any storage.
"""

import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from imgdata.errors import (
    CredentialsError,
    DamagedError,
    MachineError,
    RefusedError,
    StorageError,
)
from imgdata.model.deposits import DepositedFile, DepositRecord
from imgdata.model.objects import StoredObject
from imgdata.ports import CanReadBack
from imgdata.system.files import machine_error
from imgdata.transfer.deposit_index import Index, Place, read_index

LARGEST_GAP = 1 << 20
"""Bytes read for nothing rather than asked around: another request costs more than a megabyte."""

LARGEST_RUN = 64 << 20
ATTEMPTS = 4
CHUNK = 1 << 20
_WHOLE_ONLY = frozenset({200, 416})
_Pieces = Iterator[tuple[str, Iterator[bytes]]]


class Visit:
    """Reads as the public does, and with the account's token only where that is refused."""

    def __init__(self, public: CanReadBack, account: Callable[[], CanReadBack | None]) -> None:
        self._public = public
        self._account = account
        self._as_owner: set[str] = set()

    def published(self, record: DepositRecord) -> tuple[DepositedFile, ...]:
        """Return the files of a published version."""
        try:
            return self._public.published(record)
        except CredentialsError as error:
            owner = self._account()
            if owner is None:
                msg = f"the files of {record.doi or record.identifier} are not open to the public"
                raise CredentialsError(
                    msg, cause=error.cause, remedy=f"imgdata storage login {record.repository}"
                ) from error
            self._as_owner.add(record.identifier)
            return owner.published(record)

    def reader(self, record: DepositRecord) -> CanReadBack:
        """Return who reads this record."""
        owner = self._account() if record.identifier in self._as_owner else None
        return owner or self._public


class DepositStorage:
    """The published deposits of one repository, newest first."""

    def __init__(
        self, name: str, records: Sequence[DepositRecord], visit: Visit, scratch: Path
    ) -> None:
        """Describe them; no request is made.

        Args:
            name: The repository's name in imgdata.yaml.
            records: What the project remembers of what it published there, oldest first.
            visit: Reads the records.
            scratch: Where a pack is kept while its server gives it as a whole only.
        """
        self._name = name
        self._records = tuple(reversed(records))
        self._visit = visit
        self._scratch = scratch
        self._lock = threading.Lock()
        self._known: Index | None = None
        self._spooled: dict[tuple[str, str], IO[bytes]] = {}

    @property
    def description(self) -> str:
        """The DOIs, for messages."""
        return ", ".join(record.page for record in self._records)

    @property
    def _index(self) -> Index:
        with self._lock:
            if self._known is None:
                self._known = read_index(self._records, self._visit, self._whole)
            return self._known

    def _whole(self, record: DepositRecord, file: DepositedFile) -> bytes:
        return b"".join(self._range(record, file, 0, file.size))

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object by the records' present checksums; they are read once."""
        index = self._index
        if key in index.lists:
            return StoredObject(key, len(index.lists[key]), _md5_of(key))
        place = index.places.get(key)
        if place is None and index.refused is not None:
            raise index.refused
        if place is None:
            return None
        return StoredObject(key, place.size, place.damaged or _md5_of(key))

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Yield what the deposits hold, as far as they are open."""
        index = self._index
        if index.is_closed and index.refused is not None:
            raise index.refused
        for key in (*index.lists, *index.places):
            found = self.stat(key)
            if found is not None and key.startswith(f"{under}/" if under else ""):
                yield found

    def write(self, key: str, _chunks: Iterable[bytes], _size: int) -> StoredObject:
        """Refuse: a published record does not change."""
        msg = f"{key} cannot be written to '{self._name}': a published record does not change"
        raise RefusedError(msg, remedy="imgdata publish LEVEL --new-version")

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        """Open one object; a member of a pack is one range request."""
        with self.read_together((key,)) as opened:
            for _, chunks in opened:
                yield chunks
                return

    def together(self, keys: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Sort keys into runs of one file that lie close enough to be read in one request."""
        index = self._index
        placed = [(index.places[key], key) for key in keys if key in index.places]
        groups: list[tuple[str, ...]] = [(key,) for key in keys if key not in index.places]
        run: list[str] = []
        end, here, start = 0, ("", ""), 0
        for place, key in sorted(placed, key=lambda one: _where(one[0])):
            file = (place.record.identifier, place.file.name)
            stop = place.offset + place.size
            far = place.offset - end > LARGEST_GAP or stop - start > LARGEST_RUN
            if run and (file != here or far):
                groups.append(tuple(run))
                run = []
            if not run:
                start, here = place.offset, file
            run.append(key)
            end = stop
        return (*groups, tuple(run)) if run else tuple(groups)

    @contextmanager
    def read_together(self, keys: tuple[str, ...]) -> Iterator[_Pieces]:
        """Open the objects of one run."""
        index = self._index
        absent = [key for key in keys if key not in index.places and key not in index.lists]
        if absent:
            msg = f"{absent[0]} is in no deposit on '{self._name}'"
            raise DamagedError(msg, cause="\n".join(index.gone))
        if keys[0] in index.lists:
            yield ((key, iter([index.lists[key]])) for key in keys)
            return
        places = sorted(((index.places[key], key) for key in keys), key=lambda one: _where(one[0]))
        first, last = places[0][0], places[-1][0]
        length = last.offset + last.size - first.offset
        with closing(self._range(first.record, first.file, first.offset, length)) as chunks:
            cut = _Cut(chunks, first.offset)
            yield ((key, cut.piece(place.offset, place.size)) for place, key in places)

    def _range(
        self, record: DepositRecord, file: DepositedFile, start: int, length: int
    ) -> Generator[bytes]:
        """Yield a range, going on where a dropped connection stopped."""
        done, attempt = 0, 1
        is_whole = start == 0 and length == file.size
        from_start = is_whole
        while done < length:
            if (record.identifier, file.name) in self._spooled:
                yield from self._from_spool(record, file, start + done, length - done)
                return
            try:
                for piece in self._once(record, file, start + done, length - done, from_start):
                    done += len(piece)
                    yield piece
            except StorageError as error:
                whole_only = getattr(error, "status", 0) in _WHOLE_ONLY
                if isinstance(error, CredentialsError) or attempt == ATTEMPTS:
                    raise
                if whole_only and not is_whole:
                    self._spool(record, file)
                # What has arrived is kept where the server can begin in the middle.
                from_start = is_whole and (whole_only or not done)
                attempt += 1

    def _once(
        self,
        record: DepositRecord,
        file: DepositedFile,
        start: int,
        length: int,
        from_start: bool,  # noqa: FBT001 - private
    ) -> Iterator[bytes]:
        """Yield a range by one request, of the whole file where that is asked for."""
        begin, asked = (0, None) if from_start else (start, length)
        reader = self._visit.reader(record)
        left = length
        with reader.content(record, file.name, begin, asked) as chunks:
            for piece in _Cut(chunks, begin).piece(start, length):
                left -= len(piece)
                yield piece
        if left:
            msg = f"{file.name} ended early"
            raise StorageError(msg, cause=f"{length - left} of {length} bytes")

    def _spool(self, record: DepositRecord, file: DepositedFile) -> None:
        """Bring a whole file here, whose server does not begin in the middle; once a command."""
        key = (record.identifier, file.name)
        with self._lock:
            if key in self._spooled:
                return
            try:
                self._scratch.mkdir(parents=True, exist_ok=True)
                spool = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - outlives this
                for chunk in self._range(record, file, 0, file.size):
                    spool.write(chunk)
                spool.flush()
            except OSError as error:
                raise machine_error(error, "write to", self._scratch) from error
            weakref.finalize(self, spool.close)
            self._spooled[key] = spool

    def _from_spool(
        self, record: DepositRecord, file: DepositedFile, start: int, length: int
    ) -> Iterator[bytes]:
        descriptor = self._spooled[record.identifier, file.name].fileno()
        while length:
            chunk = os.pread(descriptor, min(CHUNK, length), start)
            if not chunk:
                msg = f"{file.name} ended early"
                raise MachineError(msg)
            start, length = start + len(chunk), length - len(chunk)
            yield chunk


class _Cut:
    """One stream of bytes, handed out as pieces in the order of their offsets."""

    def __init__(self, chunks: Iterator[bytes], start: int) -> None:
        self._chunks = chunks
        self._at = start
        self._held = b""

    def piece(self, start: int, size: int) -> Iterator[bytes]:
        """Yield the next piece; what lies before it is passed over."""
        for _ in self._take(start - self._at):
            pass
        yield from self._take(size)

    def _take(self, size: int) -> Iterator[bytes]:
        while size > 0:
            self._held = self._held or next(self._chunks, b"")
            if not self._held:
                return
            chunk, self._held = self._held[:size], self._held[size:]
            self._at += len(chunk)
            size -= len(chunk)
            yield chunk


def _where(place: Place) -> tuple[str, str, int]:
    return place.record.identifier, place.file.name, place.offset


def _md5_of(key: str) -> str:
    return key.removeprefix("files/md5/").replace("/", "")[:32]
