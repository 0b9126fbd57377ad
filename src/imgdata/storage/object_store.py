"""Cloud object stores, through the synchronous interface of obstore (see ADR 0030)."""

import contextlib
import hashlib
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import obstore
from msgspec import Struct
from msgspec.structs import replace
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore

from imgdata.errors import ImgdataError
from imgdata.model.objects import FOLDER_SUFFIX, StoredObject
from imgdata.storage.keys import check_folder, check_key
from imgdata.storage.streams import ByteBudget, ended_early, exactly, no_object

if TYPE_CHECKING:  # these names exist in obstore's stubs only
    from obstore import Attributes, GetOptions, GetResult, ObjectMeta, PutResult

MEBIBYTE = 1 << 20

# obstore raises its own errors, and Python's FileNotFoundError and PermissionError.
FOREIGN = (BaseError, OSError)

_MD5 = re.compile(r"[0-9a-f]{32}")
_PLAIN_PART = re.compile(r"[A-Za-z0-9._-]+")
_OUT_OF_RANGE = re.compile(r"status code: 416|Invalid range requested")
_NO_RANGES = re.compile(r"non-partial response")
_PASSING = re.compile(
    r"<Code>(RequestTimeout|OperationAborted|ConditionalRequestConflict|BadDigest"
    r"|XAmzContentSHA256Mismatch)</Code>"
)
"""Refusals with a status of 4xx, which obstore takes as final, of what may go well next time."""


class Limits(Struct, frozen=True):
    """Numbers that decide how objects travel; sizes are bytes.

    Attributes:
        single_put: Up to here an object is one request, whose ETag is the md5 of the content.
        part: Size of the parts above that; grows so that 10,000 parts are enough.
        whole_read: Up to here an object is read by one request.
        piece: Size of the ranges that are read in parallel above that.
        memory: How much all writes of a storage may hold at once.
        retries: How often a request is tried again.
    """

    single_put: int = 64 * MEBIBYTE
    part: int = 16 * MEBIBYTE
    whole_read: int = 16 * MEBIBYTE
    piece: int = 8 * MEBIBYTE
    memory: int = 256 * MEBIBYTE
    retries: int = 8


