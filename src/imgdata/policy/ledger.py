"""The copies of every version, folded from the events of the log."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from imgdata.model.events import ALL_OBJECTS, COPY_EVENTS, Event, Json

RANGE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{2})")
STRENGTH = {"size": 0, "checksum": 1, "read": 2}


@dataclass(frozen=True, slots=True)
class Evidence:
    """That an object is at a storage: since when it is known, and how."""

    at: datetime
    how: str

    @property
    def is_verified(self) -> bool:
        """Whether the content was hashed or a whole checksum compared; size alone is not enough."""
        return self.how in {"read", "checksum"}


@dataclass(frozen=True, slots=True)
class Note:
    """One event about some objects of a version; no evidence where it says they are not right."""

    objects: Json
    evidence: Evidence | None

    def covers(self, md5: str) -> bool:
        """Tell whether the note is about an object."""
        if self.objects == ALL_OBJECTS:
            return True
        if not isinstance(self.objects, list):
            return False
        return any(_selects(str(part), md5) for part in self.objects)


def _selects(part: str, md5: str) -> bool:
    if bounds := RANGE.fullmatch(part):
        return bounds[1] <= md5[:2] <= bounds[2]
    return part == md5


@dataclass(frozen=True, slots=True)
class CopyKey:
    """What a copy is of, and where."""

    storage: str
    level: str
    unit: str | None
    version: str


@dataclass(frozen=True, slots=True)
class Copy:
    """What the log says about one version on one storage, oldest note first."""

    notes: tuple[Note, ...] = ()

    def evidence(self, md5: str) -> Evidence | None:
        """Return the newest evidence for one object, or None where the newest note denies it."""
        newest = next((note for note in reversed(self.notes) if note.covers(md5)), None)
        return newest.evidence if newest else None

    @property
    def is_whole(self) -> bool:
        """Whether every object is evidenced, without asking object by object."""
        after_all = []
        for note in reversed(self.notes):
            after_all.append(note)
            if note.objects == ALL_OBJECTS:
                return all(one.evidence is not None for one in after_all)
        return False

    @property
    def weakest(self) -> Evidence | None:
        """The evidence of a whole copy: the weakest and oldest that still counts."""
        kept: list[Evidence] = []
        for note in reversed(self.notes):
            if note.evidence is not None:
                kept.append(note.evidence)
            if note.objects == ALL_OBJECTS:
                break
        if not self.is_whole or not kept:
            return None
        return min(kept, key=lambda one: (STRENGTH.get(one.how, 0), one.at))


@dataclass(frozen=True, slots=True)
class Ledger:
    """All copies by storage, level, unit and version."""

    copies: Mapping[CopyKey, Copy]

    def copy(self, key: CopyKey) -> Copy:
        """Return what is known of one copy; nothing noted is an empty copy."""
        return self.copies.get(key, Copy())


def fold(events: Iterable[Event]) -> Ledger:
    """Return the state that the events, ordered by time and id, add up to."""
    notes: dict[CopyKey, list[Note]] = {}
    for event in events:
        if event.event not in COPY_EVENTS:
            continue
        unit = event.details.get("unit")
        key = CopyKey(
            event.text("storage"),
            event.text("level"),
            unit if isinstance(unit, str) else None,
            event.text("version"),
        )
        there = event.event in {"stored", "verified"}
        evidence = Evidence(event.at, event.text("how")) if there else None
        notes.setdefault(key, []).append(Note(event.details.get("objects", ALL_OBJECTS), evidence))
    return Ledger({key: Copy(tuple(some)) for key, some in notes.items()})
