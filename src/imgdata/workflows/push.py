"""`imgdata push`: archive levels to their storages, checked on arrival and noted."""

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from imgdata.errors import DamagedError, ImgdataError, StorageError
from imgdata.levels.units import Unit
from imgdata.model.events import Json
from imgdata.model.excerpts import first_lines
from imgdata.model.objects import StoredObject
from imgdata.ports import CanCreateRoot, CanFlush, LiesInFolder, Storage
from imgdata.project.config import Level
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import (
    Damaged,
    How,
    Intact,
    Item,
    Missing,
    Moved,
    check_all,
    move_all,
    tidy_beside,
)
from imgdata.transfer.presence import present_objects
from imgdata.workflows.by_path import how_to_send
from imgdata.workflows.clone import Clone
from imgdata.workflows.leaving import Gate, Withheld, refusal
from imgdata.workflows.marker import mark_or_refuse
from imgdata.workflows.objects import copy_event, copy_key
from imgdata.workflows.push_plan import (
    NotPushed,
    PushOptions,
    Target,
    UnitPlan,
    choose_targets,
    keys_of,
    plan_unit,
    selected_content,
)

WEAKEST_FIRST: tuple[How, ...] = ("size", "checksum", "read")
SHOWN = 20


class StorageFailed(Struct, frozen=True):
    """A storage could not be used; the others were."""

    storage: str
    error: StorageError


