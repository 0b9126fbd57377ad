"""Does a copy count? One rule for whereis, drop, audit and advice (PRODUCT.md section 6)."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal, assert_never

from msgspec import Struct

from imgdata.policy.ledger import Belief, Evidence, NothingNoted, NotThere, Unknown

Presence = Literal["present", "absent", "differs", "written since", "offline", "not asked"]
"""What a storage says of an object in this very command.

`differs`: another size or checksum than it should have; `written since`: changed after its last
check; `offline`: a drive in a drawer, or a storage that gives objects back only after hours.
"""

WHY_NOT: Mapping[Presence, str] = {
    "absent": "not there any more",
    "differs": "another size or checksum there",
    "written since": "written to since it was checked",
}
CLOCK_SLACK = timedelta(days=1)


class Rule(Struct, frozen=True):
    """What a level asks of its copies.

    Attributes:
        copies: How many must count; at least one, whatever the level says.
        verify_every: How long a check holds.
    """

    copies: int
    verify_every: timedelta


class CopyFact(Struct, frozen=True):
    """One object on one storage.

    Attributes:
        storage: Its name.
        place: The storage that stands for all names of the same bytes; empty for this clone's
            own cache.
        belief: What the log says.
        presence: What the storage says now.
        never: Why nothing on this storage ever counts; empty where it may.
    """

    storage: str
    place: str
    belief: Belief
    presence: Presence
    never: str = ""


class Counts(Struct, frozen=True):
    """The copy is there, was checked, and the check still holds."""

    checked_at: datetime


class CountsBeside(Struct, frozen=True):
    """The copy was checked, but cannot be looked at now: it counts beside one that can."""

    checked_at: datetime


class DoesNotCount(Struct, frozen=True):
    """Why the copy is no evidence."""

    why: str


Standing = Counts | CountsBeside | DoesNotCount


def standing(fact: CopyFact, rule: Rule, now: datetime) -> Standing:
    """Tell whether a copy counts.

    A check dated in the future beyond a day was made by a clock that cannot be trusted.
    """
    if fact.never and not isinstance(fact.belief, NothingNoted):
        return DoesNotCount(fact.never)
    if not fact.place:
        return DoesNotCount("is this clone's own cache")
    match fact.belief:
        case NothingNoted():
            return DoesNotCount("never stored there")
        case NotThere(_, why):
            return DoesNotCount(why)
        case Unknown():
            return DoesNotCount("unknown: clones disagree")
        case Evidence():
            return _of_evidence(fact.belief, fact.presence, rule, now)
        case _:
            assert_never(fact.belief)


def _of_evidence(evidence: Evidence, presence: Presence, rule: Rule, now: datetime) -> Standing:
    if not evidence.is_verified:
        return DoesNotCount("only its size was checked")
    age = now - evidence.at
    if age > rule.verify_every:
        return DoesNotCount(f"last checked {age.days} days ago")
    if age < -CLOCK_SLACK:
        return DoesNotCount("checked at a time that is yet to come")
    if presence == "offline":
        return CountsBeside(evidence.at)
    why = WHY_NOT.get(presence)
    return Counts(evidence.at) if why is None else DoesNotCount(why)


class Tally(Struct, frozen=True):
    """The copies of one object that count, and why the others do not.

    Attributes:
        counted: The names of the storages, one a place, sorted.
        oldest_check: When the one checked longest ago was; None where none counts.
        against: Storage and reason of those that do not count, sorted.
    """

    counted: tuple[str, ...]
    oldest_check: datetime | None
    against: tuple[tuple[str, str], ...]


def tally(facts: Iterable[CopyFact], rule: Rule, now: datetime) -> Tally:
    """Count the copies of one object: each place once, offline ones beside one that is not."""
    sure: dict[str, tuple[str, datetime]] = {}
    beside: dict[str, tuple[str, datetime]] = {}
    against: list[tuple[str, str]] = []
    for fact in sorted(facts, key=lambda one: one.storage):
        match standing(fact, rule, now):
            case Counts(at):
                _keep(sure, fact, at, against)
            case CountsBeside(at):
                _keep(beside, fact, at, against)
            case DoesNotCount(why):
                against.append((fact.storage, why))
            case other:
                assert_never(other)
    alone = {place: one for place, one in beside.items() if place not in sure}
    if not sure:
        against += [(storage, "offline, and no other copy counts") for storage, _ in alone.values()]
        alone = {}
    found = [*sure.values(), *alone.values()]
    return Tally(
        tuple(sorted(storage for storage, _ in found)),
        min((at for _, at in found), default=None),
        tuple(sorted(against)),
    )


def _keep(
    kept: dict[str, tuple[str, datetime]],
    fact: CopyFact,
    at: datetime,
    against: list[tuple[str, str]],
) -> None:
    if fact.place in kept:
        against.append((fact.storage, f"the same place as {kept[fact.place][0]}"))
    else:
        kept[fact.place] = (fact.storage, at)
