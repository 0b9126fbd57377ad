"""The files of any recorded version, old ones too, as far as its list can be found."""

from collections.abc import Mapping, Sequence

from imgdata.dvc_files.directory import read_folder
from imgdata.errors import DamagedError, StorageError
from imgdata.model.objects import FOLDER_SUFFIX
from imgdata.ports import Storage
from imgdata.transfer.move import Item, read_whole
from imgdata.workflows.clone import Clone
from imgdata.workflows.history import Version

Files = Mapping[str, str]
"""md5 by path below the out; the one path of a single file is empty."""


class Contents:
    """Reads folder lists from the cache and, where asked to, from storages; each once."""

    def __init__(self, clone: Clone, storages: Sequence[Storage] = ()) -> None:
        self._clone = clone
        self._places = (clone.cache, *storages)
        self._read: dict[str, Files | None] = {}

    def files(self, version: Version) -> Files | None:
        """Return the files of a version, or None where no intact list was found."""
        if not version.is_folder:
            return {"": version.version}
        if version.version not in self._read:
            self._read[version.version] = self._find(version)
        return self._read[version.version]

    def _find(self, version: Version) -> Files | None:
        item = list_item(version)
        for place in self._places:
            try:
                if place.stat(item.key) is None:
                    continue
                entries = read_folder(read_whole(place, item), version.version)
            except (DamagedError, StorageError):
                continue
            return {entry.relpath: entry.md5 for entry in entries}
        return None

    def items(self, version: Version) -> tuple[Item, ...] | None:
        """Return the version's objects with the files they are, its list last; None if unknown."""
        files = self.files(version)
        if files is None:
            return None
        names: dict[str, list[str]] = {}
        for path, md5 in files.items():
            names.setdefault(md5, []).append(f"{version.path}/{path}" if path else version.path)
        found = [Item(md5, tuple(paths), legacy=version.legacy) for md5, paths in names.items()]
        if version.version.endswith(FOLDER_SUFFIX):
            found.append(list_item(version))
        return tuple(found)


def list_item(version: Version) -> Item:
    """Return the object that lists a folder's files."""
    names = (f"the file list of {version.title}",)
    return Item(version.version, names, legacy=version.legacy)