class Pushed(Struct, frozen=True):
    """One unit on one storage after the push.

    Attributes:
        place: The storage as a person names it.
        sent: Objects that were sent, and `size` their bytes.
        checked: Objects that were there and were read back.
        present: Objects that were there with evidence.
        damaged: Objects whose bytes are wrong, here or at the storage; not sent.
        missing: Objects that no place has.
        gone: How many of those sent had been there before, as the log says.
        way_out: Where some are missing, what brings them.
    """

    target: Target
    place: str
    sent: int
    size: int
    checked: int
    present: int
    damaged: tuple[Damaged, ...]
    missing: tuple[Missing, ...]
    gone: int = 0
    way_out: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the storage now has everything that was to be there."""
        return not (self.damaged or self.missing)


class Unlisted(Struct, frozen=True):
    """A unit of which nobody here knows what it consists of: its file list is out of reach."""

    unit: Unit
    error: DamagedError | StorageError


ASKED_AT_ONCE = 500_000
PushOutcome = Pushed | NotPushed | StorageFailed | Withheld | Unlisted


def push(
    clone: Clone,
    levels: Sequence[Level],
    options: PushOptions,
    progress: Progress = SILENT,
) -> Iterator[PushOutcome]:
    """Send the recorded versions of levels to their storages; one outcome a unit and storage.

    What is read from the cache is hashed before it is sent; folder lists go last. An interrupted
    push leaves whole objects only, and the next one goes on.

    Raises:
        InvalidProjectError, UsageError: See `choose_targets`.
        RefusedError: A storage's prefix belongs to another project.
        MachineError: Another imgdata command is at work here.
    """
    remembered = Gate(clone, ask=False)
    targets, skipped = choose_targets(clone, levels, options, remembered)
    yield from skipped
    with clone.writing():
        doors = _Doors(clone, Gate(clone, known_rules=remembered.rules), targets)
        unlisted: set[str] = set()
        for target in targets:
            unit = target.unit
            if unit.path in unlisted:
                continue
            if error := _fetch_list(clone, unit):
                unlisted.add(unit.path)
                yield Unlisted(unit, error)
            else:
                yield from doors.push(target, options, progress)


def _fetch_list(clone: Clone, unit: Unit) -> DamagedError | StorageError | None:
    """Bring the file list of a unit that only others have here; return why it cannot be had."""
    if clone.by_path or not unit.is_folder or clone.has_list(unit):
        return None
    from imgdata.workflows.pull_unit import Doors, Fetch, PullOptions  # noqa: PLC0415 - rarely needed

    level = clone.config.levels[unit.level]
    try:
        Fetch(clone, unit, level, PullOptions(), SILENT, Doors(clone)).content()
    except DamagedError as error:
        return DamagedError(error.problem, cause=error.cause, remedy=how_to_send(clone, unit))
    except StorageError as error:
        return error
    return None


class _Doors(Struct):
    """The storages of one push: opened once, left alone when they fail, guarded when public."""

    clone: Clone
    gate: Gate
    targets: Sequence[Target]
    opened: dict[str, Storage | None] = field(default_factory=dict)
    public: dict[str, str] = field(default_factory=dict)
    there: dict[str, dict[str, StoredObject]] = field(default_factory=dict)
    asked: dict[str, frozenset[str]] = field(default_factory=dict)
    unsure: dict[str, StorageError] = field(default_factory=dict)

    def push(
        self, target: Target, options: PushOptions, progress: Progress
    ) -> Iterator[PushOutcome]:
        """Push one unit to one storage, unless a restriction forbids it."""
        name = target.storage
        if name not in self.public:
            self.public[name] = self.gate.stated_public(self.clone.config.storages[name])
        # Asked twice: by what is written before the storage is touched, by looking once it is open.
        if held := self._held(target, options):
            yield held
            return
        try:
            storage = self._open(name)
            if storage is None:
                return
            if held := self._held(target, options, storage):
                yield held
                return
            self._refuse_unsure(target, options)
            there = self._there(target, storage, options)
            yield _push_unit(self.clone, target, storage, options, progress, there)
        except StorageError as error:
            self.opened[name] = None
            yield StorageFailed(name, error)

    def _held(
        self, target: Target, options: PushOptions, receiver: Storage | None = None
    ) -> Withheld | None:
        why = self.public[target.storage]
        held = self.gate.withheld(target.unit, target.storage, why, receiver) if why else None
        return held if held is None or self._is_wanted(target, options) else None

    def _refuse_unsure(self, target: Target, options: PushOptions) -> None:
        """Stop restricted data before a storage of which nobody knows whether strangers read it."""
        error = self.unsure.get(target.storage)
        if error is None or self.public[target.storage]:
            return
        if self.gate.withheld(target.unit, target.storage, "") and self._is_wanted(target, options):
            raise error

    def _is_wanted(self, target: Target, options: PushOptions) -> bool:
        """Tell whether any file of a unit is selected; where its list is not here, it may be."""
        if not (options.selection and self.clone.has_list(target.unit)):
            return True
        return bool(selected_content(self.clone, target.unit, options).files)

    def _open(self, name: str) -> Storage | None:
        if name not in self.opened:
            self.opened[name] = None
            storage = _open_marked(self.clone, name)
            if not self.public[name]:
                config = self.clone.config.storages[name]
                try:
                    self.public[name] = self.gate.looks_public(config, storage)
                except StorageError as error:
                    self.unsure[name] = error
            self.opened[name] = storage
        return self.opened[name]

    def _there(
        self, target: Target, storage: Storage, options: PushOptions
    ) -> dict[str, StoredObject] | None:
        """Ask for many units at once: one listing tells of all, and would be read for each again.

        None for a unit that is alone, and for one of which nobody knows what it consists of.
        """
        name = target.storage
        if target.unit.path not in self.asked.get(name, ()):
            if sum(one.storage == name for one in self.targets) == 1:
                return None
            known = self._next_keys(target, options)
            self.asked[name] = frozenset(path for path, keys in known.items() if keys)
            wanted = {key for keys in known.values() for key in keys}
            self.there[name] = dict(present_objects(storage, wanted, jobs=options.jobs))
        return self.there[name] if target.unit.path in self.asked[name] else None

    def _next_keys(self, first: Target, options: PushOptions) -> dict[str, list[str]]:
        """Return the keys of a unit and those after it, by path: as many as fit in memory well."""
        known: dict[str, list[str]] = {}
        number = 0
        for target in self.targets[self.targets.index(first) :]:
            if target.storage == first.storage:
                keys = _known_keys(self.clone, target, options)
                known[target.unit.path] = keys
                number += len(keys)
            if number > ASKED_AT_ONCE:
                break
        return known


def _known_keys(clone: Clone, target: Target, options: PushOptions) -> list[str]:
    """Return what a push of one unit is about; nothing where its file list is not here, or bad."""
    if not clone.has_list(target.unit):
        return []
    try:
        return keys_of(clone, target, options)
    except DamagedError:
        return []  # told when its turn comes


def _open_marked(clone: Clone, name: str) -> Storage:
    """Open a storage and make sure that its prefix is this project's.

    A remote of plain DVC belongs to whoever it belongs to, and is made by its first push.
    """
    storage = clone.open_storage(clone.config.storages[name])
    if clone.by_path:
        if isinstance(storage, CanCreateRoot) and _is_beside_a_folder(storage):
            storage.create_root()
        return storage
    mark_or_refuse(storage, name, clone.config.id, clone.config.title)
    return storage


def _is_beside_a_folder(storage: Storage) -> bool:
    """Tell whether a folder's parent is there; if not, its disk is perhaps not mounted."""
    if not isinstance(storage, LiesInFolder):
        return True
    return storage.folder is not None and storage.folder.parent.is_dir()


