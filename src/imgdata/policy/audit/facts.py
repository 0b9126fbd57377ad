"""What an audit knows before it judges; gathered once, judged by pure functions."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal

from msgspec import Struct, field

from imgdata.policy.evidence import CopyFact, Rule
from imgdata.project.config import Origin

MarkerState = Literal["ours", "absent", "foreign", "unreachable", "offline"]
"""What asking a storage gave: whose marker it has, or that it could not be asked.

`offline`: a drive in a drawer, which is how drives live.
"""

CommitState = Literal["shared", "uncommitted", "unpushed", "other branch", "nowhere"]
"""How imgdata.yaml here stands to that on the release branch as last fetched.

`shared`: equal; `unpushed`: committed on the release branch of this clone only; `other branch`:
committed on another branch; `nowhere`: the release branch has none.
"""


class ObjectsFact(Struct, frozen=True):
    """Files of a version whose copies are in the same state.

    Attributes:
        facts: One a storage.
        files: Their names.
    """

    facts: tuple[CopyFact, ...]
    files: tuple[str, ...]


class VersionFact(Struct, frozen=True):
    """A version that a level wants stored.

    Attributes:
        title: Level and unit.
        rule: What the level asks of its copies.
        storages: The level's own storages, the working one first.
        objects: Its files by the state of their copies.
        is_here: Whether this clone's cache or workspace has all of it.
        is_made: Whether a stage makes it, so that it can be made again.
        way_back: The command that makes a storage known again that has it, as the log says, and
            that imgdata.yaml does not name any more; empty for none.
    """

    level: str
    unit: str | None
    title: str
    rule: Rule
    storages: tuple[str, ...]
    objects: tuple[ObjectsFact, ...]
    is_here: bool
    is_made: bool
    way_back: str = ""


class OldVersion(Struct, frozen=True):
    """A version that a branch, tag or stash still records, and no storage has.

    Attributes:
        where: The branch, tag or stash.
        is_checked_out: Whether that is what HEAD is on, so that only changes here hide it.
        way_back: As of `VersionFact`.
        is_here: Whether this clone's cache has all of it.
        level_there: What the level is called at that branch, tag or stash; empty for the same.
    """

    level: str
    unit: str | None
    title: str
    version: str
    where: str
    is_checked_out: bool = False
    way_back: str = ""
    is_here: bool = True
    level_there: str = ""


class LegacyUnit(Struct, frozen=True):
    """A unit that DVC before 3 recorded, which cannot be stored as it is."""

    level: str
    unit: str | None
    title: str
    kind: str


class Unproven(Struct, frozen=True):
    """A version that is stored nowhere by rule, and is not recoverable: why, and the remedy."""

    level: str
    unit: str | None
    title: str
    why: str
    remedy: str


class StorageFact(Struct, frozen=True):
    """One storage.

    Attributes:
        place: The storage that stands for all names of the same bytes; empty: this clone's cache.
        levels: Levels that name it in `storage` or `then`.
        holds: Levels the log says have copies there.
        marker: What asking it gave; None where it was not asked.
        detail: Whose marker it is, or why it could not be asked.
        purged: Whether the place deletes by itself.
        is_unplugged: Whether it is a drive that is not here.
    """

    name: str
    place: str
    levels: tuple[str, ...]
    holds: tuple[str, ...]
    marker: MarkerState | None = None
    detail: str = ""
    purged: bool = False
    is_unplugged: bool = False


class UnitHere(Struct, frozen=True):
    """A unit whose files here are not what its record says."""

    level: str
    unit: str | None
    title: str
    is_raw: bool
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


class Due(Struct, frozen=True):
    """Units of a level whose `keep` rule lets them go from a place.

    Attributes:
        place: A storage's name; empty for workspace and cache.
        remedy: What must be done first, since nothing else gives them back; empty where they are
            recoverable without what would go.
    """

    level: str
    units: tuple[str, ...]
    place: str
    keep: str
    size: int
    remedy: str


class Superseded(Struct, frozen=True):
    """Old versions that a level's `versions` rule does not ask to keep, and that are somewhere.

    Attributes:
        is_safe: Whether they are recoverable without what is at that place.
    """

    level: str
    rule: str
    place: str
    count: int
    size: int
    is_safe: bool = True


class ToMove(Struct, frozen=True):
    """Units of a level that belong on the storage named by `then` by now, and why."""

    level: str
    units: tuple[str, ...]
    source: str
    target: str
    why: str


class RawOrigin(Struct, frozen=True):
    """The origin recorded with a raw unit; empty where none is."""

    level: str
    unit: str | None
    title: str
    file: str
    origin: str


class Leak(Struct, frozen=True):
    """Restricted content at a place that others can read.

    Attributes:
        place: The storage, or `git`.
        public: Why others can read it.
        names: The files of it that were found there.
        reason: The restriction.
        is_current: Whether `drop` can take it from there: the working tree records this version,
            and imgdata.yaml the storage.
        is_marked: Whether the storage has this project's marker.
        add_again: The command that writes the marker of a storage without one.
        in_git: What git is to forget: the files, or the tracked folders they lie in.
        not_ignored: The lines that keep git from taking them again, each after the `.gitignore`
            that lacks it.
    """

    level: str
    title: str
    place: str
    public: str
    names: tuple[str, ...]
    reason: str
    is_current: bool = True
    is_marked: bool = True
    add_again: str = ""
    in_git: tuple[str, ...] = ()
    not_ignored: tuple[tuple[str, str], ...] = ()


class PublicRemote(Struct, frozen=True):
    """A restricted unit that plain DVC would send to a public remote."""

    level: str
    unit: str | None
    title: str
    remote: str
    public: str
    reason: str


class Loss(Struct, frozen=True):
    """A loss that somebody accepted, in imgdata.yaml now or in any commit."""

    level: str
    select: str
    reason: str
    by: str
    on: str


class ConfigState(Struct, frozen=True):
    """imgdata.yaml against the release branch."""

    state: CommitState
    release_branch: str
    branch: str
    has_remote: bool


class AuditFacts(Struct, frozen=True):
    """All that an audit judges.

    Attributes:
        asked: Whether storages were asked.
        newest: When the newest line of the log was written; None for an empty log.
        differences: What DVC's files say otherwise than imgdata.yaml.
        unreadable: Lines of the log that could not be read.
        doubts: What of DVC's files could not be understood.
        driver_missing: Whether git in this clone does not know the merge driver it should.
        decisions: How many `excluded` and `note` events the log has.
    """

    now: datetime
    asked: bool = False
    newest: datetime | None = None
    versions: tuple[VersionFact, ...] = ()
    old: tuple[OldVersion, ...] = ()
    legacy: tuple[LegacyUnit, ...] = ()
    unproven: tuple[Unproven, ...] = ()
    storages: tuple[StorageFact, ...] = ()
    here: tuple[UnitHere, ...] = ()
    due: tuple[Due, ...] = ()
    superseded: tuple[Superseded, ...] = ()
    to_move: tuple[ToMove, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict)
    raw_origins: tuple[RawOrigin, ...] = ()
    leaks: tuple[Leak, ...] = ()
    public_remotes: tuple[PublicRemote, ...] = ()
    losses: tuple[Loss, ...] = ()
    config: ConfigState = ConfigState("shared", "main", "main", has_remote=True)
    differences: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    driver_missing: bool = False
    decisions: Mapping[str, int] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The current day, UTC."""
        return self.now.date()
