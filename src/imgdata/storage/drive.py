"""External drives, known by their labels wherever they are plugged in."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from imgdata.errors import InvalidProjectError, StorageError
from imgdata.model.objects import StoredObject
from imgdata.storage.keys import check_folder, check_key, key_fault
from imgdata.storage.local import LocalStorage
from imgdata.storage.options import read_options
from imgdata.storage.streams import no_object

SEARCH_VARIABLE = "IMGDATA_DRIVES"
MARKER_NAME = ".imgdata-drive"
"""A file at a drive's top that holds its name, for drives whose label the system does not show."""

_MOUNTS = Path("/proc/mounts")
_BY_LABEL = Path("/dev/disk/by-label")
_MOUNT_PATTERNS = ("/media/*/{}", "/media/{}", "/run/media/*/{}", "/Volumes/{}", "/mnt/{}")
_ESCAPED_OCTAL = re.compile(r"\\([0-7]{3})")
_PLAIN_LABEL = re.compile(r"[^\s/\\\0]([^/\\\0]{0,62}[^\s/\\\0])?")


class DriveSettings(Struct, frozen=True):
    """A drive needs no settings beyond its url."""


class DriveAddress(Struct, frozen=True):
    """A drive's label and the folder on it; an empty folder is the drive's top."""

    label: str
    folder: str


def open_drive(
    name: str, url: str, options: Mapping[str, object], project_root: Path
) -> "DriveStorage":
    """Open `drive:LABEL/folder`. The drive need not be plugged in before it is used."""
    del project_root  # a drive lies outside every project
    read_options(DriveSettings, name, options)
    return DriveStorage(drive_address(name, url))


def drive_address(name: str, url: str) -> DriveAddress:
    """Return label and folder of `drive:LABEL/folder`.

    Raises:
        InvalidProjectError: The url is not of this form.
    """
    label, _, folder = unquote(url.partition(":")[2]).lstrip("/").partition("/")
    folder = folder.strip("/")
    fault = key_fault(folder) if folder else ""
    if not _PLAIN_LABEL.fullmatch(label) or label in {".", ".."} or fault:
        msg = f"storage '{name}': {url} is not drive:LABEL/folder"
        raise InvalidProjectError(msg, cause=fault, remedy="write it like drive:RED-07/nf1")
    return DriveAddress(label, folder)


