"""Propose levels for a repository that has data but no imgdata.yaml: pure, from paths alone."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

_DIGITS = re.compile(r"\d+")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")
_LONGEST_NAME = 32
_RESERVED = frozenset({".git", ".dvc", ".imgdata"})
FOLDERS = "plate"
FILES = "file"
MANY = 24


class DataPath(Struct, frozen=True):
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


Areas = dict[str, tuple[str | None, list[DataPath]]]
"""By folder: what its data are units of, and the data."""


class ProposedLevel(Struct, frozen=True):
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
    groups: dict[str, list[DataPath]] = {}
    for one in data:
        groups.setdefault(one.group, []).append(one)
    homes = {name: _home(some) for name, some in groups.items() if name}
    folders: dict[str, list[DataPath]] = {}
    for one in data:
        folders.setdefault(homes.get(one.group) or _parent(one.path), []).append(one)
    areas: Areas = {}
    for folder, some in folders.items():
        unit = _unit_of(some)
        if folder and unit and len({one.place for one in some}) == 1:
            areas[folder] = (unit, some)
        else:
            areas |= {one.path: (None, [one]) for one in some}
    return _ordered(_named(_few(_disjoint(areas))))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _home(alike: Sequence[DataPath]) -> str:
    """Return the folder whose units a group makes; empty where its outs simply lie side by side.

    For `masks/P1/cells` and `masks/P2/cells` that is `masks`.
    """
    parts = [one.path.split("/") for one in alike]
    common = _common(parts)
    if len({_skeleton(one.path) for one in alike}) != 1 or not common:
        return ""
    below = {path[len(common)] for path in parts}
    return "/".join(common) if len(below) == len(alike) > 1 else ""


def _common(paths: Sequence[Sequence[str]]) -> Sequence[str]:
    shortest = min(paths, key=len)[:-1]
    for length in range(len(shortest), 0, -1):
        if all(path[:length] == shortest[:length] for path in paths):
            return shortest[:length]
    return []


def _skeleton(path: str) -> str:
    """Return a path with every number as one sign: `P1` and `P24` are alike."""
    return _DIGITS.sub("0", path)


def _unit_of(some: Sequence[DataPath]) -> str | None:
    """Return what siblings are units of, or None where each is a kind of its own."""
    if len(some) == 1 and some[0].is_folder:
        return FOLDERS if some[0].group else None
    if not any(one.is_folder for one in some):
        return FILES
    groups = Counter(one.group for one in some if one.group)
    shapes = Counter(
        _skeleton(PurePosixPath(one.path).name) for one in some if _DIGITS.search(one.path)
    )
    largest = max([0, *groups.values(), *(n for n in shapes.values() if n > 1)])
    return FOLDERS if largest * 2 > len(some) else None


def _disjoint(areas: Areas) -> Areas:
    """Take apart every level whose folder holds another level."""
    paths = sorted(areas, key=lambda path: path.split("/"))
    kept: Areas = {}
    for path, (unit, some) in areas.items():
        after = bisect_right(paths, path.split("/"), key=lambda other: other.split("/"))
        inner = after < len(paths) and paths[after].startswith(f"{path}/")
        if inner and unit is not None:
            kept |= {one.path: (None, [one]) for one in some}
        else:
            kept[path] = (unit, some)
    return {path: area for path, area in kept.items() if path.split("/")[0] not in _RESERVED}


def _few(areas: Areas) -> Areas:
    """Join the deepest levels into the folders above them until a person can read the list."""
    while len(areas) > MANY:
        depth = max(path.count("/") for path in areas)
        if depth == 0:
            break
        joined: dict[str, list[DataPath]] = {}
        for path in [path for path in areas if path.count("/") == depth]:
            joined.setdefault(_parent(path), []).extend(areas[path][1])
        if any(len({one.place for one in some}) > 1 for some in joined.values()):
            break
        areas = {path: area for path, area in areas.items() if path.count("/") < depth}
        areas |= {path: (FOLDERS, some) for path, some in joined.items()}
    return areas


def _named(areas: Areas) -> list[ProposedLevel]:
    names = _names(sorted(areas))
    return [
        ProposedLevel(names[path], path, unit, some[0].place, tuple(some))
        for path, (unit, some) in sorted(areas.items())
    ]


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Return a name for each path: its end, with as much before it as tells it from the others."""
    parts = {path: _parts(path) for path in paths}
    taken = dict.fromkeys(paths, 1)
    while True:
        names = {path: _slug("_".join(parts[path][-taken[path] :])) for path in paths}
        often = Counter(names.values())
        longer = [
            path for path in paths if often[names[path]] > 1 and taken[path] < len(parts[path])
        ]
        if not longer:
            return _numbered(names)
        for path in longer:
            taken[path] += 1


def _parts(path: str) -> list[str]:
    *above, last = path.split("/")
    return [*above, last.partition(".")[0] or last]


def _numbered(names: dict[str, str]) -> dict[str, str]:
    """Add a number to names that are the same with all of the path in them."""
    free: dict[str, str] = {}
    for path, name in names.items():
        number, new = 1, name
        while new in free.values():
            number += 1
            new = f"{name[: _LONGEST_NAME - 4]}-{number}"
        free[path] = new
    return free


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
    return tuple(replace(by_name[name], sources=tuple(sources.get(name, ()))) for name in order)


def _sources(level: ProposedLevel, levels: Iterable[ProposedLevel]) -> list[str]:
    deps = {dep for one in level.data for dep in one.deps}
    above = {path for dep in deps for path in _with_parents(dep)}
    return [
        other.name
        for other in levels
        if other.name != level.name
        and (other.path in above or any(path in deps for path in _with_parents(other.path)))
    ]


def _with_parents(path: str) -> list[str]:
    """Return a path and the folders above it, the root left out."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
