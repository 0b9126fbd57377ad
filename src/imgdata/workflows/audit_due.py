"""What an audit finds due: data that may go, superseded versions, units that should move on."""

from collections.abc import Iterator, Sequence

from imgdata.levels.units import Unit
from imgdata.policy.audit.facts import Due, Superseded, ToMove
from imgdata.policy.recoverable import NotRecoverable, Recoverability
from imgdata.transfer.presence import present_objects
from imgdata.workflows.clone import Clone
from imgdata.workflows.copies import Copies
from imgdata.workflows.graph import Graph, id_of
from imgdata.workflows.history import Version
from imgdata.workflows.places import HERE
from imgdata.workflows.retention import Retention, superseded
from imgdata.workflows.versions import version_of

HELPFUL = ("imgdata run", "imgdata verify", "git ")
"""Remedies that let data go; one more copy of what may go altogether is none."""


def due(clone: Clone, graph: Graph) -> Iterator[Due]:
    """Yield level by level and place by place the units whose `keep` rule lets them go."""
    retention = Retention(clone)
    for level in clone.config.levels.values():
        units = [
            unit
            for unit in clone.units.by_level[level.name]
            if unit.version is not None and retention.is_due(unit)
        ]
        last = tuple(name for name in level.then if name in clone.config.storages)
        places = (HERE, *(name for name in clone.config.storages if name not in last))
        if last:
            places = (HERE,)  # its storages are left by moving on
        for place in places:
            by_remedy: dict[str, list[tuple[Unit, int]]] = {}
            for unit in units:
                if size := _held(clone, graph, unit, place):
                    remedy = _remedy(clone, graph, version_of(unit), place)
                    by_remedy.setdefault(remedy, []).append((unit, size))
            for remedy, held in by_remedy.items():
                if remedy and not (level.storages or level.then):
                    continue  # that it must be proven is said by the rule about that
                yield Due(
                    level.name,
                    tuple(unit.name or "" for unit, _ in held),
                    place,
                    level.keep,
                    sum(size for _, size in held),
                    remedy,
                )


def _held(clone: Clone, graph: Graph, unit: Unit, place: str) -> int:
    """Return how many bytes of a unit are at a place; at a storage, as far as is known."""
    version = version_of(unit)
    if place != HERE:
        return max(1, unit.size) if graph.copies.copy(version, place).has_something else 0
    return _bytes_here(clone, graph, version)


def _bytes_here(clone: Clone, graph: Graph, version: Version) -> int:
    """Return the bytes of a version in cache and workspace, what both share counted once."""
    items = graph.items(version)
    if items is None:
        return 0
    files = [item for item in items if not item.object_id.endswith(".dir")]
    cached = present_objects(clone.cache, [item.key for item in files])
    loose = 0
    for item in files:
        if item.key not in cached:
            paths = [clone.root / name for name in item.names]
            loose += sum(path.stat().st_size for path in paths if path.is_file())
    return loose + sum(one.size for one in cached.values())


def _remedy(clone: Clone, graph: Graph, version: Version, place: str) -> str:
    """Return what makes a version recoverable without its copy at a place; empty where it is."""
    where = graph.copies.place_of.get(place, place)
    name = id_of(version)
    nodes = graph.nodes([version])
    judge = Recoverability(nodes.values(), clone.clock.now(), {name: frozenset({where})})
    if judge.is_whole(name):
        return ""
    bad = (judge.of(name, one) for one in nodes[name].facts)
    first = next((one for one in bad if isinstance(one, NotRecoverable)), None)
    if first is None or not first.remedy.startswith(HELPFUL):
        return f"edit imgdata.yaml: accept_loss of {version.level}, if nothing else must have it"
    return first.remedy


def superseded_somewhere(clone: Clone, graph: Graph) -> Iterator[Superseded]:
    """Yield old versions beyond the levels' `versions` rules that are still at some place."""
    names = list(clone.config.levels)
    found = superseded(clone, graph.history, names)
    for level in clone.config.levels.values():
        some = [one for one in found if one.level == level.name]
        for place in (HERE, *clone.config.storages):
            sizes: dict[bool, list[int]] = {True: [], False: []}
            for one in some:
                if _has(clone, graph, one, place):
                    sizes[not _remedy(clone, graph, one, place)].append(one.size)
            for is_safe, part in sizes.items():
                if part:
                    yield Superseded(
                        level.name, level.versions, place, len(part), sum(part), is_safe=is_safe
                    )


def _has(clone: Clone, graph: Graph, version: Version, place: str) -> bool:
    if place != HERE:
        copy, items = graph.copies.copy(version, place), graph.items(version)
        if items is None and not graph.copies.is_there(version, place, items):
            return False  # its list is lost: nothing that remains there can be told to be of it
        return copy.has_something
    return clone.cache.stat(version.key) is not None


def to_move(clone: Clone, copies: Copies) -> Iterator[ToMove]:
    """Yield units that belong on the storage `then` names, and are still on an earlier one."""
    retention = Retention(clone)
    for level in clone.config.levels.values():
        target = next((name for name in level.then if name in clone.config.storages), None)
        if target is None:
            continue
        found: dict[tuple[str, str], list[str]] = {}
        for unit in clone.units.by_level[level.name]:
            why = retention.why_to_move(unit) if unit.version is not None else ""
            source = _still_on(copies, unit, level.storages) if why else None
            if source is not None:
                found.setdefault((source, why), []).append(unit.name or "")
        for (source, why), units in found.items():
            yield ToMove(level.name, tuple(units), source, target, why)


def _still_on(copies: Copies, unit: Unit, storages: Sequence[str]) -> str | None:
    """Return the first of a level's storages that is noted to have a unit."""
    version = version_of(unit)
    return next((name for name in storages if copies.copy(version, name).has_something), None)
