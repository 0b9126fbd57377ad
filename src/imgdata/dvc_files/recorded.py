"""One dep or out as it is written in a dvc.lock or `.dvc` file.

Which hash a record carries follows DVC: `hash: md5` names DVC 3's plain md5; an md5 without it
was written by DVC before 3, which turned CR LF into LF in text files first (`md5-dos2unix`).
Things outside the project carry an `etag` or `checksum` instead.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

MD5: Final = "md5"
MD5_DOS2UNIX: Final = "md5-dos2unix"
ETAG: Final = "etag"
CHECKSUM: Final = "checksum"
FOLDER_SUFFIX: Final = ".dir"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?\Z")


class RecordedHash(Struct, frozen=True):
    """What a record says about content.

    Attributes:
        name: `md5`, `md5-dos2unix`, `etag`, `checksum`, or an unknown name kept as written.
        value: The checksum; an md5 of a folder ends with `.dir`.
    """

    name: str
    value: str

    @property
    def is_folder(self) -> bool:
        """Whether it names a folder's `.dir` object."""
        return self.value.endswith(FOLDER_SUFFIX)

    @property
    def is_md5(self) -> bool:
        """Whether the value is an md5, of either kind, that can name an object of a cache."""
        return self.name in (MD5, MD5_DOS2UNIX) and _MD5.match(self.value) is not None


class CloudVersion(Struct, frozen=True):
    """Where a cloud-versioned remote keeps this content.

    Attributes:
        remote: Name of the remote; empty when the record does not name one.
        version_id: The store's id of this version; empty if only an etag is recorded.
        etag: The store's etag; may be empty.
    """

    remote: str
    version_id: str
    etag: str


class RecordedFile(Struct, frozen=True):
    """One file of a folder whose record lists its `files:` instead of naming a `.dir` object."""

    path: str
    hash: RecordedHash | None
    size: int | None
    cloud: CloudVersion | None


class Recorded(Struct, frozen=True):
    """One dep or out as written.

    Attributes:
        path: As written: relative to the stage's wdir, absolute, or a url.
        hash: None when the entry carries no checksum.
        size: Bytes, None if not recorded.
        nfiles: Files of a folder, None if not recorded or a file.
        isexec: The file is executable.
        cloud: Where a versioned remote keeps it.
        files: The files of a folder, for cloud-versioned records.
    """

    path: str
    hash: RecordedHash | None
    size: int | None = None
    nfiles: int | None = None
    isexec: bool = False
    cloud: CloudVersion | None = None
    files: tuple[RecordedFile, ...] = ()


class RecordError(ValueError):
    """An entry cannot be used at all; the message is a clause that says why."""


def read_record(entry: object) -> tuple[Recorded, tuple[str, ...]]:
    """Return one dep or out entry, and what is doubtful about it.

    Raises:
        RecordError: It is no mapping or has no path.
    """
    if not isinstance(entry, Mapping):
        msg = f"an entry is {_kind(entry)} instead of a mapping with a path"
        raise RecordError(msg)
    path = entry.get("path")
    if not isinstance(path, str) or not path:
        msg = "an entry has no path" if path in (None, "") else f"a path is {_kind(path)}"
        raise RecordError(msg)
    doubts: list[str] = []
    files = tuple(_files(entry, path, doubts))
    digest = _hash_of(entry, path, doubts) or _hash_of_files(files)
    size, nfiles = (_count(entry, key, path, doubts) for key in ("size", "nfiles"))
    if files:
        size = sum(file.size or 0 for file in files)
        nfiles = len(files)
    if digest is None and "dataset" not in entry:
        doubts.append(f"'{path}' has no checksum")
    return (
        Recorded(
            path=path,
            hash=digest,
            size=size,
            nfiles=nfiles,
            isexec=entry.get("isexec") is True,
            cloud=_cloud_of(entry),
            files=files,
        ),
        tuple(doubts),
    )


def is_url(path: str) -> bool:
    """Tell whether a recorded path is a url (`s3://`, `https://`, `remote://`, `ds://`)."""
    return _URL.match(path) is not None


