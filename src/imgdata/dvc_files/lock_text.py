"""The text of a dvc.lock in the shape DVC writes it, read line by line without a YAML parser.

DVC writes one form only: two blanks before a stage's name, four before `cmd`, `deps`, `params`
and `outs`, records field by field. Whatever is not in that form is handed to the YAML parser,
section by section where it stands alone, else as a whole (`IrregularError`). A section is taken
only when all its lines are understood, so an open quote or a folded line cannot be misread.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping

from imgdata.dvc_files.lock_entry import (
    NO_PARAMS,
    LockEntry,
    Params,
    command_of,
    params_of,
    records_of,
)
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.recorded import MD5, MD5_DOS2UNIX, Recorded, RecordedHash, is_url
from imgdata.dvc_files.yaml12 import YamlError, read_yaml
from imgdata.dvc_files.yaml_loader import resolves_to_text

_UNUSUAL = re.compile("[\x00-\x08\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_HEAD = re.compile(r"schema: ['\"]2\.0['\"]\nstages:\n")
_NAME_LINE = re.compile(r"^  (?=[^ \n#])(.*)$", re.MULTILINE)
_LESS_INDENTED = re.compile(r"^ ?[^ \n]", re.MULTILINE)
_NAME = re.compile(r"(?:([\w./][^\n:#'\"]*[^\s:#'\"]|[\w./])|'([^'\n]+)'):\Z")
_SECTION = re.compile(r"^    ([a-z]+):(?: ([^\n]*))?\n", re.MULTILINE)
_RECORD = re.compile(
    r"    - path: ([^\n]+)\n(?:      hash: (md5)\n)?"
    r"      md5: ('?)([0-9a-f]{32}(?:\.dir)?)\3\n"
    r"(?:      size: ([0-9]{1,18})\n)?(?:      nfiles: ([0-9]{1,18})\n)?"
    r"(?:      isexec: (true)\n)?"
)
_PLAIN = re.compile(r"(?=[^\s\-?:,\[\]{}#&*!|>'\"%@`])(?:[^\n:#]|(?<! )#|:(?=[^ \n]))*(?<![ ])\Z")
_QUOTED = re.compile(r"'((?:[^'\n]|'')*)'\Z")
_PARAM_FILE = re.compile(r"^      ([^ \n][^\n]*):\n", re.MULTILINE)
_PARAM = re.compile(r"        ([\w.\-]+): ([^\n]+)\n")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}\Z")
_CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "null": None}
_LONGEST_KEY = 1000
_SECTIONS = ("cmd", "deps", "params", "outs")


class IrregularError(ValueError):
    """The text is not in the shape DVC writes; only a YAML parser can tell what it says."""


class LockText:
    """A dvc.lock of schema 2.0, cut into the texts of its entries.

    Making one costs 2 ms for 2,000 stages; entries are read when asked for.

    Args:
        data: The file's bytes.

    Raises:
        IrregularError: The text is not in the shape DVC writes.
    """

    def __init__(self, data: bytes) -> None:
        text = _decoded(data)
        head = _HEAD.match(text)
        if head is None:
            raise IrregularError
        lines = list(_NAME_LINE.finditer(text, head.end()))
        if not lines or lines[0].start() != head.end() or _LESS_INDENTED.search(text, head.end()):
            raise IrregularError
        self._text = text
        self._starts = [line.start() for line in lines]
        self._names = [_name(line[1]) for line in lines]
        self._bodies = [line.end() + 1 for line in lines]
        self._ends = [*self._starts[1:], len(text)]
        self._at = {name: index for index, name in enumerate(self._names)}
        if len(self._at) != len(self._names):
            raise IrregularError
        self._seen_params: dict[str, Params] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all entries, in the order of the file."""
        return tuple(self._names)

    def entry_text(self, name: str) -> str | None:
        """Return the lines of one entry, its name included; None if there is no such entry."""
        index = self._at.get(name)
        return None if index is None else self._text[self._starts[index] : self._ends[index]]

    def mentioning(self, fragment: str) -> tuple[str, ...]:
        """Return the names of all entries whose lines hold the fragment, in order."""
        found: list[str] = []
        at = self._text.find(fragment)
        while at >= 0:
            index = bisect_right(self._starts, at) - 1
            if index >= 0:
                found.append(self._names[index])
            after = self._ends[index] if index >= 0 else at + 1
            at = self._text.find(fragment, max(after, at + 1))
        return tuple(found)

    def entry(self, name: str, path: str, problems: list[Problem]) -> LockEntry | None:
        """Return one entry, noting what is wrong with it; None if there is no such entry.

        Raises:
            IrregularError: Its text cannot be read on its own.
        """
        index = self._at.get(name)
        if index is None:
            return None
        body = self._text[self._bodies[index] : self._ends[index]]
        if not body.endswith("\n"):
            body += "\n"
        sections = dict(_sections(body))
        return LockEntry(
            name=name,
            cmd=_command(sections.get("cmd"), name, path, problems),
            deps=_records(sections.get("deps"), "deps", (name, path), problems),
            outs=_records(sections.get("outs"), "outs", (name, path), problems),
            params=self._params(sections.get("params"), name, path, problems),
        )

    def _params(self, section: str | None, name: str, path: str, problems: list[Problem]) -> Params:
        if section is None:
            return NO_PARAMS
        known = self._seen_params.get(section)
        if known is None:
            before = len(problems)
            values = _simple_params(section)
            known = params_of(
                _by_yaml(section, "params") if values is None else values, name, path, problems
            )
            if len(problems) == before:
                self._seen_params[section] = known
        return known


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IrregularError from error
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if _UNUSUAL.search(text):
        raise IrregularError
    return text


