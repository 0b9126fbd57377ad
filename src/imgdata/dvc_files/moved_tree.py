"""A working folder as it will be once a folder has moved and some files say something else."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field

from imgdata.dvc_files.places import folder_of, join
from imgdata.model.renames import path_after
from imgdata.system.folder_tree import FolderTree


class MovedTree(Struct, frozen=True):
    """Implements `imgdata.ports.Tree` over a folder in which nothing has happened yet.

    Attributes:
        before: The folder as it is.
        moves: What lies elsewhere afterwards: old path to new path, each a folder or a file.
        texts: What files say afterwards, by their new paths.
    """

    before: FolderTree
    moves: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder."""
        return self.before.root

    @property
    def description(self) -> str:
        """The folder, for messages."""
        return self.before.description

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None if there will be no such file."""
        if path in self.texts:
            return self.texts[path].encode("utf-8")
        source = self._source(path)
        return None if source is None else self.before.read(source)

    def is_folder(self, path: str) -> bool:
        """Tell whether the path will be a folder."""
        source = self._source(path)
        return (source is not None and self.before.is_folder(source)) or any(
            new.startswith(f"{path}/") for new in self.moves.values()
        )

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder."""
        folders, files = self.children(under)
        for name in files:
            yield join(under, name)
        for name in sorted(folders):
            yield from self.files(join(under, name))

    def children(self, folder: str = "") -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the names of the folders and files that will be directly in a folder."""
        source = self._source(folder)
        known = (frozenset[str](), ()) if source is None else self.before.children(source)
        folders, files = set(known[0]), set(known[1])
        for old, new in self.moves.items():
            if source is not None and folder_of(old) == source and old != new:
                folders.discard(old.rpartition("/")[2])
                files.discard(old.rpartition("/")[2])
        for old, new in self.moves.items():
            if folder_of(new) == folder:
                is_folder = self.before.is_folder(old)
                (folders if is_folder else files).add(new.rpartition("/")[2])
            elif not folder or new.startswith(f"{folder}/"):
                folders.add(new[len(folder) :].lstrip("/").split("/")[0])
        files |= {path.rpartition("/")[2] for path in self.texts if folder_of(path) == folder}
        return frozenset(folders), tuple(sorted(files))

    def _source(self, path: str) -> str | None:
        """Return where a path lies now; None for one that will be gone."""
        for old, new in self.moves.items():
            source = path_after(path, new, old)
            if source != path or path == new:
                return source
        return None if any(_within(path, old) for old in self.moves) else path


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