STANDARD = Limits()
COLD_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes whose objects must be restored before they can be read; GLACIER_IR is none of them.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
"""
DATA_FOLDER = "files/"
MAX_PARTS = 9_000
PARALLEL_PARTS = 4
PARALLEL_PIECES = 4
TRIES = 4
PAUSE_S = 0.3
STREAM_CHUNK = MEBIBYTE

Explain = Callable[[str, BaseException], ImgdataError]
"""Turns what a service answered to an action ("write KEY") into our error."""


class ObjectStorage:
    """Keeps objects in a bucket or container, below a prefix.

    Errors of the service are explained by the function it is made with; the foreign error is not
    chained, because servers echo parts of the signed request in their answers.
    """

    def __init__(
        self,
        open_store: Callable[[], ObjectStore],
        prefix: str,
        description: str,
        explain: Explain,
        limits: Limits = STANDARD,
        storage_class: str = "",
    ) -> None:
        self._open_store = open_store
        self._prefix = f"{prefix}/" if prefix else ""
        self._description = description
        self._explain = explain
        self._class = storage_class
        # Nothing in an archive tier can be read back, so its ETag has to be the md5.
        self._limits = replace(limits, single_put=limits.memory) if self.is_cold else limits
        self._memory = ByteBudget(limits.memory)
        self._has_answered = False
        self._has_no_ranges = False

    @cached_property
    def _store(self) -> ObjectStore:
        """The service, opened when first spoken to: its client takes 6 ms to make."""
        return self._open_store()

    @property
    def description(self) -> str:
        """The url, without credentials."""
        return self._description

    @property
    def is_cold(self) -> bool:
        """Whether objects are in an archive tier, from which they are read only after hours."""
        return self._class in COLD_CLASSES

    def _attributes(self, key: str) -> "Attributes | None":
        """Return the class of an object; lists of files and markers stay readable at once."""
        is_data = self._class and key.startswith(DATA_FOLDER) and not key.endswith(FOLDER_SUFFIX)
        return {"Storage-Class": self._class} if is_data else None

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object, or None if there is none.

        One request; the first missing object of a storage costs a second one, which tells a
        missing object from a missing bucket.
        """
        path = self._path(key)
        with self._explained(f"look at {key}"):
            try:
                found = obstore.head(self._store, path)
            except FileNotFoundError:
                self._require_bucket()
                return None
        self._has_answered = True
        return StoredObject(key, found["size"], proven_md5(found["e_tag"], key))

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        """Open one object as chunks, in order. A big one is read by several requests at once."""
        with self.read_sized(key) as (_, chunks):
            yield chunks

    @contextmanager
    def read_sized(self, key: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open one object: its size, and its chunks as `read` gives them."""
        path = self._path(key)
        with self._explained(f"read {key}"):
            try:
                answer = obstore.get(self._store, path)
            except FileNotFoundError as error:
                self._require_bucket()
                raise no_object(key, self.description) from error
        self._has_answered = True
        meta = answer.meta
        wanted = _Wanted(key, path, meta["size"], meta["e_tag"])
        big = wanted.size > self._limits.whole_read
        with contextlib.closing(
            self._rest(wanted, 0) if big else self._stream(answer, wanted)
        ) as chunks:
            yield wanted.size, chunks

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`; of a server without ranges, by reading all."""
        path = self._path(key)
        if length == 0:
            return b""
        wanted = _Wanted(key, path, start + length, None)
        try:
            return self._piece(wanted, start, start + length)
        except _NoRangesError:
            whole = b"".join(self._again(wanted, start))
        return whole[:length]

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        """Store `size` bytes under the key; above 64 MiB in parts, and then without an md5."""
        path = self._path(key)
        counted = exactly(chunks, size, key)
        if size > self._limits.single_put:
            return self._write_parts(key, path, counted, size)
        with self._memory.hold(size):
            data = b"".join(counted)
            with self._explained(f"write {key}"):
                answer = self._put(path, data, attributes=self._attributes(key))
            self._has_answered = True
            return StoredObject(key, size, proven_md5(answer["e_tag"], key, data))

    def _put(
        self,
        path: str,
        data: bytes,
        *,
        mode: Literal["create", "overwrite"] = "overwrite",
        attributes: "Attributes | None" = None,
    ) -> "PutResult":
        """Send an object by one request; again where the answer says that it was a bad moment."""
        for left in reversed(range(min(TRIES, self._limits.retries + 1))):
            try:
                return obstore.put(
                    self._store, path, data, mode=mode, attributes=attributes, use_multipart=False
                )
            except FOREIGN as error:
                if not left or not _PASSING.search(str(error)):
                    raise
                time.sleep(PAUSE_S * (TRIES - left))
        raise AssertionError

    def erase(self, key: str) -> None:
        """Erase one object; it is no error when it is already gone."""
        path = self._path(key)
        with self._explained(f"erase {key}"):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                self._require_bucket()

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Yield all objects in the folder `under`; a request for each thousand."""
        start = self._prefix + (f"{folder}/" if (folder := check_folder(under)) else "")
        with self._explained(f"list {folder or 'its objects'}"):
            for page in self._pages(plain_ancestor(start) or None):
                for found in page:
                    if found["path"].startswith(start):
                        key = found["path"][len(self._prefix) :]
                        yield StoredObject(key, found["size"], proven_md5(found["e_tag"], key))

    def _pages(self, prefix: str | None) -> Iterator[Sequence["ObjectMeta"]]:
        """Yield what the service lists; where the connection breaks, go on after the last name.

        S3 promises the order of the names, so those up to the last one are known. A service that
        was seen not to keep it (S3 Express does not) is listed once.
        """
        last = known = ""
        in_order = True
        for left in reversed(range(TRIES)):
            try:
                for page in obstore.list(self._store, prefix, offset=known or None):
                    self._has_answered = True
                    fresh = [one for one in page if one["path"] > known]
                    names = [last, *(one["path"] for one in fresh)]
                    in_order = in_order and names == sorted(names)
                    last = max(names)
                    yield fresh
            except FOREIGN as error:
                if not (left and in_order) or "status code" in str(error):
                    raise
                known = last
            else:
                return

    def _path(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _write_parts(self, key: str, path: str, chunks: Iterator[bytes], size: int) -> StoredObject:
        part = max(self._limits.part, size // MAX_PARTS + 1)
        source = _Source(chunks)
        with self._memory.hold(part * PARALLEL_PARTS), self._explained(f"write {key}"):
            try:
                obstore.put(
                    self._store,
                    path,
                    source.chunks(),
                    attributes=self._attributes(key),
                    use_multipart=True,
                    chunk_size=part,
                    max_concurrency=PARALLEL_PARTS,
                )
            except FOREIGN:
                # What the source raised is not the service's answer.
                source.raise_again()
                raise
            arrived = obstore.head(self._store, path)["size"]
        if arrived != size:
            raise ended_early(key, self.description, arrived, size)
        return StoredObject(key, size, None)

    def _stream(self, answer: "GetResult", wanted: "_Wanted") -> Generator[bytes, None, None]:
        """Yield one answer's body; where the connection breaks, ask for the rest."""
        seen = 0
        with contextlib.suppress(*FOREIGN):
            for chunk in answer.stream(min_chunk_size=STREAM_CHUNK) if wanted.size else ():
                seen += len(chunk)
                yield bytes(chunk)
        if seen < wanted.size:
            # The announced size itself may be wrong.
            with self._explained(f"read {wanted.key}"):
                size = obstore.head(self._store, wanted.path)["size"]
            yield from self._rest(replace(wanted, size=size), seen)

    def _rest(self, wanted: "_Wanted", start: int) -> Generator[bytes, None, None]:
        """Yield an object from an offset on, by ranges where the server has them."""
        if start >= wanted.size:
            return
        if not self._has_no_ranges:
            try:
                yield from self._pieces(wanted, start)
            except _NoRangesError:
                # The very first range was answered so: nothing has been passed on yet.
                self._has_no_ranges = True
            else:
                return
        yield from self._again(wanted, start)

    def _again(self, wanted: "_Wanted", start: int) -> Generator[bytes, None, None]:
        """Yield an object from an offset on by reading it from its start, as often as needed."""
        for left in reversed(range(TRIES)):
            with self._explained(f"read {wanted.key}"):
                try:
                    answer = obstore.get(self._store, wanted.path, options=wanted.condition())
                    offset = 0
                    for chunk in answer.stream(min_chunk_size=STREAM_CHUNK):
                        fresh = bytes(chunk)[max(start - offset, 0) :]
                        offset += len(chunk)
                        start += len(fresh)
                        if fresh:
                            yield fresh
                except FOREIGN:
                    if not left:
                        raise
            if start >= wanted.size:
                return
        raise ended_early(wanted.key, self.description, start, wanted.size)

    def _pieces(self, wanted: "_Wanted", start: int) -> Generator[bytes, None, None]:
        """Yield an object from an offset on, a few ranges ahead of the reader."""
        step = self._limits.piece
        with ThreadPoolExecutor(PARALLEL_PIECES, thread_name_prefix="imgdata-read") as pool:
            ahead: deque[Future[bytes]] = deque()
            try:
                for begin in range(start, wanted.size, step):
                    end = min(begin + step, wanted.size)
                    ahead.append(pool.submit(self._piece, wanted, begin, end))
                    if len(ahead) >= PARALLEL_PIECES:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _piece(self, wanted: "_Wanted", begin: int, end: int) -> bytes:
        """Return one range. A connection that breaks in the body is tried again here."""
        data = b""
        for left in reversed(range(TRIES)):
            with self._explained(f"read {wanted.key}"):
                try:
                    answer = obstore.get(self._store, wanted.path, options=wanted.part(begin, end))
                    data = bytes(answer.bytes())
                except FOREIGN as error:
                    if not left or not self._worth_another_try(error, wanted, end):
                        raise
                    continue
            if len(data) == end - begin:
                return data
        raise ended_early(wanted.key, self.description, begin + len(data), end)

    def _worth_another_try(self, error: BaseException, wanted: "_Wanted", end: int) -> bool:
        """Tell whether a range may come through yet; raise what its answer is certain of."""
        text = str(error)
        if isinstance(error, FileNotFoundError):
            self._require_bucket()
            raise no_object(wanted.key, self.description) from None
        if _OUT_OF_RANGE.search(text):
            # Beyond the end, or the answer had announced more than there is.
            size = obstore.head(self._store, wanted.path)["size"]
            if size < end:
                raise ended_early(wanted.key, self.description, size, end) from None
            return True
        if _NO_RANGES.search(text):
            raise _NoRangesError from None
        # A status is an answer, and was tried again by obstore already.
        return "status code" not in text

    def _require_bucket(self) -> None:
        """Raise when the bucket itself is missing; asked once, a later absence is an object's."""
        if self._has_answered:
            return
        next(iter(obstore.list(self._store, plain_ancestor(self._prefix) or None)), None)
        self._has_answered = True

    def _explained(self, action: str) -> "_Explained":
        return _Explained(self, action)

    def explained(self, action: str, error: BaseException) -> ImgdataError:
        """Return the service's refusal of an action ("write KEY") as our error."""
        return self._explain(action, self._detailed(error))

    def _detailed(self, error: BaseException) -> BaseException:
        """Return an error that says why: the answer to HEAD has no body, that to a listing has."""
        if "Error performing HEAD" not in str(error):
            return error
        try:
            next(iter(obstore.list(self._store, plain_ancestor(self._prefix) or None)), None)
        except FOREIGN as told:
            return told
        return error


class ConditionalObjectStorage(ObjectStorage):
    """An object store that honours `If-None-Match` on writes."""

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Store the bytes unless the key exists; tell whether they were stored."""
        path = self._path(key)
        with self._explained(f"write {key}"):
            try:
                self._put(path, data, mode="create")
            except AlreadyExistsError as error:
                if _PASSING.search(str(error)):
                    raise
                return False
        return True


class _Explained:
    """Turns what the service answers inside a `with` into our errors."""

    def __init__(self, storage: ObjectStorage, action: str) -> None:
        self._storage = storage
        self._action = action

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise our error in place of the service's."""
        if isinstance(error, FOREIGN):
            raise self._storage.explained(self._action, error) from None


class _NoRangesError(Exception):
    """The server answers a range with the whole object."""


class _Wanted(Struct, frozen=True):
    """One version of an object: a later range of another version is refused by its ETag."""

    key: str
    path: str
    size: int
    etag: str | None

    def part(self, begin: int, end: int) -> "GetOptions":
        return {"range": (begin, end), **self.condition()}

    def condition(self) -> "GetOptions":
        return {"if_match": self.etag} if self.etag else {}


class _Source:
    """Chunks that are asked for by foreign code; remembers what they raised."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._raised: Exception | None = None

    def chunks(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except (ImgdataError, OSError) as error:
            self._raised = error
            raise

    def raise_again(self) -> None:
        if self._raised is not None:
            raise self._raised


def proven_md5(etag: str | None, key: str, data: bytes | None = None) -> str | None:
    """Return the ETag where it is certainly the md5 of the object, else None.

    An ETag of 32 hex digits is the md5 of a plain single upload, but no md5 under SSE-KMS or
    SSE-C, and nothing in the ETag tells which. It is certain when it equals the md5 in the name
    of a content-addressed object, or the md5 of the bytes that were sent.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html, ETag.
    """
    digest = (etag or "").strip('"').lower()
    if not _MD5.fullmatch(digest):
        return None
    if f"/{key}".removesuffix(FOLDER_SUFFIX).endswith(f"/{digest[:2]}/{digest[2:]}"):
        return digest
    if data is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() == digest:
        return digest
    return None


def plain_ancestor(folder: str) -> str:
    """Return the deepest folder above (or equal) whose name needs no escaping in a query.

    Servers disagree on how a space in the prefix of a listing is signed; what is listed too much
    is left out by the caller.
    """
    kept: list[str] = []
    for part in folder.split("/"):
        if not _PLAIN_PART.fullmatch(part):
            break
        kept.append(part)
    return "/".join(kept)
