"""Read public records of data repositories: Zenodo and any InvenioRDM, Figshare.

Each turns its own JSON into a `PublicRecord` pinned to a version; the bytes come by plain HTTPS.
"""

import re
from typing import Any
from urllib.parse import quote

from imgdata.deposits.addresses import address_of
from imgdata.deposits.invenio import ACCEPT, ADDRESSES
from imgdata.deposits.license_names import spdx
from imgdata.deposits.reading import (
    Records,
    by_name,
    citation_line,
    items,
    known_size,
    mapping,
    unreadable,
)
from imgdata.deposits.web import PATIENT, Json, Patience, plain
from imgdata.errors import CredentialsError, NothingFoundError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord

_DOI = re.compile(r"10\.\d{4,9}/\S+")
_ZENODO_DOI = re.compile(r"10\.(?:5281|5072)/zenodo\.(\d+)", re.IGNORECASE)
# Institutions that use Figshare have prefixes of their own.
_FIGSHARE_DOI = re.compile(
    r"10\.\d{4,9}/(?:\S*[/.])?(?:figshare\.)?(\d{4,})(?:\.v(\d+))?$", re.IGNORECASE
)
_FIGSHARE_COLLECTION = re.compile(r"/(?:m9\.figshare\.)?c\.\d+|/collections/", re.IGNORECASE)
FIGSHARE = "https://api.figshare.com/v2"
PAGE_SIZE = 1000
MOST_PAGES = 5000


def find_doi(text: str) -> str:
    """Return the DOI in a text like `doi:10.x/y` or `https://doi.org/10.x/y`, or nothing."""
    found = _DOI.search(text)
    return found[0].rstrip("/") if found else ""


class InvenioRecords(Records):
    """Public records of one InvenioRDM."""

    def __init__(self, address: str, prefix: str, patience: Patience = PATIENT) -> None:
        super().__init__(f"{address.rstrip('/')}/api", {"Accept": ACCEPT}, patience)
        self._address = address.rstrip("/")
        self._prefix = prefix

    def record(self, reference: str) -> PublicRecord:
        """Return the record of an id, a DOI or a page; a concept id gives its latest version."""
        identifier = self._identifier(reference)
        try:
            body = self._web.get(f"/records/{quote(identifier, safe='')}").body
        except NothingFoundError as error:
            msg = f"{error.problem}: record {identifier}"
            raise NothingFoundError(msg, cause=error.cause) from error
        if not isinstance(body, dict) or "metadata" not in body:
            raise unreadable(reference)
        pinned = str(body.get("id", identifier))
        try:
            files = self._web.get(f"/records/{quote(pinned, safe='')}/files").body
        except CredentialsError as error:
            raise _closed(pinned, body) from error
        return self._record(pinned, body, files)

    def latest(self, reference: str) -> str:
        """Return the id of the newest version of a record."""
        identifier = self._identifier(reference)
        body = self._web.get(f"/records/{quote(identifier, safe='')}/versions/latest").body
        return (
            f"{self._prefix}{body['id']}" if isinstance(body, dict) and "id" in body else reference
        )

    def _identifier(self, reference: str) -> str:
        text = reference.rstrip("/")
        zenodo = _ZENODO_DOI.search(text)
        if zenodo:
            return zenodo[1]
        if "/records/" in text or "/record/" in text:
            return re.split(r"/records?/", text)[1].split("/")[0].split("?")[0]
        doi = find_doi(text)
        identifier = doi.rpartition("/")[2].rpartition(".")[2] if doi else text
        identifier = identifier.rpartition(":")[2]
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", identifier):
            msg = f"'{reference}' names no record of {self._web.service}"
            raise UsageError(msg, remedy=f"write it as {self._prefix}1234567, or with its DOI")
        return identifier

    def _record(self, pinned: str, body: dict[str, Any], listed: Json) -> PublicRecord:
        metadata = mapping(body.get("metadata"))
        pids = mapping(mapping(body.get("pids")).get("doi"))
        doi = str(pids.get("identifier") or body.get("doi") or "")
        rights = items(metadata.get("rights"))
        licence = str(mapping(rights[0]).get("id", "")) if rights else ""
        licence = licence or str(mapping(metadata.get("license")).get("id", ""))
        title = plain(metadata.get("title", ""))
        creators = [_creator_name(one) for one in items(metadata.get("creators"))]
        year = str(metadata.get("publication_date", ""))[:4]
        base = f"{self._web.base}/records/{quote(pinned, safe='')}/files"
        files = [
            PublicFile(
                name=str(entry.get("key", "")),
                url=f"{base}/{quote(str(entry.get('key', '')), safe='')}/content",
                size=known_size(entry.get("size")),
                checksum=str(entry.get("checksum") or ""),
            )
            for entry in map(mapping, items(mapping(listed).get("entries")))
        ]
        concept = mapping(body.get("parent")).get("id") or body.get("conceptrecid") or ""
        return PublicRecord(
            reference=f"{self._prefix}{pinned}",
            source=f"https://doi.org/{doi}" if doi else f"{self._address}/records/{pinned}",
            title=title,
            doi=doi,
            concept=str(concept),
            version=plain(metadata.get("version", "")),
            license=spdx(licence),
            citation=citation_line(creators, year, title, self._web.service, doi),
            files=by_name(files),
            remarks=_embargo(body),
        )


