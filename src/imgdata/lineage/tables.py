"""Tables of profiles: what a row says it was measured on.

Column names follow CellProfiler and pycytominer: `Metadata_Plate`, `Metadata_Well`,
`Metadata_Site`, `Metadata_ObjectNumber`, `Image_FileName_<channel>`, `Image_PathName_<channel>`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

_FIELD = re.compile(
    r"(?:Image_)?Metadata_(?P<name>Plate|Well|Site|Row|Column|Channel)(?:_[xy])?", re.IGNORECASE
)
_OBJECT = re.compile(r"(?:Metadata_)?(?:\w+_Number_Object_Number|ObjectNumber)", re.IGNORECASE)
_FILE = re.compile(r"(?:Image_)?(?P<kind>(?:Objects)?)FileName_(?P<name>.+)", re.IGNORECASE)
_PATH = re.compile(r"(?:Image_)?(?P<kind>(?:Objects)?)PathName_(?P<name>.+)", re.IGNORECASE)

OBJECT = "object"


class NamedFile(Struct, frozen=True):
    """An image a row names.

    Attributes:
        folder: As written; may be empty, or a folder of another machine.
        name: The file's name.
        has_objects: Whether it is the mask in which the row's object number is a label.
    """

    folder: str
    name: str
    has_objects: bool = False


class Table(Struct, frozen=True):
    """The columns of a table that say what its rows were measured on.

    Attributes:
        columns: Values by column name; all of the same length.
        length: How many rows.
    """

    columns: Mapping[str, Sequence[object]]
    length: int

    def fields(self, number: int) -> dict[str, str]:
        """Return what one row names: plate, well, site, object; empty values are left out."""
        found: dict[str, str] = {}
        for column, values in self.columns.items():
            name = field_name(column)
            value = values[number]
            if name is not None and name not in found and value is not None:
                found[name] = text_of(value)
        return found

    def files(self, number: int) -> Iterator[NamedFile]:
        """Yield each image a row names."""
        paths = {
            (match["kind"], match["name"]): text_of(values[number])
            for column, values in self.columns.items()
            if (match := _PATH.fullmatch(column)) and values[number] is not None
        }
        for column, values in self.columns.items():
            match = _FILE.fullmatch(column)
            if match is not None and values[number] is not None:
                folder = paths.get((match["kind"], match["name"]), "")
                yield NamedFile(folder, text_of(values[number]), bool(match["kind"]))


def field_name(column: str) -> str | None:
    """Return the key field a column holds, or None."""
    found = _FIELD.fullmatch(column)
    if found is not None:
        return found["name"].lower()
    return OBJECT if _OBJECT.fullmatch(column) else None


def is_wanted(column: str) -> bool:
    """Tell whether a column says what a row was measured on."""
    return field_name(column) is not None or any(
        pattern.fullmatch(column) for pattern in (_FILE, _PATH)
    )


def text_of(value: object) -> str:
    """Return a value as keys compare it: whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
