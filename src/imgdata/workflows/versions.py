"""Which versions a question is about: of levels, of one file, of every commit."""

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from imgdata.errors import ImgdataError, NothingFoundError, UsageError
from imgdata.levels.units import Unit
from imgdata.workflows.by_path import choose_paths
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents, Files
from imgdata.workflows.history import History, Version


class Asked(Struct, frozen=True):
    """One version, and the one file of it that was asked for; empty for all of it."""

    version: Version
    file: str | None
    is_current: bool


def version_of(unit: Unit) -> Version:
    """Return the recorded version of a unit that has one."""
    version = str(unit.version)
    return Version(
        unit.path, unit.level, unit.name, version, unit.size, unit.nfiles, unit.is_legacy
    )


def current_versions(clone: Clone, levels: Sequence[str]) -> tuple[Version, ...]:
    """Return the recorded versions of levels, in their order."""
    units = clone.units.of(levels)
    return tuple(version_of(unit) for unit in units if unit.version is not None)


def choose(
    clone: Clone, history: History, names: Sequence[str], here: Path, *, all_versions: bool
) -> tuple[Asked, ...]:
    """Return the versions that levels and files mean; all levels without a name.

    Raises:
        UsageError: A bare word is neither a level nor a file.
        NothingFoundError: No record knows the file.
    """
    if clone.by_path:
        return _choose_paths(clone, history, names, here, all_versions=all_versions)
    levels = [name for name in names if name in clone.config.levels]
    files = [name for name in names if name not in clone.config.levels]
    if not names:
        levels = list(clone.config.levels)
    found = [Asked(version, None, is_current=True) for version in current_versions(clone, levels)]
    if all_versions:
        found += [Asked(one, None, is_current=False) for one in old_versions(history, levels)]
    for name in files:
        found += _of_file(clone, history, name, here, all_versions=all_versions)
    return tuple(found)


def _choose_paths(
    clone: Clone, history: History, names: Sequence[str], here: Path, *, all_versions: bool
) -> tuple[Asked, ...]:
    """Return what paths mean where there is no imgdata.yaml; history knows those that are gone."""
    found: list[Asked] = []
    whole: list[str] = []
    for name in names or [str(clone.root)]:
        try:
            chosen = choose_paths(clone, [name], here)
        except ImgdataError:
            if not all_versions:
                raise
            found += _of_file(clone, history, name, here, all_versions=True)
            continue
        for level in chosen.levels:
            parts = chosen.parts.get(level.name)
            if parts is None:
                whole.append(level.name)
            elif all_versions:
                found += _of_file(clone, history, name, here, all_versions=True)
            else:
                found += _of_part(clone, level.name, parts[0])
    paths = list(dict.fromkeys(whole))
    old = old_versions(history, paths) if all_versions else ()
    return (
        *(Asked(one, None, is_current=True) for one in current_versions(clone, paths)),
        *(Asked(one, None, is_current=False) for one in old),
        *found,
    )


def _of_part(clone: Clone, path: str, part: str) -> list[Asked]:
    """Return a path inside tracked folders, where the record has it or is not here to say."""
    contents = Contents(clone)
    versions = current_versions(clone, [path])
    found = [
        Asked(one, part, is_current=True) for one in versions if _has(contents.files(one), part)
    ]
    if not found:
        problem = f"the record of {path} has no {part}"
        raise NothingFoundError(problem, remedy=f"imgdata status {path}")
    return found


def old_versions(history: History, levels: Sequence[str]) -> tuple[Version, ...]:
    """Return the versions of levels that the working tree does not record, newest first."""
    current = {(one.level, one.unit, one.version) for one in history.current}
    place = {level: number for number, level in enumerate(levels)}
    old = {
        (one.level, one.unit, one.version): (at, one)
        for one, at in history.ever.items()
        if one.level in place and (one.level, one.unit, one.version) not in current
    }
    ordered = sorted(old.values(), key=lambda pair: (pair[0], pair[1].path), reverse=True)
    return tuple(sorted((one for _, one in ordered), key=lambda one: place[one.level]))


def _of_file(
    clone: Clone, history: History, name: str, here: Path, *, all_versions: bool
) -> list[Asked]:
    full = os.path.normpath(here / name)
    root = str(clone.root)
    path = os.path.relpath(full, root)
    if path.startswith(".."):
        problem = f"{name} is not in this project"
        raise UsageError(problem, remedy="name a level, or a file below the project's folder")
    path = clone.renames.path_now(path)
    contents = Contents(clone)
    wanted = history.ever if all_versions else history.current
    found = [
        Asked(version, below, version in history.current)
        for version in wanted
        if (below := _below(version.path, path)) is not None
        and _has(contents.files(version), below)
    ]
    if not found and "/" not in name and not (here / name).exists():
        known = ", ".join(clone.config.levels)
        problem = f"'{name}' is neither a level nor a file of this project"
        raise UsageError(problem, cause=f"levels: {known}")
    if not found:
        problem = f"no record of this project knows {path}"
        raise NothingFoundError(problem, remedy="imgdata status")
    return found


def _below(out: str, path: str) -> str | None:
    if path == out:
        return ""
    return path[len(out) + 1 :] if path.startswith(f"{out}/") else None


def _has(files: Files | None, below: str) -> bool:
    if not below or files is None:
        return True
    return below in files or any(path.startswith(f"{below}/") for path in files)
