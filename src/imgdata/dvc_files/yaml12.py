"""YAML as DVC understands it: version 1.2, read by libyaml.

PyYAML follows YAML 1.1, where `on` is true, `1:30` is ninety and `1e-3` is text; DVC reads with
ruamel.yaml, which follows 1.2. The rules of 1.2 for plain scalars are put on PyYAML's C loader
here. Checksums and paths keep the text that was written, also where YAML would see a number.

Source: https://yaml.org/spec/1.2.2/#1032-tag-resolution and ruamel.yaml's own table.
"""

import re
from collections.abc import Callable
from typing import Any

import yaml

from imgdata.system.yaml_limits import TooMuchError, check_aliases, check_nesting

try:
    from yaml import CSafeLoader as _FastLoader
except ImportError:  # PyYAML built without libyaml: slower, same answers.
    from yaml import SafeLoader as _FastLoader  # type: ignore[assignment] # same interface

TEXT_KEYS = frozenset(
    ("path", "relpath", "md5", "etag", "checksum", "version_id", "hash", "rev", "rev_lock", "url")
)
"""Keys of dep and out entries whose plain value is kept as text, whatever it looks like."""

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
_FIRSTS_OF_OTHERS = frozenset("-+.0123456789tTfFnN~<=")
_MAX_DIGITS = 4000
_CONFLICT = re.compile(rb"^(?:<{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)

_TAG = "tag:yaml.org,2002:"

YamlValue = Any
"""Whatever a YAML text can hold: texts, numbers, dates, None, lists and mappings of them."""


class YamlError(ValueError):
    """The text is not YAML; the message is a clause that says why and where."""


class _Loader(_FastLoader):
    """The C loader with the plain scalars of YAML 1.2 and no silent duplicate keys."""

    def construct_mapping(self, node: YamlValue, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        if isinstance(node, yaml.MappingNode):
            _keep_text(node)
            written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(written)) != len(written):
                twice = next(key for key in written if written.count(key) > 1)
                msg = f"the key '{twice}' is there twice"
                raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark)
        return super().construct_mapping(node, deep=deep)


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


_NUMBERS = frozenset(_TAG + name for name in ("int", "float", "timestamp"))


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


def _teach() -> None:
    _Loader.yaml_implicit_resolvers = {}
    rules: tuple[tuple[str, re.Pattern[str], str], ...] = (
        ("bool", _BOOL, "tTfF"),
        ("float", _FLOAT, "-+0123456789."),
        ("int", _INT, "-+0123456789"),
        ("merge", re.compile(r"<<\Z"), "<"),
        ("timestamp", _TIMESTAMP, "0123456789"),
    )
    for name, pattern, firsts in rules:
        _Loader.add_implicit_resolver(_TAG + name, pattern, list(firsts))
    _Loader.add_implicit_resolver(_TAG + "null", _NULL, ["~", "n", "N", ""])
    constructors: dict[str, Callable[[Any, Any], Any]] = {
        "int": _construct_int,
        "float": _construct_float,
    }
    for name, construct in constructors.items():
        _Loader.add_constructor(_TAG + name, construct)


_teach()


def read_yaml(data: bytes | str) -> YamlValue:
    """Return the one document of a YAML text as plain Python values.

    Raises:
        YamlError: The text is not UTF-8 or not YAML, has a duplicate key, several documents, or
            is nested too deeply.
    """
    text = data if isinstance(data, str) else _decode(data)
    try:
        check_nesting(text)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, other scalars
        check_aliases(text, document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        msg = f"it is not valid YAML{where}: {error.problem or error.context}{_hint(text)}"
        raise YamlError(msg) from error
    except yaml.YAMLError as error:
        line = str(error).splitlines()[0]
        msg = f"it is not valid YAML: {line}{_hint(text)}"
        raise YamlError(msg) from error
    except TooMuchError as error:
        raise YamlError(str(error)) from error
    except (RecursionError, ValueError, OverflowError, TypeError) as error:
        msg = f"it cannot be read as YAML: {error}"
        raise YamlError(msg) from error
    return document


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        msg = f"it is not UTF-8 text: byte 0x{data[error.start]:02x} in line {line}"
        raise YamlError(msg) from error


def _hint(text: str) -> str:
    return " (merge conflict markers)" if has_conflict(text.encode("utf-8", "replace")) else ""


def has_conflict(data: bytes) -> bool:
    """Tell whether the bytes hold git's conflict markers at the start of a line."""
    return _CONFLICT.search(data) is not None


def resolves_to_text(value: str) -> bool:
    """Tell whether YAML 1.2 reads this plain scalar as text, not as a number, date or the like."""
    if value and value[0] not in _FIRSTS_OF_OTHERS:
        return True
    return not (
        value in ("<<", "=")
        or _BOOL.match(value)
        or _NULL.match(value)
        or _FLOAT.match(value)
        or _INT.match(value)
        or _TIMESTAMP.match(value)
    )
