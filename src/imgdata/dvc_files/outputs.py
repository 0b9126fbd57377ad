"""Outs, metrics and plots as defined in dvc.yaml or a `.dvc` file, with their flags."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from imgdata.dvc_files.yaml_loader import YamlValue

OutKind = Literal["out", "metric", "plot"]
_SECTIONS: tuple[tuple[str, OutKind], ...] = (
    ("outs", "out"),
    ("metrics", "metric"),
    ("plots", "plot"),
)


class DefinitionError(ValueError):
    """A stage's definition is of a shape DVC does not know; the message says which part."""


class OutFlags(Struct, frozen=True):
    """What a project says about an out, beside its path.

    Attributes:
        kind: Whether it stands under outs, metrics or plots.
        cache: DVC keeps its bytes; without, it is in git or nowhere.
        push: It goes to the remote.
        remote: The one remote it goes to; empty for the default.
        persist: It is not removed before the stage runs.
        meta: Free mapping of the project (imgdata's own part: `meta.imgdata`).
    """

    kind: OutKind = "out"
    cache: bool = True
    push: bool = True
    remote: str = ""
    persist: bool = False
    desc: str = ""
    type: str = ""
    labels: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


class DefinedOut(Struct, frozen=True):
    """One out: its path as written, and its flags."""

    path: str
    flags: OutFlags


DEFAULT_FLAGS = OutFlags()
_BY_KIND: dict[OutKind, OutFlags] = {kind: OutFlags(kind=kind) for _, kind in _SECTIONS}


def read_outs(definition: Mapping[str, Any]) -> tuple[DefinedOut, ...]:
    """Return all outs of a stage of dvc.yaml, in the order DVC lists them.

    Raises:
        DefinitionError: A section is of another shape.
    """
    outs = [
        out
        for section, kind in _SECTIONS
        if definition.get(section) is not None
        for out in _section(section, kind, definition[section])
    ]
    live = definition.get("live")
    if isinstance(live, Mapping):  # DVC 2 only: the folder dvclive writes
        outs.extend(_section("live", "plot", [live]))
    return tuple(outs)


def _section(section: str, kind: OutKind, items: YamlValue) -> Iterator[DefinedOut]:
    if not isinstance(items, list):
        msg = f"its {section} are not a list"
        raise DefinitionError(msg)
    merged: dict[str, dict[str, Any]] = {}
    for item in items:
        if isinstance(item, Mapping):
            for path, flags in item.items():
                merged.setdefault(str(path), {}).update(_flag_mapping(section, path, flags))
        elif isinstance(item, str | int | float):
            merged.setdefault(str(item), {})
        else:
            msg = f"an item of its {section} is neither a path nor a mapping"
            raise DefinitionError(msg)
    for path, flags in merged.items():
        if not path:
            msg = f"a path of its {section} is empty"
            raise DefinitionError(msg)
        yield DefinedOut(path, read_flags(flags, kind))


def _flag_mapping(section: str, path: object, flags: YamlValue) -> Mapping[str, Any]:
    """Return the flags of one path; the list form of plots holds several sets of properties."""
    if flags is None:
        return {}
    if section == "plots" and isinstance(flags, list):
        return {
            key: value for part in flags if isinstance(part, Mapping) for key, value in part.items()
        }
    if not isinstance(flags, Mapping):
        msg = f"the flags of '{path}' are not a mapping"
        raise DefinitionError(msg)
    return flags


def read_flags(flags: Mapping[Any, Any], kind: OutKind) -> OutFlags:
    """Return the flags of one out; what is missing or of another type has DVC's default."""
    if not flags:
        return _BY_KIND[kind]
    labels = flags.get("labels")
    meta = flags.get("meta")
    return OutFlags(
        kind=kind,
        cache=flags.get("cache") is not False,
        push=flags.get("push") is not False,
        remote=_text(flags.get("remote")),
        persist=flags.get("persist") is True,
        desc=_text(flags.get("desc")),
        type=_text(flags.get("type")),
        labels=tuple(str(label) for label in labels) if isinstance(labels, list) else (),
        meta=meta if isinstance(meta, dict) else {},
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
