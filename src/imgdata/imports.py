"""Joins a project with public data: resolve a reference, fetch, verify, add, remember.

```python
import imgdata
from imgdata.imports import Importing

importing = Importing(imgdata.open_project("nf1-pilot"))
plan = importing.plan("doi:10.5281/zenodo.1234567")
print(plan.record.license, plan.size)
```
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct
from msgspec.structs import replace

from imgdata.api import Project
from imgdata.backends import open_source
from imgdata.deposits.public_records import InvenioRecords
from imgdata.deposits.resolving import resolved
from imgdata.errors import CredentialsError, ImgdataError, PartlyDoneError
from imgdata.model.events import time_text
from imgdata.model.public_data import (
    ChangedThere,
    Fetched,
    FetchOutcome,
    Newer,
    Newest,
    NotAsked,
    NotFetched,
    Update,
)
from imgdata.model.selection import Selection
from imgdata.ports import CanClose, CanFindNewer, PublicSource
from imgdata.project.editor import append_entry, dump_edited, load_editable
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.system.files import write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows import add as adding
from imgdata.workflows import import_data as importing
from imgdata.workflows.imported import KIND, Imported, compared, imports_of

EVERYTHING = Selection({})
SHOWN = 10


class Import(Struct, frozen=True):
    """What an import made: the unit as it was added, and how each of its files came."""

    added: adding.Added
    fetched: tuple[Fetched, ...]


class Importing:
    """Brings public data into one project."""

    def __init__(self, project: Project, progress: Progress = SILENT) -> None:
        self._project = project
        self._progress = progress

    @contextmanager
    def source(self, reference: str) -> Iterator[tuple[PublicSource, str]]:
        """Yield the place of a reference, and the reference as that place understands it."""
        opened, known = self._opened(reference.strip())
        try:
            yield opened, known
        finally:
            if isinstance(opened, CanClose):
                opened.close()

    def _opened(self, reference: str) -> tuple[PublicSource, str]:
        scheme, _, rest = reference.partition(":")
        repository = self._project.config.repositories.get(scheme)
        if repository is not None and repository.url.startswith(("invenio:", "zenodo:")):
            from imgdata.backends import open_repository  # noqa: PLC0415 - only for such names

            address = open_repository(scheme, repository.url).address
            return InvenioRecords(address, f"{scheme}:"), rest
        known = resolved(reference)
        return open_source(known), known

    def plan(
        self, reference: str, *, level: str = "", select: Selection = EVERYTHING, unit: str = ""
    ) -> importing.ImportPlan:
        """List what a reference names and decide what to bring; fetches no file."""
        with self.source(reference) as (opened, known):
            record = opened.record(known)
        return importing.plan_import(self._project.clone, record, level, select, unit)

    def fetch(self, plan: importing.ImportPlan, *, jobs: int = 4) -> Iterator[FetchOutcome]:
        """Bring the planned files into a folder of this clone; goes on where it stopped."""
        with self.source(plan.record.reference) as (opened, _known):
            clone, progress = self._project.clone, self._progress
            yield from importing.fetch(opened, plan, clone, jobs=jobs, progress=progress)

    def add(self, plan: importing.ImportPlan, outcomes: list[FetchOutcome]) -> Import:
        """Take what was fetched into the level, with origin, licence, DOI and citation.

        Raises:
            PartlyDoneError: Some files did not come; nothing is added yet.
            CredentialsError: The source gives none of the missing ones without an account.
        """
        _refuse_incomplete(plan, outcomes)
        origin = self._origin(plan)
        project = self._project
        add_plan = project.plan_add(
            plan.level.name, [plan.folder], unit=plan.unit or None, origin=origin
        )
        (added,) = tuple(project.add(add_plan, progress=self._progress))
        fetched = tuple(one for one in outcomes if isinstance(one, Fetched))
        event = importing.imported_event(
            plan, origin, time_text(project.clone.clock.now()), str(added.version), fetched
        )
        path = project.clone.log().write([(KIND, event)])
        project.clone.git.stage([path] if path else [])
        importing.leave(plan)
        return Import(added, fetched)

    def _origin(self, plan: importing.ImportPlan) -> str:
        """Return the name of the record's origin in imgdata.yaml, written there if need be."""
        config = self._project.config
        for name, known in config.origins.items():
            if known.kind == "public" and known.source == plan.record.source:
                return name
        name = importing.origin_name(plan.record, config.origins)
        path = self._project.root / CONFIG_NAME
        with self._project.clone.writing():
            text = path.read_text("utf-8")
            document = load_editable(text)
            if document.get("origins") is None:
                document["origins"] = {}
            append_entry(document["origins"], name, importing.origin_entry(plan.record))
            edited = dump_edited(document, text)
            changed = parse_config(edited)
            write_text(path, edited)
        self._project.clone = replace(self._project.clone, config=changed)
        self._project.clone.git.stage([path])
        return name

    def check_updates(self) -> Iterator[Update]:
        """Ask for each imported record whether there is a newer version."""
        for known in imports_of(self._project.clone.events).values():
            try:
                yield self._update(known)
            except ImgdataError as error:
                yield NotAsked(known.level, known.unit, known.reference, error.problem)

    def _update(self, known: Imported) -> Update:
        with self.source(known.reference) as (opened, reference):
            if not isinstance(opened, CanFindNewer):
                return compared(known, opened.record(reference))
            newest = opened.latest(reference)
        if newest == known.reference:
            return Newest(known.level, known.unit, known.reference)
        return Newer(known.level, known.unit, known.reference, newest)


def _refuse_incomplete(plan: importing.ImportPlan, outcomes: list[FetchOutcome]) -> None:
    failed = [one for one in outcomes if isinstance(one, NotFetched)]
    if not failed:
        return
    failed.sort(key=lambda one: one.file.name)
    lines = [f"{one.file.name}: {one.problem}" for one in failed[:SHOWN]]
    msg = f"{len(failed)} of {len(outcomes)} files of {plan.record.reference} did not come"
    if all(one.needs_account for one in failed):
        raise CredentialsError(msg, cause="\n".join(lines), remedy=failed[0].remedy)
    raise PartlyDoneError(
        msg, cause="\n".join(lines), remedy="run the same command again; it goes on"
    )


__all__ = ["ChangedThere", "Import", "Importing", "Newer", "Newest", "NotAsked", "Update"]
