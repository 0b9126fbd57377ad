"""The one engine that moves objects: hashed while they stream, checked when they arrive."""

import hashlib
import queue
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Generic, Literal, TypeGuard, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from imgdata.errors import DamagedError, MachineError, StorageError
from imgdata.model.objects import FOLDER_SUFFIX, StoredObject, legacy_key, object_key
from imgdata.ports import CanBeCold, CanReadSized, CanReadTogether, CanTidy, Storage
from imgdata.system.line_ends import LegacyMd5
from imgdata.system.progress import SILENT, Progress

How = Literal["read", "checksum", "size"]
DEFAULT_JOBS = 8
QUEUED_PER_JOB = 4
Given = TypeVar("Given")
Made = TypeVar("Made")


class Item(Struct, frozen=True):
    """One object to move or to check.

    Attributes:
        object_id: Its md5, with `.dir` for a folder list.
        names: The files that have this content, for messages; never empty.
        size: Bytes, or None where nobody knows before reading.
        legacy: DVC before 3 recorded it: another layout, and another md5 of text with CR LF.
    """

    object_id: str
    names: tuple[str, ...]
    size: int | None = None
    legacy: bool = False

    @property
    def key(self) -> str:
        """Where it lies below a cache or storage."""
        return legacy_key(self.object_id) if self.legacy else object_key(self.object_id)

    def is_contradicted_by(self, found: StoredObject) -> bool:
        """Tell whether what a storage says of an object cannot be this one."""
        if self.size is not None and self.size != found.size:
            return True
        # A server's md5 is of the bytes as they are, which is not what DVC 2 computed.
        return found.md5 is not None and found.md5 != self.md5 and not self.legacy

    @property
    def md5(self) -> str:
        """The md5 its bytes must have."""
        return self.object_id[:32]

    def sized(self, stored: Mapping[str, StoredObject]) -> "Item":
        """Return the item with the size its object has in a place, where it is there."""
        found = stored.get(self.key)
        return self if found is None else replace(self, size=found.size)


class Moved(Struct, frozen=True):
    """The object arrived, and how that is known."""

    item: Item
    size: int
    how: How


class Intact(Struct, frozen=True):
    """The object is in place and has the right content, and how that is known."""

    item: Item
    size: int
    how: How


class Damaged(Struct, frozen=True):
    """The object's bytes at a place are not what its name says."""

    item: Item
    place: str
    found: str


class Missing(Struct, frozen=True):
    """The place has no such object; `why` where it says more."""

    item: Item
    place: str
    why: str = ""


MoveOutcome = Moved | Damaged | Missing
CheckOutcome = Intact | Damaged | Missing


class _WrongContentError(Exception):
    """The bytes that were read have another md5; never leaves this module."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def _hashed(chunks: Iterable[bytes], item: Item) -> Iterator[bytes]:
    """Pass chunks on; raise at the end, before anything is published, when the md5 differs."""
    digest = hashlib.md5(usedforsecurity=False)
    legacy = LegacyMd5() if item.legacy else None
    for chunk in chunks:
        digest.update(chunk)
        if legacy is not None:
            legacy.update(chunk)
        yield chunk
    found = digest.hexdigest()
    if found != item.md5 and (legacy is None or legacy.hexdigest() != item.md5):
        raise _WrongContentError(found)


def read_whole(storage: Storage, item: Item) -> bytes:
    """Return one object's checked bytes; for folder lists and other small objects.

    Raises:
        DamagedError: It is missing, or its bytes are not what its name says.
    """
    try:
        with storage.read(item.key) as chunks:
            return b"".join(_hashed(chunks, item))
    except _WrongContentError as error:
        problem = f"{item.names[0]} is damaged on {storage.description}"
        cause = f"{item.key} has md5 {error.found}"
        raise DamagedError(problem, cause=cause) from error


def move_one(item: Item, source: Storage, target: Storage, *, read_back: bool) -> MoveOutcome:
    """Copy one object; nothing damaged is ever visible at the target.

    Raises:
        StorageError: A place cannot be reached or refuses.
        MachineError: This machine is in the way.
    """
    try:
        with _sized(item, source) as (size, chunks):
            stored = target.write(item.key, _hashed(chunks, item), size)
    except _WrongContentError as error:
        return Damaged(item, source.description, f"md5 {error.found}")
    except DamagedError as error:
        if source.stat(item.key) is None:
            return Missing(item, source.description)
        return Damaged(item, source.description, error.cause or error.problem)
    return _arrival(item, stored, target) if read_back else Moved(item, stored.size, "size")


@contextmanager
def _sized(item: Item, source: Storage) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Open an object with its size; that is asked for apart where the storage cannot tell both."""
    if item.size is None and can_read_sized(source):
        with source.read_sized(item.key) as opened:
            yield opened
        return
    size = item.size
    if size is None:
        found = source.stat(item.key)
        size = found.size if found else 0  # reading it then says that it is absent
    with source.read(item.key) as chunks:
        yield size, chunks


