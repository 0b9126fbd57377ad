"""A restriction is a veto that flows down; what is not known counts as restricted."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.policy.restrictions import MayLeave, Restricted, Source, may_leave
from imgdata.project.config import Origin

TODAY = date(2026, 11, 20)
OWN = Origin("lab", "own")
OPEN_COLLABORATOR = Origin("x", "academic-collaborator", access="open")
SILENT_COLLABORATOR = Origin("x", "industry-collaborator")
UNTIL = Origin(
    "x",
    "academic-collaborator",
    access="restricted",
    release_on=date(2027, 6, 1),
    may_leave=("bulk_profiles",),
)
P1, P2 = Source("raw/P1", "x"), Source("raw/P2", "lab")


def _rules(*origins: Origin) -> list[dict[str, Origin]]:
    return [{origin.name: origin for origin in origins}]


@pytest.mark.parametrize("origin", [OPEN_COLLABORATOR, Origin("x", "public")])
def test_open_data_may_leave(origin: Origin) -> None:
    assert may_leave("masks", [P1], _rules(origin), TODAY) == MayLeave()


def test_a_collaborators_data_without_stated_access_stay() -> None:
    verdict = may_leave("masks", [P1], _rules(SILENT_COLLABORATOR), TODAY)
    assert isinstance(verdict, Restricted)
    assert verdict.reasons == (
        "raw/P1 is of origin 'x', industry-collaborator without stated access",
    )


def test_data_without_origin_stay() -> None:
    assert isinstance(may_leave("masks", [Source("raw/P1", "")], _rules(OWN), TODAY), Restricted)
    assert isinstance(may_leave("masks", [P1], _rules(OWN), TODAY), Restricted)
    assert isinstance(may_leave("masks", [], _rules(OWN), TODAY), Restricted)


def test_a_written_rule_releases_the_level_it_names_and_no_other() -> None:
    released = may_leave("bulk_profiles", [P1], _rules(UNTIL), TODAY)
    assert released == MayLeave(("origin 'x' lets bulk_profiles leave by a written rule",))
    assert isinstance(may_leave("masks", [P1], _rules(UNTIL), TODAY), Restricted)


def test_the_release_date_opens_the_data_on_that_day() -> None:
    assert isinstance(may_leave("raw", [P1], _rules(UNTIL), date(2027, 5, 31)), Restricted)
    assert may_leave("raw", [P1], _rules(UNTIL), date(2027, 6, 1)) == MayLeave()


def test_the_strictest_source_decides() -> None:
    assert isinstance(may_leave("masks", [P2, P1], _rules(OWN, UNTIL), TODAY), Restricted)


def test_where_branch_and_working_tree_differ_the_stricter_wins() -> None:
    opened = Origin("x", "academic-collaborator", access="open")
    for rules in ([{"x": UNTIL}, {"x": opened}], [{"x": opened}, {"x": UNTIL}]):
        assert isinstance(may_leave("raw", [P1], rules, TODAY), Restricted)
    assert isinstance(may_leave("raw", [P1], [{}, {"x": opened}], TODAY), Restricted)
    assert isinstance(may_leave("raw", [P1], [], TODAY), Restricted)


_ORIGINS = st.builds(
    Origin,
    name=st.just("x"),
    kind=st.sampled_from(["own", "academic-collaborator", "industry-collaborator", "public"]),
    access=st.sampled_from([None, "open", "restricted"]),
    release_on=st.none() | st.dates(),
    may_leave=st.sampled_from([(), ("masks",)]),
)


@given(one=_ORIGINS, other=_ORIGINS)
def test_more_sources_and_more_rules_never_release(one: Origin, other: Origin) -> None:
    both = [{"x": one, "y": other}]
    y = Source("raw/P2", "y")
    if isinstance(may_leave("masks", [P1], both, TODAY), Restricted):
        assert isinstance(may_leave("masks", [P1, y], both, TODAY), Restricted)
        assert isinstance(may_leave("masks", [P1], [*both, {"x": other}], TODAY), Restricted)
