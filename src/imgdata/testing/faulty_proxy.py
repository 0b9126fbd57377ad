"""An HTTP proxy on loopback that breaks what a test tells it to break.

It stands between a client and a real server and passes everything on, except where its rule names
a fault for a request. Signed requests pass, because headers go through unchanged.
"""

import contextlib
import hashlib
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msgspec import Struct, field

SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
INTERNAL_ERROR = b"<Error><Code>InternalError</Code><Message>We failed.</Message></Error>"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}

Headers = list[tuple[str, str]]


class Request(Struct, frozen=True):
    """What a rule sees of a request.

    Attributes:
        number: Counts from 1.
        method: GET, PUT, ...
        path: With its query.
        size: Bytes of its body.
        headers: By lower-case names.
    """

    number: int
    method: str
    path: str
    size: int
    headers: Mapping[str, str]


class Drop(Struct, frozen=True):
    """Close the connection; the server never hears of the request."""


class DropAnswer(Struct, frozen=True):
    """Let the server do it, then close the connection without an answer."""


class Say(Struct, frozen=True):
    """Answer without asking the server."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Truncate(Struct, frozen=True):
    """Announce the whole body, send a part, close."""

    keep: int


class Lie(Struct, frozen=True):
    """Announce so many bytes more (or fewer) than are sent."""

    extra: int


class Delay(Struct, frozen=True):
    """Pass everything on, late."""

    seconds: float


class Lose(Struct, frozen=True):
    """Say that an upload is stored, with the right checksum, and forget it."""


class CorruptUpload(Struct, frozen=True):
    """Change one byte of what is sent to the server."""


class CorruptDownload(Struct, frozen=True):
    """Change one byte of what the server sends."""


class Edit(Struct, frozen=True):
    """Change headers and body of the server's answer."""

    change: Callable[[Headers, bytes], tuple[Headers, bytes]]


class Unannounced(Struct, frozen=True):
    """Send the answer without saying how long it is; closing the connection ends it."""


Fault = (
    Drop
    | DropAnswer
    | Say
    | Truncate
    | Lie
    | Delay
    | Lose
    | CorruptUpload
    | CorruptDownload
    | Edit
    | Unannounced
)
Rule = Callable[[Request], Fault | None]

SLOWLY = Say(503, SLOW_DOWN, (("Retry-After", "1"),))
BROKEN = Say(500, INTERNAL_ERROR)


def never(request: Request) -> None:
    """Pass everything on."""
    del request


def always(fault: Fault, *methods: str) -> Rule:
    """Apply the fault to all requests, or to those with one of the methods."""
    return lambda request: fault if not methods or request.method in methods else None


def every(count: int, fault: Fault, *methods: str) -> Rule:
    """Apply the fault to every so-manieth request among those with one of the methods."""
    seen = iter(range(1, 1 << 30))
    lock = threading.Lock()

    def rule(request: Request) -> Fault | None:
        if methods and request.method not in methods:
            return None
        with lock:
            return fault if next(seen) % count == 0 else None

    return rule


def first(count: int, fault: Fault, *methods: str) -> Rule:
    """Apply the fault to the first so many requests among those with one of the methods."""
    seen = iter(range(1, 1 << 30))
    lock = threading.Lock()

    def rule(request: Request) -> Fault | None:
        if methods and request.method not in methods:
            return None
        with lock:
            return fault if next(seen) <= count else None

    return rule


class FaultyProxy(Struct):
    """A running proxy; its rule may be changed at any time.

    Attributes:
        endpoint: Its url.
        rule: Says which request meets which fault.
        requests: What came so far.
    """

    endpoint: str
    rule: Rule
    requests: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, method: str, path: str, size: int, headers: Mapping[str, str]) -> Request:
        """Count a request."""
        with self._lock:
            request = Request(len(self.requests) + 1, method, path, size, headers)
            self.requests.append(request)
        return request


@contextmanager
def faulty_proxy(
    upstream_port: int, rule: Rule = never, tls: ssl.SSLContext | None = None
) -> Iterator[FaultyProxy]:
    """Run a proxy before a server on loopback until the block ends.

    Args:
        upstream_port: Where the server listens.
        rule: Says which request meets which fault.
        tls: Speak https to the client with this certificate.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    proxy = FaultyProxy(f"{scheme}://127.0.0.1:{server.server_port}", rule)
    server.proxy, server.upstream_port = proxy, upstream_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: FaultyProxy
    upstream_port: int

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # type: ignore[mutable-override]  # the only server it is used with

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it so
        """Say nothing."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = self.server.proxy.note(self.command, self.path, len(body), headers)
        fault = self.server.proxy.rule(request)
        match fault:
            case Drop():
                self.close_connection = True
            case Say(status, text, said):
                self._send(status, list(said), text)
            case Lose() if self.command == "PUT":
                etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
                self._send(200, [("ETag", f'"{etag}"')], b"")
            case _:
                self._pass_on(fault, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - the base names them so
    do_PROPFIND = do_MKCOL = do_MOVE = do_OPTIONS = _handle  # noqa: N815 - the same

    def _pass_on(self, fault: Fault | None, body: bytes) -> None:
        status, headers, answer = self._ask(_before(fault, body))
        match fault:
            case DropAnswer():
                self.close_connection = True
            case Truncate(keep):
                self._send(status, headers, answer[:keep], announced=len(answer))
                self.close_connection = True
            case Lie(extra):
                self._send(status, headers, answer, announced=max(0, len(answer) + extra))
                self.close_connection = True
            case CorruptDownload():
                self._send(status, headers, _changed(answer))
            case Edit(change):
                self._send(status, *change(headers, answer))
            case Unannounced():
                self._send_unannounced(status, headers, answer)
            case _:
                self._send(status, headers, answer)

    def _ask(self, body: bytes) -> tuple[int, Headers, bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=60)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            if self.command == "HEAD":
                return answer.status, answer.getheaders(), b""
            return answer.status, answer.getheaders(), answer.read()

    def _send(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        announced: int | None = None,
    ) -> None:
        head = self.command == "HEAD"
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP or (head and name.lower() == "content-length"):
                self.send_header(name, value)
        if not head:
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        if not head:
            self.wfile.write(body)

    def _send_unannounced(self, status: int, headers: Headers, body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True


def _before(fault: Fault | None, body: bytes) -> bytes:
    """Return what the server is sent, when it is time to send it."""
    if isinstance(fault, Delay):
        time.sleep(fault.seconds)
    return _changed(body) if isinstance(fault, CorruptUpload) else body


def _changed(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body
