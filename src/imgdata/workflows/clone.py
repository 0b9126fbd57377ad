"""One clone of a project, opened: what it says, where it lies, and the doors it needs."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.dvc_files.config import DvcConfig
from imgdata.dvc_files.directory import FolderEntry, read_folder, write_folder
from imgdata.dvc_files.index import Index, read_index
from imgdata.dvc_files.state import State
from imgdata.errors import DamagedError, InvalidProjectError, RefusedError, UsageError
from imgdata.levels.changes import Comparison, Workspace, recorded_files
from imgdata.levels.units import Unit, Units, find_units, refuse_outside, units_by_path
from imgdata.model.events import Event
from imgdata.model.objects import is_folder, legacy_key, object_key
from imgdata.model.renames import Renames
from imgdata.policy.ledger import Following, Ledger, fold
from imgdata.ports import Clock, Git, PublishedDeposits, StageRunner, Storage, Tree
from imgdata.project.config import Config, StorageConfig
from imgdata.project.log import (
    LOG_FOLDER,
    CommandFile,
    EventWriter,
    LogWriter,
    NoLog,
    read_events,
    renames_of,
)
from imgdata.system.files import remove_leftovers
from imgdata.system.folder_tree import FolderTree
from imgdata.system.locks import hold
from imgdata.system.unfinished import remove_abandoned
from imgdata.transfer.move import Item, read_whole

if TYPE_CHECKING:
    from imgdata.model.deposits import DepositRecord

DEPOSIT = "deposit"
PRIVATE_FOLDER = Path(".dvc") / "tmp" / "imgdata"
MOVE_JOURNAL = PRIVATE_FOLDER / "level-mv.json"
"""The plan of a level's renaming, there only while it is carried out."""
LOCK_WAIT_S = 2.0
LIST_ABSENT = "(its file list is not here)"
FOLDER_ABSENT = "(an empty folder)"
EMPTY_FOLDER = write_folder(())[1]