def _push_unit(
    clone: Clone,
    target: Target,
    storage: Storage,
    options: PushOptions,
    progress: Progress,
    there: dict[str, StoredObject] | None,
) -> Pushed:
    plan = plan_unit(clone, target, storage, options, there)
    resent = tuple(one.item for one in plan.damaged) if options.repair else ()
    shipment = _Shipment(clone, plan, storage, options, progress, still_damaged=not resent)
    send = (*plan.send, *resent)
    label = f"push {target.unit.title} to {target.storage}"
    progress.start(label, items=len(send) + len(plan.check), size=plan.size)
    try:
        shipment.run(send)
        tidy_beside(storage, (one.item.key for one in shipment.sent))
    finally:
        progress.finish()
        shipment.note()
    if there is not None:
        sent = ((one.item.key, one.size) for one in shipment.sent)
        there |= {key: StoredObject(key, size, None) for key, size in sent}
    return Pushed(
        target=target,
        place=storage.description,
        sent=len(shipment.sent),
        size=sum(one.size for one in shipment.sent),
        checked=len(shipment.checked),
        present=plan.present,
        damaged=(*(() if resent else plan.damaged), *shipment.damaged),
        missing=tuple(shipment.missing),
        gone=plan.gone,
        way_out=how_to_send(clone, target.unit) if shipment.missing else "",
    )


