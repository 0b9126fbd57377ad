"""Read public datasets of Dryad: the list is for all, the bytes are for accounts.

Source: Dryad's API 2.1.0 (public/openapi.yml of dryad-app).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from imgdata.deposits.addresses import address_of
from imgdata.deposits.license_names import spdx
from imgdata.deposits.public_records import find_doi
from imgdata.deposits.reading import (
    by_name,
    citation_line,
    items,
    known_size,
    mapping,
    unreadable,
)
from imgdata.deposits.web import PATIENT, Patience, Web, plain
from imgdata.errors import CredentialsError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord
from imgdata.system.credentials import Token, find_token, variable

DRYAD = "https://datadryad.org/api/v2"
NAME = "dryad"
_HEADERS = {"Accept": "application/json", "X-API-Version": "2.1.0"}
_VERSION = re.compile(r"@(\d+)$")
MOST_PAGES = 10_000


class DryadRecords:
    """Public datasets of Dryad, in one version each."""

    def __init__(
        self, address: str = DRYAD, token: Token | None = None, patience: Patience = PATIENT
    ) -> None:
        self._web = Web(address, token=token, headers=_HEADERS, patience=patience)
        # Bytes that lie on another host are asked for without the token.
        self._elsewhere = Web(address, patience=patience)
        self._has_token = token is not None
        parts = urlsplit(address)
        self._root = f"{parts.scheme}://{parts.netloc}"

    def close(self) -> None:
        """Close the connections."""
        self._web.close()
        self._elsewhere.close()

    @contextmanager
    def open(self, file: PublicFile, start: int) -> Iterator[Iterator[bytes]]:
        """Open a file's bytes from an offset on.

        Raises:
            CredentialsError: Dryad wants an account, or another one.
        """
        here = file.url.startswith(f"{self._root}/")
        try:
            with (self._web if here else self._elsewhere).stream(file.url, start) as chunks:
                yield chunks
        except CredentialsError as error:
            if self._has_token:
                raise
            remedy = f"get a token of an API account at Dryad and set {variable(NAME)}"
            raise CredentialsError(error.problem, cause=error.cause, remedy=remedy) from error

    def record(self, reference: str) -> PublicRecord:
        """Return a dataset by its DOI in its newest version, or as `DOI@VERSION` in that one."""
        doi, version = self._parts(reference)
        version = version or self._newest(doi)
        body = mapping(self._web.get(f"/versions/{version}").body)
        if "title" not in body:
            raise unreadable(reference)
        of = _href(body, "stash:dataset").lower()
        if of and quote(f"doi:{doi}".lower(), safe="").lower() not in of:
            msg = f"version {version} is not one of dryad:{doi}"
            raise UsageError(msg, remedy=f"imgdata import dryad:{doi} --dry-run")
        creators = [
            plain(f"{mapping(a).get('lastName', '')}, {mapping(a).get('firstName', '')}")
            for a in items(body.get("authors"))
        ]
        title, year = plain(body.get("title", "")), str(body.get("publicationDate") or "")[:4]
        need = f"Dryad gives files to accounts only: set {variable(NAME)}"
        return PublicRecord(
            reference=f"{NAME}:{doi}@{version}",
            source=f"https://doi.org/{doi}",
            title=title,
            doi=doi,
            concept=doi,
            version=str(body.get("versionNumber") or version),
            license=spdx(str(body.get("license") or "CC0-1.0")),
            citation=citation_line(creators, year, title, "Dryad", doi),
            files=by_name(self._files(version)),
            remarks=() if self._has_token else (need,),
        )

    def latest(self, reference: str) -> str:
        """Return the newest public version of a dataset."""
        doi, _ = self._parts(reference)
        return f"{NAME}:{doi}@{self._newest(doi)}"

    def _newest(self, doi: str) -> str:
        body = mapping(self._web.get(f"/datasets/{quote(f'doi:{doi}', safe='')}").body)
        version = _href(body, "stash:version").rpartition("/")[2]
        if not version.isdigit():
            raise unreadable(doi)
        return version

    def _parts(self, reference: str) -> tuple[str, str]:
        version = _VERSION.search(reference)
        doi = find_doi(_VERSION.sub("", reference))
        if not doi:
            msg = f"'{reference}' names no dataset of Dryad"
            raise UsageError(msg, remedy="write it as dryad:10.5061/dryad.x")
        return doi, version[1] if version else ""

    def _files(self, version: str) -> list[PublicFile]:
        found: list[PublicFile] = []
        for page in range(1, MOST_PAGES):
            body = mapping(self._web.get(f"/versions/{version}/files", {"page": page}).body)
            entries = items(mapping(body.get("_embedded")).get("stash:files"))
            found.extend(self._file(mapping(entry)) for entry in entries)
            total = body.get("total")
            if not entries or not isinstance(total, int) or len(found) >= total:
                break
        return found

    def _file(self, entry: dict[str, Any]) -> PublicFile:
        kind, digest = str(entry.get("digestType") or ""), str(entry.get("digest") or "")
        href = _href(entry, "stash:download")
        return PublicFile(
            name=str(entry.get("path", "")),
            url=f"{self._root}{href}" if href.startswith("/") else href,
            size=known_size(entry.get("size")),
            checksum=f"{kind.replace('-', '')}:{digest}" if kind and digest else "",
        )


def _href(body: dict[str, Any], link: str) -> str:
    return str(mapping(mapping(body.get("_links")).get(link)).get("href", ""))


def open_dryad_records(_scheme: str, _reference: str) -> DryadRecords:
    """Return public Dryad, with the account's token where there is one."""
    return DryadRecords(address_of(NAME, DRYAD), find_token(NAME))
