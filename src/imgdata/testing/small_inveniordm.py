"""A small InvenioRDM on loopback for fast tests, and for the faults a real one has on bad days.

Every answer has the form of the real one's; a test compares them with recorded exchanges.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from msgspec import Struct, field

from imgdata.testing.small_site import Reply, Request, SmallSite, serve_site

TOKEN = "the-small-servers-token"  # noqa: S105 - of a server that lives as long as a test
MAX_FILES = 100
LICENSES = frozenset({"cc-by-4.0", "cc0-1.0", "mit", "bsd-3-clause"})

FIELDS = frozenset(
    {
        *("resource_type", "title", "creators", "publication_date", "publisher", "description"),
        *("rights", "subjects", "related_identifiers", "identifiers", "version"),
    }
)


class _Record(Struct):
    identifier: str
    concept: str
    body: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: dict[str, bytes] = field(default_factory=dict)
    doi: str = ""
    published: bool = False
    removed: str = ""
    gone: bool = False
    index: int = 1


class SmallInvenio(SmallSite):
    """The service's state and rules; `serve` gives it an address."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, _Record] = {}
        self.quota = 10**9
        self.spoil = False

    @property
    def seen(self) -> list[tuple[str, str, dict[str, str]]]:
        """Return method, path and headers of all requests."""
        return [(one.method, one.path, one.headers) for one in self.requests]

    def reply(self, request: Request) -> Reply:
        """Answer the owner's requests, and anybody's about what is public."""
        public = request.method == "GET" and not re.search("/draft|/user/", request.path)
        public = public and not ("/files" in request.path and self.is_closed(request.path))
        if not public and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            if request.method == "GET" and request.path.endswith("/draft"):
                return _missing()  # that there is a draft is told to its owner only
            return 403, {"status": 403, "message": "Permission denied."}, {}
        return self.answer(request.method, request.path, parse_qs(request.query), request.body)

    @property
    def live(self) -> list[_Record]:
        """Return drafts and published records that were not discarded."""
        return [record for record in self.records.values() if not record.gone]

    def is_closed(self, path: str) -> bool:
        """Tell whether the files of a record are restricted or under embargo."""
        record = self.record(path.split("/")[3])
        return record is not None and record.body.get("access", {}).get("files") == "restricted"

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Reply:
        """Answer an authorised request."""
        for verb, pattern, rule in _RULES:
            found = re.fullmatch(pattern, path)
            if verb == method and found:
                return rule(self, found, body, query)
        return 404, {"status": 404, "message": "no such place"}, {}

    def record(self, identifier: str) -> _Record | None:
        """Return a record that was not discarded."""
        found = self.records.get(identifier)
        return None if found is None or found.gone else found

    def new(self, concept: str = "") -> _Record:
        """Make an empty record."""
        number = f"{len(self.records):05d}-small"
        made = _Record(number, concept or f"{number[:5]}-whole", {})
        self.records[number] = made
        return made

    def shown(self, record: _Record) -> dict[str, Any]:
        """Return a record's JSON."""
        draft = "" if record.published else "/draft"
        url = f"{self.base}/api/records/{record.identifier}"
        doi = {"identifier": record.doi, "provider": "datacite", "client": "datacite"}
        access = {"embargo": {"active": False, "reason": None}, **record.body.get("access", {})}
        status = "published" if record.published else "draft"
        return {
            "id": record.identifier,
            "links": {
                "self": f"{url}{draft}",
                "self_html": f"{self.base}/uploads/{record.identifier}",
                "files": f"{url}{draft}/files",
            },
            "parent": {"id": record.concept, "access": {}, "communities": {}, "pids": {}},
            "versions": {"is_latest": record.published, "index": record.index},
            "is_published": record.published,
            "is_draft": not record.published,
            "pids": {"doi": doi} if record.doi else {},
            "metadata": record.body.get("metadata", {}),
            "access": access,
            "files": {"enabled": True, "count": len(record.files)},
            "status": status,
        }

    def entry(self, record: _Record, key: str) -> dict[str, Any]:
        """Return a file's JSON."""
        url = f"{self.base}/api/records/{record.identifier}/draft/files/{key}"
        links = {"self": url, "content": f"{url}/content", "commit": f"{url}/commit"}
        return {"key": key, "links": links, "transfer": {"type": "L"}, **record.files[key]}

    def listing(self, record: _Record) -> dict[str, Any]:
        """Return all files' JSON."""
        entries = [self.entry(record, key) for key in record.files]
        return {"enabled": True, "links": {}, "entries": entries, "order": []}


def _missing(what: str = "The persistent identifier does not exist.") -> Reply:
    return 404, {"status": 404, "message": what}, {}


def _tombstone(record: _Record) -> Reply:
    note = {"removal_reason": {"id": "other"}, "note": record.removed, "is_visible": True}
    return 410, {"status": 410, "message": "Record deleted", "tombstone": note}, {}


