"""Propose levels for a repository that has data but no imgdata.yaml: pure, from paths alone."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

_DIGITS = re.compile(r"\d+")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")
_LONGEST_NAME = 32
_RESERVED = frozenset({".git", ".dvc", ".imgdata"})
FOLDERS = "plate"
FILES = "file"


@dataclass(frozen=True, slots=True)
class DataPath:
    """A folder or file that DVC tracks, or could.

    Attributes:
        path: Relative to the project's root, `/` between parts.
        is_folder: Whether it is a folder.
        group: What made it together with its like (a foreach stage); empty for none.
        place: Where plain DVC keeps it: the remote's name, empty for the default, None for none.
        deps: The paths it was made from; empty for data that a person brought.
    """

    path: str
    is_folder: bool
    group: str = ""
    place: str | None = ""
    deps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedLevel:
    """A level as it could stand in imgdata.yaml.

    Attributes:
        unit: What it grows by, or None where it is one piece.
        place: As in `DataPath`; the same for all its data.
        sources: Levels it is made from.
    """

    name: str
    path: str
    unit: str | None
    place: str | None
    data: tuple[DataPath, ...]
    sources: tuple[str, ...] = field(default=())


def propose_levels(found: Iterable[DataPath]) -> tuple[ProposedLevel, ...]:
    """Sort data onto disjoint levels: siblings of a kind are units of one, others stand alone.

    The levels come in the order in which they are made from each other.
    """
    data = sorted(found, key=lambda one: one.path)
    folders: dict[str, list[DataPath]] = {}
    for one in data:
        folders.setdefault(_home(one, data), []).append(one)
    areas: dict[str, tuple[str | None, list[DataPath]]] = {}
    for folder, some in folders.items():
        unit = _unit_of(some)
        if folder and unit and len({one.place for one in some}) == 1:
            areas[folder] = (unit, some)
        else:
            areas |= {one.path: (None, [one]) for one in some}
    return _ordered(_named(_disjoint(areas)))


def _home(one: DataPath, data: Sequence[DataPath]) -> str:
    """Return the folder a path would be a unit of.

    For `masks/P1/cells` and `masks/P2/cells` of one group that is `masks`.
    """
    parent = PurePosixPath(one.path).parent
    alike = [other for other in data if one.group and other.group == one.group]
    if len(alike) > 1:
        common = _common([PurePosixPath(other.path).parts for other in alike])
        kinds = {_skeleton(other.path) for other in alike}
        below = {PurePosixPath(other.path).parts[len(common)] for other in alike}
        if common and len(kinds) == 1 and len(below) == len(alike):
            return "/".join(common)
    return "" if str(parent) == "." else str(parent)


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shortest = min(paths, key=len)[:-1]
    for length in range(len(shortest), 0, -1):
        if all(path[:length] == shortest[:length] for path in paths):
            return shortest[:length]
    return ()


def _skeleton(path: str) -> str:
    """Return a path with every number as one sign: `P1` and `P24` are alike."""
    return _DIGITS.sub("0", path)


def _unit_of(some: Sequence[DataPath]) -> str | None:
    """Return what siblings are units of, or None where each is a kind of its own."""
    if len(some) == 1:
        return FOLDERS if some[0].group and some[0].is_folder else None
    if not any(one.is_folder for one in some):
        return FILES
    groups = Counter(one.group for one in some if one.group)
    shapes = Counter(
        _skeleton(PurePosixPath(one.path).name) for one in some if _DIGITS.search(one.path)
    )
    largest = max([0, *groups.values(), *(n for n in shapes.values() if n > 1)])
    return FOLDERS if largest * 2 > len(some) else None


def _disjoint(
    areas: Mapping[str, tuple[str | None, list[DataPath]]],
) -> dict[str, tuple[str | None, list[DataPath]]]:
    """Take apart every level whose folder holds another level."""
    kept: dict[str, tuple[str | None, list[DataPath]]] = {}
    for path, (unit, some) in areas.items():
        inner = any(other != path and PurePosixPath(other).is_relative_to(path) for other in areas)
        if inner and unit is not None:
            kept |= {one.path: (None, [one]) for one in some}
        else:
            kept[path] = (unit, some)
    return {
        path: area for path, area in kept.items() if PurePosixPath(path).parts[0] not in _RESERVED
    }


def _named(areas: Mapping[str, tuple[str | None, list[DataPath]]]) -> list[ProposedLevel]:
    taken: set[str] = set()
    levels = []
    for path, (unit, some) in sorted(areas.items()):
        name = _name(path, taken)
        taken.add(name)
        levels.append(ProposedLevel(name, path, unit, some[0].place, tuple(some)))
    return levels


def _name(path: str, taken: set[str]) -> str:
    """Return a free name made of the path's end, with as much of it as it takes to be free."""
    parts = [_slug(part) for part in PurePosixPath(path).with_suffix("").parts]
    name = "data"
    for start in range(len(parts) - 1, -1, -1):
        name = _slug("_".join(parts[start:]))
        if name not in taken:
            return name
    number = 2
    while f"{name[: _LONGEST_NAME - 4]}-{number}" in taken:
        number += 1
    return f"{name[: _LONGEST_NAME - 4]}-{number}"


def _slug(text: str) -> str:
    slug = _NOT_IN_NAMES.sub("-", text.lower()).strip("-_") or "data"
    slug = slug if slug[0].isalpha() else f"l-{slug}"
    return "data" if slug == "none" else slug[:_LONGEST_NAME].rstrip("-_")


def _ordered(levels: list[ProposedLevel]) -> tuple[ProposedLevel, ...]:
    """Name each level's sources and put sources first; in a circle the names of paths decide."""
    sources = {level.name: _sources(level, levels) for level in levels}
    try:
        order = list(TopologicalSorter(sources).static_order())
    except CycleError:
        order, sources = [level.name for level in levels], {}
    by_name = {level.name: level for level in levels}
    return tuple(
        ProposedLevel(
            name, level.path, level.unit, level.place, level.data, tuple(sources.get(name, ()))
        )
        for name in order
        if (level := by_name[name])
    )


def _sources(level: ProposedLevel, levels: Iterable[ProposedLevel]) -> list[str]:
    deps = {PurePosixPath(dep) for one in level.data for dep in one.deps}
    return [
        other.name
        for other in levels
        if other.name != level.name
        and any(dep.is_relative_to(other.path) or _holds(dep, other) for dep in deps)
    ]


def _holds(dep: PurePosixPath, level: ProposedLevel) -> bool:
    """Tell whether a dep is a folder with the level in it; the root is no such folder."""
    return bool(dep.parts) and PurePosixPath(level.path).is_relative_to(dep)
