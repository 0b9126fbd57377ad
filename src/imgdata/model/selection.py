"""Selections by key field: `--select well=B03..B06 --select channel=DNA,AGP`."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from imgdata.errors import UsageError
from imgdata.model.keys import WELL, Fields, normal_value
from imgdata.model.nearest import nearest

RANGE = ".."
SHOWN_VALUES = 8


class Selection(Struct, frozen=True):
    """Wanted values by field: one field's values are alternatives, all fields must fit."""

    wanted: Mapping[str, tuple[str, ...]]

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def fits(self, fields: Fields) -> bool:
        """Tell whether a file with these fields is selected."""
        return all(
            name in fields and any(_fits(name, fields[name], text) for text in texts)
            for name, texts in self.wanted.items()
        )

    def nothing_matched(self, seen: Iterable[Fields]) -> UsageError:
        """Return the error for a selection that fits no file, with the values that exist."""
        values: dict[str, set[str]] = {}
        for fields in seen:
            for name, value in fields.items():
                values.setdefault(name, set()).add(value)
        lines = [_near(name, texts, values) for name, texts in self.wanted.items()]
        shown = " ".join(f"{name}={','.join(texts)}" for name, texts in self.wanted.items())
        problem = f"nothing matches --select {shown}"
        return UsageError(problem, cause="\n".join(lines))


def _near(name: str, texts: tuple[str, ...], values: Mapping[str, set[str]]) -> str:
    if name not in values:
        known = ", ".join(sorted(values)) or "none: the level has no key"
        return f"no file has a field '{name}'; known fields: {known}"
    there = sorted(values[name])
    near = [hit for text in texts for hit in nearest(text, there, SHOWN_VALUES)]
    shown = ", ".join(dict.fromkeys(near or there[:SHOWN_VALUES]))
    count = "one value" if len(there) == 1 else f"{len(there)} values"
    return f"{name} has {count}, nearest: {shown}"


def parse_selection(texts: Iterable[str]) -> Selection:
    """Return the selection of several `FIELD=V[,V]` texts.

    Raises:
        UsageError: A text is not of that form.
    """
    wanted: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        parts = tuple(part.strip() for part in values.split(",") if part.strip())
        if not (equals and name.strip() and parts):
            msg = f"--select needs FIELD=VALUE[,VALUE], found '{text}'"
            raise UsageError(msg, remedy="for example: --select well=B03..B06")
        half = [part for part in parts if part.startswith(RANGE) or part.endswith(RANGE)]
        if half:
            msg = f"a range has two ends, found '{half[0]}' in --select {text}"
            raise UsageError(msg, remedy="for example: --select well=B03..B06")
        wanted[name.strip()] = wanted.get(name.strip(), ()) + parts
    return Selection(wanted)


def _fits(name: str, value: str, text: str) -> bool:
    low, dots, high = text.partition(RANGE)
    if not dots:
        return normal_value(name, value) == normal_value(name, text)
    return _inside(name, value, low, high)


def _inside(name: str, value: str, low: str, high: str) -> bool:
    """Tell whether a value lies in a range, ends included; wells span a block of the plate."""
    wells = [WELL.fullmatch(text) for text in (low, value, high)]
    if name == "well" and all(wells):
        rows = [(len(well[1]), well[1].upper()) for well in wells if well]
        columns = [int(well[2]) for well in wells if well]
        return rows[0] <= rows[1] <= rows[2] and columns[0] <= columns[1] <= columns[2]
    if low.isdecimal() and value.isdecimal() and high.isdecimal():
        return int(low) <= int(value) <= int(high)
    return low <= value <= high
