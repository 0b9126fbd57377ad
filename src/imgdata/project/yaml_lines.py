"""YAML with the line of every value, so that an error can point at it."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

Path = tuple[str | int, ...]
Problem = tuple[int, str]

try:
    from yaml import CSafeLoader as BaseLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader as BaseLoader  # type: ignore[assignment] # the same interface


class _Loader(BaseLoader):
    """Reads scalars as YAML 1.2 does: `on` and `2027-06-01` stay text, as editors show them."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to choose resolvers
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.rsplit(":", 1)[1] in {"null", "int", "float", "merge"}
        ]
        for first, resolvers in BaseLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load_with_lines(text: str) -> tuple[Any, dict[Path, int], list[Problem]]:
    """Return the value, the line of every path in it, and keys that stand there twice.

    Raises:
        yaml.YAMLError: The text is not YAML; the error knows the line.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {(): 1}, []
        value = loader.construct_document(node)
    finally:
        loader.dispose()
    lines: dict[Path, int] = {}
    problems: list[Problem] = []
    for path, line, twice in _walk(node, ()):
        if twice:
            problems.append((line, f"'{path[-1]}' stands here twice"))
        lines.setdefault(path, line)
    return value, lines, problems


def _walk(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int, bool]]:
    yield path, node.start_mark.line + 1, False
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            below = (*path, name)
            yield below, key.start_mark.line + 1, name in seen
            seen.add(name)
            yield from _walk(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*path, index))
