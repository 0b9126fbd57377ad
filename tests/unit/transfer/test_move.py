"""Moving objects: hashed on the way, checked on arrival, whatever a storage says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgdata.errors import DamagedError, StorageError
from imgdata.model.objects import object_key
from imgdata.transfer.move import (
    Damaged,
    Intact,
    Missing,
    Moved,
    check_all,
    check_one,
    in_parallel,
    move_all,
    move_one,
    read_whole,
)
from imgdata.transfer.presence import FEW, present_objects
from tests.unit.transfer.places import (
    Breaking,
    Changing,
    ChangingWithChecksum,
    Losing,
    Memory,
    WithChecksum,
    item,
)

ONE = b"one image"


def test_an_object_arrives_and_is_read_back() -> None:
    target = Memory()
    outcome = move_one(item(ONE), Memory.of(ONE), target, read_back=True)
    assert outcome == Moved(item(ONE), len(ONE), "read")
    assert target.objects == Memory.of(ONE).objects


def test_a_storages_own_checksum_saves_reading_back() -> None:
    outcome = move_one(item(ONE), Memory.of(ONE), WithChecksum(), read_back=True)
    assert outcome == Moved(item(ONE), len(ONE), "checksum")


def test_without_reading_back_only_the_size_is_known() -> None:
    outcome = move_one(item(ONE), Memory.of(ONE), Memory(), read_back=False)
    assert outcome == Moved(item(ONE), len(ONE), "size")


@pytest.mark.parametrize("target", [Changing(), ChangingWithChecksum()])
def test_a_storage_that_changes_bytes_is_caught(target: Memory) -> None:
    outcome = move_one(item(ONE), Memory.of(ONE), target, read_back=True)
    assert isinstance(outcome, Damaged)
    assert outcome.place == target.description


def test_a_storage_that_stored_nothing_is_caught() -> None:
    outcome = move_one(item(ONE), Memory.of(ONE), Losing(), read_back=True)
    assert isinstance(outcome, Missing)


def test_a_damaged_source_is_never_visible_at_the_target() -> None:
    source = Memory({item(ONE).key: b"other"}, "the cache")
    target = Memory()
    outcome = move_one(item(ONE), source, target, read_back=True)
    assert isinstance(outcome, Damaged)
    assert outcome.place == "the cache"
    assert target.objects == {}


def test_a_source_of_another_length_is_damage_too() -> None:
    source = Memory({item(ONE).key: ONE + b"more"})
    target = Memory()
    outcome = move_one(item(ONE, size=len(ONE)), source, target, read_back=True)
    assert isinstance(outcome, Damaged)
    assert target.objects == {}


@pytest.mark.parametrize("size", [None, len(ONE)])
def test_what_the_source_lacks_is_missing(size: int | None) -> None:
    outcome = move_one(item(ONE, size=size), Memory(), Memory(), read_back=True)
    assert isinstance(outcome, Missing)


def test_checking_tells_right_wrong_and_gone() -> None:
    assert check_one(item(ONE), Memory.of(ONE)) == Intact(item(ONE), len(ONE), "read")
    assert isinstance(check_one(item(ONE), Memory({item(ONE).key: b"x"})), Damaged)
    assert isinstance(check_one(item(ONE), Memory()), Missing)


def test_a_list_is_read_whole_and_checked() -> None:
    assert read_whole(Memory.of(ONE), item(ONE)) == ONE
    with pytest.raises(DamagedError, match="one image is damaged on memory"):
        read_whole(Memory({item(ONE).key: b"x"}), item(ONE))
    with pytest.raises(DamagedError):
        read_whole(Memory(), item(ONE))


def test_one_damaged_object_does_not_stop_the_others() -> None:
    contents = [f"{number}".encode() for number in range(50)]
    source = Memory.of(*contents)
    source.objects[item(b"7").key] = b"x"
    del source.objects[item(b"8").key]
    target = Memory()
    outcomes = list(move_all(map(item, contents), source, target, read_back=True))
    assert len(outcomes) == 50
    assert [type(one) for one in outcomes].count(Moved) == 48
    assert len(target.objects) == 48


def test_what_arrived_before_a_storage_broke_is_told_first() -> None:
    contents = [f"{number}".encode() for number in range(50)]
    target = Breaking()
    told = []
    with pytest.raises(StorageError, match="the line is cut"):
        for outcome in move_all(
            map(item, contents), Memory.of(*contents), target, read_back=True, jobs=2
        ):
            told.append(outcome)  # noqa: PERF402 - the error comes in the middle
    assert {one.item.key for one in told} == set(target.objects)
    assert len(told) == 2


def test_an_interrupted_reader_stops_the_work() -> None:
    started = []

    def work(number: int) -> int:
        started.append(number)
        return number

    results = in_parallel(work, range(10_000), 2)
    next(results)
    results.close()  # type: ignore[attr-defined] # it is a generator
    assert len(started) < 100


def test_a_bug_in_the_work_is_not_swallowed() -> None:
    def work(number: int) -> int:
        return 1 // number

    with pytest.raises(ZeroDivisionError):
        list(in_parallel(work, [1, 0, 2], 2))


@settings(max_examples=30)
@given(st.sets(st.binary(min_size=1, max_size=3).map(lambda data: data.hex().encode()), max_size=9))
def test_moving_twice_gives_the_same(contents: set[bytes]) -> None:
    source, target = Memory.of(*contents), Memory()
    for _ in range(2):
        outcomes = list(move_all(map(item, contents), source, target, read_back=True, jobs=2))
        assert {one.item for one in outcomes} == {item(data) for data in contents}
    assert target.objects == source.objects
    assert all(isinstance(one, Intact) for one in check_all(map(item, contents), target))


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 200])
def test_presence_is_the_same_asked_singly_or_by_listing(count: int) -> None:
    contents = [f"{number}".encode() for number in range(count)]
    keys = [item(data).key for data in contents]
    storage = Memory.of(*contents[::2])
    storage.objects[object_key("f" * 32)] = b"of somebody else"
    assert set(present_objects(storage, keys)) == set(keys[::2])
