"""Storages that lie, lose, refuse or go away: never a loss, never a false "safe"."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from imgdata.errors import ImgdataError, StorageError
from imgdata.testing.faulty_proxy import (
    BROKEN,
    SLOWLY,
    CorruptDownload,
    CorruptUpload,
    Drop,
    Fault,
    FaultyProxy,
    Lose,
    Request,
    Rule,
    Say,
    faulty_proxy,
    never,
)
from imgdata.testing.servers import BUCKET, S3Server
from imgdata.workflows.drop_plan import DropOptions
from imgdata.workflows.push import Pushed
from imgdata.workflows.verify import (
    Extra,
    NotListed,
    NotVerified,
    Verified,
    VerifyOptions,
    summary_error,
)
from tests.attackers.vault import md5
from tests.copies.conftest import Lab
from tests.copies.test_commands import type_

FORBIDDEN = Say(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
FILES = 10
EVERY = 4


class Bucket(Struct):
    """The lab's archive on a real server, by a proxy that breaks what it is told to."""

    lab: Lab
    proxy: FaultyProxy
    client: Any
    prefix: str

    @property
    def originals(self) -> dict[str, str]:
        folder = self.lab.base / "microscope" / "P1" / "P1"
        return {path.name: md5(path) for path in folder.iterdir()}

    def key(self, md5_: str) -> str:
        return f"{self.prefix}/files/md5/{md5_[:2]}/{md5_[2:]}"

    def stored(self) -> set[str]:
        """Return the md5s of the objects whose bytes are right on the server itself."""
        import hashlib

        found = set()
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=BUCKET, Prefix=f"{self.prefix}/files/"):
            for one in page.get("Contents", []):
                data = self.client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
                name = "".join(one["Key"].split("/")[-2:]).removesuffix(".dir")
                if hashlib.md5(data).hexdigest() == name:
                    found.add(name)
        return found

    def here(self) -> set[str]:
        """Return the md5s of the plate's files in workspace and cache."""
        places = (self.lab.root / "data/raw/P1", self.lab.root / ".dvc/cache/files/md5")
        return {md5(path) for place in places for path in place.rglob("*") if path.is_file()}

    def nothing_is_lost(self) -> None:
        missing = set(self.originals.values()) - self.here() - self.stored()
        assert not missing, f"{len(missing)} files are lost for ever"

    def heal(self) -> None:
        self.proxy.rule = never


