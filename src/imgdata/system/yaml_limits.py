"""Bounds for YAML from strangers: nesting that ends a process, aliases that fill its memory."""

import re
from typing import Any

import yaml

MAX_DEPTH = 200
MAX_VALUES = 5_000_000
_DEEP_LINE = re.compile(r"^[ \t\-?:]{100}", re.MULTILINE)
_ALIAS = re.compile(r"(?:^|[\s\[{,:\-])\*[^\s,\]}]", re.MULTILINE)


class TooMuchError(ValueError):
    """The text nests too deeply, or stands for too much; the message is a clause."""


def check_nesting(text: str) -> None:
    """Refuse a text nested more than 200 deep, which would overflow the C parser's stack.

    Costs a search for brackets; only a text with more than 100 of them, or with lines far to the
    right, is parsed an extra time.

    Raises:
        TooMuchError: It is nested too deeply.
    """
    if not _may_be_deep(text):
        return
    depth = 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            msg = f"it is nested more than {MAX_DEPTH} levels deep"
            raise TooMuchError(msg)


def _may_be_deep(text: str) -> bool:
    """Tell from brackets and indentation whether a text could be nested too deeply."""
    brackets = text.count("[") + text.count("{") - text.count("${")
    return brackets > MAX_DEPTH // 2 or _DEEP_LINE.search(text) is not None


def check_aliases(text: str, document: Any) -> None:  # noqa: ANN401 - whatever YAML holds
    """Refuse aliases that refer to themselves or multiply to more than five million values.

    Raises:
        TooMuchError: They do.
    """
    if "&" in text and _ALIAS.search(text) and _values(document, {}) > MAX_VALUES:
        msg = f"its aliases stand for more than {MAX_VALUES} values"
        raise TooMuchError(msg)


def _values(value: Any, known: dict[int, int]) -> int:  # noqa: ANN401 - whatever YAML holds
    """Count the values a document stands for, aliases written out; each object is seen once."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in known:
        count = known[id(value)]
        if count == 0:
            msg = "an alias refers to itself"
            raise TooMuchError(msg)
        return count
    known[id(value)] = 0
    inner = value.values() if isinstance(value, dict) else value
    known[id(value)] = 1 + sum(_values(item, known) for item in inner)
    return known[id(value)]
