"""Read public records of data repositories: Zenodo and any InvenioRDM, Figshare, Dryad.

Each turns its own JSON into a `PublicRecord` pinned to a version; the bytes come by plain HTTPS.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from imgdata.deposits.invenio import ACCEPT, ADDRESSES
from imgdata.deposits.web import PATIENT, Json, Patience, Web, plain
from imgdata.errors import NothingFoundError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord

_DOI = re.compile(r"10\.\d{4,9}/\S+")
_ZENODO_DOI = re.compile(r"10\.(?:5281|5072)/zenodo\.(\d+)", re.IGNORECASE)
_FIGSHARE_DOI = re.compile(r"10\.6084/m9\.figshare\.(?:c\.)?(\d+)(?:\.v(\d+))?", re.IGNORECASE)


def find_doi(text: str) -> str:
    """Return the DOI in a text like `doi:10.x/y` or `https://doi.org/10.x/y`, or nothing."""
    found = _DOI.search(text)
    return found[0].rstrip("/") if found else ""


class _Records:
    """What all record readers share: one service, and reading bytes."""

    def __init__(self, base: str, headers: dict[str, str], patience: Patience) -> None:
        self._web = Web(base, headers=headers, patience=patience)

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file's bytes from an offset on."""
        return self._web.stream(file.url, start)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()


class InvenioRecords(_Records):
    """Public records of one InvenioRDM."""

    def __init__(self, address: str, name: str, patience: Patience = PATIENT) -> None:
        super().__init__(f"{address.rstrip('/')}/api", {"Accept": ACCEPT}, patience)
        self._address = address.rstrip("/")
        self._name = name

    def record(self, reference: str) -> PublicRecord:
        """Return the record of an id, a DOI or a page; a concept id gives its latest version."""
        identifier = self._identifier(reference)
        body = self._web.get(f"/records/{quote(identifier, safe='')}").body
        if not isinstance(body, dict) or "metadata" not in body:
            raise _unreadable(reference)
        pinned = str(body.get("id", identifier))
        files = self._web.get(f"/records/{quote(pinned, safe='')}/files").body
        return self._record(pinned, body, files)

    def latest(self, reference: str) -> str:
        """Return the id of the newest version of a record."""
        identifier = self._identifier(reference)
        body = self._web.get(f"/records/{quote(identifier, safe='')}/versions/latest").body
        return f"{self._name}:{body['id']}" if isinstance(body, dict) else reference

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
            raise UsageError(msg, remedy=f"write it as {self._name}:1234567, or with its DOI")
        return identifier

    def _record(self, pinned: str, body: dict[str, Any], listed: Json) -> PublicRecord:
        metadata = _mapping(body.get("metadata"))
        pids = _mapping(_mapping(body.get("pids")).get("doi"))
        doi = str(pids.get("identifier") or body.get("doi") or "")
        rights = _list(metadata.get("rights"))
        licence = str(_mapping(rights[0]).get("id", "")) if rights else ""
        licence = licence or str(_mapping(metadata.get("license")).get("id", ""))
        title = plain(metadata.get("title", ""))
        creators = [_creator_name(one) for one in _list(metadata.get("creators"))]
        year = str(metadata.get("publication_date", ""))[:4]
        base = f"{self._web.base}/records/{quote(pinned, safe='')}/files"
        files = [
            PublicFile(
                name=str(entry.get("key", "")),
                url=f"{base}/{quote(str(entry.get('key', '')), safe='')}/content",
                size=_size(entry.get("size")),
                checksum=str(entry.get("checksum") or ""),
            )
            for entry in map(_mapping, _list(_mapping(listed).get("entries")))
        ]
        concept = _mapping(body.get("parent")).get("id") or body.get("conceptrecid") or ""
        return PublicRecord(
            reference=f"{self._name}:{pinned}",
            source=f"https://doi.org/{doi}" if doi else f"{self._address}/records/{pinned}",
            title=title,
            doi=doi,
            concept=str(concept),
            version=plain(metadata.get("version", "")),
            license=spdx(licence),
            citation=_citation(creators, year, title, self._web.service, doi),
            files=_sorted(files),
            remarks=_embargo(body),
        )


