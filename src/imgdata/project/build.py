"""Turn the checked content of imgdata.yaml into frozen values."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from imgdata.project.config import (
    DEFAULT_BRANCH,
    NO_STORAGE,
    NO_UNIT,
    AcceptedLoss,
    CheckRule,
    Config,
    Creator,
    Level,
    Origin,
    RepositoryConfig,
    Source,
    StorageConfig,
)

DEFAULT_VERIFY_DAYS = 180
Plain = Mapping[str, Any]


def build_config(value: Plain) -> Config:
    """Return the configuration of a value that the schema accepted."""
    repositories = {
        name: RepositoryConfig(name, entry["url"], entry.get("community"))
        for name, entry in (value.get("repositories") or {}).items()
    }
    return Config(
        id=value.get("id", ""),
        title=value.get("title", ""),
        description=value.get("description"),
        license=value.get("license"),
        creators=tuple(Creator(**_known(entry)) for entry in value.get("creators") or ()),
        keywords=tuple(value.get("keywords") or ()),
        funding=tuple(value.get("funding") or ()),
        currency=value.get("currency", "USD"),
        commit=value.get("commit", "ask"),
        release_branch=value.get("release_branch", DEFAULT_BRANCH),
        origins={
            name: _origin(name, entry) for name, entry in (value.get("origins") or {}).items()
        },
        storages={
            name: _storage(name, entry) for name, entry in (value.get("storages") or {}).items()
        },
        repositories=repositories,
        levels={name: _level(name, entry, repositories) for name, entry in value["levels"].items()},
        checks={
            name: CheckRule(**_known(entry)) for name, entry in (value.get("checks") or {}).items()
        },
    )


def _known(entry: Plain) -> dict[str, Any]:
    return {key: item for key, item in entry.items() if not key.startswith("x-")}


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _origin(name: str, entry: Plain) -> Origin:
    known = _known(entry)
    release_on = _date(known.pop("release_on", None))
    may_leave = tuple(known.pop("may_leave", ()))
    return Origin(name=name, release_on=release_on, may_leave=may_leave, **known)


def _storage(name: str, entry: Plain) -> StorageConfig:
    known = _known(entry)
    return StorageConfig(name, known.pop("url"), known)


def _names(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None or value == NO_STORAGE:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _level(name: str, entry: Plain, repositories: Mapping[str, RepositoryConfig]) -> Level:
    stored = _names(entry.get("storage"))
    storages = tuple(item for item in stored if item not in repositories)
    unit = entry.get("unit", "plate")
    return Level(
        name=name,
        path=entry["path"].rstrip("/"),
        unit=None if unit == NO_UNIT else unit,
        description=entry.get("description"),
        origin=entry.get("origin"),
        key_texts=_names(entry.get("key")),
        sources=tuple(_source(item) for item in entry.get("from", ())),
        storages=storages,
        repositories=tuple(item for item in stored if item in repositories),
        copies=entry.get("copies", 1 if storages else 0),
        verify_every_days=entry.get("verify_every_days", DEFAULT_VERIFY_DAYS),
        keep=entry.get("keep", "forever" if storages else "recompute"),
        versions=entry.get("versions", "all"),
        then=_names(entry.get("then")),
        accept_loss=tuple(
            AcceptedLoss(item["select"], item["reason"], item["by"], date.fromisoformat(item["on"]))
            for item in entry.get("accept_loss", ())
        ),
        ignore=tuple(entry.get("ignore", ())),
        tolerance=entry.get("tolerance", ""),
        pack=entry.get("pack", ""),
    )


def _source(item: str | Plain) -> Source:
    if isinstance(item, str):
        return Source(item, None)
    by = item.get("by")
    return Source(item["level"], None if by is None else tuple(by))
