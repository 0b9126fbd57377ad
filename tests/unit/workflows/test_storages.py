"""Trying storages out, and writing them down."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imgdata.errors import DamagedError, StorageError
from imgdata.model.objects import StoredObject
from imgdata.project.config import StorageConfig
from imgdata.storage.local import LocalStorage
from imgdata.workflows.storages import Failed, Lacking, Passed, try_out, with_storage

YAML = """\
# ours
storages:
  archive: {url: /mnt/archive}  # the big one
levels:
  raw:
    storage: [archive]  # safe
  masks: {storage: archive}
  cells: {storage: none}
"""


def test_a_storage_is_added_and_comments_and_order_stay() -> None:
    lab = StorageConfig("lab", "s3://lab/x", {"region": "eu-1", "public": False})
    assert with_storage(YAML, lab, ["raw", "masks", "cells"]) == (
        "# ours\n"
        "storages:\n"
        "  archive: {url: /mnt/archive}  # the big one\n"
        "  lab:\n"
        "    url: s3://lab/x\n"
        "    region: eu-1\n"
        "    public: false\n"
        "levels:\n"
        "  raw:\n"
        "    storage: [archive, lab] # safe\n"
        "  masks: {storage: [archive, lab]}\n"
        "  cells: {storage: [lab]}\n"
    )


def test_lines_before_the_next_section_stay_there() -> None:
    before = (
        "storages:\n  disk:\n    url: /mnt/disk\n    note: ours # loud\n"
        "\n# what is kept\nlevels: {}\n"
    )
    one = with_storage(before, StorageConfig("lab", "s3://lab/x", {"public": False}), [])
    two = with_storage(one, StorageConfig("far", "/mnt/far"), [])
    assert two == before.replace(
        "\n\n",
        "\n  lab:\n    url: s3://lab/x\n    public: false\n  far:\n    url: /mnt/far\n\n",
    )


def test_what_is_there_already_is_not_written_again() -> None:
    archive = StorageConfig("archive", "/mnt/archive")
    assert with_storage(YAML, archive, ["raw", "masks"]).count("archive") == YAML.count("archive")


def test_the_first_storage_gets_its_section() -> None:
    lab = StorageConfig("lab", "/mnt/lab")
    assert with_storage("levels: {}\n", lab, []).endswith("storages:\n  lab:\n    url: /mnt/lab\n")


def test_a_storage_that_works_passes_every_step_and_is_left_clean(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    steps = list(try_out(LocalStorage(disk)))
    assert steps == [Passed("write"), Passed("read"), Passed("list"), Passed("erase")]
    assert list(disk.iterdir()) == []


class _Odd:
    """A storage with one fault; everything else goes to a folder."""

    def __init__(self, folder: Path, fault: str) -> None:
        self._folder = LocalStorage(folder)
        self._fault = fault

    @property
    def description(self) -> str:
        return "odd"

    def stat(self, key: str) -> StoredObject | None:
        return self._folder.stat(key)

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        with self._folder.read(key) as chunks:
            yield iter([b"other bytes"]) if self._fault == "read" else chunks

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        if self._fault == "write":
            problem = "read-only"
            raise StorageError(problem)
        return self._folder.write(key, chunks, size)

    def list(self, under: str = "") -> Iterator[StoredObject]:
        return iter(()) if self._fault == "list" else self._folder.list(under)


class _Erasing(_Odd):
    def erase(self, key: str) -> None:
        """Forget to do it."""


@pytest.mark.parametrize(
    ("fault", "passed", "kind"),
    [("write", 0, StorageError), ("read", 1, DamagedError), ("list", 2, StorageError)],
)
def test_a_fault_ends_the_trial_at_its_step(
    tmp_path: Path, fault: str, passed: int, kind: type[StorageError | DamagedError]
) -> None:
    *good, last = try_out(_Odd(tmp_path, fault))
    assert len(good) == passed
    assert isinstance(last, Failed)
    assert last.step == fault
    assert type(last.error) is kind


class _Clean(_Odd):
    def erase(self, key: str) -> None:
        self._folder.erase(key)


@pytest.mark.parametrize("fault", ["read", "list"])
def test_a_trial_that_fails_leaves_nothing_behind(tmp_path: Path, fault: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    *_, last = try_out(_Clean(disk, fault))
    assert isinstance(last, Failed)
    assert last.step == fault
    assert "stays there" not in last.error.cause
    assert list(disk.iterdir()) == []


def test_a_storage_that_does_not_erase_is_told(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    *_, last = try_out(_Erasing(disk, "erase"))
    assert isinstance(last, Failed)
    assert last.step == "erase"
    assert f"{next(disk.iterdir()).name} stays there" in last.error.cause


def test_a_storage_that_cannot_erase_lacks_the_step(tmp_path: Path) -> None:
    *_, last = try_out(_Odd(tmp_path, "none"))
    assert isinstance(last, Lacking)
