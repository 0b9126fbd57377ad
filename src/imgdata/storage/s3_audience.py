"""Who can read a bucket, by looking: without credentials, and at the bucket's own rules."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from msgspec import Struct
from obstore.store import S3Store

from imgdata.errors import ForbiddenError, ImgdataError
from imgdata.storage.object_store import FOREIGN, ConditionalObjectStorage, ObjectStorage

if TYPE_CHECKING:
    from imgdata.storage.aws import Account

OBJECTS = "files/md5"
STRANGERS = ("groups/global/AllUsers", "groups/global/AuthenticatedUsers")
READING = re.compile(r"(?i)\*|s3:\*|s3:(get\*?|list\*?|getobject.*|get\w*\*|listbucket.*)")
_SLOWLY = re.compile(r"status code: (429|503)|<Code>SlowDown</Code>")
_ANSWERED = re.compile(r"status code: [45]\d\d|<Code>")

Explain = Callable[[str, BaseException], ImgdataError]


class Audience(Struct, frozen=True):
    """Finds out who can read a bucket below a prefix.

    Attributes:
        store: Opens the bucket without credentials.
        bucket: Its name.
        prefix: The folder in it; empty for the whole bucket.
        endpoint: The server; None is Amazon's.
        region: The bucket's.
        account: Whose credentials may read the bucket's rules.
        certificates: A file of certificates to trust instead of the system's.
        is_checked: Whether certificates are looked at.
        explain: Turns the server's answer into our error.
    """

    store: Callable[[], S3Store]
    bucket: str
    prefix: str
    endpoint: str | None
    region: str
    account: "Account | None"
    certificates: Path | None
    is_checked: bool
    explain: Explain

    def server_time(self) -> datetime | None:
        """Return the time by the server's clock."""
        url = self.endpoint or f"https://s3.{self.region}.amazonaws.com/"
        from imgdata.system.server_clock import server_time  # noqa: PLC0415 - slow, rarely needed

        return server_time(url, certificates=self.certificates, is_checked=self.is_checked)

    def strangers_read(self, key: str) -> bool:
        """Tell whether anyone can read an object, or list the folder it lies in.

        Raises:
            StorageError: The server gave no answer to someone without credentials.
        """
        store, path = self.store(), f"{self.prefix}/{key}".lstrip("/")
        return self._answers(lambda: obstore.head(store, path)) or self._answers(
            lambda: next(iter(obstore.list(store, self.prefix or None)), None)
        )

    def _answers(self, ask: Callable[[], object]) -> bool:
        try:
            ask()
        except FileNotFoundError:
            return False
        except FOREIGN as error:
            told = str(error)
            is_refused = isinstance(error, PermissionError) or _ANSWERED.search(told)
            if is_refused and not _SLOWLY.search(told):
                return False
            action = "find out whether anyone can read"
            raise self.explain(action, error) from None
        return True

    def open_by_rules(self) -> str:
        """Say whether policy or access list open the bucket; empty where not, or hidden.

        Conditions of a policy are not weighed: whoever wrote `Principal: "*"` meant strangers.
        """
        client = self._client()
        return "" if client is None else next(_open_by_rules(client, self.bucket, self.prefix), "")

    def _client(self) -> Any | None:  # noqa: ANN401 - boto3 makes its classes when it runs
        if self.account is None:
            return None
        try:
            import boto3  # noqa: PLC0415 - slow to import, and only restricted data need it
        except ImportError:
            return None
        known = self.account.provider()
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=known["access_key_id"],
            aws_secret_access_key=known["secret_access_key"],
            aws_session_token=known["token"],
            verify=str(self.certificates) if self.certificates else self.is_checked,
        )


