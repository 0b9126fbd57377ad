"""From what a person pastes (a DOI, the page of a record) to a reference with its scheme."""

import re
from urllib.parse import quote, urlsplit

from imgdata.deposits.addresses import address_of
from imgdata.deposits.public_records import find_doi
from imgdata.deposits.reading import items, mapping
from imgdata.deposits.web import AnswerError, Web, plain
from imgdata.errors import ImgdataError, NothingFoundError, UsageError

RESOLVER = "https://doi.org"
_RESOLVERS = frozenset({"doi.org", "dx.doi.org", "www.doi.org"})
_BY_DOI = (
    (r"10\.5281/zenodo\.\d", "zenodo:{}"),
    (r"10\.6084/m9\.figshare\.", "figshare:{}"),
    (r"10\.5061/dryad\.", "dryad:{}"),
    (r"10\.6019/(S-[A-Z]+\d+)$", "bia:{1}"),
)
# A record's page, host and path as one text, and the reference it is.
_BY_PAGE = (
    (r"(?:www\.)?zenodo\.org/records?/(\d+)/?", "zenodo:{1}"),
    (r"sandbox\.zenodo\.org/records?/(\d+)/?", "zenodo-sandbox:{1}"),
    (r"(?:[a-z0-9-]+\.)?figshare\.com/\S*articles/\S*", "figshare:{url}"),
    (
        r"[^/]+/articles/(?:dataset|figure|media|software|online_resource)/\S+/\d+(?:/\d+)?/?",
        "figshare:{url}",
    ),
    (r"(?:www\.)?datadryad\.org/\S*doi:(10\.\d+/[^\s/?#]+)\S*", "dryad:{1}"),
    (r"www\.ebi\.ac\.uk/\S*/(S-[A-Z]{2,10}\d+)/?", "bia:{1}"),
    (r"idr\.openmicroscopy\.org/\S*(idr\d{4})\b\S*", "idr:{1}"),
    (r"bbbc\.broadinstitute\.org/(BBBC\d{3})/?", "bbbc:{1}"),
    (r"[^/]+/(?:[^?#]*/)?records?/[A-Za-z0-9-]+", "invenio:{url}"),
)
_NO_SUCH_HANDLE = 100


def resolved(reference: str) -> str:
    """Return a reference with the scheme of the place that has it.

    A DOI whose prefix is not known is looked up at doi.org.

    Raises:
        UsageError: The DOI belongs to a place imgdata cannot list.
        NothingFoundError: There is no such DOI.
    """
    scheme = reference.partition(":")[0].lower()
    if scheme in {"http", "https"} and not _is_resolver(reference):
        return _by_page(reference) or reference
    if scheme not in {"doi", "http", "https"} and not reference.startswith("10."):
        return reference
    doi = find_doi(reference).rstrip(".,;)")
    if not doi:
        msg = f"'{reference}' is not a DOI"
        raise UsageError(msg, remedy="write it as doi:10.5281/zenodo.1234567")
    for prefix, form in _BY_DOI:
        found = re.match(prefix, doi, re.IGNORECASE)
        if found:
            return form.format(doi, *found.groups())
    return _looked_up(doi)


def _is_resolver(reference: str) -> bool:
    return (urlsplit(reference).hostname or "") in _RESOLVERS


def _looked_up(doi: str) -> str:
    """Ask the resolver where a DOI leads, and where that leads."""
    web = Web(address_of("doi", RESOLVER))
    try:
        page = _registered(web, doi)
        known = _by_page(page)
        if not known:
            known = _by_page(_followed(web, page))
    finally:
        web.close()
    if not known:
        msg = f"doi:{doi} leads to {plain(page)}, which imgdata cannot list"
        raise UsageError(msg, remedy="import its files by their https:// addresses")
    return known


def _registered(web: Web, doi: str) -> str:
    """Return the address registered for a DOI (the Handle System's JSON)."""
    msg = f"there is no DOI {doi}"
    try:
        body = mapping(web.get(f"/api/handles/{quote(doi)}", {"type": "URL"}).body)
    except NothingFoundError as error:
        raise NothingFoundError(msg, cause=f"{web.service} does not know it") from error
    except AnswerError as error:
        raise NothingFoundError(msg, cause=error.problem) from error
    if body.get("responseCode") == _NO_SUCH_HANDLE:
        raise NothingFoundError(msg, cause=f"{web.service} does not know it")
    for value in map(mapping, items(body.get("values"))):
        page = mapping(value.get("data")).get("value")
        if value.get("type") == "URL" and isinstance(page, str):
            return page
    msg = f"doi:{doi} leads to no page"
    raise NothingFoundError(msg)


def _followed(web: Web, page: str) -> str:
    """Return where a page leads in the end; itself where nobody answers."""
    if not page.startswith(("https://", "http://")):
        return ""
    try:
        return web.final_address(page)
    except ImgdataError:
        return ""


def _by_page(page: str) -> str:
    """Return the reference a record's page is, or nothing."""
    parts = urlsplit(page)
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        return ""
    text = f"{parts.netloc}{parts.path}{'?' if parts.query else ''}{parts.query}"
    for pattern, form in _BY_PAGE:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found:
            return form.format("", *found.groups(), url=page)
    return ""
