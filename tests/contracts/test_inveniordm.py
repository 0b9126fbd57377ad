"""The Zenodo connector against a real InvenioRDM."""

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from msgspec import Struct
from msgspec.structs import replace

from imgdata.deposits.invenio import InvenioRdm
from imgdata.deposits.public_records import InvenioRecords
from imgdata.deposits.web import Patience
from imgdata.errors import (
    CredentialsError,
    NothingFoundError,
    RefusedError,
    StorageError,
    UsageError,
)
from imgdata.model.deposits import Access, DepositState, Visibility
from imgdata.model.public_data import Fetched
from imgdata.system.credentials import Token
from imgdata.system.progress import SILENT
from imgdata.testing.depository import (
    MANY,
    METADATA,
    PLATES,
    DepositoryContract,
    MemoryLog,
    level_files,
    plan_of,
    readme,
)
from imgdata.testing.inveniordm import RealInvenio
from imgdata.transfer.content import BytesContent
from imgdata.transfer.fetch import fetch_one
from imgdata.workflows.publish import deposit, publish
from imgdata.workflows.remembered_deposits import Desk

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("inveniordm")]


class Served(Struct, frozen=True):
    """A running server: its address, its token, and what it refuses beyond."""

    address: str
    token: Token


@pytest.fixture(scope="session")
def served(inveniordm: RealInvenio) -> Served:
    return Served(inveniordm.address, Token("zenodo", inveniordm.token))


@pytest.fixture
def depository(served: Served) -> Iterator[InvenioRdm]:
    opened = InvenioRdm(served.address, served.token, Patience(tries=2, first_wait=0.1))
    yield opened
    opened.close()


@pytest.fixture
def desk(depository: InvenioRdm) -> Desk:
    return Desk("zenodo", depository, MemoryLog())


class TestInvenioRdm(DepositoryContract):
    @pytest.fixture
    def desk(self, depository: InvenioRdm) -> Desk:
        return Desk("zenodo", depository, MemoryLog())


def test_a_published_record_is_imported_back_byte_for_byte(
    desk: Desk, served: Served, tmp_path: Path
) -> None:
    sent = level_files(tmp_path / "sent", {**PLATES, **MANY})
    deposit(plan_of(sent), desk, readme)
    published = publish(desk, ["masks"])
    source = InvenioRecords(served.address, "local:")
    record = source.record(published.doi)
    outcomes = [fetch_one(source, file, tmp_path / "back") for file in record.files]
    latest = source.latest(published.identifier)
    source.close()
    assert record.reference == latest == f"local:{published.identifier}"
    assert (record.doi, record.license) == (published.doi, "CC-BY-4.0")
    assert all(isinstance(one, Fetched) and one.checked for one in outcomes)
    with zipfile.ZipFile(tmp_path / "back" / "masks_P1.zip") as pack:
        unpacked = {name: pack.read(name) for name in pack.namelist() if name != "MANIFEST.csv"}
    unpacked["data/P2/c.csv"] = (tmp_path / "back" / "c.csv").read_bytes()
    assert unpacked == {file.path: Path(file.local).read_bytes() for file in sent}


def test_an_embargo_closes_the_files_and_leaves_the_description_open(
    desk: Desk, tmp_path: Path, served: Served
) -> None:
    until = datetime.now(UTC).date() + timedelta(days=400)
    access = Access(Visibility.EMBARGOED, until)
    plan = replace(plan_of(level_files(tmp_path, PLATES)), access=access)
    deposit(plan, desk, readme)
    record = publish(desk, ["masks"])
    url = f"{served.address}/api/records/{record.identifier}"
    access = httpx.get(url).json()["access"]
    assert (access["record"], access["files"]) == ("public", "restricted")
    assert access["embargo"]["until"] == until.isoformat()


def test_a_community_gets_the_draft_for_review(desk: Desk, tmp_path: Path, served: Served) -> None:
    body = {
        "slug": "imaging",
        "metadata": {"title": "Imaging"},
        "access": {"visibility": "public", "record_policy": "open", "review_policy": "closed"},
    }
    authorised = {"Authorization": f"Bearer {served.token.secret}"}
    made = httpx.post(f"{served.address}/api/communities", json=body, headers=authorised)
    made.raise_for_status()
    deposit(plan_of(level_files(tmp_path, PLATES)), desk, readme)
    found = publish(desk, ["masks"], community="imaging")
    assert found.state is DepositState.IN_REVIEW
    with pytest.raises(RefusedError, match="with the curators"):
        deposit(plan_of(level_files(tmp_path, PLATES)), desk, readme)


def test_a_reviewer_gets_a_link(depository: InvenioRdm, desk: Desk, tmp_path: Path) -> None:
    draft = deposit(plan_of(level_files(tmp_path, PLATES)), desk, readme).deposit
    link = depository.reviewer_link(draft.identifier)
    assert link.startswith(f"{depository.address}/records/{draft.identifier}?preview=1&token=")


def test_a_description_the_server_refuses_is_a_usage_error_with_its_words(
    desk: Desk, tmp_path: Path
) -> None:
    unknown = replace(METADATA, license="no-such-licence")
    plan = replace(plan_of(level_files(tmp_path, PLATES)), metadata=unknown)
    with pytest.raises(UsageError) as caught:
        deposit(plan, desk, readme)
    assert "no-such-licence" in caught.value.cause


def test_http_200_with_errors_is_a_failure(depository: InvenioRdm) -> None:
    bad = replace(METADATA, creators=())
    opened = depository.create(bad, Access(), "0f8fad5b-d9cb-469f-a165-70867728950e")
    assert any("metadata.creators" in line for line in opened.complaints)
    depository.discard(opened.identifier)


def test_a_used_up_quota_is_explained(depository: InvenioRdm) -> None:
    opened = depository.create(METADATA, Access(), "1f8fad5b-d9cb-469f-a165-70867728950e")
    with pytest.raises(StorageError, match="quota"):
        depository.add_file(opened.identifier, BytesContent("big.bin", b"x" * 2_000_001), SILENT)
    depository.discard(opened.identifier)


def test_a_draft_of_another_account_is_told_from_one_that_is_gone(
    depository: InvenioRdm, served: Served
) -> None:
    opened = depository.create(METADATA, Access(), "6c84fb90-12c4-11e1-840d-7b25c5ee775a")
    other = InvenioRdm(served.address, Token("zenodo", "a-colleagues-token"))
    with pytest.raises(CredentialsError, match="zenodo"):
        other.read(opened.identifier)
    depository.discard(opened.identifier)
    with pytest.raises(NothingFoundError):
        other.read(opened.identifier)
    other.close()


def test_a_wrong_token_is_refused_and_never_shown(served: Served) -> None:
    opened = InvenioRdm(served.address, Token("zenodo", "wrong-secret-token"))
    with pytest.raises(CredentialsError) as caught:
        opened.create(METADATA, Access(), "2f8fad5b-d9cb-469f-a165-70867728950e")
    said = f"{caught.value.problem} {caught.value.cause} {caught.value.remedy} {opened!r}"
    assert "wrong-secret-token" not in said
    assert "IMGDATA_ZENODO_TOKEN" in said
    opened.close()
