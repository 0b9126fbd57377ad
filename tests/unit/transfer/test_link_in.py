"""Files that lie where they are to stay get a second name instead of a second copy."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from imgdata.model.objects import object_key
from imgdata.system.files import can_reflink, file_md5
from imgdata.system.lease import without_writers
from imgdata.transfer.take_in import SourceFile, Taken, TakeOutcome, Unreadable, take_in


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache on a disk that cannot share blocks."""
    folder = tmp_path / "cache"
    folder.mkdir()
    if can_reflink(folder):
        pytest.skip("this disk shares blocks, so nothing is linked")
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """One image in the workspace."""
    path = tmp_path / "data" / "raw" / "P1" / "a.tif"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"image")
    path.chmod(0o644)
    return path


def take(cache: Path, path: Path) -> TakeOutcome:
    (outcome,) = take_in([SourceFile(str(path), path.name)], cache, linked=True)
    return outcome


def is_linked(cache: Path, path: Path) -> bool:
    return path.samefile(cache / object_key(file_md5(path)))


def test_a_file_nobody_writes_to_is_linked_and_read_only(cache: Path, image: Path) -> None:
    outcome = take(cache, image)
    assert isinstance(outcome, Taken)
    assert outcome.md5 == file_md5(image)
    assert is_linked(cache, image)
    assert image.stat().st_mode & 0o777 == 0o444


def test_a_file_that_is_open_for_writing_is_copied(cache: Path, image: Path) -> None:
    with image.open("ab", buffering=0) as writer:
        outcome = take(cache, image)
        writer.write(b" changed")
    assert isinstance(outcome, Taken)
    assert (cache / object_key(outcome.md5)).read_bytes() == b"image"
    assert not image.samefile(cache / object_key(outcome.md5))
    assert image.stat().st_mode & 0o777 == 0o644


def second_name(image: Path) -> Path:
    os.link(image, image.with_name("second"))
    return image


def behind_a_link(image: Path) -> Path:
    link = image.with_name("link.tif")
    link.symlink_to(image)
    return link


def in_a_linked_folder(image: Path) -> Path:
    folder = image.parent.with_name("P2")
    folder.symlink_to(image.parent)
    return folder / image.name


def empty(image: Path) -> Path:
    image.write_bytes(b"")
    return image


@pytest.mark.parametrize("change", [second_name, behind_a_link, in_a_linked_folder, empty])
def test_a_file_that_somebody_else_may_name_is_copied(
    cache: Path, image: Path, change: Callable[[Path], Path]
) -> None:
    path = change(image)
    assert isinstance(take(cache, path), Taken)
    assert not is_linked(cache, image)
    assert image.stat().st_mode & 0o777 == 0o644


def test_content_that_the_cache_has_is_not_linked_over_it(cache: Path, image: Path) -> None:
    other = image.with_name("b.tif")
    other.write_bytes(image.read_bytes())
    take(cache, image)
    assert isinstance(take(cache, other), Taken)
    assert is_linked(cache, image)
    assert not other.samefile(image)


def test_a_damaged_object_of_that_content_is_replaced(cache: Path, image: Path) -> None:
    placed = cache / object_key(file_md5(image))
    placed.parent.mkdir(parents=True)
    placed.write_bytes(b"imagx")
    assert isinstance(take(cache, image), Taken)
    assert placed.read_bytes() == b"image"


def test_a_file_taken_before_is_known_again(cache: Path, image: Path) -> None:
    first, second = take(cache, image), take(cache, image)
    assert first == second
    assert is_linked(cache, image)


def test_a_writer_that_comes_while_the_file_is_read_is_noticed(image: Path) -> None:
    descriptor = os.open(image, os.O_RDONLY)
    try:
        with without_writers(descriptor) as unwritten:
            assert unwritten()
            # Without waiting: the kernel refuses, and from then on the lease is broken.
            with pytest.raises(BlockingIOError):
                os.open(image, os.O_WRONLY | os.O_NONBLOCK)
            assert not unwritten()
    finally:
        os.close(descriptor)


def test_a_file_that_cannot_be_read_to_its_end_stops_no_other(cache: Path, image: Path) -> None:
    broken = Path("/sys/devices/virtual/net/lo/duplex")  # it opens, has a size, and gives no byte
    if not broken.is_file():
        pytest.skip("this system has no such file")
    files = [SourceFile(str(broken), "broken.tif"), SourceFile(str(image), image.name)]
    outcomes = {one.source.relpath: one for one in take_in(files, cache, linked=True)}
    assert isinstance(outcomes["broken.tif"], Unreadable)
    assert isinstance(outcomes[image.name], Taken)