class FigshareRecords(_Records):
    """Public articles of Figshare."""

    def __init__(
        self, address: str = "https://api.figshare.com/v2", patience: Patience = PATIENT
    ) -> None:
        super().__init__(address, {"Accept": "application/json"}, patience)

    def record(self, reference: str) -> PublicRecord:
        """Return an article by id, `id.vN`, DOI or page; without a version its newest one."""
        identifier, version = self._parts(reference)
        if not version:
            versions = _list(self._web.get(f"/articles/{identifier}/versions").body)
            known = [int(_mapping(one).get("version", 0)) for one in versions]
            version = str(max(known, default=1))
        body = _mapping(self._web.get(f"/articles/{identifier}/versions/{version}").body)
        doi, title = str(body.get("doi", "")), plain(body.get("title", ""))
        creators = [plain(_mapping(a).get("full_name", "")) for a in _list(body.get("authors"))]
        year = str(body.get("published_date", ""))[:4]
        files = [
            PublicFile(
                name=str(entry.get("name", "")),
                url=str(entry.get("download_url", "")),
                size=_size(entry.get("size")),
                checksum=_md5(entry.get("computed_md5") or entry.get("supplied_md5")),
            )
            for entry in map(_mapping, _list(body.get("files")))
            if not entry.get("is_link_only")
        ]
        return PublicRecord(
            reference=f"figshare:{identifier}.v{version}",
            source=f"https://doi.org/{doi}" if doi else str(body.get("url_public_html", "")),
            title=title,
            doi=doi,
            concept=identifier,
            version=version,
            license=spdx(str(_mapping(body.get("license")).get("name", ""))),
            citation=_citation(creators, year, title, "figshare", doi),
            files=_sorted(files),
        )

    def latest(self, reference: str) -> str:
        """Return the newest version of an article."""
        identifier, _version = self._parts(reference)
        return self.record(identifier).reference

    def _parts(self, reference: str) -> tuple[str, str]:
        doi = _FIGSHARE_DOI.search(reference)
        page = re.search(r"/articles/(?:.+/)?(\d+)(?:/(\d+))?/?$", reference)
        plain_id = re.fullmatch(r"(?:figshare:)?(\d+)(?:\.v?(\d+))?", reference)
        found = doi or page or plain_id
        if not found:
            msg = f"'{reference}' names no article of Figshare"
            raise UsageError(msg, remedy="write it as figshare:22233700, or with its DOI")
        return found[1], found[2] or ""


class DryadRecords(_Records):
    """Public datasets of Dryad. Its files need an account to download; the list does not."""

    def __init__(
        self, address: str = "https://datadryad.org/api/v2", patience: Patience = PATIENT
    ) -> None:
        headers = {"Accept": "application/json", "X-API-Version": "2.1.0"}
        super().__init__(address, headers, patience)
        self._root = address.rstrip("/").removesuffix("/api/v2")

    def record(self, reference: str) -> PublicRecord:
        """Return a dataset by its DOI, in the version that is public now."""
        doi = find_doi(reference)
        if not doi:
            msg = f"'{reference}' names no dataset of Dryad"
            raise UsageError(msg, remedy="write it as dryad:10.5061/dryad.x")
        encoded = quote(f"doi:{doi}", safe="")
        body = _mapping(self._web.get(f"/datasets/{encoded}").body)
        href = str(_mapping(_mapping(body.get("_links")).get("stash:version")).get("href", ""))
        version = href.rpartition("/")[2]
        if not version.isdigit():
            raise _unreadable(reference)
        creators = [
            f"{_mapping(a).get('lastName', '')}, {_mapping(a).get('firstName', '')}"
            for a in _list(body.get("authors"))
        ]
        title, year = plain(body.get("title", "")), str(body.get("publicationDate", ""))[:4]
        return PublicRecord(
            reference=f"dryad:{doi}@{version}",
            source=f"https://doi.org/{doi}",
            title=title,
            doi=doi,
            concept=doi,
            version=str(body.get("versionNumber", version)),
            license="CC0-1.0",
            citation=_citation(creators, year, title, "Dryad", doi),
            files=_sorted(self._files(version)),
        )

    def _files(self, version: str) -> list[PublicFile]:
        found: list[PublicFile] = []
        page = 1
        while True:
            body = _mapping(self._web.get(f"/versions/{version}/files", {"page": page}).body)
            entries = _list(_mapping(body.get("_embedded")).get("stash:files"))
            found.extend(self._file(_mapping(entry)) for entry in entries)
            total = body.get("total")
            if not entries or not isinstance(total, int) or len(found) >= total:
                return found
            page += 1

    def _file(self, entry: dict[str, Any]) -> PublicFile:
        kind, digest = str(entry.get("digestType") or ""), str(entry.get("digest") or "")
        href = str(_mapping(_mapping(entry.get("_links")).get("stash:download")).get("href", ""))
        return PublicFile(
            name=str(entry.get("path", "")),
            url=f"{self._root}{href}" if href.startswith("/") else href,
            size=_size(entry.get("size")),
            checksum=f"{kind.replace('-', '')}:{digest}" if kind and digest else "",
        )


