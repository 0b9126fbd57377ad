"""Read public files at https addresses, and folders that a server lists as pages of links."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

from msgspec.structs import replace

from imgdata.deposits.addresses import address_of
from imgdata.deposits.license_names import spdx
from imgdata.deposits.public_s3 import refuse_endless
from imgdata.deposits.reading import by_name
from imgdata.deposits.web import PATIENT, Patience, Web, plain
from imgdata.errors import NothingFoundError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord
from imgdata.transfer.move import in_parallel

MOST_FOLDERS = 5_000
MOST_ASKED = 5_000
JOBS = 8
BBBC = "https://bbbc.broadinstitute.org"
BBBC_DATA = "https://data.broadinstitute.org/bbbc"


class _Links(HTMLParser):
    """Collects the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep where an anchor points."""
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def links(page: object, base: str) -> list[str]:
    """Return the absolute addresses a page links to, in order, each once."""
    reader = _Links()
    reader.feed(page if isinstance(page, str) else "")
    return list(dict.fromkeys(urljoin(base, target) for target in reader.found))


class WebFolder:
    """A file at an https address, or a folder whose server lists it as a page of links."""

    def __init__(self, patience: Patience = PATIENT) -> None:
        self._web = Web("https://", patience=patience)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file's bytes from an offset on."""
        return self._web.stream(file.url, start)

    def record(self, reference: str) -> PublicRecord:
        """Return one file, or for an address ending in `/` all below it."""
        parts = urlsplit(reference)
        if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
            msg = f"'{reference}' is not the address of a public file"
            raise UsageError(msg, remedy="write it as https://HOST/folder/ or https://HOST/file")
        files = self.below(reference) if parts.path.endswith("/") else (self._single(reference),)
        if not files:
            msg = f"{reference} lists no files"
            raise NothingFoundError(msg)
        return PublicRecord(
            reference=reference,
            source=reference,
            title=plain(unquote(parts.path.strip("/").rpartition("/")[2])) or parts.netloc,
            doi="",
            concept="",
            version="",
            license="",
            citation="",
            files=files,
            remarks=("no licence is stated and no checksum given; the first download is trusted",),
            has_versions=False,
        )

    def _single(self, url: str) -> PublicFile:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        told = self._web.about(url)
        is_page = told.get("Content-Type", "").startswith("text/html")
        if is_page and not name.lower().endswith((".html", ".htm")):
            msg = f"{url} is a page for people, not a file"
            raise UsageError(
                msg, remedy="import the files it links to, or a folder: https://HOST/folder/"
            )
        return _told(PublicFile(name, url, None), told)

    def below(self, root: str) -> tuple[PublicFile, ...]:
        """Return the files below a folder, with their sizes, sorted by name."""
        return self.asked(
            PublicFile(unquote(url[len(root) :]), url, None) for url in self._walk(root)
        )

    def asked(self, files: Iterable[PublicFile]) -> tuple[PublicFile, ...]:
        """Return files sorted by name, with what their server says of each.

        One request a file; beyond a few thousand files none, and sizes stay unknown.
        """
        known = sorted(files, key=lambda file: file.name)
        if len(known) > MOST_ASKED:
            return tuple(known)
        found = in_parallel(lambda file: _told(file, self._web.about(file.url)), known, JOBS)
        return by_name(found)

    def _walk(self, root: str) -> Iterator[str]:
        """Yield the files below a folder; links that lead elsewhere are not followed."""
        pending, seen, count = [root], {root}, 0
        while pending:
            here = pending.pop()
            for url in links(self._web.get(here).body, here):
                target = url.partition("?")[0].partition("#")[0]
                if not target.startswith(here) or target in seen:
                    continue
                seen.add(target)
                if target.endswith("/"):
                    pending.append(target)
                    refuse_endless(len(pending), root, MOST_FOLDERS)
                else:
                    yield target
                    count += 1
            refuse_endless(count, root)


def _told(file: PublicFile, headers: Mapping[str, str]) -> PublicFile:
    """Return a file with the size and stamp of its headers."""
    size = headers.get("Content-Length", "")
    stamp = headers.get("ETag", "") or headers.get("Last-Modified", "")
    return replace(file, size=int(size) if size.isdecimal() else None, stamp=stamp[:200])


class Bbbc(WebFolder):
    """A set of the Broad Bioimage Benchmark Collection: the files its page links to."""

    def __init__(
        self, page: str = BBBC, data: str = BBBC_DATA, patience: Patience = PATIENT
    ) -> None:
        super().__init__(patience)
        self._page = page
        self._data = data

    def record(self, reference: str) -> PublicRecord:
        """Return the files of `bbbc:BBBCnnn`; there are no checksums."""
        name = reference.removeprefix("bbbc:").upper()
        if not re.fullmatch(r"BBBC\d{3}", name):
            msg = f"'{reference}' names no set of BBBC"
            raise UsageError(msg, remedy="write it as bbbc:BBBC021")
        page = f"{self._page}/{name}"
        body = self._web.get(page).body
        base = _unsafe(f"{self._data}/{name}/")
        linked = [url for url in links(body, f"{page}/") if _unsafe(url).startswith(base)]
        files = self.asked(
            PublicFile(unquote(_unsafe(url)[len(base) :]), url, None)
            for url in linked
            if not url.endswith("/")
        )
        if not files:
            msg = f"the page of {name} links to no files"
            raise NothingFoundError(msg, remedy=f"look at {page}")
        licence = _license_on(body)
        unknown = (
            "its page states no licence: ask its authors before you publish it again",
            "licences differ from set to set: read its page before you publish it again",
        )[bool(licence)]
        return PublicRecord(
            reference=f"bbbc:{name}",
            source=page,
            title=f"Broad Bioimage Benchmark Collection {name}",
            doi="",
            concept=name,
            version="",
            license=licence,
            citation=(
                f"Ljosa V. et al. (2012). Broad Bioimage Benchmark Collection, image set {name}. "
                "Nature Methods 9, 637. https://doi.org/10.1038/nmeth.2083"
            ),
            files=files,
            remarks=("there are no checksums; the first download is trusted", unknown),
            has_versions=False,
        )


def _unsafe(url: str) -> str:
    """Return an address without its scheme: old pages of a site link with http."""
    return url.partition("://")[2]


def _license_on(page: object) -> str:
    """Return the licence a page links to, when all its licence links are the same one."""
    found = {spdx(url) for url in links(page, "https://x/") if "creativecommons.org/" in url}
    named = {one for one in found if one.startswith("CC")}
    return named.pop() if len(named) == 1 else ""


def open_web(_scheme: str, _reference: str) -> WebFolder:
    """Return the public web."""
    return WebFolder()


def open_bbbc(_scheme: str, _reference: str) -> Bbbc:
    """Return the Broad Bioimage Benchmark Collection."""
    return Bbbc(address_of("bbbc", BBBC), address_of("bbbc-data", BBBC_DATA))
