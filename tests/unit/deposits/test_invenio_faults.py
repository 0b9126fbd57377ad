"""Bad days of a repository: resumed or explained, never a second record, never a lost draft."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imgdata.deposits.invenio import InvenioRdm
from imgdata.deposits.web import Patience
from imgdata.errors import (
    CredentialsError,
    DamagedError,
    ImgdataError,
    MachineError,
    PartlyDoneError,
    StorageError,
    UsageError,
)
from imgdata.model.deposits import DepositPlan, DepositState
from imgdata.system.credentials import Token
from imgdata.testing import small_inveniordm
from imgdata.testing.depository import PLATES, MemoryLog, level_files, plan_of, readme
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_site import Fault
from imgdata.workflows.publish import Desk, deposit, publish


@dataclass
class Stage:
    site: SmallInvenio
    desk: Desk
    plan: DepositPlan
    waited: list[float]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    waited: list[float] = []
    with small_inveniordm.serve() as site:
        token = Token("zenodo", small_inveniordm.TOKEN)
        patience = Patience(tries=3, first_wait=0.5, timeout=5, sleep=waited.append)
        opened = InvenioRdm(site.base, token, patience)
        plan = plan_of(level_files(tmp_path, PLATES))
        yield Stage(site, Desk("zenodo", opened, MemoryLog()), plan, waited)
        opened.close()


def test_429_is_waited_for_as_long_as_the_server_asks(stage: Stage) -> None:
    stage.site.faults.append(Fault("POST", "/api/records$", 429, headers={"Retry-After": "7"}))
    deposit(stage.plan, stage.desk, readme)
    assert stage.waited == [7.0]
    assert len(stage.site.live) == 1


def test_a_retry_time_is_read_by_the_servers_own_clock(stage: Stage) -> None:
    stage.site.date = datetime.now(UTC) - timedelta(hours=5)
    until = (stage.site.date + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    stage.site.faults.append(Fault("GET", "/draft$", 429, headers={"Retry-After": until}))
    deposit(stage.plan, stage.desk, readme)
    assert stage.waited == [9.0]


def test_a_server_that_asks_for_hours_is_not_waited_for(stage: Stage) -> None:
    stage.site.faults.append(Fault("POST", "/api/records$", 429, headers={"Retry-After": "9000"}))
    with pytest.raises(StorageError, match="asks to wait 9000 seconds"):
        deposit(stage.plan, stage.desk, readme)


def test_a_clock_that_is_days_off_stops_the_deposit(stage: Stage) -> None:
    stage.site.date = datetime.now(UTC) - timedelta(days=40)
    with pytest.raises(MachineError, match="40 days off"):
        deposit(stage.plan, stage.desk, readme)


STEPS = [
    *(("GET", "/draft$"), ("GET", "/files$"), ("PUT", "/content$"), ("PUT", "/draft$")),
    *(("POST", "/api/records$"), ("POST", "/files$"), ("POST", "/commit$"), ("POST", "/doi$")),
]


@pytest.mark.parametrize("status", [0, 503])
@pytest.mark.parametrize(("method", "path"), STEPS)
@pytest.mark.parametrize("after", [False, True])
def test_one_bad_answer_anywhere_is_overcome_at_latest_by_a_rerun(
    stage: Stage, method: str, path: str, status: int, *, after: bool
) -> None:
    stage.site.faults.append(Fault(method, path, status, after=after))
    for _ in range(3):
        try:
            done = deposit(stage.plan, stage.desk, readme)
            break
        except StorageError:
            continue
    else:
        pytest.fail("three runs were not enough for one fault")
    (only,) = stage.site.live
    assert done.deposit.identifier == only.identifier
    assert len(stage.site.records) == 1
    assert set(only.data) == {"a.tif", "b.tif", "c.csv", "README.md"}
    assert done.deposit.doi


@pytest.mark.parametrize("status", [0, 504])
def test_a_draft_whose_creation_was_not_answered_is_found_again(stage: Stage, status: int) -> None:
    stage.site.faults.append(Fault("POST", "/api/records$", status, after=True))
    with pytest.raises(StorageError):
        deposit(stage.plan, stage.desk, readme)
    deposit(stage.plan, stage.desk, readme)
    assert len(stage.site.records) == 1


@pytest.mark.parametrize("status", [0, 504])
def test_an_unclear_publish_is_followed_by_reading_the_record(stage: Stage, status: int) -> None:
    deposit(stage.plan, stage.desk, readme)
    stage.site.faults.append(Fault("POST", "publish$", status, after=True))
    assert publish(stage.desk, ["masks"]).state is DepositState.PUBLISHED
    assert _asked(stage, "POST", "publish") == 1


def test_a_publish_that_did_not_happen_is_not_asked_for_again(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    stage.site.faults.append(Fault("POST", "publish$", 504))
    with pytest.raises(PartlyDoneError, match="did not say whether"):
        publish(stage.desk, ["masks"])
    assert _asked(stage, "POST", "publish") == 1
    assert publish(stage.desk, ["masks"]).state is DepositState.PUBLISHED


def test_a_publish_that_became_known_late_is_not_deposited_again(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    stage.site.faults.append(Fault("POST", "publish$", 504, after=True))
    stage.site.faults.append(Fault("GET", r"/records/[^/]+$", 404, times=20))
    with pytest.raises(PartlyDoneError):
        publish(stage.desk, ["masks"])
    stage.site.faults.clear()
    with pytest.raises(ImgdataError, match="published already"):
        deposit(stage.plan, stage.desk, readme)
    assert len(stage.site.records) == 1


def test_a_file_that_arrives_wrong_twice_is_named(stage: Stage) -> None:
    stage.site.spoil = True
    with pytest.raises(DamagedError, match=r"a\.tif does not arrive as it was sent"):
        deposit(stage.plan, stage.desk, readme)
    stage.site.spoil = False
    deposit(stage.plan, stage.desk, readme)
    assert len(stage.site.records) == 1


def test_what_somebody_changed_after_verification_is_not_published(stage: Stage) -> None:
    deposit(stage.plan, stage.desk, readme)
    (record,) = stage.site.live
    record.files.pop("a.tif")
    with pytest.raises(DamagedError) as caught:
        publish(stage.desk, ["masks"])
    assert "a.tif" in caught.value.cause
    assert not record.published


def test_a_quota_that_is_used_up_is_explained_and_the_draft_kept(stage: Stage) -> None:
    stage.site.quota = 100
    with pytest.raises(StorageError, match="quota"):
        deposit(stage.plan, stage.desk, readme)
    stage.site.quota = 10**9
    deposit(stage.plan, stage.desk, readme)
    assert len(stage.site.records) == 1


def test_an_expired_token_says_what_to_do_and_is_never_shown(tmp_path: Path) -> None:
    with small_inveniordm.serve() as site:
        opened = InvenioRdm(site.base, Token("my-zenodo", "expired-secret"))
        with pytest.raises(CredentialsError) as caught:
            deposit(
                plan_of(level_files(tmp_path, PLATES)),
                Desk("my-zenodo", opened, MemoryLog()),
                readme,
            )
        opened.close()
    said = f"{caught.value.problem} {caught.value.cause} {caught.value.remedy}"
    assert "expired-secret" not in said
    assert "IMGDATA_MY_ZENODO_TOKEN" in said


def test_a_draft_deleted_on_the_web_page_is_replaced_by_a_new_one(stage: Stage) -> None:
    first = deposit(stage.plan, stage.desk, readme).deposit
    stage.site.records[first.identifier].gone = True
    second = deposit(stage.plan, stage.desk, readme).deposit
    assert second.identifier != first.identifier
    assert len(stage.site.live) == 1


def test_a_token_is_not_sent_without_encryption() -> None:
    with pytest.raises(UsageError, match="without encryption"):
        InvenioRdm("http://zenodo.example", Token("zenodo", "secret"))


def _asked(stage: Stage, method: str, path: str) -> int:
    return sum(1 for verb, where, _ in stage.site.seen if verb == method and path in where)
