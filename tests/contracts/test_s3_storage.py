"""S3 on real servers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from imgdata.backends import open_storage
from imgdata.errors import DamagedError, InvalidProjectError
from imgdata.ports import CanWriteIfAbsent, Storage
from imgdata.storage.aws import find_account
from imgdata.storage.object_store import MEBIBYTE, Limits, ObjectStorage, proven_md5
from imgdata.storage.s3 import Address, S3Settings, bucket_address, connect
from imgdata.testing.servers import BUCKET, S3Server
from imgdata.testing.storage import KEY, StorageContract, StorageMachine, fetch, keys, md5, store

pytestmark = pytest.mark.server


def opened(server: S3Server, monkeypatch: pytest.MonkeyPatch, **options: object) -> Storage:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    settings = {"endpoint_url": server.endpoint, **options}
    return open_storage("lab", server.fresh_url(), settings, Path("/"))


class TestS3OnMoto(StorageContract):
    @pytest.fixture
    def storage(self, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Storage:
        return opened(moto_s3, monkeypatch, conditional_put=True)


class TestS3OnRclone(StorageContract):
    @pytest.fixture
    def storage(self, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Storage:
        return opened(rclone_s3, monkeypatch)


class TestS3InPartsOnMoto(StorageContract):
    """The same with limits so low that everything big travels in parts and ranges."""

    reads_whole = False

    @pytest.fixture
    def storage(self, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Storage:
        return in_parts(moto_s3, monkeypatch)


def in_parts(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    low = Limits(
        single_put=1000, part=5 * MEBIBYTE, whole_read=1000, piece=100_000, memory=12 * MEBIBYTE
    )
    address = bucket_address("lab", server.fresh_url())
    account = find_account(None, "lab")
    return connect(S3Settings(server.endpoint), address, account, Path("/"), low)


def test_any_order_of_writes_and_reads_is_like_a_dict(
    moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class S3Machine(StorageMachine):
        @staticmethod
        def make_storage() -> Storage:
            return opened(moto_s3, monkeypatch, conditional_put=True)

    few = settings(max_examples=8, stateful_step_count=12, deadline=None)
    run_state_machine_as_test(S3Machine, settings=few)


def test_an_object_of_one_request_comes_back_with_its_md5(
    moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened(moto_s3, monkeypatch)
    assert store(storage, "any/name", b"hello").md5 == md5(b"hello")


def test_the_md5_in_a_name_is_proven_by_the_etag_alone(
    moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened(moto_s3, monkeypatch)
    digest = md5(b"hello")
    right, folder = (
        f"files/md5/{digest[:2]}/{digest[2:]}",
        f"files/md5/{digest[:2]}/{digest[2:]}.dir",
    )
    for key in (right, folder, KEY, "any/name"):
        store(storage, key, b"hello")
    described = {found.key: found.md5 for found in storage.list()}
    assert described == {right: digest, folder: digest, KEY: None, "any/name": None}
    seen = storage.stat(right)
    assert seen is not None
    assert seen.md5 == digest


def test_an_object_in_parts_has_no_md5_and_needs_little_memory(
    moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = in_parts(moto_s3, monkeypatch)
    assert storage.write(KEY, [b"x" * MEBIBYTE] * 11, 11 * MEBIBYTE).md5 is None
    assert md5(fetch(storage, KEY)) == md5(b"x" * 11 * MEBIBYTE)


def test_a_source_that_breaks_in_parts_leaves_no_parts(
    moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 6 * MEBIBYTE
        raise DamagedError("the source is damaged")  # noqa: EM101 - stands for any source

    storage = in_parts(moto_s3, monkeypatch)
    with pytest.raises(DamagedError, match="the source is damaged"):
        storage.write(KEY, broken(), 11 * MEBIBYTE)
    assert keys(storage) == []
    client = boto3.client(
        "s3",
        endpoint_url=moto_s3.endpoint,
        region_name="us-east-1",
        aws_access_key_id=moto_s3.access_key,
        aws_secret_access_key=moto_s3.secret_key,
    )
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET)


def test_more_than_a_thousand_objects_are_listed(
    rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened(rclone_s3, monkeypatch)
    expected = [f"{number:04d}" for number in range(1300)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store(storage, f"many/{key}", b""), expected))
    assert keys(storage, "many") == [f"many/{key}" for key in expected]


def test_objects_lie_below_the_prefix_where_plain_dvc_finds_them(
    rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened(rclone_s3, monkeypatch)
    store(storage, KEY, b"hello")
    assert rclone_s3.folder is not None
    prefix = storage.description.removeprefix(f"s3://{BUCKET}/")
    assert (rclone_s3.folder / prefix / KEY).read_bytes() == b"hello"


def test_a_server_without_conditional_writes_does_not_pretend(
    rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not isinstance(opened(rclone_s3, monkeypatch), CanWriteIfAbsent)
    assert isinstance(opened(rclone_s3, monkeypatch, conditional_put=True), CanWriteIfAbsent)


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///x",
        "s3://bucket/a/../b",
        "s3://bucket/x?y=1",
        "s3://key:secret@bucket/x",
        "s3://key:a/secret@bucket/x",
        "s3://key:a?secret@bucket/x",
    ],
)
def test_a_url_that_is_no_bucket_is_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(InvalidProjectError) as caught:
        bucket_address("lab", url)
    assert "secret" not in caught.value.problem


@pytest.mark.parametrize("folder", ["a b/c", "a%20b", "100%", "ü+1", "a=b&c"])
def test_a_folder_of_a_url_is_taken_letter_by_letter_as_dvc_takes_it(folder: str) -> None:
    assert bucket_address("lab", f"s3://bucket/{folder}/") == Address("bucket", folder)


@pytest.mark.parametrize(
    "endpoint",
    ["minio.lab:9000", "127.0.0.1:9000", "ftp://minio.lab", "http://", "https://[a", "https://a b"],
)
def test_an_endpoint_that_is_no_server_is_a_sentence(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidProjectError) as caught:
        connect(S3Settings(endpoint_url=endpoint, anonymous=True), Address("b", ""), None, tmp_path)
    assert endpoint in caught.value.problem


def test_an_encryption_that_s3_does_not_know_is_a_sentence() -> None:
    with pytest.raises(InvalidProjectError, match="sse: rot13") as caught:
        open_storage("lab", "s3://b/x", {"sse": "rot13", "anonymous": True}, Path("/"))
    assert "AES256, aws:kms" in caught.value.remedy


def test_an_endpoint_with_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    settings = S3Settings(endpoint_url="https://ada:s3cret@minio.lab", anonymous=True)
    with pytest.raises(InvalidProjectError) as caught:
        connect(settings, Address("b", ""), None, tmp_path)
    assert "s3cret" not in f"{caught.value.problem} {caught.value.cause} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("etag", "key", "data", "expected"),
    [
        (None, "k", b"", None),
        ('"abc-2"', "k", b"", None),
        (f'"{md5(b"x").upper()}"', "k", b"x", md5(b"x")),
        (md5(b"y"), "k", b"x", None),
        (md5(b"y"), f"files/md5/{md5(b'y')[:2]}/{md5(b'y')[2:]}", None, md5(b"y")),
        (md5(b"y"), f"files/md5/{md5(b'x')[:2]}/{md5(b'x')[2:]}", None, None),
    ],
)
def test_an_etag_is_an_md5_only_where_that_is_proven(
    etag: str | None, key: str, data: bytes | None, expected: str | None
) -> None:
    assert proven_md5(etag, key, data) == expected
