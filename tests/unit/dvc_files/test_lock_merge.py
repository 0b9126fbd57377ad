"""Merging locks: each entry is whole, from one side, in the text DVC wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.lock import read_lock
from imgdata.dvc_files.lock_merge import merge_locks
from imgdata.dvc_files.lock_text import IrregularError

HEAD = "schema: '2.0'\nstages:\n"


def entry(name: str, number: int) -> str:
    return (
        f"  {name}:\n    cmd: python {name}.py\n    outs:\n    - path: out/{name}\n"
        f"      hash: md5\n      md5: {number:032x}\n      size: {number}\n"
    )


def lock(**numbers: int) -> bytes:
    text = "".join(entry(name, number) for name, number in numbers.items())
    return (HEAD + text).encode() if text else b""


def test_two_new_stages_are_both_kept_in_the_text_they_had() -> None:
    merged = merge_locks(lock(a=1), lock(a=1, b=2), lock(a=1, c=3))
    assert merged.conflicts == ()
    assert merged.data in (lock(a=1, b=2, c=3), lock(a=1, c=3, b=2))


def test_a_change_on_either_side_wins_over_what_was() -> None:
    assert merge_locks(lock(a=1, b=1), lock(a=2, b=1), lock(a=1, b=3)).data == lock(a=2, b=3)


def test_a_removed_stage_stays_removed() -> None:
    assert merge_locks(lock(a=1, b=1), lock(a=1), lock(a=2, b=1)).data == lock(a=2)


def test_no_ancestor_at_all_is_two_additions() -> None:
    assert merge_locks(b"", lock(a=1), lock(b=2)).data in (lock(a=1, b=2), lock(b=2, a=1))


def test_different_results_of_one_stage_stay_a_conflict_around_that_entry_alone() -> None:
    merged = merge_locks(lock(a=1, b=1, c=1), lock(a=1, b=2, c=1), lock(a=1, b=3, c=4))
    assert merged.conflicts == ("b",)
    text = merged.data.decode()
    marked = f"<<<<<<< ours\n{entry('b', 2)}=======\n{entry('b', 3)}>>>>>>> theirs\n"
    assert text == HEAD + entry("a", 1) + marked + entry("c", 4)
    readable = read_lock(merged.data)
    assert set(readable.entries) == {"a", "c"}


def test_changed_here_and_removed_there_is_a_conflict_too() -> None:
    merged = merge_locks(lock(a=1, b=1), lock(a=1, b=2), lock(a=1))
    assert merged.conflicts == ("b",)
    assert b"=======\n>>>>>>> theirs\n" in merged.data


def test_the_same_said_in_other_quotes_is_no_conflict_and_keeps_our_text() -> None:
    theirs = lock(a=2).replace(b"cmd: python a.py", b'cmd: "python a.py"')
    assert merge_locks(lock(a=1), lock(a=2), theirs).data == lock(a=2)


def test_folded_commands_params_and_lists_keep_their_text() -> None:
    odd = (
        "  b@P1:\n    cmd:\n    - python b.py --plate\n      P1\n    - 'echo : done'\n"
        "    params:\n      params.yaml:\n        x:\n          y: [1, 2]\n"
        "    outs:\n    - path: out/b\n      md5: '12345678901234567890123456789012'\n"
    )
    ours = lock(a=1) + odd.encode()
    merged = merge_locks(lock(a=1), ours, lock(a=1, c=3))
    assert merged.data == lock(a=1, c=3) + odd.encode()


def test_line_ends_of_windows_are_kept() -> None:
    ours = lock(a=1, b=2).replace(b"\n", b"\r\n")
    merged = merge_locks(lock(a=1), ours, lock(a=3))
    assert merged.data == lock(a=3, b=2).replace(b"\n", b"\r\n")


def test_a_lock_in_another_indent_is_cut_where_yaml_confirms_it() -> None:
    def wide(data: bytes) -> bytes:
        _head, body = data.decode().split("stages:\n")
        lines = [f"  {line}" if line else line for line in body.split("\n")]
        return f'schema: "2.0"\n# by hand\nstages:\n{chr(10).join(lines)}'.encode()

    merged = merge_locks(wide(lock(a=1)), wide(lock(a=1, b=2)), wide(lock(a=3)))
    assert merged.data == wide(lock(a=3, b=2))


def test_locks_of_dvc_1_merge() -> None:
    def old(**numbers: int) -> bytes:
        return "".join(
            f"{name}:\n  cmd: run\n  outs:\n  - path: {name}\n    md5: {number:032x}\n"
            for name, number in numbers.items()
        ).encode()

    assert merge_locks(old(a=1), old(a=1, b=2), old(a=3)).data == old(a=3, b=2)


@pytest.mark.parametrize(
    "odd",
    [
        b"schema: '2.0'\nstages:\n<<<<<<< ours\n  a:\n    cmd: x\n=======\n>>>>>>> theirs\n",
        b"schema: '2.0'\nstages:\n  a: &x\n    cmd: x\n  b: *x\n",
        b"\xff\xfe not text",
        b"- a\n- list\n",
        b"a: 1\nstages: [",
        b"schema: '2.0'\nstages:\n  a:\n    cmd: x\nmore: 1\n",
    ],
)
def test_what_cannot_be_cut_is_left_to_a_merge_of_lines(odd: bytes) -> None:
    with pytest.raises(IrregularError):
        merge_locks(lock(a=1), odd, lock(a=1, c=2))
    with pytest.raises(IrregularError):
        merge_locks(lock(a=1), lock(a=1, c=2), odd)


def test_an_ancestor_with_conflict_markers_still_tells_what_was_in_the_rest() -> None:
    marked = (
        HEAD
        + entry("a", 1)
        + "<<<<<<< one\n"
        + entry("b", 1)
        + "=======\n"
        + entry("b", 2)
        + ">>>>>>> other\n"
        + entry("c", 1)
    )
    merged = merge_locks(marked.encode(), lock(a=1, b=3, c=1), lock(a=9, b=3))
    assert merged.conflicts == ()
    assert merged.data == lock(a=9, b=3)


@pytest.mark.parametrize("empty", [b"", b"\n", b"schema: '2.0'\nstages: {}\n"])
def test_an_empty_lock_has_no_entries(empty: bytes) -> None:
    assert merge_locks(empty, empty, lock(a=1)).data.endswith(entry("a", 1).encode())
    assert read_lock(merge_locks(empty, lock(a=1), empty).data).entries.keys() == {"a"}


LOCKS = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 3), max_size=6)


@given(LOCKS, LOCKS, LOCKS)
def test_every_entry_is_as_three_way_merging_of_values_says(
    base: dict[str, int], ours: dict[str, int], theirs: dict[str, int]
) -> None:
    merged = merge_locks(lock(**base), lock(**ours), lock(**theirs))
    found = read_lock(merged.data).entries if merged.data else {}
    for name in {*base, *ours, *theirs}:
        was, one, other = base.get(name), ours.get(name), theirs.get(name)
        wanted = one if other in (one, was) else other if one == was else "conflict"
        if wanted == "conflict":
            assert name in merged.conflicts
        elif wanted is None:
            assert name not in found
        else:
            assert found[name].outs[0].size == wanted


@given(LOCKS, LOCKS, LOCKS)
def test_swapping_the_sides_keeps_the_same_entries_and_conflicts(
    base: dict[str, int], ours: dict[str, int], theirs: dict[str, int]
) -> None:
    first = merge_locks(lock(**base), lock(**ours), lock(**theirs))
    second = merge_locks(lock(**base), lock(**theirs), lock(**ours))
    assert set(first.conflicts) == set(second.conflicts)
    assert read_lock(first.data).entries == read_lock(second.data).entries
