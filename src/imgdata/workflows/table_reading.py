"""Tables of profiles read from bytes: CSV always, parquet where pyarrow is installed."""

import csv
import io

from imgdata.errors import MachineError
from imgdata.lineage.tables import Table, is_wanted
from imgdata.system.installing import install_line

PARQUET = (".parquet", ".pq")
TEXT = {".csv": ",", ".tsv": "\t"}


def read_table(path: str, data: bytes) -> Table | None:
    """Return the columns of a table that say what its rows were measured on; None for no table.

    Raises:
        MachineError: It is parquet and pyarrow is not installed.
    """
    lower = path.lower()
    if lower.endswith(PARQUET):
        return _parquet(path, data)
    for suffix, separator in TEXT.items():
        if lower.endswith(suffix):
            return _text(data, separator)
    return None


def _text(data: bytes, separator: str) -> Table:
    text = io.StringIO(data.decode("utf-8-sig", "replace"), newline="")
    rows = list(csv.reader(text, delimiter=separator))
    head, body = (rows[0], rows[1:]) if rows else ([], [])
    body = [row for row in body if row]
    columns: dict[str, list[object]] = {}
    for place, name in enumerate(head):
        if is_wanted(name):
            columns[name] = [
                row[place] if place < len(row) and row[place] else None for row in body
            ]
    return Table(columns, len(body))


def _parquet(path: str, data: bytes) -> Table | None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and 100 ms to import
        from pyarrow import parquet  # noqa: PLC0415 - see above
    except ImportError as error:
        msg = f"{path} is a parquet table, and pyarrow is not installed"
        raise MachineError(msg, remedy=install_line("imgdata[formats]")) from error
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        names = [name for name in file.schema_arrow.names if is_wanted(name)]
        table = file.read(columns=names)
    except (pa.ArrowException, OSError):
        return None
    columns = {name: table.column(name).to_pylist() for name in names}
    return Table(columns, file.metadata.num_rows)
