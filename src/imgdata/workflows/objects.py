"""The objects of a unit's version, with the files they are, and their evidence on a storage."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from imgdata.dvc_files.directory import FolderEntry
from imgdata.levels.units import Unit
from imgdata.model.events import ALL_OBJECTS, Json
from imgdata.model.keys import Fields, read_name
from imgdata.model.objects import StoredObject
from imgdata.model.selection import Selection
from imgdata.policy.ledger import Copy, CopyKey, Evidence
from imgdata.project.config import Level
from imgdata.transfer.move import Item
from imgdata.workflows.history import Version

CHANGE_SLACK_S = 0.01
"""How much earlier than the object's own time its check may be noted: the log has milliseconds, and
what lies on a file server whose clock is ahead is only read once more."""


class Content(Struct, frozen=True):
    """What a unit's version consists of.

    Attributes:
        unit: The unit.
        files: md5 by path below the unit; the one path of a single file is empty.
        list_item: The folder list itself, or None for a single file.
    """

    unit: Unit
    files: Mapping[str, str]
    list_item: Item | None

    def items(self) -> tuple[Item, ...]:
        """Return one item per different content, in the order of the files' names."""
        names: dict[str, list[str]] = {}
        for path, md5 in self.files.items():
            names.setdefault(md5, []).append(f"{self.unit.path}/{path}" if path else self.unit.path)
        legacy = self.unit.is_legacy
        return tuple(Item(md5, tuple(paths), legacy=legacy) for md5, paths in names.items())

    def selected(self, selection: Selection, level: Level) -> "Content":
        """Return only the files that a selection by key fields fits."""
        if not selection:
            return self
        fields = fields_of(self.unit, level, self.files)
        kept = {
            path: md5
            for path, md5 in self.files.items()
            if path in fields and selection.fits(fields[path])
        }
        return Content(self.unit, kept, self.list_item)

    def below(self, parts: tuple[str, ...] | None) -> "Content":
        """Return only the files at or below some paths of the unit; all where None is asked."""
        if parts is None:
            return self
        folders = tuple(f"{part}/" for part in parts)
        kept = {
            path: md5
            for path, md5 in self.files.items()
            if path in parts or path.startswith(folders)
        }
        return Content(self.unit, kept, self.list_item)


def fields_of(unit: Unit, level: Level, paths: Iterable[str]) -> dict[str, Fields]:
    """Return the key fields of a unit's files, for those whose name the level's key fits."""
    keys = level.keys
    below = unit.path.removeprefix(level.path).lstrip("/")
    found: dict[str, Fields] = {}
    for path in paths:
        inside = f"{below}/{path}" if below and path else below or path
        fields = read_name(keys, inside, unit.name)
        if fields is None and unit.name is not None:
            fields = {"plate": unit.name} if not path else None
        if fields is not None:
            found[path] = fields
    return found


def content_of(unit: Unit, entries: list[FolderEntry] | None) -> Content:
    """Return the content of a recorded unit from its folder list (None for a single file)."""
    version = unit.version
    if version is None:
        msg = f"{unit.title} has no recorded version"
        raise ValueError(msg)
    if entries is None:
        return Content(unit, {"": version}, None)
    return Content(unit, {entry.relpath: entry.md5 for entry in entries}, list_item_of(unit))


def list_item_of(unit: Unit) -> Item:
    """Return the object that lists the files of a folder."""
    names = (f"the file list of {unit.title}",)
    return Item(str(unit.version), names, legacy=unit.is_legacy)


def copy_key(unit: Unit, storage: str) -> CopyKey:
    """Return how the ledger names the copy of a unit's recorded version on a storage."""
    return CopyKey(storage, unit.level, unit.name, str(unit.version))


def evidence_of(copy: Copy, present: StoredObject, md5: str) -> Evidence | None:
    """Return evidence that still stands: verified content, not written to since."""
    evidence = copy.evidence(md5)
    if evidence is None or not evidence.is_verified:
        return None
    return None if is_written_since(present, evidence) else evidence


def is_written_since(present: StoredObject, evidence: Evidence) -> bool:
    """Tell whether a storage changed an object after it was checked."""
    changed = present.changed_at
    return changed is not None and changed > evidence.at.timestamp() + CHANGE_SLACK_S


def copy_event(
    unit: Unit, storage: str, how: str, items: Iterable[Item], *, whole: bool, size: int
) -> dict[str, Json]:
    """Return the details of a copy event about some or all objects of a unit's version."""
    return _copy_event((unit.level, unit.name, str(unit.version)), storage, how, items, whole, size)


def version_event(
    version: Version, storage: str, how: str, items: Iterable[Item], *, whole: bool, size: int
) -> dict[str, Json]:
    """Return the same about any recorded version, old ones too."""
    of = (version.level, version.unit, version.version)
    return _copy_event(of, storage, how, items, whole, size)


def _copy_event(
    of: tuple[str, str | None, str],
    storage: str,
    how: str,
    items: Iterable[Item],
    whole: bool,  # noqa: FBT001 - private
    size: int,
) -> dict[str, Json]:
    level, unit, version = of
    md5s = sorted(item.object_id for item in items)
    objects: Json = ALL_OBJECTS if whole else list(md5s)
    return {
        "storage": storage,
        "level": level,
        "unit": unit,
        "version": version,
        "how": how,
        "objects": objects,
        "n": len(md5s),
        "bytes": size,
    }
