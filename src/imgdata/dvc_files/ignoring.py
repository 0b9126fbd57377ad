"""`.dvcignore` and `.gitignore`: which files and folders are left out.

Rules of a folder hold for everything below it; the last rule that matches decides, the deepest
file first.
"""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

DVC_DEFAULTS = (".hg/", ".git/", ".git", ".dvc/")
GIT_DEFAULTS = (".git/", ".git")
_PLAIN = re.compile(r"/[^*?\[\]\\!/]+\Z")
_SIMPLE = re.compile(r"[^*?\[\]\\!#/][^*?\[\]\\/]*/?\Z")


class Ignored(Protocol):
    """Tells of paths directly in one folder whether they are left out."""

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether the path, relative to the tree's root, is left out."""


class _Rules:
    """The rules of one ignore file.

    DVC writes a line `/name` for each thing it tracks, so a folder of 2,000 plates has 2,000 of
    them: plain names are looked up, only the other rules are tried one by one.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        kept = list(lines)
        negated = any(line.startswith("!") for line in kept)
        rooted = {line for line in kept if _PLAIN.match(line) and not negated}
        simple = {line for line in kept if _SIMPLE.match(line) and not negated}
        self._rooted = frozenset(line[1:] for line in rooted)
        self._names = frozenset(line for line in simple if not line.endswith("/"))
        self._folders = self._names | {line[:-1] for line in simple if line.endswith("/")}
        self._spec = _spec([line for line in kept if line not in rooted | simple])

    def decide(self, path: str, *, is_folder: bool) -> bool | None:
        """Tell whether a path below the file's folder is left out; None where no rule is met."""
        if path in self._rooted:
            return True
        *above, name = path.split("/")
        if name in (self._folders if is_folder else self._names):
            return True
        if above and not self._folders.isdisjoint(above):
            return True
        if self._spec is None:
            return None
        return self._spec.check_file(f"{path}/" if is_folder else path).include


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
        self._rules: list[tuple[str, _Rules]] = [(root, _Rules(defaults))]

    def add_file(self, path: str, folder: str) -> None:
        """Take the rules of one file, which hold below a folder."""
        data = self._read(path)
        lines = _lines(data)
        if lines:
            self._rules.append((folder, _Rules(lines)))

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
            (len(base) + 1 if base else 0, rules)
            for base, rules in reversed(self._rules)
            if not base or folder == base or folder.startswith(f"{base}/")
        ]

        def ignored(path: str, *, is_folder: bool) -> bool:
            for cut, rules in holding:
                decided = rules.decide(path[cut:], is_folder=is_folder)
                if decided is not None:
                    return decided
            return False

        return ignored


def _lines(data: bytes | None) -> list[str]:
    if not data:
        return []
    lines = (line.strip() for line in data.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _spec(lines: list[str]) -> "GitIgnoreSpec | None":
    """Return the patterns that names alone do not decide, or None without any."""
    if not lines:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - slow to import, often not needed

    kept: list[str] = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        kept.append(line)
    return GitIgnoreSpec.from_lines(kept)
