"""YAML as DVC understands it: version 1.2, read by libyaml.

PyYAML follows YAML 1.1, where `on` is true, `1:30` is ninety and `1e-3` is text; DVC reads with
ruamel.yaml, which follows 1.2. Every failure is one error with a clause in plain words.
"""

import re

import yaml

from imgdata.dvc_files.yaml_loader import YamlValue, load
from imgdata.system.yaml_limits import TooMuchError, check_aliases, check_nesting

CONFLICT = "merge conflict markers"
_CONFLICT = re.compile(rb"^(?:<{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)


class YamlError(ValueError):
    """The text is not YAML; the message is a clause that says why and where."""


def read_yaml(data: bytes | str) -> YamlValue:
    """Return the one document of a YAML text as plain Python values.

    Raises:
        YamlError: The text is not UTF-8 or not YAML, has a duplicate key, several documents, or
            is nested too deeply.
    """
    text = data if isinstance(data, str) else _decode(data)
    try:
        check_nesting(text)
        document = load(text)
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
    return f" ({CONFLICT})" if has_conflict(text.encode("utf-8", "replace")) else ""


def has_conflict(data: bytes) -> bool:
    """Tell whether the bytes hold git's conflict markers at the start of a line."""
    return _CONFLICT.search(data) is not None
