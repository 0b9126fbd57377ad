"""Bad days of a repository: resumed or explained, never a second record, never a lost draft."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from imgdata.deposits.figshare import Figshare
from imgdata.deposits.invenio import InvenioRdm
from imgdata.deposits.web import Patience
from imgdata.errors import (
    CredentialsError,
    DamagedError,
    ImgdataError,
    MachineError,
    PartlyDoneError,
    RefusedError,
    StorageError,
    UsageError,
)
from imgdata.model.deposits import DepositPlan, DepositRecord, DepositState
from imgdata.system.credentials import Token
from imgdata.testing import small_figshare, small_inveniordm
from imgdata.testing.depository import PLATES, MemoryLog, level_files, plan_of, readme
from imgdata.testing.small_site import Fault
from imgdata.workflows.publish import deposit, discard, publish, reread
from imgdata.workflows.remembered_deposits import Desk


class Kind(Struct, frozen=True):
    """A repository: how it is served and spoken with, and how its requests look."""

    name: str
    serve: Callable[[], AbstractContextManager[Any]]
    connect: Callable[[str, Token, Patience], Any]
    secret: str
    create: str
    publish: str
    public: str
    steps: tuple[tuple[str, str], ...]


INVENIO = Kind(
    "invenio",
    small_inveniordm.serve,
    InvenioRdm,
    small_inveniordm.TOKEN,
    create="/api/records$",
    publish="publish$",
    public=r"/records/[^/]+$",
    steps=(
        *(("GET", "/draft$"), ("GET", "/files$"), ("PUT", "/content$"), ("PUT", "/draft$")),
        *(("POST", "/api/records$"), ("POST", "/files$"), ("POST", "/commit$"), ("POST", "/doi$")),
    ),
)
FIGSHARE = Kind(
    "figshare",
    small_figshare.serve,
    lambda base, token, patience: Figshare(f"{base}/v2", token, patience),
    small_figshare.TOKEN,
    create="/account/articles$",
    publish="publish$",
    public=r"/account/articles/[0-9]+$",
    steps=(
        *(("GET", r"/articles/\d+$"), ("GET", "/files$"), ("PUT", r"/upload/\d+/1$")),
        *(("PUT", r"/articles/\d+$"), ("POST", "/articles$"), ("POST", "/files$")),
        *(("POST", r"/files/\d+$"), ("POST", "/reserve_doi$"), ("GET", "/licenses$")),
        ("GET", r"/upload/\d+$"),
    ),
)
KINDS = (INVENIO, FIGSHARE)
STEPS = [
    pytest.param(kind, method, path, id=f"{kind.name}-{method}-{path}")
    for kind in KINDS
    for method, path in kind.steps
]


class Stage(Struct):
    kind: Kind
    site: Any
    desk: Desk
    plan: DepositPlan
    waited: list[float]

    def fault(self, path: str, status: int, method: str = "POST", **more: Any) -> None:
        self.site.faults.append(Fault(method, path, status, **more))

    def reconnect(self, secret: str) -> Desk:
        """Return a desk with another token and the same memory."""
        patience = Patience(tries=2, first_wait=0, sleep=self.waited.append)
        opened = self.kind.connect(self.site.base, Token("my-zenodo", secret), patience)
        return replace(self.desk, depository=opened)

    @property
    def made(self) -> int:
        """How many records were ever made."""
        return len(self.site.records if self.kind is INVENIO else self.site.articles)

    def asked(self, path: str) -> int:
        return sum(1 for one in self.site.requests if one.method == "POST" and path in one.path)

    def names(self) -> set[str]:
        """The files that the one record holds whole."""
        (only,) = self.site.live
        if self.kind is INVENIO:
            return set(only.data)
        return {one.name for one in only.files.values() if one.status == "available"}


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def stage(tmp_path: Path, kind: Kind) -> Iterator[Stage]:
    waited: list[float] = []
    with kind.serve() as site:
        patience = Patience(tries=3, first_wait=0.5, timeout=5, sleep=waited.append)
        opened = kind.connect(site.base, Token("zenodo", kind.secret), patience)
        plan = plan_of(level_files(tmp_path, PLATES))
        yield Stage(kind, site, Desk("zenodo", opened, MemoryLog()), plan, waited)
        opened.close()


on_each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name, indirect=True)
on_invenio = pytest.mark.parametrize("kind", [INVENIO], ids=["invenio"], indirect=True)
FILES = {"a.tif", "b.tif", "c.csv", "README.md"}


@on_each
def test_429_is_waited_for_as_long_as_the_server_asks(stage: Stage) -> None:
    stage.fault(stage.kind.create, 429, headers={"Retry-After": "7"})
    deposit(stage.plan, stage.desk, readme)
    assert stage.waited == [7.0]
    assert stage.made == 1


@on_invenio
def test_a_retry_time_is_read_by_the_servers_own_clock(stage: Stage) -> None:
    stage.site.date = datetime.now(UTC) - timedelta(hours=5)
    until = (stage.site.date + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    stage.fault("/draft$", 429, "GET", headers={"Retry-After": until})
    deposit(stage.plan, stage.desk, readme)
    assert stage.waited == [9.0]


@on_each
def test_a_server_that_asks_for_hours_is_not_waited_for(stage: Stage) -> None:
    stage.fault(stage.kind.create, 429, headers={"Retry-After": "9000"})
    with pytest.raises(StorageError, match="asks to wait 9000 seconds"):
        deposit(stage.plan, stage.desk, readme)


@on_each
def test_a_clock_that_is_days_off_stops_the_deposit(stage: Stage) -> None:
    stage.site.date = datetime.now(UTC) - timedelta(days=40)
    with pytest.raises(MachineError, match="40 days off"):
        deposit(stage.plan, stage.desk, readme)
    stage.site.date = None
    deposit(stage.plan, stage.desk, readme)
    assert stage.made == 1


@pytest.mark.parametrize("status", [0, 503])
@pytest.mark.parametrize(("kind", "method", "path"), STEPS, indirect=["kind"])
@pytest.mark.parametrize("after", [False, True])
def test_one_bad_answer_anywhere_is_overcome_at_latest_by_a_rerun(
    stage: Stage, method: str, path: str, status: int, *, after: bool
) -> None:
    stage.fault(path, status, method, after=after)
    for _ in range(3):
        try:
            done = deposit(stage.plan, stage.desk, readme)
            break
        except StorageError:
            continue
    else:
        pytest.fail("three runs were not enough for one fault")
    assert stage.made == 1
    assert stage.names() == FILES
    assert done.deposit.doi


@on_each
@pytest.mark.parametrize("status", [0, 504])
def test_a_draft_whose_creation_was_not_answered_is_found_again(stage: Stage, status: int) -> None:
    stage.fault(stage.kind.create, status, after=True)
    with pytest.raises(StorageError):
        deposit(stage.plan, stage.desk, readme)
    deposit(stage.plan, stage.desk, readme)
    assert stage.made == 1


@on_each
@pytest.mark.parametrize("status", [0, 504])
def test_an_unclear_publish_is_followed_by_reading_the_record(stage: Stage, status: int) -> None:
    deposit(stage.plan, stage.desk, readme)
    stage.fault(stage.kind.publish, status, after=True)
    assert publish(stage.desk, ["masks"]).state is DepositState.PUBLISHED
    assert stage.asked("publish") == 1
    assert stage.made == 1


@on_each
def test_a_publish_that_did_not_happen_is_not_asked_for_again(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    stage.fault(stage.kind.publish, 504)
    with pytest.raises(PartlyDoneError, match="did not say whether"):
        publish(stage.desk, ["masks"])
    assert stage.asked("publish") == 1
    assert publish(stage.desk, ["masks"]).state is DepositState.PUBLISHED


@on_invenio
def test_a_publish_that_became_known_late_is_not_deposited_again(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    stage.fault(stage.kind.publish, 504, after=True)
    stage.fault(stage.kind.public, 404, "GET", times=20)
    with pytest.raises(PartlyDoneError):
        publish(stage.desk, ["masks"])
    stage.site.faults.clear()
    with pytest.raises(ImgdataError, match="published already"):
        deposit(stage.plan, stage.desk, readme)
    assert stage.made == 1


@on_each
def test_a_file_that_arrives_wrong_twice_is_named(stage: Stage) -> None:
    stage.site.spoil = True
    with pytest.raises(DamagedError, match=r"a\.tif does not arrive as it was sent"):
        deposit(stage.plan, stage.desk, readme)
    stage.site.spoil = False
    deposit(stage.plan, stage.desk, readme)
    assert stage.made == 1
    assert stage.names() == FILES


@on_each
def test_what_somebody_changed_after_verification_is_not_published(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    (record,) = stage.site.live
    if stage.kind is INVENIO:
        record.files.pop("a.tif")
    else:
        record.files.pop(next(n for n, one in record.files.items() if one.name == "a.tif"))
    with pytest.raises(DamagedError) as caught:
        publish(stage.desk, ["masks"])
    assert "a.tif" in caught.value.cause
    assert stage.asked("publish") == 0


@on_each
def test_a_quota_that_is_used_up_is_explained_and_the_draft_kept(stage: Stage) -> None:
    stage.site.quota = 100
    with pytest.raises(StorageError, match="quota"):
        deposit(stage.plan, stage.desk, readme)
    stage.site.quota = 10**9
    deposit(stage.plan, stage.desk, readme)
    assert stage.made == 1


@on_each
def test_an_expired_token_says_what_to_do_and_is_never_shown(stage: Stage) -> None:
    desk = stage.reconnect("expired-secret")
    with pytest.raises(CredentialsError) as caught:
        deposit(stage.plan, desk, readme)
    desk.depository.close()  # type: ignore[attr-defined]
    said = f"{caught.value.problem} {caught.value.cause} {caught.value.remedy}"
    assert "expired-secret" not in said
    assert "IMGDATA_MY_ZENODO_TOKEN" in said


@on_each
@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_expires_on_the_way_loses_no_draft(stage: Stage, status: int) -> None:
    stage.fault("/files$", status)
    with pytest.raises(CredentialsError):
        deposit(stage.plan, stage.desk, readme)
    deposit(stage.plan, stage.desk, readme)
    assert stage.made == 1
    assert stage.names() == FILES


@on_invenio
def test_a_draft_deleted_on_the_web_page_is_replaced_by_a_new_one(stage: Stage) -> None:
    first = deposit(stage.plan, stage.desk, readme).deposit
    stage.site.records[first.identifier].gone = True
    second = deposit(stage.plan, stage.desk, readme).deposit
    assert second.identifier != first.identifier
    assert len(stage.site.live) == 1


@on_invenio
def test_a_draft_of_another_account_is_not_taken_for_one_that_is_gone(stage: Stage) -> None:
    first = deposit(stage.plan, stage.desk, readme).deposit
    others = stage.reconnect("a-colleagues-token")
    with pytest.raises(CredentialsError, match="my-zenodo"):
        deposit(stage.plan, others, readme)
    with pytest.raises(CredentialsError):
        publish(others, ["masks"])
    with pytest.raises(CredentialsError):
        reread(others, latest_of(stage))
    assert latest_of(stage).state is DepositState.VERIFIED
    assert latest_of(stage).identifier == first.identifier


def latest_of(stage: Stage) -> DepositRecord:
    return list(stage.desk.log.deposits())[-1]


@on_invenio
def test_a_version_that_was_discarded_is_opened_again_as_a_version(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    first = publish(stage.desk, ["masks"])
    opened = deposit(stage.plan, stage.desk, readme, new_version=True).deposit
    discard(stage.desk, opened.identifier)
    with pytest.raises(RefusedError, match="published already"):
        deposit(stage.plan, stage.desk, readme)
    again = deposit(stage.plan, stage.desk, readme, new_version=True).deposit
    assert again.concept == first.concept


@on_invenio
def test_a_version_deleted_on_the_web_page_is_opened_again_as_a_version(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    first = publish(stage.desk, ["masks"])
    opened = deposit(stage.plan, stage.desk, readme, new_version=True).deposit
    stage.site.records[opened.identifier].gone = True
    again = deposit(stage.plan, stage.desk, readme, new_version=True).deposit
    assert again.concept == first.concept


@on_invenio
def test_a_record_that_was_taken_away_is_noted_and_deposited_anew(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    publish(stage.desk, ["masks"])
    stage.site.live[0].removed = "by its owner"
    deposit(stage.plan, stage.desk, readme)
    states = [record.state for record in stage.desk.log.deposits()]
    assert DepositState.REMOVED in states
    assert states[-1] is DepositState.VERIFIED


def test_a_token_is_not_sent_without_encryption() -> None:
    with pytest.raises(UsageError, match="without encryption"):
        InvenioRdm("http://zenodo.example", Token("zenodo", "secret"))