def can_read_sized(storage: Storage) -> TypeGuard[CanReadSized]:
    """Tell whether a storage tells sizes while it reads."""
    return _has_sized_reading(type(storage))


@cache
def _has_sized_reading(kind: type[Storage]) -> bool:
    return issubclass(kind, CanReadSized)  # as slow as a small request's own work, so asked once


def _arrival(item: Item, stored: StoredObject, target: Storage) -> MoveOutcome:
    if stored.md5 is not None and not item.legacy:
        if stored.md5 == item.md5:
            return Moved(item, stored.size, "checksum")
        return Damaged(item, target.description, f"checksum {stored.md5} after upload")
    match check_one(item, target):
        case Intact(_, size, how):
            return Moved(item, size, how)
        case (Damaged() | Missing()) as outcome:
            return outcome


def check_one(item: Item, storage: Storage) -> CheckOutcome:
    """Read one object back and hash it; in an archive tier, compare the storage's checksum."""
    if is_cold(storage) and not item.object_id.endswith(FOLDER_SUFFIX):
        return _by_checksum(item, storage)
    size = 0
    try:
        with storage.read(item.key) as chunks:
            for chunk in _hashed(chunks, item):
                size += len(chunk)
    except _WrongContentError as error:
        return Damaged(item, storage.description, f"md5 {error.found}, {size} bytes")
    except DamagedError as error:
        if storage.stat(item.key) is None:
            return Missing(item, storage.description, error.cause)
        return Damaged(item, storage.description, error.cause or error.problem)
    return Intact(item, size, "read")


def is_cold(storage: Storage) -> bool:
    """Tell whether a storage is an archive tier, whose objects cannot be read now."""
    return isinstance(storage, CanBeCold) and storage.is_cold


def _by_checksum(item: Item, storage: Storage) -> CheckOutcome:
    """Compare what the storage says of an object; without a checksum its size is all there is."""
    found = storage.stat(item.key)
    if found is None:
        return Missing(item, storage.description)
    if found.md5 is None:
        return Intact(item, found.size, "size")
    if found.md5 != item.md5:
        return Damaged(item, storage.description, f"checksum {found.md5}")
    return Intact(item, found.size, "checksum")


def move_all(
    items: Iterable[Item],
    source: Storage,
    target: Storage,
    *,
    read_back: bool,
    jobs: int = DEFAULT_JOBS,
    progress: Progress = SILENT,
) -> Iterator[MoveOutcome]:
    """Move objects in parallel; outcomes come as they finish.

    A damaged or missing object does not stop the others; an unreachable place or a full disk does,
    after what is under way has ended.
    """

    def work(item: Item, source: Storage) -> MoveOutcome:
        outcome = move_one(item, source, target, read_back=read_back)
        progress.advance(items=1, size=outcome.size if isinstance(outcome, Moved) else 0)
        return outcome

    return _work_all(work, items, source, jobs)


def tidy_beside(storage: Storage, keys: Iterable[str]) -> None:
    """Remove what killed writers left where objects went: a rerun writes the same objects."""
    folders = sorted({key.rpartition("/")[0] for key in keys})
    if isinstance(storage, CanTidy) and folders:
        with suppress(StorageError, MachineError):  # what was asked for is done already
            storage.tidy(folders)


def check_all(
    items: Iterable[Item],
    storage: Storage,
    *,
    jobs: int = DEFAULT_JOBS,
    progress: Progress = SILENT,
) -> Iterator[CheckOutcome]:
    """Read objects back in parallel; outcomes come as they finish."""

    def work(item: Item, storage: Storage) -> CheckOutcome:
        outcome = check_one(item, storage)
        progress.advance(items=1, size=outcome.size if isinstance(outcome, Intact) else 0)
        return outcome

    return _work_all(work, items, storage, jobs)


