"""Decisions of people in lineage: what was left out of what a file came from, and hand edits."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from imgdata.lineage.answer import Exclusion, ExclusionState, Note
from imgdata.model.decisions import Excluded


class ListReading(Struct, frozen=True):
    """One list of excluded files as it is, and as the graph read it.

    Attributes:
        path: The list.
        now: Its lines now.
        read: Its lines as a stage of the graph read it; None where those are not known.
        is_read: Whether a stage of the graph reads it at all.
    """

    path: str
    now: Sequence[Excluded]
    read: Sequence[Excluded] | None
    is_read: bool


def exclusions_of(
    reading: ListReading, folders: Mapping[tuple[str, str | None], str], file: str, own: str | None
) -> Iterable[Exclusion]:
    """Yield the decisions of a list that concern a file.

    Args:
        reading: The list.
        folders: By level and unit of the graph, the folder that names of files are relative to.
        file: The file that is asked about.
        own: The level the file is on: of its own level only lines about the file itself count.
    """
    groups: dict[tuple[str, str | None, str, str, str, ExclusionState], list[str]] = {}
    for row, state in _with_states(reading):
        folder = folders.get((row.level, row.unit))
        if folder is None:
            continue
        path = folder if folder.rpartition("/")[2] == row.file else f"{folder}/{row.file}"
        is_itself = path == file or file.startswith(f"{path}/")
        if row.level == own and not is_itself and file != folder:
            continue
        said: ExclusionState = "excluded" if row.level == own and state != "unknown" else state
        key = (row.level, row.unit, row.reason, row.by, row.at, said)
        groups.setdefault(key, []).append(path)
    for (level, unit, reason, by, at, state), files in groups.items():
        yield Exclusion(
            level, unit, tuple(files), reason, reading.path, state, by or None, at or None
        )


def _with_states(reading: ListReading) -> Iterable[tuple[Excluded, ExclusionState]]:
    if not reading.is_read:
        yield from ((row, "excluded") for row in reading.now)
        return
    if reading.read is None:
        yield from ((row, "unknown") for row in reading.now)
        return
    read, now = set(reading.read), set(reading.now)
    known = {(row.level, row.file) for row in read}
    for row in reading.now:
        is_left_out = row in read or (row.level, row.file) in known
        yield row, "left out" if is_left_out else "not left out yet"
    still = {(row.level, row.file) for row in now}
    yield from (
        (row, "taken back since") for row in reading.read if (row.level, row.file) not in still
    )


def exclusion_words(one: Exclusion, file: str = "") -> str:
    """Return a decision as a person says it: `6 files of raw P1 excluded: out of focus, A. Lee`."""
    count = "one file" if len(one.files) == 1 else f"{len(one.files):,} files"
    title = one.level if one.unit is None else f"{one.level} {one.unit}"
    subject = "" if file in one.files else f"{count} of {title} "
    words = f"{subject}excluded: {_why(one.reason, one.by, one.at)}"
    told = {
        "not left out yet": "   NOT left out yet: imgdata run",
        "taken back since": "   taken back since: imgdata run",
        "unknown": "   whether it was left out is not known",
    }
    return words + told.get(one.state, "")


def note_words(one: Note, file: str = "") -> str:
    """Return a note as a person says it: `edited by hand: split two nuclei, A. Lee, 2026-11-20`."""
    subject = "" if one.path == file else f"{one.path} "
    what = "edited by hand" if one.hand_edited else "note"
    other = "" if one.is_current else f" (on another content, md5 {one.md5[:8]})"
    return f"{subject}{what}{other}: {_why(one.reason, one.by, one.at)}"


def _why(reason: str, by: str | None, at: str | None) -> str:
    parts = (reason or "no reason given", (by or "").split(" <")[0], (at or "")[:10])
    return ", ".join(part for part in parts if part)
