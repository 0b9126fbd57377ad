"""The working tree of a git repository as the `Tree` that lineage reads through."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from imgdata.system.folder_tree import FolderTree
from imgdata.tracking.git_history import run_git


class GitWorkingTree:
    """The files of a working tree that git tracks or would track.

    Ignored files (the data itself) are not listed, so listing costs what git's index costs, but
    they can be read. Links are never followed outside.
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
    def _listed(self) -> list[str]:
        done = run_git(
            self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard",
            "--full-name", "--deduplicate", "--", ".",
        )  # fmt: skip
        return sorted({path for path in done.text.split("\0") if path})

    def read(self, path: str) -> bytes | None:
        """Return one file's bytes, or None if there is no such file."""
        return self._folder.read(path)

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of the files that are not ignored below a folder, sorted."""
        folder = under.strip("/")
        prefix = "" if folder in {"", "."} else f"{folder}/"
        yield from (path for path in self._listed if path.startswith(prefix))

    def is_folder(self, path: str) -> bool:
        """Tell whether the path is a folder."""
        return self._folder.is_folder(path)
