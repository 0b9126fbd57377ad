"""What every data repository promises, as tests: derive a class, give it a `desk` fixture.

    class TestMyRepository(DepositoryContract):
        @pytest.fixture
        def desk(self) -> Desk:
            return Desk("mine", MyRepository(...), MemoryLog())

The service may keep what earlier tests deposited.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from imgdata.errors import NothingFoundError, RefusedError
from imgdata.model.deposits import (
    OPEN,
    Access,
    AlreadyDeposited,
    Creator,
    Deposit,
    DepositLimits,
    DepositMetadata,
    DepositPlan,
    DepositRecord,
    DepositState,
    LevelFile,
    Related,
    Uploaded,
    Visibility,
)
from imgdata.ports import CanVersion, Content
from imgdata.transfer.content import BytesContent, Prepared
from imgdata.workflows.deposit_layout import Layout, lay_out
from imgdata.workflows.publish import deposit, discard, publish
from imgdata.workflows.remembered_deposits import Desk

LIMITS = DepositLimits(files=20, total=10**9, file=10**9)
METADATA = DepositMetadata(
    title="Schwann cells <b>&</b> NF1",
    creators=(
        Creator("Lovelace, Ada", orcid="0000-0002-1825-0097", affiliation="Lab of Engines"),
        Creator("The Imaging Core", is_person=False),
    ),
    description="Five wells, three channels.\n\nSecond paragraph with <script>.",
    license="CC-BY-4.0",
    published=datetime.now(UTC).date(),
    publisher="Zenodo",
    keywords=("Cell Painting",),
    version="v1",
    related=(Related("10.6084/m9.figshare.22233700", "IsDerivedFrom"),),
)


class MemoryLog:
    """A `DepositLog` that remembers until the test ends."""

    def __init__(self) -> None:
        self.records: list[DepositRecord] = []

    def deposits(self) -> Iterator[DepositRecord]:
        """Yield what was noted, oldest first."""
        return iter(list(self.records))

    def note_deposit(self, record: DepositRecord) -> None:
        """Remember one more."""
        self.records.append(record)


def level_files(folder: Path, files: dict[str, bytes]) -> tuple[LevelFile, ...]:
    """Write files and describe them as those of level `masks`; a path is `unit/name`."""
    found = []
    for path, data in files.items():
        local = folder / path
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(data)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        unit = path.partition("/")[0]
        found.append(LevelFile("masks", unit, f"data/{path}", str(local), len(data), md5))
    return tuple(found)


def plan_of(files: tuple[LevelFile, ...]) -> DepositPlan:
    """Plan a deposit of files that may all leave."""
    return DepositPlan(
        repository="zenodo",
        levels=("masks",),
        items=lay_out(files, LIMITS, Layout(reserved=("README.md",))),
        documents=("README.md",),
        held=(),
        questions=(),
        over=(),
        limits=LIMITS,
        access=OPEN,
        metadata=METADATA,
    )


def readme(opened: Deposit, prepared: Prepared) -> tuple[Content, ...]:
    """Make the one metadata file of these deposits."""
    text = f"{opened.identifier}: {len(prepared.lines)} lines\n"
    return (BytesContent("README.md", text.encode()),)


PLATES = {"P1/a.tif": b"one" * 500, "P1/b.tif": b"two" * 500, "P2/c.csv": b"3\n"}
MANY = {f"P1/B03_{site}.tif": bytes([site]) * 100 for site in range(15)}


class DepositoryContract:
    """The suite; see the module's description."""

    @pytest.fixture
    def desk(self) -> Desk:
        """Return a desk at the service under test, with an empty memory."""
        raise NotImplementedError

    def test_a_draft_holds_every_file_with_our_checksum(self, desk: Desk, tmp_path: Path) -> None:
        """The flow stops before anything is public."""
        done = deposit(plan_of(level_files(tmp_path, {**PLATES, **MANY})), desk, readme)
        held = {file.name: file.md5 for file in done.deposit.files}
        assert done.deposit.state is DepositState.DRAFT
        assert set(held) == {"masks_P1.zip", "c.csv", "README.md"}
        assert held["c.csv"] == hashlib.md5(b"3\n", usedforsecurity=False).hexdigest()
        assert done.deposit.doi.startswith("10.")

    def test_a_rerun_sends_nothing_and_opens_no_second_draft(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        """What is there with the right checksum is left alone."""
        plan = plan_of(level_files(tmp_path, PLATES))
        first = deposit(plan, desk, readme)
        again = deposit(plan, desk, readme)
        assert again.deposit.identifier == first.deposit.identifier
        assert all(isinstance(outcome, AlreadyDeposited) for outcome in again.outcomes)

    def test_a_draft_says_what_it_was_told(self, desk: Desk, tmp_path: Path) -> None:
        """Title, creators, licence and access are read back, and nothing counts as edited."""
        plan = plan_of(level_files(tmp_path, PLATES))
        drafted = deposit(plan, desk, readme).deposit.description
        assert drafted.title == METADATA.title
        assert len(drafted.creators) == len(METADATA.creators)
        assert drafted.license.replace(" ", "-").upper() == METADATA.license
        assert drafted.access == OPEN
        (*_, record) = desk.log.deposits()
        assert drafted.changed_since(record.description) == ()
        until = Access(Visibility.EMBARGOED, date(2099, 3, 4))
        closed = deposit(replace(plan, access=until), desk, readme).deposit
        assert closed.description.access == until
        assert deposit(plan, desk, readme).deposit.description.access == OPEN
        published = publish(desk, ["masks"])
        (*_, record) = desk.log.deposits()
        assert published.description.changed_since(record.description) == ()

    def test_an_empty_file_is_one_of_the_files(self, desk: Desk, tmp_path: Path) -> None:
        """It is listed with the checksum of nothing."""
        plan = plan_of(level_files(tmp_path, {**PLATES, "P2/empty.csv": b""}))
        held = {file.name: file for file in deposit(plan, desk, readme).deposit.files}
        assert held["empty.csv"].size == 0
        assert held["empty.csv"].md5 == hashlib.md5(b"", usedforsecurity=False).hexdigest()

    def test_what_a_person_wrote_on_the_page_is_not_overwritten(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        """It stays while the plan says nothing new, and stops a plan that does."""
        plan = plan_of(level_files(tmp_path, PLATES))
        opened = deposit(plan, desk, readme).deposit
        by_hand = replace(METADATA, title="By hand")
        desk.depository.describe(opened.identifier, by_hand, plan.access)
        assert deposit(plan, desk, readme).deposit.description.title == "By hand"
        news = replace(plan, metadata=replace(METADATA, keywords=("Schwann cells",)))
        with pytest.raises(RefusedError, match=r"wrote on the draft's page: .*title"):
            deposit(news, desk, readme)
        assert deposit(news, desk, readme, overwrite=True).deposit.description.title != "By hand"

    def test_a_draft_is_brought_in_line_with_a_changed_level(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        """New files are sent, changed ones replaced, others removed."""
        deposit(plan_of(level_files(tmp_path / "1", PLATES)), desk, readme)
        changed = {"P1/a.tif": b"new", "P2/c.csv": b"3\n"}
        done = deposit(plan_of(level_files(tmp_path / "2", changed)), desk, readme)
        assert {file.name for file in done.deposit.files} == {"a.tif", "c.csv", "README.md"}
        sent = {o.file.name for o in done.outcomes if isinstance(o, Uploaded)}
        assert sent == {"a.tif", "README.md"}

    def test_publishing_is_a_second_act_and_gives_the_doi(self, desk: Desk, tmp_path: Path) -> None:
        """It is idempotent, and a deposit without a new version is refused afterwards."""
        plan = plan_of(level_files(tmp_path, PLATES))
        drafted = deposit(plan, desk, readme).deposit
        published = publish(desk, ["masks"])
        assert published.state is DepositState.PUBLISHED
        assert published.doi.startswith(drafted.doi)
        assert {f.md5 for f in published.files} == {f.md5 for f in drafted.files}
        assert publish(desk, ["masks"]).identifier == published.identifier
        with pytest.raises(RefusedError, match="published already"):
            deposit(plan, desk, readme)

    def test_a_new_version_keeps_unchanged_files(self, desk: Desk, tmp_path: Path) -> None:
        """Only what differs is sent; the earlier version stays as it was."""
        deposit(plan_of(level_files(tmp_path / "1", PLATES)), desk, readme)
        first = publish(desk, ["masks"])
        if not isinstance(desk.depository, CanVersion):
            pytest.skip("no new versions by program")
        plan = plan_of(level_files(tmp_path / "2", {**PLATES, "P1/b.tif": b"changed"}))
        plan = replace(plan, metadata=replace(plan.metadata, version="v2"))
        done = deposit(plan, desk, readme, new_version=True)
        sent = {o.file.name for o in done.outcomes if isinstance(o, Uploaded)}
        assert "a.tif" not in sent
        assert "b.tif" in sent
        second = publish(desk, ["masks"])
        assert second.concept == first.concept
        assert second.doi != first.doi

    def test_publishing_without_a_verified_draft_is_refused(self, desk: Desk) -> None:
        """There is nothing to publish before a deposit."""
        with pytest.raises(NothingFoundError, match="no verified draft"):
            publish(desk, ["masks"])

    def test_a_discarded_draft_is_gone_and_the_next_is_another(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        """A published record is never discarded."""
        plan = plan_of(level_files(tmp_path, PLATES))
        first = deposit(plan, desk, readme).deposit
        discard(desk, first.identifier)
        second = deposit(plan, desk, readme).deposit
        assert second.identifier != first.identifier
        publish(desk, ["masks"])
        with pytest.raises(Exception, match="no open draft"):
            discard(desk, second.identifier)

    def test_files_that_nobody_knows_are_not_found(self, desk: Desk) -> None:
        """An unknown record is an answer, not a crash."""
        with pytest.raises(NothingFoundError):
            desk.depository.read("00000-00000")
