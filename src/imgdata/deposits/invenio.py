"""Zenodo and every other InvenioRDM, by the records API.

Draft, files, publish: `POST /records`, `POST|PUT .../draft/files`, `POST .../actions/publish`.
An answer with HTTP 200 and `errors` is a failure. The server does not check a checksum it is
sent; it computes its own md5, which `read` and `add_file` return.

Source: docs-invenio-rdm, reference/rest_api_drafts_records.md; recorded against
invenio-rdm-records 36.0.0.
"""

import html
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from imgdata.deposits.asking import insist, read_until_published, told
from imgdata.deposits.invenio_answers import (
    deposit_of,
    doi_of,
    file_of,
    files_of,
    state_of,
    text_of,
)
from imgdata.deposits.web import (
    PATIENT,
    Answer,
    AnswerError,
    Json,
    Patience,
    UnclearError,
    Web,
    field_errors,
)
from imgdata.errors import (
    NothingFoundError,
    RefusedError,
    StorageError,
    UsageError,
)
from imgdata.model.deposits import (
    Access,
    Creator,
    Deposit,
    DepositedFile,
    DepositLimits,
    DepositMetadata,
    DepositRecord,
    DepositState,
    Question,
    Visibility,
)
from imgdata.ports import Content, Depository
from imgdata.system.credentials import Token
from imgdata.system.progress import Progress

ADDRESSES = {
    "sandbox": "https://sandbox.zenodo.org",
    "production": "https://zenodo.org",
}
LIMITS = DepositLimits(
    files=100,
    total=50 * 10**9,
    file=50 * 10**9,
    note="100 files and 50 GB a record; Zenodo adds up to 150 GB in total to your own drafts "
    "on the upload page",
)
# On a record, plain JSON would be answered in Zenodo's old form; files are plain JSON only.
ACCEPT = "application/vnd.inveniordm.v1+json, application/json;q=0.5"


class InvenioService(Struct, frozen=True):
    """One InvenioRDM before anybody connects."""

    address: str
    publisher: str
    limits: DepositLimits = LIMITS

    def asks(self, _metadata: DepositMetadata) -> tuple[Question, ...]:
        """Ask for nothing more than a DOI needs."""
        return ()

    def connect(self, token: Token | None) -> Depository:
        """Return the service for one account, or for the public. Makes no request."""
        return InvenioRdm(self.address, token)


def open_zenodo(name: str, url: str) -> InvenioService:
    """Return Zenodo for `zenodo:sandbox` (also `zenodo:`) or `zenodo:production`."""
    which = url.partition(":")[2] or "sandbox"
    if which not in ADDRESSES:
        msg = f"repository '{name}': '{url}' is neither zenodo:sandbox nor zenodo:production"
        raise UsageError(msg, remedy="correct its url in imgdata.yaml")
    return InvenioService(ADDRESSES[which], "Zenodo")


def open_invenio(name: str, url: str) -> InvenioService:
    """Return the InvenioRDM at `invenio:https://HOST`."""
    address = url.partition(":")[2].rstrip("/")
    if not re.fullmatch(r"https?://[^/\s@]+(/[^\s@?#]*)?", address):
        msg = f"repository '{name}': '{url}' has no address of an InvenioRDM"
        raise UsageError(msg, remedy="write it as invenio:https://data.university.example")
    return InvenioService(address.removesuffix("/api"), urlsplit(address).netloc)


