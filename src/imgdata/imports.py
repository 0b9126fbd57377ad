"""Joins a project with public data: resolve a reference, fetch, verify, add, remember.

```python
import imgdata
from imgdata.imports import Importing

importing = Importing(imgdata.open_project("nf1-pilot"))
plan = importing.plan("doi:10.5281/zenodo.1234567")
print(plan.record.license, plan.size)
```
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from imgdata.api import Project
from imgdata.backends import open_source
from imgdata.deposits.public_records import InvenioRecords, find_doi
from imgdata.deposits.web import Web
from imgdata.errors import PartlyDoneError, UsageError
from imgdata.model.events import Event
from imgdata.model.public_data import Fetched, FetchOutcome
from imgdata.model.selection import Selection
from imgdata.ports import CanClose, CanFindNewer, PublicSource
from imgdata.project.editor import dump_edited, load_editable
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.system.files import write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows import add as adding
from imgdata.workflows import import_data as importing

EVERYTHING = Selection({})
DOI_RESOLVER = "https://doi.org"
_PREFIXES = (
    (r"10\.5281/zenodo\.", "zenodo"),
    (r"10\.6084/m9\.figshare\.", "figshare"),
    (r"10\.5061/dryad\.", "dryad"),
)
_HOSTS = {
    "zenodo.org": "zenodo",
    "www.zenodo.org": "zenodo",
    "sandbox.zenodo.org": "zenodo-sandbox",
    "figshare.com": "figshare",
    "datadryad.org": "dryad",
}
_RECORD_PAGE = re.compile(r"https?://[^/]+/records?/[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Update:
    """An imported record, and the newest version there is of it.

    Attributes:
        level: Where it was imported to.
        unit: As which unit.
        reference: The pinned reference it was imported by.
        newest: The pinned reference of the newest version; the same when there is none newer.
    """

    level: str
    unit: str
    reference: str
    newest: str


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
        if repository is not None:
            from imgdata.backends import open_repository  # noqa: PLC0415 - only for such names

            return InvenioRecords(open_repository(scheme, repository.url).address, scheme), rest
        known = _by_page(reference) if find_doi(reference) == "" else self._by_doi(reference)
        return open_source(known), known

    def _by_doi(self, reference: str) -> str:
        """Return a reference with the scheme of the place that gave out its DOI."""
        doi = find_doi(reference)
        scheme = reference.partition(":")[0]
        if scheme not in {"doi", "http", "https"} and not reference.startswith("10."):
            return reference
        for prefix, name in _PREFIXES:
            if re.match(prefix, doi, re.IGNORECASE):
                return f"{name}:{doi}"
        web = Web(DOI_RESOLVER)
        try:
            page = web.final_address(f"/{doi}")
        finally:
            web.close()
        known = _by_page(page)
        if known == page:
            msg = f"doi:{doi} leads to {page}, which imgdata cannot list"
            raise UsageError(msg, remedy="import its files by their https:// addresses")
        return known

    def plan(
        self, reference: str, *, level: str = "", select: Selection = EVERYTHING, unit: str = ""
    ) -> importing.ImportPlan:
        """List what a reference names and decide what to bring; fetches no file."""
        clone = self._project.clone
        with self.source(reference) as (opened, known):
            record = opened.record(known)
        chosen = importing.raw_level(clone, level)
        return importing.plan_import(clone, record, chosen, select, unit)

    def fetch(
        self, reference: str, plan: importing.ImportPlan, *, jobs: int = 4
    ) -> Iterator[FetchOutcome]:
        """Bring the planned files into a folder of this clone; goes on where it stopped."""
        with self.source(reference) as (opened, _known):
            yield from importing.fetch(opened, plan, jobs=jobs, progress=self._progress)

    def add(
        self, plan: importing.ImportPlan, level: str, outcomes: list[FetchOutcome]
    ) -> Iterator[adding.Added]:
        """Take what was fetched into the level, with origin, licence, DOI and citation.

        Raises:
            PartlyDoneError: Some files did not come; nothing is added yet.
        """
        failed = [one for one in outcomes if not isinstance(one, Fetched)]
        if failed:
            lines = [f"{one.file.name}: {one.problem}" for one in failed[:10]]
            msg = f"{len(failed)} of {len(outcomes)} files of {plan.record.reference} did not come"
            raise PartlyDoneError(
                msg, cause="\n".join(lines), remedy="run the same command again; it goes on"
            )
        chosen = importing.raw_level(self._project.clone, level)
        origin = self._origin(plan)
        project = self._project
        unit = plan.unit if chosen.unit is not None else None
        add_plan = project.plan_add(chosen.name, [plan.folder], unit=unit, origin=origin)
        yield from project.add(add_plan, progress=self._progress)
        fetched = [one for one in outcomes if isinstance(one, Fetched)]
        event = importing.imported_event(
            plan, chosen.name, origin, importing.now_text(project.clone), fetched
        )
        path = project.clone.log().write([(importing.KIND, event)])
        project.clone.git.stage([path] if path else [])
        shutil.rmtree(plan.folder, ignore_errors=True)

    def _origin(self, plan: importing.ImportPlan) -> str:
        """Return the name of the record's origin in imgdata.yaml, written there if need be."""
        config = self._project.config
        for name, known in config.origins.items():
            if known.kind == "public" and known.source == plan.record.source:
                return name
        name = importing.origin_name(plan.record, config.origins)
        path = self._project.root / CONFIG_NAME
        text = path.read_text("utf-8")
        document = load_editable(text)
        document.setdefault("origins", {})
        if document["origins"] is None:
            document["origins"] = {}
        document["origins"][name] = importing.origin_entry(plan.record)
        edited = dump_edited(document, text)
        changed = parse_config(edited)
        write_text(path, edited)
        object.__setattr__(self._project.clone, "config", changed)
        self._project.clone.git.stage([path])
        return name

    def check_updates(self) -> Iterator[Update]:
        """Ask for each imported record whether there is a newer version."""
        for event in importing.imports_of(self._project.clone.events):
            yield self._update(event)

    def _update(self, event: Event) -> Update:
        reference = event.text("reference")
        newest = reference
        with self.source(reference) as (opened, known):
            if isinstance(opened, CanFindNewer):
                newest = opened.latest(known)
        return Update(event.text("level"), event.text("unit"), reference, newest)


def _by_page(reference: str) -> str:
    """Return the page of a record as a reference to it; anything else as it is."""
    if not reference.startswith(("http://", "https://")):
        return reference
    host = urlsplit(reference).hostname or ""
    if host in _HOSTS and _HOSTS[host] in {"zenodo", "zenodo-sandbox"}:
        return f"{_HOSTS[host]}:{reference}" if "/records/" in reference else reference
    if host in _HOSTS and "/articles/" in reference:
        return f"figshare:{reference}"
    if _RECORD_PAGE.fullmatch(reference.rstrip("/")):
        return f"invenio:{reference}"
    return reference
