"""What a deposit needs and only storages have: named in its plan, then brought into the cache."""

from collections.abc import Callable, Sequence

from imgdata.errors import DamagedError
from imgdata.levels.units import Unit
from imgdata.model.excerpts import first_lines
from imgdata.model.selection import Selection
from imgdata.project.config import Level
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.presence import present_objects
from imgdata.workflows.clone import Clone
from imgdata.workflows.objects import Content
from imgdata.workflows.pull_unit import SHOWN, Doors, Fetch, PullOptions


def absent(clone: Clone, content: Content) -> dict[str, str]:
    """Return the files of a unit that neither cache nor workspace has as recorded: md5 by path."""
    items = content.items()
    cached = present_objects(clone.cache, [item.key for item in items])
    there = {item.object_id for item in items if item.key in cached}
    lacking = {path: md5 for path, md5 in content.files.items() if md5 not in there}
    if not lacking or clone.tree is not None:
        return lacking
    path = content.unit.path
    found = {name: stamp for name, stamp in clone.workspace.scan(path).items() if name in lacking}
    here = clone.workspace.hashes(path, found)
    return {name: md5 for name, md5 in lacking.items() if here.get(name) != md5}


def places_of(clone: Clone, unit: Unit) -> tuple[str, ...]:
    """Return the storages and repositories to fetch a unit from, as remembered.

    Raises:
        DamagedError: There is none.
    """
    fetch = _fetch_of(clone, unit)
    if names := fetch.source_names():
        return names
    raise _nowhere(fetch, f"{unit.title} is neither here nor on any storage")


def fetch_for_deposit(
    clone: Clone,
    levels: Sequence[Level],
    selection: Selection,
    may_go: Callable[[Unit], bool],
    progress: Progress = SILENT,
) -> None:
    """Bring into the cache what is not here of the units that may go, verified; places no file.

    Lists of files come for all units: which content is restricted is judged by them.

    Raises:
        DamagedError: Something is on no storage, or damaged on all.
        StorageError: No storage that has it can be reached.
    """
    doors = Doors(clone)
    for level in levels:
        for unit in clone.units.by_level[level.name]:
            if unit.version is not None:
                fetch = Fetch(clone, unit, level, PullOptions(selection=selection), progress, doors)
                _fetch_unit(fetch, may_go)


def _fetch_unit(fetch: Fetch, may_go: Callable[[Unit], bool]) -> None:
    clone, unit = fetch.clone, fetch.unit
    if not clone.has_list(unit):
        places_of(clone, unit)
    whole = fetch.content()
    if not may_go(unit):
        return
    content = whole.selected(fetch.options.selection, fetch.level)
    wanted = absent(clone, content)
    if not wanted:
        return
    places_of(clone, unit)
    fetch.bring(whole, content, wanted)
    if fetch.bad:
        lines = [f"{path}: {why}" for path, why in sorted(fetch.bad.items())]
        number = "one file" if len(lines) == 1 else f"{len(lines):,} files"
        raise _nowhere(fetch, f"{number} of {unit.title} cannot be had", first_lines(lines, SHOWN))


def _fetch_of(clone: Clone, unit: Unit) -> Fetch:
    level = clone.config.levels[unit.level]
    return Fetch(clone, unit, level, PullOptions(), SILENT, Doors(clone))


def _nowhere(fetch: Fetch, problem: str, cause: str = "") -> DamagedError:
    """Say what to do about bytes that nothing has."""
    level = fetch.unit.level
    is_made = fetch.unit.stage.kind == "stage"
    again = f"imgdata run {level} makes it again" if is_made else f"imgdata add {level} FOLDER"
    remedy = fetch.way_back() or (
        f"{again}, or connect the drive or storage that has it: imgdata whereis {level}"
    )
    return DamagedError(problem, cause=cause, remedy=remedy)
