"""`deposit` events of the project's log: read into values, written from them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

from imgdata.model.deposits import (
    OPEN,
    UNTOLD,
    Access,
    DepositedFile,
    DepositRecord,
    DepositState,
    Description,
    Visibility,
)
from imgdata.model.events import Event, Json
from imgdata.project.config import Config
from imgdata.project.log import EventWriter, read_events, renames_of

KIND = "deposit"


class ProjectDepositLog:
    """The deposits of one project, kept in its event log."""

    def __init__(
        self,
        root: Path,
        config: Config,
        writer: EventWriter,
        stage: Callable[[Sequence[Path]], None],
    ) -> None:
        """Keep them in a project.

        Args:
            root: The project's folder.
            config: Its levels, by the names they have now.
            writer: Writes events.
            stage: Adds what was written to git's index.
        """
        self._root = root
        self._config = config
        self._writer = writer
        self._stage = stage

    def deposits(self) -> Iterator[DepositRecord]:
        """Yield all deposits' events, oldest first; reads the whole log."""
        events, _problems = read_events(self._root)
        for event in renames_of(events, self._config).seen_today(events):
            if event.event == KIND:
                yield record_of(event)

    def note_deposit(self, record: DepositRecord) -> None:
        """Write one event."""
        path = self._writer.write([(KIND, details_of(record))])
        if path is not None:
            self._stage([path])


def details_of(record: DepositRecord) -> dict[str, Json]:
    """Return the fields of a `deposit` event."""
    files: list[Json] = [
        {"name": file.name, "size": file.size, "md5": file.md5} for file in record.files
    ]
    origins: list[Json] = [{"level": level, "origin": name} for level, name in record.origins]
    return {
        "repository": record.repository,
        "address": record.address,
        "marker": record.marker,
        "state": record.state.value,
        "identifier": record.identifier,
        "concept": record.concept,
        "doi": record.doi,
        "url": record.url,
        "levels": list(record.levels),
        "files": files,
        "contents": _versions(record.contents),
        **({"parts": _versions(record.parts)} if record.parts else {}),
        **({"origins": origins} if origins else {}),
        **({"asked": record.asked} if record.asked else {}),
        **({} if record.description == UNTOLD else {"description": _described(record.description)}),
    }


def _versions(versions: Iterable[tuple[str, str, str]]) -> list[Json]:
    return [{"level": level, "unit": unit, "version": version} for level, unit, version in versions]


def _described(one: Description) -> dict[str, Json]:
    until = one.access.until
    return {
        "title": one.title,
        "creators": list(one.creators),
        "license": one.license,
        "access": one.access.visibility.value,
        **({"until": until.isoformat()} if until else {}),
        **({"version": one.version} if one.version else {}),
        "fields": dict(one.fields),
    }


def record_of(event: Event) -> DepositRecord:
    """Return an event's values; a field that is not as it should be counts as absent."""
    try:
        state = DepositState(event.text("state"))
    except ValueError:
        state = DepositState.DISCARDED
    return DepositRecord(
        repository=event.text("repository"),
        address=event.text("address"),
        marker=event.text("marker"),
        state=state,
        identifier=event.text("identifier"),
        concept=event.text("concept"),
        doi=event.text("doi"),
        url=event.text("url"),
        levels=tuple(item for item in _listed(event, "levels") if isinstance(item, str)),
        files=tuple(
            DepositedFile(_word(item, "name"), _number(item, "size"), _word(item, "md5"))
            for item in _listed(event, "files")
            if isinstance(item, dict)
        ),
        contents=_versions_of(event, "contents"),
        parts=_versions_of(event, "parts"),
        origins=tuple(
            (_word(item, "level"), _word(item, "origin"))
            for item in _listed(event, "origins")
            if isinstance(item, dict)
        ),
        description=_description_of(event.details.get("description")),
        asked=event.text("asked"),
    )


def _versions_of(event: Event, name: str) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (_word(item, "level"), _word(item, "unit"), _word(item, "version"))
        for item in _listed(event, name)
        if isinstance(item, dict)
    )


def _description_of(found: Json) -> Description:
    if not isinstance(found, dict):
        return UNTOLD
    creators, fields = found.get("creators"), found.get("fields")
    return Description(
        title=_word(found, "title"),
        creators=tuple(map(str, creators)) if isinstance(creators, list) else (),
        license=_word(found, "license"),
        access=_access_of(_word(found, "access"), _word(found, "until")),
        version=_word(found, "version"),
        fields=tuple((name, str(one)) for name, one in fields.items())
        if isinstance(fields, dict)
        else (),
    )


def _access_of(visibility: str, until: str) -> Access:
    try:
        return Access(Visibility(visibility), date.fromisoformat(until) if until else None)
    except ValueError:
        return OPEN


def _listed(event: Event, name: str) -> list[Json]:
    found = event.details.get(name)
    return found if isinstance(found, list) else []


def _word(item: dict[str, Json], name: str) -> str:
    found = item.get(name)
    return found if isinstance(found, str) else ""


def _number(item: dict[str, Json], name: str) -> int:
    found = item.get(name)
    return found if isinstance(found, int) else 0
