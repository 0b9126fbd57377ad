"""The event log: `.imgdata/log/YYYY-MM/<time>-<8 hex>.jsonl`, one new file per command.

A file is written under a temporary name, renamed and never touched again, so that any two clones
merge without conflict and no half line can be read.
"""

import json
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from imgdata.model.events import Event, Json, parse_time, time_text
from imgdata.model.renames import Renames, read_renames
from imgdata.ports import Clock
from imgdata.project.config import Config
from imgdata.system.files import is_temporary, write_text

LOG_FOLDER = Path(".imgdata") / "log"
VERSION = 1
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
        if is_temporary(path.name):
            continue
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


class LogWriter:
    """Collects the events of one command and writes them as one file."""

    def __init__(
        self, root: Path, clock: Clock, by: str, following: Following = follow_nothing
    ) -> None:
        self._root = root
        self._clock = clock
        self._by = by
        self._following = following

    def write(self, events: Sequence[tuple[str, Mapping[str, Json]]]) -> Path | None:
        """Write events, each a kind and its details; return the new file, or None for no event."""
        if not events:
            return None
        at = self._clock.now()
        lines = [self._line(at, kind, details) for kind, details in events]
        name = f"{at.strftime('%Y%m%dT%H%M%S')}.{at.microsecond:06d}Z-{secrets.token_hex(4)}.jsonl"
        path = self._root / LOG_FOLDER / at.strftime("%Y-%m") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "\n".join(lines) + "\n")
        return path

    def _line(self, at: datetime, kind: str, details: Mapping[str, Json]) -> str:
        new_id = secrets.token_hex(8)
        after = list(self._following(kind, details, new_id))
        line = {
            "v": VERSION,
            "id": new_id,
            "at": time_text(at),
            "by": self._by,
            "host": socket.gethostname(),
            "event": kind,
            **details,
            **({"after": after} if after else {}),
        }
        return json.dumps(line, ensure_ascii=False)
