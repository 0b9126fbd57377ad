"""From the cache into the workspace: hashed before it is used, linked where that is possible."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from imgdata.errors import Exit, MachineError
from imgdata.model.objects import object_key
from imgdata.testing.lab import flip_byte
from imgdata.transfer.checkout import (
    CacheDamaged,
    Placed,
    Placement,
    PlaceOutcome,
    place_all,
)
from tests.unit.transfer.places import md5

ALL_WAYS = ("reflink", "hardlink", "copy")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with an image and an empty object."""
    folder = tmp_path / "cache"
    for data in (b"image", b""):
        path = folder / object_key(md5(data))
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        path.chmod(0o444)
    return folder


def place(
    cache: Path, target: Path, ways: Sequence[str], data: bytes = b"image", *, raw: bool = True
) -> PlaceOutcome:
    placement = Placement(str(target), md5(data), hashed=False)
    (outcome,) = place_all([placement], cache, ways, read_only=raw)
    return outcome


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".tmp-imgdata-*")]


def test_a_hard_link_is_the_object_itself(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "w" / "deep" / "größe.tif"
    outcome = place(cache, target, ("hardlink", "copy"))
    assert isinstance(outcome, Placed)
    assert target.samefile(cache / object_key(md5(b"image")))
    assert outcome.size == 5
    assert outcome.stamp == outcome.object_stamp


def test_an_empty_file_is_never_linked(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "empty"
    assert isinstance(place(cache, target, ("hardlink", "copy"), b""), Placed)
    assert target.stat().st_nlink == 1


@pytest.mark.parametrize(("raw", "writable"), [(True, False), (False, True)])
def test_a_copy_is_read_only_where_it_is_raw(
    cache: Path, tmp_path: Path, raw: bool, writable: bool
) -> None:
    target = tmp_path / "a.tif"
    place(cache, target, ("copy",), raw=raw)
    assert target.read_bytes() == b"image"
    assert not target.samefile(cache / object_key(md5(b"image")))
    assert bool(target.stat().st_mode & 0o200) == writable
    assert (cache / object_key(md5(b"image"))).stat().st_mode & 0o777 == 0o444


def test_what_this_command_hashed_already_is_copied_whole(cache: Path, tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    source = cache / object_key(md5(data))
    source.parent.mkdir(parents=True)
    source.write_bytes(data)
    placement = Placement(str(tmp_path / "big"), md5(data), hashed=True)
    (outcome,) = place_all([placement], cache, ("copy",), read_only=True)
    assert isinstance(outcome, Placed)
    assert (tmp_path / "big").read_bytes() == data
    assert not leftovers(tmp_path)


def test_where_blocks_cannot_be_shared_the_next_way_is_taken(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    assert isinstance(place(cache, target, ALL_WAYS), Placed)
    assert target.read_bytes() == b"image"
    assert leftovers(tmp_path) == []


def test_a_link_can_be_symbolic_where_dvc_is_told_so(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    assert isinstance(place(cache, target, ("symlink",)), Placed)
    assert target.is_symlink()
    assert target.read_bytes() == b"image"


@pytest.mark.parametrize("ways", [("copy",), ("hardlink",), ("symlink",), ALL_WAYS])
def test_a_damaged_object_is_never_placed(
    cache: Path, tmp_path: Path, ways: tuple[str, ...]
) -> None:
    flip_byte(cache / object_key(md5(b"image")))
    target = tmp_path / "a.tif"
    outcome = place(cache, target, ways)
    assert isinstance(outcome, CacheDamaged)
    assert outcome.found != md5(b"image")
    assert not target.exists()
    assert leftovers(tmp_path) == []


def test_a_damaged_object_leaves_what_is_there(cache: Path, tmp_path: Path) -> None:
    flip_byte(cache / object_key(md5(b"image")))
    target = tmp_path / "a.tif"
    target.write_bytes(b"before")
    assert isinstance(place(cache, target, ("copy",)), CacheDamaged)
    assert target.read_bytes() == b"before"


def test_good_files_are_placed_beside_damaged_ones(cache: Path, tmp_path: Path) -> None:
    flip_byte(cache / object_key(md5(b"image")))
    placements = [
        Placement(str(tmp_path / name), md5(data), hashed=False)
        for name, data in (("bad", b"image"), ("good", b""))
    ]
    kinds = {type(one) for one in place_all(placements, cache, ALL_WAYS, read_only=True)}
    assert kinds == {Placed, CacheDamaged}
    assert (tmp_path / "good").exists()


def test_a_folder_in_the_way_is_a_sentence(cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(MachineError, match="cannot write") as caught:
        place(cache, target, ("copy",))
    assert caught.value.exit_status is Exit.MACHINE
    assert (target / "inside").is_dir()
    assert leftovers(tmp_path) == []


def test_an_object_that_went_away_is_a_sentence(cache: Path, tmp_path: Path) -> None:
    os.unlink(cache / object_key(md5(b"image")))  # noqa: PTH108 - a read-only file
    with pytest.raises(MachineError):
        place(cache, tmp_path / "a.tif", ALL_WAYS)
