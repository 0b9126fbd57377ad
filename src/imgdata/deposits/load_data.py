"""Read a plate's `load_data.csv`: which image is which well, site and channel.

CellProfiler's LoadData table, as the Cell Painting Gallery keeps one a plate: `FileName_Orig<Ch>`
or `URL_Orig<Ch>` and `FileName_Illum<Ch>` beside `Metadata_Plate`, `Metadata_Well`,
`Metadata_Site`.
"""

import csv
import io
import re
import zlib
from collections.abc import Iterable, Iterator

from msgspec import Struct

from imgdata.errors import DamagedError
from imgdata.model.public_data import PublicFile

LARGEST = 256 * 1024 * 1024
NAMES = ("load_data.csv", "load_data_with_illum.csv")
_IMAGE = re.compile(r"(?:FileName|URL)_(Orig|Illum)(.+)")
_GZIP = 31  # zlib's word for "with a gzip header"


class LoadData(Struct, frozen=True):
    """What a load_data table says.

    Attributes:
        fields: Plate, well, site and channel of each image, by file name.
        illum: Names of the illumination functions it uses.
    """

    fields: dict[str, tuple[tuple[str, str], ...]]
    illum: frozenset[str]


def choose(files: Iterable[PublicFile]) -> PublicFile | None:
    """Return the table to read: the one that names illumination functions, else the plain one."""
    by_name = {file.name.rpartition("/")[2]: file for file in files}
    for name in reversed(NAMES):
        found = by_name.get(name) or by_name.get(f"{name}.gz")
        if found is not None:
            return found
    return None


def read(chunks: Iterator[bytes], *, packed: bool) -> LoadData:
    """Read a table, gzipped or not.

    Raises:
        DamagedError: It is no table, or unpacks to more than a table can be.
    """
    text = _whole(chunks, packed=packed).decode("utf-8-sig", "replace")
    fields: dict[str, tuple[tuple[str, str], ...]] = {}
    illum: set[str] = set()
    try:
        for row in csv.DictReader(io.StringIO(text)):
            said = [
                (name, row.get(f"Metadata_{name.capitalize()}") or "")
                for name in ("plate", "well", "site")
            ]
            known = tuple((name, value.strip()) for name, value in said if value.strip())
            for column, value in row.items():
                found = _IMAGE.fullmatch(column or "")
                if not found or not isinstance(value, str) or not value:
                    continue
                name = value.rpartition("/")[2]
                if found[1] == "Illum":
                    illum.add(name)
                else:
                    fields[name] = (*known, ("channel", found[2]))
    except csv.Error as error:
        msg = "load_data.csv is not a table"
        raise DamagedError(msg, cause=str(error)) from error
    return LoadData(fields, frozenset(illum))


def _whole(chunks: Iterator[bytes], *, packed: bool) -> bytes:
    unpack = zlib.decompressobj(_GZIP) if packed else None
    data = bytearray()
    for chunk in chunks:
        try:
            data += chunk if unpack is None else unpack.decompress(chunk, LARGEST + 1 - len(data))
        except zlib.error as error:
            msg = "load_data.csv.gz is not gzip"
            raise DamagedError(msg, cause=str(error)) from error
        if len(data) > LARGEST:
            msg = "load_data.csv is larger than any plate's"
            raise DamagedError(msg, cause=f"more than {LARGEST} bytes")
    return bytes(data)
