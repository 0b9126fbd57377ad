"""Change single values of a YAML text and leave every other character as it is."""

import json
import re
from collections.abc import Callable, Iterator
from io import StringIO

import yaml
from msgspec import Struct

from imgdata.dvc_files.yaml12 import YamlError
from imgdata.dvc_files.yaml_loader import YamlValue, resolves_to_text
from imgdata.system.yaml_limits import TooMuchError, check_nesting

Path = tuple[str | int, ...]
_PLAIN = re.compile(
    r"(?=[^\s\-?:,\[\]{}#&*!|>'\"%@`])(?:[^\n:#,\[\]{}]|(?<! )#|:(?=[^ \n]))*(?<![ :])\Z"
)
_SHORT = 60  # a command that DVC writes in one line

try:
    from yaml import CSafeLoader as BaseLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader as BaseLoader  # type: ignore[assignment] # the same interface


class Scalar(Struct, frozen=True):
    """One key or plain value.

    Attributes:
        path: Keys and numbers from the top; that of a key ends with the key itself.
        is_key: Whether it is a key.
        value: What it says.
        raw: How it is written, with its quotes.
    """

    path: Path
    is_key: bool
    value: str
    raw: str


def edit_scalars(text: str, edit: Callable[[Scalar], str]) -> str:
    """Return the text with scalars written otherwise.

    Args:
        text: One YAML document.
        edit: Returns how a scalar is to be written; `raw` where it stays.

    Raises:
        YamlError: The text is not YAML.
    """
    parts: list[str] = []
    end = 0
    for start, stop, scalar in sorted(_scalars(text), key=lambda found: found[0]):
        written = edit(scalar)
        if written != scalar.raw:
            parts += [text[end:start], written]
            end = stop
    return "".join([*parts, text[end:]])


def _scalars(text: str) -> Iterator[tuple[int, int, Scalar]]:
    try:
        check_nesting(text)
        node = yaml.compose(text, Loader=BaseLoader)
    except (yaml.YAMLError, TooMuchError, RecursionError) as error:
        msg = f"it is not valid YAML: {error}"
        raise YamlError(msg) from error
    seen: set[int] = set()
    yield from () if node is None else _walk(text, node, (), seen)


def _walk(
    text: str, node: yaml.Node, path: Path, seen: set[int]
) -> Iterator[tuple[int, int, Scalar]]:
    if id(node) in seen:  # an alias: written once, where its anchor is
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield _found(text, node, path, is_key=False)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _walk(text, item, (*path, number), seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield _found(text, key, (*path, key.value), is_key=True)
                yield from _walk(text, value, (*path, key.value), seen)


def _found(
    text: str, node: yaml.ScalarNode, path: Path, *, is_key: bool
) -> tuple[int, int, Scalar]:
    start, end = node.start_mark.index, node.end_mark.index
    return start, end, Scalar(path, is_key, node.value, text[start:end])


def written_like(value: YamlValue, raw: str) -> str:
    """Return how a value is written, quoted as another one was if that is possible."""
    if not isinstance(value, str):
        return json.dumps(value)
    if raw.startswith('"') or not value.isprintable():
        return json.dumps(value, ensure_ascii=False)
    is_plain = bool(_PLAIN.match(value)) and resolves_to_text(value)
    if raw.startswith("'") or not is_plain:
        return "'" + value.replace("'", "''") + "'"
    return value


def written_command(value: str) -> str:
    """Return how DVC writes a stage's command into dvc.lock: over several lines if it is long."""
    one = written_like(value, "")
    if len(one) < _SHORT:
        return one
    from ruamel.yaml import YAML  # noqa: PLC0415 - what DVC writes with; only for long commands

    out = StringIO()
    yaml_of_dvc = YAML()
    yaml_of_dvc.default_flow_style = False
    yaml_of_dvc.dump({"stages": {"stage": {"cmd": value}}}, out)
    return out.getvalue().partition("    cmd: ")[2].rstrip("\n")
