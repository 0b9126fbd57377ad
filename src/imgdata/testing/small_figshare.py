"""A small Figshare on loopback: articles, the upload service, and faults.

Tests validate every request and answer below `/v2` against Figshare's OpenAPI description.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from msgspec import Struct, field

from imgdata.testing.small_site import Reply, Request, SmallSite, serve_site

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


class Exchange(Struct):
    """One request and its answer, for validation."""

    method: str
    path: str
    query: str
    body: bytes
    status: int
    answer: bytes


class _File(Struct):
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


class _Article(Struct):
    number: int
    body: dict[str, Any]
    files: dict[int, _File] = field(default_factory=dict)
    doi: str = ""
    version: int = 0
    versions: dict[int, tuple[_File, ...]] = field(default_factory=dict)
    status: str = "draft"
    embargo: dict[str, Any] = field(default_factory=dict)
    gone: bool = False


def _public(file: dict[str, Any]) -> dict[str, Any]:
    """Return a file as the public sees it."""
    private = {"status", "upload_url", "upload_token", "viewer_type", "preview_state"}
    kept = {key: value for key, value in file.items() if key not in private}
    return {**kept, "mimetype": "application/octet-stream"}


def _author(name: str) -> dict[str, Any]:
    return {
        "id": 1,
        "full_name": name,
        "first_name": name.partition(" ")[0],
        "last_name": name.rpartition(" ")[2],
        "is_active": True,
        "is_public": True,
        "url_name": "_",
        "orcid_id": "",
        "group_id": 0,
        "institution_id": 0,
        "job_title": "",
    }


class SmallFigshare(SmallSite):
    """The service's state."""

    def __init__(self) -> None:
        super().__init__()
        self.articles: dict[int, _Article] = {}
        self.exchanges: list[Exchange] = []
        self.sent_parts: list[str] = []
        self.tokens_at_parts: list[str | None] = []
        self.spoil = False
        self.breaks = False
        self.quota = 10**9
        self._next = 1000

    def reply(self, request: Request) -> Reply:
        """Answer a request, and keep it for validation where the description covers it."""
        status, body = self._route(request)
        if request.path.startswith("/v2/"):
            data = b"" if body is None else json.dumps(body).encode()
            path = request.path.removeprefix("/v2")
            self.exchanges.append(
                Exchange(request.method, path, request.query, request.body, status, data)
            )
        return status, body, {}

    def _route(self, request: Request) -> tuple[int, Any]:
        token = request.headers.get("Authorization")
        if request.path.startswith("/upload/"):
            self.tokens_at_parts.append(token)
            return self.part(request.method, request.path, request.body)
        if request.method == "GET" and not request.path.startswith("/v2/account"):
            return self.public(request.path, parse_qs(request.query))
        if token != f"token {TOKEN}":
            return 403, {"code": 403, "message": "Invalid token"}
        return self.answer(request.method, request.path.removeprefix("/v2"), request.body)

    def public(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """Answer what anybody may ask: the files of published versions, and their bytes."""
        found = re.fullmatch(r"/v2/articles/(\d+)/versions/(\d+)/files", path)
        article = self.articles.get(int(found[1])) if found else None
        if found and article is not None and int(found[2]) in article.versions:
            size, page = (int(query.get(name, ["1"])[0]) for name in ("page_size", "page"))
            files = [_public(self._file(one)) for one in article.versions[int(found[2])]]
            return 200, files[(page - 1) * size : page * size]
        if found := re.fullmatch(r"/files/(\d+)", path):
            for one in (f for a in self.live for version in a.versions.values() for f in version):
                if one.number == int(found[1]):
                    return 200, one.data
        return 404, {"code": 404, "message": "Entity not found: article"}

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
        if rest == "/embargo":
            article.embargo = json.loads(body) if method == "PUT" else {}
            return 205 if method == "PUT" else 204, None
        return 200, self._whole(article)

    def _publish(self, article: _Article) -> tuple[int, Any]:
        if not article.files or any(f.status != "available" for f in article.files.values()):
            return 400, {"code": 400, "message": "files are missing"}
        article.version += 1
        article.versions[article.version] = tuple(article.files.values())
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
            if sum(one.size for one in article.files.values()) + given["size"] > self.quota:
                return 422, {"code": 422, "message": "Storage quota exceeded"}
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
            is_whole = len(one.parts) == (one.count if one.size else 0) and not self.breaks
            one.status = "available" if is_whole else "ic_failure"
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
            "authors": [_author(one["name"]) for one in article.body.get("authors", [])],
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
            "is_embargoed": article.embargo.get("is_embargoed", False),
            "is_metadata_record": False,
            "license": next(
                one for one in LICENSES if one["value"] == article.body.get("license", 1)
            ),
            "metadata_reason": "",
            "references": [],
            "size": 0,
            "embargo_date": article.embargo.get("embargo_date", MOMENT),
            "embargo_type": "file",
            "related_materials": [],
        }


@contextmanager
def serve() -> Iterator[SmallFigshare]:
    """Serve on a free port of loopback until the block ends."""
    site = SmallFigshare()
    with serve_site(site):
        yield site
