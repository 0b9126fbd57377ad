"""`keep` rules, end to end: what is due is listed, dropped under the same safety, and nothing else.

The clock is passed in; what happened to the data is written by real commands.
"""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import Struct
from msgspec.structs import replace

from imgdata.api import Project
from imgdata.model.deposits import DepositRecord, DepositState
from imgdata.project.deposit_log import details_of
from imgdata.workflows.drop_plan import DropOptions
from tests.copies.conftest import Lab
from tests.copies.test_commands import type_


class At(Struct):
    """A clock that stands still."""

    time: datetime

    def now(self) -> datetime:
        return self.time


def at(lab: Lab, **later: int) -> Project:
    """Open the project so long after now."""
    clone = lab.open().clone
    return Project(replace(clone, clock=At(datetime.now(UTC) + timedelta(**later))))


def keep(lab: Lab, rule: str, *, level: str = "raw") -> None:
    lab.edit_config(f"  {level}:\n", f"  {level}:\n    keep: {rule}\n")


def due(project: Project) -> list[str]:
    """Return the next actions of what an audit lists as due by `keep`."""
    (found,) = (one for one in project.audit() if one.rule.name == "keep")
    return [one.next_step for one in found.remarks]


def drop_due(project: Project, source: str = "") -> int:
    options = DropOptions(source, due=True)
    plan = project.plan_drop((), options)
    return sum(one.files for one in project.drop((), options, plan))


@pytest.fixture
def stored(lab: Lab) -> Lab:
    """A plate with two copies."""
    lab.add()
    lab.push("raw", to=("archive", "second"))
    lab.share()
    return lab


@pytest.mark.dvc
def test_days_after_last_use_count_from_the_last_run_that_read_it(stored: Lab) -> None:
    keep(stored, "30 days after last use")
    stored.run("segment")
    assert due(at(stored, days=29)) == []
    assert drop_due(at(stored, days=29)) == 0
    project = at(stored, days=31)
    assert due(project) == [
        "imgdata drop raw --due",
        "imgdata drop raw --due --from archive",
        "imgdata drop raw --due --from second",
    ]
    assert drop_due(project) == 4
    assert not (stored.root / "data/raw/P1").exists()
    assert due(at(stored, days=31)) == [
        "imgdata drop raw --due --from archive",
        "imgdata drop raw --due --from second",
    ]


def test_a_run_that_failed_is_a_use_too(stored: Lab) -> None:
    keep(stored, "30 days after last use")
    log = at(stored, days=10).clone.log()
    log.write([("run", {"stage": "dvc.lock::segment@P1", "rc": 1})])
    assert due(at(stored, days=31)) == []
    assert due(at(stored, days=41)) != []


def test_a_clock_that_went_back_makes_nothing_due(stored: Lab) -> None:
    keep(stored, "until 2020-01-01")
    assert due(at(stored)) != []
    assert due(at(stored, days=-3)) == []
    assert drop_due(at(stored, days=-3)) == 0


def test_a_date_lets_a_level_go_and_the_last_copy_stays(stored: Lab) -> None:
    keep(stored, "until 2020-01-01")
    assert drop_due(at(stored)) == 4
    options = DropOptions("second", due=True)
    project = at(stored)
    list(project.drop((), options, project.plan_drop((), options)))
    assert stored.objects("second") == []
    assert due(at(stored)) == [
        "edit imgdata.yaml: accept_loss of raw, if nothing else must have it"
    ]
    assert at(stored).plan_drop((), DropOptions("archive", due=True)).files == 0
    assert type_(stored, "drop", "--due", "--from", "archive", "--yes").returncode == 5
    assert len(stored.objects("archive")) == 5


def test_a_day_to_come_keeps_it(stored: Lab) -> None:
    keep(stored, "until 2999-01-01")
    assert due(at(stored)) == []
    done = type_(stored, "drop", "--due", "--yes")
    assert done.returncode == 0
    assert "nothing is due" in done.stdout


@pytest.mark.parametrize(
    ("address", "version_is_current", "is_due"),
    [
        ("https://zenodo.org", True, True),
        ("https://zenodo.org", False, False),
        ("https://sandbox.zenodo.org", True, False),
    ],
)
def test_until_published_ends_with_a_published_deposit_of_this_very_version(
    stored: Lab, address: str, *, version_is_current: bool, is_due: bool
) -> None:
    keep(stored, "until published")
    assert due(at(stored)) == []
    project = stored.open()
    unit = project.clone.units.by_level["raw"][0]
    version = str(unit.version) if version_is_current else "ab" * 16
    record = DepositRecord(
        repository="zenodo", address=address, marker="m", state=DepositState.PUBLISHED,
        identifier="1", levels=("raw",), contents=(("raw", "P1", version),),
    )  # fmt: skip
    project.clone.log().write([("deposit", details_of(record))])
    assert bool(due(at(stored))) is is_due


@pytest.mark.dvc
def test_recompute_is_due_once_all_readers_are_done_and_it_is_proven(lab: Lab) -> None:
    lab.add()
    lab.run("segment")
    lab.push("raw")
    lab.share()
    assert drop_due(at(lab)) == 0
    lab.run("measure")
    lab.share()
    assert drop_due(at(lab)) == 0  # used up, and nothing proves that it can be made again
    list(lab.open().prove(["segment"]))
    lab.share()
    assert due(at(lab)) == ["imgdata drop masks --due"]
    assert drop_due(at(lab)) == 4