def _invalid(name: str, text: str) -> Reply:
    errors = [{"field": name, "messages": [text]}]
    return 400, {"status": 400, "message": "A validation error occurred.", "errors": errors}, {}


def _complaints(body: dict[str, Any]) -> list[dict[str, Any]]:
    metadata = body.get("metadata", {})
    missing = [
        {"field": f"metadata.{name}", "messages": ["Missing data for required field."]}
        for name in ("resource_type", "creators", "title", "publication_date")
        if not metadata.get(name)
    ]
    unknown = [
        {"field": f"metadata.{name}", "messages": ["Unknown field."]}
        for name in sorted(metadata.keys() - FIELDS)
    ]
    return missing + unknown


def _write(site: SmallInvenio, record: _Record, body: bytes, status: int) -> Reply:
    try:
        document = json.loads(body)
    except ValueError:
        message = "Unable to decode JSON data in request body."
        return 400, {"status": 400, "message": message}, {}
    for right in document.get("metadata", {}).get("rights", []):
        if right.get("id") not in LICENSES:
            return 400, {"status": 400, "message": f"Invalid value {right.get('id')}."}, {}
    errors = _complaints(document)
    known = {k: v for k, v in document.get("metadata", {}).items() if k in FIELDS}
    record.body = {**document, "metadata": known}
    return status, {**site.shown(record), **({"errors": errors} if errors else {})}, {}


def _create(site: SmallInvenio, _found: re.Match[str], body: bytes, _query: object) -> Reply:
    record = site.new()
    reply = _write(site, record, body, 201)
    record.gone = reply[0] != 201
    return reply


def _on_draft(
    rule: Callable[[SmallInvenio, _Record, re.Match[str], bytes], Reply],
) -> Callable[[SmallInvenio, re.Match[str], bytes, object], Reply]:
    """Let a rule see drafts only."""

    def checked(site: SmallInvenio, found: re.Match[str], body: bytes, _query: object) -> Reply:
        record = site.record(found[1])
        if record is None or record.published:
            return _missing()
        return rule(site, record, found, body)

    return checked


def _on_record(
    rule: Callable[[SmallInvenio, _Record, re.Match[str], bytes], Reply],
) -> Callable[[SmallInvenio, re.Match[str], bytes, object], Reply]:
    """Let a rule see published records only."""

    def checked(site: SmallInvenio, found: re.Match[str], body: bytes, _query: object) -> Reply:
        record = site.record(found[1])
        if record is None or not record.published:
            return _missing()
        if record.removed:
            return _tombstone(record)
        return rule(site, record, found, body)

    return checked


