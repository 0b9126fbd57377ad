"""What `imgdata add` would make of each source: which unit, where, of which files and origin."""

import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from msgspec import Struct

from imgdata.errors import RefusedError, UsageError
from imgdata.levels.units import ZARR, unit_name
from imgdata.model.excerpts import first_lines
from imgdata.project.by_name import level_named, origin_named
from imgdata.project.config import Level
from imgdata.transfer.take_in import SourceFile
from imgdata.workflows.clone import Clone
from imgdata.workflows.source_files import LeftOut, list_source

SHOWN = 5


class UnitToAdd(Struct, frozen=True):
    """What would be added as one unit.

    Attributes:
        level: The level.
        name: The unit, or None for a level that is one piece.
        source: The folder or file it comes from.
        path: Where it goes, relative to the project's root.
        files: Files to read, with their paths below the unit ('' for a single file).
        size: Their bytes.
        left_out: What is not taken.
        origin: Where the data came from.
        stays: The source is where the unit is to stay.
        leaves: The source is to be deleted once its copies are evidenced.
    """

    level: Level
    name: str | None
    source: Path
    path: str
    files: tuple[SourceFile, ...]
    size: int
    left_out: tuple[LeftOut, ...]
    origin: str | None
    stays: bool
    leaves: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the unit is a single file."""
        return [file.relpath for file in self.files] == [""]

    @property
    def title(self) -> str:
        """Level and unit as messages name them."""
        return self.level.name if self.name is None else f"{self.level.name} {self.name}"


class AddPlan(Struct, frozen=True):
    """Everything an add would do; `emptied` are sources that a move before has deleted."""

    units: tuple[UnitToAdd, ...]
    emptied: tuple[Path, ...] = ()

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(unit.size for unit in self.units)


def plan_add(
    clone: Clone, level_name: str, sources: Sequence[Path], unit: str | None, origin: str | None
) -> AddPlan:
    """Decide what each source becomes. Lists the sources, reads none of their files.

    Raises:
        UsageError: Level, unit, origin or a source does not fit.
    """
    level = level_to_add_to(clone, level_name)
    if unit is not None and len(sources) > 1:
        problem = f"--unit names one unit, but there are {len(sources)} sources"
        raise UsageError(problem, remedy="add them one by one")
    if origin is not None:
        origin_named(clone.config, origin)
    plans = tuple(_plan_unit(clone, level, source, unit, origin) for source in sources)
    names = [plan.path for plan in plans]
    for plan in plans:
        if names.count(plan.path) > 1:
            problem = f"two sources would both become {plan.title}"
            raise UsageError(problem, remedy="name one with --unit")
    return AddPlan(plans)


def level_to_add_to(clone: Clone, name: str) -> Level:
    """Return a level that files may be added to.

    Raises:
        UsageError: There is no such level, or stages make it.
    """
    level = level_named(clone.config, name)
    made = [unit for unit in clone.units.by_level[name] if not unit.is_raw]
    if made:
        problem = f"level '{name}' is made by stages such as '{made[0].stage.name}'"
        raise UsageError(problem, cause="files added by hand would be deleted by its next run")
    return level


def _plan_unit(
    clone: Clone, level: Level, source: Path, unit: str | None, origin: str | None
) -> UnitToAdd:
    if not source.exists():
        msg = f"{source} does not exist"
        raise UsageError(msg)
    real = source.resolve()
    is_file = real.is_file()
    if level.unit is None:
        name, path = None, level.path
    else:
        own = unit_name(real.name) if is_file or _is_zarr(real) else real.name
        name = own if unit is None else unit
        path = f"{level.path}/{name}{real.name.removeprefix(own)}"
        check_unit_name(name, path, has_format=is_file or _is_zarr(real))
    refuse_ignored(clone, path)
    found, left_out = [SourceFile(str(real), "")], list[LeftOut]()
    if not is_file:
        found, left_out = list_source(clone.root, real, path)
    if not found:
        problem = f"{source} holds no file that can be added"
        raise UsageError(
            problem, cause=first_lines((f"{one.path}: {one.why}" for one in left_out), SHOWN)
        )
    size = sum(os.stat(file.path).st_size for file in found)  # noqa: PTH116 - once a file
    chosen = _origin_of(clone, level, name, origin)
    return UnitToAdd(
        level=level,
        name=name,
        source=real,
        path=path,
        files=tuple(found),
        size=size,
        left_out=tuple(left_out),
        origin=chosen,
        stays=real == clone.root / path,
    )


def refuse_ignored(clone: Clone, path: str) -> None:
    """Stop where a `.gitignore` names the record of an out: DVC then takes it for not there.

    Raises:
        UsageError: Saying how to find the line.
    """
    record = f"{path}.dvc"
    if clone.git.ignores(clone.root / record):
        problem = f"git ignores {record}, and DVC with it: nothing would record {path}"
        remedy = (
            f"take the line out of .gitignore that this names: git check-ignore -v {quote(record)}"
        )
        raise UsageError(problem, remedy=remedy)


def _origin_of(clone: Clone, level: Level, name: str | None, asked: str | None) -> str | None:
    """Return where the files came from; what joins a unit has the unit's origin.

    Raises:
        RefusedError: The unit has another origin: its restriction would be lost.
    """
    before = clone.units.find(level.name, name)
    if before is None or before.version is None or before.origin is None:
        return asked or level.origin
    if asked not in {None, before.origin}:
        problem = f"{before.title} has origin '{before.origin}', its new files '{asked}'"
        raise RefusedError(problem, remedy="add them as a unit of their own with --unit NAME")
    return before.origin


def _is_zarr(path: Path) -> bool:
    return path.suffix == ZARR


def check_unit_name(name: str, path: str, *, has_format: bool) -> None:
    """Refuse what cannot be the name of a unit; `has_format` where its path has a suffix.

    Raises:
        UsageError: It cannot.
    """
    wrong = not name or "/" in name or name.startswith(".") or not name.isprintable()
    if wrong or name.endswith(".dvc") or (has_format and unit_name(path) != name):
        problem = f"'{name}' cannot be the name of a unit"
        raise UsageError(problem, remedy="choose another with --unit, without '/' or leading '.'")


def path_in(base: str, relpath: str) -> str:
    """Return the path of one file of a unit, which is the unit itself if it is a single file."""
    return f"{base}/{relpath}" if relpath else base
