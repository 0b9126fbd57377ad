"""A proof's comparison: what a tolerance lets pass, and that one change of anything else fails."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgdata.transfer.equality import difference

PIXELS, LABELS, NUMBERS = "equal pixels", "equal labels", "numbers within 1e-6"
Array = np.ndarray


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "first", tmp_path / "again"


def image(path: Path, pixels: Array, **more: object) -> Path:
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None, **more)  # type: ignore[arg-type]
    return path


def drawing() -> Array:
    labels = np.zeros((12, 12), np.uint16)
    labels[1:4, 1:4], labels[6:10, 2:5], labels[2:5, 7:11] = 1, 2, 3
    return labels


def test_pixels_are_equal_whatever_tags_and_compression(pair: tuple[Path, Path]) -> None:
    first, again = pair
    pixels = np.arange(144, dtype=np.uint16).reshape(12, 12)
    image(first, pixels, compression="zlib", software="one")
    image(again, pixels, datetime=True, description="another")

    assert difference(PIXELS, first, again, "a.tif") == ""
    assert difference(LABELS, first, again, "a.tif") == ""


@settings(max_examples=30, deadline=None)
@given(
    row=st.integers(0, 11),
    column=st.integers(0, 11),
    page=st.integers(0, 2),
    kind=st.sampled_from(["uint8", "uint16", "float32", "int32"]),
)
def test_one_flipped_pixel_fails(
    tmp_path_factory: pytest.TempPathFactory, row: int, column: int, page: int, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("pixels")
    stack = np.random.default_rng(1).integers(1, 100, (3, 12, 12)).astype(kind)
    first = image(folder / "first", stack, compression="zlib")
    stack[page, row, column] += 1
    again = image(folder / "again", stack)

    assert difference(PIXELS, first, again, "a.tif") == "1 of 432 pixels differ"


@pytest.mark.parametrize("tolerance", [PIXELS, LABELS])
def test_a_flipped_pixel_in_a_later_series_or_a_lower_resolution_fails(
    pair: tuple[Path, Path], tolerance: str
) -> None:
    first, again = pair
    small = np.zeros((6, 6), np.uint16)
    for path in pair:
        with tifffile.TiffWriter(path) as writer:
            writer.write(drawing(), photometric="minisblack", metadata=None, subifds=1)
            writer.write(small, photometric="minisblack", metadata=None, subfiletype=1)
            writer.write(small[:4], photometric="minisblack", metadata=None)
            small = small.copy()
            small[2, 2] = 0 if path == first else 5
    assert difference(tolerance, first, again, "a.tif") == ""
    for place in ("lower", "later"):
        with tifffile.TiffWriter(again) as writer:
            changed = {name: np.zeros((6, 6), np.uint16) for name in ("lower", "later")}
            changed[place][1, 1] = 7
            writer.write(drawing(), photometric="minisblack", metadata=None, subifds=1)
            writer.write(changed["lower"], photometric="minisblack", metadata=None, subfiletype=1)
            writer.write(changed["later"][:4], photometric="minisblack", metadata=None)
        assert difference(tolerance, first, again, "a.tif"), place


def test_another_shape_type_or_number_of_images_fails(pair: tuple[Path, Path]) -> None:
    first, again = pair
    image(first, drawing())
    assert "another shape" in difference(PIXELS, first, image(again, drawing()[:6]), "a.tif")
    wide = drawing().astype(np.uint32)
    assert "another type" in difference(PIXELS, first, image(again, wide), "a.tif")
    assert difference(LABELS, first, image(again, wide), "a.tif") == ""
    with tifffile.TiffWriter(again) as writer:
        writer.write(drawing(), photometric="minisblack", metadata=None)
        writer.write(drawing()[:3], photometric="minisblack", metadata=None)
    for tolerance in (PIXELS, LABELS):
        assert difference(tolerance, first, again, "a.tif")
        assert difference(tolerance, again, first, "a.tif")


def test_a_value_that_is_no_number_is_equal_to_itself_only(pair: tuple[Path, Path]) -> None:
    first, again = pair
    pixels = np.ones((4, 4), np.float32)
    pixels[1, 1] = np.nan
    image(first, pixels)
    image(again, pixels, compression="zlib")
    assert difference(PIXELS, first, again, "a.tif") == ""
    pixels[1, 1] = 0
    assert difference(PIXELS, first, image(again, pixels), "a.tif") == "1 of 16 pixels differ"


def test_a_png_is_an_image_too(pair: tuple[Path, Path]) -> None:
    first, again = pair
    labels = drawing().astype(np.uint8)
    Image.fromarray(labels).save(first, "png")
    Image.fromarray(labels).save(again, "png", compress_level=0)
    assert first.read_bytes() != again.read_bytes()
    assert difference(PIXELS, first, again, "a.png") == ""
    labels[0, 0] = 9
    Image.fromarray(labels).save(again, "png")
    assert difference(PIXELS, first, again, "a.png") == "1 of 144 pixels differ"
    assert difference(LABELS, first, again, "a.png") == "the background differs"


def test_labels_are_equal_whatever_their_numbers(pair: tuple[Path, Path]) -> None:
    first, again = pair
    image(first, drawing())
    other = np.array([0, 70, 5, 1], np.uint16)[drawing()]

    assert difference(LABELS, first, image(again, other), "a.tif") == ""
    assert "pixels differ" in difference(PIXELS, first, again, "a.tif")


def _merged(labels: Array) -> None:
    labels[labels == 3] = 2


def _split(labels: Array) -> None:
    labels[1, 1] = 4


def _grown(labels: Array) -> None:
    labels[0, 0] = 1


def _gone(labels: Array) -> None:
    labels[labels == 2] = 0


def _swapped(labels: Array) -> None:
    labels[1, 1] = 2


@pytest.mark.parametrize("mutate", [_merged, _split, _grown, _gone, _swapped])
def test_one_changed_label_fails(pair: tuple[Path, Path], mutate: Callable[[Array], None]) -> None:
    first, again = pair
    labels = drawing()
    image(first, labels)
    mutate(labels)

    assert difference(LABELS, first, image(again, labels), "a.tif")


def test_labels_that_are_no_whole_numbers_are_not_compared(pair: tuple[Path, Path]) -> None:
    first, again = pair
    image(first, drawing().astype(np.float32))
    other = drawing().astype(np.float32)
    other[1, 1] = 1.25

    assert "no whole numbers" in difference(LABELS, first, image(again, other), "a.tif")


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "well": ["B02", "NA", "C02"],
            "label": [10_000_001, 2, 3],
            "area": [10.0, 20.5, float("nan")],
            "small": np.array([0.0, 1e-9, 5.0], np.float32),
            "kept": [True, False, True],
        }
    )


def write(frame: pd.DataFrame, path: Path, name: str) -> Path:
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if name.endswith(".tsv") else ",",
                     compression="gzip" if name.endswith(".gz") else None)  # fmt: skip
    return path


TABLES = ("a.parquet", "a.csv", "a.tsv", "a.csv.gz")


@pytest.mark.parametrize("name", TABLES)
def test_numbers_may_differ_within_the_tolerance(pair: tuple[Path, Path], name: str) -> None:
    first, again = pair
    other = table()
    other["area"] *= 1 + 5e-7
    other["small"] += np.float32(5e-7)

    assert difference(NUMBERS, write(table(), first, name), write(other, again, name), name) == ""


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    ("column", "row", "value"),
    [
        ("area", 0, 10.00002),
        ("area", 2, 1.0),
        ("area", 1, float("nan")),
        ("small", 1, 3e-6),
        ("label", 0, 10_000_002),
        ("well", 1, "nan"),
        ("well", 1, ""),
        ("kept", 1, True),
    ],
)
def test_one_changed_value_fails(
    pair: tuple[Path, Path], name: str, column: str, row: int, value: object
) -> None:
    first, again = pair
    other = table()
    other.loc[row, column] = value

    found = difference(NUMBERS, write(table(), first, name), write(other, again, name), name)
    assert found.startswith(f"column {column} differs")


@pytest.mark.parametrize("name", TABLES)
def test_other_columns_or_rows_fail(pair: tuple[Path, Path], name: str) -> None:
    first, again = pair
    write(table(), first, name)
    for other in (
        table().rename(columns={"area": "aria"}),
        table()[["label", "well", "area", "small", "kept"]],
        table().iloc[:2],
        table().iloc[[1, 0, 2]].reset_index(drop=True),
    ):
        assert difference(NUMBERS, first, write(other, again, name), name)


def test_the_index_of_a_table_is_a_column_too(pair: tuple[Path, Path]) -> None:
    first, again = pair
    write(table().set_index("well"), first, "a.parquet")
    other = table()
    other.loc[0, "well"] = "B03"

    write(other.set_index("well"), again, "a.parquet")
    assert "column well differs" in difference(NUMBERS, first, again, "a.parquet")


def test_values_that_may_be_absent_are_compared(pair: tuple[Path, Path]) -> None:
    first, again = pair
    frame = pd.DataFrame({"a": pd.array([1.5, None, 3.0], "Float64"), "b": [[1], [2], [3]]})
    write(frame, first, "a.parquet")
    frame["a"] *= 1 + 1e-9
    assert difference(NUMBERS, first, write(frame, again, "a.parquet"), "a.parquet") == ""
    frame["a"] = pd.array([1.5, 2.0, 3.0], "Float64")
    assert "column a" in difference(NUMBERS, first, write(frame, again, "a.parquet"), "a.parquet")
    frame["a"], frame["b"] = pd.array([1.5, None, 3.0], "Float64"), [[1], [2], [4]]
    assert "column b" in difference(NUMBERS, first, write(frame, again, "a.parquet"), "a.parquet")


@pytest.mark.parametrize("tolerance", [PIXELS, LABELS, NUMBERS, "something else", ""])
@pytest.mark.parametrize("name", ["a.tif", "a.parquet", "a.csv", "a.bin", "a.h5ad"])
def test_what_cannot_be_compared_differs(
    pair: tuple[Path, Path], tolerance: str, name: str
) -> None:
    first, again = pair
    first.write_bytes(b"\xff\xfe\x00 one \x80")
    again.write_bytes(b"\xff\xfe\x00 two \x80")

    assert difference(tolerance, first, again, name)


@pytest.mark.parametrize("tolerance", [PIXELS, LABELS])
def test_a_truncated_image_differs(pair: tuple[Path, Path], tolerance: str) -> None:
    first, again = pair
    image(first, drawing())
    again.write_bytes(first.read_bytes()[:-40])

    assert difference(tolerance, first, again, "a.tif")
