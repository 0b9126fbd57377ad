"""`imgdata storage move`: copy units to another storage, checked there, then drop the former copy.

Nothing here moves or deletes by itself: push makes and checks the copies, drop deletes what is
recoverable without the former one. A rerun goes on where the last one stopped.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from imgdata.errors import RefusedError, StorageError, UsageError
from imgdata.levels.units import Unit
from imgdata.model.selection import Selection
from imgdata.project.by_name import storage_named
from imgdata.project.config import Level
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import DEFAULT_JOBS, Item, Moved, move_one
from imgdata.transfer.presence import present_objects
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.copies import Copies
from imgdata.workflows.drop import Dropped, drop
from imgdata.workflows.drop_plan import DropOptions, DropPlan, plan_drop
from imgdata.workflows.leaving import Gate, Withheld
from imgdata.workflows.places import places
from imgdata.workflows.push import Pushed, PushOutcome, push
from imgdata.workflows.push_plan import PushOptions
from imgdata.workflows.retention import Retention
from imgdata.workflows.versions import version_of


class MoveOptions(Struct, frozen=True):
    """What to move, and between which storages.

    Attributes:
        source: The storage to leave; the level's first one without a word.
        target: The storage to go to; the first one that `then` names without a word.
        selection: Only files whose key fields fit.
        due: Only units that `then` and `keep` say should move now.
        jobs: Transfers at once.
        ask: Ask the former storage whether a move that was killed left something there; without
            it the plan is made from what is remembered.
    """

    source: str = ""
    target: str = ""
    selection: Selection = field(default_factory=lambda: Selection({}))
    due: bool = False
    jobs: int = DEFAULT_JOBS
    ask: bool = True


class Leg(Struct, frozen=True):
    """The units of one level that go from one storage to another.

    Attributes:
        units: Those that the former storage is noted to have, or has remains of.
        to_copy: Those of them that the new storage is not noted to have whole.
        withheld: Those that will stay because they may not leave, as rules and records say.
    """

    level: Level
    source: str
    target: str
    units: tuple[Unit, ...]
    to_copy: tuple[Unit, ...]
    withheld: tuple[Withheld, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of what is to be copied."""
        held = {one.unit.path for one in self.withheld}
        return sum(unit.size for unit in self.to_copy if unit.path not in held)


class Stays(Struct, frozen=True):
    """What drop would not take from the former storage, with its reasons."""

    plan: DropPlan


MoveOutcome = PushOutcome | Dropped | Stays


def plan_move(clone: Clone, levels: Sequence[Level], options: MoveOptions) -> tuple[Leg, ...]:
    """Decide which units go where, as remembered but for what a killed move left behind.

    Raises:
        UsageError: A storage does not exist, or a level has nowhere to go.
        RefusedError: Both storages are the same place.
        StorageError: The former storage cannot be asked.
    """
    for name in filter(None, (options.source, options.target)):
        storage_named(clone.config, name)
    found = (_leg(clone, level, options) for level in levels)
    return tuple(leg for leg in found if leg is not None and leg.units)


def _leg(clone: Clone, level: Level, options: MoveOptions) -> Leg | None:
    stated = (name for name in level.then if name in clone.config.storages)
    target = options.target or next(stated, "")
    if not target and options.due:
        return None  # it has nowhere to go by rule, so it is never due
    if not target:
        problem = f"imgdata.yaml does not say where {level.name} goes next"
        remedy = f"imgdata storage move {level.name} --to STORAGE, or 'then:' of the level"
        raise UsageError(problem, remedy=remedy)
    source = options.source or next((name for name in level.storages if name != target), "")
    if not source:
        problem = f"{level.name} is on no storage that it could leave"
        raise UsageError(problem, remedy="imgdata storage move LEVEL --from STORAGE")
    where = places(clone)
    if where.get(source) == where.get(target):
        problem = f"{source} and {target} are the same place"
        raise RefusedError(problem, remedy="imgdata storage list")
    copies = Copies(clone, ask=False)
    retention = Retention(clone)
    known = [unit for unit in clone.units.by_level[level.name] if unit.version is not None]
    remains = _remains(clone, copies, known, source, target) if options.ask else frozenset()
    units = tuple(
        unit
        for unit in known
        if unit.path in remains
        or (_is_on(copies, unit, source) and (not options.due or retention.why_to_move(unit)))
    )
    to_copy = tuple(u for u in units if not copies.copy(version_of(u), target).is_whole)
    gate = Gate(clone, ask=False)
    verdicts = (gate.remembered(unit, clone.config.storages[target]) for unit in units)
    withheld = tuple(one for one in verdicts if one is not None)
    return Leg(level, source, target, units, to_copy, withheld)


def _is_on(copies: Copies, unit: Unit, name: str) -> bool:
    return copies.copy(version_of(unit), name).has_something


def _remains(
    clone: Clone, copies: Copies, units: Sequence[Unit], source: str, target: str
) -> frozenset[str]:
    """Return the units that have moved, but of which something is still on the former storage.

    A drop notes first and deletes afterwards, so a killed one leaves what the log denies.
    """
    moved = [
        unit
        for unit in units
        if copies.copy(version_of(unit), source).notes
        and not _is_on(copies, unit, source)
        and copies.copy(version_of(unit), target).is_whole
    ]
    if not moved:
        return frozenset()
    storage = clone.open_storage(clone.config.storages[source])
    contents = Contents(clone, (storage,))
    items = {unit.path: contents.items(version_of(unit)) or () for unit in moved}
    keys = {item.key for some in items.values() for item in some}
    there = present_objects(storage, keys)
    return frozenset(path for path, some in items.items() if any(i.key in there for i in some))


def move(
    clone: Clone, leg: Leg, options: MoveOptions, progress: Progress = SILENT
) -> Iterator[MoveOutcome]:
    """Copy the units of a leg and drop what arrived from the former storage.

    A unit that did not arrive whole keeps its former copy, whatever other copies it has.

    Raises:
        RefusedError, StorageError, InvalidProjectError: See `push` and `drop`.
    """
    _bring_lists(clone, leg)
    paths = frozenset(unit.path for unit in leg.units)
    to_target = PushOptions((leg.target,), options.selection, options.jobs, only=paths)
    arrived: set[str] = set()
    for outcome in push(clone.reread(), [leg.level], to_target, progress):
        if isinstance(outcome, Pushed) and outcome.is_whole:
            arrived.add(outcome.target.unit.path)
        yield outcome
    if not arrived:
        return
    now = clone.reread()
    leaving = DropOptions(leg.source, options.selection, only=frozenset(arrived))
    plan = plan_drop(now, [leg.level], leaving)
    yield from drop(now, [leg.level], leaving, plan, progress)
    if plan.unsafe:
        yield Stays(plan)


def _bring_lists(clone: Clone, leg: Leg) -> None:
    """Bring the file lists that this clone lacks from the former storage: nothing else is known."""
    lacking = [unit for unit in leg.units if not clone.has_list(unit)]
    if not lacking:
        return
    source = clone.open_storage(clone.config.storages[leg.source])
    for unit in lacking:
        item = Item(str(unit.version), (f"the file list of {unit.title}",))
        outcome = move_one(item, source, clone.cache, read_back=True)
        if not isinstance(outcome, Moved):
            problem = f"{leg.source} does not have the file list of {unit.title} intact"
            raise StorageError(problem, remedy=f"imgdata verify {leg.level.name} --repair")
