"""Read imgdata.yaml: one JSON Schema decides what is valid, all errors are told at once."""

import hashlib
import json
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from imgdata.errors import InvalidProjectError
from imgdata.model.nearest import nearest
from imgdata.project.build import build_config
from imgdata.project.config import Config
from imgdata.project.meaning import problems_of_meaning
from imgdata.project.yaml_lines import Path as YamlPath
from imgdata.project.yaml_lines import Problem, load_with_lines
from imgdata.system.yaml_limits import TooMuchError

CONFIG_NAME = "imgdata.yaml"
NAME_PATTERN = "^[a-z][a-z0-9_-]{0,31}$"


def schema_text() -> str:
    """Return the JSON Schema of imgdata.yaml, as it is written to `.imgdata/` for editors."""
    return Path(__file__).with_name("imgdata.schema.json").read_text("utf-8")


def load_config(path: Path, *, known_good: Path | None = None) -> Config:
    """Read and validate an imgdata.yaml.

    Args:
        path: The file.
        known_good: A cache file that holds the hash of the last text the schema accepted: the
            validator's import costs more than everything else a status does. May be absent.

    Raises:
        InvalidProjectError: All problems at once, each with its line.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        problem = f"{path.name} is not UTF-8 text"
        raise InvalidProjectError(problem, cause=str(error)) from error
    return parse_config(text, name=path.name, known_good=known_good)


def parse_config(text: str, *, name: str = CONFIG_NAME, known_good: Path | None = None) -> Config:
    """Validate the text of an imgdata.yaml; see `load_config`."""
    try:
        value, lines, problems = load_with_lines(text)
    except yaml.YAMLError as error:
        raise _not_yaml(error, name) from error
    except (TooMuchError, RecursionError) as error:
        problem = f"{name} is not valid YAML"
        remedy = f"write {name} without aliases or deep nesting"
        raise InvalidProjectError(problem, cause=f"{name}: {error}", remedy=remedy) from error
    stamp = hashlib.sha256((schema_text() + text).encode()).hexdigest()
    if known_good is None or _read_stamp(known_good) != stamp:
        problems += list(_problems_of_form(value, lines))
        if not problems and known_good is not None:
            _write_stamp(known_good, stamp)
    if not problems:
        config = build_config(value)
        problems = [(_line(path, lines), said) for path, said in problems_of_meaning(config)]
        if not problems:
            return config
    raise _invalid(problems, name)


def _invalid(problems: list[Problem], name: str) -> InvalidProjectError:
    told = sorted(dict.fromkeys(problems))
    count = "one problem" if len(told) == 1 else f"{len(told)} problems"
    return InvalidProjectError(
        f"{name} has {count}",
        cause="\n".join(f"{name}:{line}: {text}" for line, text in told),
        remedy=f"correct {name}; every key is described in .imgdata/imgdata.schema.json",
    )


def _not_yaml(error: yaml.YAMLError, name: str) -> InvalidProjectError:
    mark = getattr(error, "problem_mark", None)
    where = f"{name}:{mark.line + 1}: " if mark else ""
    said = getattr(error, "problem", None) or str(error)
    return InvalidProjectError(
        f"{name} is not valid YAML",
        cause=f"{where}{said}",
        remedy=f"correct the indentation or quoting in {name}",
    )


def _problems_of_form(value: object, lines: Mapping[YamlPath, int]) -> Iterator[Problem]:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow to import, rarely needed

    schema = json.loads(schema_text())
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in checker.iter_errors(value):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            for key in sorted(set(error.instance) - set(error.schema["properties"]), key=str):
                if not str(key).startswith("x-"):
                    yield _line((*path, str(key)), lines), _unknown_key(str(key), error.schema)
        elif "propertyNames" in error.absolute_schema_path:
            yield _line((*path, str(error.instance)), lines), _wrong_name(error)
        else:
            yield _line(path, lines), _say(error, path)


def _unknown_key(key: str, schema: Mapping[str, Any]) -> str:
    near = nearest(key, schema["properties"])
    hint = f"; did you mean '{near[0]}'?" if near else ""
    known = ", ".join(schema["properties"])
    return f"unknown key '{key}'{hint or f'; known: {known}'}"


def _wrong_name(error: Any) -> str:  # noqa: ANN401 - jsonschema ships no types
    if error.validator_value == NAME_PATTERN:
        rule = "must be lower-case letters, digits, '-' or '_', 32 at most, a letter first"
    else:
        rule = f"does not fit {error.validator_value}"
    return f"the name {_shown(error.instance)} {rule}"


def _shown(value: object) -> str:
    """Return the beginning of a value, whatever it stands for."""
    return reprlib.repr(value)[:60]


def _say(error: Any, path: YamlPath) -> str:  # noqa: ANN401 - jsonschema ships no types
    """Put one validation error into words."""
    where = f"'{path[-1]}'" if path else "the file"
    shown = _shown(error.instance)
    match error.validator:
        case "required":
            missing = sorted(set(error.validator_value) - set(error.instance))
            return f"{where} lacks {', '.join(repr(name) for name in missing)}"
        case "enum":
            allowed = ", ".join(str(item) for item in error.validator_value)
            return f"{where} must be one of {allowed}; found {shown}"
        case "const":
            return f"{where} must be {error.validator_value}; found {shown}"
        case "type":
            return f"{where} must be {_type_words(error.validator_value)}; found {shown}"
        case "pattern" if error.validator_value == NAME_PATTERN:
            return _wrong_name(error)
        case "format":
            return f"{where}: {shown} is not a {error.validator_value}"
        case "anyOf":
            return f"{where}: {shown} is neither a name nor a list of names"
        case _:
            return f"{where}: {shown} does not fit {error.validator} {error.validator_value}"


def _type_words(types: str | list[str]) -> str:
    words = {
        "object": "a mapping",
        "array": "a list",
        "string": "text",
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
    }
    names = [types] if isinstance(types, str) else types
    return " or ".join(words.get(name, name) for name in names)


def _line(path: YamlPath, lines: Mapping[YamlPath, int]) -> int:
    """Return the line of a path, or of the nearest thing above it that stands in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _read_stamp(path: Path) -> str | None:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None


def _write_stamp(path: Path, stamp: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(stamp, "ascii")
    except OSError:
        return  # a read-only checkout validates each time