class _Shipment(Struct):
    """One unit on its way to one storage; remembers what was reached, also when interrupted."""

    clone: Clone
    plan: UnitPlan
    storage: Storage
    options: PushOptions
    progress: Progress
    still_damaged: bool
    sent: list[Moved] = field(default_factory=list)
    checked: list[Intact] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    def run(self, send: Sequence[Item]) -> None:
        """Read back what needs it, send files, then the folder list if all files are right."""
        self._check()
        list_item = self.plan.content.list_item
        self._send([item for item in send if item != list_item])
        self._flush()
        bad = self.damaged or self.missing or (self.plan.damaged and self.still_damaged)
        if list_item is not None and list_item in send and not bad:
            self._send([list_item])
            self._flush()

    def _check(self) -> None:
        jobs = self.options.jobs
        redo: list[Item] = []
        for outcome in check_all(self.plan.check, self.storage, jobs=jobs, progress=self.progress):
            match outcome:
                case Intact():
                    self.checked.append(outcome)
                case Damaged(item) if self.options.repair:
                    redo.append(item)
                case Damaged():
                    self.damaged.append(outcome)
                case Missing(item):
                    redo.append(item)
        self._send(redo)

    def _send(self, items: list[Item]) -> None:
        """Send items from the cache; what it lacks comes from another storage that has it."""
        lacking = items
        missing: list[Missing] = []
        for source in (self.clone.cache, *self._other_storages(lacking)):
            if not lacking:
                return
            outcomes = move_all(
                lacking,
                source,
                self.storage,
                read_back=True,
                jobs=self.options.jobs,
                progress=self.progress,
            )
            lacking, missing = [], []
            for outcome in outcomes:
                match outcome:
                    case Moved():
                        self.sent.append(outcome)
                    case Damaged():
                        self.damaged.append(outcome)
                    case Missing(item):
                        lacking.append(item)
                        missing.append(outcome)
        self.missing += missing

    def _other_storages(self, items: list[Item]) -> Iterator[Storage]:
        """Open the other storages that are noted to have the version, one at a time."""
        target = self.plan.target
        for name in self.clone.copy_places:
            copy = self.clone.ledger.copy(copy_key(target.unit, name))
            if items and name != target.storage and copy.is_whole:
                try:
                    yield self.clone.open_copies(name)
                except StorageError:
                    continue

    def _flush(self) -> None:
        if isinstance(self.storage, CanFlush) and self.sent:
            self.storage.flush()

    def note(self) -> None:
        """Write down what is known now: evidence for what is right, and damage that was found."""
        target, plan = self.plan.target, self.plan
        every: list[Moved | Intact] = [*self.sent, *self.checked]
        good: dict[How, list[Moved | Intact]] = {}
        for one in every:
            good.setdefault(one.how, []).append(one)
        total = len(plan.send) + len(plan.check) + plan.present + len(plan.damaged)
        whole = plan.whole and len(every) == total
        if whole and every:
            good = {next(how for how in WEAKEST_FIRST if how in good): every}
        events: list[tuple[str, dict[str, Json]]] = []
        for how, some in good.items():
            items = [one.item for one in some]
            size = sum(one.size for one in some)
            event = copy_event(target.unit, target.storage, how, items, whole=whole, size=size)
            events.append(("stored", event))
        place = self.storage.description
        arrived = {one.item for one in every}
        bad = [one.item for one in (*plan.damaged, *self.damaged) if one.place == place]
        bad = [item for item in bad if item not in arrived]
        if bad:
            event = copy_event(target.unit, target.storage, "read", bad, whole=False, size=0)
            events.append(("damaged", event))
        path = self.clone.log().write(events) if events else None
        if path is not None:
            self.clone.git.stage([path])


def summary_error(
    outcomes: Sequence[PushOutcome],
) -> ImgdataError | None:
    """Return what kept a push from being whole, or None; a restriction before all else."""
    held = [one for one in outcomes if isinstance(one, Withheld)]
    if held:
        return refusal(held, "did not go to a public storage")
    failed: list[ImgdataError] = []
    failed += [one.error for one in outcomes if isinstance(one, StorageFailed | Unlisted)]
    failed += [one.fault for one in outcomes if isinstance(one, NotPushed) and one.fault]
    broken = [one for one in outcomes if isinstance(one, Pushed) and not one.is_whole]
    if not broken:
        return failed[0] if failed else None
    names = [line for one in broken for line in _bad_lines(one)]
    count = "one file is" if len(names) == 1 else f"{len(names)} files are"
    problem = f"{count} damaged or missing; nothing damaged was sent"
    return DamagedError(problem, cause=first_lines(names, SHOWN), remedy=_remedy(broken[0]))


def _bad_lines(pushed: Pushed) -> Iterator[str]:
    for bad in pushed.damaged:
        yield f"{bad.item.names[0]}: damaged on {bad.place} ({bad.found})"
    for lost in pushed.missing:
        yield f"{lost.item.names[0]}: missing on {lost.place}"


def _remedy(pushed: Pushed) -> str:
    level, storage = pushed.target.unit.level, pushed.target.storage
    if pushed.missing:
        return pushed.way_out
    if any(bad.place != pushed.place for bad in pushed.damaged):
        return f"bring a good copy back: imgdata pull {level} --from STORAGE"
    return f"send it again from here: imgdata push {level} --to {storage} --repair"
