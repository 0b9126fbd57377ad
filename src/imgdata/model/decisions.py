"""What people decided about files: what was left out, and what was edited by hand."""

from datetime import datetime

from msgspec import Struct


class Excluded(Struct, frozen=True):
    """One file that a person left out of what is made next.

    Attributes:
        level: The level it is on.
        unit: The unit it belongs to; None where the level has none.
        file: Its name in the unit's folder; the unit's own name where it is a single file.
        reason: Why.
        by: Who (`Name <email>`); empty for a line written by hand.
        at: When, as in the log; empty for a line written by hand.
    """

    level: str
    unit: str | None
    file: str
    reason: str
    by: str = ""
    at: str = ""


class HandNote(Struct, frozen=True):
    """What a person said about a file with this very content.

    Attributes:
        path: The file, relative to the project's root.
        md5: Its content when the note was made.
        recorded: The content that was recorded of it then; None if none was.
        reason: What was done, and why.
        by: Who.
        at: When.
    """

    path: str
    md5: str
    recorded: str | None
    reason: str
    by: str
    at: datetime

    @property
    def is_hand_edit(self) -> bool:
        """Whether the content differed from the record when the note was made."""
        return self.recorded is not None and self.recorded != self.md5
