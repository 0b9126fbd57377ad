"""`.dvc` files of every age: added data, imports, and stages from before DVC 1.0."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from imgdata.dvc_files.lock import Command
from imgdata.dvc_files.outputs import OutFlags, OutKind, read_flags
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.recorded import Recorded, RecordError, read_record
from imgdata.dvc_files.yaml12 import YamlError, read_yaml

DVC_SUFFIX = ".dvc"


class SourceRepo(Struct, frozen=True):
    """The other repository a `dvc import` took its data from.

    Attributes:
        url: A path or url of a git or DVC repository.
        rev: The branch or tag asked for; empty for the default branch.
        rev_lock: The commit it came from; empty if not recorded.
    """

    url: str
    rev: str = ""
    rev_lock: str = ""


class SourceDatabase(Struct, frozen=True):
    """The database a `dvc import-db` took its data from."""

    connection: str
    query: str
    table: str
    file_format: str


class DotDvcDep(Struct, frozen=True):
    """One dep of a `.dvc` file.

    Attributes:
        recorded: None for a database, which has no path.
        params: Values recorded for a parameter file (stages from before DVC 1.0).
    """

    recorded: Recorded | None
    repo: SourceRepo | None = None
    database: SourceDatabase | None = None
    params: Mapping[str, object] | None = None


class DotDvcOut(Struct, frozen=True):
    """One out of a `.dvc` file."""

    recorded: Recorded
    flags: OutFlags


class DotDvc(Struct, frozen=True):
    """A whole `.dvc` file.

    Attributes:
        path: Of the file, relative to the root of its tree.
        wdir: As written, relative to the file's folder; empty if not given.
        cmd: The command, for a stage from before DVC 1.0; empty for added or imported data.
        md5: The file's own checksum in older files; empty otherwise.
        frozen: `frozen: true`, or `locked: true` in older files.
    """

    path: str
    cmd: Command = ""
    wdir: str = ""
    deps: tuple[DotDvcDep, ...] = ()
    outs: tuple[DotDvcOut, ...] = ()
    md5: str = ""
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_dot_dvc(data: bytes, path: str) -> DotDvc:
    """Read a `.dvc` file; never raises for its content.

    Args:
        data: The file's bytes.
        path: Where it lies, relative to the root of its tree.
    """
    try:
        document = read_yaml(data)
    except YamlError as error:
        return DotDvc(path, problems=(Problem(path, "", str(error)),))
    if document is None:
        document = {}
    if not isinstance(document, dict):
        return DotDvc(path, problems=(Problem(path, "", "it holds no mapping"),))
    problems: list[Problem] = []
    meta = document.get("meta")
    return DotDvc(
        path=path,
        cmd=_command(document.get("cmd"), path, problems),
        wdir=_text(document.get("wdir")),
        deps=tuple(_deps(document, path, problems)),
        outs=tuple(_outs(document, path, problems)),
        md5=_text(document.get("md5")),
        frozen=document.get("frozen") is True or document.get("locked") is True,
        always_changed=document.get("always_changed") is True,
        desc=_text(document.get("desc")),
        meta=meta if isinstance(meta, dict) else {},
        problems=tuple(problems),
    )


def _command(value: object, path: str, problems: list[Problem]) -> Command:
    if isinstance(value, list):
        return tuple(str(part) for part in value)
    if value is None or isinstance(value, str):
        return value or ""
    problems.append(Problem(path, "cmd", "the command is not text"))
    return str(value)


def _items(
    document: Mapping[Any, Any], key: str, path: str, problems: list[Problem]
) -> Iterator[Mapping[Any, Any]]:
    items = document.get(key)
    if items is None:
        return
    if not isinstance(items, list):
        problems.append(Problem(path, key, "it is not a list"))
        return
    for item in items:
        if isinstance(item, Mapping):
            yield item
        else:
            problems.append(Problem(path, key, "an entry is not a mapping"))


def _record(
    item: Mapping[Any, Any], key: str, path: str, problems: list[Problem], *, needs_hash: bool
) -> Recorded | None:
    try:
        record, doubts = read_record(item)
    except RecordError as error:
        problems.append(Problem(path, key, str(error)))
        return None
    kept = doubts if needs_hash else [doubt for doubt in doubts if record.hash is not None]
    problems.extend(Problem(path, key, doubt) for doubt in kept)
    return record


def _deps(document: Mapping[Any, Any], path: str, problems: list[Problem]) -> Iterator[DotDvcDep]:
    for item in _items(document, "deps", path, problems):
        database = item.get("db")
        if isinstance(database, Mapping):
            yield DotDvcDep(None, database=_database(database))
            continue
        repo = _repo(item.get("repo"))
        params = item.get("params")
        needs_hash = repo is None and params is None
        record = _record(item, "deps", path, problems, needs_hash=needs_hash)
        if record is not None:
            values = (
                {str(key): value for key, value in params.items()}
                if isinstance(params, Mapping)
                else None
            )
            yield DotDvcDep(record, repo=repo, params=values)


def _repo(value: object) -> SourceRepo | None:
    if not isinstance(value, Mapping):
        return None
    return SourceRepo(*(_text(value.get(key)) for key in ("url", "rev", "rev_lock")))


def _database(value: Mapping[Any, Any]) -> SourceDatabase:
    keys = ("connection", "query", "table", "file_format")
    return SourceDatabase(*(_text(value.get(key)) for key in keys))


def _outs(document: Mapping[Any, Any], path: str, problems: list[Problem]) -> Iterator[DotDvcOut]:
    for item in _items(document, "outs", path, problems):
        record = _record(item, "outs", path, problems, needs_hash=False)
        if record is None:
            continue
        kind: OutKind = "metric" if item.get("metric") else "plot" if item.get("plot") else "out"
        yield DotDvcOut(record, read_flags(item, kind))


def is_dot_dvc(name: str) -> bool:
    """Tell whether a file name is that of a `.dvc` file, not of DVC's own folder."""
    return name.endswith(DVC_SUFFIX) and name != DVC_SUFFIX


def _text(value: object) -> str:
    return "" if value is None else str(value)
