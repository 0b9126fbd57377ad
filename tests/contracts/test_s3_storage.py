"""S3 on real servers."""

from pathlib import Path

import pytest

from imgdata.backends import open_storage
from imgdata.ports import CanWriteIfAbsent, Storage
from imgdata.storage.object_store import MEBIBYTE, Limits, ObjectStorage
from imgdata.storage.aws import find_account
from imgdata.storage.s3 import S3Settings, bucket_address, connect
from imgdata.testing.servers import S3Server
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
    reads_whole = False
    """The same with limits so low that everything big travels in parts and ranges."""

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
