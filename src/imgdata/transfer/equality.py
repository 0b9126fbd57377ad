"""Is a file made again equal to the first, within what a level's owner allows?

`equal pixels`: the same samples, whatever tags and compression. `equal labels`: the same objects,
whatever their numbers; background stays background. `numbers within X`: tables with the same
columns and rows, numbers equal to the relative (and, near zero, absolute) tolerance X.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgdata.errors import MachineError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Pixels = npt.NDArray[np.generic]

PIXELS = "equal pixels"
LABELS = "equal labels"
NUMBERS = "numbers within "
EXTRA = 'uv tool install "imgdata[demo]"'


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
        raise MachineError(problem, cause=str(error), remedy=EXTRA) from error
    except (ValueError, OSError, KeyError) as error:
        return f"cannot be compared: {error}"
    return "other bytes"


def _images(first: Path, again: Path) -> "tuple[Pixels, Pixels]":
    import tifffile  # noqa: PLC0415 - heavy

    return tifffile.imread(first), tifffile.imread(again)


def _shape_difference(one: "Pixels", two: "Pixels") -> str:
    if one.shape != two.shape:
        return f"another shape: {one.shape} and {two.shape}"
    return "" if one.dtype == two.dtype else f"another type: {one.dtype} and {two.dtype}"


def _pixel_difference(first: Path, again: Path) -> str:
    one, two = _images(first, again)
    if told := _shape_difference(one, two):
        return told
    count = int((one != two).sum())
    return f"{count:,} of {one.size:,} pixels differ" if count else ""


def _label_difference(first: Path, again: Path) -> str:
    import numpy as np  # noqa: PLC0415 - heavy

    one, two = _images(first, again)
    if one.shape != two.shape:
        return f"another shape: {one.shape} and {two.shape}"
    if bool(((one == 0) != (two == 0)).any()):
        return "the background differs"
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]).astype(np.int64), axis=1)
    counts = len(np.unique(pairs[0])), len(np.unique(pairs[1]))
    same = counts[0] == counts[1] == pairs.shape[1]
    return "" if same else f"other objects: {counts[0]} and {counts[1]} labels do not pair up"


def _table_difference(first: Path, again: Path, name: str, within: float) -> str:
    one, two = _table(first, name), _table(again, name)
    if list(one.columns) != list(two.columns):
        return "other columns"
    if len(one) != len(two):
        return f"{len(one):,} and {len(two):,} rows"
    for column in one.columns:
        if not _columns_are_equal(one[column], two[column], within):
            return f"column {column} differs by more than {within:g}"
    return ""


def _columns_are_equal(one: "pd.Series[Any]", two: "pd.Series[Any]", within: float) -> bool:
    import numpy as np  # noqa: PLC0415 - heavy

    if one.dtype != two.dtype:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, two, rtol=within, atol=within, equal_nan=True))
    return bool(one.equals(two))


def _table(path: Path, name: str) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - heavy

    if name.endswith(".parquet"):
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="\t" if name.endswith((".tsv", ".txt")) else ",")
