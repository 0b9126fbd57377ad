"""`foreach` and `matrix`: the stages one definition stands for, with DVC's own names.

Source: ForeachDefinition and MatrixDefinition in dvc/parsing/__init__.py of DVC 3.67.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any

from msgspec import Struct

from imgdata.dvc_files.interpolation import (
    InterpolationError,
    Variables,
    exact_reference,
    interpolate,
    write_out,
)
from imgdata.dvc_files.yaml_loader import YamlValue

MAX_MEMBERS = 200_000
"""More stages than any project has; a larger matrix is a slip of the pen or worse."""

Definition = Mapping[str, Any]


class Member(Struct, frozen=True):
    """One stage of a group.

    Attributes:
        key: What stands behind the `@` of its name.
        item: The foreach item, or the matrix values by axis.
        variables: What `${item}` and `${key}` stand for.
    """

    key: str
    item: Any
    variables: Mapping[str, Any]


def is_group(definition: Definition) -> bool:
    """Tell whether a definition stands for several stages."""
    return "foreach" in definition or "matrix" in definition


def template_of(definition: Definition) -> Definition:
    """Return the stage definition that is filled for each member."""
    if "matrix" in definition:
        return {key: value for key, value in definition.items() if key != "matrix"}
    template = definition.get("do")
    if not isinstance(template, Mapping):
        msg = "a foreach needs a stage below 'do'"
        raise InterpolationError(msg)
    return template


def members_of(definition: Definition, variables: Variables) -> tuple[Member, ...]:
    """Return the members of a group in DVC's order; of two with one key, the last counts.

    Raises:
        InterpolationError: The items cannot be resolved, or are no list or mapping.
    """
    found = (
        _matrix(definition["matrix"], variables)
        if "matrix" in definition
        else _foreach(definition["foreach"], variables)
    )
    return tuple({member.key: member for member in found}.values())


def _foreach(written: YamlValue, variables: Variables) -> Iterator[Member]:
    items = interpolate(written, variables)
    if isinstance(items, Mapping):
        for name, value in items.items():
            key = write_out(name)
            yield Member(key, value, {"item": value, "key": key})
        return
    if not isinstance(items, list):
        msg = f"foreach needs a list or a mapping, not '{items}'"
        raise InterpolationError(msg)
    names = _names(written, items)
    if any(isinstance(item, Mapping | list) for item in items):
        names = [str(index) for index in range(len(items))]
    for name, value in zip(names, items, strict=True):
        yield Member(name, value, {"item": value})


def _names(written: YamlValue, items: list[Any]) -> list[str]:
    """Return how DVC writes each plain item into a name.

    An item that comes from a variable is written as Python does (`True`), one that stands in
    dvc.yaml itself as YAML does (`true`).
    """
    if isinstance(written, str):
        return [str(item) for item in items]
    return [
        str(item) if _is_reference(source) else write_out(item) if _is_plain(item) else ""
        for source, item in zip(written, items, strict=True)
    ]


def _is_reference(written: YamlValue) -> bool:
    return isinstance(written, str) and exact_reference(written) is not None


def _is_plain(item: YamlValue) -> bool:
    return not isinstance(item, Mapping | list)


def _matrix(written: YamlValue, variables: Variables) -> Iterator[Member]:
    axes = interpolate(written, variables)
    if not isinstance(axes, Mapping):
        msg = "a matrix needs a mapping of lists"
        raise InterpolationError(msg)
    labelled: list[list[tuple[Any, str]]] = []
    sources = written if isinstance(written, Mapping) else dict.fromkeys(axes, "${}")
    for (axis, values), source in zip(axes.items(), sources.values(), strict=True):
        if isinstance(values, Mapping):
            values = list(values)  # noqa: PLW2901 - DVC goes over the keys of a mapping
        if not isinstance(values, list):
            msg = f"'{axis}' of the matrix is not a list"
            raise InterpolationError(msg)
        names = _names(source if isinstance(source, list) else "${}", values)
        labelled.append(
            [
                (value, name if _is_plain(value) else f"{axis}{index}")
                for index, (value, name) in enumerate(zip(values, names, strict=True))
            ]
        )
    count = prod(len(axis) for axis in labelled)
    if count > MAX_MEMBERS:
        msg = f"the matrix stands for {count} stages, more than {MAX_MEMBERS}"
        raise InterpolationError(msg)
    for combination in product(*labelled):
        key = "-".join(name for _, name in combination)
        item = dict(zip(axes, (value for value, _ in combination), strict=True))
        yield Member(key, item, {"item": item, "key": key})