def spdx(text: str) -> str:
    """Return a licence's SPDX id where the words of a repository are known, else the words."""
    known = {
        "cc-by-4.0": "CC-BY-4.0",
        "cc by 4.0": "CC-BY-4.0",
        "cc0-1.0": "CC0-1.0",
        "cc0": "CC0-1.0",
        "cc-zero": "CC0-1.0",
        "cc by-nc 4.0": "CC-BY-NC-4.0",
        "cc by-sa 4.0": "CC-BY-SA-4.0",
        "mit": "MIT",
        "bsd-3-clause": "BSD-3-Clause",
        "apache-2.0": "Apache-2.0",
        "apache 2.0": "Apache-2.0",
    }
    words = plain(text)
    found = known.get(words.lower(), words)
    return found.upper() if found.lower().startswith("cc-") else found


def _citation(creators: list[str], year: str, title: str, publisher: str, doi: str) -> str:
    names = "; ".join(name for name in creators if name)
    where = f" https://doi.org/{doi}" if doi else ""
    return plain(f"{names} ({year or 'n.d.'}). {title}. {publisher}.{where}")


def _creator_name(creator: Json) -> str:
    found = _mapping(creator)
    return plain(_mapping(found.get("person_or_org")).get("name") or found.get("name") or "")


def _embargo(body: dict[str, Any]) -> tuple[str, ...]:
    access = _mapping(body.get("access"))
    if access.get("files") == "restricted":
        return ("its files are not public (restricted or under embargo)",)
    return ()


def _sorted(files: list[PublicFile]) -> tuple[PublicFile, ...]:
    return tuple(sorted(files, key=lambda file: file.name))


def _md5(found: Json) -> str:
    return f"md5:{found}" if isinstance(found, str) and found else ""


def _size(found: Json) -> int | None:
    return found if isinstance(found, int) and found >= 0 else None


def _mapping(found: Json) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _list(found: Json) -> list[Any]:
    return found if isinstance(found, list) else []


def _unreadable(reference: str) -> NothingFoundError:
    msg = f"the answer about '{reference}' is not that of a public record"
    return NothingFoundError(msg, remedy="open it in a browser and check its id")


def open_zenodo_records(scheme: str, _reference: str) -> InvenioRecords:
    """Return public Zenodo, or its sandbox for `zenodo-sandbox:`."""
    which = "sandbox" if scheme.endswith("sandbox") else "production"
    return InvenioRecords(ADDRESSES[which], scheme)


def open_invenio_records(_scheme: str, reference: str) -> InvenioRecords:
    """Return the InvenioRDM of a page such as `invenio:https://HOST/records/ID`."""
    found = re.match(r"(?:invenio:)?(https?://[^/\s@]+)", reference)
    if not found:
        msg = f"'{reference}' has no address of an InvenioRDM"
        raise UsageError(msg, remedy="write it as invenio:https://HOST/records/ID")
    return InvenioRecords(found[1], f"invenio:{found[1]}/records/")


def open_figshare_records(_scheme: str, _reference: str) -> FigshareRecords:
    """Return public Figshare."""
    return FigshareRecords()


def open_dryad_records(_scheme: str, _reference: str) -> DryadRecords:
    """Return public Dryad."""
    return DryadRecords()