def _show(site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    return 200, site.shown(record), {}


def _replace(site: SmallInvenio, record: _Record, _found: object, body: bytes) -> Reply:
    return _write(site, record, body, 200)


def _discard(_site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    record.gone = True
    return 204, None, {}


def _reserve(site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    if record.doi:
        return _invalid("pids.doi", "A PID already exists for type doi")
    record.doi = f"10.5072/{record.identifier}"
    return 201, site.shown(record), {}


def _list(site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    return 200, site.listing(record), {}


def _announce(site: SmallInvenio, record: _Record, _found: object, body: bytes) -> Reply:
    keys = [item["key"] for item in json.loads(body)]
    if len(record.files) + len(keys) > MAX_FILES:
        message = "Uploading selected files will result in exceeding the max amount per record."
        return 400, {"status": 400, "message": message}, {}
    for key in keys:
        if key in record.files:
            message = f"File with key {key} already exists."
            return 400, {"status": 400, "message": message}, {}
        record.files[key] = {"status": "pending"}
    return 201, site.listing(record), {}


def _receive(site: SmallInvenio, record: _Record, found: re.Match[str], body: bytes) -> Reply:
    key = unquote(found[2])
    if key not in record.files:
        return _missing(f"Record '{record.identifier}' has no file '{key}'.")
    if record.files[key]["status"] == "completed":
        return 200, {**site.entry(record, key), "errors": ["File upload transfer failed."]}, {}
    if sum(map(len, record.data.values())) + len(body) > site.quota:
        return 400, {"status": 400, "message": "Bucket quota exceeded."}, {}
    record.data[key] = body[:-1] + b"?" if site.spoil else body
    return 200, site.entry(record, key), {}


def _commit(site: SmallInvenio, record: _Record, found: re.Match[str], _body: bytes) -> Reply:
    key = unquote(found[2])
    data = record.data.get(key)
    if data is None:
        return _invalid("files", "no content")
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    record.files[key] = {"status": "completed", "size": len(data), "checksum": f"md5:{md5}"}
    return 200, site.entry(record, key), {}


def _remove(_site: SmallInvenio, record: _Record, found: re.Match[str], _body: bytes) -> Reply:
    key = unquote(found[2])
    if key not in record.files:
        return _missing(f"Record '{record.identifier}' has no file '{key}'.")
    del record.files[key]
    record.data.pop(key, None)
    return 204, None, {}


def _one_file(site: SmallInvenio, record: _Record, found: re.Match[str], _body: bytes) -> Reply:
    key = unquote(found[2])
    return (200, site.entry(record, key), {}) if key in record.files else _missing()


def _publish(site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    if not record.files:
        text = "Missing uploaded files. To disable files for this record please mark it as "
        return _invalid("files.enabled", f"{text}metadata-only.")
    if any(entry["status"] != "completed" for entry in record.files.values()):
        text = "One or more files have not completed their transfer, please wait."
        return _invalid("files", text)
    if errors := _complaints(record.body):
        message = "A validation error occurred."
        return 400, {"status": 400, "message": message, "errors": errors}, {}
    record.published = True
    return 202, site.shown(record), {}


def _next(site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    for other in site.live:
        if other.concept == record.concept and not other.published:
            return 201, site.shown(other), {}
    made = site.new(record.concept)
    made.index = record.index + 1
    metadata = {k: v for k, v in record.body.get("metadata", {}).items() if k != "version"}
    metadata["publication_date"] = datetime.now(UTC).date().isoformat()
    made.body = {**record.body, "metadata": metadata}
    return 201, site.shown(made), {}


def _carry(site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    if record.files:
        return _invalid("files.enabled", "Please remove all files first.")
    same = [o for o in site.live if o.concept == record.concept and o.published]
    earlier = max(same, key=lambda other: other.index)
    record.files = {key: dict(entry) for key, entry in earlier.files.items()}
    record.data = dict(earlier.data)
    return 201, site.listing(record), {}


def _content(_site: SmallInvenio, record: _Record, found: re.Match[str], _body: bytes) -> Reply:
    data = record.data.get(unquote(found[2]))
    return (200, data, {}) if data is not None else _missing()


def _mine(site: SmallInvenio, _found: object, _body: bytes, query: object) -> Reply:
    asked = query.get("q", [""])[0] if isinstance(query, dict) else ""
    marker = re.findall(r'"([^"]+)"', asked)
    hits = [
        site.shown(record)
        for record in site.live
        if any(
            item["identifier"] in marker
            for item in record.body.get("metadata", {}).get("identifiers", [])
        )
    ]
    return 200, {"hits": {"hits": hits, "total": len(hits)}}, {}


def _share(_site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    return 201, {"id": "1", "permission": "view", "token": f"view-{record.identifier}"}, {}


def _latest(site: SmallInvenio, record: _Record, _found: object, _body: bytes) -> Reply:
    same = [o for o in site.live if o.concept == record.concept and o.published]
    newest = max(same, key=lambda other: other.index)
    location = f"{site.base}/api/records/{newest.identifier}"
    body = {"status": 301, "message": "Redirecting...", "location": location}
    return 301, body, {"Location": location}


_ONE = r"/api/records/([^/]+)"
_DRAFT = rf"{_ONE}/draft"
_KEY = rf"{_DRAFT}/files/(.+)"
_RULES: list[tuple[str, str, Callable[[SmallInvenio, re.Match[str], bytes, object], Reply]]] = [
    ("POST", "/api/records", _create),
    ("GET", "/api/user/records", _mine),
    ("GET", _DRAFT, _on_draft(_show)),
    ("PUT", _DRAFT, _on_draft(_replace)),
    ("DELETE", _DRAFT, _on_draft(_discard)),
    ("POST", rf"{_DRAFT}/pids/doi", _on_draft(_reserve)),
    ("GET", rf"{_DRAFT}/files", _on_draft(_list)),
    ("POST", rf"{_DRAFT}/files", _on_draft(_announce)),
    ("PUT", rf"{_KEY}/content", _on_draft(_receive)),
    ("GET", _KEY, _on_draft(_one_file)),
    ("POST", rf"{_KEY}/commit", _on_draft(_commit)),
    ("DELETE", _KEY, _on_draft(_remove)),
    ("POST", rf"{_DRAFT}/actions/publish", _on_draft(_publish)),
    ("POST", rf"{_DRAFT}/actions/files-import", _on_draft(_carry)),
    ("POST", rf"{_ONE}/access/links", _on_draft(_share)),
    ("POST", rf"{_ONE}/versions", _on_record(_next)),
    ("GET", rf"{_ONE}/versions/latest", _on_record(_latest)),
    ("GET", _ONE, _on_record(_show)),
    ("GET", rf"{_ONE}/files", _on_record(_list)),
    ("GET", rf"{_ONE}/files/(.+)/content", _on_record(_content)),
]


@contextmanager
def serve() -> Iterator[SmallInvenio]:
    """Serve on a free port of loopback until the block ends."""
    site = SmallInvenio()
    with serve_site(site):
        yield site
