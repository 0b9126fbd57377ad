"""Taking files into the cache: read once, and nothing that is not right stays."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from imgdata.model.objects import object_key
from imgdata.system.files import file_md5
from imgdata.transfer.take_in import (
    SourceFile,
    StillChanging,
    Taken,
    TakeOutcome,
    Unreadable,
    take_in,
)


def take(cache: Path, *paths: Path) -> dict[str, TakeOutcome]:
    files: Iterable[SourceFile] = (SourceFile(str(path), path.name) for path in paths)
    return {outcome.source.relpath: outcome for outcome in take_in(files, cache)}


def objects(cache: Path) -> list[Path]:
    return [path for path in (cache / "files" / "md5").rglob("*") if path.is_file()]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder on the microscope."""
    folder = tmp_path / "microscope"
    folder.mkdir()
    return folder


def test_a_file_becomes_a_read_only_object_with_its_own_time(cache: Path, source: Path) -> None:
    path = source / "größe 1.tif"
    path.write_bytes(b"image")
    os.utime(path, ns=(1, 1_700_000_000_000_000_123))
    taken = take(cache, path)[path.name]
    assert isinstance(taken, Taken)
    placed = cache / object_key(taken.md5)
    assert (taken.md5, taken.size) == (file_md5(path), 5)
    assert placed.read_bytes() == b"image"
    assert placed.stat().st_mode & 0o777 == 0o444
    assert placed.stat().st_mtime_ns == path.stat().st_mtime_ns
    assert path.read_bytes() == b"image"
    assert objects(cache) == [placed]


def test_an_empty_file_is_a_file(cache: Path, source: Path) -> None:
    (source / "empty").touch()
    taken = take(cache, source / "empty")["empty"]
    assert isinstance(taken, Taken)
    assert (taken.md5, taken.size) == ("d41d8cd98f00b204e9800998ecf8427e", 0)


def test_equal_files_become_one_object(cache: Path, source: Path) -> None:
    paths = [source / f"{number}" for number in range(20)]
    for path in paths:
        path.write_bytes(b"same")
    outcomes = take(cache, *paths)
    assert all(isinstance(one, Taken) for one in outcomes.values())
    assert len(objects(cache)) == 1


def test_a_damaged_object_of_that_name_is_replaced(cache: Path, source: Path) -> None:
    path = source / "a"
    path.write_bytes(b"image")
    placed = cache / object_key(file_md5(path))
    placed.parent.mkdir(parents=True)
    placed.write_bytes(b"imagx")
    take(cache, path)
    assert placed.read_bytes() == b"image"


def test_what_cannot_be_read_is_told_and_the_others_are_taken(cache: Path, source: Path) -> None:
    (source / "good").write_bytes(b"good")
    (source / "folder").mkdir()
    os.mkfifo(source / "pipe")
    (source / "nowhere").symlink_to(source / "nothing")
    (source / "loop").symlink_to(source / "loop")
    names = ["good", "folder", "pipe", "nowhere", "loop", "never-there"]
    outcomes = take(cache, *(source / name for name in names))
    assert isinstance(outcomes.pop("good"), Taken)
    assert len(outcomes) == 5
    assert all(isinstance(one, Unreadable) and one.why for one in outcomes.values())
    assert len(objects(cache)) == 1


def test_a_link_is_read_through(cache: Path, source: Path) -> None:
    (source / "real").write_bytes(b"image")
    (source / "link").symlink_to("real")
    taken = take(cache, source / "link")["link"]
    assert isinstance(taken, Taken)
    assert taken.md5 == file_md5(source / "real")


def test_a_file_that_is_still_written_is_not_taken(cache: Path, source: Path) -> None:
    path = source / "growing"
    path.write_bytes(b"x")
    done = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as stream:
            while not done.wait(0.0005):
                stream.write(b"x" * 1000)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        path.write_bytes(os.urandom(20_000_000))
        outcome = take(cache, path)["growing"]
    finally:
        done.set()
        writer.join()
    assert isinstance(outcome, StillChanging)
    assert objects(cache) == []


def test_a_file_that_settles_is_taken_as_it_ended(cache: Path, source: Path) -> None:
    path = source / "settles"
    path.write_bytes(os.urandom(1000))
    assert isinstance(take(cache, path)["settles"], Taken)
