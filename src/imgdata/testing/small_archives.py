"""A small web server on loopback for places public data are read from, and what they answer.

`serve()` gives a server without content; `figshare`, `dryad`, `bioimage_archive`, `idr`, `bbbc` and
`resolver` fill it with one record each, as the service answers for it. Tests validate what Figshare
and Dryad say against their own descriptions.
"""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from msgspec import Struct, field

from imgdata.testing.small_figshare import Exchange

MOMENT = "2026-11-20T10:00:00Z"
DRYAD_TOKEN = "the-small-dryads-token"  # noqa: S105 - of a server that lives as long as a test
FIGSHARE_PAGE = 10


class Request(Struct):
    """One request as it came."""

    method: str
    path: str
    start: int
    authorization: str | None


class SmallArchive(Struct):
    """The server's content and what it was asked.

    Attributes:
        files: Bytes by path; served with ranges, HEAD and an ETag.
        answers: JSON or text by path; a list of pages is answered by `page` and `page_size`.
        needs_token: Paths below these need `Authorization`.
        cut_after: Bytes after which the connection is dropped, once, by path.
        stall: Paths whose bytes stop coming in the middle until the server ends.
        seen: All requests.
        exchanges: JSON requests and answers.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    needs_token: dict[str, str] = field(default_factory=dict)
    cut_after: dict[str, int] = field(default_factory=dict)
    stall: set[str] = field(default_factory=set)
    stalled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    seen: list[Request] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    base: str = ""

    def fetched(self) -> list[str]:
        """Return the paths of files whose bytes were asked for, in order."""
        return [one.path for one in self.seen if one.method == "GET" and one.path in self.files]

    def answer(self, path: str, query: Mapping[str, list[str]]) -> object:
        """Return the JSON or text of a path, None where there is nothing."""
        found = self.answers.get(path)
        return found(query) if callable(found) else found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: SmallArchive

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        site, said = self.site, self.headers.get("Range", "")
        start = int(said[6:-1]) if said else 0
        token = self.headers.get("Authorization")
        site.seen.append(Request(self.command, parts.path, start, token))
        for prefix, wanted in site.needs_token.items():
            if parts.path.startswith(prefix) and token != wanted:
                self._send(401, b'{"error": "unauthorized"}', "application/json")
                return
        if parts.path in site.files:
            self._send_file(parts.path, start, ranged=bool(said))
            return
        body = site.answer(parts.path, parse_qs(parts.query))
        kind = "text/html" if isinstance(body, str) else "application/json"
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        status = 404 if body is None else 200
        if kind == "application/json":
            site.exchanges.append(
                Exchange(self.command, parts.path, parts.query, b"", status, data)
            )
        self._send(status, data if body is not None else b'{"error": "not found"}', kind)

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _send_file(self, path: str, start: int, *, ranged: bool) -> None:
        data = self.site.files[path]
        rest = data[start:]
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", f'"{hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]}"')
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.site.cut_after.pop(path, None)
        if cut is None and path not in self.site.stall:
            self.wfile.write(rest)
            return
        self.wfile.write(rest[: cut if cut is not None else len(rest) // 2])
        self.wfile.flush()
        if path in self.site.stall:
            self.site.stalled.set()
            self.site.ended.wait()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_HEAD = _handle  # noqa: N815 - names of http.server


@contextmanager
def serve() -> Iterator[SmallArchive]:
    """Serve on a free port of loopback until the block ends."""
    site = SmallArchive()
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
        site.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def figshare(site: SmallArchive, files: dict[str, bytes], version: int = 1) -> str:
    """Publish article 22233700 in a version; a name with a folder is told as Figshare tells it."""
    number = 22233700
    listed, folders = [], {}
    for index, (path, data) in enumerate(sorted(files.items()), start=version * 10_000):
        folder, _, name = path.rpartition("/")
        site.files[f"/files/{index}"] = data
        folders.update({str(index): folder} if folder else {})
        listed.append(
            {
                "id": index,
                "name": name,
                "size": len(data),
                "is_link_only": False,
                "download_url": f"{site.base}/files/{index}",
                "supplied_md5": _md5(data),
                "computed_md5": _md5(data),
            }
        )
    where = f"/v2/articles/{number}"
    versions = site.answers.setdefault(f"{where}/versions", [])
    versions.append({"version": version, "url": f"{site.base}{where}/versions/{version}"})
    site.answers[f"{where}/versions/{version}"] = {
        **_figshare_article(site, number, version),
        "files": listed[:FIGSHARE_PAGE],
        "folder_structure": folders,
    }
    site.answers[f"{where}/versions/{version}/files"] = lambda query: _page(listed, query)
    return str(number)


def _page(listed: list[Any], query: Mapping[str, list[str]]) -> list[Any]:
    page = int(query.get("page", ["1"])[0])
    size = int(query.get("page_size", [str(FIGSHARE_PAGE)])[0])
    return listed[(page - 1) * size : page * size]


_EMPTY_TEXTS = (
    "handle",
    "thumb",
    "resource_doi",
    "resource_title",
    "description",
    "citation",
    "confidential_reason",
    "embargo_reason",
    "embargo_title",
    "funding",
    "metadata_reason",
)
_EMPTY_LISTS = (
    "categories",
    "funding_list",
    "keywords",
    "tags",
    "references",
    "custom_fields",
    "embargo_options",
    "related_materials",
)
_NOT_SO = (
    "has_linked_file",
    "is_confidential",
    "is_embargoed",
    "is_metadata_record",
    "download_disabled",
)
_PAGES = (
    "url",
    "url_private_api",
    "url_private_html",
    "url_public_api",
    "url_public_html",
    "figshare_url",
)


def _figshare_article(site: SmallArchive, number: int, version: int) -> dict[str, Any]:
    author = {"id": 1, "full_name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace"}
    return {
        **dict.fromkeys(_EMPTY_TEXTS, ""),
        **dict.fromkeys(_NOT_SO, False),
        **{name: [] for name in _EMPTY_LISTS},
        **dict.fromkeys(_PAGES, f"{site.base}/articles/dataset/Cell_Painting/{number}"),
        "id": number,
        "title": "Schwann cells <script>alert(1)</script>",
        "doi": f"10.6084/m9.figshare.{number}.v{version}",
        "timeline": {},
        "defined_type": 3,
        "defined_type_name": "dataset",
        "created_date": MOMENT,
        "published_date": MOMENT,
        "is_public": True,
        "status": "public",
        "size": 1,
        "version": version,
        "license": {
            "value": 1,
            "name": "CC BY 4.0",
            "url": "https://creativecommons.org/licenses/by/4.0/",
        },
        "authors": [{**author, "is_active": True, "url_name": "Ada_Lovelace", "orcid_id": ""}],
    }


def dryad(site: SmallArchive, files: dict[str, bytes], version: int = 26724) -> str:
    """Publish 10.5061/dryad.small in a version whose bytes need the token; return the DOI."""
    doi = "10.5061/dryad.small"
    dataset = f"/api/v2/datasets/{quote(f'doi:{doi}', safe='')}"
    links = {
        "self": {"href": dataset},
        "stash:versions": {"href": f"{dataset}/versions"},
        "stash:version": {"href": f"/api/v2/versions/{version}"},
        "stash:download": {"href": f"{dataset}/download"},
    }
    said = {
        "title": "Schwann cells",
        "authors": [{"firstName": "Ada", "lastName": "Lovelace", "email": "ada@lab.example"}],
        "abstract": "Cells.",
        "versionNumber": version - 26723,
        "versionStatus": "submitted",
        "curationStatus": "Published",
        "publicationDate": "2026-01-02",
        "lastModificationDate": "2026-01-02",
        "visibility": "public",
    }
    site.answers[dataset] = {
        **said,
        "_links": links,
        "identifier": f"doi:{doi}",
        "id": 1,
        "storageSize": sum(map(len, files.values())),
        "license": "https://spdx.org/licenses/CC0-1.0.html",
    }
    of = {"stash:dataset": {"href": dataset}, "self": {"href": f"/api/v2/versions/{version}"}}
    site.answers[f"/api/v2/versions/{version}"] = {**said, "_links": of}
    listed = []
    for index, (name, data) in enumerate(sorted(files.items()), start=version * 100):
        path = f"/api/v2/files/{index}/download"
        site.files[path] = data
        listed.append(
            {
                "_links": {
                    "self": {"href": f"/api/v2/files/{index}"},
                    "stash:download": {"href": path},
                },
                "path": name,
                "size": len(data),
                "mimeType": "image/tiff",
                "status": "created",
                "digest": hashlib.sha256(data).hexdigest(),
                "digestType": "sha-256",
            }
        )
    site.answers[f"/api/v2/versions/{version}/files"] = lambda query: _hal(listed, query)
    site.needs_token["/api/v2/files/"] = f"Bearer {DRYAD_TOKEN}"
    return doi


def _hal(listed: list[Any], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Answer a page of two."""
    page = int(query.get("page", ["1"])[0])
    part = listed[(page - 1) * 2 : page * 2]
    link = {"href": "/api/v2/versions/1/files"}
    return {
        "_links": dict.fromkeys(("self", "first", "last"), link),
        "count": len(part),
        "total": len(listed),
        "_embedded": {"stash:files": part},
    }


