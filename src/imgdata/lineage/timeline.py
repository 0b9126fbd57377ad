"""When something held: a value at each commit of a history that may branch and merge.

The history holds only the commits that matter, newest first, no commit before its children, with
parents rewritten to the nearest that matter. At any other commit the value is that of the nearest
ancestor in the history.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Generic, TypeVar

from msgspec import Struct

from imgdata.model.commits import Commit

Value = TypeVar("Value")


class Timeline(Struct, Generic[Value], frozen=True, dict=True):
    """The values of one thing over a history.

    Attributes:
        commits: Newest first.
        values: By commit id; a commit that is not there has no value.
    """

    commits: Sequence[Commit]
    values: Mapping[str, Value]

    @cached_property
    def _by_id(self) -> Mapping[str, Commit]:
        return {commit.id: commit for commit in self.commits}

    @property
    def tip(self) -> Value | None:
        """The value now."""
        return self.values.get(self.commits[0].id) if self.commits else None

    def last_change(self) -> Commit | None:
        """Return the commit since which the value is what it is now; None if there is none."""
        now = self.tip
        if now is None:
            return None
        return self.since(self.commits[0], lambda value: value == now)

    def since(self, commit: Commit, holds: Callable[[Value], bool]) -> Commit:
        """Return where the streak began in which the condition holds up to the commit.

        A merge that took the value from one side belongs to the streak of that side.
        """
        while True:
            before = [parent for parent in commit.parents if self._holds(parent, holds)]
            if not before:
                return commit
            commit = self._by_id[before[0]]

    def first(self, holds: Callable[[Value], bool]) -> Commit | None:
        """Return the first commit at which the condition holds."""
        return next(
            (commit for commit in reversed(self.commits) if self._holds(commit.id, holds)), None
        )

    def latest(self, holds: Callable[[Value], bool]) -> Commit | None:
        """Return where the last streak began in which the condition held."""
        found = next((commit for commit in self.commits if self._holds(commit.id, holds)), None)
        return None if found is None else self.since(found, holds)

    def changed(self) -> list[Commit]:
        """Return the commits whose value differs from that of every parent, newest first."""
        return [
            commit
            for commit in self.commits
            if all(
                self.values.get(parent) != self.values.get(commit.id)
                for parent in commit.parents
                if parent in self._by_id
            )
            and (commit.id in self.values or commit.parents)
        ]

    def before(self, commit: Commit) -> Value | None:
        """Return the value at the first parent of a commit, or None."""
        return next(
            (self.values[parent] for parent in commit.parents if parent in self.values), None
        )

    def _holds(self, commit_id: str, holds: Callable[[Value], bool]) -> bool:
        return (
            commit_id in self._by_id and commit_id in self.values and holds(self.values[commit_id])
        )
