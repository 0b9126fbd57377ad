"""The files of one commit, as the `Tree` that everything reads through."""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal, Protocol, cast

from imgdata.model.commits import Commit, TreeEntry

LINK = "120000"
MAX_LINKS = 8
"""Links followed before a path counts as a loop."""


class ObjectSource(Protocol):
    """Where a commit tree reads from."""

    def listing(self, commit_id: str) -> dict[str, TreeEntry]:
        """Return all entries of a commit by path."""

    def read_blob(self, blob_id: str) -> bytes | None:
        """Return an object's bytes."""


class GitCommitTree:
    """The files of one commit. Links are followed inside the commit, never outside."""

    def __init__(self, commit: Commit, source: ObjectSource) -> None:
        """Describe a commit's files; nothing is read until it is asked for."""
        self.commit = commit
        self._source = source

    @property
    def description(self) -> str:
        """The commit's short id."""
        return f"commit {self.commit.id[:7]}"

    @cached_property
    def _entries(self) -> dict[str, TreeEntry]:
        return self._source.listing(self.commit.id)

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(path for path, entry in self._entries.items() if entry.kind == "blob")

    def entry(self, path: str) -> TreeEntry | None:
        """Return mode, kind and id of a path, or None if there is none."""
        return self._entries.get(path.strip("/"))

    def read(self, path: str) -> bytes | None:
        """Return one file's bytes, or None if there is no such file."""
        for _ in range(MAX_LINKS):
            entry = self.entry(path)
            if entry is None or entry.kind != "blob":
                return None
            data = self._source.read_blob(entry.id)
            if entry.mode != LINK or data is None:
                return data
            target = _link_target(path, data.decode("utf-8", "surrogateescape"))
            if target is None:
                return None
            path = target
        return None

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder, sorted."""
        folder = under.strip("/")
        if folder in {"", "."}:
            yield from self._sorted
            return
        prefix = f"{folder}/"
        yield from (path for path in self._sorted if path.startswith(prefix))

    def is_folder(self, path: str) -> bool:
        """Tell whether the path is a folder."""
        folder = path.strip("/")
        if folder in {"", "."}:
            return True
        entry = self._entries.get(folder)
        return entry is not None and entry.kind == "tree"


def parse_listing(output: bytes) -> dict[str, TreeEntry]:
    """Parse what `git ls-tree -z` prints."""
    entries: dict[str, TreeEntry] = {}
    for line in output.split(b"\0"):
        header, tab, path = line.partition(b"\t")
        if tab:
            mode, kind, object_id = header.decode("ascii").split()
            entries[path.decode("utf-8", "surrogateescape")] = TreeEntry(
                mode, cast("Literal['blob', 'tree', 'commit']", kind), object_id
            )
    return entries


def _link_target(path: str, target: str) -> str | None:
    """Return where a link leads, relative to the root, or None if that is outside."""
    if target.startswith("/"):
        return None
    parts = path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts) or None
