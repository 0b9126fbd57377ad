"""Which files a check of a project looks at, and by which of its rules they are judged."""

import csv
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from imgdata.errors import NothingFoundError, UsageError
from imgdata.model.findings import Severity, SeverityChoice
from imgdata.model.keys import normal_value, well_of
from imgdata.policy.check_rules import BY_ID
from imgdata.policy.rembi_rules import person_facts
from imgdata.project.answers import rembi_answers
from imgdata.project.config import Config, Level
from imgdata.system.folder_tree import FolderTree
from imgdata.workflows.check import CheckOptions, Pixels
from imgdata.workflows.check_walk import find

MAX_MAP_ROWS = 100_000
_WELLS = ("well_position", "well", "metadata_well", "well_id", "imageid_well")
_PLATES = ("plate", "barcode", "assay_plate_barcode", "metadata_plate", "plate_id")


class Target(Struct, frozen=True):
    """One level, file or folder to check, and what its paths are relative to."""

    path: Path
    root: Path
    level: Level | None
    judged_as: str


def choose_targets(
    config: Config | None, root: Path | None, words: tuple[str, ...], level: str | None
) -> tuple[Target, ...]:
    """Return what to check: a bare word is a level first, everything else a path.

    Raises:
        UsageError: A level is asked for that does not exist.
    """
    levels = dict(config.levels) if config is not None else {}
    if level is not None and not words:
        if level not in levels:
            problem = f"no level '{level}'" + ("" if config else ": there is no imgdata.yaml here")
            raise UsageError(problem, remedy=f"imgdata check PATH --level {level}")
        words, level = (level,), None
    if not words:
        if config is None or root is None:
            return (_path_target(Path(), None, {}, level),)
        return tuple(
            _level_target(root, one) for one in levels.values() if (root / one.path).exists()
        )
    found = []
    for word in words:
        if root is not None and word in levels and level is None:
            found.append(_level_target(root, levels[word]))
        else:
            found.append(_path_target(Path(word), root, levels, level))
    return tuple(found)


def _level_target(root: Path, level: Level) -> Target:
    """Return all of a level.

    Raises:
        NothingFoundError: Nothing of it is here.
    """
    place = root / level.path
    if not place.exists():
        problem = f"level {level.name} has no files here: there is no {level.path}"
        remedy = f"imgdata pull {level.name}"
        raise NothingFoundError(problem, remedy=remedy)
    return Target(place, _folder_of(place), level, level.name)


def _folder_of(place: Path) -> Path:
    """Return what paths below a level are relative to: a level may be one file."""
    return place.parent if place.is_file() else place


def _path_target(
    path: Path, root: Path | None, levels: Mapping[str, Level], judged_as: str | None
) -> Target:
    full, real = Path(os.path.abspath(path)), path.resolve()  # noqa: PTH100 - a link in a level
    if root is not None:
        for level in levels.values():
            place = root / level.path
            if full.is_relative_to(place):
                return Target(path, _folder_of(place), level, judged_as or level.name)
            if real.is_relative_to(place.resolve()):
                path = place / real.relative_to(place.resolve())
                return Target(path, _folder_of(place), level, judged_as or level.name)
    is_file = path.is_file() or path.suffix.lower() == ".zarr"
    return Target(path, path.parent if is_file else path, None, judged_as or "")


def options_for(
    target: Target,
    config: Config | None,
    project: Path | None,
    *,
    pixels: Pixels,
    cache: Path | None,
) -> CheckOptions:
    """Return the rules a target is judged by: its level's key and the project's severities."""
    level = target.level
    return CheckOptions(
        level=target.judged_as,
        keys=level.keys if level is not None else (),
        severities=severities_of(config) if config is not None else {},
        ignore=level.ignore if level is not None else (),
        pixels=pixels,
        image_names=image_names(config, project, level),
        plate_maps=plate_maps(project) if project is not None and level is not None else {},
        cache=cache,
        said=person_facts(rembi_answers(FolderTree(project)))
        if project is not None and level
        else {},
        unit_depth=1 if level is not None and level.unit else 0,
    )


def severities_of(config: Config) -> dict[str, SeverityChoice]:
    """Return the severities the lab chose in `checks:`.

    Raises:
        UsageError: A rule or severity does not exist.
    """
    found = {}
    for rule, choice in config.checks.items():
        if rule not in BY_ID:
            problem = f"checks: there is no finding {rule}"
            raise UsageError(problem, remedy="see docs/reference/checks")
        if choice.severity not in {s.value for s in Severity}:
            problem = f"checks: {rule}: severity is error, warning or note, not '{choice.severity}'"
            raise UsageError(problem)
        found[rule] = SeverityChoice(Severity(choice.severity), choice.reason)
    return found


def image_names(
    config: Config | None, project: Path | None, level: Level | None
) -> frozenset[str] | None:
    """Return the file names on the levels a profile is made from, as far as they are here."""
    if config is None or project is None or level is None or "profiles" not in level.name:
        return None
    names: set[str] = set()
    pending, seen = [s.level for s in level.sources], set()
    while pending:
        name = pending.pop()
        source = config.levels.get(name)
        if source is None or name in seen:
            continue
        seen.add(name)
        pending += [s.level for s in source.sources]
        folder = project / source.path
        if folder.is_dir():
            names.update(found.name.rpartition("/")[2] for found in find([folder], folder))
    return frozenset(names) if names else None


def plate_maps(project: Path) -> dict[str, frozenset[str]]:
    """Return the wells of each plate map under metadata/; a map without plates is for all."""
    wells: dict[str, set[str]] = defaultdict(set)
    folder = project / "metadata"
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        if "platemap" in path.stem.replace("_", "").lower():
            for plate, well in _map_rows(path):
                wells[plate].add(well)
    return {plate: frozenset(found) for plate, found in wells.items()}


def _map_rows(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        rows = csv.DictReader(stream)
        names = {name.strip().lower(): name for name in rows.fieldnames or () if name}
        well = next((names[n] for n in _WELLS if n in names), None)
        plate = next((names[n] for n in _PLATES if n in names), None)
        row_name, column_name = names.get("row"), names.get("column", names.get("col"))
        for count, row in enumerate(rows):
            if count >= MAX_MAP_ROWS:
                return
            said = (row.get(plate) or "").strip() if plate else ""
            if well and row.get(well):
                yield said, normal_value("well", row[well].strip())
            elif row_name and column_name and row.get(row_name) and row.get(column_name):
                yield said, well_of(row[row_name].strip(), row[column_name].strip())
