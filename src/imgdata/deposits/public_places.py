"""Read public files that are no records: web folders, unsigned S3, the Cell Painting Gallery.

Bytes come by plain HTTPS; listings are read with limits, for nobody vouches for them.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from os import environ
from urllib.parse import quote, unquote, urljoin, urlsplit

from imgdata.deposits.web import PATIENT, Patience, Web
from imgdata.errors import NothingFoundError, RefusedError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord

MOST_FILES = 2_000_000
MOST_FOLDERS = 5_000
GALLERY = "cellpainting-gallery"
GALLERY_LICENSE = "CC0-1.0"
_GALLERY_PAGE = "https://registry.opendata.aws/cellpainting-gallery"
IDR = "https://ftp.ebi.ac.uk/pub/databases/IDR/"
BBBC = "https://bbbc.broadinstitute.org/"
BBBC_DATA = "https://data.broadinstitute.org/bbbc/"
BIOSTUDIES = "https://www.ebi.ac.uk/biostudies"
_XML = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
_MD5 = re.compile(r"[0-9a-f]{32}")


class UnsignedS3:
    """Lists and reads public buckets without an account.

    The endpoint is that of AWS, or `AWS_ENDPOINT_URL_S3` / `AWS_ENDPOINT_URL`.
    """

    def __init__(self, endpoint: str = "", patience: Patience = PATIENT) -> None:
        named = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
        self._endpoint = (endpoint or named or "https://s3.amazonaws.com").rstrip("/")
        self._web = Web(self._endpoint, patience=patience)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open an object's bytes from an offset on."""
        return self._web.stream(file.url, start)

    def record(self, reference: str) -> PublicRecord:
        """Return the objects below `s3://bucket/prefix`, named relative to the prefix."""
        found = re.fullmatch(r"s3://([a-z0-9.-]{3,63})/?(.*)", reference)
        if not found:
            msg = f"'{reference}' names no bucket"
            raise UsageError(msg, remedy="write it as s3://bucket/folder")
        bucket, prefix = found[1], found[2]
        files = tuple(sorted(self.below(bucket, prefix), key=lambda file: file.name))
        if not files:
            msg = f"there is nothing public below {reference}"
            raise NothingFoundError(msg)
        return PublicRecord(
            reference=reference,
            source=reference,
            title=f"{bucket}/{prefix}",
            doi="",
            concept="",
            version="",
            license="",
            citation="",
            files=files,
            remarks=("a bucket states no licence and no version; what was fetched is recorded",),
        )

    def below(self, bucket: str, prefix: str) -> Iterator[PublicFile]:
        """Yield the objects below a prefix; names are relative to its folder."""
        folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
        exact = self._listing(bucket, prefix, "") if not prefix.endswith("/") else iter(())
        for kind, key, size, md5 in self._listing(bucket, folder, ""):
            if kind == "object" and not key.endswith("/"):
                yield self._file(bucket, key, key[len(folder) :], size, md5)
        for kind, key, size, md5 in exact:
            if kind == "object" and key == prefix and key:
                yield self._file(bucket, key, key.rpartition("/")[2], size, md5)

    def folders(self, bucket: str, prefix: str) -> list[str]:
        """Return the folders directly below a prefix, with their closing `/`."""
        return [key for kind, key, _, _ in self._listing(bucket, prefix, "/") if kind == "folder"]

    def _file(self, bucket: str, key: str, name: str, size: int, md5: str) -> PublicFile:
        url = f"{self._endpoint}/{bucket}/{quote(key)}"
        return PublicFile(name, url, size, f"md5:{md5}" if md5 else "")

    def _listing(
        self, bucket: str, prefix: str, delimiter: str
    ) -> Iterator[tuple[str, str, int, str]]:
        """Yield ("object" | "folder", key, size, md5) of ListObjectsV2, page after page."""
        query: dict[str, str | int] = {"list-type": 2, "prefix": prefix}
        if delimiter:
            query["delimiter"] = delimiter
        count = 0
        while True:
            root = _xml(self._web.get(f"/{bucket}", query).body)
            for entry in root.iterfind("s3:CommonPrefixes", _XML):
                yield "folder", _child(entry, "Prefix"), 0, ""
            for entry in root.iterfind("s3:Contents", _XML):
                etag = _child(entry, "ETag").strip('"')
                # An ETag with a dash is that of a multipart upload, and no md5.
                md5 = etag if _MD5.fullmatch(etag) else ""
                yield "object", _child(entry, "Key"), int(_child(entry, "Size") or 0), md5
                count += 1
            token = _child(root, "NextContinuationToken")
            if not token:
                return
            _refuse_endless(count, f"{bucket}/{prefix}")
            query["continuation-token"] = token


