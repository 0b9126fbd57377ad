"""Parameter files: YAML, JSON, TOML and Python, read as DVC reads them.

A Python file is parsed, never imported or run: assignments of literals at the top level, in
classes, and to `self` in `__init__`.
"""

import ast
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from imgdata.dvc_files.yaml12 import YamlError, read_yaml
from imgdata.dvc_files.yaml_loader import YamlValue
from imgdata.ports import Tree

DEFAULT_PARAMS_FILE = "params.yaml"


class ParamsError(ValueError):
    """A parameter file is missing or cannot be read; the message is a clause that says why."""


def read_params_file(tree: Tree, path: str) -> dict[str, Any]:
    """Return everything a parameter file holds.

    Raises:
        ParamsError: There is no such file, or it holds no mapping.
    """
    data = tree.read(path)
    if data is None:
        msg = f"'{path}' is a folder" if tree.is_folder(path) else f"'{path}' does not exist"
        raise ParamsError(msg)
    return parse_params(data, path)


def parse_params(data: bytes, path: str) -> dict[str, Any]:
    """Return what the bytes of a parameter file hold; the name's suffix says the format.

    Raises:
        ParamsError: They are not of that format, or hold no mapping.
    """
    suffix = path[path.rfind(".") :].lower() if "." in path.rpartition("/")[2] else ""
    try:
        match suffix:
            case ".json":
                document = json.loads(data or b"{}")
            case ".toml":
                import tomllib  # noqa: PLC0415 - most projects have no such file

                document = tomllib.loads(data.decode("utf-8"))
            case ".py":
                document = _python(_parsed(data), only_self=False)
            case _:
                document = read_yaml(data)
    except YamlError as error:
        msg = f"'{path}': {error}"
        raise ParamsError(msg) from error
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        msg = f"'{path}' is not valid {suffix[1:].upper()}: {error}"
        raise ParamsError(msg) from error
    document = document or {}
    if not isinstance(document, dict):
        msg = f"'{path}' holds {type(document).__name__} instead of a mapping"
        raise ParamsError(msg)
    return document


def read_params(tree: Tree, path: str, keys: Iterable[str] = ()) -> Mapping[str, Any]:
    """Return the values of dotted keys in a parameter file; without keys, everything it holds.

    A key with `*` or `?` gives the values of all keys it matches; a key that is not there is
    left out.

    Raises:
        ParamsError: There is no such file, or it cannot be read.
    """
    document = read_params_file(tree, path)
    wanted = tuple(keys)
    if not wanted:
        return document
    found: dict[str, Any] = {}
    for key in wanted:
        found.update(select(document, key))
    return found


def select(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the value behind a dotted key, by that key; by every full key for a pattern."""
    if any(mark in key for mark in "*?["):
        return dict(_matching(document, key.split("."), ()))
    value: Any = document
    for part in key.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif (isinstance(value, Mapping) and part.isdigit() and int(part) in value) or (
            isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value)
        ):
            value = value[int(part)]
        else:
            return {}
    return {key: value}


def _matching(
    value: YamlValue, patterns: list[str], so_far: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    if not patterns:
        yield ".".join(so_far), value
        return
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, inner in items:
        if fnmatchcase(str(key), patterns[0]):
            yield from _matching(inner, patterns[1:], (*so_far, str(key)))


def _parsed(data: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the project's style of escapes is not our business
        return ast.parse(data)


def _python(
    tree: ast.Module | ast.ClassDef | ast.FunctionDef, *, only_self: bool
) -> dict[str, Any]:
    """Return the literal assignments of a module, class or `__init__`, as DVC collects them."""
    found: dict[str, Any] = {}
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ):
                name = _assigned_name(target, only_self=only_self)
                if name is not None:
                    found.update(_literal(name, value))
            case ast.ClassDef(name=name):
                found[name] = _python(node, only_self=False)
            case ast.FunctionDef(name="__init__"):
                found.update(_python(node, only_self=True))
            case _:
                pass
    return found


def _assigned_name(target: ast.expr, *, only_self: bool) -> str | None:
    match target:
        case ast.Name(id=name) if not only_self:
            return name
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case _:
            return None


def _literal(name: str, value: ast.expr) -> dict[str, Any]:
    try:
        return {name: ast.literal_eval(value)}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
