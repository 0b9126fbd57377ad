"""What every storage promises, as tests: derive a class, give it a `storage` fixture.

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self, tmp_path: Path) -> Storage:
            return MyStorage(tmp_path)

The fixture must give an empty storage to each test.
"""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from imgdata.errors import DamagedError, InvalidProjectError, StorageError
from imgdata.model.objects import StoredObject
from imgdata.ports import (
    CanErase,
    CanFlush,
    CanReadRange,
    CanReadSized,
    CanWriteIfAbsent,
    Storage,
)

KEY = "files/md5/ab/cdef0123456789abcdef0123456789"

REFUSED_KEYS = [
    "",
    "/etc/passwd",
    "..",
    "../outside",
    "files/../../outside",
    "files/./x",
    "files//x",
    "files/",
    "files\\x",
    "files/x\0y",
    "files/x\ny",
    "files/\udcff",
    "files/" + "x" * 256,
    "x/" * 500 + "x",
    "files/.tmp-imgdata-0123",
]


class SourceBrokeError(Exception):
    """Stands for whatever a source of chunks may raise."""


def md5(data: bytes) -> str:
    """Return the md5 as a storage gives it."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def store(storage: Storage, key: str, data: bytes) -> StoredObject:
    """Write all bytes in one chunk."""
    return storage.write(key, [data], len(data))


def fetch(storage: Storage, key: str) -> bytes:
    """Read a whole object."""
    with storage.read(key) as chunks:
        return b"".join(chunks)


def keys(storage: Storage, under: str = "") -> list[str]:
    """Return all listed keys, sorted, each as often as it was listed."""
    return sorted(found.key for found in storage.list(under))


class StorageContract:
    """The tests each storage passes; those of an ability it lacks are skipped.

    Attributes:
        reads_whole: An object that is overwritten meanwhile is still read whole. Where objects
            are read in several requests the reader may get an error instead, never a mixture.
    """

    reads_whole: ClassVar[bool] = True

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty storage; each test gets its own."""
        raise NotImplementedError

    @pytest.fixture
    def eraser(self, storage: Storage) -> CanErase:
        """The same storage, if it has the ability."""
        if not isinstance(storage, CanErase):
            pytest.skip(f"{storage.description} has no CanErase")
        return storage

    @pytest.fixture
    def ranged(self, storage: Storage) -> CanReadRange:
        """The same storage, if it has the ability."""
        if not isinstance(storage, CanReadRange):
            pytest.skip(f"{storage.description} has no CanReadRange")
        return storage

    @pytest.fixture
    def sized(self, storage: Storage) -> CanReadSized:
        """The same storage, if it has the ability."""
        if not isinstance(storage, CanReadSized):
            pytest.skip(f"{storage.description} has no CanReadSized")
        return storage

    @pytest.fixture
    def careful(self, storage: Storage) -> CanWriteIfAbsent:
        """The same storage, if it has the ability."""
        if not isinstance(storage, CanWriteIfAbsent):
            pytest.skip(f"{storage.description} has no CanWriteIfAbsent")
        return storage

    @pytest.fixture
    def flusher(self, storage: Storage) -> CanFlush:
        """The same storage, if it has the ability."""
        if not isinstance(storage, CanFlush):
            pytest.skip(f"{storage.description} has no CanFlush")
        return storage

    @pytest.mark.parametrize("size", [0, 1, 4096, 3_000_001])
    def test_what_was_written_is_read_back(self, storage: Storage, size: int) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        storage.write(KEY, _pieces(data[:size], 70_000), size)
        assert md5(fetch(storage, KEY)) == md5(data[:size])

    def test_a_write_is_described_by_key_and_size(self, storage: Storage) -> None:
        written = store(storage, KEY, b"hello")
        assert (written.key, written.size) == (KEY, 5)
        seen = storage.stat(KEY)
        assert seen is not None
        assert (seen.key, seen.size) == (KEY, 5)

    def test_a_checksum_it_gives_is_that_of_the_content(self, storage: Storage) -> None:
        described = [store(storage, KEY, b"hello"), storage.stat(KEY), *storage.list()]
        md5s = {one.md5 for one in described if one is not None}
        assert md5s <= {None, md5(b"hello")}

    def test_a_write_whose_source_breaks_leaves_no_object(self, storage: Storage) -> None:
        def broken() -> Iterator[bytes]:
            yield b"first half"
            raise SourceBrokeError

        with pytest.raises(SourceBrokeError):
            storage.write(KEY, broken(), 20)
        assert storage.stat(KEY) is None
        assert keys(storage) == []

    def test_a_failed_write_leaves_the_old_object_as_it_was(self, storage: Storage) -> None:
        store(storage, KEY, b"old content")
        with pytest.raises(DamagedError):
            storage.write(KEY, [b"new"], 4)
        assert fetch(storage, KEY) == b"old content"

    @pytest.mark.parametrize("chunks", [[], [b""], [b"abc"], [b"ab", b"cd", b"e"], [b"abcdef"]])
    def test_too_few_or_too_many_bytes_leave_no_object(
        self, storage: Storage, chunks: list[bytes]
    ) -> None:
        with pytest.raises(DamagedError):
            storage.write(KEY, chunks, 4)
        assert storage.stat(KEY) is None
        assert keys(storage) == []

    def test_empty_chunks_are_no_end(self, storage: Storage) -> None:
        storage.write(KEY, [b"ab", b"", b"cd", b""], 4)
        assert fetch(storage, KEY) == b"abcd"

    def test_an_object_of_no_bytes_is_an_object(self, storage: Storage) -> None:
        storage.write(KEY, [], 0)
        assert fetch(storage, KEY) == b""
        assert [(found.key, found.size) for found in storage.list()] == [(KEY, 0)]

    def test_listing_sees_a_new_object_at_once(self, storage: Storage) -> None:
        assert keys(storage) == []
        store(storage, "a/one", b"1")
        assert keys(storage) == ["a/one"]
        store(storage, "a/two", b"22")
        assert [found.size for found in storage.list("a")] in ([1, 2], [2, 1])

    def test_listing_names_every_object_once(self, storage: Storage) -> None:
        expected = sorted(f"many/{number:03d}/object" for number in range(120))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store(storage, key, key.encode()), expected))
        assert keys(storage) == expected
        assert keys(storage, "many/007") == ["many/007/object"]

    def test_listing_a_folder_leaves_its_neighbours_out(self, storage: Storage) -> None:
        for key in ("top", "ab/1", "ab/c/2", "abc/3", "b/ab/4"):
            store(storage, key, b"x")
        assert keys(storage, "ab") == ["ab/1", "ab/c/2"]
        assert keys(storage, "ab/") == ["ab/1", "ab/c/2"]
        assert keys(storage, "ab/c") == ["ab/c/2"]
        assert keys(storage, "nothing/here") == []
        assert len(keys(storage)) == 5

    def test_an_unknown_key_is_described_as_none(self, storage: Storage) -> None:
        assert storage.stat(KEY) is None
        store(storage, "files/md5/ab/other", b"x")
        assert storage.stat(KEY) is None
        assert storage.stat("files/md5/ab") is None

    def test_reading_an_unknown_key_names_it(self, storage: Storage) -> None:
        with pytest.raises(DamagedError, match="cdef0123"):
            fetch(storage, KEY)

    @pytest.mark.parametrize("key", REFUSED_KEYS)
    def test_keys_that_lead_astray_are_refused(self, storage: Storage, key: str) -> None:
        with pytest.raises(InvalidProjectError, match="cannot be the key"):
            store(storage, key, b"x")
        with pytest.raises(InvalidProjectError):
            storage.stat(key)
        with pytest.raises(InvalidProjectError):
            fetch(storage, key)
        if isinstance(storage, CanErase):
            with pytest.raises(InvalidProjectError):
                storage.erase(key)

    @pytest.mark.parametrize("under", ["..", "/etc", "a/../..", "a\0b", "a//b"])
    def test_listing_outside_is_refused(self, storage: Storage, under: str) -> None:
        with pytest.raises(InvalidProjectError):
            list(storage.list(under))

    @pytest.mark.parametrize(
        "key", ["Größe/日本語.tif", "with space/a+b&c=d.tif", "100%25/#1?x=y.tif", "~a/$b'c\"d"]
    )
    def test_keys_are_kept_letter_by_letter(self, storage: Storage, key: str) -> None:
        store(storage, key, b"content")
        assert fetch(storage, key) == b"content"
        assert keys(storage) == [key]
        assert keys(storage, key.partition("/")[0]) == [key]

    def test_an_object_can_be_overwritten(self, storage: Storage) -> None:
        store(storage, KEY, b"first, and longer")
        store(storage, KEY, b"second")
        assert fetch(storage, KEY) == b"second"
        assert keys(storage) == [KEY]

    def test_a_reader_never_sees_a_mixture_while_others_overwrite(self, storage: Storage) -> None:
        versions = [letter * 50_000 for letter in (b"a", b"b", b"c")]
        store(storage, KEY, versions[0])
        stop = threading.Event()

        def overwrite() -> None:
            while not stop.is_set():
                for data in versions:
                    storage.write(KEY, _pieces(data, 9_000), len(data))

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(overwrite)
            try:
                seen = {self._fetch_meanwhile(storage) for _ in range(25)}
            finally:
                stop.set()
            writing.result()
        assert seen - {None} <= set(versions)

    def _fetch_meanwhile(self, storage: Storage) -> bytes | None:
        if self.reads_whole:
            return fetch(storage, KEY)
        try:
            return fetch(storage, KEY)
        except StorageError:
            return None

    def test_of_parallel_writes_of_one_key_one_is_kept_whole(self, storage: Storage) -> None:
        versions = [bytes([number]) * 40_000 for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda data: store(storage, KEY, data), versions))
        assert fetch(storage, KEY) in versions
        assert keys(storage) == [KEY]

    def test_several_threads_read_at_once(self, storage: Storage) -> None:
        data = bytes(range(256)) * 400
        store(storage, KEY, data)
        with ThreadPoolExecutor(8) as pool:
            seen = list(pool.map(lambda _: fetch(storage, KEY), range(24)))
        assert set(seen) == {data}

    def test_a_read_can_be_given_up(self, storage: Storage) -> None:
        data = b"x" * 3_000_000
        store(storage, KEY, data)
        with storage.read(KEY) as chunks:
            next(chunks)
        assert fetch(storage, KEY) == data

    def test_erasing_removes_one_object_only(self, storage: Storage, eraser: CanErase) -> None:
        store(storage, "a/one", b"1")
        store(storage, "a/two", b"2")
        eraser.erase("a/one")
        assert keys(storage) == ["a/two"]
        assert storage.stat("a/one") is None

    def test_erasing_twice_is_no_error(self, storage: Storage, eraser: CanErase) -> None:
        store(storage, KEY, b"1")
        eraser.erase(KEY)
        eraser.erase(KEY)
        eraser.erase("never/was")
        store(storage, KEY, b"again")
        assert fetch(storage, KEY) == b"again"

    def test_the_size_comes_with_the_bytes(self, storage: Storage, sized: CanReadSized) -> None:
        store(storage, KEY, b"0123456789")
        with sized.read_sized(KEY) as (size, chunks):
            assert size == 10
            assert b"".join(chunks) == b"0123456789"

    def test_what_is_absent_has_no_size(self, sized: CanReadSized) -> None:
        with pytest.raises(DamagedError), sized.read_sized("never/was"):
            pass

    def test_a_part_is_read_by_range(self, storage: Storage, ranged: CanReadRange) -> None:
        store(storage, KEY, b"0123456789")
        assert ranged.read_range(KEY, 0, 4) == b"0123"
        assert ranged.read_range(KEY, 3, 5) == b"34567"
        assert ranged.read_range(KEY, 9, 1) == b"9"
        assert ranged.read_range(KEY, 4, 0) == b""

    @pytest.mark.parametrize(("start", "length"), [(8, 5), (10, 1), (50, 2)])
    def test_a_range_beyond_the_end_is_an_error(
        self, storage: Storage, ranged: CanReadRange, start: int, length: int
    ) -> None:
        store(storage, KEY, b"0123456789")
        with pytest.raises(DamagedError):
            ranged.read_range(KEY, start, length)

    def test_a_range_of_an_unknown_key_is_an_error(self, ranged: CanReadRange) -> None:
        with pytest.raises(DamagedError):
            ranged.read_range(KEY, 0, 1)

    def test_write_if_absent_stores_once(self, storage: Storage, careful: CanWriteIfAbsent) -> None:
        assert careful.write_if_absent(KEY, b"first")
        assert not careful.write_if_absent(KEY, b"second")
        assert fetch(storage, KEY) == b"first"
        assert keys(storage) == [KEY]

    def test_of_parallel_writes_if_absent_one_wins(
        self, storage: Storage, careful: CanWriteIfAbsent
    ) -> None:
        versions = [bytes([number]) * 100 for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda data: careful.write_if_absent(KEY, data), versions))
        assert told.count(True) == 1
        assert fetch(storage, KEY) == versions[told.index(True)]

    def test_flushing_keeps_everything(self, storage: Storage, flusher: CanFlush) -> None:
        store(storage, KEY, b"kept")
        flusher.flush()
        assert fetch(storage, KEY) == b"kept"

    def test_it_says_where_it_is(self, storage: Storage) -> None:
        assert storage.description


