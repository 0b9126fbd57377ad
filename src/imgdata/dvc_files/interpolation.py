r"""`${...}` in dvc.yaml: variables, and texts that name them.

Follows DVC's own rules: a text that is one `${x}` becomes the value itself, inside other text the
value is written out; `\${` stays `${`; a mapping in a command becomes options.

Source: dvc/parsing/context.py and interpolate.py of DVC 3.67.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from msgspec import Struct, field

from imgdata.dvc_files.params import DEFAULT_PARAMS_FILE, ParamsError, read_params_file
from imgdata.dvc_files.places import join, resolve
from imgdata.dvc_files.yaml_loader import YamlValue
from imgdata.ports import Tree

_REFERENCE: Final = re.compile(r"(?<!\\)\${(?P<inner>.*?)}")
_EXPRESSION: Final = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[[^.\[\]]+\]\s*)*\Z")


class InterpolationError(ValueError):
    """A variable is missing, given twice, or of a kind that cannot stand there."""


class CommandStyle(Struct, frozen=True):
    """How a mapping or list becomes options of a command: `parsing` in DVC's configuration."""

    booleans: Literal["store_true", "boolean_optional"] = "store_true"
    lists: Literal["nargs", "append"] = "nargs"


DEFAULT_STYLE: Final = CommandStyle()


class Variables(Struct):
    """The variables of one dvc.yaml, one stage, or one item.

    Attributes:
        values: Nested values by name; keys that are not text cannot be named and are left out.
        imports: Files loaded so far, with the keys taken, None for all.
        reserved: Names that `vars` may not set (`item`, `key`).
    """

    values: dict[str, Any] = field(default_factory=dict)
    imports: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()

    def copy(self) -> "Variables":
        """Return variables that can be added to without changing these."""
        return Variables(_copied(self.values), dict(self.imports), self.reserved)

    def with_item(self, item: Mapping[str, Any]) -> "Variables":
        """Return variables where `item` and `key` are set, for one stage of a group."""
        named = {name: _named(value) for name, value in item.items()}
        return Variables({**self.values, **named}, self.imports, frozenset(item))

    def select(self, expression: str) -> YamlValue:
        """Return the value a dotted or bracketed expression names.

        Raises:
            InterpolationError: There is none.
        """
        value: Any = self.values
        for part in expression.replace("[", ".").replace("]", "").split("."):
            try:
                value = _step(value, part.strip())
            except (LookupError, ValueError) as error:
                msg = f"there is no variable '{expression}'"
                raise InterpolationError(msg) from error
        return value

    def merge(self, new: Mapping[Any, Any], source: str) -> None:
        """Add variables; mappings are merged, nothing is redefined.

        Raises:
            InterpolationError: A name is there already.
        """
        taken = self.reserved & {str(key) for key in new}
        if taken:
            msg = f"'{min(taken)}' in {source} is reserved for the items of a foreach or matrix"
            raise InterpolationError(msg)
        _merge(self.values, _named(new), source, ())


def _copied(value: dict[str, Any]) -> dict[str, Any]:
    return {key: _copied(item) if isinstance(item, dict) else item for key, item in value.items()}


