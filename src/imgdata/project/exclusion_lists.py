"""The lists of excluded files that stages read: `metadata/excluded/<unit>.csv`, a line a file.

One list a unit, so that an exclusion makes only that unit's stages run again. The list is what
counts; git merges it by union and the log says who decided what, when and why (ADR 0064).
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from imgdata.errors import InvalidProjectError
from imgdata.model.decisions import Excluded
from imgdata.model.events import Event
from imgdata.system.files import write_text

FOLDER = "metadata/excluded"
COLUMNS = ("level", "file", "reason", "by", "at")
ATTRIBUTE = f"{FOLDER}/*.csv merge=union"
EVENT = "excluded"
RESTORED = "restored"
CONFLICT = "<<<<<<< "


def list_path(level: str, unit: str | None) -> str:
    """Return the list of a unit, relative to the project's root; a level without units has one."""
    return f"{FOLDER}/{unit or level}.csv"


def with_renamed_level(text: str, level: str, to: str) -> str:
    """Return a list in which the lines of a level bear its new name; all else stays."""
    named = re.compile(rf'^(["\']?){re.escape(level)}\1,', re.MULTILINE)
    return named.sub(f"{to},", text)


def is_list(path: str) -> bool:
    """Tell whether a path relative to the project's root is such a list."""
    folder, _, name = path.rpartition("/")
    return folder == FOLDER and name.endswith(".csv")


def parse_list(text: str, name: str, levels_without_units: Iterable[str] = ()) -> list[Excluded]:
    """Return the lines of a list; a second heading, which a merge may leave, is no line.

    Args:
        text: What the file holds.
        name: The file's name without `.csv`: the unit, or the level that has none.
        levels_without_units: The names of those levels.

    Raises:
        ValueError: It has no heading, or a merge was not finished.
    """
    unitless = frozenset(levels_without_units)
    found: dict[tuple[str, str], Excluded] = {}
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    if not {"level", "file"} <= set(reader.fieldnames or ("level", "file")):
        msg = f"its first line is not {','.join(COLUMNS)}"
        raise ValueError(msg)
    if CONFLICT in text:
        msg = "it has conflict markers of git"
        raise ValueError(msg)
    for row in reader:
        level, file, reason, by, at = ((row.get(column) or "").strip() for column in COLUMNS)
        if level and file and (level, file) != ("level", "file"):
            unit = None if level in unitless else name
            one = Excluded(level, unit, file, reason, by, at)
            found.setdefault((level, file), one)
    return list(found.values())


def list_text(rows: Iterable[Excluded]) -> str:
    """Return a list as text, rows in the order given."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((one.level, one.file, one.reason, one.by, one.at) for one in rows)
    return out.getvalue()


def read_lists(root: Path, levels_without_units: Sequence[str] = ()) -> dict[str, list[Excluded]]:
    """Return the lines of every list by its path, sorted.

    Raises:
        InvalidProjectError: A list cannot be read.
    """
    return {
        f"{FOLDER}/{path.name}": read_list(root, f"{FOLDER}/{path.name}", levels_without_units)
        for path in sorted((root / FOLDER).glob("*.csv"))
    }


def read_list(root: Path, path: str, levels_without_units: Sequence[str] = ()) -> list[Excluded]:
    """Return the lines of one list; none where there is no such file.

    Raises:
        InvalidProjectError: It cannot be read.
    """
    full = root / path
    if not full.is_file():
        return []
    try:
        return parse_list(full.read_text("utf-8"), full.stem, levels_without_units)
    except (ValueError, csv.Error) as error:
        problem = f"{path} is no list of excluded files"
        remedy = f"correct it; its first line is {','.join(COLUMNS)}"
        raise InvalidProjectError(problem, cause=str(error), remedy=remedy) from error


def write_list(root: Path, path: str, rows: Iterable[Excluded]) -> Path:
    """Write a list, and make git merge such lists by union; return its path."""
    full = root / path
    write_text(full, list_text(rows))
    return full


def make_empty_list(root: Path, path: str) -> Path | None:
    """Write a list without lines where there is none, since DVC asks for it; None if there is."""
    return None if (root / path).exists() else write_list(root, path, ())


def name_union_merge(root: Path) -> Path | None:
    """Add the line to .gitattributes that merges lists by union; None where it is there."""
    path = root / ".gitattributes"
    text = path.read_text("utf-8") if path.is_file() else ""
    if ATTRIBUTE in text.splitlines():
        return None
    write_text(path, f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{ATTRIBUTE}\n")
    return path


def without_restored(
    rows: Sequence[Excluded], restored: Collection[tuple[str, str, str]]
) -> list[Excluded]:
    """Return the lines that nobody took back.

    A union merge brings a line back that one side took out while the other wrote beside it. A line
    is known by when it was written, so no clock decides.

    Args:
        rows: The lines of a list.
        restored: Level, file and time of the lines of that list that were taken back.
    """
    return [one for one in rows if not one.at or (one.level, one.file, one.at) not in restored]


def restorations(events: Iterable[Event]) -> dict[str, set[tuple[str, str, str]]]:
    """Return by list the level, file and time of the lines that were taken back."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    for event in events:
        if event.event != EVENT or event.text("action") != RESTORED:
            continue
        files, times = event.details.get("files"), event.details.get("decided_at")
        if isinstance(files, list) and isinstance(times, list):
            level = event.text("level")
            lines = found.setdefault(list_path(level, event.text("unit") or None), set())
            lines |= {(level, str(file), str(at)) for file, at in zip(files, times, strict=False)}
    return found
