"""Selections: which files `--select` means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.errors import Exit, UsageError
from imgdata.model.selection import parse_selection


def fits(select: str, **fields: str) -> bool:
    return parse_selection([select]).fits(fields)


def test_nothing_selected_is_false_and_fits_all() -> None:
    assert not parse_selection([])
    assert parse_selection([]).fits({})


def test_values_of_one_field_are_alternatives() -> None:
    assert fits("channel=DNA,AGP", channel="AGP")
    assert not fits("channel=DNA,AGP", channel="Mito")
    both = parse_selection(["well=B02", "well=B03"])
    assert both.fits({"well": "B02"})
    assert both.fits({"well": "B03"})


def test_different_fields_must_all_fit() -> None:
    selection = parse_selection(["well=B02", "channel=DNA"])
    assert selection.fits({"well": "B02", "channel": "DNA"})
    assert not selection.fits({"well": "B02", "channel": "AGP"})


def test_a_file_without_the_field_is_not_selected() -> None:
    assert not fits("well=B02", plate="P1")


def test_b7_is_b07() -> None:
    assert fits("well=B7", well="B07")
    assert fits("well=b07", well="B7")
    assert fits("site=1", site="001")


def test_a_range_of_wells_is_a_block_of_the_plate() -> None:
    for well in ("B03", "B06", "C04", "D03", "d6"):
        assert fits("well=B03..D06", well=well)
    for well in ("A04", "B02", "B07", "E03", "D10", "AB04"):
        assert not fits("well=B03..D06", well=well)


def test_a_range_of_numbers_counts_as_numbers() -> None:
    assert fits("site=2..10", site="9")
    assert fits("site=2..10", site="010")
    assert not fits("site=2..10", site="11")
    assert not fits("site=2..10", site="1")


def test_a_range_of_other_texts_is_alphabetical() -> None:
    assert fits("plate=P2..P4", plate="P3")
    assert not fits("plate=P2..P4", plate="P5")


@pytest.mark.parametrize("text", ["site=3..", "site=..3", "site=..", "well=B02,B04.."])
def test_a_range_without_an_end_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="a range has two ends"):
        parse_selection([text])


@pytest.mark.parametrize("text", ["well", "=B02", "well=", "well=,", ""])
def test_what_is_no_selection_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="FIELD=VALUE") as caught:
        parse_selection([text])
    assert caught.value.exit_status is Exit.USAGE


def test_nothing_matched_names_near_values() -> None:
    error = parse_selection(["well=B20"]).nothing_matched([{"well": "B02"}, {"well": "C11"}])
    assert "nothing matches --select well=B20" in error.problem
    assert "B02" in error.cause


def test_nothing_matched_names_the_known_fields() -> None:
    error = parse_selection(["wel=B02"]).nothing_matched([{"well": "B02", "site": "1"}])
    assert "no file has a field 'wel'; known fields: site, well" in error.cause
    error = parse_selection(["well=B02"]).nothing_matched([])
    assert "no key" in error.cause


@given(st.lists(st.text(max_size=15), max_size=3), st.dictionaries(st.text(max_size=5), st.text()))
def test_any_text_selects_or_is_a_sentence(texts: list[str], fields: dict[str, str]) -> None:
    try:
        selection = parse_selection(texts)
    except UsageError:
        return
    selection.fits(fields)
