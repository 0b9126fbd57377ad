"""The copies of every version, folded from the events of the log.

Every copy event carries `after`: the ids of the newest events about the same copy that its writer
had read. So the events of a copy are ordered by what followed what, as commits are, and a clock
that goes backwards changes nothing. Events that neither follows the other were written by clones
that had not seen each other: where they disagree, nothing is known. A line without `after` has
seen nothing. Times only choose between lines that agree.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property, reduce
from graphlib import CycleError, TopologicalSorter
from operator import or_

from msgspec import Struct, field

from imgdata.model.events import ALL_OBJECTS, COPY_EVENTS, Event, Json

RANGE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{2})")
STRENGTH = {"size": 0, "checksum": 1, "read": 2}
THERE = frozenset({"stored", "verified"})
VERIFYING = frozenset({"read", "checksum"})


class Evidence(Struct, frozen=True):
    """That an object is at a storage: since when it is known, and how."""

    at: datetime
    how: str

    @property
    def is_verified(self) -> bool:
        """Whether the content was hashed or a whole checksum compared; size alone is not enough."""
        return self.how in VERIFYING


class NotThere(Struct, frozen=True):
    """That an object is not at a storage, or not right there: since when it is known, and why."""

    at: datetime
    why: str


class Unknown(Struct, frozen=True):
    """Clones disagree about an object, and none has seen the other's line."""

    events: tuple[str, ...]


class NothingNoted(Struct, frozen=True):
    """No event is about the object on this storage."""


Belief = Evidence | NotThere | Unknown | NothingNoted
NOTHING = NothingNoted()


class Scope(Struct, frozen=True):
    """Which objects of a version an event is about."""

    is_all: bool
    ranges: tuple[tuple[str, str], ...] = ()
    md5s: frozenset[str] = frozenset()

    def covers(self, md5: str) -> bool:
        """Tell whether the event is about an object."""
        if self.is_all or md5 in self.md5s:
            return True
        return any(low <= md5[:2] <= high for low, high in self.ranges)


def scope_of(objects: Json) -> Scope:
    """Return the scope of an event's `objects`: `all`, md5s, two-digit ranges."""
    if objects == ALL_OBJECTS:
        return Scope(is_all=True)
    parts = [str(part) for part in objects] if isinstance(objects, list) else []
    bounds = [RANGE.fullmatch(part) for part in parts]
    return Scope(
        is_all=False,
        ranges=tuple((found[1], found[2]) for found in bounds if found),
        md5s=frozenset(
            part[:32] for part, found in zip(parts, bounds, strict=True) if found is None
        ),
    )


class Note(Struct, frozen=True):
    """One event about some objects of a version.

    Attributes:
        place: Where it stands among the notes of its copy.
        follows: The places of the notes it follows, at first or second hand: a bit each. A copy
            that is looked at every night has thousands.
    """

    id: str
    at: datetime
    event: str
    how: str
    scope: Scope
    place: int
    follows: int

    @property
    def is_there(self) -> bool:
        """Whether it says that the objects are there and right."""
        return self.event in THERE


class CopyKey(Struct, frozen=True):
    """What a copy is of, and where."""

    storage: str
    level: str
    unit: str | None
    version: str


class Copy(Struct, frozen=True, dict=True):
    """What the log says about one version on one storage; notes are ordered by time and id."""

    notes: tuple[Note, ...] = ()

    @cached_property
    def _known(self) -> dict[tuple[str, ...], Belief]:
        return {}

    @cached_property
    def _of_all(self) -> Belief | None:
        """What is known of every object alike; None where some event is about some objects."""
        return _believe(self.notes) if all(note.scope.is_all for note in self.notes) else None

    def belief(self, md5: str) -> Belief:
        """Return what is known of one object."""
        if self._of_all is not None:
            return self._of_all
        about = tuple(note for note in self.notes if note.scope.covers(md5))
        ids = tuple(note.id for note in about)
        if ids not in self._known:
            self._known[ids] = _believe(about)
        return self._known[ids]

    def evidence(self, md5: str) -> Evidence | None:
        """Return the evidence for one object; None where it is denied, unknown or not noted."""
        found = self.belief(md5)
        return found if isinstance(found, Evidence) else None

    @property
    def beliefs(self) -> tuple[Belief, ...]:
        """What is known of the copy's objects, without asking object by object.

        The first is that of the objects no event names one by one.
        """
        named = sorted({md5 for note in self.notes for md5 in note.scope.md5s})
        has_ranges = any(note.scope.ranges for note in self.notes)
        others = [f"{value:02x}" for value in range(256)] if has_ranges else [""]
        return tuple(dict.fromkeys(map(self.belief, [*others, *named])))

    @property
    def is_whole(self) -> bool:
        """Whether every object is evidenced, without asking object by object."""
        return bool(self.notes) and all(isinstance(one, Evidence) for one in self.beliefs)

    @property
    def weakest(self) -> Evidence | None:
        """The evidence of a whole copy: the weakest and oldest that still counts."""
        kept = [one for one in self.beliefs if isinstance(one, Evidence)]
        if not self.is_whole:
            return None
        return min(kept, key=lambda one: (STRENGTH.get(one.how, 0), one.at))

    @property
    def heads(self) -> tuple[str, ...]:
        """The ids of the events that no other event about this copy follows, sorted."""
        return tuple(sorted(note.id for note in _heads(self.notes)))


def _heads(notes: Iterable[Note]) -> tuple[Note, ...]:
    some = tuple(notes)
    followed = _all_followed(some)
    return tuple(note for note in some if not followed >> note.place & 1)


def _all_followed(notes: Iterable[Note]) -> int:
    return reduce(or_, (note.follows for note in notes), 0)


