"""dvc.lock: what ran, with which inputs, parameters and outputs.

Reads schema 1 (DVC 1.x, without a `schema` key) and 2. Keys of entries are stage names as DVC
types them (`train`, `train@P1`). The text DVC itself writes is read without a YAML parser, about
ten times as fast; any other text takes the long way, with the same result.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from imgdata.dvc_files.lock_entry import NO_PARAMS, Command, LockEntry, Params, entry_of
from imgdata.dvc_files.lock_salvage import salvage
from imgdata.dvc_files.lock_text import IrregularError, LockText
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.yaml12 import YamlError, read_yaml

__all__ = ["EMPTY_LOCK", "LOCK_NAME", "NO_PARAMS", "Command", "Lock", "LockEntry", "Params"]

LOCK_NAME = "dvc.lock"


class Lock(Struct, frozen=True):
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

    Where the file as a whole is no YAML (merge conflicts, a damaged entry), the entries that can
    be read on their own are returned and the others named.

    Args:
        data: The file's bytes.
        path: Where it lies, for problems.
    """
    try:
        return _read_quickly(data, path)
    except IrregularError:
        return read_lock_by_yaml(data, path)


def _read_quickly(data: bytes, path: str) -> Lock:
    text = LockText(data)
    problems: list[Problem] = []
    entries = {name: text.entry(name, path, problems) for name in text.names}
    found = {name: entry for name, entry in entries.items() if entry is not None}
    return Lock("2.0", MappingProxyType(found), tuple(problems))


def read_lock_by_yaml(data: bytes, path: str = LOCK_NAME) -> Lock:
    """Read a dvc.lock with the YAML parser alone; the result is that of `read_lock`."""
    try:
        return lock_of(read_yaml(data), path)
    except YamlError as error:
        schema, stages, problems = salvage(data, path, str(error))
        return _lock(schema, stages, path, problems)


def lock_of(document: object, path: str) -> Lock:
    """Return the lock a parsed YAML document holds."""
    if document is None or document == {}:
        return EMPTY_LOCK
    if not isinstance(document, dict):
        problem = Problem(path, "", "it holds no mapping of stages")
        return Lock("", MappingProxyType({}), (problem,))
    schema, stages, problems = _stages_of(document, path)
    return _lock(schema, stages, path, problems)


def _lock(schema: str, stages: Mapping[object, object], path: str, problems: list[Problem]) -> Lock:
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
