"""The state of copies does not depend on the order of lines, only on who had seen what."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from imgdata.model.events import Event, Json
from imgdata.policy.ledger import (
    Copy,
    CopyKey,
    Evidence,
    Following,
    Ledger,
    NothingNoted,
    NotThere,
    Unknown,
    fold,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B = "aa" + "0" * 30, "bb" + "0" * 30
KEY = CopyKey("lab", "raw", "P1", "f" * 32 + ".dir")


class CloneLog(Struct):
    """One clone's log: what it knows, and what it writes on top of it."""

    name: str
    events: list[Event] = field(default_factory=list)
    count: int = 0

    def write(
        self, kind: str, objects: Json = "all", *, how: str = "read", hours: float = 0.0
    ) -> Event:
        details: dict[str, Json] = {
            "storage": KEY.storage,
            "level": KEY.level,
            "unit": KEY.unit,
            "version": KEY.version,
            "how": how,
            "objects": objects,
        }
        return self.write_details(kind, details, hours)

    def write_details(self, kind: str, details: dict[str, Json], hours: float) -> Event:
        self.count += 1
        new_id = f"{self.name}{self.count:04d}"
        details["after"] = list(Following(fold(self.events))(kind, details, new_id))
        event = Event(new_id, START + timedelta(hours=hours), "", self.name, kind, details)
        self.events.append(event)
        return event

    def merge(self, other: "CloneLog") -> None:
        self.events += [one for one in other.events if one not in self.events]


def copy_of(*logs: CloneLog) -> Copy:
    return fold([event for log in logs for event in log.events]).copy(KEY)


def test_what_nobody_noted_is_not_there() -> None:
    assert isinstance(Ledger({}).copy(KEY).belief(A), NothingNoted)


def test_a_later_line_of_the_same_clone_wins_even_when_the_clock_went_backwards() -> None:
    one = CloneLog("x")
    one.write("stored", hours=10)
    one.write("damaged", [A], hours=2)
    copy = copy_of(one)
    assert isinstance(copy.belief(A), NotThere)
    assert isinstance(copy.belief(B), Evidence)
    assert not copy.is_whole


def test_clones_that_disagree_without_having_seen_each_other_make_it_unknown() -> None:
    one, two = CloneLog("x"), CloneLog("y")
    one.write("stored", hours=1)
    two.merge(one)
    one.write("dropped", [A], hours=2)
    two.write("verified", hours=3)
    copy = copy_of(one, two)
    assert isinstance(copy.belief(A), Unknown)
    assert isinstance(copy.belief(B), Evidence)
    assert copy.weakest is None


def test_who_has_seen_both_lines_settles_it() -> None:
    one, two = CloneLog("x"), CloneLog("y")
    one.write("stored")
    two.merge(one)
    one.write("dropped", hours=1)
    two.write("verified", hours=2)
    one.merge(two)
    one.write("verified", hours=3)
    assert copy_of(one, two).evidence(A) == Evidence(START + timedelta(hours=3), "read")


def test_a_line_that_names_nothing_it_followed_has_seen_nothing() -> None:
    one, forged = CloneLog("x"), CloneLog("y")
    one.write("damaged")
    forged.write("verified", hours=9)
    assert isinstance(copy_of(one, forged).belief(A), Unknown)


def test_a_look_at_sizes_does_not_erase_an_earlier_reading_but_a_new_upload_does() -> None:
    log = CloneLog("x")
    log.write("stored", how="read")
    log.write("verified", how="size", hours=1)
    assert copy_of(log).evidence(A) == Evidence(START, "read")
    log.write("stored", how="size", hours=2)
    evidence = copy_of(log).evidence(A)
    assert evidence is not None
    assert not evidence.is_verified


def test_verified_ranges_cover_the_objects_in_them() -> None:
    log = CloneLog("x")
    log.write("stored", hours=0)
    log.write("verified", ["a0-af"], hours=5)
    copy = copy_of(log)
    assert copy.evidence(A) == Evidence(START + timedelta(hours=5), "read")
    assert copy.evidence(B) == Evidence(START, "read")
    assert copy.weakest == Evidence(START, "read")