def _refuse_endless(count: int, where: str) -> None:
    if count > MOST_FILES:
        msg = f"{where} lists more than {MOST_FILES} files"
        raise RefusedError(msg, remedy="name a folder below it")


def _xml(body: object) -> ET.Element:
    """Parse a listing. expat refuses entities that blow up, and loads nothing from elsewhere."""
    if not isinstance(body, str) or "<!DOCTYPE" in body[:2000]:
        msg = "the answer is not the listing of a bucket"
        raise NothingFoundError(msg)
    try:
        return ET.fromstring(body)  # noqa: S314 - no DOCTYPE, hence no entities
    except ET.ParseError as error:
        msg = "the answer is not the listing of a bucket"
        raise NothingFoundError(msg) from error


def _child(entry: ET.Element, name: str) -> str:
    return entry.findtext(f"s3:{name}", "", _XML)


class Gallery:
    """The Cell Painting Gallery: `cpg:cpg0016[/source/batch/plate]` in its public bucket."""

    def __init__(self, endpoint: str = "", patience: Patience = PATIENT) -> None:
        self._s3 = UnsignedS3(endpoint, patience)

    def close(self) -> None:
        """Close the connections."""
        self._s3.close()

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open an object's bytes from an offset on."""
        return self._s3.open(file, start)

    def record(self, reference: str) -> PublicRecord:
        """Return one plate's images, its load_data and its metadata; less narrow, all below."""
        parts = reference.removeprefix("cpg:").strip("/").split("/")
        if not re.fullmatch(r"cpg\d{4}[a-z0-9_-]*", parts[0]):
            msg = f"'{reference}' names no dataset of the Cell Painting Gallery"
            raise UsageError(msg, remedy="write it as cpg:cpg0016/source_4/BATCH/PLATE")
        dataset = self._one(self._s3.folders(GALLERY, parts[0]), parts[0], "")
        rest = parts[1:]
        files = tuple(sorted(self._files(dataset, rest), key=lambda file: file.name))
        if not files:
            msg = f"the gallery has nothing at {reference}"
            raise NothingFoundError(msg)
        name = dataset.rstrip("/")
        return PublicRecord(
            reference="cpg:" + "/".join([name, *rest]),
            source=f"s3://{GALLERY}/{'/'.join([name, *rest])}",
            title=f"Cell Painting Gallery {name} {'/'.join(rest)}".strip(),
            doi="",
            concept=name,
            version="",
            license=GALLERY_LICENSE,
            citation=f"Cell Painting Gallery, {name}. {_GALLERY_PAGE}",
            files=files,
            remarks=("cite the paper of this dataset too; its README names it",),
        )

    def _one(self, folders: list[str], wanted: str, above: str) -> str:
        """Return the folder that is called so, or whose name begins so and names a plate."""
        names = [folder[len(above) :].rstrip("/") for folder in folders]
        fits = [n for n in names if n == wanted] or [
            n for n in names if n.startswith((f"{wanted}-", f"{wanted}_"))
        ]
        if len(fits) != 1:
            many = f"{len(fits)} fit" if fits else "none fits"
            msg = f"'{wanted}' is not one folder of the gallery below '{above or GALLERY}': {many}"
            raise NothingFoundError(msg, cause="\n".join((fits or names)[:20]))
        return f"{above}{fits[0]}/"

    def _files(self, dataset: str, rest: list[str]) -> Iterator[PublicFile]:
        if len(rest) < 3:  # noqa: PLR2004 - source, batch, plate
            below = "/".join([dataset.rstrip("/"), *rest])
            yield from self._s3.below(GALLERY, f"{below}/")
            return
        source, batch, plate = rest[:3]
        images = f"{dataset}{source}/images/{batch}/images/"
        folder = self._one(self._s3.folders(GALLERY, images), plate, images)
        yield from _renamed(self._s3.below(GALLERY, folder), "images")
        for part in ("load_data_csv", "metadata"):
            where = f"{dataset}{source}/workspace/{part}/{batch}/{plate}/"
            yield from _renamed(self._s3.below(GALLERY, where), part)


