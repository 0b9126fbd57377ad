"""Killed, doubled, or with a clock that runs backwards: the log never says more than is true."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from imgdata.testing.programs import kill_after
from imgdata.workflows.drop_plan import DropOptions, plan_drop
from imgdata.workflows.verify import VerifyOptions, verify
from tests.attackers.vault import md5
from tests.copies.conftest import Lab

KILLS = int(os.environ.get("IMGDATA_KILLS", "4"))
SEED = int(os.environ.get("IMGDATA_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
FILES = 400


def start(lab: Lab, words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "imgdata", *words],
        cwd=lab.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def right(lab: Lab, storage: str) -> set[str]:
    """Return the md5s of the objects of a storage whose bytes are right, by reading them."""
    return {
        name
        for path in lab.objects(storage)
        if md5(path) == (name := (path.parent.name + path.name).removesuffix(".dir"))
    }


def log_is_true(lab: Lab, everything: set[str]) -> None:
    """Whatever the log gives evidence for is there, and its bytes are right."""
    for key, copy in lab.open().clone.ledger.copies.items():
        promised = {one for one in everything if copy.evidence(one) is not None}
        assert promised <= right(lab, key.storage), f"the log promises too much of {key.storage}"


@pytest.fixture
def stored(lab: Lab) -> Lab:
    lab.add(count=FILES)
    lab.push("raw")
    lab.push("raw", to=("second",))
    return lab


def everything_of(lab: Lab) -> set[str]:
    return right(lab, "archive") | right(lab, "second")


@pytest.mark.timeout(600)
def test_kill_9_at_any_moment_loses_nothing_and_notes_nothing_false(stored: Lab) -> None:
    print(f"IMGDATA_KILL_SEED={SEED}")  # noqa: T201 - shown when the test fails
    chance = random.Random(SEED)  # noqa: S311 - test data
    before = {p.name: p.read_bytes() for p in (stored.root / "data/raw/P1").iterdir()}
    everything = everything_of(stored)
    damaged = [path for path in stored.objects("archive") if path.suffix != ".dir"][7]
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged")
    began = datetime.now(UTC)
    with start(stored, ["verify", "--on", "archive"]) as process:
        process.communicate()
    whole = (datetime.now(UTC) - began).total_seconds()
    killed = 0
    for words in (
        ["verify"],
        ["verify", "--repair"],
        ["drop", "raw", "--from", "second", "--yes"],
        ["drop", "raw", "--yes"],
        ["push", "raw", "--to", "second"],
    ):
        for _ in range(KILLS):
            killed += kill_after(stored.root, chance.uniform(0.4, 1.2) * whole, words)
            log_is_true(stored, everything)
    assert killed
    list(stored.open().verify(["raw"], VerifyOptions(repair=True)))
    list(stored.open().pull(["raw"]))
    assert {p.name: p.read_bytes() for p in (stored.root / "data/raw/P1").iterdir()} == before


def test_two_commands_at_once_wait_refuse_or_both_end_well(stored: Lab) -> None:
    before = {p.name: p.read_bytes() for p in (stored.root / "data/raw/P1").iterdir()}
    everything = everything_of(stored)
    pairs = (
        (["verify"], ["drop", "raw", "--from", "second", "--yes"]),
        (["drop", "raw", "--from", "archive", "--yes"], ["drop", "raw", "--yes"]),
        (["push", "raw", "--to", "second"], ["verify", "--repair"]),
    )
    for pair in pairs:
        running = [start(stored, words) for words in pair]
        for process in running:
            _, said = process.communicate(timeout=200)
            text = said.decode()
            assert process.returncode in {0, 1, 5, 8}, text
            assert "Traceback" not in text
            if process.returncode == 8:
                assert "locked by another imgdata command" in text
        log_is_true(stored, everything)
    list(stored.open().pull(["raw"]))
    assert {p.name: p.read_bytes() for p in (stored.root / "data/raw/P1").iterdir()} == before


class Fixed:
    """A clock that stands."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@pytest.mark.parametrize("days", [-400, -2, 400])
def test_a_clock_that_is_wrong_at_a_check_makes_no_copy_count_for_longer(
    lab: Lab, days: int
) -> None:
    """Checked with a wrong clock, looked at with the right one: old or from the future."""
    lab.add()
    lab.push("raw")
    wrong = Fixed(datetime.now(UTC) + timedelta(days=days))
    clone = replace(lab.open().clone, clock=wrong)
    list(verify(clone, ["raw"], VerifyOptions()))
    plan = lab.plan_drop("raw")
    if days == 400:
        assert plan.files == 0
        assert "a time that is yet to come" in plan.unsafe[0].why
    else:
        assert plan.files == 4  # the push's own check stands
    later = Fixed(datetime.now(UTC) + timedelta(days=200))
    clone = replace(lab.open().clone, clock=later)
    assert plan_drop(clone, [clone.config.levels["raw"]], DropOptions()).files == 0


def test_damage_noted_by_a_clock_that_went_back_is_not_undone_by_an_older_check(
    lab: Lab,
) -> None:
    lab.add()
    lab.push("raw")
    victim = next(path for path in lab.objects("archive") if path.suffix != ".dir")
    status = victim.stat()
    victim.chmod(0o644)
    victim.write_bytes(bytes(reversed(victim.read_bytes())))
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    past = Fixed(datetime.now(UTC) - timedelta(days=30))
    list(verify(replace(lab.open().clone, clock=past), ["raw"], VerifyOptions()))
    unsafe = lab.plan_drop("raw").unsafe
    assert [len(one.names) for one in unsafe] == [1]
    kinds = [json.loads(line)["event"] for path in (lab.root / ".imgdata/log").rglob("*.jsonl")
             for line in Path(path).read_text().splitlines()]  # fmt: skip
    assert "damaged" in kinds
