"""A small Figshare on loopback: articles, the upload service, and faults.

Tests validate every request and answer below `/v2` against Figshare's OpenAPI description.
"""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from imgdata.testing.small_inveniordm import Fault

TOKEN = "the-small-figshares-token"  # noqa: S105 - of a server that lives as long as a test
PART = 700
MOMENT = "2026-11-20T10:00:00Z"
CATEGORY = {
    "id": 11,
    "title": "Cell Biology",
    "parent_id": 1,
    "path": "/1/11",
    "source_id": "310102",
    "taxonomy_id": 10,
    "is_selectable": True,
    "has_children": False,
}
LICENSES = [
    {"value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"},
    {"value": 2, "name": "CC0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"},
]


@dataclass
class Exchange:
    """One request and its answer, for validation."""

    method: str
    path: str
    query: str
    body: bytes
    status: int
    answer: bytes


@dataclass
class _File:
    number: int
    name: str
    size: int
    md5: str
    parts: dict[int, bytes] = field(default_factory=dict)
    status: str = "created"

    @property
    def data(self) -> bytes:
        """Return what has arrived."""
        return b"".join(self.parts[number] for number in sorted(self.parts))

    @property
    def count(self) -> int:
        """Return the number of parts."""
        return max(1, -(-self.size // PART))


@dataclass
class _Article:
    number: int
    body: dict[str, Any]
    files: dict[int, _File] = field(default_factory=dict)
    doi: str = ""
    version: int = 0
    status: str = "draft"
    gone: bool = False


class SmallFigshare:
    """The service's state."""

    def __init__(self) -> None:
        self.articles: dict[int, _Article] = {}
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.sent_parts: list[str] = []
        self.tokens_at_parts: list[str | None] = []
        self.base = ""
        self.lock = threading.RLock()
        self.spoil = False
        self._next = 1000

    def number(self) -> int:
        """Return the next free number."""
        self._next += 1
        return self._next

    @property
    def live(self) -> list[_Article]:
        """Return the articles that were not deleted."""
        return [article for article in self.articles.values() if not article.gone]

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Answer a request below `/v2`."""
        if (method, path) == ("GET", "/account/licenses"):
            return 200, LICENSES
        if (method, path) == ("GET", "/account/categories"):
            return 200, [CATEGORY]
        if path == "/account/articles":
            return self._articles(method, body)
        found = re.fullmatch(r"/account/articles/(\d+)(/.*)?", path)
        article = self.articles.get(int(found[1])) if found else None
        if found is None or article is None or article.gone:
            return 404, {"code": 404, "message": "Article not found"}
        return self._article(article, method, found[2] or "", body)

    def _articles(self, method: str, body: bytes) -> tuple[int, Any]:
        if method == "GET":
            return 200, [self._short(article) for article in reversed(self.live)]
        given = json.loads(body)
        if len(given.get("title", "")) < 3:
            return 400, {"code": 400, "message": "title is too short"}
        article = _Article(self.number(), given)
        self.articles[article.number] = article
        return 201, {
            "entity_id": article.number,
            "location": f"{self.base}/v2/account/articles/{article.number}",
            "warnings": [],
        }

    def _article(self, article: _Article, method: str, rest: str, body: bytes) -> tuple[int, Any]:
        if rest.startswith("/files"):
            return self._files(article, method, rest, body)
        if (method, rest) == ("PUT", ""):
            article.body, article.status = json.loads(body), "draft"
            return 205, None
        if (method, rest) == ("DELETE", ""):
            article.gone = True
            return 204, None
        if (method, rest) == ("POST", "/reserve_doi"):
            article.doi = f"10.6084/m9.figshare.{article.number}"
            return 200, {"doi": article.doi}
        if (method, rest) == ("POST", "/publish"):
            return self._publish(article)
        if (method, rest) == ("POST", "/private_links"):
            link = f"{self.base}/s/secret"
            return 201, {"location": link, "html_location": link, "token": "secret"}
        if (method, rest) == ("PUT", "/embargo"):
            return 205, None
        return 200, self._whole(article)

    def _publish(self, article: _Article) -> tuple[int, Any]:
        if not article.files or any(f.status != "available" for f in article.files.values()):
            return 400, {"code": 400, "message": "files are missing"}
        article.version += 1
        article.status = "public"
        article.doi = f"10.6084/m9.figshare.{article.number}.v{article.version}"
        return 201, {"location": f"{self.base}/v2/articles/{article.number}"}

    def _files(self, article: _Article, method: str, rest: str, body: bytes) -> tuple[int, Any]:
        found = re.fullmatch(r"/files(?:/(\d+))?", rest)
        number = int(found[1]) if found and found[1] else 0
        if not number:
            if method == "GET":
                return 200, [self._file(one) for one in article.files.values()]
            given = json.loads(body)
            made = _File(self.number(), given["name"], given["size"], given["md5"])
            article.files[made.number] = made
            article.status = "draft"
            location = f"{self.base}/v2/account/articles/{article.number}/files/{made.number}"
            return 201, {"location": location}
        one = article.files.get(number)
        if one is None:
            return 404, {"code": 404, "message": "File not found"}
        if method == "DELETE":
            del article.files[number]
            article.status = "draft"
            return 204, None
        if method == "POST":
            one.status = "available" if len(one.parts) == one.count else "ic_failure"
            return 202, None
        return 200, self._file(one)

    def part(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Answer a request to the upload service."""
        found = re.fullmatch(r"/upload/(\d+)(?:/(\d+))?", path)
        one = None
        for article in self.live:
            one = article.files.get(int(found[1])) if found and one is None else one
        if found is None or one is None:
            return 404, {"code": 404, "message": "no such upload"}
        if method == "PUT":
            self.sent_parts.append(path)
            one.parts[int(found[2])] = body[:-1] + b"?" if self.spoil else body
            return 200, None
        parts = [
            {
                "partNo": number,
                "startOffset": (number - 1) * PART,
                "endOffset": min(number * PART, one.size) - 1,
                "status": "COMPLETE" if number in one.parts else "PENDING",
                "locked": False,
            }
            for number in range(1, one.count + 1)
        ]
        return 200, {
            "token": "t",
            "md5": one.md5,
            "size": one.size,
            "name": one.name,
            "status": "PENDING",
            "parts": parts if one.size else [],
        }

    def _file(self, one: _File) -> dict[str, Any]:
        done = one.status == "available"
        md5 = hashlib.md5(one.data, usedforsecurity=False).hexdigest() if done else ""
        return {
            "id": one.number,
            "name": one.name,
            "size": one.size,
            "status": one.status,
            "is_link_only": False,
            "download_url": f"{self.base}/files/{one.number}",
            "supplied_md5": one.md5,
            "computed_md5": md5,
            "upload_url": f"{self.base}/upload/{one.number}",
            "upload_token": "t",
            "viewer_type": "",
            "preview_state": "",
            "is_attached_to_public_version": False,
        }

    def _short(self, article: _Article) -> dict[str, Any]:
        page = f"{self.base}/articles/{article.number}"
        moments = {
            "firstOnline": MOMENT,
            "publisherPublication": MOMENT,
            "publisherAcceptance": MOMENT,
            "posted": MOMENT,
            "submission": MOMENT,
            "revision": MOMENT,
        }
        return {
            "id": article.number,
            "title": article.body["title"],
            "doi": article.doi,
            "handle": "",
            "url": page,
            "url_public_html": page,
            "url_public_api": page,
            "url_private_html": page,
            "url_private_api": page,
            "timeline": moments,
            "thumb": "",
            "defined_type": 3,
            "defined_type_name": "dataset",
            "resource_doi": "",
            "resource_title": "",
            "created_date": MOMENT,
        }

    def _whole(self, article: _Article) -> dict[str, Any]:
        return {
            **self._short(article),
            "account_id": 1,
            "curation_status": "approved" if article.status == "public" else "",
            "status": article.status,
            "version": article.version,
            "description": article.body.get("description", ""),
            "keywords": article.body.get("keywords", []),
            "tags": article.body.get("keywords", []),
            "is_public": article.version > 0,
            "files": [],
            "authors": [],
            "custom_fields": [],
            "embargo_options": [],
            "download_disabled": False,
            "figshare_url": "",
            "folder_structure": {},
            "categories": [],
            "citation": "",
            "confidential_reason": "",
            "embargo_reason": "",
            "embargo_title": "",
            "funding": "",
            "funding_list": [],
            "has_linked_file": False,
            "is_confidential": False,
            "is_embargoed": False,
            "is_metadata_record": False,
            "license": LICENSES[0],
            "metadata_reason": "",
            "references": [],
            "size": 0,
            "embargo_date": MOMENT,
            "embargo_type": "file",
            "related_materials": [],
        }


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, applies faults, sends the answer."""

    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    site: SmallFigshare

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def _fault(self, path: str) -> Fault | None:
        for fault in self.site.faults:
            if fault.method == self.command and fault.times and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        fault = self._fault(parts.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = 500, None
        if fault is None or fault.after:
            with self.site.lock:
                status, answer = self._route(parts.path, body)
        if fault is not None:
            status, answer = fault.status, {"code": fault.status, "message": "a fault"}
        if status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = b"" if answer is None else json.dumps(answer).encode()
        if fault is None and parts.path.startswith("/v2/"):
            self.site.exchanges.append(
                Exchange(self.command, parts.path[3:], parts.query, body, status, data)
            )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _route(self, path: str, body: bytes) -> tuple[int, Any]:
        if path.startswith("/upload/"):
            self.site.tokens_at_parts.append(self.headers.get("Authorization"))
            return self.site.part(self.command, path, body)
        if self.headers.get("Authorization") != f"token {TOKEN}":
            return 403, {"code": 403, "message": "Invalid token"}
        return self.site.answer(self.command, path.removeprefix("/v2"), body)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - names of http.server


@contextmanager
def serve() -> Iterator[SmallFigshare]:
    """Serve on a free port of loopback until the block ends."""
    site = SmallFigshare()
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
