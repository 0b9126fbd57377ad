"""The event log: `.imgdata/log/YYYY-MM/<time>-<8 hex>.jsonl`, one new file per command.

A file is written under a temporary name and renamed, so that no half line can be read. Only the
command that made it puts a longer one in its place, each time it has more to tell; after that it is
never touched again, so that any two clones merge without conflict.
"""

import json
import platform
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from imgdata.model.events import Event, Json, parse_time, time_text
from imgdata.model.renames import Renames, read_renames
from imgdata.ports import Clock
from imgdata.project.config import Config
from imgdata.system.files import write_text

LOG_FOLDER = Path(".imgdata") / "log"
VERSION = 1
FULL_BYTES = 64 * 1024
"""Where a command begins another file: what it notes is written anew with every note."""
COMMON = frozenset({"v", "id", "at", "by", "host", "event"})

Following = Callable[[str, Mapping[str, Json], str], Sequence[str]]
"""Given kind, details and id of a new event: the ids of the events it follows."""


def follow_nothing(event: str, details: Mapping[str, Json], new_id: str) -> Sequence[str]:
    """Say that a new event follows none."""
    del event, details, new_id
    return ()


def read_events(root: Path) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """Return all events of a project, ordered by (`at`, `id`), and what could not be read.

    Reads every log file; a line that is not an event is named, the others count.
    """
    events: dict[str, Event] = {}
    problems: list[str] = []
    folder = root / LOG_FOLDER
    for path in sorted(folder.glob("*/*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if not line.strip():
                continue
            try:
                event = parse_event(line)
            except (ValueError, KeyError, TypeError) as error:
                problems.append(f"{path.relative_to(root)}:{number}: {error}")
            else:
                events[event.id] = event
    return tuple(sorted(events.values(), key=lambda one: (one.at, one.id))), tuple(problems)


def renames_of(events: Iterable[Event], config: Config) -> Renames:
    """Return the renamings that events of a project's log tell of."""
    return read_renames(events, config.levels, [one.path for one in config.levels.values()])


def parse_event(line: str) -> Event:
    """Return the event of one line.

    Raises:
        ValueError, KeyError, TypeError: It is not one.
    """
    value = json.loads(line)
    if value["v"] != VERSION:
        msg = f"version {value['v']} of the log is not known to this imgdata"
        raise ValueError(msg)
    return Event(
        id=str(value["id"]),
        at=parse_time(value["at"]),
        by=str(value.get("by", "")),
        host=str(value.get("host", "")),
        event=str(value["event"]),
        details={key: item for key, item in value.items() if key not in COMMON},
    )


class EventWriter(Protocol):
    """Takes the events of one command."""

    def write(self, events: Sequence[tuple[str, Mapping[str, Json]]]) -> Path | None:
        """Write events, each a kind and its details; return the new file, or None for none."""


class NoLog:
    """Forgets events, where there is no imgdata.yaml and so no log."""

    def write(self, events: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        """Write nothing."""
        del events


class CommandFile(Struct):
    """The log file of the command at work, if one is: whoever writes meanwhile writes into it.

    Attributes:
        path: The file; None while the command has noted nothing.
        text: All that is in it.
    """

    is_open: bool = False
    path: Path | None = None
    text: str = ""

    @contextmanager
    def one_command(self) -> Iterator[None]:
        """Keep to one file until the block ends; a block inside it belongs to the same command."""
        if self.is_open:
            yield
            return
        self.is_open = True
        try:
            yield
        finally:
            self.is_open, self.path, self.text = False, None, ""


class LogWriter(Struct):
    """Writes events: those of one command into one file, any others into a file for each call."""

    root: Path
    clock: Clock
    by: str
    following: Following = follow_nothing
    file: CommandFile = field(default_factory=CommandFile)

    def write(self, events: Sequence[tuple[str, Mapping[str, Json]]]) -> Path | None:
        """Write events, each a kind and its details; return their file, or None for no event.

        They are on the disk when it returns.
        """
        if not events:
            return None
        at = self.clock.now()
        lines = "".join(f"{self._line(at, kind, details)}\n" for kind, details in events)
        path, text = self.file.path, self.file.text + lines
        if path is None or len(text) > FULL_BYTES:
            path, text = self._new_path(at), lines
        write_text(path, text, synced=True)
        if self.file.is_open:
            self.file.path, self.file.text = path, text
        return path

    def _new_path(self, at: datetime) -> Path:
        name = f"{at.strftime('%Y%m%dT%H%M%S')}.{at.microsecond:06d}Z-{secrets.token_hex(4)}.jsonl"
        return self.root / LOG_FOLDER / at.strftime("%Y-%m") / name

    def _line(self, at: datetime, kind: str, details: Mapping[str, Json]) -> str:
        new_id = secrets.token_hex(8)
        after = list(self.following(kind, details, new_id))
        line = {
            "v": VERSION,
            "id": new_id,
            "at": time_text(at),
            "by": self.by,
            "host": platform.node(),
            "event": kind,
            **details,
            **({"after": after} if after else {}),
        }
        return json.dumps(line, ensure_ascii=False)
