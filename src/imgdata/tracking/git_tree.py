"""The working tree of a git repository as the `Tree` that lineage reads through."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from imgdata.system.folder_tree import FolderTree
from imgdata.tracking.git_history import run_git

LEFT_OUT = "S"
"""How `git ls-files` tags what a sparse checkout leaves out."""


class GitWorkingTree:
    """The files of a working tree that git tracks or would track.

    Ignored files (the data itself) are not listed, so listing costs what git's index costs, but
    they can be read. Links are never followed outside. What a sparse checkout leaves out is read
    from git's index: it belongs to the working tree as much as what is written out.
    """

    def __init__(self, root: Path) -> None:
        """Take the top folder of a working tree."""
        self.root = root
        self._folder = FolderTree(root)

    @property
    def description(self) -> str:
        """The folder."""
        return f"the working tree {self.root}"

    @cached_property
    def _tags(self) -> dict[str, str]:
        """The tag that git gives each file, by path."""
        done = run_git(
            self.root, "ls-files", "-t", "-z", "--cached", "--others", "--exclude-standard",
            "--full-name", "--", ".",
        )  # fmt: skip
        return {line[2:]: line[0] for line in done.text.split("\0") if line}

    @cached_property
    def _listed(self) -> list[str]:
        return sorted(self._tags)

    def read(self, path: str) -> bytes | None:
        """Return one file's bytes, or None if there is no such file."""
        data = self._folder.read(path)
        if data is not None or self._tags.get(path) != LEFT_OUT:
            return data
        done = run_git(self.root, "cat-file", "blob", f":0:{path}", accept=(0, 128))
        return done.stdout if done.returncode == 0 else None

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of the files that are not ignored below a folder, sorted."""
        folder = under.strip("/")
        prefix = "" if folder in {"", "."} else f"{folder}/"
        yield from (path for path in self._listed if path.startswith(prefix))

    def is_folder(self, path: str) -> bool:
        """Tell whether the path is a folder."""
        return self._folder.is_folder(path)
