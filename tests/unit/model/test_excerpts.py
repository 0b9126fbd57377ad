"""The beginning of a long list says how many it leaves out."""

from imgdata.model.excerpts import first_lines, first_names

PLATES = [f"P{number}" for number in range(1, 2001)]


def test_all_are_named_where_they_are_few() -> None:
    assert first_names(PLATES[:3], 3) == "P1, P2, P3"
    assert first_lines(PLATES[:2], 3) == "P1\nP2"


def test_the_rest_is_counted_where_they_are_many() -> None:
    assert first_names(PLATES, 3) == "P1, P2, P3 and 1,997 more"
    assert first_lines(PLATES[:5], 3) == "P1\nP2\nP3\n... and 2 more"