def test_a_lost_storage_takes_all_its_copies_until_something_is_found_there_again() -> None:
    log = CloneLog("x")
    log.write("stored")
    log.write_details("lost", {"storage": "lab", "reason": "dropped on the floor"}, 1)
    assert isinstance(copy_of(log).belief(A), NotThere)
    never = CopyKey("lab", "masks", "P1", "e" * 32)
    assert isinstance(fold(log.events).copy(never).belief(A), NotThere)
    log.write("verified", hours=2)
    assert isinstance(copy_of(log).belief(A), Evidence)


def test_a_copy_noted_by_a_clone_that_did_not_know_of_the_loss_is_unknown() -> None:
    one, two = CloneLog("x"), CloneLog("y")
    one.write("stored")
    two.merge(one)
    one.write_details("lost", {"storage": "lab", "reason": "dead"}, 1)
    two.write("verified", hours=2)
    assert isinstance(copy_of(one, two).belief(A), Unknown)


def test_lines_that_follow_each_other_in_a_circle_prove_nothing() -> None:
    details: dict[str, Json] = {"storage": "lab", "level": "raw", "unit": "P1"}
    details |= {"version": KEY.version, "how": "read", "objects": "all"}
    one = Event("1", START, "", "h", "verified", {**details, "after": ["2"]})
    two = Event("2", START, "", "h", "damaged", {**details, "after": ["1"]})
    assert not isinstance(fold([one, two]).copy(KEY).belief(A), Evidence)


def test_a_copy_that_is_looked_at_every_night_for_years_takes_little_memory() -> None:
    first = CloneLog("x").write("stored")
    events = [first]
    for night in range(1, 3000):
        details: dict[str, Json] = {**first.details, "after": [events[-1].id]}
        details["objects"] = ["00-3f"]
        at = START + timedelta(days=night)
        events.append(Event(f"x{night}", at, "", "x", "verified", details))
    tracemalloc.start()
    copy = fold(events).copy(KEY)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert copy.heads == (events[-1].id,)
    assert most < 20 << 20, "it took 200 MB when each line kept the names of all before it"


ACTIONS = st.tuples(
    st.sampled_from(["x", "y"]),
    st.sampled_from(["stored", "verified", "damaged", "dropped", "missing", "merge"]),
    st.sampled_from(["all", [A], [B], ["a0-af"]]),
    st.sampled_from(["read", "size"]),
    st.integers(0, 5),
)


@given(st.lists(ACTIONS, max_size=14), st.randoms(use_true_random=False))
def test_any_interleaving_of_two_clones_gives_the_same_state(
    actions: list[tuple[str, str, Json, str, int]],
    random: Random,
) -> None:
    logs = {"x": CloneLog("x"), "y": CloneLog("y")}
    for who, what, objects, how, hours in actions:
        if what == "merge":
            logs[who].merge(logs["y" if who == "x" else "x"])
        else:
            logs[who].write(what, objects, how=how, hours=hours)
    events = [event for log in logs.values() for event in log.events]
    shuffled = [*events]
    random.shuffle(shuffled)
    assert fold(shuffled) == fold(events) == fold(events + shuffled)
    copy = fold(shuffled).copy(KEY)
    for md5 in (A, B):
        _belief_agrees_with_the_newest_lines(copy, md5)
    if copy.is_whole:
        assert copy.evidence(A)
        assert copy.evidence(B)


def _belief_agrees_with_the_newest_lines(copy: Copy, md5: str) -> None:
    about = [note for note in copy.notes if note.scope.covers(md5)]
    newest = [n for n in about if not any(other.follows >> n.place & 1 for other in about)]
    said = {note.is_there for note in newest}
    match copy.belief(md5):
        case Evidence():
            assert said == {True}
        case NotThere():
            assert said == {False}
        case Unknown():
            assert said == {True, False}
        case NothingNoted():
            assert not about