def bioimage_archive(
    site: SmallArchive, files: dict[str, bytes], *, forwarded: bool = False
) -> str:
    """Publish S-BIAD634 with a file list, and a folder that is kept zipped."""
    accession = "S-BIAD634"
    root = f"/biostudies/fire/S-BIAD/634/{accession}"
    for name, data in files.items():
        site.files[f"{root}/Files/{quote(name)}"] = data
    site.files[f"{root}/Files/embryo.zarr.zip"] = b"a zipped folder"
    listed = [
        {
            "path": name,
            "size": len(data),
            "type": "file",
            "attributes": [{"name": "Well", "value": "B03"}],
        }
        for name, data in files.items()
    ]
    listed.append({"path": "embryo.zarr", "size": 0, "type": "directory", "attributes": []})
    site.answers[f"{root}/Files/filelist.json"] = listed
    study = {
        "accno": accession,
        "attributes": [
            {"name": "Title", "value": "Embryos"},
            {"name": "ReleaseDate", "value": "2025-06-01"},
            {"name": "DOI", "value": f"10.6019/{accession}"},
        ],
        "section": {
            "type": "Study",
            "attributes": [{"name": "License", "value": "CC BY 4.0"}],
            "subsections": [
                {"type": "Author", "attributes": [{"name": "Name", "value": "Ada Lovelace"}]},
                {
                    "type": "Study Component",
                    "attributes": [{"name": "File List", "value": "filelist.json"}],
                },
            ],
        },
    }
    api = f"/biostudies/api/v1/studies/{accession}"
    forward = f"{site.base}{root}/"
    site.answers[api] = {"ftpHttp_link": forward} if forwarded else study
    site.answers[f"{root}/{accession}.json"] = study
    site.answers[f"{api}/info"] = {
        "files": len(listed),
        "httpLink": f"{site.base}{root}",
        "ftpLink": f"ftp://127.0.0.1{root}",
        "isPublic": True,
        "relPath": f"S-BIAD/634/{accession}",
        "hasZippedFolders": True,
        "views": 0,
        "released": 1748736000000,
        "modified": 1748736000000,
    }
    return accession


