"""dvc.lock: what ran, with which inputs, parameters and outputs.

Reads schema 1 (DVC 1.x, without a `schema` key) and 2. Keys of entries are stage names as DVC
types them (`train`, `train@P1`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.recorded import Recorded, RecordError, read_record
from imgdata.dvc_files.yaml12 import YamlError, read_yaml

LOCK_NAME = "dvc.lock"
Command = str | tuple[str, ...]
"""A command as recorded: one text, or several run one after the other."""

Params = Mapping[str, Mapping[str, object]]
"""Parameter file (path as written) to dotted key to value."""

NO_PARAMS: Params = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LockEntry:
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


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole dvc.lock.

    Attributes:
        schema: `1.0` or `2.0`; empty for an empty file.
        entries: By stage name, in the order of the file.
        problems: What was left out or is doubtful.
    """

    schema: str
    entries: Mapping[str, LockEntry]
    problems: tuple[Problem, ...] = ()


EMPTY_LOCK = Lock("", MappingProxyType({}))


def read_lock(data: bytes, path: str = LOCK_NAME) -> Lock:
    """Read a dvc.lock; never raises for its content.

    Args:
        data: The file's bytes.
        path: Where it lies, for problems.
    """
    try:
        document = read_yaml(data)
    except YamlError as error:
        return Lock("", MappingProxyType({}), (Problem(path, "", str(error)),))
    return lock_of(document, path)


def lock_of(document: object, path: str) -> Lock:
    """Return the lock a parsed YAML document holds."""
    if document is None or document == {}:
        return EMPTY_LOCK
    if not isinstance(document, dict):
        problem = Problem(path, "", "it holds no mapping of stages")
        return Lock("", MappingProxyType({}), (problem,))
    schema, stages, problems = _stages_of(document, path)
    entries: dict[str, LockEntry] = {}
    for name, value in stages.items():
        entry = entry_of(str(name), value, path, problems)
        if entry is not None:
            entries[entry.name] = entry
    return Lock(schema, MappingProxyType(entries), tuple(problems))


def _stages_of(
    document: dict[object, object], path: str
) -> tuple[str, dict[object, object], list[Problem]]:
    if "schema" not in document and "stages" not in document:
        return "1.0", document, []
    problems: list[Problem] = []
    schema = str(document.get("schema", ""))
    if schema != "2.0":
        stated = f"has the unknown schema '{schema}'" if schema else "names no schema"
        problems.append(Problem(path, "", f"it {stated}; DVC itself expects '2.0'"))
    stages = document.get("stages")
    if stages is None:
        stages = {}
    if not isinstance(stages, dict):
        problems.append(Problem(path, "stages", "it is not a mapping of stage names"))
        stages = {}
    return schema, stages, problems


def entry_of(name: str, value: object, path: str, problems: list[Problem]) -> LockEntry | None:
    """Return one entry of a lock, noting what is wrong with it; None if it is no entry at all."""
    if not isinstance(value, dict):
        problems.append(Problem(path, name, "the entry is not a mapping"))
        return None
    return LockEntry(
        name=name,
        cmd=_command(value.get("cmd"), name, path, problems),
        deps=tuple(_records(value, "deps", name, path, problems)),
        outs=tuple(_records(value, "outs", name, path, problems)),
        params=_params(value.get("params"), name, path, problems),
    )


def _command(value: object, name: str, path: str, problems: list[Problem]) -> Command:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return tuple(str(part) for part in value)
    what = "has no command" if value is None else "has a command that is not text"
    problems.append(Problem(path, name, f"the entry {what}"))
    return "" if value is None else str(value)


def _records(
    entry: dict[object, object], key: str, name: str, path: str, problems: list[Problem]
) -> Iterator[Recorded]:
    items = entry.get(key)
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


def _params(value: object, name: str, path: str, problems: list[Problem]) -> Params:
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