def _renamed(files: Iterator[PublicFile], below: str) -> Iterator[PublicFile]:
    for file in files:
        yield PublicFile(f"{below}/{file.name}", file.url, file.size, file.checksum)


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
        folder = reference.endswith("/")
        files = tuple(self._walk(reference)) if folder else (self._single(reference),)
        if not files:
            msg = f"{reference} lists no files"
            raise NothingFoundError(msg)
        return PublicRecord(
            reference=reference,
            source=reference,
            title=unquote(parts.path.strip("/").rpartition("/")[2]) or parts.netloc,
            doi="",
            concept="",
            version="",
            license="",
            citation="",
            files=tuple(sorted(files, key=lambda file: file.name)),
            remarks=("no licence is stated and no checksum given; the first download is trusted",),
        )

    def _single(self, url: str) -> PublicFile:
        name = unquote(urlsplit(url).path.rpartition("/")[2]) or "index.html"
        return PublicFile(name, url, self._web.size_of(url))

    def _walk(self, root: str) -> Iterator[PublicFile]:
        """Yield the files below a folder; links that lead elsewhere are not followed."""
        pending, seen, count = [root], {root}, 0
        while pending:
            here = pending.pop(0)
            for url in links(self._web.get(here).body, here):
                target = url.partition("?")[0].partition("#")[0]
                if not target.startswith(here) or target == here or target in seen:
                    continue
                seen.add(target)
                if target.endswith("/"):
                    pending.append(target)
                else:
                    yield PublicFile(
                        unquote(target[len(root) :]), target, self._web.size_of(target)
                    )
                    count += 1
            _refuse_endless(count + MOST_FILES * (len(seen) > MOST_FILES), root)
            _refuse_endless(MOST_FILES * 2 * (len(pending) > MOST_FOLDERS), root)


class Idr(WebFolder):
    """A study of the Image Data Resource: its public folder at EBI."""

    def __init__(self, address: str = IDR, patience: Patience = PATIENT) -> None:
        super().__init__(patience)
        self._address = address

    def record(self, reference: str) -> PublicRecord:
        """Return the files of `idr:idrNNNN`."""
        study = reference.removeprefix("idr:").strip("/")
        if not re.fullmatch(r"idr\d{4}[A-Za-z0-9_.-]*", study):
            msg = f"'{reference}' names no study of IDR"
            raise UsageError(msg, remedy="write it as idr:idr0033")
        page = self._web.get(self._address).body
        known = [url for url in links(page, self._address) if url.startswith(self._address)]
        fits = [
            url
            for url in known
            if url[len(self._address) :].rstrip("/") == study
            or url[len(self._address) :].startswith(f"{study}-")
        ]
        if len(fits) != 1:
            msg = f"IDR lists {len(fits) or 'no'} folders for '{study}'"
            raise NothingFoundError(msg, cause="\n".join(fits))
        found = super().record(fits[0])
        name = fits[0][len(self._address) :].rstrip("/")
        return PublicRecord(
            f"idr:{name}",
            found.source,
            name,
            "",
            name,
            "",
            "",
            f"Image Data Resource, {name}. https://idr.openmicroscopy.org",
            found.files,
            ("the study's page states its licence and the paper to cite",),
        )


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
        page = urljoin(self._page, name)
        base = f"{self._data}{name}/"
        files = tuple(
            PublicFile(unquote(url[len(base) :]), url, self._web.size_of(url))
            for url in links(self._web.get(page).body, page)
            if url.startswith(base) and url != base and not url.endswith("/")
        )
        if not files:
            msg = f"the page of {name} links to no files"
            raise NothingFoundError(msg)
        return PublicRecord(
            f"bbbc:{name}",
            page,
            f"Broad Bioimage Benchmark Collection {name}",
            "",
            name,
            "",
            "",
            f"Ljosa V. et al. (2012) Nature Methods 9, 637: image set {name}",
            files,
            ("licences differ from set to set: read its page before you publish it again",),
        )


