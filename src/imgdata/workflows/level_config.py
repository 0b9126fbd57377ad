"""What imgdata.yaml says with a level renamed, or with one more; comments and order stay."""

import json
import re
from collections.abc import Mapping, Sequence

import yaml

from imgdata.dvc_files.scalars import Scalar, edit_scalars, written_like
from imgdata.project.editor import dump_edited, load_editable

_PLAIN = re.compile(r"[A-Za-z][\w./-]*( [\w./-]+)*", re.ASCII)
_NO_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
Value = str | int | Sequence[str]


def with_renamed_level(text: str, level: str, to: str, path: str) -> str:
    """Return imgdata.yaml with a level under another name and at another path."""

    def edit(scalar: Scalar) -> str:
        match scalar.path, scalar.is_key:
            case ("levels", name), True if name == level:
                return written_like(to, scalar.raw)
            case ("levels", name, "path"), False if name == level:
                return written_like(path, scalar.raw)
            case (
                (("levels", _, "from", int()), False)
                | (("levels", _, "from", int(), "level"), False)
                | (("origins", _, "may_leave", int()), False)
            ) if scalar.value == level:
                return written_like(to, scalar.raw)
            case _:
                return scalar.raw

    return edit_scalars(text, edit)


def with_level(text: str, name: str, values: Mapping[str, Value]) -> str:
    """Return imgdata.yaml with one more level after the others.

    Args:
        text: The file.
        name: The level's name.
        values: Its keys in the order they are to stand.
    """
    place = _end_of_levels(text)
    if place is None:
        document = load_editable(text)
        document["levels"][name] = dict(values)
        return dump_edited(document, text)
    line, outer, inner = place
    lines = text.splitlines()
    block = [f"{' ' * outer}{name}:"]
    block += [f"{' ' * inner}{key}: {yaml_value(value)}" for key, value in values.items()]
    spaced = any(not one.strip() for one in lines[_start_of_levels(text) : line])
    lines[line:line] = ["", *block] if spaced else block
    return "\n".join(lines) + "\n"


def _end_of_levels(text: str) -> tuple[int, int, int] | None:
    """Return the number of lines up to the last level's end, and how names and keys are indented.

    None where levels are not written one below the other.
    """
    levels = _levels(text)
    if levels is None or levels.flow_style or not levels.value:
        return None
    key, value = levels.value[-1]
    inner = key.start_mark.column + 2
    if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
        inner = value.value[0][0].start_mark.column
    return _last_line(value) + 1, key.start_mark.column, inner


def _start_of_levels(text: str) -> int:
    levels = _levels(text)
    return 0 if levels is None else levels.start_mark.line


def _levels(text: str) -> yaml.MappingNode | None:
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = document.value if isinstance(document, yaml.MappingNode) else ()
    found = next((value for key, value in pairs if key.value == "levels"), None)
    return found if isinstance(found, yaml.MappingNode) else None


def _last_line(node: yaml.Node) -> int:
    """Return the number of the last line that a value stands on."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        inner = node.value[-1]
        return _last_line(inner[1] if isinstance(inner, tuple) else inner)
    last = node.end_mark
    return last.line - 1 if last.column == 0 and last.line > node.start_mark.line else last.line


def yaml_value(value: object) -> str:
    """Return a value in one line of YAML; quoted where a plain word would not do."""
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {yaml_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(yaml_value(item) for item in value)}]"
    return json.dumps(value)
