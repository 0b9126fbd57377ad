"""The C loader of PyYAML, taught the plain scalars of YAML 1.2.

Checksums and paths keep the text that was written, also where YAML would see a number. Texts
without anchors, tags and merge keys, which is nearly all of them, are built twice as fast.

Source: https://yaml.org/spec/1.2.2/#1032-tag-resolution and ruamel.yaml's own table.
"""

import re
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _FastLoader
except ImportError:  # PyYAML built without libyaml: slower, same answers.
    from yaml import SafeLoader as _FastLoader  # type: ignore[assignment] # same interface

YamlValue = Any
"""Whatever a YAML text can hold: texts, numbers, dates, None, lists and mappings of them."""

TEXT_KEYS = frozenset(
    ("path", "relpath", "md5", "etag", "checksum", "version_id", "hash", "rev", "rev_lock", "url")
)
"""Keys of dep and out entries whose plain value is kept as text, whatever it looks like."""

_TAG = "tag:yaml.org,2002:"
_STR = _TAG + "str"
_SEQ = _TAG + "seq"
_MAP = _TAG + "map"
_NUMBERS = frozenset(_TAG + name for name in ("int", "float", "timestamp"))
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_INT = re.compile(r"(?:[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+)\Z")
_TIMESTAMP = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)\Z"
)
_MAX_DIGITS = 4000
_SPECIAL = re.compile(r"[&!]|<<")


_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (_TAG + "bool", _BOOL, "tTfF"),
    (_TAG + "float", _FLOAT, "-+0123456789."),
    (_TAG + "int", _INT, "-+0123456789"),
    (_TAG + "merge", re.compile(r"<<\Z"), "<"),
    (_TAG + "timestamp", _TIMESTAMP, "0123456789"),
    (_TAG + "null", _NULL, "~nN"),
)
_BY_FIRST: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": [(_TAG + "null", _NULL)]}
for _name, _pattern, _firsts in _RULES:
    for _first in _firsts:
        _BY_FIRST.setdefault(_first, []).append((_name, _pattern))


class _Loader(_FastLoader):
    """The C loader with the plain scalars of YAML 1.2 and no silent duplicate keys."""

    def resolve(self, kind: YamlValue, value: YamlValue, implicit: YamlValue) -> str:
        """Return the tag of a node without one; called for every node."""
        if kind is yaml.ScalarNode:
            if implicit[0]:
                for tag, pattern in _BY_FIRST.get(value[:1], ()):
                    if pattern.match(value):
                        return tag
            return _STR
        return _SEQ if kind is yaml.SequenceNode else _MAP

    def construct_mapping(self, node: YamlValue, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        if isinstance(node, yaml.MappingNode):
            _keep_text(node)
            _refuse_twice(node)
        return super().construct_mapping(node, deep=deep)


def _refuse_twice(node: yaml.MappingNode) -> None:
    written: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in written:
            msg = f"the key '{key.value}' is there twice"
            raise yaml.constructor.ConstructorError(None, None, msg, key.start_mark)
        written.add(key.value)


def _keep_text(node: yaml.MappingNode) -> None:
    """Mark the plain numbers behind path and checksum keys as text."""
    for key, value in node.value:
        if (
            isinstance(key, yaml.ScalarNode)
            and key.value in TEXT_KEYS
            and isinstance(value, yaml.ScalarNode)
            and value.tag in _NUMBERS
        ):
            value.tag = _TAG + "str"


def _construct_int(_loader: YamlValue, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if not digits or len(digits) > _MAX_DIGITS:
        raise yaml.constructor.ConstructorError(None, None, "no number", node.start_mark)
    base = {"0b": 2, "0x": 16, "0o": 8}.get(digits[:2])
    return sign * (int(digits[2:], base) if base else int(digits))


def _construct_float(_loader: YamlValue, node: yaml.ScalarNode) -> float:
    text = node.value.replace("_", "").lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor(_TAG + "int", _construct_int)
_Loader.add_constructor(_TAG + "float", _construct_float)


def load(text: str) -> YamlValue:
    """Return the one document of a YAML text.

    Raises:
        yaml.YAMLError: It is not YAML, or holds several documents.
        ValueError: A number or date of it is none.
    """
    if _SPECIAL.search(text):
        return load_by_constructor(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _build(loader, node)
    finally:
        loader.dispose()


def load_by_constructor(text: str) -> YamlValue:
    """Return what `load` returns, always by PyYAML's own constructor."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with other scalars


def _build(loader: _Loader, node: YamlValue) -> YamlValue:
    """Return what a node without anchors and tags stands for."""
    tag = node.tag
    if tag == _STR:
        return node.value
    if tag == _SEQ:
        return [_build(loader, item) for item in node.value]
    if tag != _MAP:
        return loader.construct_object(node, deep=True)
    built: dict[Any, Any] = {}
    for key, value in node.value:
        if key.tag != _STR:
            built[loader.construct_object(key, deep=True)] = _build(loader, value)
        elif key.value in TEXT_KEYS and value.tag in _NUMBERS:
            built[key.value] = value.value
        else:
            built[key.value] = _build(loader, value)
    if len(built) != len(node.value):
        _refuse_twice(node)
    return built


def resolves_to_text(value: str) -> bool:
    """Tell whether YAML 1.2 reads this plain scalar as text, not as a number, date or the like."""
    rules = _BY_FIRST.get(value[:1])
    if rules is None:
        return value != "="
    return not any(pattern.match(value) for _, pattern in rules)
