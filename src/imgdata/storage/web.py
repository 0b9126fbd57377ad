"""A web server that serves a DVC remote: read only, as public repositories often have it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
from msgspec import Struct

from imgdata.errors import (
    CredentialsError,
    ImgdataError,
    InvalidProjectError,
    NotListableError,
    StorageError,
)
from imgdata.model.objects import StoredObject
from imgdata.storage.answers import NETWORK, explain
from imgdata.storage.keys import check_key
from imgdata.storage.options import read_options
from imgdata.storage.streams import ended_early, no_object
from imgdata.system.credentials import find_password

CHUNK_BYTES = 1 << 20
ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
NO_HEAD = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
ATTEMPTS = 3


class WebSettings(Struct, frozen=True):
    """What imgdata.yaml may say about a web server.

    Attributes:
        user: Who logs in, where the server wants it; the password is in
            `IMGDATA_<NAME>_TOKEN` or the keyring.
        ssl_verify: A file of certificates to trust; false checks none.
    """

    user: str | None = None
    ssl_verify: bool | str | None = None


def open_web(
    name: str,
    url: str,
    options: Mapping[str, object],
    project_root: Path,
    *,
    secrets: Mapping[str, str] | None = None,
) -> "WebStorage":
    """Open `https://host/folder`. Makes no request."""
    settings = read_options(WebSettings, name, options)
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        problem = f"storage '{name}': its url is not {parts.scheme}://host/folder"
        remedy = f"name the user as 'user'; keep the password with: imgdata storage login {name}"
        raise InvalidProjectError(problem, remedy=remedy)
    known = (secrets or {}).get("password")
    password = find_password(name, known) if settings.user else None
    verify = settings.ssl_verify
    found = str(project_root / Path(verify).expanduser()) if isinstance(verify, str) else verify
    client = httpx.Client(
        auth=(settings.user, password) if settings.user and password else None,
        verify=True if found is None else found,
        follow_redirects=True,
        timeout=httpx.Timeout(60, connect=15),
        headers={"User-Agent": "imgdata", "Accept-Encoding": "identity"},
    )
    return WebStorage(name, url.rstrip("/"), client)


class WebStorage:
    """Reads objects below a url; a server that redirects is followed.

    It cannot list, so that many objects are asked for one by one.
    """

    def __init__(self, name: str, url: str, client: httpx.Client) -> None:
        self._name = name
        self._url = url
        self._client = client

    @property
    def description(self) -> str:
        """The url."""
        return self._url

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object, or None if there is none; reads it where the size is not told."""
        with self._answer("HEAD", key) as answer:
            size = answer.headers.get("Content-Length", "")
            if answer.status_code in ABSENT:
                return None
            if answer.status_code not in NO_HEAD and size.isdigit():
                self._require_good(answer, key)
                return StoredObject(key, int(size), None)
        with self._answer("GET", key) as answer:
            if answer.status_code in ABSENT:
                return None
            self._require_good(answer, key)
            size = answer.headers.get("Content-Length", "")
            counted = int(size) if size.isdigit() else sum(map(len, self._chunks(answer, key)))
            return StoredObject(key, counted, None)

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        """Open one object as chunks, in order."""
        with self._answer("GET", key) as answer:
            if answer.status_code in ABSENT:
                raise no_object(key, self._url)
            self._require_good(answer, key)
            yield self._chunks(answer, key)

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        """Refuse: a web server is only read.

        Raises:
            StorageError: Always.
        """
        del chunks, size
        problem = f"{key} was not sent: imgdata only reads from {self._url}"
        raise StorageError(problem, remedy=f"dvc can: dvc push -r {self._name}")

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Refuse: a web server tells of its files one by one.

        Raises:
            NotListableError: Always.
        """
        del under
        problem = f"{self._url} cannot list its objects"
        raise NotListableError(problem, remedy="ask for them one by one")

    @contextmanager
    def _answer(self, method: str, key: str) -> Iterator[httpx.Response]:
        request = self._client.build_request(method, f"{self._url}/{quote(check_key(key))}")
        answer = self._insist(request, key)
        try:
            yield answer
        finally:
            answer.close()

    def _insist(self, request: httpx.Request, key: str) -> httpx.Response:
        """Send a request, again after a dropped connection or a server's hiccup."""
        for left in reversed(range(ATTEMPTS)):
            try:
                answer = self._client.send(request, stream=True)
            except httpx.HTTPError as error:
                if left:
                    continue
                raise self._explained(key, error) from error
            failed = answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
            if not left or not failed or answer.status_code in NO_HEAD:
                return answer
            answer.close()
        raise AssertionError  # the last attempt returns or raises

    def _chunks(self, answer: httpx.Response, key: str) -> Iterator[bytes]:
        told = answer.headers.get("Content-Length", "")
        seen = 0
        try:
            for chunk in answer.iter_raw(CHUNK_BYTES):
                seen += len(chunk)
                yield chunk
        except httpx.RemoteProtocolError as error:
            seen = answer.num_bytes_downloaded
            raise ended_early(
                key, self._url, seen, int(told) if told.isdigit() else seen
            ) from error
        except httpx.HTTPError as error:
            raise self._explained(key, error) from error
        if told.isdigit() and seen < int(told):
            raise ended_early(key, self._url, seen, int(told))

    def _require_good(self, answer: httpx.Response, key: str) -> None:
        status = answer.status_code
        if status == HTTPStatus.OK:
            return
        problem = f"could not read {key} on {self._url}"
        if status in REFUSED:
            login = f"imgdata storage login {self._name}"
            remedy = f"name the 'user' of the storage, and keep its password with: {login}"
            cause = f"the server refuses it, or does not say that it is not there (HTTP {status})"
            raise CredentialsError(problem, cause=cause, remedy=remedy)
        raise StorageError(problem, cause=f"the server says HTTP {status}", remedy="try again")

    def _explained(self, key: str, error: httpx.HTTPError) -> ImgdataError:
        text = f"{type(error).__name__}: {error}"
        return explain(NETWORK, self._url, f"read {key}", text)
