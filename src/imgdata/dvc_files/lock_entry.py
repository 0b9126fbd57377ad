"""One stage's entry in dvc.lock, as values and from parsed YAML."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct, field

from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.recorded import Recorded, RecordError, read_record

Command = str | tuple[str, ...]
"""A command as recorded: one text, or several run one after the other."""

Params = Mapping[str, Mapping[str, object]]
"""Parameter file (path as written) to dotted key to value."""

NO_PARAMS: Params = MappingProxyType({})


class LockEntry(Struct, frozen=True):
    """One stage as it last ran.

    Attributes:
        name: The stage's name, with `@key` for one of a foreach or matrix.
        cmd: The command that ran; empty text when the entry has none.
        deps: In the order of the file.
        outs: In the order of the file.
        params: Values used, by file and dotted key.
    """

    name: str
    cmd: Command
    deps: tuple[Recorded, ...] = ()
    outs: tuple[Recorded, ...] = ()
    params: Params = field(default_factory=lambda: NO_PARAMS)


def entry_of(name: str, value: object, path: str, problems: list[Problem]) -> LockEntry | None:
    """Return one entry of a lock, noting what is wrong with it; None if it is no entry at all."""
    if not isinstance(value, dict):
        problems.append(Problem(path, name, "the entry is not a mapping"))
        return None
    return LockEntry(
        name=name,
        cmd=command_of(value.get("cmd"), name, path, problems),
        deps=tuple(records_of(value.get("deps"), "deps", (name, path), problems)),
        outs=tuple(records_of(value.get("outs"), "outs", (name, path), problems)),
        params=params_of(value.get("params"), name, path, problems),
    )


def command_of(value: object, name: str, path: str, problems: list[Problem]) -> Command:
    """Return a command as recorded, noting when there is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return tuple(str(part) for part in value)
    what = "has no command" if value is None else "has a command that is not text"
    problems.append(Problem(path, name, f"the entry {what}"))
    return "" if value is None else str(value)


def records_of(
    items: object, key: str, where: tuple[str, str], problems: list[Problem]
) -> Iterator[Recorded]:
    """Yield the records of `deps` or `outs`; `where` is the stage's name and the lock's path."""
    name, path = where
    if items is None:
        return
    if not isinstance(items, list):
        problems.append(Problem(path, name, f"its {key} are not a list"))
        return
    for item in items:
        try:
            record, doubts = read_record(item)
        except RecordError as error:
            problems.append(Problem(path, f"{name}.{key}", str(error)))
            continue
        problems.extend(Problem(path, f"{name}.{key}", doubt) for doubt in doubts)
        yield record


def params_of(value: object, name: str, path: str, problems: list[Problem]) -> Params:
    """Return the parameter values of an entry, by file and key."""
    if value is None:
        return NO_PARAMS
    if not isinstance(value, dict):
        problems.append(Problem(path, name, "its params are not a mapping of files"))
        return NO_PARAMS
    params: dict[str, Mapping[str, object]] = {}
    for file, values in value.items():
        if isinstance(values, dict):
            params[str(file)] = {str(key): item for key, item in values.items()}
        elif values is None:
            params[str(file)] = {}
        else:
            problems.append(Problem(path, name, f"its params of '{file}' are not a mapping"))
    return MappingProxyType(params)
