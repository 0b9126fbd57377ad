"""imgdata.yaml as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Literal

from imgdata.model.keys import Key, parse_keys

NO_STORAGE = "none"
NO_UNIT = "none"
DEFAULT_BRANCH = "main"
"""The release branch where imgdata.yaml names none."""

OriginKind = Literal["own", "academic-collaborator", "industry-collaborator", "public"]
Access = Literal["open", "restricted"]
CommitMode = Literal["auto", "ask", "never"]
Option = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Creator:
    """A person who is credited for the data."""

    name: str
    orcid: str | None = None
    affiliation: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
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


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """A working place for data; `options` are what its backend understands beside the url."""

    name: str
    url: str
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """A data repository that takes deposits."""

    name: str
    url: str
    community: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A level that another is made from; `by` are the key fields their images join on."""

    level: str
    by: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class AcceptedLoss:
    """An owner's written decision that some units of a level may be lost."""

    select: str
    reason: str
    by: str
    on: date


@dataclass(frozen=True, slots=True)
class Level:
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


@dataclass(frozen=True, slots=True)
class CheckRule:
    """A finding whose severity this project changes, and why."""

    severity: str
    reason: str


@dataclass(frozen=True, slots=True)
class Config:
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
    by_path: Mapping[str, Level] = field(init=False, compare=False, repr=False)
    """The levels by their folders, which are disjoint."""

    def __post_init__(self) -> None:
        levels = self.levels.values()
        by_path = {PurePosixPath(level.path).as_posix(): level for level in levels}
        object.__setattr__(self, "by_path", by_path)
