"""What published deposits hold: where the bytes of each content lie, read from their own lists.

A deposit's `manifest.csv` says in which file, and where in it, each content lies. It counts
because its checksum was noted when the deposit was verified; a file counts because the repository
names the same checksum now; a member of a pack because the manifest inside was computed when it
was packed.
"""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.errors import CredentialsError, NothingFoundError
from imgdata.model.deposits import DepositedFile, DepositRecord
from imgdata.model.objects import FOLDER_SUFFIX, object_key

MANIFEST = "manifest.csv"


class CanListFiles(Protocol):
    """Lists the files of published records."""

    def published(self, record: DepositRecord) -> tuple[DepositedFile, ...]:
        """Return the files of exactly that version, with the repository's checksums."""


ReadWhole = Callable[[DepositRecord, DepositedFile], bytes]


class Place(Struct, frozen=True):
    """Where the bytes of a content lie in a deposit."""

    record: DepositRecord
    file: DepositedFile
    offset: int
    size: int
    damaged: str = ""


class Index(Struct):
    """What the deposits of one repository hold, by key; and what is wrong with some of them."""

    places: dict[str, Place] = field(default_factory=dict)
    lists: dict[str, bytes] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    refused: CredentialsError | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing at all could be listed, for want of a token."""
        return self.refused is not None and not self.places


def read_index(records: Iterable[DepositRecord], visit: CanListFiles, read: ReadWhole) -> Index:
    """Read the records and their lists; the first record that has a content gives it.

    Cost: one or two requests a record, and its list.
    """
    found = Index()
    for record in records:
        _add(record, found, visit, read)
    return found


def _add(record: DepositRecord, found: Index, visit: CanListFiles, read: ReadWhole) -> None:
    try:
        listed = {file.name: file for file in visit.published(record)}
    except CredentialsError as error:
        found.refused = error
        return
    except NothingFoundError as error:
        told = f"{error.problem}: {error.cause}" if error.cause else error.problem
        found.gone.append(f"{record.doi or record.identifier}: {told}")
        return
    noted = {file.name: file for file in record.files}
    lines = _manifest(record, listed, noted, found.gone, read)
    for line in lines:
        file = listed.get(line.file)
        if file is None or not line.path:
            continue
        was = noted.get(line.file, file)
        same = (file.size, file.md5) == (was.size, was.md5)
        damaged = "" if same else file.md5 or "unknown"
        place = Place(record, file, line.offset, line.size, damaged)
        known = found.places.get(object_key(line.md5))
        if known is None or (known.damaged and not damaged):
            found.places[object_key(line.md5)] = place
    for key, data in _folder_lists(record, lines):
        found.lists.setdefault(key, data)


def _manifest(
    record: DepositRecord,
    listed: Mapping[str, DepositedFile],
    noted: Mapping[str, DepositedFile],
    told: list[str],
    read: ReadWhole,
) -> list["_Line"]:
    """Return the deposit's own list, if it is the one that was verified."""
    file = listed.get(MANIFEST)
    if file is None:
        told.append(f"{record.doi or record.identifier}: it has no {MANIFEST}")
        return []
    data = read(record, file)
    was = noted.get(MANIFEST, file)
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != was.md5:
        told.append(f"{record.doi or record.identifier}: its {MANIFEST} is another than noted")
        return []
    return _parse(data)


class _Line(Struct, frozen=True):
    file: str
    path: str
    level: str
    unit: str
    size: int
    md5: str
    offset: int


def _parse(data: bytes) -> list[_Line]:
    """Return the lines of a manifest; those that are not as they should be are left out."""
    found: list[_Line] = []
    for row in csv.DictReader(io.StringIO(data.decode("utf-8", "replace"))):
        try:
            size, offset = int(row["size"]), int(row["offset"])
            line = _Line(
                row["file"], row["path"], row["level"], row["unit"], size, row["md5"], offset
            )
        except (KeyError, TypeError, ValueError):
            continue
        if size >= 0 and offset >= 0:
            found.append(line)
    return found


def _folder_lists(record: DepositRecord, lines: Sequence[_Line]) -> Iterator[tuple[str, bytes]]:
    """Yield the folder lists of the versions a deposit holds whole, by key.

    They are made again from paths and checksums, and count because their md5 is the version.
    """
    files: dict[tuple[str, str], list[_Line]] = {}
    for line in lines:
        if line.path:
            files.setdefault((line.level, line.unit), []).append(line)
    for level, unit, version in record.contents:
        some = files.get((level, unit), [])
        data, made = write_folder(())
        if made == version:
            yield object_key(version), data
        elif version.endswith(FOLDER_SUFFIX) and some:
            shared = os.path.commonpath([os.path.dirname(line.path) for line in some])
            while shared:
                entries = [FolderEntry(one.md5, one.path[len(shared) + 1 :]) for one in some]
                data, made = write_folder(entries)
                if made == version:
                    yield object_key(version), data
                    break
                shared = os.path.dirname(shared)
