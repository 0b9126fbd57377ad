"""Amazon S3 and what speaks like it: MinIO, Ceph, and many others."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from imgdata.errors import ImgdataError, InvalidProjectError, MachineError
from imgdata.model.urls import holds_secret
from imgdata.storage.answers import NETWORK, S3, explain
from imgdata.storage.aws import Account, find_account
from imgdata.storage.keys import key_fault
from imgdata.storage.object_store import STANDARD, Limits, ObjectStorage
from imgdata.storage.options import read_options

if TYPE_CHECKING:  # these names exist in obstore's stubs only
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Store

DEFAULT_REGION = "us-east-1"
RETRIES_OF_STRANGERS = 1
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
_SERVER = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[^\s\[\]/:@?#]+)(:\d+)?(/[^\s?#]*)?", re.IGNORECASE
)


class S3Settings(Struct, frozen=True):
    """What imgdata.yaml may say about an S3 storage.

    Attributes:
        endpoint_url: The server; without it Amazon's.
        region: The bucket's region; else that of environment or profile, else us-east-1.
        profile: Whose credentials in ~/.aws to use; else environment or default profile.
        path_style: `https://server/bucket` (usual for servers of one's own) or
            `https://bucket.server` (Amazon).
        ssl_verify: A file of certificates to trust, for servers of one's own; false checks none.
        allow_http: Nothing more: an endpoint that begins with `http://` says it already.
        anonymous: Send no credentials; for public buckets.
        storage_class: The class objects are written in; that of the bucket without one. GLACIER
            and DEEP_ARCHIVE are archive tiers, which give objects back only after hours.
        conditional_put: The server honours `If-None-Match`; without a word only Amazon does.
        object_lock: The bucket keeps every object for a time and wants a checksum with each;
            without a word only Amazon is sent one, for some servers refuse it.
        sse: How the server is asked to encrypt; a bucket may refuse what does not ask.
        sse_kms_key_id: With which key of its key store.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    path_style: bool | None = None
    ssl_verify: bool | str | None = None
    allow_http: bool | None = None
    anonymous: bool = False
    conditional_put: bool | None = None
    storage_class: str | None = None
    object_lock: bool | None = None
    sse: str | None = None
    sse_kms_key_id: str | None = None

    def protection(self, endpoint: str | None) -> "S3Config":
        """Return what is said of checksums and encryption with each object."""
        said: S3Config = {}
        if not endpoint if self.object_lock is None else self.object_lock:
            said["checksum_algorithm"] = "SHA256"
        if self.sse:
            said["server_side_encryption"] = self.sse
        if self.sse_kms_key_id:
            said["sse_kms_key_id"] = self.sse_kms_key_id
        return said


class Address(Struct, frozen=True):
    """A bucket and the folder in it."""

    bucket: str
    prefix: str


def open_s3(
    name: str,
    url: str,
    options: Mapping[str, object],
    project_root: Path,
    *,
    secrets: Mapping[str, str] | None = None,
) -> ObjectStorage:
    """Open `s3://bucket/prefix`. Finds the credentials; makes no request to the storage.

    A key pair among the secrets goes before profile and environment.
    """
    settings = read_options(S3Settings, name, options)
    if settings.sse not in (None, *ENCRYPTIONS):
        msg = f"storage '{name}': sse: {settings.sse} is no encryption that S3 knows"
        raise InvalidProjectError(msg, remedy=f"use one of {', '.join(ENCRYPTIONS)}")
    address = bucket_address(name, url)
    account = None if settings.anonymous else find_account(settings.profile, url, secrets)
    return connect(settings, address, account, project_root)


def connect(
    settings: S3Settings,
    address: Address,
    account: Account | None,
    project_root: Path,
    limits: Limits = STANDARD,
) -> ObjectStorage:
    """Return the storage for settings and credentials that were found before."""
    from imgdata.storage.s3_audience import (  # noqa: PLC0415 - loaded when a storage is opened
        Audience,
        ConditionalS3Storage,
        S3Storage,
    )

    endpoint = settings.endpoint_url or (account.endpoint_url if account else None)
    if endpoint:
        _refuse_endpoint(endpoint)
    region = settings.region or (account.region if account else None) or DEFAULT_REGION
    place = f"s3://{address.bucket}/{address.prefix}".rstrip("/")
    server = _Server(settings, address.bucket, endpoint, region, project_root)

    def explained(action: str, error: BaseException) -> ImgdataError:
        shown = f"{place} at {endpoint}" if endpoint else place
        return explain(S3 + NETWORK, shown, action, str(error))

    known = settings.conditional_put
    conditional = not endpoint if known is None else known
    kind = ConditionalS3Storage if conditional else S3Storage
    written_as = settings.storage_class or ""

    def opened_store() -> "S3Store":
        return server.store(account, limits.retries)

    opened = kind(opened_store, address.prefix, place, explained, limits, written_as)
    trusted = settings.ssl_verify
    opened.audience = Audience(
        store=lambda: server.store(None, retries=RETRIES_OF_STRANGERS),
        bucket=address.bucket,
        prefix=address.prefix,
        endpoint=endpoint,
        region=region,
        account=account,
        certificates=project_root / Path(trusted).expanduser()
        if isinstance(trusted, str)
        else None,
        is_checked=trusted is not False,
        explain=explained,
    )
    return opened


class _Server(Struct, frozen=True):
    """Where a bucket is, whoever asks for it."""

    settings: S3Settings
    bucket: str
    endpoint: str | None
    region: str
    project_root: Path

    def store(self, account: Account | None, retries: int) -> "S3Store":
        """Open the bucket with somebody's credentials, or without any."""
        from obstore.store import S3Store  # noqa: PLC0415 - loaded when a storage is opened

        endpoint = self.endpoint
        path_style = _path_style(self.settings, self.bucket, endpoint)
        config: S3Config = {
            "region": self.region,
            "virtual_hosted_style_request": not path_style,
            "disable_bulk_delete": True,
            "skip_signature": account is None,
            **self.settings.protection(endpoint),
        }
        if endpoint:
            config["endpoint"] = endpoint if path_style else _with_bucket(endpoint, self.bucket)
        return S3Store(
            self.bucket,
            config=config,
            client_options=client_options(
                endpoint, ssl_verify=self.settings.ssl_verify, project_root=self.project_root
            ),
            retry_config=retry_config(retries),
            credential_provider=account.provider if account else None,
        )


def bucket_address(name: str, url: str) -> Address:
    """Return bucket and prefix of `s3://bucket/prefix`; every letter counts, as to DVC and AWS.

    Raises:
        InvalidProjectError: There is no bucket, or a secret, or the prefix is no folder.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc or holds_secret(url):
        msg = f"storage '{name}': credentials do not belong in a url"
        raise InvalidProjectError(msg, remedy="keep them in ~/.aws and name the profile")
    prefix = parts.path.strip("/")
    fault = key_fault(prefix) if prefix else ""
    if parts.query or parts.fragment:
        fault = "it has a ? or a #, which no folder in a url may have"
    if not parts.netloc or fault:
        msg = f"storage '{name}': {url} is not {parts.scheme}://bucket/folder"
        raise InvalidProjectError(msg, cause=fault, remedy="correct the url in imgdata.yaml")
    return Address(parts.netloc, prefix)


def _refuse_endpoint(endpoint: str) -> None:
    """Stop where the transfer library would: it takes nothing but `http(s)://host[:port]`."""
    if holds_secret(endpoint) or "@" in endpoint:
        msg = "the endpoint_url of the server holds a name or a password"
        raise InvalidProjectError(msg, remedy="keep keys in ~/.aws and name the profile")
    if not _SERVER.fullmatch(endpoint):
        msg = f"the endpoint_url '{endpoint}' is not the url of a server"
        raise InvalidProjectError(msg, remedy="write it like https://server or http://server:9000")


def client_options(
    endpoint: str | None, *, ssl_verify: bool | str | None, project_root: Path
) -> "ClientConfig":
    """Return the options of the HTTP client.

    The time for one request must be enough for 64 MiB over a slow line (1 Mbit/s); a connection
    that does not come up fails much earlier.
    """
    options: ClientConfig = {
        "allow_http": bool(endpoint and endpoint.lower().startswith("http://")),
        "timeout": timedelta(minutes=15),
        "connect_timeout": timedelta(seconds=10),
        "user_agent": "imgdata",
    }
    if isinstance(ssl_verify, str):
        path = project_root / Path(ssl_verify).expanduser()
        try:
            options["root_certificate"] = path.read_bytes()
        except OSError as error:
            msg = f"the certificates in {path} cannot be read: {error.strerror}"
            raise MachineError(msg, remedy="correct ssl_verify in imgdata.yaml") from error
    elif ssl_verify is False:
        options["allow_invalid_certificates"] = True
    return options


def retry_config(retries: int) -> "RetryConfig":
    """Return when server errors, SlowDown and broken connections are tried again: ever later."""
    return {
        "max_retries": retries,
        "backoff": {
            "init_backoff": timedelta(milliseconds=200),
            "max_backoff": timedelta(seconds=10),
            "base": 2,
        },
        "retry_timeout": timedelta(minutes=3),
    }


def _path_style(settings: S3Settings, bucket: str, endpoint: str | None) -> bool:
    if settings.path_style is not None:
        return settings.path_style
    # A bucket with dots does not fit the certificate of *.s3.amazonaws.com.
    return bool(endpoint) or "." in bucket


def _with_bucket(endpoint: str, bucket: str) -> str:
    scheme, _, host = endpoint.partition("://")
    return f"{scheme}://{bucket}.{host}"
