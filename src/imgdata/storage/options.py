"""Settings of a storage, from the plain values that imgdata.yaml gives."""

import typing
from collections.abc import Mapping

from msgspec import Struct

from imgdata.errors import InvalidProjectError
from imgdata.model.nearest import nearest

EVERY_STORAGE = frozenset({"note", "price_per_tb_month", "public", "purged_after_days"})
"""Keys that say something about a storage to the policy, not to the backend."""

_PLAIN = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}

Settings = typing.TypeVar("Settings", bound=Struct)


def read_options(kind: type[Settings], name: str, options: Mapping[str, object]) -> Settings:
    """Return the backend's settings filled from the options of storage `name`.

    Raises:
        InvalidProjectError: Keys that are unknown or values of another type; all of them at once.
    """
    wanted = typing.get_type_hints(kind)
    mine = {k: v for k, v in options.items() if k not in EVERY_STORAGE and not k.startswith("x-")}
    faults = [_fault(key, value, wanted) for key, value in mine.items()]
    told = [fault for fault in faults if fault]
    missing = [key for key in _required(kind) if key not in mine]
    told += [f"'{key}' is missing" for key in missing]
    if told:
        msg = f"the settings of storage '{name}' are not valid"
        raise InvalidProjectError(msg, cause="\n".join(told), remedy="correct imgdata.yaml")
    return kind(**mine)


def _required(kind: type[Struct]) -> tuple[str, ...]:
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    return names[: len(names) - len(defaults)]


def _fault(key: str, value: object, wanted: Mapping[str, object]) -> str:
    if key not in wanted:
        known = sorted({*wanted, *EVERY_STORAGE})
        near = nearest(key, known)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
        return f"unknown key '{key}'; {hint}"
    kinds = typing.get_args(wanted[key]) or (wanted[key],)
    # bool is an int to Python, not to a person who writes `port: yes`.
    fits = any(type(value) is accepted for accepted in kinds)
    named = (kind for kind in kinds if isinstance(kind, type) and kind is not type(None))
    names = " or ".join(_PLAIN[kind] for kind in named)
    return "" if fits else f"'{key}' must be {names}, not {value!r}"
