"""What imgdata notes for ever: one event a line, never changed afterwards."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, field

CopyEventKind = Literal["stored", "verified", "missing", "damaged", "dropped", "lost"]
COPY_EVENTS: tuple[CopyEventKind, ...] = (
    "stored",
    "verified",
    "missing",
    "damaged",
    "dropped",
    "lost",
)
ALL_OBJECTS = "all"

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Event(Struct, frozen=True):
    """One line of the log.

    Attributes:
        id: Unique; with `at` it orders the lines.
        at: When, UTC.
        by: Who (`Name <email>`), or an empty text.
        host: The machine.
        event: A copy event, `run`, `proof`, `imported`, `deposit`, `excluded`, `note` or `renamed`.
        details: The fields of that kind of event (PRODUCT.md section 3).
    """

    id: str
    at: datetime
    by: str
    host: str
    event: str
    details: Mapping[str, Json] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a detail that is text, or an empty text."""
        value = self.details.get(name)
        return value if isinstance(value, str) else ""


def time_text(at: datetime) -> str:
    """Return a time as the log and `.dvc` files hold it: `2026-11-20T10:33:05.123Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the time of a text in ISO 8601.

    Raises:
        ValueError: It is not one, or it has no time zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        msg = f"a time needs its zone: {text!r}"
        raise ValueError(msg)
    return at.astimezone(UTC)
