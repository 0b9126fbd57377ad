"""Joins a project with data repositories: plan a deposit, make it, publish it.

```python
import imgdata
from imgdata.repositories import Publishing

publishing = Publishing(imgdata.open_project("nf1-pilot").clone, "zenodo")
print(publishing.plan(["bulk_profiles"]).size)
```
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from imgdata.backends import open_repository
from imgdata.errors import UsageError
from imgdata.levels.units import Unit
from imgdata.model.deposits import (
    OPEN,
    Access,
    Deposit,
    DepositPlan,
    DepositRecord,
    DepositState,
    ListedFile,
    PlannedItem,
    PlannedPack,
    Visibility,
)
from imgdata.model.keys import read_name
from imgdata.model.selection import Selection
from imgdata.ports import CanClose, CanPackage, CanShare, DepositService
from imgdata.project.answers import read_answers
from imgdata.project.deposit_log import ProjectDepositLog
from imgdata.reports.deposit_files import Documented, documents
from imgdata.reports.doi_badge import citation_with_doi, readme_with_doi
from imgdata.system.credentials import find_token, need_token
from imgdata.system.files import write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows import publish as publishing
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone
from imgdata.workflows.deposit_plan import plan_deposit
from imgdata.workflows.deposit_request import (
    Wish,
    makings_of,
    request_of,
    units_of,
    workflow_files,
)
from imgdata.workflows.leaving import Gate

EVERYTHING = Selection({})


@dataclass(frozen=True, slots=True)
class DepositOptions:
    """What a deposit may be asked for.

    Attributes:
        select: A part of the levels.
        embargo: The first day on which the files are open.
        restricted: The files stay closed; the description is public.
        version: Of the data, as `v1.2`.
        new_version: Open the next version of a published deposit.
    """

    select: Selection = EVERYTHING
    embargo: date | None = None
    restricted: bool = False
    version: str = ""
    new_version: bool = False

    @property
    def access(self) -> Access:
        """Who may read the files."""
        if self.embargo is not None:
            return Access(Visibility.EMBARGOED, self.embargo)
        return Access(Visibility.RESTRICTED) if self.restricted else OPEN


class Publishing:
    """One project and one of its repositories."""

    def __init__(self, clone: Clone, repository: str, progress: Progress = SILENT) -> None:
        known = clone.config.repositories
        if repository not in known:
            names = ", ".join(known) or "none"
            msg = f"'{repository}' is not a repository of this project"
            raise UsageError(
                msg,
                cause=f"repositories: {names}",
                remedy="add it to imgdata.yaml: repositories: {zenodo: {url: zenodo:sandbox}}",
            )
        self.clone = clone
        self.settings = known[repository]
        self.service: DepositService = open_repository(repository, self.settings.url)
        self.log = ProjectDepositLog(clone.root, clone.log())
        self._progress = progress

    def plan(self, levels: Sequence[str], options: DepositOptions | None = None) -> DepositPlan:
        """Decide what a deposit would hold; needs no network and no token."""
        options = options or DepositOptions()
        wish = Wish(
            tuple(levels), self.settings.name, options.select, options.access, options.version
        )
        gate = Gate(self.clone, ask=False)
        request = request_of(
            self.clone, wish, gate, self.service.limits, read_answers(self.clone.root)
        )
        metadata = replace(request.metadata, publisher=self.service.publisher)
        request = replace(request, metadata=metadata, asked=self.service.asks(metadata))
        if self.is_packaged:
            # A person uploads the folders as they are.
            request = replace(request, documents=(), pack=dict.fromkeys(levels, False))
        return plan_deposit(request)

    @contextmanager
    def desk(self) -> Iterator[publishing.Desk]:
        """Connect with the account's token until the block ends.

        Raises:
            CredentialsError: There is none.
        """
        depository = self.service.connect(need_token(self.settings.name))
        try:
            yield publishing.Desk(self.settings.name, depository, self.log, self._progress)
        finally:
            if isinstance(depository, CanClose):
                depository.close()

    def deposit(self, plan: DepositPlan, *, new_version: bool = False) -> publishing.Deposited:
        """Bring the plan into the one open draft, verified; publishes nothing."""
        publishing.refuse_unready(plan)
        self._refuse_restricted({unit for item in plan.items for unit in _places_of(item)})
        whole = whole_units(plan.items)
        contents = tuple(
            (unit.level, unit.name or "", str(unit.version))
            for unit in units_of(self.clone, plan.levels)
            if whole.get((unit.level, unit.name or "")) == unit.nfiles
        )
        told = Documented(
            plan=plan,
            makings=makings_of(self.clone, plan.levels),
            workflow=workflow_files(self.clone),
            commit=self.clone.git.head() or "",
            restricted_units=self._restricted_units(plan),
        )
        with self.desk() as desk, self.clone.writing():
            return publishing.deposit(
                plan, desk, documents(told), contents, new_version=new_version
            )

    def _refuse_restricted(self, going: set[tuple[str, str]]) -> None:
        """Ask again just before anything goes, now by a server's date too.

        Raises:
            RefusedError: Naming units, rules, and what may leave.
        """
        gate = Gate(self.clone, servers=(self.service.address,))
        units = [unit for unit in self._all_units() if (unit.level, unit.name or "") in going]
        gate.refuse(units, self.settings.name)

    def _restricted_units(self, plan: DepositPlan) -> frozenset[str]:
        """Return names of units that stay, also on levels that were not asked for."""
        going = {unit for item in plan.items for unit in _units_of(item)}
        here = {u.name for units in self.clone.units.by_level.values() for u in units if u.name}
        return frozenset({one.unit for one in plan.held if one.unit} | (here - going)) - going

    @property
    def is_packaged(self) -> bool:
        """Whether a person submits to this repository, with a package and a checklist."""
        return isinstance(self.service, CanPackage)

    def package(self, plan: DepositPlan, folder: Path | None) -> tuple[Path, ...]:
        """Write the package of a plan; sends nothing.

        Raises:
            UsageError: Answers are missing, or the repository takes deposits by program.
        """
        if not isinstance(self.service, CanPackage):
            msg = f"'{self.settings.name}' takes deposits by program, not by package"
            raise UsageError(msg)
        publishing.refuse_unready(plan)
        self._refuse_restricted({unit for item in plan.items for unit in _places_of(item)})
        into = folder or self.clone.root / PRIVATE_FOLDER / f"package-{self.settings.name}"
        return self.service.package(plan.metadata, self._listed(plan), into)

    def _listed(self, plan: DepositPlan) -> tuple[ListedFile, ...]:
        found: list[ListedFile] = []
        for item in plan.items:
            for file in item.files if isinstance(item, PlannedPack) else (item.file,):
                level = self.clone.config.levels[file.level]
                inside = file.path.removeprefix(level.path).lstrip("/")
                fields = read_name(level.keys, inside, file.unit or None) or {}
                plate = {"plate": file.unit} if file.unit else {}
                found.append(ListedFile(file, {**plate, **fields}))
        return tuple(found)

    def verified(self, levels: Sequence[str]) -> DepositRecord:
        """Return the verified draft of these levels as remembered; asks nobody."""
        return publishing.remembered_draft(
            self.log.deposits(), self.settings.name, self.service.address, levels
        )

    @property
    def has_token(self) -> bool:
        """Whether there is a token to ask the repository with."""
        return find_token(self.settings.name) is not None

    def publish(self, levels: Sequence[str], community: str = "") -> Deposit:
        """Make the verified draft public for ever, or hand it to a community."""
        self._refuse_restricted(
            {(level, unit) for level, unit, _ in self.verified(levels).contents}
        )
        chosen = community or self.settings.community or ""
        with self.desk() as desk, self.clone.writing():
            published = publishing.publish(desk, levels, chosen)
            if published.state is DepositState.PUBLISHED:
                self._note_published(published)
            return published

    def _note_published(self, published: Deposit) -> None:
        """Note the deposit as a copy, and its DOI in README.md and CITATION.cff."""
        known = [r for r in self.log.deposits() if r.identifier == published.identifier]
        units = {(u.level, u.name or "", str(u.version)): u for u in self._all_units()}
        events = [
            (
                "verified",
                {
                    "storage": self.settings.name,
                    "level": level,
                    "unit": units[level, unit, version].name,
                    "version": version,
                    "how": "checksum",
                    "objects": "all",
                    "n": units[level, unit, version].nfiles,
                    "bytes": units[level, unit, version].size,
                    "doi": published.doi,
                },
            )
            for level, unit, version in (known[-1].contents if known else ())
            if (level, unit, version) in units
        ]
        written = [self.clone.log().write(events)]
        released = self.clone.clock.now().date().isoformat()
        readme, citation = self.clone.root / "README.md", self.clone.root / "CITATION.cff"
        if published.doi and readme.is_file():
            write_text(readme, readme_with_doi(readme.read_text("utf-8"), published.doi))
            written.append(readme)
        if published.doi and citation.is_file():
            text = citation.read_text("utf-8")
            write_text(citation, citation_with_doi(text, published.doi, released))
            written.append(citation)
        self.clone.git.stage([path for path in written if path is not None])

    def _all_units(self) -> list[Unit]:
        return [unit for units in self.clone.units.by_level.values() for unit in units]

    def discard(self, identifier: str) -> None:
        """Throw away an open draft of this project."""
        with self.desk() as desk, self.clone.writing():
            publishing.discard(desk, identifier)

    def reviewer_link(self, identifier: str) -> str:
        """Return a link that shows a draft without an account, or an empty text."""
        with self.desk() as desk:
            able = desk.depository
            return able.reviewer_link(identifier) if isinstance(able, CanShare) else ""

    def deposits(self) -> tuple[DepositRecord, ...]:
        """Return the deposits the project remembers; asks nobody."""
        return publishing.open_deposits(self.log.deposits())

    def refresh(self) -> tuple[DepositRecord, ...]:
        """Read every unpublished deposit again; one that became public is noted so."""
        with self.desk() as desk:
            for record in self.deposits():
                mine = (record.repository, record.address)
                unfinished = record.identifier and record.state is not DepositState.PUBLISHED
                if unfinished and mine == (desk.repository, desk.depository.address):
                    publishing.reread(desk, record)
        return self.deposits()


def whole_units(items: Sequence[PlannedItem]) -> dict[tuple[str, str], int]:
    """Return the number of planned files of each (level, unit)."""
    found: dict[tuple[str, str], int] = {}
    for item in items:
        for file in item.files if isinstance(item, PlannedPack) else (item.file,):
            key = (file.level, file.unit)
            found[key] = found.get(key, 0) + 1
    return found


def _units_of(item: PlannedItem) -> set[str]:
    return {unit for _, unit in _places_of(item)}


def _places_of(item: PlannedItem) -> set[tuple[str, str]]:
    files = item.files if isinstance(item, PlannedPack) else (item.file,)
    return {(file.level, file.unit) for file in files}
