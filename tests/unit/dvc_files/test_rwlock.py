"""DVC's locks: a path that a live process holds is left alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgdata.dvc_files.rwlock import (
    dvc_lock,
    holders,
    is_alive,
    mend_rwlock,
    refuse_busy_paths,
)
from imgdata.errors import Exit, MachineError
from imgdata.system.locks import hold


@pytest.fixture(scope="module")
def alive() -> Iterator[int]:
    """The id of a process that does nothing."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def write(folder: Path, content: object) -> Path:
    (folder / "rwlock").write_text(json.dumps(content))
    return folder


def entry(pid: object) -> dict[str, object]:
    return {"pid": pid, "cmd": "dvc repro"}


@pytest.mark.parametrize("held", ["/p/data", "/p/data/raw", "/p/data/raw/P1/x", "/p"])
def test_a_held_path_above_or_below_is_busy(tmp_path: Path, alive: int, held: str) -> None:
    write(tmp_path, {"write": {held: entry(alive)}, "read": {}})
    with pytest.raises(MachineError, match="is in use by another process") as caught:
        refuse_busy_paths(tmp_path, [Path("/p/data/raw")])
    assert caught.value.exit_status is Exit.MACHINE
    assert str(alive) in caught.value.cause
    assert "dvc repro" in caught.value.cause


def test_a_path_that_is_read_is_busy_too(tmp_path: Path, alive: int) -> None:
    write(tmp_path, {"read": {"/p/a": [entry(1 << 22), entry(alive)]}})
    with pytest.raises(MachineError):
        refuse_busy_paths(tmp_path, [Path("/p/a")])


def test_a_sibling_is_free(tmp_path: Path, alive: int) -> None:
    write(tmp_path, {"write": {"/p/data/raw2": entry(alive)}})
    refuse_busy_paths(tmp_path, [Path("/p/data/raw")])


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not is_alive(process.pid)
    write(tmp_path, {"write": {"/p/a": entry(process.pid)}})
    refuse_busy_paths(tmp_path, [Path("/p/a")])


def test_ones_own_process_is_no_hindrance(tmp_path: Path) -> None:
    write(tmp_path, {"write": {"/p/a": entry(os.getpid())}})
    refuse_busy_paths(tmp_path, [Path("/p/a")])


@pytest.mark.parametrize(
    "content",
    [
        [],
        12,
        None,
        {"write": []},
        {"write": {"/p/a": []}},
        {"write": {"/p/a": "x"}},
        {"write": {"/p/a": {}}},
        {"write": {"/p/a": {"pid": "x"}}},
        {"write": {"/p/a": {"pid": -1}}},
        {"write": {"/p/a": {"pid": None}}},
        {"write": {"/p/a": {"pid": 10**30}}},
        {"read": {"/p/a": 3}},
        {"read": {"/p/a": ["x"]}},
        {"read": []},
    ],
)
def test_a_file_that_says_nonsense_holds_nothing(tmp_path: Path, content: object) -> None:
    assert list(holders(write(tmp_path, content))) == []


def test_half_a_file_or_none_holds_nothing(tmp_path: Path) -> None:
    assert list(holders(tmp_path)) == []
    (tmp_path / "rwlock").write_bytes(b'{"write": {"/p')
    assert list(holders(tmp_path)) == []
    (tmp_path / "rwlock").write_bytes(b"\xff")
    assert list(holders(tmp_path)) == []


@pytest.mark.parametrize("left", [b"", b'{"write": {"/p', b"\xff"])
def test_what_a_killed_dvc_left_half_written_is_removed(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "rwlock").write_bytes(left)
    mend_rwlock(tmp_path)
    assert not (tmp_path / "rwlock").exists()


def test_whole_records_of_who_reads_and_writes_stay(tmp_path: Path) -> None:
    mend_rwlock(tmp_path)
    assert not (tmp_path / "rwlock.lock").exists(), "nothing is written where nothing is to mend"
    text = (write(tmp_path, {"write": {"/p/a": entry(1)}}) / "rwlock").read_text()
    mend_rwlock(tmp_path)
    assert (tmp_path / "rwlock").read_text() == text


def test_a_lock_names_who_holds_it_and_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    with hold(path, wait_s=0, owner="another imgdata command"):
        told = pytest.raises(MachineError, match="locked by another imgdata command")
        with told as caught, hold(path, wait_s=0, owner="another imgdata command"):
            pass
    assert str(os.getpid()) in caught.value.cause
    with hold(path, wait_s=0, owner="x"):
        pass


def test_dvcs_own_lock_keeps_dvc_out(tmp_path: Path) -> None:
    script = "import sys, zc.lockfile\nzc.lockfile.LockFile(sys.argv[1])"
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    with dvc_lock(tmp_path):
        busy = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "LockError" in busy.stderr
    assert subprocess.run(command, check=False).returncode == 0
