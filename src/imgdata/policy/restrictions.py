"""May these data leave the lab? One function, asked by everything that sends data out.

A restriction flows down: a derived unit is as restricted as the strictest raw unit it was made
from. What is not known counts as restricted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from msgspec import Struct

from imgdata.project.config import Origin

_COLLABORATORS = frozenset({"academic-collaborator", "industry-collaborator"})


class Source(Struct, frozen=True):
    """A raw unit that something was made from, with the name of its origin.

    Attributes:
        unit: `level/unit`, for messages.
        origin: The origin's name; empty when none is recorded.
    """

    unit: str
    origin: str


class MayLeave(Struct, frozen=True):
    """Nothing stands against it. `because` names the rules that release restricted data."""

    because: tuple[str, ...] = ()


class Restricted(Struct, frozen=True):
    """It stays. One reason a line, each naming the unit and its origin."""

    reasons: tuple[str, ...]


Verdict = MayLeave | Restricted


def may_leave(
    level: str,
    sources: Iterable[Source],
    rules: Sequence[Mapping[str, Origin]],
    today: date,
) -> Verdict:
    """Tell whether data of a level that were made from these raw units may go to a public place.

    Args:
        level: The level the data belong to; a written rule releases levels by name.
        sources: All raw units upstream, or the raw unit itself. None at all is unknown, hence
            restricted.
        rules: The origins by name as each place states them: the release branch as last
            fetched, and the working tree. Where they differ, the stricter wins; without the
            release branch's there is no committed rule, so pass an empty mapping for it.
        today: The current day, UTC.

    Returns:
        `Restricted` as soon as one source in one reading of the rules is restricted.
    """
    known = sorted(set(sources), key=lambda source: (source.unit, source.origin))
    if not known:
        return Restricted((f"{level}: it is not known which raw data it was made from",))
    held: dict[str, None] = {}
    released: dict[str, None] = {}
    for origins in rules:
        for source in known:
            match _one(level, source, origins.get(source.origin), today):
                case Restricted(reasons):
                    held.update(dict.fromkeys(reasons))
                case MayLeave(because):
                    released.update(dict.fromkeys(because))
    if held or not rules:
        return Restricted(tuple(held) or (f"{level}: no rules were read",))
    return MayLeave(tuple(released))


def _one(level: str, source: Source, origin: Origin | None, today: date) -> Verdict:
    """Judge one raw unit by one reading of the rules."""
    if not source.origin:
        return Restricted((f"{source.unit} has no origin",))
    if origin is None:
        return Restricted((f"{source.unit}: its origin '{source.origin}' is not stated",))
    reason = _restriction(origin, today)
    if reason is None:
        return MayLeave()
    if level in origin.may_leave:
        return MayLeave((f"origin '{origin.name}' lets {level} leave by a written rule",))
    return Restricted((f"{source.unit} is of origin '{origin.name}', {reason}",))


def released_by(level: str, origin: Origin, today: date) -> str:
    """Say by which rule an origin's data of a level may leave today; empty where none lets them."""
    if _restriction(origin, today) is not None:
        return f"written rule (may_leave: {level})" if level in origin.may_leave else ""
    if origin.release_on is not None:
        return f"released on {origin.release_on.isoformat()}"
    if origin.access == "open":
        return "open (access: open)"
    return "own data" if origin.kind == "own" else "public data"


def is_ever_restricted(origin: Origin) -> bool:
    """Tell whether an origin's data are, or once were, not for everyone."""
    has_word = origin.access is not None
    return origin.access == "restricted" or (not has_word and origin.kind in _COLLABORATORS)


def _restriction(origin: Origin, today: date) -> str | None:
    """Say why an origin's data are restricted today, or return None."""
    if origin.access == "restricted":
        if origin.release_on is None:
            return "restricted, no release date"
        if today < origin.release_on:
            return f"restricted until {origin.release_on.isoformat()}"
        return None
    if origin.release_on is not None and today < origin.release_on:
        return f"not released before {origin.release_on.isoformat()}"
    if origin.access is None and origin.kind in _COLLABORATORS:
        return f"{origin.kind} without stated access"
    return None
