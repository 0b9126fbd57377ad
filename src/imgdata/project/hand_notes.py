"""Notes of people about files, as the log holds them: `imgdata note`."""

from collections.abc import Iterable

from imgdata.model.decisions import HandNote
from imgdata.model.events import Event

EVENT = "note"


def hand_notes(events: Iterable[Event]) -> tuple[HandNote, ...]:
    """Return the notes in the order of the events; the last one of a path and content counts."""
    found: dict[tuple[str, str], HandNote] = {}
    for event in events:
        path, md5 = event.text("path"), event.text("md5")
        if event.event == EVENT and path and md5:
            found[path, md5] = HandNote(
                path,
                md5,
                event.text("recorded") or None,
                event.text("reason"),
                event.by,
                event.at,
            )
    return tuple(found.values())