class FigshareRecords(Records):
    """Public articles of Figshare and of institutions that use it."""

    def __init__(self, address: str = FIGSHARE, patience: Patience = PATIENT) -> None:
        super().__init__(address, {"Accept": "application/json"}, patience)

    def record(self, reference: str) -> PublicRecord:
        """Return an article by id, `id.vN`, DOI or page; without a version its newest one."""
        identifier, version = self._parts(reference)
        version = version or self._newest(identifier)
        where = f"/articles/{identifier}/versions/{version}"
        body = mapping(self._web.get(where).body)
        if "title" not in body:
            raise unreadable(reference)
        doi, title = str(body.get("doi") or ""), plain(body.get("title", ""))
        creators = [plain(mapping(a).get("full_name", "")) for a in items(body.get("authors"))]
        year = str(body.get("published_date") or "")[:4]
        files, linked = self._files(where, mapping(body.get("folder_structure")))
        return PublicRecord(
            reference=f"figshare:{identifier}.v{version}",
            source=f"https://doi.org/{doi}" if doi else str(body.get("url_public_html") or ""),
            title=title,
            doi=doi,
            concept=identifier,
            version=version,
            license=_figshare_license(mapping(body.get("license"))),
            citation=citation_line(creators, year, title, "figshare", doi),
            files=by_name(files),
            remarks=_figshare_remarks(body, linked),
        )

    def _newest(self, identifier: str) -> str:
        versions = items(self._web.get(f"/articles/{identifier}/versions").body)
        numbers = [mapping(one).get("version") for one in versions]
        return str(max((n for n in numbers if isinstance(n, int)), default=1))

    def _files(self, where: str, folders: dict[str, Any]) -> tuple[list[PublicFile], list[str]]:
        """Return the files of a version and the names of those that lie elsewhere.

        An article lists ten of its files; only its `files` has all, page by page.
        """
        found: list[PublicFile] = []
        linked: list[str] = []
        for page in range(1, MOST_PAGES):
            query = {"page": page, "page_size": PAGE_SIZE}
            entries = items(self._web.get(f"{where}/files", query).body)
            for entry in map(mapping, entries):
                file = _figshare_file(entry, folders)
                if entry.get("is_link_only"):
                    linked.append(file.name)
                else:
                    found.append(file)
            if len(entries) < PAGE_SIZE:
                break
        return found, linked

    def latest(self, reference: str) -> str:
        """Return the newest version of an article."""
        identifier, _version = self._parts(reference)
        return f"figshare:{identifier}.v{self._newest(identifier)}"

    def _parts(self, reference: str) -> tuple[str, str]:
        if _FIGSHARE_COLLECTION.search(reference):
            msg = f"'{reference}' is a collection of Figshare, not an article"
            raise UsageError(msg, remedy="import its articles one by one; its page lists them")
        doi = _FIGSHARE_DOI.search(reference)
        page = re.search(r"/articles/(?:.+/)?(\d+)(?:/(\d+))?/?$", reference)
        plain_id = re.fullmatch(r"(?:figshare:)?(\d+)(?:\.v?(\d+))?", reference)
        found = doi or page or plain_id
        if not found:
            msg = f"'{reference}' names no article of Figshare"
            raise UsageError(msg, remedy="write it as figshare:22233700, or with its DOI")
        return found[1], found[2] or ""


