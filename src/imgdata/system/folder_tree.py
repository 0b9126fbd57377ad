"""A working folder as a `Tree`."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from imgdata.errors import MachineError

GIT_FOLDER = ".git"
_DVC_FOLDER = ".dvc"
_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG))
_DVC_OBJECTS = frozenset(("cache", "tmp"))


class FolderTree:
    """The files below a folder, by paths relative to it with `/` between parts.

    No link that leads out of the folder is followed: what lies behind it does not exist here.
    Git's folder and the parts of `.dvc` that hold objects (`cache`, `tmp`) are left out.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._real = os.path.realpath(self.root)

    @property
    def description(self) -> str:
        """The folder, for messages."""
        return str(self.root)

    def read(self, path: str) -> bytes | None:
        """Return one file's bytes, or None if there is no such file here.

        Raises:
            MachineError: The file is there but may not be read.
        """
        full = self._inside(path)
        if full is None:
            return None
        try:
            descriptor = os.open(full, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            msg = f"{full} cannot be read"
            raise MachineError(msg, cause=error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def is_folder(self, path: str) -> bool:
        """Tell whether the path is a folder."""
        full = self._inside(path)
        return full is not None and os.path.isdir(full)

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder, sorted. One stat a folder, none a file."""
        folders, files = self.children(under)
        prefix = f"{under}/" if under else ""
        for name in sorted((*(f"{folder}/" for folder in folders), *files)):
            if name.endswith("/"):
                yield from self.files(f"{prefix}{name[:-1]}")
            else:
                yield f"{prefix}{name}"

    def children(self, folder: str = "") -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the names of the folders and files directly in a folder; files are sorted.

        A link to a folder counts as a file, since it is not walked into.
        """
        full = self._inside(folder)
        try:
            entries = os.scandir(full) if full is not None else None
        except OSError:
            entries = None
        if entries is None:
            return frozenset(), ()
        in_dvc = folder == _DVC_FOLDER or folder.endswith(f"/{_DVC_FOLDER}")
        folders: set[str] = set()
        files: list[str] = []
        with entries:
            for entry in entries:
                if entry.name == GIT_FOLDER or (in_dvc and entry.name in _DVC_OBJECTS):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.add(entry.name)
                else:
                    files.append(entry.name)
        return frozenset(folders), tuple(sorted(files))

    def _inside(self, path: str) -> str | None:
        """Return the full path, or None when it leads out of the folder."""
        if path in ("", "."):
            return str(self.root)
        try:
            full = os.path.realpath(os.path.join(self._real, path))
        except ValueError:  # a null byte, or text that is no file name
            return None
        return full if full == self._real or full.startswith(self._real + os.sep) else None
