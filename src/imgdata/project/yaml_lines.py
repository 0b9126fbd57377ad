"""YAML with the line of every value, so that an error can point at it."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from imgdata.system.yaml_limits import check_aliases, check_nesting

Path = tuple[str | int, ...]
Problem = tuple[int, str]
TEXT_TAG = "tag:yaml.org,2002:str"

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
    """Return the value, the line of every path in it, and what is wrong with its keys.

    Keys are texts: a number or date that stands as one is read as it is written.

    Raises:
        yaml.YAMLError: The text is not YAML; the error knows the line.
        TooMuchError: It nests too deeply, or its aliases stand for too much.
    """
    check_nesting(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {(): 1}, []
        lines: dict[Path, int] = {}
        problems: list[Problem] = []
        _make_keys_text(node, set())
        value = loader.construct_document(node)
        check_aliases(text, value)
    finally:
        loader.dispose()
    for path, line, twice in _walk(node, ()):
        if twice:
            problems.append((line, f"'{path[-1]}' stands here twice"))
        lines.setdefault(path, line)
    return value, lines, problems


def _make_keys_text(node: yaml.Node, seen: set[int]) -> None:
    """Let every scalar key be a text, so that `1:` and `1.0:` are names like any other."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    for item in node.value:
        pair = item if isinstance(node, yaml.MappingNode) else (item,)
        if len(pair) == 2 and isinstance(pair[0], yaml.ScalarNode):  # noqa: PLR2004 - key and value
            pair[0].tag = pair[0].tag if pair[0].tag.endswith(":merge") else TEXT_TAG
        for one in pair:
            _make_keys_text(one, seen)


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
