"""A small BioStudies on loopback: sign-in, an account's space, checks of file lists, drafts."""

import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct, field

USER, PASSWORD = "ada@lab.example", "the-small-password"
SESSION = "the-small-session"


class SmallBioStudies(Struct):
    """The account's state.

    Attributes:
        files: What lies in the account's space, by path.
        folders: Folders that were made.
        drafts: Drafts by key.
        spoil: A file name of which half arrives.
        drop: How many next requests to create a draft are done but not answered.
        seen: Method and path of each request, with its session header.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    drafts: dict[str, dict[str, Any]] = field(default_factory=dict)
    spoil: str = ""
    drop: int = 0
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    base: str = ""

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes, kind: str
    ) -> tuple[int, Any]:
        """Answer a request of a signed-in account."""
        if path.startswith("/files/user"):
            return self._files(method, unquote(path[len("/files/user") :]).strip("/"), body, kind)
        if path.startswith("/folder/user"):
            above = unquote(path[len("/folder/user") :]).strip("/")
            self.folders.add(f"{above}/{query['folder'][0]}".strip("/"))
            return 200, None
        if path == "/submissions/fileLists/validate":
            return self._validate(parse_qs(body.decode()))
        if path == "/submissions/drafts" and method == "GET":
            return 200, [{"key": key, "content": one} for key, one in self.drafts.items()]
        if path == "/submissions/drafts":
            key = f"TMP_{len(self.drafts) + 1}"
            self.drafts[key] = json.loads(body)
            if self.drop:
                self.drop -= 1
                return 0, None
            return 200, {"key": key, "content": self.drafts[key], "modificationTime": "x"}
        found = re.fullmatch(r"/submissions/drafts/(\w+)", path)
        if found and found[1] in self.drafts and method == "PUT":
            self.drafts[found[1]] = json.loads(body)
            return 200, {"key": found[1], "content": self.drafts[found[1]], "modificationTime": "x"}
        return 404, _log("not found")

    def _files(self, method: str, folder: str, body: bytes, kind: str) -> tuple[int, Any]:
        if folder not in self.folders:
            return 400, _log(f"folder {folder} does not exist")
        if method == "POST":
            name, data = _form_file(body, kind)
            self.files[f"{folder}/{name}"] = data[: len(data) // 2] if name == self.spoil else data
            return 200, None
        below = {
            path: data for path, data in self.files.items() if path.rpartition("/")[0] == folder
        }
        return 200, [
            {
                "name": path.rpartition("/")[2],
                "path": f"user/{folder}",
                "size": len(d),
                "type": "FILE",
            }
            for path, d in below.items()
        ]

    def _validate(self, form: dict[str, list[str]]) -> tuple[int, Any]:
        root, name = form["rootPath"][0], form["fileListName"][0]
        text = self.files.get(f"{root}/{name}", b"").decode()
        rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
        if not rows or rows[0][0] != "Files":
            return 400, _log(f"{name} is not a file list")
        missing = [row[0] for row in rows[1:] if f"{root}/{row[0]}" not in self.files]
        return (
            (400, _log(*[f"file not found: {one}" for one in missing])) if missing else (200, None)
        )


def _log(*messages: str) -> dict[str, Any]:
    nodes = [{"level": "ERROR", "message": text, "subnodes": []} for text in messages]
    return {"status": "FAIL", "log": {"level": "ERROR", "message": "failed", "subnodes": nodes}}


def _form_file(body: bytes, kind: str) -> tuple[str, bytes]:
    parsed = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body
    )
    (part,) = parsed.iter_parts()
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return str(part.get_filename()), data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: SmallBioStudies

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        session = self.headers.get("X-SESSION-TOKEN")
        self.site.seen.append((self.command, path, session))
        if path == "/auth/login":
            given = json.loads(body)
            good = (given["login"], given["password"]) == (USER, PASSWORD)
            status: int = 200 if good else 401
            answer: Any = {"sessid": SESSION} if good else _log("Invalid")
        elif session != SESSION:
            status, answer = 401, _log("no session")
        else:
            kind = self.headers.get("Content-Type", "")
            status, answer = self.site.answer(self.command, path, parse_qs(parts.query), body, kind)
        if not status:
            self.close_connection = True
            return
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _chunks(self) -> bytes:
        found = bytearray()
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(found)

    do_GET = do_POST = do_PUT = _handle  # noqa: N815 - names of http.server


@contextmanager
def serve() -> Iterator[SmallBioStudies]:
    """Serve on a free port of loopback until the block ends."""
    site = SmallBioStudies()
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_args: None  # type: ignore[method-assign] # dropped connections
    site.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