def _believe(about: tuple[Note, ...]) -> Belief:
    """Return what notes about the same object add up to, by their newest that nothing follows."""
    if not about:
        return NOTHING
    heads = _heads(about)
    there = [note for note in heads if note.is_there]
    if not there:
        last = max(heads, key=lambda note: (note.at, note.id))
        return NotThere(last.at, last.event)
    if len(there) < len(heads):
        return Unknown(tuple(sorted(note.id for note in heads)))
    return _evidence(about, there)


def _evidence(about: tuple[Note, ...], heads: list[Note]) -> Evidence:
    """Return the newest check of the bytes that are there now.

    What was checked before the object was written anew, or was not there, does not count any more.
    Bytes written without a look at them count by size, whatever another clone read meanwhile.
    """
    unchecked = [n for n in heads if n.event == "stored" and n.how not in VERIFYING]
    if unchecked:
        last = max(unchecked, key=lambda note: (note.at, note.id))
        return Evidence(last.at, last.how)
    resets = [note for note in about if note.event == "stored" or not note.is_there]
    gone = _all_followed(resets)
    current = [note for note in about if note.is_there and not gone >> note.place & 1]
    checked = [note for note in current if note.how in VERIFYING]
    last = max(checked or current, key=lambda note: (note.at, note.id))
    return Evidence(last.at, last.how)


class Ledger(Struct, frozen=True):
    """All copies by storage, level, unit and version; `lost` are notes about whole storages."""

    copies: Mapping[CopyKey, Copy]
    lost: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)

    def copy(self, key: CopyKey) -> Copy:
        """Return what is known of one copy; nothing noted is an empty copy."""
        found = self.copies.get(key)
        return Copy(self.lost.get(key.storage, ())) if found is None else found

    def lost_since(self, storage: str) -> datetime | None:
        """Return when a storage was declared lost, or None; later copies on it count again."""
        return max((note.at for note in self.lost.get(storage, ())), default=None)


def key_of(event: str, details: Mapping[str, Json]) -> CopyKey | None:
    """Return which copy an event is about; None for an event that is about none.

    A `lost` event without level and version is about everything on its storage.
    """
    storage, level = details.get("storage"), details.get("level")
    unit, version = details.get("unit"), details.get("version")
    if event not in COPY_EVENTS or not isinstance(storage, str):
        return None
    return CopyKey(
        storage,
        level if isinstance(level, str) else "",
        unit if isinstance(unit, str) else None,
        version if isinstance(version, str) else "",
    )


def fold(events: Iterable[Event]) -> Ledger:
    """Return the state that events add up to; their order plays no part."""
    about: dict[CopyKey, dict[str, Event]] = {}
    for event in events:
        key = key_of(event.event, event.details)
        if key is not None:
            about.setdefault(key, {})[event.id] = event
    whole = {key.storage: some for key, some in about.items() if _is_whole_storage(key)}
    copies = {
        key: Copy(_notes({**some, **whole.get(key.storage, {})}))
        for key, some in about.items()
        if not _is_whole_storage(key)
    }
    return Ledger(copies, {storage: _notes(some) for storage, some in whole.items()})


def _is_whole_storage(key: CopyKey) -> bool:
    return not (key.level or key.version)


def _notes(events: Mapping[str, Event]) -> tuple[Note, ...]:
    ordered = sorted(events.values(), key=lambda one: (one.at, one.id))
    follows = _all_before({one.id: _after(one) & events.keys() for one in ordered})
    return tuple(
        Note(
            id=one.id,
            at=one.at,
            event=one.event,
            how=one.text("how"),
            scope=scope_of(one.details.get("objects", ALL_OBJECTS)),
            place=place,
            follows=follows[one.id],
        )
        for place, one in enumerate(ordered)
    )


def _after(event: Event) -> frozenset[str]:
    after = event.details.get("after")
    return frozenset(str(one) for one in after) if isinstance(after, list) else frozenset()


def _all_before(before: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """Return everything that each event follows, as bits in the order they are given."""
    bits = {one: 1 << place for place, one in enumerate(before)}
    found: dict[str, int] = {}
    try:
        for one in TopologicalSorter(before).static_order():
            found[one] = reduce(or_, (found[other] | bits[other] for other in before[one]), 0)
    except CycleError:
        return {one: sum(bits[other] for other in _reached(one, before)) for one in before}
    return found


def _reached(start: str, before: Mapping[str, frozenset[str]]) -> set[str]:
    """Return what an event follows in a log with a forged circle: none that is in it itself."""
    found: set[str] = set()
    todo = list(before[start])
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += before[one]
    return set() if start in found else found


class Following:
    """Tells the writer of the log what each new copy event follows."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._heads: dict[CopyKey, tuple[str, ...]] = {}

    def __call__(self, event: str, details: Mapping[str, Json], new_id: str) -> tuple[str, ...]:
        """Return the ids an event about to be written follows, and remember it as the newest."""
        key = key_of(event, details)
        if key is None:
            return ()
        after = tuple(sorted(set(self._before(key))))
        for one in (key, *self._below(key)):
            self._heads[one] = (new_id,)
        return after

    def _before(self, key: CopyKey) -> Iterator[str]:
        for one in (key, *self._below(key)):
            yield from self._heads.get(one) or self._ledger.copy(one).heads

    def _below(self, key: CopyKey) -> tuple[CopyKey, ...]:
        """Return all copies on a storage, for an event about the whole of it."""
        if not _is_whole_storage(key):
            return ()
        known = {*self._ledger.copies, *self._heads}
        return tuple(
            one for one in known if one.storage == key.storage and not _is_whole_storage(one)
        )
