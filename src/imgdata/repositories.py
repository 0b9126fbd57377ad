"""Joins a project with data repositories: plan a deposit, make it, publish it.

```python
import imgdata
from imgdata.repositories import Publishing

publishing = Publishing(imgdata.open_project("nf1-pilot").clone, "zenodo")
print(publishing.plan(["bulk_profiles"]).size)
```
"""

import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from imgdata.backends import open_repository
from imgdata.errors import NothingFoundError, RefusedError, UsageError
from imgdata.levels.raw_units import RawUnits
from imgdata.levels.units import choose_levels
from imgdata.model.deposits import (
    OPEN,
    UNTOLD,
    Access,
    Deposit,
    DepositPlan,
    DepositRecord,
    DepositState,
    Description,
    ListedFile,
    Package,
    PackageDraft,
    Packing,
    PlannedItem,
    PlannedPack,
    Visibility,
)
from imgdata.model.keys import read_name
from imgdata.model.makings import WorkflowFile
from imgdata.model.selection import Selection
from imgdata.policy.restrictions import MayLeave
from imgdata.ports import CanClose, CanDraftPackage, CanPackage, CanShare, DepositService
from imgdata.project.answers import read_answers
from imgdata.project.deposit_log import ProjectDepositLog
from imgdata.reports.deposit_files import Documented, documents
from imgdata.reports.doi_badge import citation_with_doi, readme_with_doi
from imgdata.system.credentials import find_token, need_token
from imgdata.system.files import write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.tracking.git_history import GitHistory
from imgdata.workflows import publish as publishing
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone
from imgdata.workflows.copies import is_sandbox
from imgdata.workflows.deposit_copies import copy_events
from imgdata.workflows.deposit_fetch import fetch_for_deposit
from imgdata.workflows.deposit_plan import plan_deposit
from imgdata.workflows.deposit_request import (
    Wish,
    makings_of,
    request_of,
    units_of,
    workflow_files,
)
from imgdata.workflows.draft_edits import dated as dated_on
from imgdata.workflows.draft_edits import would_overwrite
from imgdata.workflows.leaving import Gate
from imgdata.workflows.publication_terms import Terms, bases
from imgdata.workflows.remembered_deposits import Desk, latest, open_deposits, remembered_draft
from imgdata.workflows.revision import clone_at

EVERYTHING = Selection({})


class DepositOptions(Struct, frozen=True):
    """What a deposit may be asked for.

    Attributes:
        select: A part of the levels.
        embargo: The first day on which the files are open.
        restricted: The files stay closed; the description is public.
        version: Of the data, as `v1.2`.
        open_now: The files are open at once, also where the draft closed them.
    """

    select: Selection = EVERYTHING
    embargo: date | None = None
    restricted: bool = False
    version: str = ""
    open_now: bool = False

    def __post_init__(self) -> None:
        """Refuse two answers to one question."""
        answers = (self.embargo, self.restricted, self.open_now)
        names = ("--embargo", "--restricted", "--open")
        given = [name for name, value in zip(names, answers, strict=True) if value]
        if len(given) > 1:
            msg = f"{' and '.join(given)} do not go together"
            cause = "each says who may read the files: from a day on, nobody, everybody"
            raise UsageError(msg, cause=cause, remedy="choose one")

    @property
    def access(self) -> Access | None:
        """Who may read the files; None where nothing was said."""
        if not (self.embargo or self.restricted or self.open_now):
            return None
        if self.embargo is not None:
            return Access(Visibility.EMBARGOED, self.embargo)
        return Access(Visibility.RESTRICTED) if self.restricted else OPEN


