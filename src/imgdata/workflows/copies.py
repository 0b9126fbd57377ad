"""What is known of the copies of a version, object by object: from the log, or by asking now."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cached_property
from urllib.parse import urlsplit

from msgspec import Struct, field

from imgdata.errors import ImgdataError, StorageError
from imgdata.model.objects import StoredObject
from imgdata.policy.evidence import CopyFact, Presence, Rule
from imgdata.policy.ledger import Copy, CopyKey, Evidence, NothingNoted
from imgdata.ports import LiesInFolder, Storage
from imgdata.project.config import Level
from imgdata.transfer.move import Item, is_cold
from imgdata.transfer.presence import Inventory
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import list_item
from imgdata.workflows.history import Version
from imgdata.workflows.marker import Marker, read_marker
from imgdata.workflows.objects import is_written_since
from imgdata.workflows.places import places

PURGED = "a place that is purged"
PURGED_OPTION = "purged_after_days"
SANDBOX = "a sandbox, which may be wiped"


def is_sandbox(address: str) -> bool:
    """Tell whether a repository's address is for trying only."""
    return (urlsplit(address).hostname or "").startswith("sandbox.")


def rule_of(level: Level) -> Rule:
    """Return what a level asks of its copies."""
    return Rule(max(1, level.copies), timedelta(days=level.verify_every_days))


def key_of(version: Version, storage: str) -> CopyKey:
    """Return how the ledger names a version's copy on a storage."""
    return CopyKey(storage, version.level, version.unit, version.version)


class Reached(Struct, frozen=True):
    """A storage that answered, and its marker."""

    storage: Storage
    marker: Marker | None


class Offline(Struct, frozen=True):
    """A storage that cannot be asked now, and why."""

    error: ImgdataError


Answer = Reached | Offline