class DriveStorage:
    """A folder on a drive that may be plugged in or lie in a drawer.

    The drive is looked for when it is used, and again when it went away meanwhile. Its folder is
    made by the first write: other than below a missing mount point, that cannot hit a wrong disk.
    """

    def __init__(self, address: DriveAddress) -> None:
        self._address = address
        self._found: tuple[Path, int] | None = None

    @property
    def description(self) -> str:
        """The url."""
        return f"drive:{self._address.label}/{self._address.folder}".rstrip("/")

    @property
    def folder(self) -> Path | None:
        """Its folder on the drive; None while the drive is not plugged in."""
        mounted = mounted_drives(self._address.label)
        return mounted[0] / self._address.folder if len(mounted) == 1 else None

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object, or None if there is none."""
        check_key(key)
        here = self._folder()
        return here.stat(key) if here else None

    def read(self, key: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open one object as chunks, in order."""
        return self._existing(key).read(key)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`."""
        return self._existing(key).read_range(key, start, length)

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        """Store `size` bytes under the key."""
        check_key(key)
        return self._made().write(key, chunks, size)

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Store the bytes unless the key exists; tell whether they were stored."""
        check_key(key)
        return self._made().write_if_absent(key, data)

    def erase(self, key: str) -> None:
        """Erase one object; it is no error when it is already gone."""
        check_key(key)
        here = self._folder()
        if here:
            here.erase(key)

    def flush(self) -> None:
        """Return when everything written before is on the drive."""
        here = self._folder()
        if here:
            here.flush()

    def tidy(self, folders: Iterable[str]) -> int:
        """Remove unfinished writes whose writer is dead from folders; return how many."""
        here = self._folder()
        return here.tidy(folders) if here else 0

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Yield all objects in the folder `under`."""
        check_folder(under)
        here = self._folder()
        if here:
            yield from here.list(under)

    def _existing(self, key: str) -> LocalStorage:
        check_key(key)
        here = self._folder()
        if here is None:
            raise no_object(key, self.description)
        return here

    def _made(self) -> LocalStorage:
        storage = LocalStorage(self._mount() / self._address.folder)
        if not storage.root.is_dir():
            storage.create_root()
        return storage

    def _folder(self) -> LocalStorage | None:
        """Return the folder on the drive, or None when nothing was ever written to it."""
        root = self._mount() / self._address.folder
        return LocalStorage(root) if root.is_dir() else None

    def _mount(self) -> Path:
        """Return where the drive is mounted now.

        Raises:
            StorageError: It is not, or two drives have its label.
        """
        if self._found is not None and _device(self._found[0]) == self._found[1]:
            return self._found[0]
        label = self._address.label
        mounted = mounted_drives(label)
        if len(mounted) == 1:
            self._found = (mounted[0], _device(mounted[0]))
            return mounted[0]
        if mounted:
            msg = f"two drives are named {label}"
            places = "\n".join(str(place) for place in mounted)
            raise StorageError(msg, cause=places, remedy="unplug one of them, or rename it")
        msg = f"drive {label} is not mounted"
        raise StorageError(
            msg,
            cause="no drive of this label is plugged in here",
            remedy=f"plug it in and try again; a drive mounted elsewhere is found by a file"
            f" {MARKER_NAME} at its top that holds {label}, or through {SEARCH_VARIABLE}",
        )


def mounted_drives(label: str) -> list[Path]:
    """Return where drives of a label are mounted; more than one means two drives.

    Looked for: folders in IMGDATA_DRIVES, the system's labels, the usual mount points, and drives
    with a marker file.
    """
    found: dict[int, Path] = {}
    for place in (*_searched(label), *_labelled(label), *_usual(label), *_marked(label)):
        found.setdefault(_device(place), place)
    return list(found.values())


def _searched(label: str) -> Iterator[Path]:
    """Yield folders of this name, or with this name in their marker, that the user pointed at."""
    for text in os.environ.get(SEARCH_VARIABLE, "").split(os.pathsep):
        folder = Path(text).expanduser()
        if text and (folder / label).is_dir():
            yield (folder / label).resolve()
        elif text and _marker(folder) == label:
            yield folder.resolve()


def _labelled(label: str) -> Iterator[Path]:
    """Yield mount points of the device that the system knows by this label."""
    escaped = "".join(
        letter if letter.isalnum() or letter in "#+-.:=@_" else f"\\x{ord(letter):02x}"
        for letter in label
    )
    link = _BY_LABEL / escaped
    if link.exists():
        device = link.resolve()
        yield from (
            place
            for source, place in _mounts()
            if source.startswith("/") and Path(source).resolve() == device
        )


def _usual(label: str) -> Iterator[Path]:
    """Yield mount points of this name where desktops mount drives; a folder left behind is none."""
    for pattern in _MOUNT_PATTERNS:
        head, star, tail = pattern.format(label).partition("*")
        places = [Path(f"{head}{user}{tail}") for user in _names(head)] if star else [Path(head)]
        yield from (place for place in places if _is_mount(place))


def _marked(label: str) -> Iterator[Path]:
    yield from (
        place
        for source, place in _mounts()
        if source.startswith("/dev/") and _marker(place) == label
    )


def _mounts() -> Iterator[tuple[str, Path]]:
    """Yield what is mounted where; nothing on systems without such a list."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        source, place = line.split(" ")[:2]
        yield _unescaped(source), Path(_unescaped(place))


def _unescaped(text: str) -> str:
    return _ESCAPED_OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _names(folder: str) -> list[str]:
    try:
        return sorted(path.name for path in Path(folder).iterdir())
    except OSError:
        return []


def _is_mount(place: Path) -> bool:
    try:
        return place.is_mount()
    except OSError:
        return False


def _marker(place: Path) -> str:
    try:
        return (place / MARKER_NAME).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _device(place: Path) -> int:
    """Return a number that tells drives, and folders that stand for drives, apart."""
    try:
        found = place.stat()
    except OSError:
        return 0
    return hash((found.st_dev, found.st_ino))
