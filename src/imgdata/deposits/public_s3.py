"""Read public buckets without an account, with limits: nobody vouches for what they list."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import AbstractContextManager
from os import environ
from urllib.parse import quote, unquote_plus

from msgspec import Struct

from imgdata.deposits.web import PATIENT, Patience, Web
from imgdata.errors import NothingFoundError, RefusedError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord

MOST_FILES = 2_000_000
AWS = "s3.amazonaws.com"
_XML = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
_MD5 = re.compile(r"[0-9a-f]{32}")


class UnsignedS3:
    """Lists and reads public buckets without an account.

    The endpoint is AWS where it is empty.
    """

    def __init__(self, endpoint: str = "", patience: Patience = PATIENT) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._web = Web(self._endpoint or f"https://{AWS}", patience=patience)

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
            has_versions=False,
        )

    def below(self, bucket: str, prefix: str) -> Iterator[PublicFile]:
        """Yield the objects below a prefix, named relative to its folder; or the one object."""
        folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
        for found in self._listing(bucket, folder, ""):
            if not found.key.endswith("/"):
                yield self._file(bucket, found.key[len(folder) :], found)
        if folder == prefix:
            return
        for found in self._listing(bucket, prefix, "/"):
            if not found.is_folder and found.key == prefix:
                yield self._file(bucket, prefix.rpartition("/")[2], found)

    def folders(self, bucket: str, prefix: str) -> list[str]:
        """Return the folders directly below a prefix, with their closing `/`."""
        return [found.key for found in self._listing(bucket, prefix, "/") if found.is_folder]

    def _address(self, bucket: str) -> str:
        """Return where a bucket answers; AWS leads a bucket's own name to its region."""
        if self._endpoint:
            return f"{self._endpoint}/{bucket}"
        # A certificate of AWS fits one name below its own, hence no bucket with dots.
        return f"https://{AWS}/{bucket}" if "." in bucket else f"https://{bucket}.{AWS}"

    def _file(self, bucket: str, name: str, found: "_Listed") -> PublicFile:
        # An ETag with a dash is that of a multipart upload, and no md5.
        md5 = f"md5:{found.etag}" if _MD5.fullmatch(found.etag) else ""
        url = f"{self._address(bucket)}/{quote(found.key)}"
        return PublicFile(name, url, found.size, md5, "" if md5 else found.etag)

    def _listing(self, bucket: str, prefix: str, delimiter: str) -> Iterator["_Listed"]:
        """Yield what ListObjectsV2 says, page after page."""
        query: dict[str, str | int] = {"list-type": 2, "prefix": prefix, "encoding-type": "url"}
        if delimiter:
            query["delimiter"] = delimiter
        count = 0
        while True:
            root = _xml(self._web.get(f"{self._address(bucket)}/", query).body)
            for entry in root.iterfind("s3:CommonPrefixes", _XML):
                yield _Listed(unquote_plus(_child(entry, "Prefix")), is_folder=True)
            for entry in root.iterfind("s3:Contents", _XML):
                size, etag = _child(entry, "Size"), _child(entry, "ETag").strip('"')
                key = unquote_plus(_child(entry, "Key"))
                yield _Listed(key, int(size) if size.isdecimal() else 0, etag)
                count += 1
            refuse_endless(count, f"{bucket}/{prefix}")
            token = _child(root, "NextContinuationToken")
            if not token:
                return
            query["continuation-token"] = token


class _Listed(Struct, frozen=True):
    """One line of a bucket's listing."""

    key: str
    size: int = 0
    etag: str = ""
    is_folder: bool = False


def refuse_endless(count: int, where: str, most: int = MOST_FILES) -> None:
    """Stop listing a place that has no end.

    Raises:
        RefusedError: There is more than anybody imports at once.
    """
    if count > most:
        msg = f"{where} lists more than {most:,} files or folders"
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


def open_s3(_scheme: str, _reference: str) -> UnsignedS3:
    """Return public buckets of AWS, or of `AWS_ENDPOINT_URL_S3` / `AWS_ENDPOINT_URL`."""
    named = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    return UnsignedS3(named or "")
