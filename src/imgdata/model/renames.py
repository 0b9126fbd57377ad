"""Levels that got another name or folder: what was noted before is still about the same data.

The log is never rewritten. A `renamed` event says which name, folder, stages and lock entries
became which, and every reader of older events sees them under the names of today.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.model.events import COPY_EVENTS, Event, Json

RENAMED = "renamed"
_WITH_ENTRY = frozenset({"run", "proof"})
_PATH_LISTS = ("outs", "inputs")


def path_after(path: str, before: str, after: str) -> str:
    """Return where a path lies once a folder, or file, has moved; unchanged outside of it."""
    if path == before:
        return after
    return f"{after}/{path[len(before) + 1 :]}" if path.startswith(f"{before}/") else path


class Rename(Struct, frozen=True):
    """One renaming of a level.

    Attributes:
        at: When, UTC.
        level: The name before, `to` the one after.
        path: The folder before, relative to the project, `to_path` the one after.
        producers: What else has another name: `dvc.lock::stage`, or the path of a `.dvc` file.
        entries: The hashes of rewritten lock entries, before and after.
    """

    at: datetime
    level: str
    to: str
    path: str
    to_path: str
    producers: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, str] = field(default_factory=dict)

    @property
    def details(self) -> dict[str, Json]:
        """The fields of its event."""
        return {
            "level": self.level,
            "to": self.to,
            "path": self.path,
            "to_path": self.to_path,
            "producers": dict(self.producers),
            "entries": dict(self.entries),
        }


def rename_of(event: Event) -> Rename | None:
    """Return what a `renamed` event says; None for another event, or one that names nothing."""
    found = [event.text(name) for name in ("level", "to", "path", "to_path")]
    if event.event != RENAMED or not all(found):
        return None
    level, to, path, to_path = found
    producers, entries = (_texts(event.details.get(name)) for name in ("producers", "entries"))
    return Rename(event.at, level, to, path, to_path, producers, entries)


def _texts(value: Json) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {before: after for before, after in pairs if isinstance(after, str)}


class Renames(Struct, frozen=True):
    """All renamings of a project, the oldest first.

    Attributes:
        all: In the order of time.
        levels: The names of today's levels.
        paths: The folders of today's levels.
    """

    all: tuple[Rename, ...] = ()
    levels: Collection[str] = ()
    paths: Collection[str] = ()

    def level_now(self, level: str, at: datetime) -> tuple[str, ...]:
        """Return what a level named at a time is called today.

        A clone that did not know of the renaming may write the old name later; where that is the
        name of another level today, its words hold for both: they are about content, by its hash.
        """
        later = _followed(level, (one for one in self.all if one.at >= at))
        ever = _followed(level, self.all)
        known = [name for name in dict.fromkeys((later, ever)) if name in self.levels]
        return tuple(known) or (level,)

    def path_now(self, path: str) -> str:
        """Return where a path of any time lies today; a path on a level of today is where it is."""
        if not self.all or self._is_on_level(path):
            return path
        moved = path
        for one in self.all:
            moved = path_after(moved, one.path, one.to_path)
        return moved if self._is_on_level(moved) else path

    def places(self, path: str) -> tuple[str, ...]:
        """Return where else a path has lain or lies, the newest place first."""
        found = [path]
        for one in reversed(self.all):
            found.append(path_after(found[-1], one.to_path, one.path))
        now = [self.path_now(one) for one in found]
        return tuple(one for one in dict.fromkeys((*now, *found)) if one != path)

    def _is_on_level(self, path: str) -> bool:
        return any(path == one or path.startswith(f"{one}/") for one in self.paths)

    def former(self, producer: str) -> tuple[str, ...]:
        """Return what a stage or `.dvc` file was called before, the newest name first."""
        names = [producer]
        for one in reversed(self.all):
            back = {after: before for before, after in one.producers.items()}
            if names[-1] in back:
                names.append(back[names[-1]])
        return tuple(dict.fromkeys(names[1:]))

    def seen_today(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield events under the names of today, those about runs and proofs under both."""
        if not self.all:
            yield from events
            return
        for event in events:
            yield from self._today(event) if event.event != RENAMED else (event,)

    def _today(self, event: Event) -> Iterator[Event]:
        level = event.details.get("level")
        if event.event in COPY_EVENTS and isinstance(level, str):
            for name in self.level_now(level, event.at):
                yield _with(event, {"level": name})
            return
        if event.event in _WITH_ENTRY:
            yield event  # a branch without the renaming still has the old entries
        yield _with(event, self._changes(event))

    def _changes(self, event: Event) -> dict[str, Json]:
        """Return the details that name something by its old name, with the new one."""
        details, changed = event.details, dict[str, Json]()
        level, stage, entry = (details.get(name) for name in ("level", "stage", "entry"))
        if isinstance(level, str):
            changed["level"] = self.level_now(level, event.at)[-1]
        if isinstance(details.get("levels"), list):
            changed["levels"] = [self._named(one, event.at) for one in _list(details["levels"])]
        if isinstance(details.get("contents"), list):
            changed["contents"] = [
                {**one, "level": self._named(one.get("level"), event.at)}
                for one in _list(details["contents"])
                if isinstance(one, dict)
            ]
        path = details.get("path")
        if event.event == "note" and isinstance(path, str):
            changed["path"] = self.path_now(path)
        if isinstance(stage, str):
            changed["stage"] = _replaced(stage, (one.producers for one in self.all))
        if isinstance(entry, str):
            changed["entry"] = _replaced(entry, (one.entries for one in self.all))
        if event.event in _WITH_ENTRY:
            changed |= {name: self._pairs(details[name]) for name in _PATH_LISTS if name in details}
        return changed

    def _named(self, level: Json, at: datetime) -> Json:
        return self.level_now(level, at)[-1] if isinstance(level, str) else level

    def _pairs(self, value: Json) -> Json:
        if not isinstance(value, list):
            return value
        return [
            {**one, "path": self.path_now(str(one["path"]))}
            if isinstance(one, dict) and "path" in one
            else one
            for one in value
        ]


def read_renames(
    events: Iterable[Event], levels: Collection[str], paths: Collection[str]
) -> Renames:
    """Return the renamings among events.

    Args:
        events: All events of a project, oldest first.
        levels: The names of its levels today.
        paths: The folders of its levels today.
    """
    found = (rename_of(event) for event in events)
    return Renames(tuple(one for one in found if one is not None), levels, paths)


def _followed(level: str, renames: Iterable[Rename]) -> str:
    for one in renames:
        level = one.to if one.level == level else level
    return level


def _replaced(text: str, steps: Iterable[Mapping[str, str]]) -> str:
    for step in steps:
        text = step.get(text, text)
    return text


def _with(event: Event, changed: Mapping[str, Json]) -> Event:
    return replace(event, details={**event.details, **changed})


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
