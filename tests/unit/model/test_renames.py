"""What was noted under an old name is about the level that has another name today."""

from datetime import UTC, datetime, timedelta

from imgdata.model.events import Event, Json
from imgdata.model.renames import RENAMED, Renames, read_renames

START = datetime(2026, 11, 1, tzinfo=UTC)


def event(hour: int, kind: str, **details: Json) -> Event:
    return Event(f"{hour:02d}", START + timedelta(hours=hour), "", "", kind, details)


def renamed(hour: int, level: str, to: str, **more: Json) -> Event:
    paths = {"path": f"data/{level}", "to_path": f"data/{to}"}
    return event(hour, RENAMED, level=level, to=to, **{**paths, **more})


def today(events: list[Event], *levels: str) -> Renames:
    return read_renames(events, levels, [f"data/{level}" for level in levels])


def levels_of(events: list[Event], *levels: str) -> list[tuple[str, str]]:
    seen = today(events, *levels).seen_today(events)
    return [(one.id, one.text("level")) for one in seen if one.event != RENAMED]


def test_a_copy_noted_before_or_by_a_clone_that_did_not_know_counts_for_the_new_name() -> None:
    noted = [
        event(1, "stored", level="masks", unit="P1"),
        renamed(2, "masks", "nuclei"),
        event(3, "verified", level="masks", unit="P1"),
        event(4, "verified", level="nuclei", unit="P1"),
    ]
    assert levels_of(noted, "raw", "nuclei") == [
        ("01", "nuclei"),
        ("03", "nuclei"),
        ("04", "nuclei"),
    ]


def test_a_chain_of_names_and_a_way_back_are_followed() -> None:
    chain = [event(1, "stored", level="a"), renamed(2, "a", "b"), renamed(3, "b", "c")]
    assert levels_of(chain, "c") == [("01", "c")]
    back = [*chain, renamed(4, "c", "a"), event(5, "stored", level="a")]
    assert levels_of(back, "a") == [("01", "a"), ("05", "a")]


def test_what_an_old_name_says_once_another_level_has_it_holds_for_both() -> None:
    noted = [
        event(1, "stored", level="masks"),
        renamed(2, "masks", "nuclei"),
        event(3, "missing", level="masks"),
    ]
    assert levels_of(noted, "masks", "nuclei") == [
        ("01", "nuclei"),
        ("03", "masks"),
        ("03", "nuclei"),
    ]


def test_a_renaming_that_was_taken_back_by_git_changes_nothing() -> None:
    noted = [event(1, "stored", level="masks"), renamed(2, "masks", "nuclei")]
    assert levels_of(noted, "masks") == [("01", "masks")]
    assert today(noted, "masks").path_now("data/masks/P1") == "data/masks/P1"


def test_paths_and_producers_are_found_under_their_former_names() -> None:
    noted = [
        renamed(1, "raw", "images", producers={"data/raw/P1.dvc": "data/images/P1.dvc"}),
        renamed(2, "images", "photos", producers={"data/images/P1.dvc": "data/photos/P1.dvc"}),
    ]
    known = today(noted, "photos", "masks")
    assert known.path_now("data/raw/P1/a.tif") == "data/photos/P1/a.tif"
    assert known.path_now("data/rawest/P1") == "data/rawest/P1"
    assert known.path_now("data/masks/P1") == "data/masks/P1"
    assert known.former("data/photos/P1.dvc") == ("data/images/P1.dvc", "data/raw/P1.dvc")
    assert known.former("data/masks/P1.dvc") == ()


def test_runs_and_proofs_are_seen_under_both_names_and_deposits_under_the_new_one() -> None:
    noted = [
        event(1, "run", stage="dvc.lock::s@a", entry="old"),
        event(2, "proof", entry="old", outs=[{"path": "data/a/P1", "version": "v"}]),
        event(3, "deposit", levels=["a"], contents=[{"level": "a", "unit": "P1", "version": "v"}]),
        renamed(4, "a", "b", producers={"dvc.lock::s@a": "dvc.lock::s@b"}, entries={"old": "new"}),
    ]
    seen = [one for one in today(noted, "b").seen_today(noted) if one.event != RENAMED]
    assert [one.text("entry") for one in seen] == ["old", "new", "old", "new", ""]
    assert [one.text("stage") for one in seen[:2]] == ["dvc.lock::s@a", "dvc.lock::s@b"]
    assert seen[3].details["outs"] == [{"path": "data/b/P1", "version": "v"}]
    assert seen[4].details["levels"] == ["b"]
    assert seen[4].details["contents"] == [{"level": "b", "unit": "P1", "version": "v"}]
