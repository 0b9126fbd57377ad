"""Figshare and Figshare+, by API v2.

Files go in parts to an upload service that remembers which have arrived, so an upload goes on
where it stopped. A new version is the same article, changed and published again.

Source: https://docs.figshare.com, API 2.0; the upload service: "Upload files" there.
"""

import itertools
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from imgdata.deposits.asking import fingerprint, insist, read_until_published, told
from imgdata.deposits.web import (
    PATIENT,
    Answer,
    AnswerError,
    Json,
    Patience,
    UnclearError,
    Web,
)
from imgdata.errors import (
    CredentialsError,
    DamagedError,
    NothingFoundError,
    StorageError,
    UsageError,
)
from imgdata.model.deposits import (
    OPEN,
    Access,
    Creator,
    Deposit,
    DepositedFile,
    DepositLimits,
    DepositMetadata,
    DepositRecord,
    DepositState,
    Description,
    Question,
    Visibility,
)
from imgdata.ports import Content, Depository
from imgdata.system.credentials import Token
from imgdata.system.progress import Progress

ADDRESS = "https://api.figshare.com/v2"
LIMITS = DepositLimits(
    files=500,
    total=20 * 10**9,
    file=20 * 10**9,
    note="20 GB of private storage on figshare.com; institutions differ, and for more ask "
    "Figshare for Figshare+ (ordered and reviewed by their staff)",
)
_READS = 8
_PAGE = 1000
_PENDING = "PENDING"
_SETTLED = frozenset({"available", "ic_failure"})
# What a person fills in on an article's page.
_FORM = (
    *("title", "description", "authors", "keywords", "categories", "license", "references"),
    *("related_materials", "funding_list", "custom_fields", "resource_doi", "resource_title"),
    *("is_embargoed", "embargo_date", "embargo_type", "embargo_reason", "is_confidential"),
)
_VERSION = re.compile(r"\.v(\d+)$")


class FigshareService(Struct, frozen=True):
    """Figshare before anybody connects."""

    address: str = ADDRESS
    publisher: str = "figshare"
    limits: DepositLimits = LIMITS

    def asks(self, metadata: DepositMetadata) -> tuple[Question, ...]:
        """Ask for what Figshare publishes nothing without."""
        where = "metadata/figshare.yaml"
        missing = []
        if not metadata.answer("figshare.categories"):
            text = "Which categories of Figshare, as 'Cell Biology'?"
            missing.append(Question("figshare.categories", text, where, required=True))
        if not metadata.keywords:
            text = "Figshare publishes nothing without keywords; which?"
            missing.append(Question("keywords", text, "imgdata.yaml", required=True))
        return tuple(missing)

    def connect(self, token: Token | None) -> Depository:
        """Return the service for one account, or for the public. Makes no request."""
        return Figshare(self.address, token)


def open_figshare(name: str, url: str) -> FigshareService:
    """Return Figshare for `figshare:`, or another address of its API."""
    address = url.partition(":")[2] or ADDRESS
    if not address.startswith(("https://", "http://")):
        msg = f"repository '{name}': '{url}' is neither figshare: nor figshare:https://..."
        raise UsageError(msg, remedy="correct its url in imgdata.yaml")
    return FigshareService(address.rstrip("/"))


