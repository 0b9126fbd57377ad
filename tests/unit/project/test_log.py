"""The event log: whole files, one order, bad lines named."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imgdata.model.events import parse_time, time_text
from imgdata.project.log import LOG_FOLDER, LogWriter, parse_event, read_events
from imgdata.system.files import temporary_name

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)


class StoppedClock:
    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def line(**changed: object) -> str:
    plain = {"v": 1, "id": "a", "at": "2026-11-20T10:00:00.000Z", "event": "note"}
    return json.dumps({**plain, **changed})


def write_log(root: Path, name: str, *lines: str) -> Path:
    path = root / LOG_FOLDER / "2026-11" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_command_writes_one_file_with_a_line_an_event(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, StoppedClock(), "Ada <ada@lab.example>")
    path = writer.write([("note", {"file": "größe.tif"}), ("run", {"rc": 0})])
    assert path is not None
    assert path.parent == tmp_path / LOG_FOLDER / "2026-11"
    assert path.name.startswith("20261120T120000.123456Z-")
    assert path.suffix == ".jsonl"
    assert "größe" in path.read_text("utf-8")
    events, problems = read_events(tmp_path)
    assert problems == ()
    assert {event.event for event in events} == {"note", "run"}
    assert {event.by for event in events} == {"Ada <ada@lab.example>"}
    assert all(event.at == NOON.replace(microsecond=123000) for event in events)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_no_event_writes_no_file(tmp_path: Path) -> None:
    assert LogWriter(tmp_path, StoppedClock(), "").write([]) is None
    assert not (tmp_path / LOG_FOLDER).exists()
    assert read_events(tmp_path) == ((), ())


def test_two_commands_of_one_moment_write_two_files(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, StoppedClock(), "")
    assert writer.write([("note", {})]) != writer.write([("note", {})])
    assert len(read_events(tmp_path)[0]) == 2


def test_events_are_ordered_by_time_and_id_whatever_the_files_are_called(tmp_path: Path) -> None:
    write_log(tmp_path, "z.jsonl", line(id="b"), line(id="a"))
    write_log(tmp_path, "a.jsonl", line(id="c", at="2026-11-20T12:00:00+03:00"))
    assert [event.id for event in read_events(tmp_path)[0]] == ["c", "a", "b"]


def test_an_event_that_came_by_two_ways_counts_once(tmp_path: Path) -> None:
    write_log(tmp_path, "a.jsonl", line(id="x"))
    write_log(tmp_path, "b.jsonl", line(id="x"))
    assert len(read_events(tmp_path)[0]) == 1


@pytest.mark.parametrize(
    "bad",
    [
        "{half a li",
        "[]",
        "12",
        "null",
        line(v=2),
        line(at="yesterday"),
        line(at="2026-11-20T10:00:00"),
        line(at=12),
        json.dumps({"v": 1}),
        '"text"',
    ],
)
def test_a_bad_line_is_named_and_the_others_count(tmp_path: Path, bad: str) -> None:
    write_log(tmp_path, "a.jsonl", line(id="1"), bad, "", line(id="2"))
    events, problems = read_events(tmp_path)
    assert [event.id for event in events] == ["1", "2"]
    assert len(problems) == 1
    assert problems[0].startswith(".imgdata/log/2026-11/a.jsonl:2: ")


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path: Path) -> None:
    path = write_log(tmp_path, "a.jsonl", line(id="1"))
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())
    assert [event.id for event in read_events(tmp_path)[0]] == ["1"]


def test_a_leftover_of_a_killed_command_is_no_log(tmp_path: Path) -> None:
    left = write_log(tmp_path, "a.jsonl", line())
    left.rename(temporary_name(str(left)))
    assert read_events(tmp_path) == ((), ())


def test_details_are_what_is_not_common() -> None:
    event = parse_event(line(by="Ada", host="h", storage="archive", n=3))
    assert dict(event.details) == {"storage": "archive", "n": 3}
    assert (event.text("storage"), event.text("n"), event.text("no")) == ("archive", "", "")


def test_times_are_utc_and_have_milliseconds() -> None:
    assert time_text(NOON) == "2026-11-20T12:00:00.123Z"
    assert parse_time("2026-11-20T14:00:00.123+02:00") == NOON - timedelta(microseconds=456)
    with pytest.raises(ValueError, match="a time needs its zone"):
        parse_time("2026-11-20T12:00:00")


def test_one_command_writes_one_file_and_each_note_is_on_the_disk_at_once(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, StoppedClock(), "")
    with writer.file.one_command():
        first = writer.write([("note", {"path": "a"})])
        assert len(read_events(tmp_path)[0]) == 1
        assert writer.write([("note", {"path": "b"})]) == first
        assert {event.text("path") for event in read_events(tmp_path)[0]} == {"a", "b"}
    assert writer.write([("note", {"path": "c"})]) != first
    assert len(read_events(tmp_path)[0]) == 3


def test_a_command_with_very_much_to_note_begins_another_file(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, StoppedClock(), "")
    with writer.file.one_command():
        for number in range(10):
            writer.write([("note", {"path": f"{number}", "why": "x" * 20_000})])
    files = list((tmp_path / LOG_FOLDER).glob("*/*.jsonl"))
    assert len(files) == 4
    assert len(read_events(tmp_path)[0]) == 10


def test_what_was_noted_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe: list[tuple[Path, list[str]]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        logs = [path.name for path in (tmp_path / LOG_FOLDER).glob("*/*.jsonl")]
        safe.append((Path(f"/proc/self/fd/{descriptor}").readlink(), logs))

    monkeypatch.setattr(os, "fsync", watched)
    path = LogWriter(tmp_path, StoppedClock(), "").write([("deposit", {})])
    assert path is not None
    (content, before), (folder, after) = safe
    assert content.parent == folder == path.parent
    assert (before, after) == ([], [path.name])
