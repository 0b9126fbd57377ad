"""State rows: DVC believes ours, we believe DVC's, and neither hashes twice."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imgdata.dvc_files.config import read_config
from imgdata.dvc_files.state import Row, State, checksum, make_shared_folder, state_folder
from imgdata.system.files import Stamp, file_md5
from imgdata.testing.lab import Lab, make_lab

ASK = Path(__file__).with_name("ask_dvc_data.py")
LIE = "0" * 32


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A project with one plate."""
    lab = make_lab(tmp_path_factory.mktemp("state") / "lab")
    lab.ok("add", "raw", lab.plate("P1"))
    return lab


def ask(lab: Lab, *words: str) -> Any:
    asked = subprocess.run(
        [sys.executable, ASK, words[0], lab.project, *words[1:]],
        env=lab.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(asked.stdout)


def state_of(lab: Lab) -> State:
    return State(lab.project, read_config(lab.project / ".dvc").site_cache_dir)


@pytest.mark.dvc
def test_dvc_knows_every_file_that_add_took(lab: Lab) -> None:
    plate = sorted(lab.file("data/raw/P1").iterdir())
    objects = [path for name, path in lab.objects().items() if not name.endswith(".dir")]
    assert len(plate) == 4
    assert ask(lab, "state", *map(str, plate)) == [file_md5(path) for path in plate]
    assert ask(lab, "state", *map(str, objects)) == [file_md5(path) for path in objects]


@pytest.mark.dvc
def test_dvc_believes_a_row_as_long_as_the_file_is_the_same(lab: Lab) -> None:
    path = lab.project / "believed"
    path.write_text("content")
    state_of(lab).write([Row(str(path), Stamp.of(path.stat()), LIE)])
    assert ask(lab, "state", str(path)) == [LIE]
    path.write_text("other content")
    assert ask(lab, "state", str(path)) == [None]


@pytest.mark.dvc
def test_a_row_that_dvc_wrote_is_believed(lab: Lab) -> None:
    path = lab.project / "by-dvc"
    path.write_text("content")
    folder = ask(lab, "remember", str(path), LIE)
    site = read_config(lab.project / ".dvc").site_cache_dir
    assert str(state_folder(lab.project, site) / "hashes" / "local") == folder
    assert state_of(lab).known_md5(str(path), Stamp.of(path.stat())) == LIE
    path.write_text("other content")
    assert state_of(lab).known_md5(str(path), Stamp.of(path.stat())) is None


def test_rows_are_replaced_and_many_are_read_at_once(tmp_path: Path) -> None:
    state = State(tmp_path, tmp_path / "site")
    stamp = Stamp(1, 2.5, 3)
    rows = [Row(f"/x/{number}", stamp, f"{number:032x}") for number in range(2000)]
    state.write(rows)
    state.write([Row("/x/7", stamp, LIE)])
    found = state.read([row.path for row in rows])
    assert len(found) == 2000
    assert found["/x/7"] == (checksum(stamp), LIE)
    assert found["/x/8"] == (checksum(stamp), f"{8:032x}")


def test_another_time_inode_or_size_is_another_file() -> None:
    stamps = [Stamp(1, 2.5, 3), Stamp(2, 2.5, 3), Stamp(1, 2.6, 3), Stamp(1, 2.5, 4)]
    assert len({checksum(stamp) for stamp in stamps}) == 4


def test_a_missing_store_has_no_rows_and_reading_makes_none(tmp_path: Path) -> None:
    state = State(tmp_path, tmp_path / "site")
    assert state.read(["/x"]) == {}
    assert not (tmp_path / "site").exists()


def test_a_damaged_store_only_costs_a_hash(tmp_path: Path) -> None:
    state = State(tmp_path, tmp_path / "site")
    state.write([Row("/x", Stamp(1, 2.0, 3), LIE)])
    database = state_folder(tmp_path, tmp_path / "site") / "hashes" / "local" / "cache.db"
    database.write_bytes(b"no database at all" * 100)
    assert state.read(["/x"]) == {}
    state.write([Row("/x", Stamp(1, 2.0, 3), LIE)])


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"version": 1}', '{"version": 2}', "12"])
def test_a_row_that_cannot_be_understood_is_none(tmp_path: Path, text: str) -> None:
    state = State(tmp_path, tmp_path / "site")
    state.write([Row("/x", Stamp(1, 2.0, 3), LIE), Row("/y", Stamp(1, 2.0, 3), LIE)])
    database = state_folder(tmp_path, tmp_path / "site") / "hashes" / "local" / "cache.db"
    with sqlite3.connect(database) as store:
        store.execute("UPDATE Cache SET value = ? WHERE key = '/x'", (text,))
    store.close()
    assert set(state.read(["/x", "/y"])) == {"/y"}


def test_a_store_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file where the folder should be")
    State(tmp_path, tmp_path / "site").write([Row("/x", Stamp(1, 2.0, 3), LIE)])


def test_many_questions_at_once_are_one_transaction_at_the_end(lab: Lab) -> None:
    state, path = state_of(lab), str(lab.file("params.yaml"))
    stamp = Stamp.of(Path(path).stat())
    with state.at_once():
        state.read([path])
        state.write([Row(path, stamp, LIE)])
        assert state_of(lab).known_md5(path, stamp) != LIE
    assert state_of(lab).known_md5(path, stamp) == LIE
    state.write([Row(path, stamp, file_md5(path))])
    assert state_of(lab).known_md5(path, stamp) == file_md5(path)


def test_the_folder_that_dvc_shares_is_open_to_all_users_as_dvc_makes_it(tmp_path: Path) -> None:
    folder = tmp_path / "dvc" / "repo"
    make_shared_folder(folder)
    make_shared_folder(folder)
    assert [one.stat().st_mode & 0o777 for one in (folder.parent, folder)] == [0o777, 0o777]
