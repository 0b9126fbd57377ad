"""Copies in an archive tier (Glacier) count beside one that can be asked, never alone."""

import pytest

from imgdata.errors import ImgdataError
from imgdata.testing.servers import BUCKET, S3Server
from imgdata.workflows.verify import Verified
from tests.copies.conftest import Lab
from tests.copies.test_audit import said
from tests.copies.test_public_buckets import client_of

pytestmark = pytest.mark.server


@pytest.fixture
def frozen(lab: Lab, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A plate whose level is kept in DEEP_ARCHIVE, and may be kept on a disk too."""
    for name, value in moto_s3.environment.items():
        monkeypatch.setenv(name, value)
    url = moto_s3.fresh_url()
    cold = f'{{url: "{url}", endpoint_url: "{moto_s3.endpoint}", storage_class: DEEP_ARCHIVE}}'
    lab.edit_config("storages:\n", f"storages:\n  cold: {cold}\n")
    lab.edit_config("storage: archive\n  masks", "storage: [cold]\n  masks")
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    lab.share()
    return lab


def classes(lab: Lab, server: S3Server) -> dict[str, str]:
    """Return the storage class of every object below the project's prefix."""
    url = lab.open().config.storages["cold"].url
    prefix = url.removeprefix(f"s3://{BUCKET}/")
    client = client_of(server)
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    return {one["Key"].removeprefix(f"{prefix}/"): one["StorageClass"] for one in found}


def test_files_go_to_the_archive_tier_and_what_names_them_stays_readable(
    frozen: Lab, moto_s3: S3Server
) -> None:
    found = classes(frozen, moto_s3)
    assert len(found) == 6
    for key, kind in found.items():
        is_file = key.startswith("files/") and not key.endswith(".dir")
        assert kind == ("DEEP_ARCHIVE" if is_file else "STANDARD"), key


def test_it_is_no_copy_alone_and_one_beside_another(frozen: Lab) -> None:
    plan = frozen.plan_drop("raw")
    assert plan.files == 0
    assert "offline, and no other copy counts" in plan.unsafe[0].why
    (found,) = said(frozen, remote=False)["copies"]
    assert "cold: offline, and no other copy counts" in found.what
    frozen.push("raw", to=("archive",))
    plan = frozen.plan_drop("raw")
    assert plan.versions[0].safe[0].why == "2 checked copies (archive, cold)"
    frozen.share()
    assert said(frozen) == {}


def test_what_was_stored_there_is_checked_by_checksum_and_what_is_gone_is_found(
    frozen: Lab, moto_s3: S3Server
) -> None:
    (first,) = (one for one in frozen.open().verify(["raw"]) if isinstance(one, Verified)
                and one.storage == "cold")  # fmt: skip
    assert (first.checked, first.bad) == (5, ())
    storage = frozen.open().clone.open_storage(frozen.open().config.storages["cold"])
    key = next(key for key in classes(frozen, moto_s3) if key.startswith("files/")
               and not key.endswith(".dir"))  # fmt: skip
    storage.erase(key)  # type: ignore[attr-defined]  # S3 erases
    (second,) = (one for one in frozen.open().verify(["raw"]) if isinstance(one, Verified)
                 and one.storage == "cold")  # fmt: skip
    assert [bad.how for bad in second.bad] == ["missing"]


def test_reading_it_says_that_it_must_be_restored_first(frozen: Lab, moto_s3: S3Server) -> None:
    storage = frozen.open().clone.open_storage(frozen.open().config.storages["cold"])
    key = next(key for key in classes(frozen, moto_s3) if key.startswith("files/")
               and not key.endswith(".dir"))  # fmt: skip
    with pytest.raises(ImgdataError, match="archive tier"), storage.read(key) as chunks:
        list(chunks)
