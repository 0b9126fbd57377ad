"""What the schema cannot say: names that must exist, paths that must not overlap, keys."""

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from imgdata.model.keys import parse_keys
from imgdata.model.nearest import nearest
from imgdata.model.urls import holds_secret
from imgdata.project.config import NO_STORAGE, Config, Level
from imgdata.project.yaml_lines import Path
from imgdata.system import credentials

Said = tuple[Path, str]


def problems_of_meaning(config: Config) -> Iterator[Said]:
    """Yield every problem as the path of the value and a sentence."""
    for level in config.levels.values():
        yield from _level_problems(level, config)
    yield from _overlaps(config.levels.values())
    yield from _token_collisions(config)
    yield from _urls(config)
    for section in ("storages", "repositories"):
        if NO_STORAGE in getattr(config, section):
            yield (section, NO_STORAGE), f"'{NO_STORAGE}' means no storage; choose another name"
    both = set(config.storages) & set(config.repositories)
    for name in sorted(both):
        yield ("repositories", name), f"'{name}' is a storage and a repository; rename one"
    for name, origin in config.origins.items():
        for level_name in origin.may_leave:
            yield from _unknown(
                ("origins", name, "may_leave"), level_name, config.levels, "a level"
            )


def _level_problems(level: Level, config: Config) -> Iterator[Said]:
    where: Path = ("levels", level.name)
    yield from _path_problems(level)
    places = {**config.storages, **config.repositories}
    for name in level.storages:
        yield from _unknown((*where, "storage"), name, places, "a storage or repository")
    for name in level.then:
        yield from _unknown((*where, "then"), name, places, "a storage or repository")
    if level.origin is not None:
        yield from _unknown((*where, "origin"), level.origin, config.origins, "an origin")
    for index, source in enumerate(level.sources):
        yield from _unknown((*where, "from", index), source.level, config.levels, "a level")
        if source.level == level.name:
            yield (*where, "from", index), f"'{level.name}' cannot be made from itself"
    yield from _rule_problems(level)


def _path_problems(level: Level) -> Iterator[Said]:
    where: Path = ("levels", level.name)
    path = PurePosixPath(level.path)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == ".":
        yield (*where, "path"), f"the path '{level.path}' must be a folder inside the project"
    elif path.parts[0] in {".git", ".dvc", ".imgdata"}:
        yield (*where, "path"), f"the path '{level.path}' belongs to {path.parts[0]}"
    elif not level.path.isprintable():
        yield (*where, "path"), f"the path {level.path!r} has characters that cannot be printed"


def _rule_problems(level: Level) -> Iterator[Said]:
    where: Path = ("levels", level.name)
    if level.storages and level.copies > len(level.storages) + len(level.repositories):
        have = len(level.storages) + len(level.repositories)
        yield (*where, "copies"), f"{level.copies} copies need as many storages; there are {have}"
    if level.keep.startswith("until 2") and not _is_date(level.keep.removeprefix("until ")):
        yield (*where, "keep"), f"'{level.keep}' names a day that does not exist"
    try:
        parse_keys(level.key_texts)
    except ValueError as error:
        yield (*where, "key"), str(error)


def _unknown(where: Path, name: str, known: Iterable[str], kind: str) -> Iterator[Said]:
    names = list(known)
    if name not in names:
        near = nearest(name, names)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        yield where, f"'{name}' is not {kind} of this file{hint}"


def _overlaps(levels: Iterable[Level]) -> Iterator[Said]:
    outer: Level | None = None
    for level in sorted(levels, key=lambda level: PurePosixPath(level.path).parts):
        if outer is not None and PurePosixPath(level.path).is_relative_to(outer.path):
            said = f"the path '{level.path}' lies in that of level '{outer.name}'"
            yield ("levels", level.name, "path"), said
        else:
            outer = level


def _token_collisions(config: Config) -> Iterator[Said]:
    seen: dict[str, str] = {}
    for name in (*config.storages, *config.repositories):
        variable = credentials.variable(name)
        if variable in seen and seen[variable] != name:
            section = "repositories" if name in config.repositories else "storages"
            yield (section, name), f"'{name}' and '{seen[variable]}' would share {variable}"
        seen[variable] = name


def _urls(config: Config) -> Iterator[Said]:
    for name, storage in config.storages.items():
        for key, value in (("url", storage.url), *storage.options.items()):
            if isinstance(value, str) and holds_secret(value):
                said = "a password or key does not belong in a url; credentials are read from"
                yield ("storages", name, key), f"{said} ~/.aws, ~/.ssh, the environment or keyring"
        try:
            urlsplit(storage.url)
        except ValueError:
            yield ("storages", name, "url"), "the url cannot be read: '[' stands for an address"


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