def _named(value: YamlValue) -> YamlValue:
    """Return the value without the keys of mappings that no expression can name."""
    if isinstance(value, Mapping):
        return {key: _named(item) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [_named(item) for item in value]
    return value


def _step(value: YamlValue, part: str) -> YamlValue:
    if isinstance(value, dict):
        return value[part]
    if isinstance(value, list):
        return value[int(part)]
    msg = "a plain value has no parts"
    raise LookupError(msg)


def _merge(into: dict[str, Any], new: dict[str, Any], source: str, above: tuple[str, ...]) -> None:
    for key, value in new.items():
        if isinstance(into.get(key), dict) and isinstance(value, dict):
            _merge(into[key], value, source, (*above, key))
        elif key in into:
            name = ".".join((*above, key))
            msg = f"'{name}' from {source} is defined already"
            raise InterpolationError(msg)
        else:
            into[key] = value


def load_vars(
    variables: Variables, tree: Tree, items: object, folder: str, *, default: bool
) -> None:
    """Add what a `vars:` list names: files, parts of files (`file:key,key`), inline mappings.

    Args:
        variables: Added to in place; what comes before a failing item is kept.
        tree: Where files are read.
        items: The list as written.
        folder: The folder files are relative to, seen from the tree's root.
        default: Also load params.yaml of that folder first, if there is one.

    Raises:
        InterpolationError: An item is missing, unreadable, or redefines a name.
    """
    if default and tree.read(join(folder, DEFAULT_PARAMS_FILE)) is not None:
        _load_file(variables, tree, DEFAULT_PARAMS_FILE, folder)
    if items is None:
        return
    if not isinstance(items, list):
        msg = "vars is not a list of files and mappings"
        raise InterpolationError(msg)
    for index, item in enumerate(items):
        if has_reference(item):
            msg = "vars cannot hold ${...} themselves"
            raise InterpolationError(msg)
        if isinstance(item, str):
            _load_file(variables, tree, item, folder)
        elif isinstance(item, Mapping):
            variables.merge(item, f"vars[{index}]")
        else:
            msg = f"vars[{index}] is neither a file nor a mapping"
            raise InterpolationError(msg)


def _load_file(variables: Variables, tree: Tree, item: str, folder: str) -> None:
    written, _, keys = item.partition(":")
    path = resolve(written, folder).path
    wanted = tuple(key for key in keys.split(",") if key) or None
    if path in variables.imports:
        before = variables.imports[path]
        if before is None and wanted is None:
            return
        if before is None or wanted is None or set(before) & set(wanted):
            msg = f"'{item}' is loaded already, in whole or in part"
            raise InterpolationError(msg)
    try:
        document: Mapping[Any, Any] = read_params_file(tree, path)
    except ParamsError as error:
        msg = f"the variables of '{item}' cannot be loaded: {error}"
        raise InterpolationError(msg) from error
    missing = [key for key in wanted or () if key not in document]
    if missing:
        msg = f"there is no '{missing[0]}' in '{path}'"
        raise InterpolationError(msg)
    if wanted:
        document = {key: document[key] for key in wanted}
    variables.merge(document, f"'{item}'")
    variables.imports[path] = (*(variables.imports.get(path) or ()), *wanted) if wanted else None


def has_reference(value: object) -> bool:
    """Tell whether a value holds `${...}` anywhere."""
    match value:
        case str():
            return _REFERENCE.search(value) is not None
        case Mapping():
            return any(has_reference(key) or has_reference(item) for key, item in value.items())
        case list():
            return any(has_reference(item) for item in value)
        case _:
            return False


def exact_reference(text: str) -> str | None:
    """Return the expression of a text that is one `${expression}` and nothing else."""
    found = _REFERENCE.match(text)
    return found["inner"] if found is not None and found.end() == len(text) else None


def interpolate(
    value: YamlValue,
    variables: Variables,
    key: str | None = None,
    style: CommandStyle = DEFAULT_STYLE,
) -> YamlValue:
    """Return the value with every `${...}` in texts, keys and items replaced.

    Args:
        value: Text, list, mapping or plain value as written in dvc.yaml.
        variables: What the expressions name.
        key: The key of the stage it stands under: `cmd` may take mappings, other keys take
            plain values only. None where lists and mappings may stand (foreach, matrix).
        style: How a mapping becomes options.

    Raises:
        InterpolationError: A variable is missing or of a kind that cannot stand there.
    """
    if isinstance(value, str):
        return _text(value, variables, key, style) if "${" in value else value
    if isinstance(value, Mapping):
        return {
            interpolate(name, variables, key, style): interpolate(item, variables, key, style)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [interpolate(item, variables, key, style) for item in value]
    return value


def _text(text: str, variables: Variables, key: str | None, style: CommandStyle) -> YamlValue:
    expression = exact_reference(text)
    if expression is not None:
        return _looked_up(expression, variables, key)

    def written_out(found: re.Match[str]) -> str:
        return write_out(_looked_up(found["inner"], variables, key), style)

    return _REFERENCE.sub(written_out, text).replace("\\${", "${")


def _looked_up(expression: str, variables: Variables, key: str | None) -> YamlValue:
    if not _EXPRESSION.match(expression):
        msg = f"'${{{expression}}}' is not the name of a variable"
        raise InterpolationError(msg)
    value = variables.select(expression)
    composite = isinstance(value, dict | list)
    if composite and key is not None and not (key == "cmd" and isinstance(value, dict)):
        kind = "mapping" if isinstance(value, dict) else "list"
        msg = f"'${{{expression}}}' is a {kind}, which cannot stand in '{key}'"
        raise InterpolationError(msg)
    return value


def write_out(value: YamlValue, style: CommandStyle = DEFAULT_STYLE) -> str:
    """Return a value as DVC writes it into text.

    Raises:
        InterpolationError: A mapping holds lists of lists.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return " ".join(_options(value, style))
    return str(value)


def _options(mapping: dict[str, Any], style: CommandStyle) -> Iterator[str]:
    for name, value in _flat(mapping, ()):
        if isinstance(value, bool):
            if value:
                yield f"--{name}"
            elif style.booleans == "boolean_optional":
                yield f"--no-{name}"
        elif isinstance(value, str):
            yield f"--{name} {shlex.quote(value)}"
        elif isinstance(value, list | tuple):
            yield from _list_options(name, list(value), style)
        else:
            yield f"--{name} {value}"


def _list_options(name: str, items: list[Any], style: CommandStyle) -> Iterator[str]:
    for index, item in enumerate(items):
        if isinstance(item, list | tuple | dict):
            msg = f"'{name}' holds a list of lists, which no command can take"
            raise InterpolationError(msg)
        shown = shlex.quote(item) if isinstance(item, str) else str(item)
        yield shown if index and style.lists == "nargs" else f"--{name} {shown}"


def _flat(mapping: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from _flat(value, (*above, key))
        else:
            yield ".".join((*above, key)), value
