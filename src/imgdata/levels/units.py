"""The units of each level, found in DVC's own files."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from msgspec import Struct

from imgdata.dvc_files.index import Index
from imgdata.dvc_files.places import Where
from imgdata.dvc_files.recorded import MD5, MD5_DOS2UNIX
from imgdata.dvc_files.stages import Out, Stage
from imgdata.errors import InvalidProjectError
from imgdata.model.objects import ObjectId, is_folder
from imgdata.project.by_name import level_named
from imgdata.project.config import Config, Level

ZARR = ".zarr"


class Unit(Struct, frozen=True):
    """One unit of a level: a plate's folder or file, tracked by one DVC out.

    Attributes:
        level: The level's name.
        name: The unit's name, or None where the level is one piece.
        path: The out, relative to the project's root.
        stage: What makes or adds it.
        out: Its definition and record.
        takes_legacy: A record of DVC before 3 counts as a version too; not in projects, whose
            records of copies know only the layout of DVC 3.
    """

    level: str
    name: str | None
    path: str
    stage: Stage
    out: Out
    takes_legacy: bool = False

    @property
    def version(self) -> ObjectId | None:
        """The recorded version, or None before the first run or for another kind of hash."""
        recorded = self.out.recorded
        if recorded is None or recorded.hash is None:
            return None
        if recorded.hash.name != MD5 and not self.is_legacy:
            return None
        return ObjectId(recorded.hash.value)

    @property
    def is_legacy(self) -> bool:
        """Whether the version lies in the layout of DVC before 3, by its md5 of text."""
        recorded = self.out.recorded
        found = recorded.hash if recorded is not None else None
        return self.takes_legacy and found is not None and found.is_md5 and found.name != MD5

    @property
    def legacy_hash(self) -> str | None:
        """The kind of a recorded hash that DVC 3's layout does not use, or None."""
        recorded = self.out.recorded
        if recorded is None or recorded.hash is None or recorded.hash.name == MD5:
            return None
        return recorded.hash.name

    @property
    def size(self) -> int:
        """Bytes of the recorded version; 0 where nothing is recorded."""
        return (self.out.recorded.size or 0) if self.out.recorded else 0

    @property
    def nfiles(self) -> int:
        """Files of the recorded version; 1 for a single file, 0 where nothing is recorded."""
        if self.out.recorded is None:
            return 0
        return 1 if self.out.recorded.nfiles is None else self.out.recorded.nfiles

    @property
    def is_folder(self) -> bool:
        """Whether the recorded version lists a folder."""
        return self.version is not None and is_folder(self.version)

    @property
    def title(self) -> str:
        """Level and unit as messages name them: `raw P1`."""
        return self.level if self.name is None else f"{self.level} {self.name}"

    @property
    def is_raw(self) -> bool:
        """Whether the unit was added by a person, not made by a stage."""
        return self.stage.kind != "stage"

    @property
    def origin(self) -> str | None:
        """The origin recorded when the unit was added, or None."""
        noted = self.out.flags.meta.get("imgdata")
        origin = noted.get("origin") if isinstance(noted, dict) else None
        return origin if isinstance(origin, str) else None

    @property
    def is_of_dvc_2(self) -> bool:
        """Whether DVC before 3 recorded it, so that it has no version imgdata could note."""
        return self.version is None and self.legacy_hash == MD5_DOS2UNIX


def unit_name(path: str) -> str:
    """Return the unit a path directly below a level is: `P1`, `P1.parquet`, `P1.zarr` are P1."""
    name = PurePosixPath(path).name
    stem, _, suffix = name.partition(".")
    has_format = bool(stem and suffix.strip(".")) and not suffix[0].isdecimal()
    return stem if has_format else name


class Units(Struct, frozen=True):
    """All units of a project by level, and the outs that are on no level."""

    by_level: Mapping[str, tuple[Unit, ...]]
    elsewhere: tuple[Out, ...]

    def of(self, levels: Iterable[str]) -> tuple[Unit, ...]:
        """Return the units of some levels, level by level, unit by unit."""
        return tuple(unit for name in levels for unit in self.by_level[name])

    def find(self, level: str, name: str | None) -> Unit | None:
        """Return one unit by its name, or None."""
        return next((unit for unit in self.by_level[level] if unit.name == name), None)


def find_units(config: Config, index: Index) -> Units:
    """Sort the outs of a project onto its levels. The index's tree is the project's root."""
    found: dict[str, list[Unit]] = {name: [] for name in config.levels}
    elsewhere: list[Out] = []
    for stage in index.stages:
        for out in stage.outs:
            level = level_of(config, out.path) if out.is_inside else None
            if level is None or (not out.flags.cache and stage.kind == "stage"):
                elsewhere.append(out)
                continue
            below = PurePosixPath(out.path).relative_to(level.path).parts
            name = unit_name(below[0]) if below and level.unit is not None else None
            if name is not None and len(below) == 1 and stage.outs and out.recorded is not None:
                is_folder = out.recorded.nfiles is not None and not below[0].endswith(ZARR)
                name = below[0] if is_folder else name
            found[level.name].append(Unit(level.name, name, out.path, stage, out))
    ordered = {name: tuple(sorted(units, key=_by_name)) for name, units in found.items()}
    return Units(ordered, tuple(elsewhere))


def units_by_path(index: Index) -> Units:
    """Return every out inside the repository as the one unit of a level named by its path."""
    found: dict[str, list[Unit]] = {}
    elsewhere: list[Out] = []
    for stage in index.stages:
        for out in stage.outs:
            if out.is_inside:
                unit = Unit(out.path, None, out.path, stage, out, takes_legacy=True)
                found.setdefault(out.path, []).append(unit)
            else:
                elsewhere.append(out)
    return Units({path: tuple(found[path]) for path in sorted(found)}, tuple(elsewhere))


def _by_name(unit: Unit) -> tuple[str, str]:
    return (unit.name or "", unit.path)


def level_of(config: Config, path: str) -> Level | None:
    """Return the level a path relative to the project lies on, or None."""
    while path and path != ".":
        if path in config.by_path:
            return config.by_path[path]
        path = path.rpartition("/")[0]
    return None


def refuse_outside(index: Index) -> None:
    """Stop where a DVC file names an out that lies outside the project.

    Raises:
        InvalidProjectError: Naming file and path.
    """
    for stage in index.stages:
        for out in stage.outs:
            if out.place.where is Where.OUTSIDE:
                problem = f"{stage.file} names an out outside the project: {out.written}"
                raise InvalidProjectError(
                    problem,
                    cause=f"after wdir: {out.path}",
                    remedy=f"move the data into the project and correct {stage.file}",
                )


def choose_levels(config: Config, names: Iterable[str]) -> tuple[Level, ...]:
    """Return the named levels in the order of the pipeline, all of them for no name.

    Raises:
        UsageError: A name is not a level.
    """
    wanted = {level_named(config, name).name for name in names}
    return tuple(level for level in config.levels.values() if not wanted or level.name in wanted)