def _figshare_file(entry: dict[str, Any], folders: dict[str, Any]) -> PublicFile:
    folder = str(folders.get(str(entry.get("id")), "")).strip("/")
    name = str(entry.get("name", ""))
    md5 = entry.get("computed_md5") or entry.get("supplied_md5")
    return PublicFile(
        name=f"{folder}/{name}" if folder else name,
        url=str(entry.get("download_url", "")),
        size=known_size(entry.get("size")),
        checksum=f"md5:{md5}" if isinstance(md5, str) and md5 else "",
    )


def _figshare_license(said: dict[str, Any]) -> str:
    """Return the licence; the address is exact, names such as `CC BY` state no version."""
    page, name = spdx(str(said.get("url") or "")), spdx(str(said.get("name") or ""))
    return page if page.startswith("CC") else name


def _figshare_remarks(body: dict[str, Any], linked: list[str]) -> tuple[str, ...]:
    remarks = []
    if body.get("is_embargoed"):
        until = str(body.get("embargo_date") or "")[:10]
        remarks.append(f"it is under embargo{f' until {until}' if until else ''}")
    if body.get("download_disabled"):
        remarks.append("its downloads are switched off by its authors")
    if linked:
        names = ", ".join(plain(name) for name in linked[:5])
        remarks.append(f"{len(linked)} of its files lie elsewhere and are only linked: {names}")
    return tuple(remarks)


def _creator_name(creator: Json) -> str:
    found = mapping(creator)
    return plain(mapping(found.get("person_or_org")).get("name") or found.get("name") or "")


def _closed(pinned: str, body: dict[str, Any]) -> CredentialsError:
    """Return why the files of a record that everybody may read about are not given."""
    embargo = mapping(mapping(body.get("access")).get("embargo"))
    until = plain(embargo.get("until") or "") if embargo.get("active") else ""
    why = f"under embargo until {until}" if until else "restricted"
    return CredentialsError(
        f"the files of record {pinned} are {why}",
        cause=plain(mapping(body.get("metadata")).get("title", "")),
        remedy="wait for that day" if until else "ask its authors for the files",
    )


def _embargo(body: dict[str, Any]) -> tuple[str, ...]:
    access = mapping(body.get("access"))
    if access.get("files") == "restricted":
        return ("its files are not public (restricted or under embargo)",)
    return ()


def open_zenodo_records(scheme: str, _reference: str) -> InvenioRecords:
    """Return public Zenodo, or its sandbox for `zenodo-sandbox:`."""
    which = "sandbox" if scheme.endswith("sandbox") else "production"
    return InvenioRecords(address_of(scheme, ADDRESSES[which]), f"{scheme}:")


def open_invenio_records(_scheme: str, reference: str) -> InvenioRecords:
    """Return the InvenioRDM of a page such as `invenio:https://HOST/records/ID`."""
    found = re.match(r"(?:invenio:)?(https?://[^\s@?#]+?)/records?/", reference)
    if not found:
        msg = f"'{reference}' has no address of an InvenioRDM"
        raise UsageError(msg, remedy="write it as invenio:https://HOST/records/ID")
    return InvenioRecords(found[1], f"invenio:{found[1]}/records/")


def open_figshare_records(_scheme: str, _reference: str) -> FigshareRecords:
    """Return public Figshare."""
    return FigshareRecords(address_of("figshare", FIGSHARE))