def _name(line: str) -> str:
    found = _NAME.match(line)
    if found is None or len(line) > _LONGEST_KEY:
        raise IrregularError
    plain, quoted = found.groups()
    if plain is None:
        return str(quoted)
    if not resolves_to_text(plain):
        raise IrregularError
    return str(plain)


def _sections(body: str) -> Iterator[tuple[str, str]]:
    """Yield the sections of an entry with their own line; each name once, known names only."""
    starts = list(_SECTION.finditer(body))
    if not starts or starts[0].start() != 0:
        raise IrregularError
    names = [start[1] for start in starts]
    if len(set(names)) != len(names) or not set(names) <= set(_SECTIONS):
        raise IrregularError
    for start, after in zip(starts, [*starts[1:], None], strict=True):
        yield start[1], body[start.start() : after.start() if after else len(body)]


def _by_yaml(section: str, key: str) -> object:
    """Return what a section says on its own."""
    try:
        document = read_yaml(section)
    except YamlError as error:
        raise IrregularError from error
    if not isinstance(document, dict) or list(document) != [key]:
        raise IrregularError
    return document[key]


def _command(
    section: str | None, name: str, path: str, problems: list[Problem]
) -> str | tuple[str, ...]:
    if section is None:
        return command_of(None, name, path, problems)
    first, *more = section[len("    cmd: ") : -1].split("\n")
    if all(line.startswith("      ") for line in more):
        text = " ".join((first, *(line.lstrip(" ") for line in more)))
        value = _scalar_text(text) if "" not in more else None
        if value is not None and not any(line.endswith(" ") for line in (first, *more)):
            return value
    return command_of(_by_yaml(section, "cmd"), name, path, problems)


def _scalar_text(text: str) -> str | None:
    """Return the text a one-line scalar stands for; None where the parser must decide."""
    if _PLAIN.match(text):
        return text if resolves_to_text(text) else None
    quoted = _QUOTED.match(text)
    return quoted[1].replace("''", "'") if quoted else None


def _records(
    section: str | None, key: str, where: tuple[str, str], problems: list[Problem]
) -> tuple[Recorded, ...]:
    if section is None:
        return ()
    found: list[Recorded] = []
    at = section.index("\n") + 1
    while at < len(section):
        match = _RECORD.match(section, at)
        path = _scalar_text(match[1]) if match else None
        if match is None or not path or is_url(path):
            break
        found.append(_record(path, match))
        at = match.end()
    if at == len(section) and section.startswith(f"    {key}:\n"):
        return tuple(found)
    name, file = where
    return tuple(records_of(_by_yaml(section, key), key, (name, file), problems))


def _record(path: str, match: re.Match[str]) -> Recorded:
    _, named, _, md5, size, nfiles, isexec = match.groups()
    return Recorded(
        path,
        RecordedHash(MD5 if named else MD5_DOS2UNIX, md5),
        int(size) if size else None,
        int(nfiles) if nfiles else None,
        isexec is not None,
    )


def _simple_params(section: str) -> dict[str, dict[str, object]] | None:
    """Return params of plain values; None where the parser must decide."""
    if not section.startswith("    params:\n"):
        return None
    files: dict[str, dict[str, object]] = {}
    at = len("    params:\n")
    while at < len(section):
        file = _PARAM_FILE.match(section, at)
        name = _scalar_text(file[1]) if file else None
        if file is None or name is None or name in files:
            return None
        values = files[name] = {}
        at = file.end()
        while found := _PARAM.match(section, at):
            key, text = found.groups()
            if key in values or not resolves_to_text(key) or not _add(values, key, text):
                return None
            at = found.end()
        if not values:
            return None
    return files


def _add(values: dict[str, object], key: str, text: str) -> bool:
    if _NUMBER.match(text):
        values[key] = int(text)
    elif _DECIMAL.match(text):
        values[key] = float(text)
    elif text in _CONSTANTS:
        values[key] = _CONSTANTS[text]
    else:
        value = _scalar_text(text)
        if value is None:
            return False
        values[key] = value
    return True
