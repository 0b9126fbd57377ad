"""States that files had in commits."""

from datetime import datetime

from msgspec import Struct


class RecordedFile(Struct, frozen=True):
    """One state of a file in history.

    Attributes:
        path: From the git root.
        blob: The object id of its content.
        commit: The commit that gave it this content.
        at: When that was committed, UTC.
    """

    path: str
    blob: str
    commit: str
    at: datetime
