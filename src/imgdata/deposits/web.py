"""The one way to speak HTTP with a repository: retries that cannot do harm, no leaks.

- GET, PUT and DELETE are repeated after a dropped connection or a 5xx answer. POST is not: it
  may have worked. After 429 everything is repeated, for the server says it did nothing.
- A token goes to the address it belongs to, over TLS (loopback excepted). Only GET follows
  redirects, and one to another host loses the token.
- What a server says is cut, stripped of markup and control characters, and searched for the
  token before it becomes part of a message.
"""

import email.utils
import html
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from msgspec import Struct, field

from imgdata.errors import (
    CredentialsError,
    MachineError,
    NothingFoundError,
    StorageError,
    UsageError,
)
from imgdata.system.credentials import Token, variable
from imgdata.system.installing import install_line

if TYPE_CHECKING:
    import httpx

Json = Any
LARGEST_ANSWER = 256 * 1024 * 1024
LONGEST_MESSAGE = 600
_DAY = 24 * 3600.0
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
_OK, _PARTIAL, _UNAUTHORISED, _FORBIDDEN, _NOT_FOUND, _GONE = 200, 206, 401, 403, 404, 410
_TOO_LARGE, _TOO_MANY, _SERVER = 413, 429, 500


class Patience(Struct, frozen=True):
    """How often and how long to try again.

    Attributes:
        tries: Attempts in all.
        first_wait: Seconds before the second attempt; doubled each time.
        longest_wait: Seconds; a server that asks for more is not waited for.
        timeout: Seconds without a byte before a connection counts as dropped.
        sleep: Waits.
    """

    tries: int = 5
    first_wait: float = 1.0
    longest_wait: float = 300.0
    timeout: float = 120.0
    sleep: Callable[[float], None] = time.sleep


PATIENT = Patience()


class Answer(Struct, frozen=True):
    """What a server answered: status, parsed JSON (None when it is none), headers."""

    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


class AnswerError(StorageError):
    """A server answered with a failure that the connector may want to translate.

    Attributes:
        status: The HTTP status.
        messages: What the server said, cleaned.
    """

    kind = "answer"

    def __init__(self, problem: str, status: int, messages: tuple[str, ...]) -> None:
        super().__init__(problem, cause="\n".join(messages))
        self.status = status
        self.messages = messages


class UnclearError(StorageError):
    """A request that must not be repeated got no clear answer."""

    kind = "unclear-answer"


def plain(text: object) -> str:
    """Return a server's words without markup and control characters, cut to a length."""
    stripped = html.unescape(re.sub(r"<[^>]{0,2000}>", " ", str(text)[:20_000]))
    words = "".join(c if c.isprintable() else " " for c in stripped).split()
    return " ".join(words)[:LONGEST_MESSAGE]


def import_httpx() -> Any:  # noqa: ANN401 - a module
    """Return httpx, or say which extra brings it."""
    try:
        import httpx  # noqa: PLC0415 - an optional extra, and slow to import
    except ImportError as error:
        msg = "the part of imgdata that speaks with data repositories is not installed"
        raise MachineError(msg, remedy=install_line("imgdata[deposits]")) from error
    return httpx


