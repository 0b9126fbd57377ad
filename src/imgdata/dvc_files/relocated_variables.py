"""Variables that make up a level's folder: `data/${item.masks}/${plate}` with `masks` in a list.

A path in dvc.yaml may be put together from values of params.yaml or of a foreach. Where the
literal text does not say where a level lies, the values it is made of have to change.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from msgspec import Struct, field

from imgdata.dvc_files.groups import is_group
from imgdata.dvc_files.interpolation import exact_reference
from imgdata.dvc_files.params import DEFAULT_PARAMS_FILE
from imgdata.dvc_files.places import folder_of, resolve
from imgdata.dvc_files.relocation import Relocation, named_vars
from imgdata.dvc_files.scalars import Path, Scalar, edit_scalars, written_like
from imgdata.dvc_files.yaml12 import read_yaml
from imgdata.ports import Tree

ANY = -1
"""Stands for any key or number in a pattern of paths."""
_REFERENCE = re.compile(r"(?<!\\)\$\{(.*?)\}")
_YAML = (".yaml", ".yml")
Pattern = tuple[Path, bool]
"""A path from the top of a variable file, and whether its key is meant."""


class ChangedVariables(Struct):
    """The files whose values were changed.

    Attributes:
        texts: What they say afterwards, by path.
        keys: Keys that have another name, by file: dotted key before and after.
    """

    texts: dict[str, str] = field(default_factory=dict)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)


def variable_files(tree: Tree, pipeline: str) -> tuple[str, ...]:
    """Return the YAML files a dvc.yaml takes variables from: params.yaml and those of `vars`."""
    folder = folder_of(pipeline)
    text = (tree.read(pipeline) or b"").decode("utf-8")
    named = [DEFAULT_PARAMS_FILE, *sorted(named_vars(text))]
    paths = (resolve(name.partition(":")[0], folder).path for name in named)
    return tuple(
        path
        for path in dict.fromkeys(paths)
        if path.endswith(_YAML) and tree.read(path) is not None
    )


def _document(tree: Tree, path: str) -> Mapping[Any, Any]:
    data = tree.read(path)
    found = None if data is None else read_yaml(data)
    return found if isinstance(found, Mapping) else {}


def change_variables(
    tree: Tree, pipeline: str, groups: Collection[str], move: Relocation
) -> ChangedVariables:
    """Change the values that make up the level's folder in some definitions.

    Args:
        tree: The project with everything else changed.
        pipeline: The dvc.yaml.
        groups: The names of its definitions whose paths do not follow yet.
        move: What moves.

    Raises:
        YamlError: A file is not YAML.
    """
    stages = _document(tree, pipeline).get("stages") or {}
    wanted: set[Pattern] = set()
    inline: set[Pattern] = set()
    for name in groups:
        definition = stages.get(name)
        if isinstance(definition, Mapping):
            for expression in _expressions(definition):
                for pattern, is_inline in _patterns(definition, expression):
                    path = ("stages", name, *pattern[0]) if is_inline else pattern[0]
                    (inline if is_inline else wanted).add((path, pattern[1]))
    changed = ChangedVariables()
    for file in variable_files(tree, pipeline):
        _change(tree, file, wanted, move, changed)
    own = {*inline, *((("vars", ANY, *path), is_key) for path, is_key in wanted)}
    own |= {
        (("stages", name, *do, "vars", ANY, *path), is_key)
        for name in groups
        for do in ((), ("do",))
        for path, is_key in wanted
    }
    _change(tree, pipeline, own, move, changed)
    return changed


def _expressions(definition: Mapping[Any, Any]) -> set[str]:
    """Return what the paths of a definition refer to."""
    template = definition.get("do") if "foreach" in definition else definition
    parts = template if isinstance(template, Mapping) else {}
    texts = _texts([parts.get(key) for key in ("wdir", "deps", "outs", "metrics", "plots")])
    return {found for text in texts for found in _REFERENCE.findall(text)}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _parts(expression: str) -> Path:
    names = expression.replace("[", ".").replace("]", "").split(".")
    return tuple(int(name) if name.strip().isdigit() else name.strip() for name in names)


def _patterns(definition: Mapping[Any, Any], expression: str) -> Iterator[tuple[Pattern, bool]]:
    """Yield where an expression's values stand, and whether that is in the definition itself."""
    first, *rest = _parts(expression)
    if first not in {"item", "key"} or not is_group(definition):
        yield (_parts(expression), False), False
        return
    if "matrix" in definition:
        axis, *inner = rest or ("",)
        source: object = definition["matrix"]
        written = source.get(axis) if isinstance(source, Mapping) else None
        below: Path = ("matrix", axis)
    else:
        inner, written, below = rest, definition["foreach"], ("foreach",)
    reference = exact_reference(written) if isinstance(written, str) else None
    start = below if reference is None else _parts(reference)
    is_inline = reference is None
    if first == "item":
        yield ((*start, ANY, *inner), False), is_inline
    if first == "key" or "matrix" in definition:
        yield ((*start, ANY), True), is_inline


def _change(
    tree: Tree, file: str, patterns: Collection[Pattern], move: Relocation, into: ChangedVariables
) -> None:
    before = (tree.read(file) or b"").decode("utf-8")

    def edit(scalar: Scalar) -> str:
        if not any(_fits(scalar, pattern) for pattern in patterns):
            return scalar.raw
        after = _value(scalar.value, move)
        if after == scalar.value:
            return scalar.raw
        if scalar.is_key:
            dotted = ".".join(map(str, scalar.path))
            stem = ".".join(map(str, scalar.path[:-1]))
            into.keys.setdefault(file, {})[dotted] = f"{stem}.{after}" if stem else after
        return written_like(after, scalar.raw)

    text = edit_scalars(before, edit)
    if text != before:
        into.texts[file] = text


def _fits(scalar: Scalar, pattern: Pattern) -> bool:
    path, is_key = pattern
    return scalar.is_key == is_key and all(
        wanted in {ANY, part} or str(wanted) == part
        for wanted, part in zip_longest(path, scalar.path, fillvalue=None)
    )


def _value(value: str, move: Relocation) -> str:
    """Return a value as it is afterwards: the one part of the path that differs, or the path."""
    before, after = move.path.split("/"), move.to_path.split("/")
    if len(before) == len(after):
        differing = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        if len(differing) == 1 and value == differing[0][0]:
            return differing[0][1]
    return move.in_text(value, "")


def in_values(text: str, move: Relocation) -> str:
    """Return a parameter file with the level's folder named anew where a value is a path in it.

    Raises:
        YamlError: It is not YAML.
    """
    return edit_scalars(
        text, lambda scalar: scalar.raw if scalar.is_key else move.in_text(scalar.raw, "")
    )