class StorageMachine(RuleBasedStateMachine):
    """Writes, erases and reads in any order and compares the storage with a dict.

    Derive a class, let `make_storage` return an empty storage, and give its `TestCase` to pytest.
    """

    some_key = st.sampled_from([f"{where}/{name}" for where in ("f", "f/g", "é") for name in "xy"])
    some_data = st.binary(max_size=2000)

    def __init__(self) -> None:
        super().__init__()
        self.storage = self.make_storage()
        self.expected: dict[str, bytes] = {}

    @staticmethod
    def make_storage() -> Storage:
        """Return an empty storage; called once for each example."""
        raise NotImplementedError

    @rule(key=some_key, data=some_data, piece=st.integers(1, 700))
    def write(self, key: str, data: bytes, piece: int) -> None:
        self.storage.write(key, _pieces(data, piece), len(data))
        self.expected[key] = data

    @rule(key=some_key, data=some_data, wrong=st.integers(1, 9), fewer=st.booleans())
    def write_wrong_size(self, key: str, data: bytes, wrong: int, fewer: bool) -> None:
        told = len(data) - wrong if fewer and len(data) >= wrong else len(data) + wrong
        with pytest.raises(DamagedError):
            self.storage.write(key, [data], told)

    @rule(key=some_key)
    def erase(self, key: str) -> None:
        if isinstance(self.storage, CanErase):
            self.storage.erase(key)
            self.expected.pop(key, None)

    @rule(key=some_key, data=some_data)
    def write_if_absent(self, key: str, data: bytes) -> None:
        if isinstance(self.storage, CanWriteIfAbsent):
            stored = self.storage.write_if_absent(key, data)
            assert stored == (key not in self.expected)
            self.expected.setdefault(key, data)

    @rule(key=some_key)
    def read(self, key: str) -> None:
        if key in self.expected:
            assert fetch(self.storage, key) == self.expected[key]
        else:
            assert self.storage.stat(key) is None
            with pytest.raises(DamagedError):
                fetch(self.storage, key)

    @invariant()
    def everything_is_listed(self) -> None:
        listed = {found.key: found.size for found in self.storage.list()}
        assert listed == {key: len(data) for key, data in self.expected.items()}


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
