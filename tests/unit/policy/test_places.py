"""Two names for the same bytes are one place; what cannot be told apart is never two copies."""

import os
import subprocess
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.policy.places import Location, group_places, same_place
from imgdata.workflows.places import folder_location

SERVER = "s3://lab https://s3.example"


def bucket(name: str, *path: str, scope: str = SERVER, marker: str = "") -> Location:
    return Location(name, scope, path, token=marker)


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        (bucket("a", "nf1"), bucket("b", "nf1"), True),
        (bucket("a", "nf1"), bucket("b", "nf1", "inner"), True),
        (bucket("a"), bucket("b", "nf1"), True),
        (bucket("a", "nf1"), bucket("b", "nf10"), False),
        (bucket("a", "nf1", "x"), bucket("b", "nf1", "y"), False),
        (bucket("a", "nf1"), bucket("b", "nf1", scope="s3://other https://s3.example"), False),
        (bucket("a", "nf1", marker="t1"), bucket("b", "zz", scope="ssh://x", marker="t1"), True),
        (bucket("a", "nf1", marker="t1"), bucket("b", "zz", marker="t2"), False),
        (bucket("a", "nf1"), bucket("b", "zz"), False),
    ],
)
def test_buckets_are_told_apart_by_server_bucket_and_prefix_or_by_their_markers(
    one: Location, two: Location, is_same: bool
) -> None:
    assert same_place(one, two) is is_same
    assert same_place(two, one) is is_same


def of(*folders: Path) -> set[str]:
    found = [folder_location(f"s{number}", path) for number, path in enumerate(folders)]
    return set(group_places(found).values())


def test_links_spellings_and_nested_folders_are_one_place(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(disk)
    (tmp_path / "up").symlink_to(tmp_path)
    for other in ("link", "up/disk", "disk/../disk", "disk/inner", "link/inner", "up/link/inner"):
        assert len(of(disk, tmp_path / other)) == 1, other
    (tmp_path / "disk2").mkdir()
    assert len(of(disk, tmp_path / "disk2")) == 2


def test_a_folder_that_is_not_there_yet_is_known_by_the_one_above_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert len(of(tmp_path / "a" / "b", tmp_path / "link" / "a")) == 1
    assert len(of(tmp_path / "a", tmp_path / "link" / "b")) == 2


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder and the same folder by a bind mount."""
    real, mount = tmp_path / "real", tmp_path / "mount"
    (real / "nf1").mkdir(parents=True)
    mount.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a bind mount needs root")
    done = subprocess.run(["mount", "--bind", real, mount], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no bind mounts here: {done.stderr.decode().strip()}")
    yield real, mount
    subprocess.run(["umount", mount], check=True)


def test_a_bind_mount_is_the_folder_it_shows(bound: tuple[Path, Path]) -> None:
    real, mount = bound
    assert len(of(real, mount)) == 1
    assert len(of(real / "nf1", mount / "nf1")) == 1
    assert len(of(real, mount / "nf1")) == 1


def test_a_hard_linked_tree_is_another_place_but_its_folders_are_not(tmp_path: Path) -> None:
    """Inodes of folders tell; a copy by hard links has folders of its own."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "x").write_bytes(b"x")
    subprocess.run(["cp", "-al", one, two], check=True)
    assert len(of(one, two)) == 2


LOCATIONS = st.builds(
    Location,
    storage=st.just(""),
    scope=st.sampled_from(["s3://a", "s3://b"]),
    path=st.lists(st.sampled_from("xy"), max_size=3).map(tuple),
    token=st.sampled_from(["", "", "t", "u"]),
)


@given(st.lists(LOCATIONS, min_size=1, max_size=4))
def test_grouping_does_not_depend_on_the_order_and_joins_all_that_touch(
    some: list[Location],
) -> None:
    named = [
        Location(str(number), one.scope, one.path, token=one.token)
        for number, one in enumerate(some)
    ]
    expected = _components(named)
    for ordered in permutations(named):
        leader = group_places(ordered)
        groups: dict[str, set[str]] = {}
        for storage, first in leader.items():
            groups.setdefault(first, set()).add(storage)
        assert sorted(map(sorted, groups.values())) == expected


def _components(some: list[Location]) -> list[list[str]]:
    groups = [{one.storage} for one in some]
    by_name = {one.storage: one for one in some}
    for one, two in permutations(some, 2):
        if same_place(by_name[one.storage], by_name[two.storage]):
            first = next(group for group in groups if one.storage in group)
            second = next(group for group in groups if two.storage in group)
            if first is not second:
                first |= second
                groups.remove(second)
    return sorted(map(sorted, groups))
