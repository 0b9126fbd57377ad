"""dvc.lock without parsing all of it: cut into entries by lines, parsed entry by entry.

Parsing a lock of 5,000 stages costs over a second; the entries a question needs cost a
millisecond. The cut relies on the shape that DVC writes (entries at one indentation, their keys
two deeper). Whatever has another shape (anchors, flow style, tabs) goes to the full reader.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from imgdata.dvc_files.lock import LOCK_NAME, LockEntry, entry_of, read_lock
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.yaml12 import YamlError, read_yaml

_SCHEMA = re.compile(rb"^(?:schema|stages)[ \t]*:", re.M)
_TOP = re.compile(rb"^[^\s#][^\n]*$", re.M)
_PLAIN_TOP = re.compile(rb"(?:schema:[ ]*(?P<quote>['\"]?)2\.0(?P=quote)|stages:(?:[ ]*\{\})?)[ ]*\r?")
_ENTRY_2 = re.compile(rb"^  (?P<name>[^\s#-][^\n]*?)[ ]*:[ ]*\r?$", re.M)
_ENTRY_1 = re.compile(rb"^(?P<name>[^\s#-][^\n]*?)[ ]*:[ ]*\r?$", re.M)
_CHILD_2 = re.compile(rb"^ {0,3}[^ \r\n]", re.M)
_PLAIN_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.@/=+-]*")
_NOT_TEXT = frozenset((b"true", b"false", b"null", b"True", b"False", b"Null", b"TRUE", b"FALSE", b"NULL"))
_RECORD = re.compile(rb"^(?: {0,2})  (?:(?P<section>[a-z]+):[^\n]*|- (?P<item>[^\n]*))$", re.M)
_PLAIN_PATH = re.compile(rb"path: (?P<path>[A-Za-z_./][A-Za-z0-9_./=+,@ -]*[A-Za-z0-9_/=+@-]|[A-Za-z_.])\r?")
_UNUSUAL = (b"&", b"<<<<<<<", b">>>>>>>", b"\t", b"%YAML", b"\n---", b"\n...", b"? ")


@dataclass(frozen=True, slots=True)
class WrittenPath:
    """One dep or out path of an entry, as written."""

    entry: str
    path: str


class LockText:
    """One dvc.lock, parsed no further than it is asked about."""

    def __init__(self, data: bytes, path: str = LOCK_NAME) -> None:
        """Take the bytes of a lock; `path` is where it lies, for problems."""
        self.data = data
        self.path = path
        self._problems: list[Problem] = []
        self._parsed: dict[str, LockEntry | None] = {}

    @cached_property
    def _slices(self) -> Mapping[str, bytes] | None:
        """Return the text of each entry, or None when the lock has not DVC's shape."""
        return cut_entries(self.data)

    @cached_property
    def _full(self) -> Mapping[str, LockEntry]:
        lock = read_lock(self.data, self.path)
        self._problems += lock.problems
        return lock.entries

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be understood so far; grows with what is asked."""
        if self._slices is None:
            _ = self._full
        return tuple(dict.fromkeys(self._problems))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all entries, in the order of the file."""
        return tuple(self._full if self._slices is None else self._slices)

    def text(self, name: str) -> bytes | None:
        """Return an entry as written, to compare versions; None if it is not there or not cut."""
        return None if self._slices is None else self._slices.get(name)

    def entry(self, name: str) -> LockEntry | None:
        """Return one entry, or None if the lock has none of this name."""
        if self._slices is None:
            return self._full.get(name)
        if name not in self._parsed:
            text = self._slices.get(name)
            self._parsed[name] = None if text is None else self._parse(name, text)
        return self._parsed[name]

    def _parse(self, name: str, text: bytes) -> LockEntry | None:
        try:
            document = read_yaml(text)
        except YamlError:
            # It may lean on something outside of it: only the whole file can tell.
            return self._full.get(name)
        if not isinstance(document, dict) or len(document) != 1:
            return self._full.get(name)
        return entry_of(name, next(iter(document.values())), self.path, self._problems)

    def written(self, section: str) -> Iterator[WrittenPath]:
        """Yield the paths below `deps` or `outs` of all entries, in the order of the file."""
        if self._slices is None:
            for name, entry in self._full.items():
                records = entry.outs if section == "outs" else entry.deps
                yield from (WrittenPath(name, record.path) for record in records)
            return
        wanted = section.encode()
        for name, text in self._slices.items():
            paths = plain_paths(text, wanted)
            if paths is None:
                entry = self.entry(name)
                found = () if entry is None else entry.outs if section == "outs" else entry.deps
                paths = [record.path for record in found]
            yield from (WrittenPath(name, path) for path in paths)


