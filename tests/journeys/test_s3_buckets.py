"""Buckets of other kinds than a plain one, as labs are given them."""

from pathlib import Path

import boto3
import pytest

from imgdata.errors import Exit
from imgdata.testing.faulty_proxy import Fault, Request, Rule, Say, always, faulty_proxy
from imgdata.testing.servers import BUCKET, S3Server
from imgdata.testing.small_project import SmallProject, call, write_random_plate
from tests.journeys.conftest import OnS3

pytestmark = [pytest.mark.dvc, pytest.mark.server]


@pytest.mark.parametrize("folder", ["100%25 a+b", "Größe/a b"])
def test_plain_dvc_finds_what_lies_in_a_folder_with_an_odd_name(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path, folder: str
) -> None:
    project = on_s3(f"s3://{BUCKET}/{folder}", moto_s3.endpoint)
    source = write_random_plate(tmp_path / "new" / "P 1+ü%20#x")
    project.imgdata("add", "raw", source)
    project.imgdata("push", "raw")
    project.commit("Push")
    clone = project.clone(tmp_path / "clone")
    clone.dvc("pull", "-R", "data/raw")
    call(tmp_path, "diff", "-r", source, clone.root / "data" / "raw" / source.name)


def said(status: int, code: str, words: str = "No.") -> Say:
    text = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>"
    return Say(status, text.encode())


def wants(header: str, refusal: Say) -> Rule:
    """Refuse each new object that comes without a header; parts of one need none."""

    def rule(request: Request) -> Fault | None:
        makes = request.method == "PUT" and "partNumber" not in request.path
        return refusal if makes and header not in request.headers else None

    return rule


LOCK_WORDS = (
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests"
    " with Object Lock parameters"
)


def test_a_bucket_with_object_lock_is_told_and_gets_a_checksum_with_each_object(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    locked = wants("x-amz-checksum-sha256", said(400, "InvalidRequest", LOCK_WORDS))
    with faulty_proxy(moto_s3.port, locked) as proxy:
        project = on_s3(moto_s3.fresh_url(), proxy.endpoint, "--option", "object_lock=true")
        told = project.imgdata(
            "storage", "add", "other", moto_s3.fresh_url(), "--option",
            f"endpoint_url={proxy.endpoint}", check=False,
        )  # fmt: skip
        assert told.returncode == Exit.UNREACHABLE
        assert "--option object_lock=true" in told.stderr
        pushed_and_pulled(project, tmp_path)


def test_a_bucket_that_refuses_what_does_not_ask_for_encryption_is_asked(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    secretive = wants("x-amz-server-side-encryption", said(403, "AccessDenied"))
    with faulty_proxy(moto_s3.port, secretive) as proxy:
        project = on_s3(moto_s3.fresh_url(), proxy.endpoint, "--option", "sse=AES256")
        pushed_and_pulled(project, tmp_path)
        (project.root / "data" / "raw" / "note.txt").write_text("by plain dvc")
        project.dvc("add", "data/raw/note.txt")
        project.dvc("push", "-r", "lab", "data/raw/note.txt.dvc")


NO_DELETING = always(said(403, "AccessDenied"), "DELETE")


def test_a_bucket_where_nothing_may_be_erased_takes_data_and_is_counted(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    with faulty_proxy(moto_s3.port, NO_DELETING) as proxy:
        project = on_s3(moto_s3.fresh_url(), proxy.endpoint, "--option", "conditional_put=true")
        told = project.imgdata("storage", "test", "lab").stdout
        assert "lab: never erases it: permission denied" in told
        assert "nothing can be dropped from this storage" in told
        pushed_and_pulled(project, tmp_path)
        refused = project.imgdata("drop", "raw", "--from", "lab", "--yes", check=False)
        assert refused.returncode == Exit.REFUSED, "it is the only copy"
        for seed, unit in enumerate(("P2", "P3"), 2):
            write_random_plate(tmp_path / "new" / unit, seed=seed)
            project.imgdata("add", "raw", tmp_path / "new" / unit)
            project.imgdata("push", "raw", "--to", "lab", "--to", "archive")
            project.imgdata("drop", "raw", "--from", "archive", "--yes")
        denied = project.imgdata("drop", "raw", "--from", "lab", "--yes", check=False)
        assert denied.returncode == Exit.REFUSED
        assert "Traceback" not in denied.stderr


def test_restricted_data_go_to_a_bucket_where_nothing_may_be_erased(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    with faulty_proxy(moto_s3.port, NO_DELETING) as proxy:
        project = on_s3(moto_s3.fresh_url(), proxy.endpoint)
        settings = project.root / "imgdata.yaml"
        text = settings.read_text()
        assert "access: open" in text
        settings.write_text(text.replace("access: open", "access: restricted"))
        project.commit("Restrict")
        pushed_and_pulled(project, tmp_path)


def test_dropping_from_a_versioned_bucket_does_not_claim_free_space(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=moto_s3.endpoint,
        region_name="us-east-1",
        aws_access_key_id=moto_s3.access_key,
        aws_secret_access_key=moto_s3.secret_key,
    )
    client.create_bucket(Bucket="keeps-versions")
    rules = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket="keeps-versions", VersioningConfiguration=rules)
    project = on_s3("s3://keeps-versions/nf1", moto_s3.endpoint)
    pushed_and_pulled(project, tmp_path)
    project.imgdata("push", "raw", "--to", "archive")
    told = project.imgdata("drop", "raw", "--from", "lab", "--yes").stdout
    assert "no space is free yet: lab keeps erased objects as older versions" in told
    assert "kB free" not in told
    told = project.imgdata("push", "raw", "--to", "lab").stdout
    assert "4 objects sent" in told
    told = project.imgdata("drop", "raw", "--from", "archive", "--yes").stdout
    assert "kB free" in told


def pushed_and_pulled(project: SmallProject, tmp_path: Path) -> None:
    """Send a plate and bring it to two clones: by imgdata, and by plain dvc."""
    source = write_random_plate(tmp_path / "new" / "P1")
    project.imgdata("add", "raw", source)
    assert "arrival checked" in project.imgdata("push", "raw").stdout
    assert "4 were there" in project.imgdata("push", "raw").stdout
    project.commit("Push")
    for number, words in enumerate((("imgdata", "pull", "raw"), ("dvc", "pull", "-R", "data/raw"))):
        clone = project.clone(tmp_path / f"clone-{number}")
        call(clone.root, *words)
        call(tmp_path, "diff", "-r", source, clone.root / "data" / "raw" / "P1")
