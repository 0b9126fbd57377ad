"""Notes that a unit was pulled in part on purpose; of this clone alone, never in git."""

from pathlib import Path

from imgdata.levels.units import Unit
from imgdata.workflows.clone import PRIVATE_FOLDER


def partial_note(root: Path, unit: Unit) -> Path:
    """Return where it is noted that a unit was pulled in part."""
    return _partial_notes(root) / f"{unit.path.replace('/', '%')}.json"


def _partial_notes(root: Path) -> Path:
    return root / PRIVATE_FOLDER / "partial"


def move_partial_notes(root: Path, before: str, after: str) -> None:
    """Let the notes about units of a level follow it to another folder."""
    old, new = (folder.replace("/", "%") for folder in (before, after))
    for note in _partial_notes(root).glob("*.json"):
        rest = note.name.removeprefix(old)
        if rest != note.name and rest.startswith(("%", ".json")):
            note.rename(note.with_name(f"{new}{rest}"))
