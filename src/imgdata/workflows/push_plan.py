"""What a push has to do: which unit goes where, what a storage lacks, what must be read back."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.errors import ImgdataError, InvalidProjectError
from imgdata.levels.units import Unit
from imgdata.model.excerpts import first_lines
from imgdata.model.objects import StoredObject
from imgdata.model.selection import Selection
from imgdata.policy.ledger import Copy, NotThere
from imgdata.ports import Storage
from imgdata.project.by_name import storage_named
from imgdata.project.config import Level
from imgdata.transfer.move import DEFAULT_JOBS, Damaged, Item
from imgdata.transfer.presence import present_objects
from imgdata.workflows.by_path import MIGRATE, how_to_get, is_sent, obstacle, why_nowhere
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import differences
from imgdata.workflows.leaving import Gate
from imgdata.workflows.objects import Content, content_of, copy_key, evidence_of

SHOWN = 5


class PushOptions(Struct, frozen=True):
    """How to push.

    Attributes:
        to: Storages to use instead of the levels' own.
        selection: Only files whose key fields fit.
        jobs: Transfers at once.
        repair: Send again what is damaged at the storage.
        only: Only units with these paths; None for all.
        parts: By level: only what lies at these paths below it.
    """

    to: tuple[str, ...] = ()
    selection: Selection = field(default_factory=lambda: Selection({}))
    jobs: int = DEFAULT_JOBS
    repair: bool = False
    only: frozenset[str] | None = None
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def takes_all(self, unit: Unit) -> bool:
        """Tell whether all files of a unit are asked for."""
        return not self.selection and unit.level not in self.parts


class Target(Struct, frozen=True):
    """One unit and one storage it goes to."""

    unit: Unit
    storage: str


class NotPushed(Struct, frozen=True):
    """A unit that is not sent, and why.

    Attributes:
        fault: What a person has to mend; None where it stays by rule.
    """

    unit: Unit
    why: str
    fault: ImgdataError | None = None


class UnitPlan(Struct, frozen=True):
    """What a push of one unit to one storage has to do.

    Attributes:
        send: Objects the storage lacks, with sizes.
        check: Objects that are there without evidence, to be read back.
        present: Objects that are there with evidence.
        damaged: Objects that are there with another size or checksum.
        gone: How many of those to send were there before, as the log says.
    """

    target: Target
    content: Content
    send: tuple[Item, ...]
    check: tuple[Item, ...]
    present: int
    damaged: tuple[Damaged, ...]
    whole: bool
    gone: int = 0

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(item.size or 0 for item in self.send)


def choose_targets(
    clone: Clone, levels: Sequence[Level], options: PushOptions, gate: Gate
) -> tuple[tuple[Target, ...], tuple[NotPushed, ...]]:
    """Decide which unit goes where, and which not.

    Raises:
        InvalidProjectError: DVC's files differ from imgdata.yaml.
        UsageError: A storage of `--to` is not configured.
    """
    told = _differences(clone, gate)
    if told:
        problem = "DVC's files say otherwise than imgdata.yaml"
        raise InvalidProjectError(
            problem, cause=first_lines(told, SHOWN), remedy="imgdata storage apply"
        )
    for name in options.to:
        storage_named(clone.config, name)
    chosen: list[Target | NotPushed] = []
    for level in levels:
        units = clone.units.by_level[level.name]
        for unit in (one for one in units if may_be_selected(one, options.selection)):
            if options.only is None or unit.path in options.only:
                chosen += _of_unit(clone, level, unit, options)
    return (
        tuple(one for one in chosen if isinstance(one, Target)),
        tuple(one for one in chosen if isinstance(one, NotPushed)),
    )


def _of_unit(
    clone: Clone, level: Level, unit: Unit, options: PushOptions
) -> Iterator[Target | NotPushed]:
    storages = options.to or level.storages
    if why := _why_not(clone, unit, storages):
        yield NotPushed(unit, why, obstacle(clone, unit))
    else:
        next_place = "" if options.to else moved_on(clone, unit, level)
        for name in storages:
            if next_place and _was_left(clone, unit, name):
                yield NotPushed(unit, f"moved on from {name} to {next_place}")
            else:
                yield Target(unit, name)


def moved_on(clone: Clone, unit: Unit, level: Level) -> str:
    """Return the storage named by `then` that has a unit whole; empty while none has."""
    return next(
        (name for name in level.then if clone.ledger.copy(copy_key(unit, name)).is_whole), ""
    )


def _was_left(clone: Clone, unit: Unit, name: str) -> bool:
    """Tell whether a unit was dropped from a storage, as moving on does."""
    beliefs = clone.ledger.copy(copy_key(unit, name)).beliefs
    return any(isinstance(one, NotThere) and one.why == "dropped" for one in beliefs)


def _differences(clone: Clone, gate: Gate) -> list[str]:
    if clone.by_path:  # what DVC's files say is all there is
        return []
    return list(differences(clone.config, clone.dvc, clone.units, clone.root, gate.barred))


def may_be_selected(unit: Unit, selection: Selection) -> bool:
    """Tell whether a selection leaves a unit out by its name, without reading its file list."""
    plates = selection.wanted.get("plate", ())
    return not (plates and unit.name) or Selection({"plate": plates}).fits({"plate": unit.name})


def _why_not(clone: Clone, unit: Unit, storages: Sequence[str]) -> str:
    """Say why a unit is not sent; empty where it is."""
    if clone.by_path and not (storages and is_sent(unit)):
        return why_nowhere(clone, unit)
    if unit.is_of_dvc_2:
        return f"recorded as {unit.legacy_hash} by DVC before 3; run: {MIGRATE}"
    if unit.version is None:
        is_run = not clone.by_path and unit.stage.kind == "stage"
        makes = f"imgdata run {unit.level}" if is_run else how_to_get(unit)
        return f"nothing is recorded yet; run: {makes}"
    if not storages:
        return "storage: none, it is recomputed when needed"
    if clone.by_path and not clone.has_list(unit):
        return "its file list is not here, so none of it is"
    return ""


def without_withheld(
    clone: Clone, targets: Sequence[Target], gate: Gate
) -> tuple[tuple[Target, ...], tuple[NotPushed, ...]]:
    """Return the targets that rules and records let go, and why others stay; asks nobody."""
    going: list[Target] = []
    held: list[NotPushed] = []
    for target in targets:
        found = gate.remembered(target.unit, clone.config.storages[target.storage])
        if found is None:
            going.append(target)
        else:
            held.append(NotPushed(target.unit, found.sentence))
    return tuple(going), tuple(held)


def remembered_plan(clone: Clone, target: Target, options: PushOptions) -> UnitPlan:
    """Return what a push would do, as remembered in the log: asks no storage."""
    content = selected_content(clone, target.unit, options)
    cached = present_objects(clone.cache, [item.key for item in content.items()])
    copy = clone.ledger.copy(copy_key(target.unit, target.storage))
    items = [item.sized(cached) for item in content.items()]
    send = tuple(item for item in items if copy.evidence(item.md5) is None)
    return UnitPlan(target, content, send, (), len(items) - len(send), (), whole=True)


def keys_of(clone: Clone, target: Target, options: PushOptions) -> list[str]:
    """Return the keys of all objects a push of one unit is about."""
    content = selected_content(clone, target.unit, options)
    keys = [item.key for item in content.items()]
    return [*keys, content.list_item.key] if content.list_item else keys


def plan_unit(
    clone: Clone,
    target: Target,
    storage: Storage,
    options: PushOptions,
    there: Mapping[str, StoredObject] | None = None,
) -> UnitPlan:
    """Ask a storage what it has of a unit and decide what to send and what to read back.

    Args:
        clone: The project.
        target: Unit and storage.
        storage: The same, opened.
        options: How to push.
        there: What the storage has, where it was asked for all units at once.
    """
    content = selected_content(clone, target.unit, options)
    files = {one.key: one for one in content.items()}
    lists = {one.key: one for one in (content.list_item,) if one is not None}
    if there is None:
        there = present_objects(storage, [*files, *lists], jobs=options.jobs)
    # What the storage itself vouches for is not looked up in the cache.
    unsure = [key for key in files if (found := there.get(key)) is None or found.md5 is None]
    cached = present_objects(clone.cache, unsure)
    files |= {key: files[key].sized(cached) for key in cached}
    known = clone.ledger.copy(copy_key(target.unit, target.storage))
    send, check, damaged, present = [], [], [], 0
    for key, item in (files | lists).items():
        found = there.get(key)
        if found is None:
            send.append(item)
        elif item.is_contradicted_by(found):
            damaged.append(Damaged(item, storage.description, _found_words(item, found.size)))
        elif _is_trusted(clone, known, found, item, options):
            present += 1
        else:
            check.append(replace(item, size=found.size))
    whole = options.takes_all(target.unit) or _is_all(clone, target.unit, content)
    if not whole and content.list_item is not None:
        send = [item for item in send if item != content.list_item]
    gone = sum(1 for item in send if known.evidence(item.md5) is not None)
    return UnitPlan(
        target, content, tuple(send), tuple(check), present, tuple(damaged), whole, gone
    )


def _is_all(clone: Clone, unit: Unit, content: Content) -> bool:
    """Tell whether a selection leaves no file of a unit out, as that of its whole plate does."""
    return len(content.files) == len(content_of(unit, clone.folder_list(unit)).files)


def _is_trusted(
    clone: Clone, known: Copy, found: StoredObject, item: Item, options: PushOptions
) -> bool:
    """Tell whether an object that is there need not be read back.

    Where nothing can be remembered, each push would read everything anew: an object of the right
    size stays unread there, unless a repair is asked for.
    """
    if clone.by_path:
        return not options.repair
    return evidence_of(known, found, item.md5) is not None


def _found_words(item: Item, size: int) -> str:
    if item.size is not None and item.size != size:
        return f"{size} bytes instead of {item.size}"
    return "another checksum"


def selected_content(clone: Clone, unit: Unit, options: PushOptions) -> Content:
    """Return the selected files of a unit's recorded version."""
    content = content_of(unit, clone.folder_list(unit))
    content = content.selected(options.selection, clone.config.levels[unit.level])
    return content.below(options.parts.get(unit.level))
