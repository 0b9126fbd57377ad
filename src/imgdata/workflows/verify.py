"""`imgdata verify`: read copies back and hash them, those checked longest ago first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

from msgspec import Struct, field

from imgdata.errors import StorageError
from imgdata.model.events import Json, parse_time, time_text
from imgdata.model.objects import FOLDER_SUFFIX, StoredObject
from imgdata.policy.ledger import Evidence, NothingNoted, NotThere
from imgdata.ports import Storage
from imgdata.project.config import StorageConfig
from imgdata.system.files import write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import (
    CheckOutcome,
    Damaged,
    Intact,
    Item,
    Missing,
    Moved,
    check_all,
    is_cold,
    move_one,
)
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone
from imgdata.workflows.contents import Contents, list_item
from imgdata.workflows.copies import Copies, Offline, Reached
from imgdata.workflows.history import History, Version
from imgdata.workflows.leaving import Gate
from imgdata.workflows.objects import version_event
from imgdata.workflows.verify_outcomes import (
    Bad,
    Extra,
    NotListed,
    NotVerified,
    Verified,
    VerifyOptions,
    VerifyOutcome,
    summary_error,
)
from imgdata.workflows.versions import current_versions, old_versions

__all__ = [
    "Bad",
    "Extra",
    "NotListed",
    "NotVerified",
    "Verified",
    "VerifyOptions",
    "VerifyOutcome",
    "summary_error",
    "verify",
]
CACHE = "cache"
CHECKPOINT = timedelta(seconds=60)
NEVER = datetime.fromtimestamp(0, UTC)
CACHE_NOTE = PRIVATE_FOLDER / "cache-checked.json"
PART = "part/"
"""Before the id of an object whose version was not yet read whole."""
GONE = frozenset({"dropped", "lost"})


class Task(Struct, frozen=True):
    """One version at one place, its objects in the order they are to be read."""

    version: Version
    storage: str
    opened: Storage
    items: tuple[Item, ...]
    oldest: datetime
    total: int


def verify(
    clone: Clone, levels: Sequence[str], options: VerifyOptions, progress: Progress = SILENT
) -> Iterator[VerifyOutcome]:
    """Read copies of levels back; what was found is noted at least every minute.

    Raises:
        UsageError: A storage of `--on` is not configured.
        StorageError: A storage named by `--on` cannot be read.
        MachineError: Another imgdata command is at work here.
    """
    for name in options.on:
        if name != CACHE:
            clone.refuse_unknown_place(name)
    with clone.writing():
        yield from _Verification(clone.reread(), levels, options, progress).run()


class _Verification(Struct):
    clone: Clone
    levels: Sequence[str]
    options: VerifyOptions
    progress: Progress
    spent: int = 0
    good: dict[tuple[str, str], int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    public: dict[str, bool] = field(default_factory=dict)

    def run(self) -> Iterator[VerifyOutcome]:
        """Read tasks in the order of their oldest check."""
        copies = Copies(self.clone, ask=True)
        reached: dict[str, Storage] = {}
        versions = current_versions(self.clone, self.levels)
        concerned = {name for version in versions for name in copies.storages_of(version)}
        for name in self._names():
            match copies.reach(name):
                case Reached(storage, _):
                    reached[name] = storage
                case Offline(error):
                    if name in self.options.on:
                        raise error
                    is_drawer = copies.is_unplugged(name)
                    yield NotVerified(name, error, is_drawer, is_expected=name in concerned)
                case other:
                    assert_never(other)
        contents = Contents(self.clone, tuple(reached.values()))
        history = History(self.clone)
        tasks = list(self._tasks(copies, reached, contents, history))
        for task in sorted(tasks, key=lambda one: (one.oldest, one.version.path, one.storage)):
            if task.storage not in self.broken:
                yield from self._attempt(task, copies)
        if set(self.levels) == set(self.clone.config.levels) and self.options.budget is None:
            storages = {name: one for name, one in reached.items() if name in self._storages}
            yield from _extras(history, contents, storages)

    @property
    def _storages(self) -> Mapping[str, StorageConfig]:
        return self.clone.config.storages

    def _names(self) -> tuple[str, ...]:
        """Return what is read: a deposit only when it is named, since all of it is downloaded."""
        wanted = self.options.on or tuple(self._storages)
        return tuple(name for name in wanted if name != CACHE)

    def _tasks(
        self,
        copies: Copies,
        reached: dict[str, Storage],
        contents: Contents,
        history: History,
    ) -> Iterator[Task]:
        current = current_versions(self.clone, self.levels)
        old = old_versions(history, self.levels)
        for version in dict.fromkeys((*current, *old)):
            items = contents.items(version)
            for name, storage in reached.items():
                task = self._storage_task(version, name, storage, items, copies)
                if task is not None:
                    yield task
            if (not self.options.on or CACHE in self.options.on) and items is not None:
                task = self._cache_task(version, items, copies)
                if task is not None:
                    yield task

    def _storage_task(
        self,
        version: Version,
        name: str,
        storage: Storage,
        items: tuple[Item, ...] | None,
        copies: Copies,
    ) -> Task | None:
        copy = copies.copy(version, name)
        if items is None:  # its list is nowhere: that is what can be said, if it was ever here
            items = (list_item(version),) if copy.weakest is not None else ()
        there = copies.there(name, items)
        total = len(items)
        if is_cold(storage):  # what has no checksum there cannot be judged before it is restored
            items = tuple(i for i in items if _is_judged_cold(i, there.get(i.key)))
        ages: list[tuple[datetime, Item]] = []
        for item in items:
            belief = copy.belief(item.md5)
            gone = isinstance(belief, NothingNoted) or (
                isinstance(belief, NotThere) and belief.why in GONE
            )
            if gone and item.key not in there:
                continue
            verified = isinstance(belief, Evidence) and belief.is_verified
            at = belief.at if isinstance(belief, Evidence) and verified else NEVER
            ages.append((at, _sized(item, there.get(item.key))))
        return _task(version, name, storage, ages, total)

    def _cache_task(self, version: Version, items: tuple[Item, ...], copies: Copies) -> Task | None:
        there = copies.cached(items)
        notes = self._cache_notes()
        whole = notes.get(version.version, NEVER)
        ages = [
            (max(whole, notes.get(PART + item.object_id, NEVER)), _sized(item, there[item.key]))
            for item in items
            if item.key in there
        ]
        return _task(version, CACHE, self.clone.cache, ages, len(ages))

    def _cache_notes(self) -> dict[str, datetime]:
        path = self.clone.root / CACHE_NOTE
        try:
            value = json.loads(path.read_text("utf-8"))
            return {str(name): parse_time(str(at)) for name, at in value.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def _attempt(self, task: Task, copies: Copies) -> Iterator[VerifyOutcome]:
        """Read one task; a storage that fails meanwhile is left alone from then on."""
        reading = _Reading(self.clone, task)
        chosen, left = self._within_budget(task)
        known = [item for item in chosen if (task.storage, item.object_id) in self.good]
        unread = [item for item in chosen if (task.storage, item.object_id) not in self.good]
        size = sum(item.size or 0 for item in unread)
        label = f"verify {task.version.title} on {task.storage}"
        self.progress.start(label, items=len(unread), size=size)
        failure: StorageError | None = None
        for item in known:
            reading.take(Intact(item, self.good[task.storage, item.object_id], "read"))
        try:
            for outcome in check_all(
                unread, task.opened, jobs=self.options.jobs, progress=self.progress
            ):
                reading.take(outcome)
                if isinstance(outcome, Intact):
                    self.good[task.storage, outcome.item.object_id] = outcome.size
        except StorageError as error:
            failure = error
            self.broken.add(task.storage)
        finally:
            self.progress.finish()
            reading.note(is_done=failure is None and not left)
        bad = tuple(self._bad(task, reading, one, copies) for one in reading.bad)
        if self.options.repair:
            reading.note_repairs()
        if task.storage == CACHE and failure is None and not reading.bad:
            self._note_cache(task, () if not left else [item for item, _ in reading.good])
        done = sum(size for _, size in reading.good)
        said = (one.why for one in reading.bad if isinstance(one, Missing))
        why = dict.fromkeys(one for one in said if one) if task.storage != CACHE else {}
        place = task.opened.description
        yield Verified(
            task.version,
            task.storage,
            place,
            len(reading.good),
            done,
            left,
            bad,
            tuple(why),
            is_deposit=task.storage in self.clone.deposits,
        )
        if failure is not None:
            yield NotVerified(task.storage, failure, is_drawer=False)

    def _within_budget(self, task: Task) -> tuple[list[Item], int]:
        if self.options.budget is None:
            return list(task.items), 0
        chosen: list[Item] = []
        for item in task.items:
            size = 0 if (task.storage, item.object_id) in self.good else item.size or 0
            if chosen and self.spent + size > self.options.budget:
                break
            if self.spent >= self.options.budget:
                break
            self.spent += size
            chosen.append(item)
        return chosen, len(task.items) - len(chosen)

    def _note_cache(self, task: Task, part: Sequence[Item]) -> None:
        """Remember that a version was read, or the part of it that the budget was enough for."""
        notes = {name: time_text(at) for name, at in self._cache_notes().items()}
        now = time_text(self.clone.clock.now())
        if part:
            notes |= dict.fromkeys((PART + item.object_id for item in part), now)
        else:
            notes[task.version.version] = now
            for item in task.items:
                notes.pop(PART + item.object_id, None)
        path = self.clone.root / CACHE_NOTE
        write_text(path, json.dumps(notes))

    def _bad(self, task: Task, reading: "_Reading", one: Damaged | Missing, copies: Copies) -> Bad:
        how = self._words(task, one, copies)
        source = self._repair(task, reading, one, copies) if self.options.repair else ""
        return Bad(one.item.names, how, source)

    def _words(self, task: Task, one: Damaged | Missing, copies: Copies) -> str:
        if isinstance(one, Missing):
            return "missing"
        right = self._right_size(task, one.item, copies)
        found = one.item.size
        if right is None or found is None:
            return f"damaged ({one.found})"
        if found == right:
            return "flipped bytes (the size is right, the content is not)"
        return f"truncated ({found:,} of {right:,} bytes)" if found < right else "other content"

    def _right_size(self, task: Task, item: Item, copies: Copies) -> int | None:
        """Return the size that other places have of an object."""
        found = [] if task.storage == CACHE else [self.clone.cache.stat(item.key)]
        for name in copies.storages_of(task.version):
            answer = copies.reach(name)
            if name != task.storage and isinstance(answer, Reached):
                found.append(copies.there(name, [item]).get(item.key))
        sizes = [one.size for one in found if one is not None]
        return sizes[0] if sizes else None

    def _is_public(self, task: Task) -> bool:
        """Tell whether strangers read the storage; where that is not known, count it so."""
        if task.storage not in self.public:
            gate, config = Gate(self.clone), self.clone.config.storages[task.storage]
            try:
                told = gate.stated_public(config) or gate.looks_public(config, task.opened)
            except StorageError:
                told = "unknown"
            self.public[task.storage] = bool(told)
        return self.public[task.storage]

    def _repair(
        self, task: Task, reading: "_Reading", one: Damaged | Missing, copies: Copies
    ) -> str:
        """Replace a bad object by a good one; return where that came from, or an empty text.

        Nothing is sent to a public storage: that is for push, which asks for restrictions.
        """
        if task.storage in self.clone.deposits:
            return ""
        if task.storage != CACHE and self._is_public(task):
            return ""
        sources = self._repair_sources(task, copies)
        item = Item(one.item.object_id, one.item.names)
        for name, source in sources:
            try:
                outcome = move_one(item, source, task.opened, read_back=True)
            except StorageError:
                continue
            if isinstance(outcome, Moved):
                reading.repaired.append(outcome)
                return name
        return ""

    def _repair_sources(self, task: Task, copies: Copies) -> list[tuple[str, Storage]]:
        """Return the other places that may have a good one, the cache first."""
        sources: list[tuple[str, Storage]] = []
        if task.storage != CACHE:
            sources.append((CACHE, self.clone.cache))
        for name in copies.storages_of(task.version):
            answer = copies.reach(name)
            if name != task.storage and isinstance(answer, Reached):
                sources.append((name, answer.storage))
        return sources


def _is_judged_cold(item: Item, found: StoredObject | None) -> bool:
    """Tell whether an object of an archive tier can be checked: by its checksum, or as missing."""
    return found is None or found.md5 is not None or item.object_id.endswith(FOLDER_SUFFIX)


def _sized(item: Item, found: StoredObject | None) -> Item:
    return Item(item.object_id, item.names, found.size if found else None)


def _task(
    version: Version,
    name: str,
    storage: Storage,
    ages: list[tuple[datetime, Item]],
    total: int,
) -> Task | None:
    if not ages:
        return None
    ages.sort(key=lambda pair: (pair[0], pair[1].object_id))
    items = tuple(item for _, item in ages)
    return Task(version, name, storage, items, ages[0][0], total)


class _Reading(Struct):
    """What was found of one task, noted as it goes."""

    clone: Clone
    task: Task
    good: list[tuple[Item, int]] = field(default_factory=list)
    bad: list[Damaged | Missing] = field(default_factory=list)
    repaired: list[Moved] = field(default_factory=list)
    _noted: int = 0
    _noted_at: datetime | None = None

    def take(self, outcome: CheckOutcome) -> None:
        """Keep one outcome; write down what is known once a minute."""
        now = self.clone.clock.now()
        self._noted_at = self._noted_at or now
        match outcome:
            case Intact(item, size):
                self.good.append((item, size))
            case Damaged() | Missing():
                self.bad.append(outcome)
            case _:
                assert_never(outcome)
        if now - self._noted_at >= CHECKPOINT:
            self._write(self._events(self.good[self._noted :], whole=False))
            self._noted, self._noted_at = len(self.good), now

    def note(self, *, is_done: bool) -> None:
        """Write down what was found, also when the reading was interrupted."""
        whole = is_done and len(self.good) + len(self.bad) == self.task.total
        good = self.good if whole else self.good[self._noted :]
        events = self._events(good, whole=whole)
        for kind, type_ in (("damaged", Damaged), ("missing", Missing)):
            items = [one.item for one in self.bad if isinstance(one, type_)]
            if items:
                events.append((kind, self._event("read", items, 0, whole=False)))
        self._write(events)

    def note_repairs(self) -> None:
        """Write down what was replaced."""
        by_how: dict[str, list[Moved]] = {}
        for one in self.repaired:
            by_how.setdefault(one.how, []).append(one)
        self._write(
            [
                ("stored", self._event(how, [m.item for m in some], sum(m.size for m in some),
                                       whole=False))
                for how, some in by_how.items()
            ]
        )  # fmt: skip

    def _events(
        self, good: list[tuple[Item, int]], *, whole: bool
    ) -> list[tuple[str, dict[str, Json]]]:
        if not good:
            return []
        items, size = [item for item, _ in good], sum(size for _, size in good)
        how = "checksum" if is_cold(self.task.opened) else "read"
        return [("verified", self._event(how, items, size, whole=whole))]

    def _event(self, how: str, items: list[Item], size: int, *, whole: bool) -> dict[str, Json]:
        return version_event(
            self.task.version, self.task.storage, how, items, whole=whole, size=size
        )

    def _write(self, events: list[tuple[str, dict[str, Json]]]) -> None:
        """Note evidence about storages; the cache is this clone's own affair."""
        if self.task.storage == CACHE:
            return
        path = self.clone.log().write(events)
        if path is not None:
            self.clone.git.stage([path])


def _extras(
    history: History, contents: Contents, reached: dict[str, Storage]
) -> Iterator[VerifyOutcome]:
    """Name what storages hold beyond every recorded version; nothing where one is not readable."""
    known: set[str] = set()
    for version in history.ever:
        items = contents.items(version)
        if items is None:
            return
        known |= {item.key for item in items}
    for name, storage in reached.items():
        try:
            found = [one for one in storage.list("files/md5") if one.key not in known]
        except StorageError as error:
            yield NotListed(name, error)
            continue
        if found:
            examples = tuple(sorted(one.key for one in found)[:3])
            yield Extra(name, len(found), sum(one.size for one in found), examples)