def _open_by_rules(client: Any, bucket: str, prefix: str) -> Iterator[str]:  # noqa: ANN401 - boto3
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as boto3

    hidden = (BotoCoreError, ClientError, ValueError)
    with suppress(*hidden):
        status = client.get_bucket_policy_status(Bucket=bucket).get("PolicyStatus", {})
        if status.get("IsPublic"):
            yield "its bucket policy makes it public"
    with suppress(*hidden):
        policy = json.loads(client.get_bucket_policy(Bucket=bucket).get("Policy", "null"))
        if policy_opens(policy, bucket, prefix):
            yield "its bucket policy lets anyone read it"
    with suppress(*hidden):
        for grant in client.get_bucket_acl(Bucket=bucket).get("Grants", []):
            if grant.get("Grantee", {}).get("URI", "").endswith(STRANGERS):
                yield "its access list names strangers"


def policy_opens(policy: object, bucket: str, prefix: str) -> bool:
    """Tell whether a bucket policy lets anyone read objects below a prefix."""
    statements = policy.get("Statement", []) if isinstance(policy, dict) else []
    if isinstance(statements, dict):
        statements = [statements]
    return any(_opens(one, bucket, prefix) for one in statements if isinstance(one, dict))


def _opens(statement: dict[str, Any], bucket: str, prefix: str) -> bool:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = principal.get("AWS")
    if statement.get("Effect") != "Allow" or "*" not in _texts(principal):
        return False
    if not any(READING.fullmatch(one) for one in _texts(statement.get("Action"))):
        return False
    return any(_covers(one, bucket, prefix) for one in _texts(statement.get("Resource", "*")))


def _covers(resource: str, bucket: str, prefix: str) -> bool:
    """Tell whether a resource of a policy and a prefix have objects in common."""
    path = resource.rpartition(":::")[2]
    start = re.split(r"[*?]", path)[0]
    ours = f"{bucket}/{prefix}".rstrip("/") + "/"
    is_open_ended = start != path
    return ours.startswith(start) if is_open_ended and len(start) < len(ours) else (
        start.startswith(ours) or path == bucket
    )  # fmt: skip


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


class _AsksServer(ObjectStorage):
    """What S3 can be asked beside objects."""

    audience: Audience

    def server_time(self) -> datetime | None:
        """Return the time by the server's clock."""
        return self.audience.server_time()

    def keeps_versions(self, key: str) -> bool:
        """Tell whether the bytes of an object stay there when it is erased: a versioned bucket."""
        with self._explained(f"look at {key}"):
            try:
                found = obstore.head(self._store, self._path(key))
            except FileNotFoundError:
                return False
        return found["version"] not in {None, "null"}

    def public_because(self, *, thoroughly: bool) -> str:
        """Say why anyone can read what is stored here; empty where nobody without rights can.

        Two or three requests. Thoroughly: where nothing is stored yet a probe is written, asked
        for without credentials and erased, and the bucket's own rules are read.
        """
        if self.audience.account is None:
            return "it is used without credentials"
        # One folder of many first: S3 lists a thousand objects to whoever wants one.
        folders = (f"{OBJECTS}/00", OBJECTS, "")
        found = next((one for folder in folders for one in self.list(folder)), None)
        if found is not None and self.audience.strangers_read(found.key):
            return "anyone can read it without credentials"
        if not thoroughly:
            return ""
        if (found is None or not found.key.startswith(OBJECTS)) and self._probe():
            return "anyone can read it without credentials"
        return self.audience.open_by_rules()

    def _probe(self) -> bool:
        data = secrets.token_bytes(16)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        key = f"{OBJECTS}/{md5[:2]}/{md5[2:]}"
        self.write(key, [data], len(data))
        try:
            return self.audience.strangers_read(key)
        finally:
            with suppress(ForbiddenError):  # it then stays: a few bytes that mean nothing
                self.erase(key)


class S3Storage(_AsksServer):
    """A bucket on a server that may ignore `If-None-Match`."""


class ConditionalS3Storage(_AsksServer, ConditionalObjectStorage):
    """A bucket on a server that honours `If-None-Match`."""
