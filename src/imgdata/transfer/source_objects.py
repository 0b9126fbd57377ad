"""Files where they were found, read as the objects they will be on a storage."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from imgdata.errors import DamagedError
from imgdata.model.objects import StoredObject, object_key
from imgdata.ports import Storage
from imgdata.system.files import CHUNK
from imgdata.transfer.take_in import Taken

SOURCE = "the source"


class SourceObjects:
    """A cache that also has files of a source that were hashed, without a copy of them.

    Args:
        files: The files.
        lists: The bytes of folder lists by object id.
        cache: The cache, for everything else and for what is written.
    """

    def __init__(self, files: Iterable[Taken], lists: Mapping[str, bytes], cache: Storage) -> None:
        self._files = {object_key(one.md5): one for one in files}
        self._lists = {object_key(name): data for name, data in lists.items()}
        self._cache = cache
        self.description = SOURCE
        self.write = cache.write

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object; of a file what was found when it was hashed."""
        if key in self._lists:
            return StoredObject(key, len(self._lists[key]), None)
        if key in self._files:
            return StoredObject(key, self._files[key].size, None)
        return self._cache.stat(key)

    def file_of(self, key: str) -> Path | None:
        """Return the file of the source that an object is; None for the cache's own."""
        return Path(self._files[key].source.path) if key in self._files else None

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        """Open one object as chunks.

        Raises:
            DamagedError: The file is gone, or cannot be read any more.
        """
        if key in self._lists:
            yield iter((self._lists[key],))
        elif key in self._files:
            yield _chunks(self._files[key].source.path)
        else:
            with self._cache.read(key) as chunks:
                yield chunks

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Yield the objects of all: source, lists and cache."""
        for key in (*self._lists, *self._files):
            found = self.stat(key) if key.startswith(under) else None
            if found is not None:
                yield found
        yield from self._cache.list(under)


def _chunks(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        problem = f"{path} cannot be read any more"
        raise DamagedError(problem, cause=error.strerror or str(error)) from error
