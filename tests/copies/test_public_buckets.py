"""Buckets that anyone can read are found by looking, whatever imgdata.yaml or DVC say of them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from imgdata.testing.servers import BUCKET, S3Server, free_port, program, required, running
from tests.copies.conftest import Lab
from tests.copies.test_audit import only, said

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto without users: what is not signed is let in where an object's list of rights says so."""
    port = free_port()
    line = [program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with required("moto"), running(line, port, tmp_path_factory.mktemp("open"), {}):
        made = S3Server(f"http://127.0.0.1:{port}", "testing", "testing")
        client_of(made).create_bucket(Bucket=BUCKET)
        yield made


def client_of(server: S3Server) -> Any:
    """Return a client with the server's keys: boto3's own default remembers those of before."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )


def put_there(lab: Lab, server: S3Server, url: str) -> None:
    """Copy what the archive has to a bucket, readable by all, as a person may do at any time."""
    prefix = url.removeprefix(f"s3://{BUCKET}/")
    for path in lab.objects("archive"):
        key = f"{prefix}/files/md5/{path.parent.name}/{path.name}"
        client_of(server).put_object(
            Bucket=BUCKET, Key=key, Body=path.read_bytes(), ACL="public-read"
        )


@pytest.mark.parametrize("known", [True, False], ids=["in imgdata.yaml", "only in .dvc/config"])
def test_restricted_content_in_a_public_bucket_is_found(
    lab: Lab, server: S3Server, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    url = server.fresh_url()
    line = f'  bucket: {{url: "{url}", endpoint_url: "{server.endpoint}"}}\n'
    lab.edit_config("storages:\n", f"storages:\n{line}")
    lab.edit_config("{kind: own, access: open}",
                    "{kind: own, access: restricted, release_on: 2999-01-01}")  # fmt: skip
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add(count=2)
    lab.push("raw", to=("archive",))
    if not known:
        lab.edit_config(line, "")
    lab.share()
    assert said(lab) == {}
    put_there(lab, server, url)
    found = only(lab, "leaks")
    assert "on bucket (anyone can read it without credentials)" in found.what
    step = "imgdata drop raw --from bucket" if known else "edit bucket: erase it there by"
    assert step in found.next_step
