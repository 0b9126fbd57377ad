"""Is a file made again equal to the first, within what a level's owner allows?

`equal pixels`: the same samples, whatever tags and compression. `equal labels`: the same objects,
whatever their numbers; background stays background. `numbers within X`: tables with the same
columns and rows, numbers equal to the relative (and, near zero, absolute) tolerance X; whole
numbers and text exactly. What cannot be read differs.
"""

import struct
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgdata.errors import MachineError
from imgdata.system.installing import install_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from tifffile import TiffPage, TiffPages

    Pixels = npt.NDArray[np.generic]

PIXELS = "equal pixels"
LABELS = "equal labels"
NUMBERS = "numbers within "
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TEXT_TABLES = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
WHOLE = r"[+-]?[0-9]+"
# What readers of images and tables raise for a file that is damaged or not theirs.
UNREADABLE = (
    ValueError, OSError, KeyError, IndexError, TypeError, RuntimeError, SyntaxError, EOFError,
    struct.error, zlib.error,
)  # fmt: skip


def difference(tolerance: str, first: Path, again: Path, name: str) -> str:
    """Return how two files differ beyond a tolerance, in a clause; empty where they are equal.

    Args:
        tolerance: One of the three forms; an empty one allows nothing.
        first: The file as recorded.
        again: The file made again.
        name: Its name, whose ending tells what kind of table it is.

    Raises:
        MachineError: What reads such files is not installed.
    """
    try:
        if tolerance == PIXELS:
            return _pixel_difference(first, again)
        if tolerance == LABELS:
            return _label_difference(first, again)
        if tolerance.startswith(NUMBERS):
            return _table_difference(first, again, name, float(tolerance.removeprefix(NUMBERS)))
    except ImportError as error:
        problem = f"comparing {name} needs a part of imgdata that is not installed"
        remedy = install_line("imgdata[demo]")
        raise MachineError(problem, cause=str(error), remedy=remedy) from error
    except UNREADABLE as error:
        return f"cannot be compared: {error}"
    return "other bytes"


def _arrays(path: Path) -> "Iterator[Pixels]":
    """Yield all samples of an image file: every series, resolution, page and page below a page."""
    import numpy as np  # noqa: PLC0415 - heavy
    import tifffile  # noqa: PLC0415 - heavy

    with path.open("rb") as file:
        is_tiff = file.read(4) in TIFF_STARTS
    if is_tiff:
        with tifffile.TiffFile(path) as tiff:
            for series in tiff.series:
                yield from (np.asarray(level.asarray()) for level in series.levels)
            yield from (page.asarray() for page in _pages(tiff.pages))
        return
    from PIL import Image, ImageSequence  # noqa: PLC0415 - heavy

    with Image.open(path) as picture:
        for frame in ImageSequence.Iterator(picture):
            yield np.asarray(frame)
            yield np.asarray(frame.getpalette() or [], np.int16)


def _pages(pages: "TiffPages") -> "Iterator[TiffPage]":
    for page in pages:
        yield page  # type: ignore[misc] # a TiffFrame reads the same way
        below = getattr(page, "pages", None)
        if below is not None:
            yield from _pages(below)


def _pairs(first: Path, again: Path) -> "Iterator[tuple[Pixels, Pixels]]":
    for one, two in zip_longest(_arrays(first), _arrays(again)):
        if one is None or two is None:
            msg = "another number of images"
            raise ValueError(msg)
        yield one, two


def _shape_difference(one: "Pixels", two: "Pixels") -> str:
    return "" if one.shape == two.shape else f"another shape: {one.shape} and {two.shape}"


def _pixel_difference(first: Path, again: Path) -> str:
    for one, two in _pairs(first, again):
        if told := _shape_difference(one, two):
            return told
        if one.dtype != two.dtype:
            return f"another type: {one.dtype} and {two.dtype}"
        # A value that is no number is equal to itself: it is the same sample.
        differs = (one != two) & ~((one != one) & (two != two))  # noqa: PLR0124
        count = int(differs.sum())
        if count:
            return f"{count:,} of {one.size:,} pixels differ"
    return ""


def _label_difference(first: Path, again: Path) -> str:
    """Pair the labels of the whole file: an object of several planes has one number in all."""
    import numpy as np  # noqa: PLC0415 - heavy

    pairs: set[tuple[int, int]] = set()
    for one, two in _pairs(first, again):
        if told := _shape_difference(one, two):
            return told
        if one.dtype.kind not in "iub" or two.dtype.kind not in "iub":
            return f"labels are no whole numbers: {one.dtype} and {two.dtype}"
        if bool(((one == 0) != (two == 0)).any()):
            return "the background differs"
        stacked = np.stack([one.ravel().astype(np.int64), two.ravel().astype(np.int64)])
        pairs |= {(int(a), int(b)) for a, b in np.unique(stacked, axis=1).T}
    counts = len({a for a, _ in pairs}), len({b for _, b in pairs})
    same = counts[0] == counts[1] == len(pairs)
    return "" if same else f"other objects: {counts[0]} and {counts[1]} labels do not pair up"


def _table_difference(first: Path, again: Path, name: str, within: float) -> str:
    is_text, one = _table(first, name)
    _, two = _table(again, name)
    if list(one.columns) != list(two.columns):
        return "other columns"
    if len(one) != len(two):
        return f"{len(one):,} and {len(two):,} rows"
    equal = _texts_are_equal if is_text else _columns_are_equal
    for column in one.columns:
        if not equal(one[column], two[column], within):
            return f"column {column} differs by more than {within:g}"
    return ""


def _columns_are_equal(one: "pd.Series[Any]", two: "pd.Series[Any]", within: float) -> bool:
    import numpy as np  # noqa: PLC0415 - heavy

    if one.dtype != two.dtype or not bool((one.isna() == two.isna()).all()):
        return False
    if one.dtype.kind == "f":
        first, again = (side.to_numpy(dtype=float, na_value=np.nan) for side in (one, two))
        return bool(np.allclose(first, again, rtol=within, atol=within, equal_nan=True))
    return bool(one.equals(two))


def _texts_are_equal(one: "pd.Series[Any]", two: "pd.Series[Any]", within: float) -> bool:
    """Compare cells as they are written; where both are numbers that are not whole, as numbers."""
    import numpy as np  # noqa: PLC0415 - heavy
    import pandas as pd  # noqa: PLC0415 - heavy

    other = one != two
    if not bool(other.any()):
        return True
    first, again = one[other], two[other]
    if bool((first.str.fullmatch(WHOLE) & again.str.fullmatch(WHOLE)).any()):
        return False
    left, right = (
        pd.to_numeric(side, errors="coerce").to_numpy(dtype=float) for side in (first, again)
    )
    return bool(np.allclose(left, right, rtol=within, atol=within, equal_nan=False))


def _table(path: Path, name: str) -> "tuple[bool, pd.DataFrame]":
    """Return whether a table is text, and its cells; an index with a meaning is a column."""
    import pandas as pd  # noqa: PLC0415 - heavy

    if name.endswith((".parquet", ".pq")):
        frame = pd.read_parquet(path)
        return False, frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    plain = name.removesuffix(".gz")
    separator = TEXT_TABLES.get(Path(plain).suffix)
    if separator is None:
        msg = f"{name} is no table that is known here: parquet, CSV or TSV"
        raise ValueError(msg)
    return True, pd.read_csv(
        path,
        sep=separator,
        dtype=str,
        keep_default_na=False,
        compression="gzip" if plain != name else None,
    )