class Figshare:
    """One account of Figshare as a `Depository`."""

    def __init__(self, address: str, token: Token | None, patience: Patience = PATIENT) -> None:
        headers = {"Accept": "application/json"}
        self._web = Web(address, token=token, scheme="token", headers=headers, patience=patience)
        # Parts go to an address the service names: the account's token stays here.
        self._parts = Web("https://", headers=headers, patience=patience)
        self.address = address.rstrip("/")
        self._known: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def __repr__(self) -> str:
        return f"Figshare({self.address!r})"

    def close(self) -> None:
        """Close the connections."""
        self._web.close()
        self._parts.close()

    def create(self, metadata: DepositMetadata, access: Access, marker: str) -> Deposit:
        """Open an article with the marker among its keywords, then describe it without."""
        document = self._document(metadata)
        document["keywords"] = [*document["keywords"], _keyword(marker)]
        answer = told(self._web, lambda: self._web.post("/account/articles", document))
        self._web.refuse_wrong_clock(answer)
        body = answer.body
        identifier = str(_field(body, "entity_id"))
        return self.describe(identifier, metadata, access)

    def describe(self, identifier: str, metadata: DepositMetadata, access: Access) -> Deposit:
        """Replace the description, reserve the DOI where there is none, set the embargo."""
        path = f"/account/articles/{_number(identifier)}"
        told(self._web, lambda: self._web.put(path, self._document(metadata)))
        found = self.read(identifier)
        if not found.doi:
            self._reserve(path)
        if access.visibility is Visibility.OPEN and found.description.access != OPEN:
            self._web.delete(f"{path}/embargo")
        if access.visibility is not Visibility.OPEN:
            until = access.until.isoformat() if access.until else "0"
            embargo = {"is_embargoed": True, "embargo_date": until, "embargo_type": "file"}
            told(self._web, lambda: self._web.put(f"{path}/embargo", embargo))
        return self.read(identifier)

    def _reserve(self, path: str) -> None:
        """Reserve the DOI, after reading that there is none; publishing mints one in any case."""

        def ask() -> Answer:
            answer = self._web.get(path)
            has_one = isinstance(answer.body, dict) and answer.body.get("doi")
            return answer if has_one else self._web.post(f"{path}/reserve_doi")

        with suppress(AnswerError, UnclearError):
            insist(self._web, ask)

    def _document(self, metadata: DepositMetadata) -> dict[str, Any]:
        document: dict[str, Any] = {
            "title": metadata.title,
            "description": metadata.description,
            "defined_type": "dataset",
            "authors": [_author(creator) for creator in metadata.creators],
            "keywords": list(metadata.keywords),
            "categories": self._categories(metadata.answer("figshare.categories")),
            "license": self._license(metadata.license),
            "references": [
                f"https://doi.org/{one.identifier}" if one.scheme == "doi" else one.identifier
                for one in metadata.related
            ],
        }
        return document

    def _categories(self, wanted: str) -> list[int]:
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        known = {
            str(one.get("title", "")).lower(): int(one.get("id", 0))
            for one in _listed(self._web.get("/account/categories").body)
        }
        for name in names:
            if name.lower() not in known:
                msg = f"Figshare has no category '{name}'"
                near = ", ".join(sorted(known)[:10])
                raise UsageError(msg, cause=f"it has {near}, ...", remedy="metadata/figshare.yaml")
        return [known[name.lower()] for name in names]

    def _license(self, spdx: str) -> int:
        """Return Figshare's number of a licence, looked up now."""
        wanted = spdx.lower().replace("-", " ")
        found = _listed(self._web.get("/account/licenses").body)
        for one in found:
            name = str(one.get("name", "")).lower().replace("-", " ")
            if name == wanted or (wanted == "cc0 1.0" and name == "cc0"):
                return int(one["value"])
        names = ", ".join(str(one.get("name", "")) for one in found)
        msg = f"Figshare does not offer the licence {spdx}"
        raise UsageError(msg, cause=f"it offers {names}", remedy="choose another in imgdata.yaml")

    def read(self, identifier: str) -> Deposit:
        """Return the article as its owner sees it, with its files."""
        path = f"/account/articles/{_number(identifier)}"
        body = self._web.get(path).body
        files = list(self._paged(f"{path}/files"))
        found = body if isinstance(body, dict) else {}
        url = found.get("url_public_html") or found.get("url_private_html") or ""
        return Deposit(
            identifier=str(_field(body, "id")),
            concept=str(_field(body, "id")),
            doi=str(found.get("doi") or ""),
            url=str(url),
            state=_state(found),
            files=tuple(sorted((_file(one) for one in files), key=lambda file: file.name)),
            description=_description(found),
        )

    def published(self, record: DepositRecord) -> tuple[DepositedFile, ...]:
        """Return the files of a published version."""
        return tuple(
            DepositedFile(
                one["name"], int(one.get("size") or 0), str(one.get("computed_md5") or "")
            )
            for one in self._public_files(record)
        )

    def content(
        self, record: DepositRecord, name: str, start: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a published file, or a range of it, where Figshare says that it lies."""
        named = {str(one["name"]): str(one["download_url"]) for one in self._public_files(record)}
        if name not in named:
            msg = f"{self._web.service} has no file {name} in {record.doi or record.identifier}"
            raise NothingFoundError(msg)
        self._refuse_strange(named[name])
        return self._parts.stream(named[name], start, length)

    def _public_files(self, record: DepositRecord) -> list[dict[str, Any]]:
        version = _VERSION.search(record.doi)
        key = (record.identifier, version[1] if version else "1")
        if key not in self._known:
            files = self._paged(f"/articles/{_number(key[0])}/versions/{key[1]}/files")
            self._known[key] = [one for one in files if "name" in one and "download_url" in one]
        return self._known[key]

    def _paged(self, path: str) -> Iterator[dict[str, Any]]:
        for page in itertools.count(1):
            listed = _listed(self._web.get(path, {"page": page, "page_size": _PAGE}).body)
            yield from listed
            if len(listed) < _PAGE:
                return

    def add_file(self, identifier: str, content: Content, progress: Progress) -> DepositedFile:
        """Send one file in parts; parts that have arrived are not sent again."""
        base = f"/account/articles/{_number(identifier)}/files"
        info = self._begun(base, content) or self._begin(base, content)
        number, upload = int(_field(info, "id")), str(_field(info, "upload_url"))
        self._refuse_strange(upload)
        table = self._parts.get(upload).body
        for part in _listed(table.get("parts") if isinstance(table, dict) else None):
            start, end = int(part["startOffset"]), int(part["endOffset"]) + 1
            if part.get("status") == _PENDING:
                self._send(f"{upload}/{int(part['partNo'])}", content, start, end - start)
            progress.advance(size=end - start)
        # Whether it was told is seen by reading, which follows in any case.
        with suppress(UnclearError):
            self._web.post(f"{base}/{number}")
        return self._available(f"{base}/{number}", content)

    def _begun(self, base: str, content: Content) -> Json | None:
        """Return an unfinished upload of the very same file; remove others of that name."""
        same = None
        for one in list(self._paged(base)):
            if one.get("name") != content.name:
                continue
            mine = (one.get("size"), one.get("supplied_md5")) == (content.size, content.md5)
            if mine and one.get("status") == "created" and same is None:
                same = one
            else:
                self._web.delete(f"{base}/{int(one['id'])}")
        return same

    def _begin(self, base: str, content: Content) -> Json:
        asked = {"name": content.name, "size": content.size, "md5": content.md5}
        try:
            location = str(
                _field(told(self._web, lambda: self._web.post(base, asked)).body, "location")
            )
        except (UsageError, CredentialsError, AnswerError) as error:
            if "quota" in error.cause.lower():
                msg = f"{content.name} does not fit: the quota on {self._web.service} is used up"
                raise StorageError(msg, cause=error.cause, remedy=LIMITS.note) from error
            raise
        return self._web.get(f"{base}/{location.rstrip('/').rpartition('/')[2]}").body

    def _refuse_strange(self, upload: str) -> None:
        """Files go over TLS, or to and from the host we speak with."""
        own = urlsplit(self.address)
        named = urlsplit(upload)
        if named.scheme != "https" and named.hostname != own.hostname:
            msg = f"{self._web.service} names an address for files that is not safe"
            raise StorageError(msg, cause=f"{named.scheme}://{named.hostname}")

    def _send(self, url: str, content: Content, start: int, length: int) -> None:
        insist(
            self._parts,
            lambda: self._parts.send(url, lambda: content.chunks(start, length), length),
        )

    def _available(self, path: str, content: Content) -> DepositedFile:
        """Wait until Figshare has put the parts together and computed its checksum."""
        wait = self._web.patience.first_wait
        for _ in range(_READS):
            info = self._web.get(path).body
            if isinstance(info, dict) and info.get("status") in _SETTLED:
                return _file(info)  # without a checksum where it is broken
            self._web.patience.sleep(wait)
            wait *= 2
        msg = f"{self._web.service} has not put {content.name} together yet"
        raise StorageError(msg, remedy="run the same command again; it goes on from there")

    def remove_file(self, identifier: str, name: str) -> None:
        """Remove all files of that name from the article."""
        base = f"/account/articles/{_number(identifier)}/files"
        for one in list(self._paged(base)):
            if one.get("name") == name:
                self._web.delete(f"{base}/{int(one['id'])}")

    def publish(self, identifier: str) -> Deposit:
        """Publish the article; asked once, then read until it is known."""
        try:
            told(
                self._web,
                lambda: self._web.post(f"/account/articles/{_number(identifier)}/publish"),
            )
        except UnclearError as error:
            return read_until_published(
                self._web, lambda: self._settled(identifier), identifier, error
            )
        found = self.read(identifier)
        if found.state is DepositState.DRAFT:
            # Groups may ask for curation: asked for, but not public.
            return replace(found, state=DepositState.IN_REVIEW)
        return found

    def _settled(self, identifier: str) -> Deposit | None:
        """Return the article once it is no draft any more."""
        found = self.read(identifier)
        return None if found.state is DepositState.DRAFT else found

    def new_version(self, identifier: str) -> Deposit:
        """Return the article itself: changed and published again it is the next version."""
        return replace(self.read(identifier), state=DepositState.DRAFT)

    def discard(self, identifier: str) -> None:
        """Delete an article that was never published."""
        try:
            self._web.delete(f"/account/articles/{_number(identifier)}")
        except NothingFoundError:
            return

    def find_draft(self, marker: str) -> Deposit | None:
        """Look through this account's newest articles for the marker."""
        query: dict[str, str | int] = {"page_size": 30, "page": 1}
        for one in _listed(self._web.get("/account/articles", query).body):
            identifier = str(_field(one, "id"))
            body = self._web.get(f"/account/articles/{_number(identifier)}").body
            keywords = body.get("keywords") or body.get("tags") if isinstance(body, dict) else None
            if _keyword(marker) in (keywords or []):
                return self.read(identifier)
        return None

    def reviewer_link(self, identifier: str) -> str:
        """Make a private link that shows the article to whoever has it."""
        path = f"/account/articles/{_number(identifier)}/private_links"
        body = self._web.post(path, {}).body
        return str(_field(body, "html_location"))


def _keyword(marker: str) -> str:
    return f"imgdata-{marker}"


def _author(creator: Creator) -> dict[str, str]:
    name = f"{creator.given} {creator.family}".strip() if creator.is_person else creator.name
    return {"name": name, "orcid_id": creator.orcid} if creator.orcid else {"name": name}


def _description(body: dict[str, Any]) -> Description:
    """Return what an article says of itself."""
    license_ = body.get("license")
    name = str(license_.get("name") or "") if isinstance(license_, dict) else ""
    form = {key: body.get(key) for key in _FORM}
    return Description(
        title=str(body.get("title") or ""),
        creators=tuple(
            str(one.get("full_name") or one.get("name") or "")
            for one in _listed(body.get("authors"))
        ),
        license=name,
        access=_access(body),
        fields=tuple((key, fingerprint(value)) for key, value in sorted(form.items()) if value),
    )


def _access(body: dict[str, Any]) -> Access:
    if not (body.get("is_embargoed") or body.get("is_confidential")):
        return OPEN
    try:
        until = date.fromisoformat(str(body.get("embargo_date") or "")[:10])
    except ValueError:
        return Access(Visibility.RESTRICTED)
    return Access(Visibility.EMBARGOED, until)


def _state(body: dict[str, Any]) -> DepositState:
    if body.get("status") == "public":
        return DepositState.PUBLISHED
    if body.get("curation_status") in {"pending", "in-review"}:
        return DepositState.IN_REVIEW
    return DepositState.DRAFT


def _file(info: dict[str, Any]) -> DepositedFile:
    md5 = str(info.get("computed_md5") or "") if info.get("status") == "available" else ""
    return DepositedFile(str(info.get("name", "")), int(info.get("size") or 0), md5)


def _number(identifier: str) -> int:
    if not identifier.isdigit():
        msg = f"Figshare has no article '{identifier}'"
        raise NothingFoundError(msg)
    return int(identifier)


def _field(body: Json, name: str) -> Json:
    found = body.get(name) if isinstance(body, dict) else None
    if found is None:
        msg = f"Figshare's answer has no '{name}'"
        raise DamagedError(msg)
    return found


def _listed(body: Json) -> list[dict[str, Any]]:
    return [one for one in body if isinstance(one, dict)] if isinstance(body, list) else []
