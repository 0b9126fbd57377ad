"""When may data go? The `keep` rule of a level, against its last use and the clock."""

import re
from datetime import date, datetime, timedelta

from msgspec import Struct

FOREVER = "forever"
RECOMPUTE = "recompute"
UNTIL_PUBLISHED = "until published"
_DAYS = re.compile(r"(\d+) days after last use")
_UNTIL = "until "


class UnitLife(Struct, frozen=True):
    """What happened to a unit that its `keep` rule asks about.

    Attributes:
        last_use: When a stage last read it, or else when it was made or added; None where nobody
            noted it.
        is_used_up: Whether stages read it, and none of them would run again.
        is_published: Whether a published deposit has this very version.
    """

    last_use: datetime | None
    is_used_up: bool
    is_published: bool


def has_ended(keep: str, life: UnitLife, now: datetime, newest: datetime | None) -> bool:
    """Tell whether a `keep` rule lets a unit go now.

    A clock that is behind the newest line of the log is wrong, and so are the times it gave: until
    it is right again, nothing ends by the clock. What is not known has not ended.

    Args:
        keep: The rule, as imgdata.yaml says it.
        life: What happened to the unit.
        now: The current time.
        newest: The time of the newest line of the log.
    """
    if keep == RECOMPUTE:
        return life.is_used_up
    if keep == UNTIL_PUBLISHED:
        return life.is_published
    if newest is not None and now < newest:
        return False
    if days := _DAYS.fullmatch(keep):
        return life.last_use is not None and life.last_use + timedelta(days=int(days[1])) <= now
    if keep.startswith(_UNTIL):
        return date.fromisoformat(keep.removeprefix(_UNTIL)) <= now.date()
    return False


def why_to_move(keep: str, life: UnitLife, now: datetime, newest: datetime | None) -> str:
    """Say why a unit should move on to the storage that `then` names; empty while it should not.

    Where `keep` has an end, a unit moves on at that end. Data kept for ever move on once no stage
    needs them any more.
    """
    if keep == FOREVER:
        return "every stage that reads it is done" if life.is_used_up else ""
    return f"keep: {keep}" if has_ended(keep, life, now, newest) else ""
