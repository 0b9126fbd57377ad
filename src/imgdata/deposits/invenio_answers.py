"""What InvenioRDM answers, as our values."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from imgdata.deposits.asking import fingerprint
from imgdata.deposits.web import Json
from imgdata.errors import DamagedError
from imgdata.model.deposits import (
    OPEN,
    Access,
    Deposit,
    DepositedFile,
    DepositState,
    Description,
    Visibility,
)
from imgdata.policy.licenses import spdx_id


def deposit_of(body: Json, files: Json) -> Deposit:
    """Return what two answers say about a draft or record."""
    parent = body.get("parent") if isinstance(body, dict) else None
    links = body.get("links") if isinstance(body, dict) else None
    concept = parent.get("id") if isinstance(parent, dict) else ""
    url = links.get("self_html") if isinstance(links, dict) else ""
    return Deposit(
        identifier=text_of(body, "id"),
        concept=str(concept or ""),
        doi=doi_of(body),
        url=str(url or ""),
        state=state_of(body),
        files=tuple(sorted(files_of(files), key=lambda file: file.name)),
        description=description_of(body),
    )


def description_of(body: Json) -> Description:
    """Return what a draft or record says of itself, in its own form."""
    metadata = _dict(body, "metadata")
    stated = _dict(body, "access")
    embargo = _dict(stated, "embargo")
    until = embargo.get("until") if embargo.get("active") else None
    # Of access only what was asked for: the rest is worked out anew by the service every day.
    access = {"record": stated.get("record"), "files": stated.get("files"), "until": until}
    form = {**metadata, **_dict(body, "custom_fields"), "access": access}
    return Description(
        title=str(metadata.get("title") or ""),
        creators=tuple(_name(_dict(one, "person_or_org")) for one in metadata.get("creators", [])),
        license=", ".join(_license(one) for one in metadata.get("rights", [])),
        access=_access(access),
        version=str(metadata.get("version") or ""),
        fields=tuple((name, fingerprint(value)) for name, value in sorted(form.items())),
    )


def _dict(body: Json, key: str) -> dict[str, Any]:
    found = body.get(key) if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _name(person: Mapping[str, Any]) -> str:
    parts = [str(person.get(key) or "") for key in ("family_name", "given_name")]
    return str(person.get("name") or ", ".join(part for part in parts if part))


def _license(right: Json) -> str:
    text = str(_dict({"right": right}, "right").get("id") or "")
    return spdx_id(text) or text


def _access(stated: Mapping[str, Any]) -> Access:
    if stated["record"] != "restricted" and stated["files"] != "restricted":
        return OPEN
    try:
        until = date.fromisoformat(str(stated["until"]))
    except ValueError:
        return Access(Visibility.RESTRICTED)
    return Access(Visibility.EMBARGOED, until)


def state_of(body: Json) -> DepositState:
    """Return how far it has come."""
    if not isinstance(body, dict):
        return DepositState.DRAFT
    if body.get("is_published"):
        return DepositState.PUBLISHED
    return DepositState.IN_REVIEW if body.get("status") == "in_review" else DepositState.DRAFT


def doi_of(body: Json) -> str:
    """Return its DOI, reserved or minted; empty without one."""
    pids = body.get("pids") if isinstance(body, dict) else None
    doi = pids.get("doi") if isinstance(pids, dict) else None
    return str(doi.get("identifier", "")) if isinstance(doi, dict) else ""


def files_of(body: Json) -> list[DepositedFile]:
    """Return the files of a listing."""
    entries = body.get("entries") if isinstance(body, dict) else None
    return [file_of(entry) for entry in entries if isinstance(entry, dict)] if entries else []


def file_of(entry: Json) -> DepositedFile:
    """Return a file entry; its md5 stays empty until the transfer is complete."""
    checksum = str(entry.get("checksum") or "")
    whole = entry.get("status") == "completed" and checksum.startswith("md5:")
    size = entry.get("size")
    return DepositedFile(
        name=text_of(entry, "key"),
        size=size if isinstance(size, int) else 0,
        md5=checksum.removeprefix("md5:") if whole else "",
    )


def text_of(body: Json, key: str) -> str:
    """Return a text that every answer has.

    Raises:
        DamagedError: This one has it not.
    """
    found = body.get(key) if isinstance(body, dict) else None
    if not isinstance(found, str) or not found:
        msg = f"the repository's answer has no '{key}'"
        raise DamagedError(msg, cause="it does not speak the InvenioRDM records API")
    return found