def folder(site: SmallArchive, path: str, files: dict[str, bytes]) -> None:
    """Serve a folder as the page of links a web server makes of it."""
    below: dict[str, set[str]] = {path: set()}
    for name, data in files.items():
        site.files[f"{path}{quote(name)}"] = data
        here = path
        *folders, last = name.split("/")
        for part in folders:
            below[here].add(f"{quote(part)}/")
            here = f"{here}{quote(part)}/"
            below.setdefault(here, set())
        below[here].add(quote(last))
    for here, links in below.items():
        lines = "".join(f'<a href="{link}">x</a>' for link in ["?C=N;O=D", "../", *sorted(links)])
        site.answers[here] = f"<html>{lines}</html>"


def idr(site: SmallArchive, files: dict[str, bytes]) -> str:
    """Publish idr0033: its folder, its screen in OMERO and the annotations of that."""
    name = "idr0033-rohban-pathways"
    root = "/pub/databases/IDR/"
    folder(site, f"{root}{name}/", files)
    names = [f"{name}/", "idr0034-kilpinen-hipsci/"]
    site.answers[root] = "".join(f'<a href="{one}">x</a>' for one in names)
    site.answers["/webclient/"] = "<html></html>"
    screens = [
        {"@id": 1201, "Name": "idr0001-graml-sysgro/screenA"},
        {"@id": 1751, "Name": f"{name}/screenA"},
    ]
    meta = {"limit": 200, "offset": 0, "maxLimit": 500, "totalCount": len(screens)}
    site.answers["/api/v0/m/screens/"] = {"meta": meta, "data": screens}
    site.answers["/webclient/api/annotations/"] = lambda query: (
        {
            "annotations": [
                {
                    "class": "MapAnnotationI",
                    "values": [
                        ["Publication Title", "Systematic morphological profiling"],
                        ["Publication Authors", "Rohban MH, Singh S"],
                        [
                            "Publication DOI",
                            "10.7554/eLife.24060 https://doi.org/10.7554/eLife.24060",
                        ],
                        ["Release Date", "2017-04-20"],
                        ["License", "CC0 1.0 https://creativecommons.org/publicdomain/zero/1.0/"],
                        ["Data DOI", "10.17867/10000105 https://doi.org/10.17867/10000105"],
                    ],
                }
            ]
        }
        if query.get("screen") == ["1751"]
        else {"annotations": []}
    )
    return "idr0033"


def bbbc(site: SmallArchive, files: dict[str, bytes], license_page: str) -> str:
    """Publish set BBBC021: a page of links, some with http, and the files."""
    name = "BBBC021"
    for one, data in files.items():
        site.files[f"/bbbc/{name}/{quote(one)}"] = data
    links = [f"{site.base}/bbbc/{name}/{quote(one)}" for one in files]
    links += [f"{site.base}/elsewhere/x.zip", "/about", license_page]
    site.answers[f"/{name}"] = "".join(f'<p><a href="{link}">x</a></p>' for link in links if link)
    return name


def resolver(site: SmallArchive, pages: Mapping[str, str]) -> None:
    """Register DOIs with the pages they lead to, as the Handle System answers."""
    for doi, page in pages.items():
        value = {"index": 1, "type": "URL", "data": {"format": "string", "value": page}}
        site.answers[f"/api/handles/{doi}"] = {
            "responseCode": 1,
            "handle": doi,
            "values": [value],
        }
