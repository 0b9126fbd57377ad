"""What imgdata.yaml calls by a name that somebody typed."""

from collections.abc import Mapping
from typing import TypeVar

from imgdata.errors import UsageError
from imgdata.project.config import Config, Level, Origin, StorageConfig

Thing = TypeVar("Thing")


def level_named(config: Config, name: str) -> Level:
    """Return a level.

    Raises:
        UsageError: There is none of this name.
    """
    return _named(config.levels, name, "a level", "levels", "imgdata status")


def storage_named(config: Config, name: str) -> StorageConfig:
    """Return a storage.

    Raises:
        UsageError: There is none of this name.
    """
    return _named(config.storages, name, "a storage", "storages", "")


def origin_named(config: Config, name: str) -> Origin:
    """Return an origin.

    Raises:
        UsageError: There is none of this name.
    """
    return _named(config.origins, name, "an origin", "origins", "add it to imgdata.yaml")


def _named(known: Mapping[str, Thing], name: str, what: str, them: str, remedy: str) -> Thing:
    if name not in known:
        problem = f"'{name}' is not {what} of this project"
        raise UsageError(problem, cause=f"{them}: {', '.join(known) or 'none'}", remedy=remedy)
    return known[name]
