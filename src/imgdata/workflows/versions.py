"""Which versions a question is about: of levels, of one file, of every commit."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imgdata.errors import NothingFoundError, UsageError
from imgdata.levels.units import Unit
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents, Files
from imgdata.workflows.history import History, Version


@dataclass(frozen=True, slots=True)
class Asked:
    """One version, and the one file of it that was asked for; empty for all of it."""

    version: Version
    file: str | None
    is_current: bool


def version_of(unit: Unit) -> Version:
    """Return the recorded version of a unit that has one."""
    return Version(unit.path, unit.level, unit.name, str(unit.version), unit.size, unit.nfiles)


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


def old_versions(history: History, levels: Sequence[str]) -> tuple[Version, ...]:
    """Return the versions of levels that the working tree does not record, newest first."""
    current = {(one.level, one.unit, one.version) for one in history.current}
    old = {
        (one.level, one.unit, one.version): (at, one)
        for one, at in history.ever.items()
        if one.level in levels and (one.level, one.unit, one.version) not in current
    }
    ordered = sorted(old.values(), key=lambda pair: (pair[0], pair[1].path), reverse=True)
    return tuple(sorted((one for _, one in ordered), key=lambda one: levels.index(one.level)))


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
    current = set(history.current)
    found = [
        Asked(version, below, version in current)
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
