"""Key patterns: what the name of a file means, and selections by it.

A key such as `{plate}/{well}_{site}_{channel}.tif` names the fields in a path relative to its
level. `{_}` ignores a part, `{name:REGEX}` narrows one. A field matches one or more characters
without `/`, as few as possible; a field named twice must have one value. `row` and `column`
together give `well`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache

from msgspec import Struct

FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::(.*))?\}", re.DOTALL)
WELL = re.compile(r"([A-Za-z]{1,2})0*([0-9]{1,2})")
NUMERIC_FIELDS = frozenset({"site", "z", "t", "row", "column"})
IGNORED = "_"

Fields = Mapping[str, str]

PRESETS: Mapping[str, tuple[str, ...]] = {
    "phenix": (
        (
            "{plate}/Images/r{row:[0-9]+}c{column:[0-9]+}f{site:[0-9]+}p{z:[0-9]+}"
            "-ch{channel:[0-9]+}sk{t:[0-9]+}fk{_:[0-9]+}fl{_:[0-9]+}.tiff"
        ),
        (
            "{plate}/r{row:[0-9]+}c{column:[0-9]+}f{site:[0-9]+}p{z:[0-9]+}"
            "-ch{channel:[0-9]+}sk{t:[0-9]+}fk{_:[0-9]+}fl{_:[0-9]+}.tiff"
        ),
    ),
    "imagexpress": (
        (
            "{plate}/{_:(?:.+/)?}TimePoint_{t:[0-9]+}/{_:(?:ZStep_[0-9]+/)?}"
            "{_}_{well:[A-Z]{1,2}[0-9]{2}}_s{site:[0-9]+}_w{channel:[0-9]}{_:[0-9A-F-]{36}}.tif"
        ),
        (
            "{plate}/{_:(?:.+/)?}{_}_{well:[A-Z]{1,2}[0-9]{2}}_s{site:[0-9]+}"
            "_w{channel:[0-9]}{_:[0-9A-F-]{36}}.tif"
        ),
    ),
    "nf1": ("{plate}/{well}_{_}_{_}_{site}_{channel}_001.tif",),
}
"""Names that stand for the file names of common microscopes and data sets."""


def normal_value(name: str, value: str) -> str:
    """Return the value as fields are compared: `b7` as `B07`, site `003` as `3`."""
    if name == "well" and (well := WELL.fullmatch(value)):
        return f"{well[1].upper()}{int(well[2]):02d}"
    if name in NUMERIC_FIELDS and value.isdecimal():
        return str(int(value))
    return value


def well_of(row: str, column: str) -> str:
    """Return the well of a row (letter, or number from 1) and a column: `2`, `3` give `B03`."""
    if row.isdecimal():
        number = int(row) - 1
        first, second = divmod(number, 26)
        row = (chr(ord("A") + first - 1) if first else "") + chr(ord("A") + second)
    return normal_value("well", f"{row}{column}")


def _parts(text: str) -> list[str]:
    """Split a key into literal text and `{...}` fields; braces inside a regex are balanced."""
    parts: list[str] = []
    literal, depth, start = 0, 0, 0
    for position, character in enumerate(text):
        if character == "{":
            if depth == 0:
                parts.append(text[literal:position])
                start = position
            depth += 1
        elif character == "}":
            depth -= 1
            if depth < 0:
                msg = f"a '}}' without '{{' in key {text!r}"
                raise ValueError(msg)
            if depth == 0:
                parts.append(text[start : position + 1])
                literal = position + 1
    if depth:
        msg = f"a '{{' without '}}' in key {text!r}"
        raise ValueError(msg)
    parts.append(text[literal:])
    return parts


class Key(Struct, frozen=True, dict=True):
    """One key pattern, ready to read names.

    Raises:
        ValueError: The pattern is not valid; the message says where.
    """

    text: str

    def __post_init__(self) -> None:
        """Read the pattern at once, so that a wrong one is refused where it is written."""
        _ = self._read

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, in the order of the pattern."""
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[tuple[str, ...], re.Pattern[str], re.Pattern[str]]:
        """The fields, and the pattern with the shortest and with the longest first fields."""
        names: list[str] = []
        lazy, greedy = [], []
        for part in _parts(self.text):
            found = FIELD.fullmatch(part)
            if found is None:
                if part.startswith("{"):
                    msg = f"{part} in key {self.text!r} is not a field such as {{well}}"
                    raise ValueError(msg)
                lazy.append(re.escape(part))
                greedy.append(re.escape(part))
                continue
            name, narrowed = found[1], found[2]
            if name in names:
                lazy.append(f"(?P={name})")
                greedy.append(f"(?P={name})")
                continue
            opening = "(?:" if name == IGNORED else f"(?P<{name}>"
            if name != IGNORED:
                names.append(name)
            lazy.append(f"{opening}{narrowed or '[^/]+?'})")
            greedy.append(f"{opening}{narrowed or '[^/]+'})")
        try:
            return tuple(names), re.compile("".join(lazy)), re.compile("".join(greedy))
        except re.error as error:
            msg = f"key {self.text!r}: {error}"
            raise ValueError(msg) from error

    def readings(self, path: str) -> tuple[Fields, ...]:
        """Return none, the one, or two different readings of a path relative to the level.

        Two readings mean that the name is ambiguous under this key: the shortest and the longest
        first fields both fit.
        """
        _, lazy, greedy = self._read
        first = lazy.fullmatch(path)
        if first is None:
            return ()
        last = greedy.fullmatch(path)
        one = _with_well(first.groupdict())
        two = one if last is None else _with_well(last.groupdict())
        return (one,) if one == two else (one, two)


def _with_well(fields: dict[str, str]) -> Fields:
    if "well" not in fields and "row" in fields and "column" in fields:
        fields["well"] = well_of(fields["row"], fields["column"])
    return fields


@lru_cache(maxsize=256)
def parse_keys(texts: tuple[str, ...]) -> tuple[Key, ...]:
    """Return the keys that pattern texts and preset names stand for, in order.

    Raises:
        ValueError: A pattern is not valid.
    """
    return tuple(Key(text) for name in texts for text in PRESETS.get(name, (name,)))


def read_name(keys: Iterable[Key], path: str, unit: str | None) -> Fields | None:
    """Return the fields of a path relative to its level, or None when no key fits.

    The first key that fits wins. A key without `/` is also tried on the path inside the unit.
    The unit is the plate unless the name says otherwise.
    """
    inside = path.split("/", 1)[1] if unit is not None and "/" in path else path
    for key in keys:
        found = key.readings(path) or (
            key.readings(inside) if inside != path and "/" not in key.text else ()
        )
        if found:
            return found[0] if unit is None or "plate" in found[0] else {"plate": unit, **found[0]}
    return None
