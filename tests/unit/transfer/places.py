"""Storages in memory that keep, lose, change and refuse; for the tests of the mover."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from msgspec import Struct, field

from imgdata.errors import DamagedError, StorageError
from imgdata.model.objects import StoredObject, object_key
from imgdata.transfer.move import Item


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def item(data: bytes, *, size: int | None = None) -> Item:
    """Return the item of some content, named after it."""
    return Item(md5(data), (data.decode() or "empty",), size)


class Memory(Struct):
    """Keeps objects in a dictionary, as the contract says."""

    objects: dict[str, bytes] = field(default_factory=dict)
    description: str = "memory"
    written: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, *contents: bytes) -> "Memory":
        return cls({object_key(md5(data)): data for data in contents})

    def stat(self, key: str) -> StoredObject | None:
        data = self.objects.get(key)
        return None if data is None else StoredObject(key, len(data), None)

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        if key not in self.objects:
            msg = f"no object {key}"
            raise DamagedError(msg)
        data = self.objects[key]
        yield iter([data[:2], data[2:]])

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        data = b"".join(chunks)
        if len(data) != size:
            msg = f"{len(data)} bytes came, {size} were told"
            raise DamagedError(msg)
        with self.lock:
            self.objects[key] = data
            self.written.append(key)
        return StoredObject(key, size, None)

    def list(self, under: str = "") -> Iterator[StoredObject]:
        for key, data in list(self.objects.items()):
            if key.startswith(f"{under}/") or not under:
                yield StoredObject(key, len(data), None)


class WithChecksum(Memory):
    """Tells its own md5 of what arrived."""

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        super().write(key, chunks, size)
        return StoredObject(key, size, md5(self.objects[key]))


class Changing(Memory):
    """Changes a byte of everything it stores, as a bad network or disk does."""

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        stored = super().write(key, chunks, size)
        self.objects[key] = b"x" + self.objects[key][1:]
        return stored


class ChangingWithChecksum(WithChecksum):
    """Changes a byte on the way and tells the checksum of what arrived."""

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        super().write(key, chunks, size)
        self.objects[key] = b"x" + self.objects[key][1:]
        return StoredObject(key, size, md5(self.objects[key]))


class Losing(Memory):
    """Says that it stored and did not."""

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        stored = super().write(key, chunks, size)
        del self.objects[key]
        return stored


class Breaking(Memory):
    """Cannot be reached after some writes."""

    left: int = 2

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        with self.lock:
            self.left -= 1
            if self.left < 0:
                problem = "the line is cut"
                raise StorageError(problem)
        return super().write(key, chunks, size)
