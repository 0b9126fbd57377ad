"""Take files that lie where they are to stay into the cache without a second copy of their bytes.

The file itself gets its name in the cache. That is only right for a file nobody writes to, which is
asked of the kernel, and that has no other name anywhere.
"""

import hashlib
import os
import stat
from contextlib import suppress

from imgdata.model.objects import object_key
from imgdata.system.files import CHUNK, OBJECT_MODE, machine_error, make_folders
from imgdata.system.lease import without_writers


class LinkIn:
    """Links files of the workspace into one cache."""

    def __init__(self, cache_dir: str) -> None:
        self._cache_dir = cache_dir
        self._real: dict[str, bool] = {}
        self._made: set[str] = set()

    def take(
        self, path: str, descriptor: int, before: os.stat_result
    ) -> tuple[str, os.stat_result] | None:
        """Link one open file in and make it read-only; return its md5 and its new status.

        None where it has to be copied: it is empty, written to or cannot be read, has another
        name, is behind a link or on another disk, belongs to somebody else, or the cache has its
        content already.

        Raises:
            MachineError: The cache cannot be written.
        """
        # DVC never links empty files: one inode would collect thousands of names.
        if not before.st_size or self._is_behind_link(path):
            return None
        with without_writers(descriptor) as unwritten:
            if not unwritten():
                return None
            try:
                md5 = _md5(descriptor)
            except OSError:
                return None  # who copies it says why it cannot be read
            target = os.path.join(self._cache_dir, object_key(md5))
            known = _status(target)
            if known is not None:
                return (md5, known) if os.path.samestat(known, before) else None
            if before.st_nlink != 1:
                return None
            # Asked after it is read-only: whoever came before waits, whoever comes after may not.
            os.fchmod(descriptor, OBJECT_MODE)
            linked = self._link(path, target, before) if unwritten() else None
            if linked is None:
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                return None
            return md5, linked

    def _is_behind_link(self, path: str) -> bool:
        folder = os.path.dirname(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder) == folder
        return not self._real[folder] or os.path.islink(path)

    def _link(self, path: str, target: str, expected: os.stat_result) -> os.stat_result | None:
        """Give the file its second name; None where the disk cannot, or another took its place."""
        folder = os.path.dirname(target)
        if folder not in self._made:
            try:
                make_folders(folder, self._cache_dir)
            except OSError as error:
                raise machine_error(error, "write to the cache", target) from error
            self._made.add(folder)
        try:
            os.link(path, target, follow_symlinks=False)
        except OSError:
            return None
        status = os.stat(target)
        if os.path.samestat(status, expected):
            return status
        os.unlink(target)
        return None


def _md5(descriptor: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    offset = 0
    while chunk := os.pread(descriptor, CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def _status(path: str) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(path)
    return None