class Web:
    """One service below one address."""

    def __init__(
        self,
        base: str,
        *,
        token: Token | None = None,
        scheme: str = "Bearer",
        header: str = "Authorization",
        headers: Mapping[str, str] | None = None,
        patience: Patience = PATIENT,
    ) -> None:
        self.base = base.rstrip("/")
        self.token = token
        self.patience = patience
        self._scheme = scheme
        self._header = header
        # Only `Authorization` is dropped on the way to another host.
        self._follow = header == "Authorization"
        self._headers = {"User-Agent": "imgdata", **(headers or {})}
        self._httpx = import_httpx()
        self._client_now: httpx.Client | None = None
        self._making = threading.Lock()
        host = self._httpx.URL(self.base).host
        if token is not None and not self.base.startswith("https://") and host not in _LOOPBACK:
            msg = f"a token is not sent to {self.base} without encryption"
            raise UsageError(msg, remedy="write the address with https://")

    def __repr__(self) -> str:
        return f"Web({self.base!r})"

    @property
    def service(self) -> str:
        """The host, for messages."""
        return str(self._httpx.URL(self.base).netloc.decode()) or "the server"

    @property
    def _client(self) -> "httpx.Client":
        # Several threads may ask first; a client too many would never be closed.
        with self._making:
            if self._client_now is None:
                self._client_now = self._new_client()
                # Who forgets to close leaves no connection open.
                weakref.finalize(self, self._client_now.close)
            return self._client_now

    def _new_client(self) -> "httpx.Client":
        secret = f"{self._scheme} {self.token.secret}".strip() if self.token else ""
        authorised = {self._header: secret} if secret and self._header else {}
        found: httpx.Client = self._httpx.Client(
            headers={**self._headers, **authorised},
            timeout=self._httpx.Timeout(self.patience.timeout, connect=30.0),
            follow_redirects=False,
        )
        # Who forgets to close leaves no connection open.
        weakref.finalize(self, found.close)
        return found

    def close(self) -> None:
        """Close the connections."""
        if self._client_now is not None:
            self._client_now.close()
            self._client_now = None

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Read; repeated on trouble, redirects followed."""
        return self._call("GET", path, params=params, repeat=True)

    def post(self, path: str, body: Json = None) -> Answer:
        """Ask for something that may not be asked twice."""
        return self._call("POST", path, json=body, repeat=False)

    def post_form(
        self, path: str, fields: Mapping[str, str], params: Mapping[str, str | int] | None = None
    ) -> Answer:
        """Ask with a form for something that may be asked twice; repeated on trouble."""
        return self._call("POST", path, data=dict(fields), params=params, repeat=True)

    def post_file(self, path: str, field: str, name: str, stream: BinaryIO) -> Answer:
        """Send one file as a form, streamed; sent again from its beginning on trouble."""
        files = {field: (name, stream, "application/octet-stream")}
        return self._call("POST", path, files=files, repeat=True)

    def put(self, path: str, body: Json) -> Answer:
        """Replace something; repeated on trouble."""
        return self._call("PUT", path, json=body, repeat=True)

    def delete(self, path: str) -> Answer:
        """Remove something; repeated on trouble."""
        return self._call("DELETE", path, repeat=True)

    def send(self, path: str, chunks: Callable[[], Iterator[bytes]], size: int) -> Answer:
        """PUT bytes once, streamed; the caller decides about another attempt."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        return self._call("PUT", path, content=chunks, headers=headers, repeat=False)

    def _url(self, path: str) -> str:
        return path if path.startswith(("http://", "https://")) else self.base + path

    def _call(
        self,
        method: str,
        path: str,
        *,
        repeat: bool,
        content: Callable[[], Iterator[bytes]] | None = None,
        **options: Json,
    ) -> Answer:
        """Send one request, waiting and repeating as the rules above allow."""
        wait = self.patience.first_wait
        for attempt in range(1, self.patience.tries + 1):
            last = attempt == self.patience.tries
            if content is not None:
                options["content"] = content()
            try:
                answer = self._once(method, self._url(path), options)
            except self._httpx.TransportError as error:
                if last or not repeat:
                    raise self._unreachable(error) from error
                self.patience.sleep(wait)
                wait *= 2
                continue
            asked = _retry_after(answer) if answer.status == _TOO_MANY else None
            if answer.status == _TOO_MANY and not last:
                self.patience.sleep(self._bounded(asked, wait))
            elif answer.status >= _SERVER and repeat and not last:
                self.patience.sleep(wait)
            else:
                return self._judged(answer, repeat=repeat)
            wait *= 2
        raise AssertionError  # the last attempt returns or raises

    def _once(self, method: str, url: str, options: dict[str, Json]) -> Answer:
        options = {k: v for k, v in options.items() if v is not None}
        follow = method == "GET" and self._follow
        with self._client.stream(method, url, follow_redirects=follow, **options) as response:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > LARGEST_ANSWER:
                    msg = f"{self.service} answers with more than {LARGEST_ANSWER} bytes"
                    raise StorageError(msg)
            return Answer(response.status_code, _parsed(response, bytes(data)), response.headers)

    def _bounded(self, asked: float | None, wait: float) -> float:
        seconds = wait if asked is None else asked
        if seconds > self.patience.longest_wait:
            msg = f"{self.service} asks to wait {seconds:.0f} seconds before the next request"
            raise StorageError(msg, remedy="run the same command later; it goes on from there")
        return max(0.0, seconds)

    def _unreachable(self, error: Exception) -> UnclearError:
        said = self.clean(error) or type(error).__name__
        service = self.service
        if not self._httpx.URL(self.base).host and isinstance(error, self._httpx.RequestError):
            service = error.request.url.netloc.decode()
        return UnclearError(
            f"{service} cannot be reached, or the connection was dropped",
            cause=said,
            remedy="run the same command again; it goes on from there",
        )

    def clean(self, said: object) -> str:
        """Return words of a server or library without markup and without the token."""
        text = plain(said)
        return self.token.hide_in(text) if self.token else text

    def _judged(self, answer: Answer, *, repeat: bool) -> Answer:
        """Return a success; turn anything else into our errors."""
        status = answer.status
        messages = tuple(self.clean(line) for line in complaints(answer.body))
        if _OK <= status < 300:  # noqa: PLR2004 - the HTTP class of successes
            return answer
        if status in {_UNAUTHORISED, _FORBIDDEN}:
            raise self._refused(messages)
        if status == _NOT_FOUND:
            msg = f"{self.service} does not know what was asked for"
            raise NothingFoundError(msg, cause="\n".join(messages))
        if status == _GONE:
            msg = f"{self.service} has removed what was asked for"
            raise NothingFoundError(msg, cause="\n".join(messages) or f"HTTP {status}")
        if status >= _SERVER and not repeat:
            msg = f"{self.service} answers with HTTP {status}; whether it did it is not known"
            raise UnclearError(msg, cause="\n".join(messages))
        msg = f"{self.service} answers with HTTP {status}"
        raise AnswerError(msg, status, messages)

    def _refused(self, messages: tuple[str, ...]) -> CredentialsError:
        if self.token is None:
            msg = f"{self.service} does not give this without an account"
            return CredentialsError(msg, cause="\n".join(messages))
        return CredentialsError(
            f"{self.service} refuses the token for '{self.token.name}'",
            cause="\n".join(
                (
                    *messages,
                    (
                        "it may be expired, of another account, of the sandbox instead of "
                        "production, or lack a scope (Zenodo: deposit:write and deposit:actions)"
                    ),
                )
            ),
            remedy=f"make a new token, then: imgdata storage login {self.token.name} "
            f"(or set {variable(self.token.name)})",
        )

    def refuse_wrong_clock(self, answer: Answer) -> None:
        """Stop where this machine's clock is days off the server's.

        Raises:
            MachineError: Dates of publication and embargo would be wrong.
        """
        ahead = clock_difference(answer)
        if abs(ahead) > _DAY:
            msg = f"this machine's clock is {abs(ahead) / _DAY:.0f} days off {self.service}'s"
            raise MachineError(
                msg,
                cause="dates of publication and embargo would be wrong",
                remedy="set the clock, then run the same command again",
            )

    def about(self, url: str) -> Mapping[str, str]:
        """Return the headers of a file by HEAD; none where the server does not tell.

        Raises:
            NothingFoundError: There is no such file.
        """
        try:
            with self._client.stream(
                "HEAD",
                self._url(url),
                headers={"Accept": "*/*", "Accept-Encoding": "identity"},
                follow_redirects=True,
            ) as response:
                if response.status_code == _NOT_FOUND:
                    msg = f"{self.service} does not know {plain(url)}"
                    raise NothingFoundError(msg)
                return response.headers if response.is_success else {}
        except self._httpx.TransportError as error:
            raise self._unreachable(error) from error

    def final_address(self, path: str) -> str:
        """Return where an address leads in the end; reads nothing of it."""
        try:
            with self._client.stream("GET", self._url(path), follow_redirects=True) as response:
                if response.status_code == _NOT_FOUND:
                    msg = f"{self.service} does not know {path.lstrip('/')}"
                    raise NothingFoundError(msg)
                return str(response.url)
        except self._httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _opened(self, url: str, headers: Mapping[str, str]) -> "httpx.Response":
        """Send a GET for bytes, when the server wants it; the body is not read yet."""
        address = self._httpx.URL(url)
        request = self._client.build_request("GET", address, headers=headers)
        if address.host != self._httpx.URL(self.base).host:
            request.headers.pop("Authorization", None)
        wait = self.patience.first_wait
        for attempt in range(1, self.patience.tries + 1):
            try:
                response = self._client.send(request, stream=True, follow_redirects=True)
            except self._httpx.TransportError as error:
                raise self._unreachable(error) from error
            if response.status_code != _TOO_MANY or attempt == self.patience.tries:
                return response
            response.close()
            asked = _retry_after(Answer(response.status_code, None, response.headers))
            self.patience.sleep(self._bounded(asked, wait))
            wait *= 2
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def stream(self, url: str, start: int, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """Open a file's bytes from an offset on; one request, redirects followed.

        A token is not sent to another host than the service's own.

        Raises:
            AnswerError: Status 200 where 206 was needed: the server cannot begin there.
        """
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        is_part = bool(start) or length is not None
        if is_part:
            end = "" if length is None else start + length - 1
            headers["Range"] = f"bytes={start}-{end}"
        response = self._opened(self._url(url), headers)
        try:
            if response.is_error:
                response.read()
                self._judged(Answer(response.status_code, _parsed(response)), repeat=True)
            if is_part and not _begins_at(response, start):
                msg = f"{self.service} cannot begin in the middle of a file"
                raise AnswerError(msg, response.status_code, ())
            # Small pieces: what a dropped connection brought is kept.
            yield response.iter_raw(1 << 16)
        except self._httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            response.close()


def _begins_at(response: "httpx.Response", start: int) -> bool:
    said = response.headers.get("Content-Range", "")
    return response.status_code == _PARTIAL and said.startswith(f"bytes {start}-")


def _parsed(response: "httpx.Response", data: bytes | None = None) -> Json:
    """Return an answer's JSON; for anything else its text."""
    import msgspec  # noqa: PLC0415 - with httpx, only when a service is spoken with

    content = response.content if data is None else data
    try:
        return msgspec.json.decode(content) if content else None
    except (msgspec.DecodeError, RecursionError):
        return content[:LARGEST_ANSWER].decode("utf-8", "replace")


def _retry_after(answer: Answer) -> float | None:
    """Return the seconds a server asks to wait, by its own clock where it names a time."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    until = _http_date(said)
    if until is None:
        return None
    # Its own Date, not ours: clocks differ.
    now = _http_date(answer.headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def clock_difference(answer: Answer) -> float:
    """Return by how many seconds this machine's clock is ahead of the server's (0: not told)."""
    said = _http_date(answer.headers.get("Date", ""))
    return (datetime.now(UTC) - said).total_seconds() if said else 0.0


def complaints(body: Json) -> list[str]:
    """Return what an answer complains about: `errors`, `message`, or its text."""
    if isinstance(body, str):
        return [body] if body.strip() else []
    if not isinstance(body, dict):
        return []
    found = field_errors(body) or _logged(body.get("log"))
    return found or [str(body[key]) for key in ("message", "error") if body.get(key)]


def _logged(node: Json) -> list[str]:
    """Return the errors of BioStudies' tree of remarks."""
    if not isinstance(node, dict):
        return []
    below = node.get("subnodes")
    lines = [line for one in (below if isinstance(below, list) else []) for line in _logged(one)]
    own = [str(node["message"])] if node.get("level") == "ERROR" and node.get("message") else []
    return lines or own


def field_errors(body: Json) -> list[str]:
    """Return the `errors` of an answer as `field: message`; InvenioRDM sends them with 200 too."""
    listed = body.get("errors") if isinstance(body, dict) else None
    lines: list[str] = []
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            said = item.get("messages") or [item.get("message", "")]
            text = "; ".join(str(one) for one in said) if isinstance(said, list) else str(said)
            lines.append(f"{item.get('field', '')}: {text}".strip(": "))
        else:
            lines.append(str(item))
    return lines
