"""Read profile tables (Parquet, CSV) by their metadata: columns, image names, missing values.

A Parquet footer holds, for each column, its smallest and largest value and how many are missing,
so nothing but the columns with image names is read.
"""

import csv
import re
from typing import Any

from imgdata.images.bounded_file import BoundedFile
from imgdata.images.fact_book import FactBook
from imgdata.model.facts import Reading, Symptom

MAGIC = b"PAR1"
MAX_COLUMNS = 50_000
MAX_ROWS_READ = 2_000_000
_METADATA = re.compile(r"(?:Image_)?Metadata_")
_FILES = re.compile(r"(?:Image_|Metadata_)?(?:FileName|Filename)_?")


def read(file: BoundedFile) -> Reading:
    """Return what a Parquet file's footer says; damage becomes a symptom."""
    book = FactBook()
    symptoms: list[Symptom] = []
    tail = file.some(file.size - 8, 8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length + 12 > file.size:
        found = f"{file.size:,} bytes without a Parquet footer at the end"
        symptoms.append(Symptom("IMG-601", found, "a whole Parquet file"))
    else:
        try:
            _describe(file, book)
        except ImportError:
            raise
        except Exception as error:  # noqa: BLE001 - pyarrow raises anything on damaged files
            found = f"pyarrow cannot read it: {type(error).__name__}: {str(error)[:160]}"
            symptoms.append(Symptom("IMG-601", found, "a readable table"))
    return Reading(
        "parquet",
        "pyarrow",
        facts=book.facts,
        symptoms=tuple(symptoms),
        sample_hash=file.sample_hash(),
    )


def _describe(file: BoundedFile, book: FactBook) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra, imported only for profiles

    with pq.ParquetFile(file.path) as table:
        names = list(table.schema_arrow.names)[:MAX_COLUMNS]
        metadata = table.metadata
        book.put("rows", metadata.num_rows, "Parquet footer")
        book.put("columns", len(names), "Parquet footer")
        _columns(book, names)
        missing, constant = _statistics(metadata, set(names))
        book.put("features_with_missing", missing, "Parquet statistics")
        book.put("constant_features", constant, "Parquet statistics")
        named = [n for n in names if _FILES.match(n)]
        if named and metadata.num_rows <= MAX_ROWS_READ:
            columns = table.read(columns=named)
            values = {str(v) for c in columns.columns for v in c.unique().to_pylist() if v}
            book.put("image_files", tuple(sorted(values)), ", ".join(named)[:200])


def _columns(book: FactBook, names: list[str]) -> None:
    found = tuple(n for n in names if _METADATA.match(n))
    book.put("metadata_columns", found, "column names")
    features = [n for n in names if n.startswith(("Cells_", "Cytoplasm_", "Nuclei_"))]
    book.put("features", len(features) or None, "column names")


def _statistics(metadata: Any, names: set[str]) -> tuple[int, int]:  # noqa: ANN401 - pyarrow's type
    """Return how many numeric columns have missing values, and how many have one value only."""
    missing: set[str] = set()
    ranges: dict[str, set[object]] = {}
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            name = column.path_in_schema
            if name not in names or column.physical_type not in {
                "DOUBLE",
                "FLOAT",
                "INT64",
                "INT32",
            }:
                continue
            if _METADATA.match(name) or not column.is_stats_set:
                continue
            stats = column.statistics
            if stats.null_count:
                missing.add(name)
            if stats.has_min_max:
                ranges.setdefault(name, set()).update((stats.min, stats.max))
    several = metadata.num_rows > 1
    return len(missing), sum(1 for found in ranges.values() if several and len(found) == 1)


def read_csv(file: BoundedFile) -> Reading | None:
    """Return the columns of a CSV that looks like a profile; None for any other CSV."""
    head = file.some(0, 1 << 20).decode("utf-8", "replace")
    names = next(csv.reader(head.splitlines()[:1]), [])
    if not any(_METADATA.match(n) for n in names) or len(names) > MAX_COLUMNS:
        return None
    book = FactBook()
    book.put("columns", len(names), "CSV header")
    _columns(book, names)
    return Reading("csv", "imgdata csv", facts=book.facts, sample_hash=file.sample_hash())
