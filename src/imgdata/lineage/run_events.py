"""imgdata's own run records, joined to lock entries by the entry's hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from imgdata.dvc_files.lazy_lock import LazyLock
from imgdata.dvc_files.yaml12 import YamlError, read_yaml
from imgdata.lineage.answer import RunNote
from imgdata.model.events import Event, Json, time_text

RUN = "run"


def runs_by_entry(events: Iterable[Event]) -> dict[str, Event]:
    """Return the last successful run of each lock entry, by the entry's hash."""
    found: dict[str, Event] = {}
    for event in events:
        entry = event.text("entry")
        if event.event == RUN and entry:
            found[entry] = event
    return found


def entry_hash(lock: LazyLock, name: str) -> str | None:
    """Return the md5 of an entry as JSON with sorted keys and no spaces; None if unreadable."""
    source = lock.source(name)
    if source is None:
        return None
    try:
        document = read_yaml(source)
    except YamlError:
        return None
    stages = document.get("stages", document) if isinstance(document, dict) else {}
    entry = stages.get(name) if isinstance(stages, dict) else None
    if entry is None:
        return None
    return canonical_hash(entry)


def canonical_hash(entry: object) -> str:
    """Return the md5 of an entry as JSON with sorted keys and no spaces."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def run_note(event: Event) -> RunNote:
    """Return a run event as what a node says of its run."""
    details = event.details
    rc, dirty = details.get("rc"), details.get("dirty_paths")
    environment = details.get("environment")
    return RunNote(
        by=event.by or None,
        host=event.host or None,
        start=event.text("start") or None,
        end=event.text("end") or time_text(event.at),
        rc=rc if isinstance(rc, int) else None,
        code_commit=event.text("code_commit") or None,
        dirty_paths=tuple(str(path) for path in dirty) if isinstance(dirty, list) else (),
        environment=_mapping(environment),
    )


def _mapping(value: Json) -> Mapping[str, object] | None:
    return dict(value) if isinstance(value, dict) else None
