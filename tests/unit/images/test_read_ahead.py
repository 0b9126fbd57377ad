"""Headers read by a second process: remembered only where a check would read the same."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imgdata.images.read_ahead import BATCH, MANY, TAKEN, reading_ahead
from imgdata.images.readers import ImageReaders
from imgdata.system.progress import SILENT
from imgdata.workflows.check import CheckOptions, Pixels, check_files
from imgdata.workflows.check_cache import FILE_NAME, Cache, Remembered
from imgdata.workflows.check_walk import find

ODD = {
    "größe 1.tif": b"no image",
    "new\nline.tif": b"II*\0",
    "notes.txt": b"text",
    "a_thumb.tif": b"II*\0",
    "P.zarr/0/.zarray": b"{}",
    "empty.tif": b"",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough files for a second process; one real image, and names and contents that are odd."""
    folder = tmp_path_factory.mktemp("microscope")
    tifffile.imwrite(folder / "image.tif", np.arange(6400, dtype=np.uint16).reshape(80, 80))
    for name, data in ODD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for number in range(MANY - len(ODD)):
        (folder / f"{number}.tif").write_bytes(os.urandom(20))
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "level"


def ways(source: Path, place: Path) -> list[tuple[str, str]]:
    files = (path for path in source.rglob("*") if path.is_file())
    return [(str(path), str(place / path.relative_to(source))) for path in files]


def remembered(place: Path, cache: Path) -> dict[str, Remembered]:
    return Cache(cache, ImageReaders.version).load(list(find([place], place)))


def test_a_check_finds_what_it_would_have_read(source: Path, place: Path, tmp_path: Path) -> None:
    files = ways(source, place)
    with reading_ahead(tmp_path, files, SILENT) as told:
        shutil.copytree(source, place)
        for _ in files:
            told.advance(items=1)
        told.finish()
    ahead = remembered(place, tmp_path)
    headers = CheckOptions(pixels=Pixels.NONE, cache=tmp_path / "own")
    check_files([place], ImageReaders(), root=place, options=headers)
    itself = remembered(place, tmp_path / "own")
    del itself["P.zarr"]  # a folder: the check reads it when all of it is there
    assert ahead == itself
    reading = ahead["image.tif"].reading
    assert reading is not None
    assert (reading.format, reading.facts["size_x"].value) == ("tiff", 80)
    assert ahead["notes.txt"].reading is None


def test_another_file_in_its_place_is_not_taken_for_it(
    source: Path, place: Path, tmp_path: Path
) -> None:
    with reading_ahead(tmp_path, ways(source, place), SILENT) as told:
        shutil.copytree(source, place)
        (place / "0.tif").write_bytes(os.urandom(20))
        (place / "1.tif").unlink()
        told.finish()
    names = set(remembered(place, tmp_path))
    assert {"2.tif", "image.tif"} <= names
    assert not {"0.tif", "1.tif"} & names


def test_nothing_is_remembered_of_files_that_were_not_placed(
    source: Path, place: Path, tmp_path: Path
) -> None:
    shutil.copytree(source, place)
    with (
        pytest.raises(RuntimeError, match="refused"),
        reading_ahead(tmp_path, ways(source, place), SILENT) as told,
    ):
        for _ in range(MANY):
            told.advance(items=1)
        msg = "refused"
        raise RuntimeError(msg)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_few_files_are_left_to_the_check(source: Path, place: Path, tmp_path: Path) -> None:
    with reading_ahead(tmp_path, ways(source, place)[: MANY - 1], SILENT) as told:
        assert told is SILENT
        shutil.copytree(source, place)
    assert remembered(place, tmp_path) == {}


def test_work_goes_on_where_no_second_process_can_be_started(
    source: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with reading_ahead(tmp_path, ways(source, place), SILENT) as told:
        assert told is SILENT
        shutil.copytree(source, place)
    assert remembered(place, tmp_path) == {}


def children() -> Iterator[int]:
    for task in Path("/proc/self/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux for its children")
def test_work_goes_on_when_the_second_process_dies(
    source: Path, place: Path, tmp_path: Path
) -> None:
    before = set(children())
    with reading_ahead(tmp_path, ways(source, place), SILENT) as told:
        (reader,) = set(children()) - before
        os.kill(reader, signal.SIGKILL)
        time.sleep(0.1)
        for _ in range(MANY):
            told.advance(items=1)
        shutil.copytree(source, place)
    assert remembered(place, tmp_path) == {}


def test_the_second_process_ends_with_the_first(source: Path, place: Path, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("\0".join(path for pair in ways(source, place) for path in pair))
    shutil.copytree(source, place)
    command = [sys.executable, "-m", "imgdata.images.read_ahead", str(names), str(tmp_path)]
    done = subprocess.run(command, input=TAKEN * (MANY // BATCH), timeout=60, check=True)
    assert done.returncode == 0
    assert not (tmp_path / FILE_NAME).exists()
    assert not names.exists()
