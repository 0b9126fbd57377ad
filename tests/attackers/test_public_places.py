"""A storage is public when strangers can read it, whatever imgdata.yaml says of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imgdata.storage.s3_audience import policy_opens
from imgdata.testing.faulty_proxy import Drop, faulty_proxy
from imgdata.testing.servers import BUCKET, S3Server, required
from tests.attackers.vault import RULE, Vault

SOME = f"s3://{BUCKET}"
STRANGERS = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}


def policy(**changes: object) -> str:
    statement = {**STRANGERS, "Resource": f"arn:aws:s3:::{BUCKET}/*", **changes}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("changes", "is_open"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}}, True),
        ({"Action": ["s3:PutObject", "s3:*"]}, True),
        ({"Action": "*"}, True),
        ({"Action": "s3:Get*"}, True),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/nf1/*"}, True),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/nf1/files/*"}, True),
        ({"Resource": [f"arn:aws:s3:::{BUCKET}/n*"]}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, True),
        ({"Effect": "Deny"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}}, False),
        ({"Action": "s3:PutObject"}, False),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/other/*"}, False),
        ({"Resource": "arn:aws:s3:::another/*"}, False),
    ],
)
def test_a_policy_is_read_as_the_server_reads_it(changes: dict[str, object], is_open: bool) -> None:
    assert policy_opens(json.loads(policy(**changes)), BUCKET, "nf1") is is_open


@pytest.mark.parametrize("text", ["[]", "null", '"x"', '{"Statement": ["x", null, {}]}'])
def test_a_policy_that_is_none_opens_nothing(text: str) -> None:
    assert not policy_opens(json.loads(text), BUCKET, "nf1")


def add_s3(vault: Vault, server: S3Server, prefix: str, options: str = "") -> None:
    vault.edit(
        '  second: {url: "../second"}\n',
        f'  second: {{url: "{SOME}/{prefix}", endpoint_url: "{server.endpoint}"{options}}}\n',
    )
    vault.apply()
    vault.share()


def push(vault: Vault, plate: str) -> tuple[int, str]:
    answer = vault.imgdata("push", "raw", "--select", f"plate={plate}", "--to", "second")
    return answer.status, answer.said


@pytest.fixture
def moto(moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3

    for name, value in moto_s3.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client(
        "s3", endpoint_url=moto_s3.endpoint, region_name="us-east-1",
        aws_access_key_id=moto_s3.access_key, aws_secret_access_key=moto_s3.secret_key,
    )  # fmt: skip
    yield client
    client.delete_bucket_policy(Bucket=BUCKET)
    client.put_bucket_acl(Bucket=BUCKET, ACL="private")


def keys(client: Any, prefix: str) -> list[str]:
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", [])
    return [one["Key"] for one in found if not one["Key"].endswith("imgdata-project.json")]


@pytest.mark.server
def test_a_bucket_nobody_else_reads_takes_restricted_data(
    vault: Vault, moto_s3: S3Server, moto: Any
) -> None:
    add_s3(vault, moto_s3, "private")
    status, said = push(vault, "P1")
    assert status == 0, said
    assert len(keys(moto, "private")) == 4, "three images and their list"


@pytest.mark.server
@pytest.mark.parametrize("how", ["policy of the bucket", "policy of the prefix", "access list"])
def test_a_bucket_that_its_rules_open_is_public(
    vault: Vault, moto_s3: S3Server, moto: Any, how: str
) -> None:
    prefix = how.replace(" ", "-")
    match how:
        case "access list":
            moto.put_bucket_acl(Bucket=BUCKET, ACL="authenticated-read")
        case "policy of the bucket":
            moto.put_bucket_policy(Bucket=BUCKET, Policy=policy())
        case _:
            resource = f"arn:aws:s3:::{BUCKET}/{prefix}/files/*"
            moto.put_bucket_policy(Bucket=BUCKET, Policy=policy(Resource=resource))
    add_s3(vault, moto_s3, prefix)
    status, said = push(vault, "P1")
    assert status == 5, said
    assert RULE in said
    assert "its bucket policy" in said or "access list" in said or "anyone can read it" in said
    assert keys(moto, prefix) == []
    status, said = push(vault, "P9")
    assert status == 0, said
    assert len(keys(moto, prefix)) == 4, "three images and their list"


@contextmanager
def open_server(folder: Path) -> Iterator[S3Server]:
    """An S3 server that asks nobody who they are."""
    from imgdata.testing import servers

    port = servers.free_port()
    bucket = folder / "served" / BUCKET
    bucket.mkdir(parents=True)
    line = [servers.program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    with servers.running([*line, str(bucket.parent)], port, folder, {"RCLONE_CONFIG": "/dev/null"}):
        yield S3Server(f"http://127.0.0.1:{port}", "anybody-at-all", "nothing", folder=bucket)


@pytest.mark.server
def test_a_server_that_lets_anybody_read_is_public(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with required("rclone"), open_server(tmp_path / "open") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        add_s3(vault, server, "open", ", public: false")
        status, said = push(vault, "P1")
        assert status == 5, said
        assert RULE in said
        assert "anyone can read it without credentials" in said
        assert server.folder is not None
        names = {path.name for path in server.folder.rglob("*") if path.is_file()}
        assert names == {"imgdata-project.json"}  # the probe is gone too
        assert push(vault, "P9")[0] == 0


@pytest.mark.server
def test_a_server_that_knows_its_people_is_not(
    vault: Vault, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in rclone_s3.environment.items():
        monkeypatch.setenv(name, value)
    add_s3(vault, rclone_s3, "known")
    status, said = push(vault, "P1")
    assert status == 0, said


@pytest.mark.server
def test_an_alias_of_a_public_bucket_is_found_by_its_marker(
    vault: Vault, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another endpoint of the same server: nothing in the urls is the same."""
    for name, value in rclone_s3.environment.items():
        monkeypatch.setenv(name, value)
    with faulty_proxy(rclone_s3.port) as proxy:
        vault.edit(
            '  world: {url: "../world", public: true}\n',
            f'  world: {{url: "{SOME}/alias", endpoint_url: "{proxy.endpoint}", public: true}}\n',
        )
        add_s3(vault, rclone_s3, "alias")
        status, said = push(vault, "P1")
    assert status == 5, said
    assert RULE in said
    assert "the same place as 'world'" in said


@pytest.mark.server
def test_a_look_that_is_not_answered_is_no_permission(
    vault: Vault, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests without credentials get no answer at all; with them all is well."""
    for name, value in rclone_s3.environment.items():
        monkeypatch.setenv(name, value)
    with faulty_proxy(
        rclone_s3.port, lambda asked: None if "authorization" in asked.headers else Drop()
    ) as proxy:
        server = S3Server(proxy.endpoint, rclone_s3.access_key, rclone_s3.secret_key)
        add_s3(vault, server, "silent")
        status, said = push(vault, "P1")
    assert status == 4, said
    assert "could not find out whether anyone can read" in said
    assert rclone_s3.folder is not None
    assert not list((rclone_s3.folder / "silent").rglob("files/md5/*/*"))


@pytest.mark.server
def test_open_data_do_not_wait_for_the_look(
    vault: Vault, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in rclone_s3.environment.items():
        monkeypatch.setenv(name, value)
    with faulty_proxy(
        rclone_s3.port, lambda asked: None if "authorization" in asked.headers else Drop()
    ) as proxy:
        server = S3Server(proxy.endpoint, rclone_s3.access_key, rclone_s3.secret_key)
        add_s3(vault, server, "quiet")
        status, said = push(vault, "P9")
    assert status == 0, said
