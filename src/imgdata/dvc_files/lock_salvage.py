"""A dvc.lock that is no YAML as a whole: the entries that can still be read on their own.

Merge conflicts, a byte that is no UTF-8, or one broken entry make a lock unreadable for DVC. The
file is cut at the lines that name stages; a part that cannot be read, or that lies in a merge
conflict, is left out and named.
"""

import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.yaml12 import YamlError, read_yaml

_STAGES = re.compile(
    rb"^stages:[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n|[<=>]{7}[^\n]*\n)*( +)", re.MULTILINE
)
_SCHEMA = re.compile(rb"^schema:[ \t]*['\"]?([^'\"\s]+)", re.MULTILINE)
_MARKER = re.compile(rb"^(?:(<{7})|(={7})|(>{7})|\|{7})(?: [^\n]*)?\r?$")


class _Part(Struct, frozen=True):
    """The lines of one entry."""

    name: bytes
    lines: tuple[bytes, ...]
    in_conflict: bool


def salvage(data: bytes, path: str, reason: str) -> tuple[str, dict[object, object], list[Problem]]:
    """Return the schema, the entries that can be read (as parsed YAML), and what was left out.

    Args:
        data: The file's bytes.
        path: Where it lies, for problems.
        reason: Why the file as a whole cannot be read.
    """
    problems = [Problem(path, "", f"{reason}; its entries are read one by one")]
    inside = _STAGES.search(data)
    indent = inside[1] if inside else b""
    schema = _SCHEMA.search(data)
    found: dict[object, object] = {}
    parts = list(_parts(data, indent))
    counts = Counter(part.name for part in parts)
    in_conflict = dict.fromkeys(part.name for part in parts if part.in_conflict)
    for part in parts:
        name = part.name.decode("utf-8", "replace").strip("'\"")
        if part.in_conflict:
            if in_conflict.pop(part.name, "") is None:  # both sides have it: told once
                problems.append(Problem(path, name, "the entry lies in a merge conflict"))
        elif counts[part.name] > 1:
            problems.append(Problem(path, name, "the entry is there more than once"))
        else:
            _read(part, name, path, found, problems)
    return (schema[1].decode("ascii", "replace") if schema else ""), found, problems


def _read(
    part: _Part, name: str, path: str, found: dict[object, object], problems: list[Problem]
) -> None:
    try:
        document = read_yaml(b"\n".join(part.lines))
    except YamlError as error:
        problems.append(Problem(path, name, f"the entry cannot be read: {error}"))
        return
    if isinstance(document, dict):
        found.update(document)


def _parts(data: bytes, indent: bytes) -> Iterator[_Part]:
    """Cut the lines at those that name a stage; lines before the first are no part."""
    name_line = re.compile(re.escape(indent) + rb"([^\s#][^\n]*?):\s*$")
    name = b""
    lines: list[bytes] = []
    open_conflict = conflict = False
    for line in data.replace(b"\r\n", b"\n").split(b"\n"):
        marker = _MARKER.match(line)
        if marker:
            open_conflict = not marker[3]
            continue
        found = name_line.match(line)
        if found or (line[:1].strip() and indent):
            if name:
                yield _Part(name, tuple(lines), conflict)
            name, lines, conflict = (found[1] if found else b""), [], False
        lines.append(line)
        conflict = conflict or (open_conflict and bool(line.strip()))
    if name:
        yield _Part(name, tuple(lines), conflict)
