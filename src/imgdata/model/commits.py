"""Commits and the entries of their trees, as git records them."""

from typing import Literal

from msgspec import Struct

ID_LENGTHS = (40, 64)
"""Hex digits of a git object id: SHA-1 and SHA-256 repositories."""


class Commit(Struct, frozen=True):
    """One commit: who recorded something, when, in which words.

    Attributes:
        id: Full hex id.
        parents: Ids of the commits before it. In a history limited to some paths these are the
            nearest ancestors that changed one of the paths.
        author: The author's name as the commit has it.
        date: The author's date, ISO 8601 with the author's own offset.
        subject: First paragraph of the message, on one line.
    """

    id: str
    parents: tuple[str, ...]
    author: str
    date: str
    subject: str


class TreeEntry(Struct, frozen=True):
    """One name in the tree of a commit.

    Attributes:
        mode: git's file mode: `100644`, `100755`, `120000` (link), `040000`, `160000` (submodule).
        kind: What the id names.
        id: Full hex id; for a submodule the commit it is at.
    """

    mode: str
    kind: Literal["blob", "tree", "commit"]
    id: str

    def __str__(self) -> str:
        """Return kind and id, as `git cat-file` names objects."""
        return f"{self.kind} {self.id}"


class PathChange(Struct, frozen=True):
    """What one commit did to one path, against one of its parents.

    Attributes:
        commit: Id of the commit.
        path: The path, relative to the root of the repository.
        mode: Mode after the commit; `000000` when the path was removed.
        blob: Object id after the commit; empty when the path was removed.
    """

    commit: str
    path: str
    mode: str
    blob: str