def _work_all(
    work: Callable[[Item, Storage], Made], items: Iterable[Item], source: Storage, jobs: int
) -> Iterator[Made]:
    """Work on objects in parallel; those that the source reads together, one after another."""
    if not isinstance(source, CanReadTogether):
        yield from in_parallel(lambda item: work(item, source), items, jobs)
        return
    by_key = {item.key: item for item in items}
    groups = source.together(tuple(by_key))
    for done in in_parallel(lambda group: _work_group(work, group, by_key, source), groups, jobs):
        yield from done.made
        if done.error is not None:
            raise done.error


class _Group(Struct, Generic[Made], frozen=True):
    """What was made of a group before it ended, or before an error ended it."""

    made: tuple[Made, ...]
    error: StorageError | None


def _work_group(
    work: Callable[[Item, Storage], Made],
    group: tuple[str, ...],
    by_key: Mapping[str, Item],
    source: Storage,
) -> _Group[Made]:
    if len(group) == 1 or not isinstance(source, CanReadTogether):
        return _Group(tuple(work(by_key[key], source) for key in group), None)
    made: list[Made] = []
    try:
        with source.read_together(group) as opened:
            for key, chunks in opened:
                made.append(work(by_key[key], _Opened(source, chunks)))
    except StorageError as error:
        return _Group(tuple(made), error)
    return _Group(tuple(made), None)


class _Opened:
    """A storage of which the one object that is read next is open already."""

    def __init__(self, storage: Storage, chunks: Iterator[bytes]) -> None:
        self._storage = storage
        self._chunks = chunks
        self.description = storage.description
        self.stat, self.write, self.list = storage.stat, storage.write, storage.list

    @contextmanager
    def read(self, _key: str) -> Iterator[Iterator[bytes]]:
        """Hand over what is open."""
        yield self._chunks


class _Ended(Struct, frozen=True):
    """A worker ended: it found nothing more to do, or met this error."""

    error: BaseException | None


class _Workers(Generic[Given, Made]):
    """Threads that take items one at a time and hand over what they made."""

    def __init__(
        self, work: Callable[[Given], Made], given: Iterable[Given], jobs: int, together: int
    ) -> None:
        self._work = work
        self._todo = iter(given)
        self._together = together
        self._taking = threading.Lock()
        self._stopping = threading.Event()
        self.done: queue.Queue[list[Made] | _Ended] = queue.Queue(jobs * QUEUED_PER_JOB)
        for _ in range(jobs):
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        error: BaseException | None = None
        made: list[Made] = []
        try:
            while not self._stopping.is_set():
                with self._taking:
                    one = next(self._todo)
                made.append(self._work(one))
                if len(made) >= self._together:
                    self.done.put(made)
                    made = []
        except StopIteration:
            pass
        except BaseException as raised:  # noqa: BLE001 - the reader raises it again
            self._stopping.set()
            error = raised
        if made:
            self.done.put(made)
        self.done.put(_Ended(error))

    def stop(self, running: int) -> None:
        """Let the workers that still run end what they have begun."""
        self._stopping.set()
        while running:
            running -= isinstance(self.done.get(), _Ended)


def in_parallel(
    work: Callable[[Given], Made], given: Iterable[Given], jobs: int, *, together: int = 1
) -> Iterator[Made]:
    """Yield results as they finish, a few calls ahead of the reader; the first error stops it.

    What had finished before an error is still yielded first, so that it can be noted. `given` is
    read by the workers, one at a time. `together` is how many results a worker hands over at
    once: for thousands of calls shorter than it takes to wake the reader for each.
    """
    if isinstance(given, Collection):
        if len(given) <= 1:  # threads would cost more than most single calls
            yield from map(work, given)
            return
        jobs = min(jobs, len(given))
    workers = _Workers(work, given, jobs, together)
    errors: list[BaseException] = []
    running = jobs
    try:
        while running:
            result = workers.done.get()
            if isinstance(result, _Ended):
                running -= 1
                errors += [result.error] if result.error is not None else []
            else:
                yield from result
    finally:
        workers.stop(running)
    if errors:
        raise errors[0]