class Clone(Struct, frozen=True, dict=True):
    """A project's working folder with everything a workflow asks of the outside.

    Attributes:
        root: The DVC root, where imgdata.yaml lies.
        config: imgdata.yaml.
        dvc: DVC's configuration.
        git: The repository around it.
        stages: Runs stages.
        cache: DVC's cache, which has the layout of a storage.
        open_storage: Opens a storage of imgdata.yaml; may ask for credentials' files.
        published: Opens what was published in the repositories of imgdata.yaml.
        clock: The time.
        tree: The project's files at another revision; the working folder without one.
        by_path: There is no imgdata.yaml: `config` is made of DVC's own files, every tracked path
            is a level of its own name, and nothing is remembered, marked or added to git.
        read_before: DVC's files, where the caller has read them.
        log_file: What the writing command at work notes, whichever reading of the clone it uses.
    """

    root: Path
    config: Config
    dvc: DvcConfig
    git: Git
    stages: StageRunner
    cache: Storage
    open_storage: Callable[[StorageConfig], Storage]
    published: PublishedDeposits
    clock: Clock
    tree: Tree | None = None
    by_path: bool = False
    read_before: Index | None = None
    log_file: CommandFile = field(default_factory=CommandFile)

    @property
    def files(self) -> Tree:
        """The project's own files, by paths relative to its folder."""
        return self.tree or FolderTree(self.root)

    @property
    def tmp(self) -> Path:
        """DVC's folder for locks and caches."""
        return self.root / ".dvc" / "tmp"

    @cached_property
    def state(self) -> State:
        """DVC's rows of known hashes."""
        return State(self.root, self.dvc.site_cache_dir)

    @cached_property
    def workspace(self) -> Workspace:
        """The files of the working folder."""
        return Workspace(self.root, self.state)

    @cached_property
    def index(self) -> Index:
        """DVC's files, read once; refuses outs outside the project."""
        if self.read_before is not None:
            return self.read_before
        index = read_index(self.files)
        refuse_outside(index)
        return index

    @cached_property
    def units(self) -> Units:
        """The units of every level."""
        return units_by_path(self.index) if self.by_path else find_units(self.config, self.index)

    @cached_property
    def _log(self) -> tuple[Event, ...]:
        return () if self.by_path else read_events(self.root)[0]

    @cached_property
    def renames(self) -> Renames:
        """The levels that once had another name or folder."""
        return renames_of(self._log, self.config)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All events of the log, oldest first, under the names that levels have today."""
        return tuple(self.renames.seen_today(self._log))

    @cached_property
    def ledger(self) -> Ledger:
        """What the log says about copies."""
        return fold(self.events)

    @cached_property
    def deposits(self) -> "Mapping[str, tuple[DepositRecord, ...]]":
        """What is published, by repository: every version, at the address imgdata.yaml names now.

        A deposit in the sandbox says nothing about one of the same name in production.
        """
        events = [event for event in self.events if event.event == DEPOSIT]
        if not events:
            return {}
        # Most projects have published nothing: they do without these modules.
        from imgdata.model.deposits import DepositState  # noqa: PLC0415
        from imgdata.project.deposit_log import record_of  # noqa: PLC0415

        by_name: dict[str, dict[tuple[str, str], DepositRecord]] = {}
        for event in events:
            record = record_of(event)
            own = by_name.setdefault(record.repository, {})
            if record.state is DepositState.PUBLISHED:
                own[record.identifier, record.doi] = record
            elif record.state is DepositState.REMOVED:
                own.pop((record.identifier, record.doi), None)
        found: dict[str, tuple[DepositRecord, ...]] = {}
        for name, repository in self.config.repositories.items():
            some = by_name.get(name, {}).values()
            address = self.published.address(name, repository.url) if some else ""
            if here := tuple(one for one in some if one.address == address):
                found[name] = here
        return found

    @cached_property
    def copy_places(self) -> Mapping[str, StorageConfig]:
        """All that may hold copies: the storages, then the repositories with something published.

        A repository is described as a storage without options.
        """
        repositories = self.config.repositories
        return {
            **self.config.storages,
            **{name: StorageConfig(name, repositories[name].url) for name in self.deposits},
        }

    def open_copies(self, name: str) -> Storage:
        """Open a storage, or what is published in a repository."""
        if name in self.deposits:
            url = self.config.repositories[name].url
            return self.published.open(name, url, self.deposits[name])
        return self.open_storage(self.config.storages[name])

    def refuse_unknown_place(self, name: str) -> None:
        """Stop where a name is neither a storage nor a repository with something published.

        Raises:
            UsageError: Naming those that are.
        """
        if name in self.copy_places:
            return
        known = ", ".join(self.copy_places) or "none"
        if name in self.config.repositories:
            problem = f"this project has published nothing on '{name}' yet"
            raise UsageError(problem, cause=f"copies are on: {known}")
        problem = f"'{name}' is not a storage of this project"
        raise UsageError(problem, cause=f"storages: {known}")

    def reread(self) -> "Clone":
        """Return the same clone with its files to be read anew, after something wrote them."""
        return replace(self, read_before=None)

    def log(self) -> EventWriter:
        """Return a writer of events in the name of whoever git says works here."""
        return self._writer

    @cached_property
    def _writer(self) -> EventWriter:
        if self.by_path:
            return NoLog()
        by = self.git.identity() or ""
        return LogWriter(self.root, self.clock, by, Following(self.ledger), self.log_file)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other imgdata commands that write out of this clone.

        Raises:
            MachineError: Another one is at work.
            RefusedError: A level's renaming was interrupted, so that names and folders differ.
        """
        with self._locked():
            self._refuse_unfinished_move()
            self._tidy()
            yield

    @contextmanager
    def completing_move(self) -> Iterator[None]:
        """Do as `writing` for the one command that may complete an interrupted renaming."""
        with self._locked():
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.root / PRIVATE_FOLDER / "lock"
        with (
            hold(path, wait_s=LOCK_WAIT_S, owner="another imgdata command"),
            self.log_file.one_command(),
        ):
            yield

    def _refuse_unfinished_move(self) -> None:
        path = self.root / MOVE_JOURNAL
        if not path.is_file():
            return
        try:
            rename = json.loads(path.read_text("utf-8"))["rename"]
            words = f"{rename['level']} {rename['to']}"
        except (ValueError, LookupError, TypeError):
            words = "OLD NEW"
        problem = "renaming a level was interrupted half way"
        raise RefusedError(problem, remedy=f"imgdata level mv {words}")

    def content_hash(self, path: str) -> str:
        """Return the md5 of a file here; of a folder, that of its list of files (`.dir`)."""
        hashes = self.workspace.hashes(path, self.workspace.scan(path))
        if "" in hashes:
            return hashes[""]
        return write_folder(FolderEntry(md5, name) for name, md5 in hashes.items())[1]

    def refuse_link_out(self, path: str) -> None:
        """Stop before something is written through a link that leads out of the repository.

        Links into the configured cache are fine: DVC makes them.

        Raises:
            InvalidProjectError: Naming the path and where it leads.
        """
        real = (self.root / path).resolve()
        places = (self.git.root, self.root, self.dvc.cache_dir)
        if not any(real.is_relative_to(place.resolve()) for place in places):
            problem = f"{path} leads out of the project"
            remedy = "replace the link by a folder"
            raise InvalidProjectError(problem, cause=f"by a link to {real}", remedy=remedy)

    def _tidy(self) -> None:
        """Remove what a killed command left beside the project's own files; looks into no unit."""
        folders = [self.root, self.root / ".dvc", *(self.root / LOG_FOLDER).glob("*")]
        folders += [self.root / level.path for level in self.config.levels.values()]
        objects = self.dvc.cache_dir / "files" / "md5"
        if self.dvc.cache_dir.is_relative_to(self.root):
            folders.append(objects)
        else:  # a shared cache has other writers
            remove_abandoned(str(objects))
        for folder in folders:
            remove_leftovers(folder)

    def folder_list(self, unit: Unit) -> list[FolderEntry] | None:
        """Return the recorded files of a unit from the cache; None for a single file.

        Raises:
            DamagedError: The list is not in the cache, or damaged.
        """
        version = unit.version
        if version is None or not unit.is_folder:
            return None
        if not self.has_list(unit):
            problem = f"the file list of {unit.title} is not here"
            raise DamagedError(problem, remedy=f"imgdata pull {unit.level}")
        return self._read_list(version, unit.title, legacy=unit.is_legacy)

    def _read_list(self, version: str, title: str, *, legacy: bool = False) -> list[FolderEntry]:
        item = Item(version, (f"the file list of {title}",), legacy=legacy)
        return read_folder(read_whole(self.cache, item), version)

    def has_list(self, unit: Unit) -> bool:
        """Tell whether the unit's recorded files can be named without a storage."""
        return unit.version is not None and self._has_files_of(unit.version, unit.is_legacy)

    def _has_files_of(self, version: str, legacy: bool = False) -> bool:  # noqa: FBT001, FBT002 - private
        key = legacy_key(version) if legacy else object_key(version)
        return not is_folder(version) or self.cache.stat(key) is not None

    def compare(self, unit: Unit) -> Comparison:
        """Compare a unit's files here with its record; an unrecorded unit records no file."""
        return self.compare_version(unit.path, unit.version, legacy=unit.is_legacy)

    def compare_version(
        self, path: str, version: str | None, *, legacy: bool = False
    ) -> Comparison:
        """Compare the files of a tracked path with a recorded version.

        Where the version's file list is not here, the files here are either all of them, or none
        is known to be right.

        Raises:
            DamagedError: The file list in the cache is damaged.
        """
        if version is None:
            return self.workspace.compare(path, {})
        if version == EMPTY_FOLDER and not (self.root / path).is_dir():
            return Comparison(0, (), (FOLDER_ABSENT,), (), 0)
        if self._has_files_of(version, legacy):
            is_list = is_folder(version)
            entries = self._read_list(version, path, legacy=legacy) if is_list else None
            return self.workspace.compare(path, recorded_files(entries, version), legacy=legacy)
        hashes = self.workspace.hashes(path, self.workspace.scan(path))
        entries = [FolderEntry(md5, name) for name, md5 in hashes.items()]
        if write_folder(entries)[1] == version:
            return self.workspace.compare(path, hashes)
        found = self.workspace.compare(path, {})
        return found if found.extra else replace(found, missing=(LIST_ABSENT,))
