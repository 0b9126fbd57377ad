"""Read studies of the Image Data Resource: files from its public folder, words from OMERO.

Source: idr.openmicroscopy.org/about/api.html; the licence, DOI and paper of a study are map
annotations of its screens and projects.
"""

import re

from msgspec.structs import replace

from imgdata.deposits.addresses import address_of
from imgdata.deposits.license_names import spdx
from imgdata.deposits.reading import citation_line, items, mapping
from imgdata.deposits.web import PATIENT, Patience, Web, plain
from imgdata.deposits.web_folders import WebFolder, links
from imgdata.errors import NothingFoundError, StorageError, UsageError
from imgdata.model.public_data import PublicRecord

IDR = "https://idr.openmicroscopy.org"
IDR_FILES = "https://ftp.ebi.ac.uk/pub/databases/IDR"
_DOI = re.compile(r"10\.\d{4,9}/[^\s;,]+")
MOST_PAGES = 100


class Idr(WebFolder):
    """A study of the Image Data Resource."""

    def __init__(
        self, files: str = IDR_FILES, omero: str = IDR, patience: Patience = PATIENT
    ) -> None:
        super().__init__(patience)
        self._files = f"{files.rstrip('/')}/"
        self._omero = Web(omero, headers={"Accept": "application/json"}, patience=patience)

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._omero.close()

    def record(self, reference: str) -> PublicRecord:
        """Return the files of `idr:idrNNNN`, or of a folder of it as `idr:idrNNNN/folder`."""
        study, _, below = reference.removeprefix("idr:").strip("/").partition("/")
        if not re.fullmatch(r"idr\d{4}[A-Za-z0-9_.-]*", study):
            msg = f"'{reference}' names no study of IDR"
            raise UsageError(msg, remedy="write it as idr:idr0033")
        name = self._folder(study)
        folder = f"{name}/{below}".rstrip("/")
        found = super().record(f"{self._files}{folder}/")
        return self._described(replace(found, reference=f"idr:{folder}", concept=name), name)

    def _folder(self, study: str) -> str:
        """Return the one folder of a study, as `idr0033-rohban-pathways` of `idr0033`."""
        known = [
            url.partition("?")[0][len(self._files) :].rstrip("/")
            for url in links(self._web.get(self._files).body, self._files)
            if url.startswith(self._files)
        ]
        fits = [name for name in known if name == study] or [
            name for name in known if name.startswith(f"{study}-")
        ]
        if len(fits) != 1:
            msg = f"IDR lists {len(fits) or 'no'} folders for '{study}'"
            raise NothingFoundError(msg, cause="\n".join(fits))
        return fits[0]

    def _described(self, record: PublicRecord, name: str) -> PublicRecord:
        """Add title, licence, DOI and paper; without them the record is still a record."""
        trust = "there are no checksums; the first download is trusted"
        page = f"{IDR}/search/?query=Name:{name}"
        named = replace(record, title=name, source=page, remarks=(trust,))
        try:
            said = self._annotations(name)
        except (StorageError, NothingFoundError):
            said = {}
        if not said:
            silent = f"licence and paper are not known here: see {page}"
            return replace(
                named,
                citation=citation_line([], "", name, "Image Data Resource", ""),
                remarks=(trust, silent),
            )
        title = said.get("Publication Title") or said.get("Study Title") or name
        data, paper = _doi(said.get("Data DOI", "")), _doi(said.get("Publication DOI", ""))
        authors, year = [said.get("Publication Authors", "")], said.get("Release Date", "")[:4]
        cite_too = f"cite its paper too: https://doi.org/{paper}" if paper else ""
        return replace(
            named,
            title=title,
            doi=data,
            source=f"https://doi.org/{data}" if data else page,
            license=spdx(said.get("License", "")),
            citation=citation_line(authors, year, title, f"Image Data Resource, {name}", data),
            remarks=tuple(filter(None, (trust, cite_too))),
        )

    def _annotations(self, name: str) -> dict[str, str]:
        """Return the map annotations of the study's first screen or project."""
        self._omero.get("/webclient/?experimenter=-1")  # begins a public session
        for kind in ("screen", "project"):
            number = self._number(f"/api/v0/m/{kind}s/", name)
            if number is None:
                continue
            body = self._omero.get(
                "/webclient/api/annotations/", {"type": "map", kind: number}
            ).body
            pairs = [
                pair
                for entry in items(mapping(body).get("annotations"))
                for pair in items(mapping(entry).get("values"))
            ]
            return {
                plain(pair[0]): plain(pair[1])
                for pair in pairs
                if isinstance(pair, list) and len(pair) == 2  # noqa: PLR2004 - name and value
            }
        return {}

    def _number(self, path: str, name: str) -> int | None:
        seen = 0
        for _ in range(MOST_PAGES):
            body = mapping(self._omero.get(path, {"limit": 200, "offset": seen}).body)
            entries = [mapping(one) for one in items(body.get("data"))]
            for entry in entries:
                number, said = entry.get("@id"), str(entry.get("Name", ""))
                if isinstance(number, int) and said.partition("/")[0] == name:
                    return number
            seen += len(entries)
            total = mapping(body.get("meta")).get("totalCount")
            if not entries or not isinstance(total, int) or seen >= total:
                return None
        return None


def _doi(text: str) -> str:
    found = _DOI.search(text)
    return found[0] if found else ""


def open_idr(_scheme: str, _reference: str) -> Idr:
    """Return the Image Data Resource."""
    return Idr(address_of("idr-files", IDR_FILES), address_of("idr", IDR))
