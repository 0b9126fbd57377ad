"""What the small servers of this package share: an address on loopback, faults, byte ranges."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

Reply = tuple[int, Any, dict[str, str]]
"""Status, body (bytes, or what becomes JSON, or None) and headers of an answer."""


class Fault(Struct):
    """Something that goes wrong the next `times` times a request fits.

    Attributes:
        method: HTTP method.
        path: Regular expression for the path.
        status: Answered instead; 0 drops the connection.
        after: The request takes effect before the fault.
        headers: Of the answer.
        times: How often.
        cut: Bytes of the true answer's body that are sent before the connection is dropped.
    """

    method: str
    path: str
    status: int
    after: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    cut: int | None = None


class Request(Struct, frozen=True):
    """One request as a small server sees it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Sent(Struct, frozen=True):
    """Bytes of a file that were sent for one request; `range` is the header that asked."""

    path: str
    size: int
    range: str


class SmallSite:
    """A service's state and rules; `serve_site` gives it an address.

    Attributes:
        ranges: Whether parts of files are given; without, every answer is a whole file.
        sent: What was sent of files, request by request.
        date: The time the server tells, where it is not the true one.
    """

    def __init__(self) -> None:
        self.base = ""
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.sent: list[Sent] = []
        self.ranges = True
        self.date: datetime | None = None
        self.lock = threading.RLock()

    def reply(self, request: Request) -> Reply:
        """Answer one request, authorised or not."""
        raise NotImplementedError

    def fault_of(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request, and count it."""
        for fault in self.faults:
            if fault.method == method and fault.times and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, applies faults, sends the answer."""

    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # one packet an answer: two would wait for an acknowledgement
    site: SmallSite

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Tell the time, or the wrong one a test asked for."""
        if self.site.date is None:
            return super().date_time_string(timestamp)
        return self.site.date.strftime("%a, %d %b %Y %H:%M:%S GMT")

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        fault = self.site.fault_of(self.command, parts.path)
        size = int(self.headers.get("Content-Length") or 0)
        if fault is not None and fault.status == 0 and not fault.after and fault.cut is None:
            self._note(parts.path, parts.query, self.rfile.read(size // 2))
            self._drop()
            return
        request = self._note(parts.path, parts.query, self.rfile.read(size))
        reply: Reply = (500, None, {})
        if fault is None or fault.after or fault.cut is not None:
            with self.site.lock:
                reply = self._part(request, *self.site.reply(request))
        if fault is not None and fault.cut is not None:
            self._send(*reply, cut=fault.cut)
        elif fault is not None and fault.status == 0:
            self._drop()
        elif fault is not None:
            told = {"status": fault.status, "code": fault.status, "message": "a fault"}
            self._send(fault.status, told, fault.headers)
        else:
            self._send(*reply)

    def _note(self, path: str, query: str, body: bytes) -> Request:
        request = Request(self.command, path, query, dict(self.headers), body)
        self.site.requests.append(request)
        return request

    def _part(self, request: Request, status: int, body: Any, headers: dict[str, str]) -> Reply:  # noqa: ANN401 - JSON
        """Return the part of a file that was asked for, or the answer as it is."""
        if not isinstance(body, bytes) or status != 200:
            return status, body, headers
        asked = request.headers.get("Range", "")
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if self.site.ranges else None
        if found:
            start, end = int(found[1]), min(int(found[2] or len(body)), len(body) - 1)
            whole = len(body)
            status, body = 206, body[start : end + 1]
            headers = {**headers, "Content-Range": f"bytes {start}-{end}/{whole}"}
        self.site.sent.append(Sent(request.path, len(body), asked))
        return status, body, headers

    def _drop(self) -> None:
        """Cut the connection in the middle."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(
        self,
        status: int,
        body: Any,  # noqa: ANN401 - JSON
        headers: dict[str, str],
        cut: int | None = None,
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = b"" if body is None else data
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.wfile.flush()
            self._drop()

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - names of http.server


@contextmanager
def serve_site(site: SmallSite) -> Iterator[None]:
    """Serve on a free port of loopback until the block ends."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_args: None  # type: ignore[method-assign] # dropped connections
    site.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