class BioImageArchive:
    """A study of the BioImage Archive, through BioStudies."""

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
        if not re.fullmatch(r"S-[A-Z]{2,10}\d+", accession):
            msg = f"'{reference}' names no study of the BioImage Archive"
            raise UsageError(msg, remedy="write it as bia:S-BIAD634")
        study = self._web.get(f"/api/v1/studies/{accession}").body
        info = self._web.get(f"/api/v1/studies/{accession}/info").body
        root = str(info.get("httpLink", "")) if isinstance(info, dict) else ""
        if not isinstance(study, dict) or not root.startswith(("https://", "http://")):
            msg = f"{accession} is not public, or its files are not on the web"
            raise NothingFoundError(msg)
        base = f"{root.rstrip('/')}/Files/"
        files = {file.name: file for file in self._files(study, base)}
        attributes = _attributes(study) | _attributes(study.get("section"))
        title = attributes.get("Title", accession)
        return PublicRecord(
            f"bia:{accession}",
            f"https://www.ebi.ac.uk/bioimage-archive/{accession}",
            title,
            attributes.get("DOI", ""),
            accession,
            attributes.get("ReleaseDate", ""),
            attributes.get("License", ""),
            f"{title}. BioImage Archive, {accession}",
            tuple(files[name] for name in sorted(files)),
        )

    def _files(self, section: object, base: str) -> Iterator[PublicFile]:
        """Yield files of a section: its own, those of its file lists, its subsections'."""
        if isinstance(section, list):
            for one in section:
                yield from self._files(one, base)
        if not isinstance(section, dict):
            return
        yield from _page_tab_files(section.get("files"), base)
        listed = _attributes(section).get("File List", "")
        if listed:
            url = f"{base}{quote(listed.rsplit('.', 1)[0])}.json"
            yield from _page_tab_files(self._web.get(url).body, base)
        yield from self._files(section.get("section"), base)
        yield from self._files(section.get("subsections"), base)


def _page_tab_files(found: object, base: str) -> Iterator[PublicFile]:
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, list):
            yield from _page_tab_files(entry, base)
        elif isinstance(entry, dict) and isinstance(entry.get("path"), str):
            size = entry.get("size")
            known = size if isinstance(size, int) else None
            yield PublicFile(entry["path"], f"{base}{quote(entry['path'])}", known)


def _attributes(section: object) -> dict[str, str]:
    listed = section.get("attributes") if isinstance(section, dict) else None
    return {
        str(item.get("name")): str(item.get("value"))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and item.get("value") is not None
    }


def open_s3(_scheme: str, _reference: str) -> UnsignedS3:
    """Return public buckets."""
    return UnsignedS3()


def open_gallery(_scheme: str, _reference: str) -> Gallery:
    """Return the Cell Painting Gallery."""
    return Gallery()


def open_web(_scheme: str, _reference: str) -> WebFolder:
    """Return the public web."""
    return WebFolder()


def open_idr(_scheme: str, _reference: str) -> Idr:
    """Return the Image Data Resource."""
    return Idr()


def open_bbbc(_scheme: str, _reference: str) -> Bbbc:
    """Return the Broad Bioimage Benchmark Collection."""
    return Bbbc()


def open_bia(_scheme: str, _reference: str) -> BioImageArchive:
    """Return the BioImage Archive."""
    return BioImageArchive()
