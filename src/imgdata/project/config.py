"""imgdata.yaml as frozen values."""

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from msgspec import Struct, field

from imgdata.model.keys import Key, parse_keys

NO_STORAGE = "none"
NO_UNIT = "none"
DEFAULT_BRANCH = "main"
"""The release branch where imgdata.yaml names none."""

OriginKind = Literal["own", "academic-collaborator", "industry-collaborator", "public"]
Access = Literal["open", "restricted"]
CommitMode = Literal["auto", "ask", "never"]
Option = str | int | float | bool


class Creator(Struct, frozen=True):
    """A person who is credited for the data."""

    name: str
    orcid: str | None = None
    affiliation: str | None = None
    email: str | None = None


class Origin(Struct, frozen=True):
    """Where raw data came from, and what may be done with them."""

    name: str
    kind: OriginKind
    source: str | None = None
    license: str | None = None
    access: Access | None = None
    release_on: date | None = None
    may_leave: tuple[str, ...] = ()
    citation: str | None = None
    note: str | None = None


class StorageConfig(Struct, frozen=True):
    """A working place for data; `options` are what its backend understands beside the url."""

    name: str
    url: str
    options: Mapping[str, Option] = field(default_factory=dict)


class RepositoryConfig(Struct, frozen=True):
    """A data repository that takes deposits."""

    name: str
    url: str
    community: str | None = None


class Source(Struct, frozen=True):
    """A level that another is made from; `by` are the key fields their images join on."""

    level: str
    by: tuple[str, ...] | None


class AcceptedLoss(Struct, frozen=True):
    """An owner's written decision that some units of a level may be lost."""

    select: str
    reason: str
    by: str
    on: date


class Level(Struct, frozen=True):
    """A processing stage of the data: one folder, its units, its storages and its rules.

    Attributes:
        path: Folder relative to the project's root, `/` between parts.
        unit: What the level grows by (`plate`), or None for a level tracked as a whole.
        storages: Working storages by name, the first is the working one; empty for `none`.
        repositories: Data repositories that the level's storage list names.
        copies: Evidenced copies it must have; 0 where it is stored nowhere.
        pack: How its units travel into a deposit: `zip`, `tar` or `none`; empty for by count.
        tolerance: What a recomputation may differ by to count as a proof; empty for nothing.
    """

    name: str
    path: str
    unit: str | None
    description: str | None
    origin: str | None
    key_texts: tuple[str, ...]
    sources: tuple[Source, ...]
    storages: tuple[str, ...]
    repositories: tuple[str, ...]
    copies: int
    verify_every_days: int
    keep: str
    versions: str
    then: tuple[str, ...]
    accept_loss: tuple[AcceptedLoss, ...]
    ignore: tuple[str, ...]
    tolerance: str = ""
    pack: str = ""

    @property
    def keys(self) -> tuple[Key, ...]:
        """The patterns of its file names; the loader has checked them."""
        return parse_keys(self.key_texts)


class CheckRule(Struct, frozen=True):
    """A finding whose severity this project changes, and why."""

    severity: str
    reason: str


class Config(Struct, frozen=True, dict=True):
    """Everything imgdata.yaml says."""

    id: str
    title: str
    description: str | None
    license: str | None
    creators: tuple[Creator, ...]
    keywords: tuple[str, ...]
    funding: tuple[str, ...]
    currency: str
    commit: CommitMode
    release_branch: str
    origins: Mapping[str, Origin]
    storages: Mapping[str, StorageConfig]
    repositories: Mapping[str, RepositoryConfig]
    levels: Mapping[str, Level]
    checks: Mapping[str, CheckRule]

    @cached_property
    def by_path(self) -> Mapping[str, Level]:
        """The levels by their folders, which are disjoint."""
        levels = self.levels.values()
        return {PurePosixPath(level.path).as_posix(): level for level in levels}
