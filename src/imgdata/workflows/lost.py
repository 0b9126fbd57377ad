"""`imgdata storage lost`: a storage is gone, and every copy on it."""

from msgspec import Struct

from imgdata.errors import UsageError
from imgdata.model.events import Json
from imgdata.workflows.clone import Clone
from imgdata.workflows.copies import Copies, rule_of
from imgdata.workflows.versions import current_versions


class Lost(Struct, frozen=True):
    """What a loss means.

    Attributes:
        copies: Versions that had a copy there.
        owed: Level and unit of recorded versions that have fewer copies than their rule asks now.
    """

    storage: str
    copies: int
    owed: tuple[str, ...]


def lose(clone: Clone, name: str, reason: str) -> Lost:
    """Note that a storage is lost; asks it nothing.

    Raises:
        UsageError: The storage is not configured and no copy on it is known, or no reason is given.
        MachineError: Another imgdata command is at work here.
    """
    known = {key.storage for key in clone.ledger.copies} | set(clone.config.storages)
    if name not in known:
        problem = f"'{name}' is not a storage of this project"
        raise UsageError(problem, cause=f"storages: {', '.join(sorted(known))}")
    if not reason.strip():
        problem = "a loss needs its reason, for those who read the log later"
        raise UsageError(problem, remedy=f'imgdata storage lost {name} --reason "fell down"')
    with clone.writing():
        now = clone.reread()
        held = [
            key
            for key, copy in now.ledger.copies.items()
            if key.storage == name and copy.has_something
        ]
        whole: dict[str, Json] = {"storage": name, "reason": reason, "objects": "all"}
        events: list[tuple[str, dict[str, Json]]] = [("lost", whole)]
        events += [
            (
                "lost",
                {
                    "storage": name,
                    "level": key.level,
                    "unit": key.unit,
                    "version": key.version,
                    "how": "",
                    "objects": "all",
                    "reason": reason,
                },
            )
            for key in held
        ]
        path = now.log().write(events)
        if path is not None:
            clone.git.stage([path])
    return Lost(name, len(held), tuple(owed(now.reread())))


def owed(clone: Clone) -> list[str]:
    """Return level and unit of recorded versions with fewer copies than their rule, remembered."""
    from imgdata.policy.evidence import CopyFact, tally  # noqa: PLC0415 - only here

    copies = Copies(clone, ask=False)
    now = clone.clock.now()
    found: list[str] = []
    for version in current_versions(clone, tuple(clone.config.levels)):
        level = clone.config.levels[version.level]
        if not level.storages:
            continue
        facts = []
        for name in copies.storages_of(version):
            weakest = copies.copy(version, name).weakest
            if weakest is not None:
                place = copies.place_of.get(name, name)
                facts.append(CopyFact(name, place, weakest, "not asked", copies.never(name)))
        if len(tally(facts, rule_of(level), now).counted) < level.copies:
            found.append(version.title)
    return found