class Publishing:
    """One project and one of its repositories."""

    def __init__(
        self,
        clone: Clone,
        repository: str,
        progress: Progress = SILENT,
        *,
        revision: str = "",
    ) -> None:
        """Join them.

        Args:
            clone: The project.
            repository: Its name in imgdata.yaml.
            progress: Told of bytes and files.
            revision: The tag or commit whose versions are published; the working tree's without.

        Raises:
            UsageError: There is no such repository, or no such revision.
        """
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
        self.log = ProjectDepositLog(clone.root, clone.config, clone.log(), clone.git.stage)
        self._progress = progress
        self.revision = revision
        self.source, self._commit = clone, clone.git.head() or ""
        if revision:
            history = GitHistory(clone.git.root)
            weakref.finalize(self, history.close)
            self.source, self._commit = clone_at(clone, history, revision)

    def fetch(self, levels: Sequence[str], options: DepositOptions | None = None) -> None:
        """Bring into the cache what may go and is not here, from any good copy, verified.

        What could not be deposited in any case, for want of an answer, room or a token, is refused
        before.
        """
        plan = self.plan(levels, options)
        if plan.items:
            publishing.refuse_unfit(plan)
            if not self.is_packaged:
                need_token(self.settings.name)
        with self.clone.writing():
            chosen = choose_levels(self.source.config, levels)
            gate = Gate(self.source, ask=False)
            fetch_for_deposit(
                self.source,
                chosen,
                (options or DepositOptions()).select,
                lambda unit: isinstance(gate.verdict(unit), MayLeave),
                self._progress,
            )

    def plan(self, levels: Sequence[str], options: DepositOptions | None = None) -> DepositPlan:
        """Decide what a deposit would hold; needs no network and no token."""
        options = options or DepositOptions()
        kept = self._kept(levels)
        version = options.version or self.revision or kept.version
        access = options.access or kept.access
        wish = Wish(tuple(levels), self.settings.name, options.select, access, version)
        gate = Gate(self.source, ask=False)
        request = request_of(
            self.source, wish, gate, self.service.limits, read_answers(self.source.files)
        )
        metadata = replace(request.metadata, publisher=self.service.publisher)
        request = replace(request, metadata=metadata, asked=self.service.asks(metadata))
        if self.is_packaged:
            # A person uploads the folders as they are.
            request = replace(request, documents=(), pack=dict.fromkeys(levels, Packing.FOLDERS))
        is_kept = options.access is None and access != OPEN
        return replace(plan_deposit(request), is_access_kept=is_kept)

    def _kept(self, levels: Sequence[str]) -> Description:
        """Return what a deposit of these levels says already, of what is not to be said again.

        An embargo that was asked for once is not lifted by a rerun, nor by the next version.
        """
        name, address = self.settings.name, self.service.address
        last = latest(self.log.deposits(), name, address, levels)
        if last is None:
            return UNTOLD
        until, said = last.description.access.until, last.description
        is_over = until is not None and until <= self.clone.clock.now().date()
        is_open = last.state is not DepositState.PUBLISHED
        return Description(
            access=OPEN if is_over else said.access, version=said.version if is_open else ""
        )

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """Connect with the account's token until the block ends.

        Raises:
            CredentialsError: There is none.
        """
        depository = self.service.connect(need_token(self.settings.name))
        try:
            yield Desk(self.settings.name, depository, self.log, self._progress)
        finally:
            if isinstance(depository, CanClose):
                depository.close()

    def deposit(
        self, plan: DepositPlan, *, new_version: bool = False, overwrite: bool = False
    ) -> publishing.Deposited:
        """Bring the plan into the one open draft, verified; publishes nothing.

        `overwrite` replaces what a person wrote on the draft's page.
        """
        publishing.refuse_unready(plan)
        self._refuse_restricted({unit for item in plan.items for unit in _places_of(item)})
        recipe = workflow_files(self.source)
        told = Documented(
            plan=plan,
            makings=makings_of(self.source, plan.levels),
            workflow=recipe,
            commit=self._commit_of(recipe, plan.levels),
            origins=frozenset(name for _, name in self._origins(plan)),
            is_committed=not self.loose_recipe,
            restricted_units=self._restricted_units(plan),
        )
        with self.desk() as desk, self.clone.writing():
            return publishing.deposit(
                plan,
                desk,
                documents(told),
                self._holds(plan),
                new_version=new_version,
                overwrite=overwrite,
            )

    def _commit_of(self, recipe: Sequence[WorkflowFile], levels: Sequence[str]) -> str:
        """Return the commit since which recipe and records are as they are.

        It has what the current commit has of them, and stays the same while only other files are
        committed, as the note of this very deposit: so its documents stay the same, too.
        """
        if self.revision or not self._commit:
            return self._commit
        records = (unit.stage.file for unit in units_of(self.source, levels))
        paths = dict.fromkeys((*(file.path for file in recipe), *records))
        folder = self.clone.root.relative_to(self.clone.git.root)
        with closing(GitHistory(self.clone.git.root)) as past:
            found = past.touching(self._commit, [(folder / path).as_posix() for path in paths])
        return found[0].id if found else self._commit

    def would_overwrite(self, plan: DepositPlan) -> RefusedError | None:
        """Return why `deposit` would stop: a person wrote something on the draft's page."""
        publishing.refuse_unready(plan)
        with self.desk() as desk:
            return would_overwrite(plan, desk)

    def _origins(self, plan: DepositPlan) -> tuple[tuple[str, str], ...]:
        """Return the origins of the raw data that what goes of each level was made from."""
        going = {place for item in plan.items for place in _places_of(item)}
        return self._origins_of(self.source, going)

    def _origins_of(self, clone: Clone, going: set[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        raw = RawUnits(clone.index, clone.units)
        every = (unit for some in clone.units.by_level.values() for unit in some)
        units = [unit for unit in every if (unit.level, unit.name or "") in going]
        found = {(unit.level, up.origin or "") for unit in units for up in raw.of(unit)}
        return tuple(sorted(found))

    def _holds(self, plan: DepositPlan) -> publishing.Holds:
        """Return the versions that a plan holds whole or in part, and their origins.

        An empty version is held whole by being named.
        """
        number = whole_units(plan.items)
        gate = Gate(self.source, ask=False)
        whole: list[tuple[str, str, str]] = []
        parts: list[tuple[str, str, str]] = []
        for unit in units_of(self.source, plan.levels):
            place = (unit.level, unit.name or "")
            version = (*place, str(unit.version))
            if number.get(place, 0) != unit.nfiles:
                parts += [version] if place in number else []
            elif unit.nfiles or isinstance(gate.verdict(unit), MayLeave):
                whole.append(version)
        return publishing.Holds(tuple(whole), tuple(parts), self._origins(plan))

    def _refuse_restricted(
        self, going: set[tuple[str, str]], sent: Collection[tuple[str, str, str]] = ()
    ) -> None:
        """Ask again just before anything goes, now by a server's date too.

        Of what was sent already also the versions that are recorded here no more.

        Raises:
            RefusedError: Naming units, rules, and what may leave.
        """
        gate = Gate(self.source, servers=(self.service.address,))
        every = (unit for some in self.source.units.by_level.values() for unit in some)
        units = [unit for unit in every if (unit.level, unit.name or "") in going]
        gate.refuse(units, self.settings.name)
        for version, reasons in gate.restricted_versions.items() if sent else ():
            if (version.level, version.unit or "", version.version) in sent:
                problem = f"{version.title} is restricted and may not go to '{self.settings.name}'"
                remedy = (
                    "ask the owner; imgdata publish --list names the draft, --discard ID ends it"
                )
                raise RefusedError(problem, cause="\n".join(reasons), remedy=remedy)

    def _restricted_units(self, plan: DepositPlan) -> frozenset[str]:
        """Return names of units that stay, also on levels that were not asked for."""
        going = {unit for item in plan.items for unit in _units_of(item)}
        every = (*self.clone.units.by_level.values(), *self.source.units.by_level.values())
        here = {unit.name for units in every for unit in units if unit.name}
        return frozenset({one.unit for one in plan.held if one.unit} | (here - going)) - going

    @property
    def loose_recipe(self) -> tuple[str, ...]:
        """Files of the recipe that the commit it is published under does not have as they are."""
        if self.revision:
            return ()
        git = self.clone.git
        prefix = "" if git.root == self.clone.root else f"{self.clone.root.relative_to(git.root)}/"
        dirty = {path.removeprefix(prefix) for path in git.dirty_paths() if path.startswith(prefix)}
        return tuple(file.path for file in workflow_files(self.source) if file.path in dirty)

    @property
    def is_packaged(self) -> bool:
        """Whether a person submits to this repository, with a package and a checklist."""
        return isinstance(self.service, CanPackage)

    @property
    def is_sandbox(self) -> bool:
        """Whether what is published there may be wiped, and so is no copy."""
        return is_sandbox(self.service.address)

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

    def draft(self, plan: DepositPlan, folder: Path | None) -> PackageDraft:
        """Write the package and keep it as a draft in the account's space; publishes nothing.

        Raises:
            UsageError: Answers are missing, or the repository takes no such drafts.
            CredentialsError: There is no account, or it is refused.
        """
        service = self.service
        if not isinstance(service, CanDraftPackage):
            msg = f"'{self.settings.name}' takes no drafts of packages"
            raise UsageError(msg)
        publishing.refuse_unready(plan)
        token = need_token(self.settings.name)
        written = self.package(plan, folder)
        package = Package(plan.metadata, plan.levels, self._listed(plan), written[0].parent)
        name, levels = self.settings.name, plan.levels
        with self.clone.writing():
            last = latest(self.log.deposits(), name, service.address, levels)
            known = last.identifier if last and last.state is DepositState.DRAFT else ""
            done = service.draft(package, token, known, self._progress)
            self.log.note_deposit(
                DepositRecord(
                    repository=name,
                    address=service.address,
                    marker="",
                    state=DepositState.DRAFT,
                    identifier=done.key,
                    url=done.url,
                    levels=tuple(levels),
                )
            )
        return done

    def _listed(self, plan: DepositPlan) -> tuple[ListedFile, ...]:
        found: list[ListedFile] = []
        for item in plan.items:
            for file in item.files if isinstance(item, PlannedPack) else (item.file,):
                level = self.source.config.levels[file.level]
                inside = file.path.removeprefix(level.path).lstrip("/")
                fields = read_name(level.keys, inside, file.unit or None) or {}
                plate = {"plate": file.unit} if file.unit else {}
                found.append(ListedFile(file, {**plate, **fields}))
        return tuple(found)

    def published_as(self, levels: Sequence[str]) -> str:
        """Return the DOI or page these levels are published under, as remembered; else empty."""
        name, address = self.settings.name, self.service.address
        last = latest(self.log.deposits(), name, address, levels)
        is_public = last is not None and last.state is DepositState.PUBLISHED
        return last.page if last is not None and is_public else ""

    def verified(self, levels: Sequence[str]) -> DepositRecord:
        """Return the verified draft of these levels as remembered; asks nobody."""
        return remembered_draft(
            self.log.deposits(), self.settings.name, self.service.address, levels
        )

    def terms(self, levels: Sequence[str], *, ask: bool = True) -> Terms:
        """Return what nobody can change once these levels are published, and why they may leave.

        As the repository has the draft now; with `ask` off as remembered, without network or token.
        """
        record = self.verified(levels)
        description, files = record.description, record.files
        edited: tuple[str, ...] = ()
        if ask:
            with self.desk() as desk, self.clone.writing():
                found = publishing.read_draft(desk, record)
            description, files = found.description, found.files
            edited = description.changed_since(record.description)
        held = {(level, unit) for level, unit, _ in (*record.contents, *record.parts)}
        origins = record.origins or self._origins_of(self.clone, held)
        today = self.clone.clock.now().date()
        with closing(GitHistory(self.clone.git.root)) as past:
            why = bases(self.clone, past, origins, today)
        stated = dated_on(record)
        dated = None if stated == today else stated
        return Terms(record, description, files, dated, edited, why)

    @property
    def has_token(self) -> bool:
        """Whether there is a token to ask the repository with."""
        return find_token(self.settings.name) is not None

    @property
    def can_ask(self) -> bool:
        """Whether the state of deposits can be read: there is a token, and a program may."""
        return self.has_token and not self.is_packaged

    def publish(self, levels: Sequence[str], community: str = "") -> Deposit:
        """Make the verified draft public for ever, or hand it to a community."""
        record = self.verified(levels)
        sent = {*record.contents, *record.parts}
        self._refuse_restricted({(level, unit) for level, unit, _ in sent}, sent)
        chosen = community or self.settings.community or ""
        with self.desk() as desk, self.clone.writing():
            published = publishing.publish(desk, levels, chosen)
            self._note_published()
            return published

    def _note_published(self) -> None:
        """Note each newly published deposit as a copy, and the newest DOI where people cite from.

        Also those that curators published meanwhile, or whose publication became known late.
        """
        now = self.clone.reread()
        written: list[Path | None] = []
        for record in now.deposits.get(self.settings.name, ()):
            events = copy_events(now, record)
            if events:
                written.append(now.log().write(events))
                written += self._cite(record)
        self.clone.git.stage([path for path in written if path is not None])

    def _cite(self, published: DepositRecord) -> list[Path]:
        """Write the DOI into README.md and CITATION.cff, where they are."""
        written: list[Path] = []
        released = self.clone.clock.now().date().isoformat()
        readme, citation = self.clone.root / "README.md", self.clone.root / "CITATION.cff"
        if published.doi and readme.is_file():
            write_text(readme, readme_with_doi(readme.read_text("utf-8"), published.doi))
            written.append(readme)
        if published.doi and citation.is_file():
            text = citation.read_text("utf-8")
            write_text(citation, citation_with_doi(text, published.doi, released))
            written.append(citation)
        return written

    def discard(self, identifier: str) -> None:
        """Throw away an open draft of this project."""
        with self.desk() as desk, self.clone.writing():
            publishing.discard(desk, identifier)

    def reviewer_link(self, identifier: str) -> str:
        """Return a link that shows a draft without an account, or an empty text."""
        with self.desk() as desk:
            able = desk.depository
            try:
                return able.reviewer_link(identifier) if isinstance(able, CanShare) else ""
            except NothingFoundError:
                return ""  # an older or smaller service without such links

    def deposits(self) -> tuple[DepositRecord, ...]:
        """Return the deposits the project remembers; asks nobody."""
        return open_deposits(self.log.deposits())

    def refresh(self) -> tuple[DepositRecord, ...]:
        """Read every unpublished deposit again; one that became public is noted so."""
        with self.desk() as desk, self.clone.writing():
            for record in self.deposits():
                mine = (record.repository, record.address)
                unfinished = record.identifier and record.state is not DepositState.PUBLISHED
                if unfinished and mine == (desk.repository, desk.depository.address):
                    publishing.reread(desk, record)
            self._note_published()
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