@pytest.fixture(params=["moto_s3", "rclone_s3"])
def bucket(
    request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    import boto3

    server: S3Server = request.getfixturevalue(request.param)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client(
        "s3", endpoint_url=server.endpoint, region_name="us-east-1",
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
    )  # fmt: skip
    url = server.fresh_url()
    with faulty_proxy(server.port) as proxy:
        lab.edit_config(
            f'url: "{lab.base}/archive"', f'url: "{url}", endpoint_url: "{proxy.endpoint}"'
        )
        project = lab.open()
        project.apply(project.plan_apply())
        lab.share()
        lab.add(count=FILES)
        yield Bucket(lab, proxy, client, url.removeprefix(f"s3://{BUCKET}/"))


def objects_only(fault: Fault, *methods: str, every: int = 1) -> Rule:
    """Apply a fault to every so-manieth request for an object; markers and listings pass."""
    seen = iter(range(1, 1 << 30))

    def rule(asked: Request) -> Fault | None:
        hit = asked.method in methods and "/files/md5/" in asked.path.partition("?")[0]
        return fault if hit and next(seen) % every == 0 else None

    return rule


def bad(outcomes: list[Any]) -> set[str]:
    return {name.rpartition("/")[2] for one in outcomes if isinstance(one, Verified)
            for bad_ in one.still_bad for name in bad_.names}  # fmt: skip


def verify(bucket: Bucket) -> list[Any]:
    return list(bucket.lab.open().verify(["raw"], VerifyOptions(("archive",))))


@pytest.mark.server
def test_a_storage_that_takes_and_loses_some_objects(bucket: Bucket) -> None:
    bucket.proxy.rule = objects_only(Lose(), "PUT", every=EVERY)
    bucket.lab.push("raw")
    bucket.heal()
    lost = {name for name, one in bucket.originals.items() if one not in bucket.stored()}
    assert 0 < len(lost) < FILES
    plan = bucket.lab.drop("raw")
    assert plan.files == FILES - len(lost)
    assert {n.rpartition("/")[2] for one in plan.unsafe for n in one.names} == lost
    bucket.nothing_is_lost()
    assert bad(verify(bucket)) == lost
    bucket.lab.push("raw")
    assert set(bucket.originals.values()) <= bucket.stored()


@pytest.mark.server
def test_bytes_that_arrive_wrong_are_no_copy(bucket: Bucket) -> None:
    bucket.proxy.rule = objects_only(CorruptUpload(), "PUT", every=EVERY)
    outcomes = bucket.lab.push("raw")
    bucket.heal()
    assert not all(isinstance(one, Pushed) and one.is_whole for one in outcomes)
    bucket.lab.drop("raw")
    bucket.nothing_is_lost()


READING: dict[str, Fault] = {
    "flipped bytes": CorruptDownload(),
}


@pytest.mark.parametrize("bucket", ["rclone_s3"], indirect=True)
@pytest.mark.server
@pytest.mark.parametrize("how", READING)
def test_what_cannot_be_read_back_whole_stops_counting(bucket: Bucket, how: str) -> None:
    bucket.lab.push("raw")
    bucket.proxy.rule = objects_only(READING[how], "GET")
    outcomes = verify(bucket)
    checked = sum(one.checked for one in outcomes if isinstance(one, Verified))
    assert checked == 0
    told = len(bad(outcomes)) >= FILES or any(isinstance(one, NotVerified) for one in outcomes)
    assert told
    bucket.heal()
    if bad(outcomes):
        assert bucket.lab.plan_drop("raw").files == 0
    bucket.lab.drop("raw")
    bucket.nothing_is_lost()


@pytest.mark.parametrize("bucket", ["rclone_s3"], indirect=True)
@pytest.mark.server
def test_a_storage_that_lists_and_cannot_be_read_is_away(bucket: Bucket) -> None:
    bucket.lab.push("raw")

    def rule(asked: Request) -> Fault | None:
        is_listing = "list-type" in asked.path or asked.path.rstrip("/").count("/") < 2
        return BROKEN if asked.method in {"GET", "HEAD"} and not is_listing else None

    bucket.proxy.rule = rule
    with pytest.raises(StorageError):
        verify(bucket)
    plan = bucket.lab.plan_drop("raw")
    assert (plan.files, plan.offline) == (0, ("archive",))
    bucket.heal()
    bucket.nothing_is_lost()
    events = bucket.lab.open().clone.events
    assert all(event.event != "verified" for event in events)


@pytest.mark.parametrize("bucket", ["rclone_s3"], indirect=True)
@pytest.mark.server
def test_an_account_that_may_read_and_not_list_verifies_and_pulls(bucket: Bucket) -> None:
    bucket.lab.add("P2", count=40)  # so many that they would be listed
    bucket.lab.push("raw")
    bucket.proxy.rule = lambda asked: FORBIDDEN if "list-type" in asked.path else None
    outcomes = list(bucket.lab.open().verify())
    (unlisted,) = (one for one in outcomes if isinstance(one, NotListed))
    assert "permission denied" in unlisted.error.problem
    assert summary_error(outcomes) is None
    there = [one for one in outcomes if isinstance(one, Verified) and one.storage == "archive"]
    assert [one.checked for one in there] == [FILES + 1, 41]
    done = type_(bucket.lab, "verify")
    assert (done.returncode, "was not looked for" in done.stdout) == (0, True)
    assert bucket.lab.drop("raw").unsafe == ()
    list(bucket.lab.open().pull(["raw"]))
    assert len(list((bucket.lab.root / "data/raw/P2").iterdir())) == 40


@pytest.mark.server
def test_a_storage_that_is_overloaded_now_and_then_gets_everything(bucket: Bucket) -> None:
    bucket.proxy.rule = objects_only(SLOWLY, "PUT", "GET", "HEAD", every=9)
    outcomes = bucket.lab.push("raw")
    assert all(isinstance(one, Pushed) and one.is_whole for one in outcomes)
    assert bad(verify(bucket)) == set()
    bucket.lab.drop("raw")
    bucket.nothing_is_lost()
    assert set(bucket.originals.values()) <= bucket.stored()


@pytest.mark.parametrize("bucket", ["rclone_s3"], indirect=True)
@pytest.mark.server
def test_a_drop_from_a_storage_that_fails_in_the_middle(bucket: Bucket) -> None:
    bucket.lab.push("raw")
    bucket.lab.push("raw", to=("second",))
    bucket.lab.drop("raw")
    seen = iter(range(1, 1 << 30))

    def rule(asked: Request) -> Fault | None:
        return (
            Drop()
            if asked.method == "DELETE" and "/files/" in asked.path and next(seen) > 3
            else None
        )

    bucket.proxy.rule = rule
    with pytest.raises(ImgdataError):
        bucket.lab.drop("raw", source="archive")
    bucket.heal()
    project = bucket.lab.open()
    ledger = project.clone.ledger
    there = bucket.stored()
    for key, copy in ledger.copies.items():
        promised = {one for one in bucket.originals.values() if copy.evidence(one) is not None}
        if key.storage == "archive":
            assert promised <= there
    assert bucket.lab.plan_drop("raw", source="second").files == 0
    list(project.pull(["raw"]))
    assert set(bucket.originals.values()) <= bucket.here()


@pytest.mark.server
def test_objects_that_should_not_be_there_are_told_and_left(bucket: Bucket) -> None:
    bucket.lab.push("raw")
    stray = f"{bucket.prefix}/files/md5/00/{'1' * 30}"
    bucket.client.put_object(Bucket=BUCKET, Key=stray, Body=b"who am I")
    outcomes = list(bucket.lab.open().verify((), VerifyOptions(("archive",))))
    assert [(one.count, one.size) for one in outcomes if isinstance(one, Extra)] == [(1, 8)]
    bucket.lab.push("raw", to=("second",))
    bucket.lab.drop("raw", source="archive")
    assert bucket.client.get_object(Bucket=BUCKET, Key=stray)["Body"].read() == b"who am I"


# Drives, by their label.


@pytest.fixture
def drive(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive is on a drive that is plugged in; `second` is a folder."""
    folder = lab.base / "drives" / "RED-07"
    folder.mkdir(parents=True)
    monkeypatch.setenv("IMGDATA_DRIVES", str(folder.parent))
    lab.edit_config(f'url: "{lab.base}/archive"', 'url: "drive:RED-07/nf1"')
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    return folder


def unplug(drive: Path) -> Path:
    drawer = drive.parent.parent / "drawer"
    drive.rename(drawer)
    return drawer


def test_a_drive_counts_while_it_is_plugged_in(lab: Lab, drive: Path) -> None:
    assert lab.plan_drop("raw").files == 4
    drawer = unplug(drive)
    plan = lab.drop("raw")
    assert plan.files == 0
    assert "offline, and no other copy counts" in plan.unsafe[0].why
    drawer.rename(drive)
    assert lab.drop("raw").files == 4


def test_a_drive_in_a_drawer_counts_beside_a_copy_that_was_asked(lab: Lab, drive: Path) -> None:
    lab.push("raw", to=("second",))
    lab.edit_config(
        "storage: archive\n  masks", "storage: [archive, second]\n    copies: 2\n  masks"
    )
    unplug(drive)
    assert lab.plan_drop("raw").files == 4
    shutil.rmtree(lab.base / "second" / "files")
    assert lab.plan_drop("raw").files == 0


def test_a_push_says_that_a_drive_has_nothing_any_more_of_what_it_had(
    lab: Lab, drive: Path
) -> None:
    unplug(drive)
    drive.mkdir()
    told = type_(lab, "push", "raw").stderr
    assert "5 objects were on archive before and not any more" in told
    assert "is drive:RED-07/nf1 still the same place?" in told
    assert "before" not in type_(lab, "push", "raw").stderr


@pytest.mark.parametrize("what", ["empty", "another project's", "a copy that lacks a file"])
def test_another_drive_of_the_same_label_is_not_taken_for_it(
    lab: Lab, drive: Path, what: str
) -> None:
    drawer = unplug(drive)
    drive.mkdir()
    if what == "another project's":
        (drive / "nf1").mkdir()
        (drive / "nf1" / "imgdata-project.json").write_text('{"id": "x", "title": "Other"}')
    if what == "a copy that lacks a file":
        shutil.rmtree(drive)
        shutil.copytree(drawer, drive)
        for path in (drive / "nf1/files/md5").glob("??/*"):
            path.unlink()
    plan = lab.drop("raw")
    assert plan.files == 0
    shutil.rmtree(drive)
    drawer.rename(drive)
    assert lab.drop("raw").files == 4


def wrong(outcome: Callable[[], object]) -> ImgdataError:
    with pytest.raises(ImgdataError) as told:
        outcome()
    return told.value


def test_dropping_from_a_drive_in_a_drawer_says_what_to_do(lab: Lab, drive: Path) -> None:
    lab.push("raw", to=("second",))
    unplug(drive)
    error = wrong(lambda: lab.open().plan_drop(["raw"], DropOptions("archive")))
    assert error.exit_status == 4
    assert "drive RED-07 is not mounted" in error.problem
