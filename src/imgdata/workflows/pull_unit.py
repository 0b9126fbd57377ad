"""One unit on its way back: fetched into the cache, then placed in the workspace."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.dvc_files.rwlock import dvc_lock, refuse_busy_paths
from imgdata.dvc_files.state import Row
from imgdata.errors import (
    DamagedError,
    MachineError,
    NothingFoundError,
    RefusedError,
    StorageError,
)
from imgdata.levels.changes import Workspace
from imgdata.levels.units import Unit
from imgdata.model.events import Json
from imgdata.model.excerpts import first_lines
from imgdata.model.keys import Fields
from imgdata.model.objects import StoredObject, legacy_key, object_key
from imgdata.model.selection import Selection
from imgdata.model.sizes import format_size
from imgdata.ports import Storage
from imgdata.project.config import Level
from imgdata.system.files import remove_empty, remove_leftovers, unlink_same, write_text
from imgdata.system.progress import Progress
from imgdata.transfer.checkout import CacheDamaged, Placed, Placement, place_all
from imgdata.transfer.move import (
    DEFAULT_JOBS,
    Damaged,
    Intact,
    Item,
    Missing,
    Moved,
    can_read_sized,
    check_one,
    move_all,
    tidy_beside,
)
from imgdata.transfer.presence import present_objects
from imgdata.workflows.by_path import how_to_send
from imgdata.workflows.clone import Clone
from imgdata.workflows.former_files import former_files
from imgdata.workflows.former_storages import FormerStorages
from imgdata.workflows.objects import (
    Content,
    content_of,
    copy_event,
    copy_key,
    fields_of,
    list_item_of,
)
from imgdata.workflows.partial_notes import partial_note
from imgdata.workflows.past import Past
from imgdata.workflows.versions import version_of

SHOWN = 20
EXECUTABLE = 0o111


class PullOptions(Struct, frozen=True):
    """How to pull.

    Attributes:
        sources: Storages or repositories to read from instead of the levels' own, in this order.
            Naming one also replaces damaged cache objects by its good ones.
        selection: Only files whose key fields fit.
        jobs: Transfers at once.
        parts: By level: only what lies at these paths below it.
        past: The earlier revision that is brought back, if it is not the recorded one.
    """

    sources: tuple[str, ...] = ()
    selection: Selection = field(default_factory=lambda: Selection({}))
    jobs: int = DEFAULT_JOBS
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    past: Past | None = None

    def command(self, level: str) -> str:
        """Return the command line that pulls a level like this."""
        return f"imgdata pull {level}" + (f" {self.past.options}" if self.past else "")


class Pulled(Struct, frozen=True):
    """One unit after the pull.

    Attributes:
        fetched: Objects that came from storages, and `size` their bytes.
        placed: Files put into the workspace.
        replaced: Files of another recorded version that went from the workspace for it; the cache
            has them.
        present: Files that were there already.
        left: Recorded files that were not asked for (`--select`).
        bad: Files that could not be brought back, with the reason.
        healed: Files whose copy on one storage was damaged, but another had a good one.
        sources: Storages that gave something.
        remedy: Where files are bad, what to do about it.
    """

    unit: Unit
    fetched: int
    size: int
    placed: int
    replaced: int
    present: int
    left: int
    bad: tuple[str, ...]
    healed: tuple[str, ...]
    sources: tuple[str, ...]
    remedy: str = ""


class Doors(Struct):
    """The storages of one pull: opened once, left alone after they failed."""

    clone: Clone
    opened: dict[str, Storage | StorageError] = field(default_factory=dict)

    def open(self, name: str) -> Storage:
        """Return a storage.

        Raises:
            StorageError: It cannot be reached, or could not before.
        """
        if name not in self.opened:
            try:
                self.opened[name] = self.clone.open_copies(name)
            except StorageError as error:
                self.opened[name] = error
        found = self.opened[name]
        if isinstance(found, StorageError):
            raise found
        return found


class Fetch(Struct):
    """One unit on its way back."""

    clone: Clone
    unit: Unit
    level: Level
    options: PullOptions
    progress: Progress
    doors: Doors
    fetched: set[str] = field(default_factory=set)
    size: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    healed: list[str] = field(default_factory=list)
    gave: dict[str, None] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    unreachable: StorageError | None = None
    former: frozenset[str] = frozenset()
    chosen: int = 0

    def source_names(self) -> tuple[str, ...]:
        """Return the storages to ask, in order: the level's, then any noted to have the version."""
        if self.options.sources:
            return self.options.sources
        own = (*self.level.storages, *self.level.then)
        noted = (
            name
            for name in self.clone.copy_places
            if self.clone.ledger.copy(copy_key(self.unit, name)).notes
        )
        names = dict.fromkeys((*own, *noted))
        return tuple(name for name in names if name in self.clone.copy_places)

    def is_nowhere(self) -> bool:
        """Whether no storage is expected to have the unit and it is not complete here."""
        if self.source_names():
            return False
        if not self.clone.has_list(self.unit):
            return True
        content = content_of(self.unit, self.clone.folder_list(self.unit))
        cached = present_objects(self.clone.cache, [item.key for item in content.items()])
        return len(cached) < len(content.items())

    def run(self, seen: list[Fields]) -> Pulled:
        """Fetch what the cache lacks, then place what the workspace lacks."""
        refuse_busy_paths(self.clone.tmp, [self.clone.root / self.unit.path])
        self.clone.refuse_link_out(self.unit.path)
        remove_leftovers(self.clone.root / self.unit.path, below=True)
        whole = self.content()
        content = self.asked(whole, seen)
        wanted, present = self.wanted(content)
        self.bring(whole, content, wanted)
        placed = self.place(wanted)
        replaced = sum(1 for path in self.former if self._shown(path) not in self.bad)
        if not (self.options.selection or self._parts()):
            replaced += self._take_out_former(whole)
        left = len(whole.files) - len(content.files)
        self._note_partial(left)
        return self.pulled(placed=placed, replaced=replaced, present=present, left=left)

    def asked(self, whole: Content, seen: list[Fields]) -> Content:
        """Return the files that are asked for; `seen` gets the fields of all.

        Raises:
            NothingFoundError: The version has no such path.
        """
        if self.options.selection:
            seen += fields_of(self.unit, self.level, whole.files).values()
        content = whole.selected(self.options.selection, self.level)
        content = content.below(self._parts())
        if not content.files and self._parts():
            problem = f"the record of {self.unit.path} has no {', '.join(self._parts() or ())}"
            raise NothingFoundError(problem, remedy=f"imgdata status {self.unit.path}")
        self.chosen = len(content.files)
        return content

    def bring(self, whole: Content, content: Content, wanted: dict[str, str]) -> None:
        """Fetch what the cache lacks of wanted files; note in the log what was found damaged."""
        self._refuse_without_space(whole, wanted)
        try:
            self._bring(content, wanted)
        finally:
            path = self.clone.log().write(self.events)
            if path is not None:
                self.clone.git.stage([path])

    def pulled(self, *, placed: int, replaced: int, present: int, left: int) -> Pulled:
        """Return what became of the unit."""
        return Pulled(
            unit=self.unit,
            fetched=len(self.fetched),
            size=self.size,
            placed=placed,
            replaced=replaced,
            present=present,
            left=left,
            bad=tuple(f"{path}: {why}" for path, why in sorted(self.bad.items())),
            healed=tuple(sorted(self.healed)),
            sources=tuple(self.gave),
            remedy=self.remedy() if self.bad else "",
        )

    def way_back(self) -> str:
        """Return the command that makes a storage known again that has the unit; or nothing."""
        if self.clone.by_path:
            return ""
        former = FormerStorages(self.clone)
        return former.way_back(version_of(self.unit)) or former.way_to(self.level.storages)

    def remedy(self) -> str:
        """Say where the unit may still be had, as far as the log knows."""
        if way_back := self.way_back():
            return f"a storage that imgdata.yaml does not name any more has it: {way_back}"
        if self._was_never_sent():
            return f"{self.unit.title} was never pushed; {how_to_send(self.clone, self.unit)}"
        return f"from another copy: {self.options.command(self.unit.level)} --from STORAGE"

    def _was_never_sent(self) -> bool:
        """Whether nobody has noted a copy of the version; by path nobody ever does."""
        if self.clone.by_path:
            return False
        ledger = self.clone.ledger
        names = {key.storage for key in ledger.copies}
        copies = (ledger.copy(copy_key(self.unit, name)) for name in names)
        return not any(note.is_there for copy in copies for note in copy.notes)

    def _parts(self) -> tuple[str, ...] | None:
        return self.options.parts.get(self.unit.level)

    def content(self) -> Content:
        """Return what the version consists of, fetching its folder list where needed.

        Raises:
            DamagedError: No place that can be asked has a good list.
            StorageError: A place that may have it cannot be reached.
        """
        unit = self.unit
        if unit.is_folder:
            item = list_item_of(unit)
            if not self._cached_list_is_good(item):
                self._fetch([item])
                if item.object_id not in self.fetched:
                    why = next(iter(self.bad.values()), "on no storage")
                    problem = f"the file list of {unit.title} is {why}"
                    raise DamagedError(problem, remedy=self.remedy())
        return content_of(unit, self.clone.folder_list(unit))

    def _cached_list_is_good(self, item: Item) -> bool:
        if self.clone.cache.stat(item.key) is None:
            return False
        try:
            self.clone.folder_list(self.unit)
        except DamagedError:
            return False  # a list is made of names only: any good copy may replace it
        return True

    def wanted(self, content: Content) -> tuple[dict[str, str], int]:
        """Return the files that are not here (md5 by path), and how many are.

        Raises:
            RefusedError: Files here were edited by hand.
        """
        workspace = Workspace(self.target, self.clone.state)
        found = workspace.scan(self.unit.path)
        here = workspace.hashes(
            self.unit.path, {path: stamp for path, stamp in found.items() if path in content.files}
        )
        if self.unit.is_legacy:
            here = workspace.as_recorded(self.unit.path, here, content.files)
        changed = [path for path, md5 in here.items() if content.files[path] != md5]
        edited = [path for path in changed if not self._is_cache_object(path, content.files[path])]
        if edited and self.options.past is None:
            self.former = former_files(self.clone, self.unit.path, edited)
        edited = [path for path in edited if path not in self.former]
        if edited:
            paths = first_lines(map(self._shown, sorted(edited)), SHOWN)
            count = "one file" if len(edited) == 1 else f"{len(edited)} files"
            msg = f"{count} of {self.unit.title} differ from their record and would be overwritten"
            raise RefusedError(
                msg,
                cause=paths,
                remedy="move them away to keep them, or delete them, and pull again",
            )
        wanted = {path: md5 for path, md5 in content.files.items() if here.get(path) != md5}
        return wanted, len(content.files) - len(wanted)

    def _is_cache_object(self, path: str, md5: str) -> bool:
        """Tell whether a differing file is the cache object itself, linked: damage, not an edit."""
        try:
            return Path(self._full(path)).samefile(self.clone.dvc.cache_dir / self._key(md5))
        except OSError:
            return False

    def _key(self, md5: str) -> str:
        return legacy_key(md5) if self.unit.is_legacy else object_key(md5)

    @property
    def target(self) -> Path:
        """The folder below which the unit is placed."""
        past = self.options.past
        return past.into.absolute() if past and past.into else self.clone.root

    def _full(self, path: str) -> str:
        base = f"{self.target}/{self.unit.path}"
        return f"{base}/{path}" if path else base

    def _shown(self, path: str) -> str:
        return f"{self.unit.path}/{path}" if path else self.unit.path

    def _refuse_without_space(self, whole: Content, wanted: dict[str, str]) -> None:
        if not wanted:
            return
        expected = self.unit.size * len(wanted) // max(1, len(whole.files))
        free = shutil.disk_usage(self.target).free
        if expected > free:
            problem = (
                f"{self.unit.title} needs {format_size(expected)}, {format_size(free)} are free"
            )
            raise MachineError(problem, remedy="free some space, or pull a part with --select")

    def _bring(self, content: Content, wanted: dict[str, str]) -> None:
        damaged = self._damaged_in_cache(content, wanted) if self.options.sources else []
        md5s = set(wanted.values())
        items = [item for item in content.items() if item.object_id in md5s]
        cached = present_objects(self.clone.cache, [item.key for item in items])
        lacking = [item for item in items if item.key not in cached]
        lacking += damaged
        size = self.unit.size * len(lacking) // max(1, len(content.items()))
        self.progress.start(f"pull {self.unit.title}", items=len(lacking), size=size)
        try:
            self._fetch(lacking)
        finally:
            self.progress.finish()

    def _damaged_in_cache(self, content: Content, wanted: dict[str, str]) -> list[Item]:
        """Hash the cache's objects; files that are links to damaged ones are wanted anew."""
        cached = present_objects(self.clone.cache, [item.key for item in content.items()])
        damaged = [
            item for item in content.items() if item.key in cached and not self._is_good(item)
        ]
        names = {item.object_id for item in damaged}
        wanted |= {
            path: md5
            for path, md5 in content.files.items()
            if md5 in names and self._is_cache_object(path, md5)
        }
        return damaged

    def _is_good(self, item: Item) -> bool:
        return isinstance(check_one(item, self.clone.cache), Intact)

    def _fetch(self, items: list[Item]) -> None:
        """Fetch items into the cache from the first storage that has good ones."""
        lacking = items
        for name in self.source_names():
            if not lacking:
                return
            try:
                lacking = self._fetch_from(name, lacking)
            except StorageError as error:
                self.unreachable = self.unreachable or error
                self.doors.opened[name] = error
                lacking = [item for item in lacking if item.object_id not in self.fetched]
        if lacking and self.unreachable is not None:
            raise self.unreachable
        for item in lacking:
            for path in item.names:
                self.bad.setdefault(path, "on no storage")

    def _fetch_from(self, name: str, items: list[Item]) -> list[Item]:
        storage = self.doors.open(name)
        sizes: dict[str, StoredObject] = {}
        if len(items) > 1 and not self._is_probably_whole(storage):
            sizes = dict(present_objects(storage, [item.key for item in items], jobs=8))
        asked = [
            replace(item, size=sizes[item.key].size if item.key in sizes else None)
            for item in items
            if not sizes or item.key in sizes
        ]
        lacking = [item for item in items if sizes and item.key not in sizes]
        outcomes = move_all(
            asked,
            storage,
            self.clone.cache,
            read_back=False,
            jobs=self.options.jobs,
            progress=self.progress,
        )
        arrived: list[str] = []
        for outcome in outcomes:
            match outcome:
                case Moved(item, size):
                    arrived.append(item.key)
                    self.fetched.add(item.object_id)
                    self.size += size
                    self.gave[name] = None
                    was_bad = {path: self.bad.pop(path, "") for path in item.names}
                    self.healed += [path for path, why in was_bad.items() if "damaged" in why]
                case Damaged(item):
                    lacking.append(item)
                    self._note_bad(item, name, "damaged", f"damaged on {name}")
                case Missing(item):
                    lacking.append(item)
                    self._note_bad(item, name, "missing", f"missing on {name}")
        for item in lacking:
            for path in item.names:
                self.bad.setdefault(path, f"missing on {name}")
        tidy_beside(self.clone.cache, arrived)
        return lacking

    def _is_probably_whole(self, storage: Storage) -> bool:
        """Tell whether every object may be asked for without looking first what is there.

        A folder's list is sent last, so a storage that has it has the files; of one that tells
        sizes while it reads, nothing more is to be known. What is missing after all is said so.
        """
        tells_sizes: bool = can_read_sized(storage)
        if not (tells_sizes and self.unit.is_folder):
            return False
        return storage.stat(list_item_of(self.unit).key) is not None

    def _note_bad(self, item: Item, name: str, event: str, why: str) -> None:
        for path in item.names:
            self.bad[path] = why
        details = copy_event(self.unit, name, "read", [item], whole=False, size=0)
        self.events.append((event, details))

    def place(self, wanted: dict[str, str]) -> int:
        """Put files into their places, each hashed in this command; return how many."""
        clone = self.clone
        placements = [
            Placement(self._full(path), md5, md5 in self.fetched, self.unit.is_legacy)
            for path, md5 in wanted.items()
            if self._shown(path) not in self.bad
        ]
        if not placements:
            if self.unit.is_folder and not self.bad:  # a folder may be recorded as empty
                (self.target / self.unit.path).mkdir(parents=True, exist_ok=True)
            return 0
        recorded = self.unit.out.recorded
        is_program = recorded is not None and recorded.isexec
        rows: list[Row] = []
        placed = 0
        with dvc_lock(clone.tmp):
            cache, types = clone.dvc.cache_dir, self._cache_types()
            objects = str(cache)
            raw = self.unit.is_raw and not clone.by_path
            for outcome in place_all(placements, cache, types, read_only=raw):
                match outcome:
                    case Placed(placement, _, stamp, object_stamp):
                        placed += 1
                        md5 = placement.md5
                        if is_program:
                            made = Path(placement.path)
                            made.chmod(made.stat().st_mode | EXECUTABLE)
                        if not placement.legacy:  # of these the plain md5 is not known
                            rows.append(Row(placement.path, stamp, md5))
                            rows.append(Row(f"{objects}/{object_key(md5)}", object_stamp, md5))
                    case CacheDamaged(placement, found):
                        path = os.path.relpath(placement.path, self.target)
                        self.bad[path] = f"damaged in the local cache (md5 {found})"
            clone.state.write(rows)
        return placed

    def _cache_types(self) -> tuple[str, ...]:
        """Return how files are made; a folder elsewhere is to live longer than this cache."""
        types = self.clone.dvc.cache_types
        if self.options.past is None:
            return tuple(types)
        return tuple(kind for kind in types if kind != "symlink")

    def _take_out_former(self, whole: Content) -> int:
        """Delete files that only another recorded version has, which the cache keeps."""
        found = self.clone.workspace.scan(self.unit.path)
        extra = found.keys() - whole.files.keys()
        former = former_files(self.clone, self.unit.path, extra) if extra else frozenset()
        if not former:
            return 0
        with dvc_lock(self.clone.tmp):
            gone = [unlink_same(Path(self._full(name)), found[name]) for name in former]
            remove_empty(self.clone.root / self.unit.path)
        return sum(gone)

    def _note_partial(self, left: int) -> None:
        """Remember that a unit is here in part on purpose, for run, add and status."""
        note = partial_note(self.clone.root, self.unit)
        if left:
            wanted = {name: list(values) for name, values in self.options.selection.wanted.items()}
            if parts := self._parts():
                wanted["path"] = list(parts)
            write_text(note, json.dumps({"version": str(self.unit.version), "select": wanted}))
        elif not self.bad:
            note.unlink(missing_ok=True)
