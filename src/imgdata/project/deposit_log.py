"""`deposit` events of the project's log: read into values, written from them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from imgdata.model.deposits import DepositedFile, DepositRecord, DepositState
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
    contents: list[Json] = [
        {"level": level, "unit": unit, "version": version}
        for level, unit, version in record.contents
    ]
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
        "contents": contents,
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
        contents=tuple(
            (_word(item, "level"), _word(item, "unit"), _word(item, "version"))
            for item in _listed(event, "contents")
            if isinstance(item, dict)
        ),
    )


def _listed(event: Event, name: str) -> list[Json]:
    found = event.details.get(name)
    return found if isinstance(found, list) else []


def _word(item: dict[str, Json], name: str) -> str:
    found = item.get(name)
    return found if isinstance(found, str) else ""


def _number(item: dict[str, Json], name: str) -> int:
    found = item.get(name)
    return found if isinstance(found, int) else 0
