"""Keys: what a file name means."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.model.keys import (
    PRESETS,
    Key,
    normal_value,
    parse_keys,
    read_name,
    well_of,
)


def only(key: str, path: str) -> dict[str, str]:
    readings = Key(key).readings(path)
    assert len(readings) == 1
    return dict(readings[0])


def test_a_key_reads_its_fields() -> None:
    assert only("{plate}/{well}_{site}_{channel}.tif", "P1/B02_1_DNA.tif") == {
        "plate": "P1",
        "well": "B02",
        "site": "1",
        "channel": "DNA",
    }


def test_a_name_that_does_not_fit_has_no_reading() -> None:
    assert Key("{well}.tif").readings("B02.png") == ()
    assert Key("{well}.tif").readings("a/B02.tif") == ()
    assert Key("{well}.tif").readings(".tif") == ()


def test_a_field_never_spans_a_slash_and_the_dot_is_a_dot() -> None:
    assert Key("{plate}/{well}.tif").readings("P1/x/B02.tif") == ()
    assert Key("{well}.tif").readings("B02xtif") == ()


def test_an_ignored_part_is_not_a_field() -> None:
    key = Key("{_}_{well}_{_}.tif")
    assert key.fields == ("well",)
    assert key.readings("x_B02_y.tif") == ({"well": "B02"},)


def test_a_regex_narrows_a_field_and_may_hold_balanced_braces() -> None:
    key = "{well:[A-Z]{1,2}[0-9]{2}}{site:f[0-9]{2,3}}.tif"
    assert only(key, "AA07f123.tif") == {"well": "AA07", "site": "f123"}
    assert Key(key).readings("a07f1.tif") == ()


def test_a_name_with_two_readings_tells_both() -> None:
    readings = Key("{well}_{channel}.tif").readings("B02_DNA_corr.tif")
    assert [reading["channel"] for reading in readings] == ["DNA_corr", "corr"]


def test_a_repeated_field_must_have_one_value() -> None:
    key = Key("{plate}/{plate}_{well}.tif")
    assert key.readings("P1/P1_B02.tif") == ({"plate": "P1", "well": "B02"},)
    assert key.readings("P1/P2_B02.tif") == ()


def test_row_and_column_give_the_well() -> None:
    assert only("r{row}c{column}.tif", "r02c03.tif")["well"] == "B03"
    assert only("{row}-{column}.tif", "c-11.tif")["well"] == "C11"


@pytest.mark.parametrize(
    ("row", "column", "well"),
    [("1", "1", "A01"), ("26", "9", "Z09"), ("27", "48", "AA48"), ("32", "1", "AF01")],
)
def test_rows_beyond_the_alphabet_have_two_letters(row: str, column: str, well: str) -> None:
    assert well_of(row, column) == well


@pytest.mark.parametrize(
    ("one", "other"), [("B7", "B07"), ("b07", "B7"), ("B007", "B07"), ("aa1", "AA01")]
)
def test_wells_compare_as_letter_and_number(one: str, other: str) -> None:
    assert normal_value("well", one) == normal_value("well", other)


def test_only_numbers_lose_their_zeros() -> None:
    assert normal_value("site", "003") == "3"
    assert normal_value("channel", "003") == "003"
    assert normal_value("site", "x03") == "x03"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{well", "a '{' without '}'"),
        ("well}", "a '}' without '{'"),
        ("{}", "is not a field"),
        ("{1a}", "is not a field"),
        ("{well:(}", "key"),
        ("{well:[}", "key"),
    ],
)
def test_a_broken_key_says_where(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Key(text)


def test_presets_stand_for_the_names_of_microscopes() -> None:
    phenix = parse_keys(("phenix",))
    name = "P1/Images/r02c03f04p01-ch2sk1fk1fl1.tiff"
    assert read_name(phenix, name, "P1") == {
        "plate": "P1",
        "row": "02",
        "column": "03",
        "site": "04",
        "z": "01",
        "channel": "2",
        "t": "1",
        "well": "B03",
    }
    nf1 = read_name(parse_keys(("nf1",)), "P2/B03_01_1_7_DAPI_001.tif", "P2")
    assert nf1 == {"plate": "P2", "well": "B03", "site": "7", "channel": "DAPI"}
    guid = "0B8A9E2C-1111-4222-8333-444455556666"
    for middle in ("", "TimePoint_1/", "2024-05-02/77/TimePoint_1/"):
        found = read_name(parse_keys(("imagexpress",)), f"P3/{middle}exp_B03_s2_w1{guid}.tif", "P3")
        assert found is not None
        assert (found["well"], found["site"], found["channel"]) == ("B03", "2", "1")


def test_every_preset_is_a_valid_key() -> None:
    for name in PRESETS:
        assert parse_keys((name,))


def test_the_first_key_that_fits_wins() -> None:
    keys = parse_keys(("{well}_thumb.tif", "{well}_{channel}.tif"))
    assert read_name(keys, "B02_thumb.tif", None) == {"well": "B02"}
    assert read_name(keys, "B02_DNA.tif", None) == {"well": "B02", "channel": "DNA"}
    assert read_name(keys, "x.xml", None) is None


def test_a_key_without_a_folder_reads_the_path_inside_the_unit() -> None:
    keys = parse_keys(("{well}.tif",))
    assert read_name(keys, "P1/B02.tif", "P1") == {"plate": "P1", "well": "B02"}
    assert read_name(keys, "P1/deep/B02.tif", "P1") is None


PART = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=6)


@given(plate=PART, well=PART, site=PART)
def test_what_was_put_into_a_name_is_read_from_it(plate: str, well: str, site: str) -> None:
    readings = Key("{plate}/{well}_{site}.tif").readings(f"{plate}/{well}_{site}.tif")
    assert readings == ({"plate": plate, "well": well, "site": site},)


@given(st.text(max_size=30))
def test_any_text_is_a_key_or_a_sentence(text: str) -> None:
    try:
        key = Key(text)
    except ValueError as error:
        assert "key" in str(error)
    else:
        key.readings(text)


@given(st.text(max_size=12), st.sampled_from(["well", "site", "row", "channel", "z"]))
def test_normal_values_stay_what_they_are(value: str, name: str) -> None:
    once = normal_value(name, value)
    assert normal_value(name, once) == once
