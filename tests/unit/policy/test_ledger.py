"""The ledger: what the log says about copies."""

from datetime import UTC, datetime, timedelta

from imgdata.model.events import Event, Json
from imgdata.policy.ledger import Copy, CopyKey, fold

KEY = CopyKey("archive", "raw", "P1", "v1")
DAWN = datetime(2026, 11, 20, 6, tzinfo=UTC)


def event(kind: str, hour: int, **details: Json) -> Event:
    common: dict[str, Json] = {"storage": "archive", "level": "raw", "unit": "P1", "version": "v1"}
    return Event(f"{kind}{hour}", DAWN + timedelta(hours=hour), "", "", kind, {**common, **details})


def copy_of(*events: Event) -> Copy:
    return fold(events).copy(KEY)


def test_nothing_noted_is_no_evidence() -> None:
    copy = copy_of()
    assert copy.evidence("ab") is None
    assert not copy.is_whole
    assert copy.weakest is None


def test_a_stored_version_is_evidence_for_all_its_objects() -> None:
    copy = copy_of(event("stored", 1, how="read", objects="all"))
    assert copy.is_whole
    found = copy.evidence("ab" + "0" * 30)
    assert found is not None
    assert found.is_verified
    assert found.at == DAWN + timedelta(hours=1)


def test_size_alone_is_no_verification() -> None:
    found = copy_of(event("stored", 1, how="size", objects="all")).evidence("ab")
    assert found is not None
    assert not found.is_verified


def test_a_newer_note_of_damage_denies_the_object_and_the_whole() -> None:
    bad = "ab" + "0" * 30
    copy = copy_of(
        event("stored", 1, how="read", objects="all"), event("damaged", 2, objects=[bad])
    )
    assert copy.evidence(bad) is None
    assert copy.evidence("cd") is not None
    assert not copy.is_whole
    healed = copy_of(
        event("stored", 1, how="read", objects="all"),
        event("damaged", 2, objects=[bad]),
        event("stored", 3, how="read", objects="all"),
    )
    assert healed.is_whole


def test_a_range_covers_what_lies_in_it() -> None:
    copy = copy_of(event("verified", 1, how="read", objects=["00-3f"]))
    assert copy.evidence("3f" + "0" * 30) is not None
    assert copy.evidence("40" + "0" * 30) is None
    assert not copy.is_whole


def test_other_storages_units_and_versions_are_other_copies() -> None:
    for other in ({"storage": "mirror"}, {"unit": "P2"}, {"version": "v2"}, {"level": "masks"}):
        assert copy_of(event("stored", 1, how="read", objects="all", **other)).notes == ()


def test_other_kinds_of_events_are_not_about_copies() -> None:
    assert fold([event("run", 1), event("note", 2)]).copies == {}
