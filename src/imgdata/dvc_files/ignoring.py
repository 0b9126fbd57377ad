"""`.dvcignore` and `.gitignore`: which files and folders are left out.

Rules of a folder hold for everything below it; the last rule that matches decides, the deepest
file first.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from pathspec import GitIgnoreSpec

DVC_DEFAULTS = (".hg/", ".git/", ".git", ".dvc/")
GIT_DEFAULTS = (".git/", ".git")


class Ignored(Protocol):
    """Tells of paths directly in one folder whether they are left out."""

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether the path, relative to the tree's root, is left out."""


class IgnoreRules:
    """The ignore files met so far, folder by folder from the top.

    Args:
        read: Reads one file of the tree.
        defaults: Rules that always hold.
        name: Of the ignore files.
        root: Where they begin to count.
    """

    def __init__(
        self, read: Callable[[str], bytes | None], defaults: Iterable[str], name: str, root: str
    ) -> None:
        self._read = read
        self._name = name
        self._rules: list[tuple[str, GitIgnoreSpec]] = [(root, _spec(defaults))]

    def add_file(self, path: str, folder: str) -> None:
        """Take the rules of one file, which hold below a folder."""
        data = self._read(path)
        lines = _lines(data)
        if lines:
            self._rules.append((folder, _spec(lines)))

    def enter_all_above(self, root: str) -> None:
        """Take the rules of all folders above the root, from the top."""
        parts = root.split("/") if root else []
        for count in range(len(parts)):
            folder = "/".join(parts[:count])
            self.add_file(f"{folder}/{self._name}" if folder else self._name, folder)

    def enter(self, folder: str, files: Iterable[str]) -> Ignored:
        """Take the rules of one folder, and return what tells for the paths in it."""
        if self._name in files:
            self.add_file(f"{folder}/{self._name}" if folder else self._name, folder)
        holding = [
            (len(base) + 1 if base else 0, spec)
            for base, spec in reversed(self._rules)
            if not base or folder == base or folder.startswith(f"{base}/")
        ]

        def ignored(path: str, *, is_folder: bool) -> bool:
            for cut, spec in holding:
                inner = path[cut:]
                found = spec.check_file(f"{inner}/" if is_folder else inner)
                if found.include is not None:
                    return found.include
            return False

        return ignored


def _lines(data: bytes | None) -> list[str]:
    if not data:
        return []
    lines = (line.strip() for line in data.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    kept: list[str] = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        kept.append(line)
    return GitIgnoreSpec.from_lines(kept)