class Copies(Struct, dict=True):
    """Answers for the copies of versions.

    Attributes:
        clone: The project.
        ask: Whether storages are asked now, or only the log.
    """

    clone: Clone
    ask: bool
    _opened: dict[str, Storage | ImgdataError] = field(default_factory=dict)
    _answers: dict[str, Answer] = field(default_factory=dict)
    _cold: dict[str, bool] = field(default_factory=dict)
    _there: dict[str, Inventory] = field(default_factory=dict)

    @cached_property
    def place_of(self) -> Mapping[str, str]:
        """The place of each storage by name; with `ask`, told apart by their markers too."""
        tokens: dict[str, str] = {}
        for name in self.clone.copy_places if self.ask else ():
            found = self.reach(name)
            if isinstance(found, Reached) and found.marker is not None:
                tokens[name] = found.marker.place
        return places(self.clone, tokens)

    def reach(self, name: str) -> Answer:
        """Open a storage and read its marker, once."""
        if name not in self._answers:
            try:
                opened = self._open(name)
                if isinstance(opened, ImgdataError):
                    raise opened
                # The project's own log says which records are its own.
                unmarked = self.clone.by_path or name in self.clone.deposits
                marker = None if unmarked else read_marker(opened)
                self._answers[name] = Reached(opened, marker)
            except ImgdataError as error:
                self._answers[name] = Offline(error)
        return self._answers[name]

    def _open(self, name: str) -> Storage | ImgdataError:
        """Open a storage, once; asks no network."""
        if name not in self._opened:
            try:
                self._opened[name] = self.clone.open_copies(name)
            except ImgdataError as error:
                self._opened[name] = error
        return self._opened[name]

    def has_answered(self, name: str) -> bool:
        """Tell whether a storage was asked and could be."""
        return self.ask and isinstance(self.reach(name), Reached)

    def is_unplugged(self, name: str) -> bool:
        """Tell whether a storage is a drive that is not plugged in; asks no network."""
        opened = self._open(name)
        if not isinstance(opened, LiesInFolder):
            return False
        return opened.folder is None or not opened.folder.is_dir()

    def is_cold(self, name: str) -> bool:
        """Tell whether a storage is an archive tier; asks no network."""
        if name not in self._cold:
            opened = self._open(name)
            self._cold[name] = not isinstance(opened, ImgdataError) and is_cold(opened)
        return self._cold[name]

    def never(self, name: str) -> str:
        """Say why nothing on a storage counts; empty where it may."""
        if PURGED_OPTION in self.clone.copy_places[name].options:
            return PURGED
        if name in self.clone.deposits:
            return SANDBOX if is_sandbox(self.clone.deposits[name][0].address) else ""
        return self.not_ours(name)

    def not_ours(self, name: str) -> str:
        """Say what is wrong with the marker of a storage that was asked; empty for nothing."""
        if not self.ask or self.clone.by_path or name in self.clone.deposits:
            return ""
        match self.reach(name):
            case Reached(_, marker) if marker and marker.project_id != self.clone.config.id:
                return f"its marker names another project, '{marker.title}'"
            case Reached(_, None):
                return "it has no marker of this project"
            case _:
                return ""

    def copy(self, version: Version, name: str) -> Copy:
        """Return what the log says of a version on a storage."""
        return self.clone.ledger.copy(key_of(version, name))

    def storages_of(self, version: Version) -> tuple[str, ...]:
        """Return the storages that should have a version, then others noted to have it."""
        level = self.clone.config.levels.get(version.level)
        own = (*level.storages, *level.then) if level else ()
        if self.clone.by_path and self.ask:
            own = (*own, *self.clone.config.storages)  # no log says where else to look
        known = self.clone.copy_places
        noted = (
            name
            for name in known
            if self.copy(version, name).notes and self._may_hold(name, version)
        )
        return tuple(name for name in dict.fromkeys((*own, *noted)) if name in known)

    def _may_hold(self, name: str, version: Version) -> bool:
        """Tell whether a deposit of this very repository, at its address now, has the version."""
        if name not in self.clone.deposits:
            return True
        of = (version.level, version.unit or "", version.version)
        return any(of in record.contents for record in self.clone.deposits[name])

    def facts(self, version: Version, items: Iterable[Item]) -> dict[str, tuple[CopyFact, ...]]:
        """Return by object id one fact a storage about each object of a version."""
        wanted = tuple(items)
        found: dict[str, list[CopyFact]] = {item.object_id: [] for item in wanted}
        for name in self.storages_of(version):
            copy, never = self.copy(version, name), self.never(name)
            place = self.place_of.get(name, name)
            there = self.there(name, wanted)
            for item in wanted:
                belief = copy.belief(item.md5)
                presence = self._presence(name, item, belief, there)
                found[item.object_id].append(CopyFact(name, place, belief, presence, never))
        return {object_id: tuple(facts) for object_id, facts in found.items()}

    def there(self, name: str, items: Iterable[Item]) -> Mapping[str, StoredObject]:
        """Return what a storage has of objects now, by key; nothing where it is not asked."""
        if not self.ask:
            return {}
        answer = self.reach(name)
        if isinstance(answer, Offline):
            return {}
        known = self._there.setdefault(name, Inventory(answer.storage))
        try:
            return known.of([item.key for item in items])
        except StorageError as error:
            self._answers[name] = Offline(error)
            return {}

    def presence_unlisted(self, version: Version, name: str) -> Presence:
        """Return what a storage says of a version whose file list no place that answered has.

        Without its list a version cannot be brought back from there, whatever the log says.
        """
        item = list_item(version)
        found = self._presence(name, item, NothingNoted(), self.there(name, [item]))
        return "differs" if found == "present" else found

    def is_there(self, version: Version, name: str, items: Iterable[Item] | None) -> bool:
        """Tell whether a storage has all of a version: now, or where not asked as the log says."""
        if not self.has_answered(name):
            return self.copy(version, name).is_whole
        if items is None:
            return False
        keys = {item.key for item in items}
        return len(self.there(name, items)) == len(keys)

    def cached(self, items: Iterable[Item]) -> Mapping[str, StoredObject]:
        """Return what the cache has of objects, by key."""
        return self._cache.of([item.key for item in items])

    @cached_property
    def _cache(self) -> Inventory:
        return Inventory(self.clone.cache)

    def _presence(
        self, name: str, item: Item, belief: object, there: Mapping[str, StoredObject]
    ) -> Presence:
        if not self.ask:
            return "offline" if self.is_cold(name) else "not asked"
        if isinstance(self.reach(name), Offline):
            return "offline"
        found = there.get(item.key)
        if found is None:
            return "absent"
        if item.is_contradicted_by(found):
            return "differs"
        if isinstance(belief, Evidence) and is_written_since(found, belief):
            return "written since"
        return "offline" if self.is_cold(name) else "present"
