"""Merge two dvc.lock of one ancestor, stage by stage, without touching the text of any entry.

An entry says how one result was made, so it is taken whole from one side or not at all: lines of
two runs are never mixed. Entries that both sides changed differently stay a conflict, with
markers around just that entry.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from msgspec import Struct

from imgdata.dvc_files.lock_text import IrregularError, LockText
from imgdata.dvc_files.yaml12 import YamlError, has_conflict, read_yaml

_HEAD = "schema: '2.0'\nstages:\n"
_NOTHING = "schema: '2.0'\nstages: {}\n"
_STAGES = re.compile(r"^stages:[ \t]*\n(?:[ \t]*(?:#[^\n]*)?\n)*?(?=( +)[^\s#])", re.MULTILINE)
_NO_STAGES = re.compile(r"^stages:[ \t]*(?:\{\}|null|~)?[ \t]*$", re.MULTILINE)
_IN_CONFLICT = re.compile(rb"^<{7,} .*?^>{7,} [^\n]*\n", re.MULTILINE | re.DOTALL)

Blocks = Mapping[str, str]


class _Cut(Struct, frozen=True):
    """A lock in parts: what precedes the entries, how far names are indented, each entry's text.

    Every text ends with a newline.
    """

    head: str
    indent: str
    blocks: Blocks


_EMPTY = _Cut(_HEAD, "  ", {})


class MergedLock(Struct, frozen=True):
    """The merged text.

    Attributes:
        data: The file's bytes; with conflict markers where there are conflicts.
        conflicts: The names of the stages that both sides recorded differently, in order.
    """

    data: bytes
    conflicts: tuple[str, ...]


def merge_locks(base: bytes, ours: bytes, theirs: bytes) -> MergedLock:
    """Merge two versions of a dvc.lock; bytes that are empty stand for a file that is not there.

    Raises:
        IrregularError: A side cannot be cut into entries (it holds conflict markers, is no YAML,
            or the two have different schemas): only a merge of lines is possible.
    """
    mine, other_side = _cut(ours), _cut(theirs)
    our_blocks, their_blocks, base_blocks = mine.blocks, other_side.blocks, _cut_ancestor(base)
    if our_blocks and their_blocks and mine.indent != other_side.indent:
        raise IrregularError
    parts: list[str] = []
    conflicts: list[str] = []
    for name in _order(our_blocks, their_blocks):
        was, one, other = (some.get(name) for some in (base_blocks, our_blocks, their_blocks))
        if _same(one, other) or _same(other, was):
            parts.append(one or "")
        elif _same(one, was):
            parts.append(other or "")
        else:
            conflicts.append(name)
            parts.append(f"<<<<<<< ours\n{one or ''}=======\n{other or ''}>>>>>>> theirs\n")
    head = mine.head if our_blocks or not their_blocks else other_side.head
    text = head + "".join(parts) if any(parts) else _NOTHING
    if not conflicts and any(parts):
        _refuse_unreadable(text)
    return MergedLock(_encoded(text, ours or theirs), tuple(conflicts))


def _refuse_unreadable(text: str) -> None:
    """Make sure that what no person will look at is a lock."""
    try:
        LockText(text.encode())
    except IrregularError:
        try:
            read_yaml(text)
        except YamlError as error:
            raise IrregularError from error


def _encoded(text: str, like: bytes) -> bytes:
    if b"\r\n" in like:
        text = text.replace("\n", "\r\n")
    return text.encode()


def _order(ours: Blocks, theirs: Blocks) -> list[str]:
    """Return all names: ours in their order, each new one of theirs after its neighbour."""
    names = list(ours)
    after = 0
    for name in theirs:
        if name in ours:
            after = names.index(name) + 1
        else:
            names.insert(after, name)
            after += 1
    return names


def _same(one: str | None, other: str | None) -> bool:
    """Tell whether two texts say the same, however they are quoted or folded."""
    if one == other or one is None or other is None:
        return one == other
    try:
        return bool(read_yaml(one) == read_yaml(other))
    except YamlError:
        return False


def _cut(data: bytes) -> _Cut:
    if not data.strip():
        return _EMPTY
    try:
        lock = LockText(data)
    except IrregularError:
        return _cut_by_yaml(data)
    blocks = {name: _ended(lock.entry_text(name) or "") for name in lock.names}
    return _Cut(_HEAD, "  ", blocks)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _cut_by_yaml(data: bytes) -> _Cut:
    """Cut a lock that DVC did not write in this form; each part must mean what it meant inside.

    Raises:
        IrregularError: It does not: anchors, a second mapping, conflict markers.
    """
    text = _text(data)
    try:
        document = read_yaml(text)
    except YamlError as error:
        raise IrregularError from error
    if not isinstance(document, dict) or has_conflict(data):
        raise IrregularError
    head, indent, stages = _frame(text, document)
    blocks: dict[str, str] = {}
    for part in _parts(text[len(head) :], indent):
        try:
            value = read_yaml(part)
        except YamlError as error:
            raise IrregularError from error
        if not isinstance(value, dict) or len(value) != 1:
            raise IrregularError
        name = next(iter(value))
        if name not in stages or stages[name] != value[name]:
            raise IrregularError
        blocks[str(name)] = part
    if len(blocks) != len(stages):
        raise IrregularError
    return _Cut(head, indent, blocks) if blocks else _EMPTY


def _frame(text: str, document: dict[object, object]) -> tuple[str, str, Mapping[object, object]]:
    """Return the head, the indent of the stages' names and the stages of a parsed lock."""
    if "schema" not in document and "stages" not in document:
        return "", "", document
    stages = document.get("stages") or {}
    found = _STAGES.search(text)
    if not stages and _NO_STAGES.search(text):
        return text, "  ", {}
    if found is None or not isinstance(stages, dict):
        raise IrregularError
    return text[: found.end()], found[1], stages


def _parts(body: str, indent: str) -> Iterator[str]:
    """Cut at the lines that name a stage; a comment above a name belongs to what precedes it."""
    starts = [found.start() for found in re.finditer(rf"^{indent}(?=[^\s#])", body, re.MULTILINE)]
    if body.strip() and (not starts or body[: starts[0]].strip()):
        raise IrregularError
    for start, end in pairwise([*starts, len(body)]):
        yield _ended(body[start:end])


def _cut_ancestor(data: bytes) -> dict[str, str]:
    """Return the entries of the common ancestor as far as they can be read.

    An entry left out here only means that two sides that differ in it stay a conflict. Git itself
    makes an ancestor with conflict markers where two branches have several common ancestors.
    """
    for readable in (data, _IN_CONFLICT.sub(b"", data)):
        try:
            return dict(_cut(readable).blocks)
        except IrregularError:
            continue
    return {}


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise IrregularError from error