class InvenioRdm:
    """One InvenioRDM service as a `Depository`."""

    def __init__(self, address: str, token: Token | None, patience: Patience = PATIENT) -> None:
        self._web = Web(
            f"{address.rstrip('/')}/api",
            token=token,
            headers={"Accept": ACCEPT},
            patience=patience,
        )
        self.address = address.rstrip("/")

    def __repr__(self) -> str:
        return f"InvenioRdm({self.address!r})"

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def create(self, metadata: DepositMetadata, access: Access, marker: str) -> Deposit:
        """Open a draft and reserve its DOI; complaints about the description are in the answer."""
        answer = told(
            self._web, lambda: self._web.post("/records", _document(metadata, access, marker))
        )
        self._web.refuse_wrong_clock(answer)
        self._reserve_doi(text_of(answer.body, "id"))
        found = self.read(text_of(answer.body, "id"))
        return replace(found, complaints=self._complaints(answer))

    def describe(self, identifier: str, metadata: DepositMetadata, access: Access) -> Deposit:
        """Replace the description of a draft; identifiers, DOI and files stay."""
        path = f"/records/{quote(identifier, safe='')}/draft"
        now = self._web.get(path).body
        document = _document(metadata, access, "")
        kept = now.get("metadata", {}).get("identifiers") if isinstance(now, dict) else None
        document["metadata"].update({"identifiers": kept} if kept else {})
        document["pids"] = now.get("pids", {})
        answer = told(self._web, lambda: self._web.put(path, document))
        if not doi_of(answer.body):
            self._reserve_doi(identifier)
        return replace(self.read(identifier), complaints=self._complaints(answer))

    def read(self, identifier: str) -> Deposit:
        """Return the draft, else the published record, with the files' checksums.

        Raises:
            NothingFoundError: There is neither.
            CredentialsError: There is a draft, of another account.
        """
        path = f"/records/{quote(identifier, safe='')}"
        try:
            body = self._web.get(f"{path}/draft").body
            files = self._web.get(f"{path}/draft/files").body
        except NothingFoundError:
            body = self._record(path)
            files = self._web.get(f"{path}/files").body
        return deposit_of(body, files)

    def _record(self, path: str) -> Json:
        """Return a published record; where there is none, the draft may be another account's."""
        try:
            return self._web.get(path).body
        except NothingFoundError:
            # A stranger's draft is answered as if it were not; its files are refused instead.
            self._web.get(f"{path}/draft/files")
            raise

    def published(self, record: DepositRecord) -> tuple[DepositedFile, ...]:
        """Return the files of a published version."""
        path = f"/records/{quote(record.identifier, safe='')}"
        body = self._web.get(path).body
        if state_of(body) is not DepositState.PUBLISHED:
            msg = f"{self._web.service} has no published record {record.identifier}"
            raise NothingFoundError(msg)
        return tuple(files_of(self._web.get(f"{path}/files").body))

    def content(
        self, record: DepositRecord, name: str, start: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a published file, or a range of it."""
        path = f"/records/{quote(record.identifier, safe='')}/files/{quote(name, safe='')}/content"
        return self._web.stream(path, start, length)

    def add_file(self, identifier: str, content: Content, progress: Progress) -> DepositedFile:
        """Send one file in one stream; a dropped attempt is removed and begun again."""
        base = f"/records/{quote(identifier, safe='')}/draft/files"
        one = f"{base}/{quote(content.name, safe='')}"
        sent = _Counted(content, progress)

        def attempt() -> Answer:
            self.remove_file(identifier, content.name)
            self._opened(base, content.name)
            sent.take_back()
            return self._web.send(f"{one}/content", sent.chunks, content.size)

        try:
            answer = insist(self._web, attempt)
        except AnswerError as error:
            raise self._over_quota(error, content) from error
        self._no_errors(answer, content.name)
        return self._committed(one, content.name)

    def _opened(self, base: str, name: str) -> None:
        """Announce a file; after an unclear answer look whether it was announced."""
        try:
            answer = self._web.post(base, [{"key": name}])
        except UnclearError:
            if name not in {file.name for file in files_of(self._web.get(base).body)}:
                raise
            return
        except AnswerError as error:
            if any("max amount" in line for line in error.messages):
                msg = f"{self._web.service} takes no more files in this draft"
                raise RefusedError(
                    msg, cause=error.cause, remedy="pack the levels: fewer, larger files"
                ) from error
            raise
        self._no_errors(answer, name)

    def _committed(self, one: str, name: str) -> DepositedFile:
        """Finish a file. Committing twice is answered like once, so it is repeated."""
        answer = insist(self._web, lambda: self._web.post(f"{one}/commit"))
        self._no_errors(answer, name)
        found = file_of(answer.body)
        if found.md5:
            return found
        msg = f"{self._web.service} did not complete {name}"
        raise StorageError(msg, remedy="run the same command again; it goes on from there")

    def _no_errors(self, answer: Answer, name: str) -> None:
        if errors := self._complaints(answer):
            msg = f"{self._web.service} did not take {name}"
            raise StorageError(
                msg,
                cause="\n".join(errors),
                remedy="run the same command again; it goes on from there",
            )

    def _over_quota(self, error: AnswerError, content: Content) -> StorageError:
        if not any("exceeded" in line.lower() for line in error.messages):
            return error
        return StorageError(
            f"{content.name} ({content.size} bytes) does not fit: the quota of this draft on "
            f"{self._web.service} is used up",
            cause=error.cause,
            remedy="ask for more storage on the draft's upload page, or publish fewer levels",
        )

    def remove_file(self, identifier: str, name: str) -> None:
        """Remove one file of a draft, finished or not."""
        draft = f"/records/{quote(identifier, safe='')}/draft"
        try:
            self._web.delete(f"{draft}/files/{quote(name, safe='')}")
        except NothingFoundError:
            return

    def publish(self, identifier: str) -> Deposit:
        """Publish a draft; asked once, then read until it is known."""
        if self._is_published(identifier):
            return self.read(identifier)
        path = f"/records/{quote(identifier, safe='')}/draft/actions/publish"
        try:
            answer = told(self._web, lambda: self._web.post(path))
        except UnclearError as error:
            return read_until_published(
                self._web,
                lambda: self.read(identifier) if self._is_published(identifier) else None,
                identifier,
                error,
            )
        if errors := self._complaints(answer):
            msg = f"{self._web.service} did not publish the draft"
            raise UsageError(msg, cause="\n".join(errors))
        return self.read(identifier)

    def _is_published(self, identifier: str) -> bool:
        try:
            body = self._web.get(f"/records/{quote(identifier, safe='')}").body
        except NothingFoundError:
            return False
        return bool(isinstance(body, dict) and body.get("is_published"))

    def new_version(self, identifier: str) -> Deposit:
        """Return the draft of the next version; the published files are in it, unsent."""
        answer = self._web.post(f"/records/{quote(identifier, safe='')}/versions")
        draft = quote(text_of(answer.body, "id"), safe="")
        files = self._web.get(f"/records/{draft}/draft/files").body
        if not files_of(files):
            # Only an empty draft takes them; one that has files was begun earlier.
            self._web.post(f"/records/{draft}/draft/actions/files-import")
        self._reserve_doi(draft)
        return self.read(draft)

    def discard(self, identifier: str) -> None:
        """Throw a draft away."""
        try:
            self._web.delete(f"/records/{quote(identifier, safe='')}/draft")
        except NothingFoundError:
            return

    def find_draft(self, marker: str) -> Deposit | None:
        """Look through this account's uploads for the marker."""
        query: dict[str, str | int] = {
            "q": f'metadata.identifiers.identifier:"{_urn(marker)}"',
            "size": 25,
        }
        hits = self._web.get("/user/records", query).body
        listed = hits.get("hits", {}).get("hits", []) if isinstance(hits, dict) else []
        for hit in listed if isinstance(listed, list) else []:
            identifiers = hit.get("metadata", {}).get("identifiers", [])
            if any(item.get("identifier") == _urn(marker) for item in identifiers):
                return self.read(text_of(hit, "id"))
        return None

    def reviewer_link(self, identifier: str) -> str:
        """Make a link that shows the draft, files included, to whoever has it."""
        record = quote(identifier, safe="")
        body = self._web.post(f"/records/{record}/access/links", {"permission": "view"}).body
        secret = text_of(body, "token")
        return f"{self.address}/records/{record}?preview=1&token={quote(secret, safe='')}"

    def submit_to(self, identifier: str, community: str) -> Deposit:
        """Ask the community's curators to review the draft; they publish it."""
        try:
            found = self._web.get(f"/communities/{quote(community, safe='')}").body
        except NothingFoundError as error:
            msg = f"{self._web.service} has no community '{community}'"
            raise UsageError(
                msg, cause=error.cause, remedy="take the name from the address of its page"
            ) from error
        review = {
            "receiver": {"community": text_of(found, "id")},
            "type": "community-submission",
        }
        draft = f"/records/{quote(identifier, safe='')}/draft"
        told(self._web, lambda: self._web.put(f"{draft}/review", review))
        answer = told(self._web, lambda: self._web.post(f"{draft}/actions/submit-review"))
        if errors := self._complaints(answer):
            msg = f"the community '{community}' did not get the draft"
            raise UsageError(msg, cause="\n".join(errors))
        return self.read(identifier)

    def _reserve_doi(self, identifier: str) -> None:
        """Reserve the DOI. A second time is answered so, hence asking again does no harm."""
        path = f"/records/{quote(identifier, safe='')}/draft/pids/doi"
        try:
            insist(self._web, lambda: self._web.post(path))
        except AnswerError as error:
            if not any("already exists" in line for line in error.messages):
                raise

    def _complaints(self, answer: Answer) -> tuple[str, ...]:
        return tuple(self._web.clean(line) for line in field_errors(answer.body))


class _Counted:
    """Reports the bytes of an attempt, and takes them back when it fails."""

    def __init__(self, content: Content, progress: Progress) -> None:
        self._content = content
        self._progress = progress
        self._done = 0

    def chunks(self) -> Any:  # noqa: ANN401 - an iterator of bytes, fresh each time
        """Yield the content and count it."""
        for chunk in self._content.chunks():
            self._done += len(chunk)
            self._progress.advance(size=len(chunk))
            yield chunk

    def take_back(self) -> None:
        """Uncount what a failed attempt had counted."""
        self._progress.advance(size=-self._done)
        self._done = 0


def _urn(marker: str) -> str:
    return f"urn:uuid:{marker}"


def _document(metadata: DepositMetadata, access: Access, marker: str) -> dict[str, Any]:
    """Return the record as the API takes it."""
    described: dict[str, Any] = {
        "resource_type": {"id": "dataset"},
        "title": metadata.title,
        "creators": [_creator(creator) for creator in metadata.creators],
        "publication_date": metadata.published.isoformat(),
        "publisher": metadata.publisher or "Zenodo",
        "description": _paragraphs(metadata.description),
        "rights": [{"id": metadata.license.lower()}] if metadata.license else [],
        "subjects": [{"subject": keyword} for keyword in metadata.keywords],
        "related_identifiers": [
            {
                "identifier": related.identifier,
                "scheme": related.scheme,
                "relation_type": {"id": related.relation.lower()},
            }
            for related in metadata.related
        ],
    }
    if metadata.version:
        described["version"] = metadata.version
    if marker:
        described["identifiers"] = [{"identifier": _urn(marker), "scheme": "urn"}]
    return {
        "access": _access(access),
        "files": {"enabled": True},
        "metadata": {key: value for key, value in described.items() if value not in ("", [])},
    }


def _creator(creator: Creator) -> dict[str, Any]:
    if creator.is_person:
        person: dict[str, Any] = {"type": "personal", "family_name": creator.family}
        if creator.given:
            person["given_name"] = creator.given
        if creator.orcid:
            person["identifiers"] = [{"scheme": "orcid", "identifier": creator.orcid}]
    else:
        person = {"type": "organizational", "name": creator.name}
    found: dict[str, Any] = {"person_or_org": person}
    if creator.affiliation:
        found["affiliations"] = [{"name": creator.affiliation}]
    return found


def _paragraphs(text: str) -> str:
    parts = re.split(r"\n\s*\n", text.strip())
    return "".join(f"<p>{html.escape(part.strip())}</p>" for part in parts if part.strip())


def _access(access: Access) -> dict[str, Any]:
    files = "public" if access.visibility is Visibility.OPEN else "restricted"
    stated: dict[str, Any] = {"record": "public", "files": files}
    if access.until is not None:
        stated["embargo"] = {
            "active": True,
            "until": access.until.isoformat(),
            "reason": "embargo set by the depositors",
        }
    return stated