def cut_entries(data: bytes) -> Mapping[str, bytes] | None:
    """Return the text of each entry by name, or None when only a full parse can tell."""
    if any(sign in data for sign in _UNUSUAL[1:]) or b"\n<<:" in data:
        return None
    new = _SCHEMA.search(data) is not None
    if new and any(not _PLAIN_TOP.fullmatch(line) for line in _TOP.findall(data)):
        return None
    starts = list((_ENTRY_2 if new else _ENTRY_1).finditer(data))
    if new and len(_CHILD_2.findall(data)) != len(starts) + len(_TOP.findall(data)):
        return None
    slices: dict[str, bytes] = {}
    for place, start in enumerate(starts):
        name = _name(start["name"])
        if name is None or name in slices:
            return None
        end = starts[place + 1].start() if place + 1 < len(starts) else len(data)
        text = data[start.start() : end]
        slices[name] = _without_top(text) if new else text
    return slices


def _without_top(text: bytes) -> bytes:
    """Cut an entry before the next line at the left margin (a `schema:` at the end)."""
    found = re.search(rb"^[^\s#]", text, re.M)
    return text if found is None else text[: found.start()]


def _name(written: bytes) -> str | None:
    if _PLAIN_NAME.fullmatch(written) and written not in _NOT_TEXT:
        return written.decode("ascii")
    try:
        name = read_yaml(written)
    except YamlError:
        return None
    return name if isinstance(name, str) else None


def plain_paths(text: bytes, section: bytes) -> list[str] | None:
    """Return the paths below a section of one entry, or None when YAML has to read them."""
    paths: list[str] = []
    inside = False
    for found in _RECORD.finditer(text):
        if found["section"] is not None:
            if _indent(text, found) == _keys_indent(text):
                inside = found["section"] == section
            continue
        if not inside or _indent(text, found) != _keys_indent(text):
            continue
        plain = _PLAIN_PATH.fullmatch(found["item"])
        if plain is None or plain["path"] in _NOT_TEXT or _goes_on(text, found):
            return None
        paths.append(plain["path"].decode("ascii"))
    return paths


def _keys_indent(text: bytes) -> int:
    return 4 if text.startswith(b"  ") else 2


def _indent(text: bytes, found: re.Match[bytes]) -> int:
    line = text[found.start() : found.end()]
    return len(line) - len(line.lstrip(b" "))


def _goes_on(text: bytes, found: re.Match[bytes]) -> bool:
    """Tell whether the path is folded onto the next line."""
    key = found.end() + 1 + _keys_indent(text) + 2
    following = text[found.end() + 1 : key + 1]
    return following.strip() != b"" and following[-1:] == b" "


def find_entry(data: bytes, name: str) -> bytes | None:
    """Return the text from which one entry can be read, or None if the lock has no such entry.

    That is the entry alone where the lock has DVC's shape, else the whole lock. One search, so
    that a thousand versions of a lock can be looked through.
    """
    written = name.encode("utf-8", "surrogateescape")
    if not _PLAIN_NAME.fullmatch(written) or any(sign in data for sign in _UNUSUAL[1:]):
        return data
    new = _SCHEMA.search(data) is not None
    margin = rb"  " if new else rb""
    found = re.search(rb"^" + margin + re.escape(written) + rb"[ ]*:[ ]*\r?$", data, re.M)
    if found is None:
        quoted = re.search(rb"['\"]" + re.escape(written) + rb"['\"][ ]*:", data)
        return None if quoted is None and b"{" not in data[:200] else data
    following = re.compile(rb"^ {0,2}[^\s#]" if new else rb"^[^\s#]", re.M)
    end = following.search(data, found.end())
    return data[found.start() : len(data) if end is None else end.start()]
