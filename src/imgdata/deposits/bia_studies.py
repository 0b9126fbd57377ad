"""Read public studies of the BioImage Archive, through BioStudies.

Source: the study and info calls of BioStudies as EBI's own bia-integrator reads them.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from imgdata.deposits.addresses import address_of
from imgdata.deposits.license_names import spdx
from imgdata.deposits.reading import by_name, citation_line, items, known_size, mapping
from imgdata.deposits.web import PATIENT, Patience, Web, plain
from imgdata.errors import NothingFoundError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord

BIOSTUDIES = "https://www.ebi.ac.uk/biostudies"
_ACCESSION = re.compile(r"S-[A-Z]{2,10}\d+")
_FOLDER = "directory"
DEEPEST = 50


class BioImageArchive:
    """A study of the BioImage Archive."""

    def __init__(self, address: str = BIOSTUDIES, patience: Patience = PATIENT) -> None:
        self._web = Web(address, headers={"Accept": "application/json"}, patience=patience)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file's bytes from an offset on."""
        return self._web.stream(file.url, start)

    def record(self, reference: str) -> PublicRecord:
        """Return the files of `bia:S-BIADnnn`, from its file lists."""
        accession = reference.rpartition(":")[2].upper()
        if not _ACCESSION.fullmatch(accession):
            msg = f"'{reference}' names no study of the BioImage Archive"
            raise UsageError(msg, remedy="write it as bia:S-BIAD634")
        info = mapping(self._web.get(f"/api/v1/studies/{accession}/info").body)
        root = str(info.get("httpLink") or "")
        study = self._study(accession)
        if "section" not in study or not root.startswith(("https://", "http://")):
            msg = f"{accession} is not public, or its files are not on the web"
            raise NothingFoundError(msg)
        base = f"{root.rstrip('/')}/Files/"
        lister = _Lister(self._web, base, zipped=bool(info.get("hasZippedFolders")))
        files = {file.name: file for file in lister.files(study["section"], 0)}
        return _record(accession, study, _moment(info.get("modified")), by_name(files.values()))

    def _study(self, accession: str) -> dict[str, Any]:
        """Return the study's page tab; BioStudies sometimes says only where it is."""
        study = mapping(self._web.get(f"/api/v1/studies/{accession}").body)
        forward = study.get("ftpHttp_link")
        if isinstance(forward, str) and forward.startswith(("https://", "http://")):
            return mapping(self._web.get(f"{forward}{accession}.json").body)
        return study


class _Lister:
    """Collects the files of a study: those of its sections, and those of their file lists."""

    def __init__(self, web: Web, base: str, *, zipped: bool) -> None:
        self._web = web
        self._base = base
        self._zipped = zipped

    def files(self, section: object, depth: int) -> Iterator[PublicFile]:
        """Yield files of a section: its own, those of its file list, its subsections'."""
        if depth > DEEPEST:
            return
        if isinstance(section, list):
            for one in section:
                yield from self.files(one, depth + 1)
        if not isinstance(section, dict):
            return
        yield from self._listed(section.get("files"), depth)
        named = attributes(section).get("File List", "")
        if named:
            # A file list is served as JSON, whatever it was sent as.
            url = f"{self._base}{quote(re.sub(r'[.](tsv|xlsx|xml)$', '', named))}"
            url = url if url.endswith(".json") else f"{url}.json"
            yield from self._listed(self._web.get(url).body, depth)
        yield from self.files(section.get("subsections"), depth + 1)

    def _listed(self, found: object, depth: int) -> Iterator[PublicFile]:
        for entry in items(found) if depth <= DEEPEST else ():
            if isinstance(entry, list):
                yield from self._listed(entry, depth + 1)
            elif isinstance(entry, dict) and isinstance(entry.get("path"), str):
                yield self._file(entry, entry["path"])

    def _file(self, entry: dict[str, Any], path: str) -> PublicFile:
        fields = tuple(
            (name.lower(), value)
            for name, value in attributes(entry).items()
            if name.lower() in {"plate", "well", "site", "channel"}
        )
        if entry.get("type") == _FOLDER and self._zipped:
            zipped = f"{path}.zip"
            return PublicFile(zipped, f"{self._base}{quote(zipped)}", None, fields=fields)
        size = known_size(entry.get("size"))
        return PublicFile(path, f"{self._base}{quote(path)}", size, fields=fields)


def attributes(section: object) -> dict[str, str]:
    """Return the attributes of a page tab element; of one given twice the last."""
    return {
        str(item.get("name")): str(item.get("value"))
        for item in map(mapping, items(mapping(section).get("attributes")))
        if item.get("value") is not None
    }


def _record(
    accession: str, study: dict[str, Any], modified: str, files: tuple[PublicFile, ...]
) -> PublicRecord:
    said = attributes(study) | attributes(study["section"])
    title, doi = plain(said.get("Title", accession)), plain(said.get("DOI", ""))
    authors = [
        plain(attributes(one).get("Name", ""))
        for one in items(mapping(study["section"]).get("subsections"))
        if str(mapping(one).get("type", "")).lower() == "author"
    ]
    page = f"https://www.ebi.ac.uk/biostudies/bioimages/studies/{accession}"
    year = said.get("ReleaseDate", "")[:4]
    publisher = f"BioImage Archive, {accession}"
    return PublicRecord(
        reference=f"bia:{accession}",
        source=f"https://doi.org/{doi}" if doi else page,
        title=title,
        doi=doi,
        concept=accession,
        version=modified or plain(said.get("ReleaseDate", "")),
        license=spdx(said.get("License", "")),
        citation=citation_line(authors, year, title, publisher, doi),
        files=files,
        remarks=("the archive gives no checksums; the first download is trusted",),
        has_versions=False,
    )


def _moment(milliseconds: object) -> str:
    if type(milliseconds) is not int or not 0 < milliseconds < 2**45:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def open_bia(_scheme: str, _reference: str) -> BioImageArchive:
    """Return the BioImage Archive."""
    return BioImageArchive(address_of("bia", BIOSTUDIES))
