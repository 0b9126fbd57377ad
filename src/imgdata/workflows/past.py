"""Data of an earlier commit: where they are brought, and what to type about them."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

SHORT = 8


class Past(Struct, frozen=True):
    """An earlier revision whose data are brought back.

    Attributes:
        name: The revision as it was typed: a commit, tag, branch or stash.
        commit: Its id.
        into: The folder below which its files are written; without one they come into the cache.
        levels: What its levels were called then, by their names of today.
        home: The project's folder, from the one that holds its git repository.
    """

    name: str
    commit: str
    into: Path | None = None
    levels: Mapping[str, str] = field(default_factory=dict)
    home: str = ""

    @property
    def options(self) -> str:
        """The options that ask for it."""
        into = "" if self.into is None else f" --into {shlex.quote(str(self.into))}"
        return f"--rev {shlex.quote(self.name)}{into}"

    def level_then(self, level: str) -> str:
        """Return what a level of today was called."""
        return self.levels.get(level, level)

    def at_its_commit(self, command: str) -> str:
        """Return a command line that works on a checkout of it, beside the working tree of now."""
        repository, *below = self.home.split("/")
        beside = shlex.quote(f"../{repository}-{self.commit[:SHORT]}")
        there = "/".join((beside, *map(shlex.quote, below)))
        commit = self.commit[:SHORT]
        return f"git worktree add --detach {beside} {commit} && cd {there} && {command}"
