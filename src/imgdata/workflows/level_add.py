"""`imgdata level add`: one more level in imgdata.yaml, with defaults like its neighbours'."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from imgdata.errors import UsageError
from imgdata.levels.units import choose_levels
from imgdata.project.by_name import origin_named, storage_named
from imgdata.project.config import NO_STORAGE, NO_UNIT, Config
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import FileChange, plan_conform
from imgdata.workflows.level_config import Value, with_level
from imgdata.workflows.level_move_plan import refuse_name


class NewLevel(Struct, frozen=True):
    """A level as it is asked for; empty where a default is to be found.

    Attributes:
        path: Its folder.
        unit: What it grows by, or `none`.
        storages: Names of storages and repositories, or `none`.
        key: The pattern of its file names.
        sources: Levels it is made from; without one it is raw.
        origin: Where its data come from, for raw levels.
        keep: How long.
        copies: Evidenced copies it must have; 0 for the default.
        description: In words.
    """

    name: str
    path: str = ""
    unit: str = ""
    storages: tuple[str, ...] = ()
    key: str = ""
    sources: tuple[str, ...] = ()
    origin: str = ""
    keep: str = ""
    copies: int = 0
    description: str = ""


class LevelPlan(Struct, frozen=True):
    """A new level with all it says, the files that change with it, and what a person should know.

    `changes` is empty when the level is there already and says just this.
    """

    level: NewLevel
    changes: tuple[FileChange, ...]
    notes: tuple[str, ...]


def plan_level(clone: Clone, wanted: NewLevel) -> LevelPlan:
    """Decide what imgdata.yaml and DVC's files say with one more level; changes nothing.

    Raises:
        UsageError: The name is taken or not allowed, or a storage, level or origin does not exist.
        InvalidProjectError: The folder lies in another level's, or a value is not allowed.
    """
    config = clone.config
    refuse_name(wanted.name)
    if wanted.name in config.levels:
        problem = f"there is a level '{wanted.name}' already"
        remedy = f"edit {CONFIG_NAME}, or choose another name"
        raise UsageError(problem, cause=f"it lies in {config.levels[wanted.name].path}",
                         remedy=remedy)  # fmt: skip
    _refuse_unknown(config, wanted)
    level = _completed(config, wanted)
    path = clone.root / CONFIG_NAME
    before = path.read_text("utf-8")
    after = with_level(before, level.name, _values(level))
    changes = (FileChange(path, before, after), *plan_conform(parse_config(after), clone.root))
    return LevelPlan(level, changes, tuple(_notes(clone, level)))


def _refuse_unknown(config: Config, wanted: NewLevel) -> None:
    for name in wanted.storages:
        if name != NO_STORAGE and name not in config.repositories:
            storage_named(config, name)
    if wanted.sources:
        choose_levels(config, wanted.sources)
    if wanted.origin:
        origin_named(config, wanted.origin)


def _completed(config: Config, wanted: NewLevel) -> NewLevel:
    """Fill in what was not asked for, as the project's other levels have it."""
    near = [config.levels[name] for name in wanted.sources] or list(config.levels.values())
    folders = Counter(str(PurePosixPath(level.path).parent) for level in config.levels.values())
    folder = folders.most_common(1)[0][0] if folders else "data"
    below = wanted.name if folder == "." else f"{folder}/{wanted.name}"
    unit = next((level.unit or NO_UNIT for level in near), "plate")
    stored = next((level.storages for level in near if level.storages), ())
    storages = stored or tuple(config.storages)[:1]
    raw = [level.origin for level in config.levels.values() if level.origin]
    origins = raw or list(config.origins)[: len(config.origins) == 1]
    origin = "" if wanted.sources or not origins else str(origins[0])
    return replace(
        wanted,
        path=(wanted.path or below).removeprefix("./").rstrip("/"),
        unit=wanted.unit or unit,
        storages=wanted.storages or storages[:1] or (NO_STORAGE,),
        origin=wanted.origin or origin,
    )


def _values(level: NewLevel) -> dict[str, Value]:
    """Return the level's keys in the order people read them."""
    storage: Value = list(level.storages)
    if level.storages == (NO_STORAGE,):
        storage = NO_STORAGE
    values: dict[str, Value] = {
        "description": level.description,
        "path": level.path,
        "unit": level.unit,
        "origin": level.origin,
        "key": level.key,
        "from": list(level.sources),
        "storage": storage,
        "copies": level.copies,
        "keep": level.keep,
    }
    return {key: value for key, value in values.items() if value}


def _notes(clone: Clone, level: NewLevel) -> Sequence[str]:
    folder: Path = clone.root / level.path
    notes = []
    if clone.git.ignores(folder):
        notes.append(
            f"git ignores {level.path}, and DVC with it: take it out of .gitignore "
            "before data come here"
        )
    kept = clone.git.kept_below(folder)
    data = [path for path in kept if path.suffix != ".dvc" and path.name != ".gitignore"]
    if data:
        count = "one file" if len(data) == 1 else f"{len(data)} files"
        notes.append(
            f"git keeps {count} below {level.path}, so DVC cannot: git rm -r --cached {level.path}"
        )
    if not level.sources and not level.origin:
        notes.append("it has no origin, so its data count as restricted: name one with --origin")
    return notes