def _hash_of(entry: Mapping[object, object], path: str, doubts: list[str]) -> RecordedHash | None:
    stated = entry.get("hash")
    if stated is not None and (not isinstance(stated, str) or stated not in (MD5, MD5_DOS2UNIX)):
        doubts.append(f"'{path}' has the unknown hash kind '{stated}'")
        return _unknown_hash(entry, str(stated))
    cloud = _cloud_fields(entry)
    values = {name: _checksum(entry, name, path, doubts) for name in (MD5, ETAG, CHECKSUM)}
    values = {name: value or _text(cloud.get(name)) for name, value in values.items()}
    order = (ETAG, CHECKSUM, MD5) if is_url(path) else (MD5, ETAG, CHECKSUM)
    name = next((name for name in order if values[name]), None)
    if name is None:
        return None
    if name == MD5 and stated is None and not is_url(path):
        return RecordedHash(MD5_DOS2UNIX, values[name])
    return RecordedHash(name if name != MD5 or stated is None else str(stated), values[name])


def _unknown_hash(entry: Mapping[object, object], name: str) -> RecordedHash | None:
    value = _text(entry.get(name)) or next(
        (_text(entry.get(known)) for known in (MD5, ETAG, CHECKSUM) if entry.get(known)), ""
    )
    return RecordedHash(name, value) if value else None


def _checksum(entry: Mapping[object, object], name: str, path: str, doubts: list[str]) -> str:
    value = entry.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        doubts.append(f"the {name} of '{path}' is {_kind(value)} instead of text")
        return ""
    text = str(value) if name == ETAG else str(value).lower()
    if name == MD5 and not _MD5.match(text):
        doubts.append(f"the md5 of '{path}' is not one: '{text[:40]}'")
    return text


def _count(entry: Mapping[object, object], key: str, path: str, doubts: list[str]) -> int | None:
    value = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        doubts.append(f"the {key} of '{path}' is {_kind(value)} instead of a count")
        return None
    return value


def _cloud_fields(entry: Mapping[object, object]) -> Mapping[object, object]:
    """Return the fields below `cloud: {REMOTE: ...}`; a record names one remote."""
    cloud = entry.get("cloud")
    if isinstance(cloud, Mapping):
        for fields in cloud.values():
            if isinstance(fields, Mapping):
                return fields
    return {}


def _cloud_of(entry: Mapping[object, object]) -> CloudVersion | None:
    cloud = entry.get("cloud")
    remote = next(iter(cloud), "") if isinstance(cloud, Mapping) else entry.get("remote", "")
    fields = _cloud_fields(entry) or entry
    version = _text(fields.get("version_id"))
    if not version and not isinstance(cloud, Mapping):
        return None
    return CloudVersion(_text(remote), version, _text(fields.get(ETAG)))


def _files(
    entry: Mapping[object, object], folder: str, doubts: list[str]
) -> Iterator[RecordedFile]:
    files = entry.get("files")
    if files is None:
        return
    if not isinstance(files, list):
        doubts.append(f"the files of '{folder}' are {_kind(files)} instead of a list")
        return
    for file in files:
        name = file.get("relpath") if isinstance(file, Mapping) else None
        if not isinstance(file, Mapping) or not isinstance(name, str) or not name:
            doubts.append(f"a file of '{folder}' has no relpath")
            continue
        digest = _hash_of({"hash": entry.get("hash"), **file}, name, doubts)
        size = _count(file, "size", name, doubts)
        yield RecordedFile(name, digest, size, _cloud_of(file))


def _hash_of_files(files: tuple[RecordedFile, ...]) -> RecordedHash | None:
    """Return the `.dir` md5 that DVC gives a folder listed file by file."""
    if not files or any(file.hash is None or not file.hash.is_md5 for file in files):
        return None
    listed = sorted(
        ({"md5": file.hash.value, "relpath": file.path} for file in files if file.hash),
        key=lambda item: item["relpath"],
    )
    digest = hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False)
    first = files[0].hash
    name = first.name if first else MD5
    return RecordedHash(name, digest.hexdigest() + FOLDER_SUFFIX)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ("" if value is None else str(value))


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}
    if value is None:
        return "empty"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return names.get(type(value), f"a {type(value).__name__}")
