"""DataLad's run records: the JSON block between two marker lines of a commit message.

Source: DataLad design document "provenance capture" and the messages of real repositories since
2017. Searching for the words alone finds too much (merges and reverts that quote a message, code
about run records), so only a whole block counts: both marker lines alone on their lines, and
between them a JSON object with a command. Of several blocks the last is the commit's own.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct, field

BELOW = "=== Do not change lines below ==="
ABOVE = "^^^ Do not change lines above ^^^"
SUBJECT = "[DATALAD RUNCMD]"

_BLOCK = re.compile(
    rf"^{re.escape(BELOW)}[ \t]*$\n(.*?)^{re.escape(ABOVE)}[ \t]*$", re.MULTILINE | re.DOTALL
)
_REVERT = re.compile(r"^This reverts commit [0-9a-f]{7,64}", re.MULTILINE)
_SIDECAR = re.compile(r"[0-9a-zA-Z_-]{8,128}")


class RunRecord(Struct, frozen=True):
    """What `datalad run`, `rerun` or `containers-run` noted in a commit message.

    Attributes:
        raw: The JSON object as written.
        cmd: The command, a list joined by spaces; placeholders such as `{pwd}` are kept.
        inputs: Declared inputs as written: relative to `pwd` or to the dataset, globs, absolute.
        extra_inputs: Inputs that are no data: with containers-run the image.
        outputs: Declared outputs, as written: claims, not what changed.
        pwd: Where the command ran, relative to the dataset.
        exit: The command's exit status, None where an old record has none.
        chain: Commits of the runs this one repeats.
        dsid: The dataset's id, empty in old records.
        weak: Why the record is weak evidence, empty when it is not.
        quoted: The commit is a revert: it quotes the record of a run, it is none.
    """

    raw: Mapping[str, Any]
    cmd: str
    inputs: tuple[str, ...] = ()
    extra_inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    pwd: str = "."  # noqa: S105 - the folder it ran in
    exit: int | None = None
    chain: tuple[str, ...] = ()
    dsid: str = ""
    weak: str = ""
    quoted: bool = False

    @property
    def failed(self) -> bool:
        """Whether the command ended with an error."""
        return self.exit not in {0, None}

    @property
    def container(self) -> str:
        """The container image, when `containers-run` made the record; else empty.

        No marker says so: the image is an extra input and the command names it.
        """
        return next((path for path in self.extra_inputs if path and path in self.cmd), "")


class NoRecord(Struct, frozen=True):
    """A message without a usable run record.

    Attributes:
        problem: What is wrong with a block that is there; empty when there is none.
    """

    problem: str = ""


def parse_run_record(
    message: str, sidecar: Callable[[str], bytes | None] | None = None
) -> RunRecord | NoRecord:
    """Read the run record of a commit message.

    Args:
        message: The whole message.
        sidecar: Returns the bytes of `.datalad/runinfo/<id>` at that commit, for datasets
            whose messages hold only the record's id.
    """
    text = message.replace("\r\n", "\n")
    if not text.endswith("\n"):
        text += "\n"
    blocks = _BLOCK.findall(text)
    if not blocks:
        return NoRecord()
    found = _loads(blocks[-1])
    if isinstance(found, str) and _SIDECAR.fullmatch(found):
        data = None if sidecar is None else sidecar(found)
        if data is None:
            return NoRecord(
                f"it is a run, but its record .datalad/runinfo/{found} is not here "
                "(git annex get .datalad/runinfo)"
            )
        found = _loads(_unpacked(data).split("\n")[0])
    if not isinstance(found, dict):
        return NoRecord("the block of its run record is no JSON object")
    if not _command(found.get("cmd")):
        return NoRecord("its run record names no command")
    return _record(found, _weakness(text, len(blocks)), quoted=_REVERT.search(text) is not None)


def _loads(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unpacked(data: bytes) -> str:
    """Return a sidecar's text; DataLad packs it with xz."""
    if data.startswith(b"\xfd7zXZ"):
        import lzma  # noqa: PLC0415 - only datasets with sidecar records pay for it

        try:
            data = lzma.decompress(data)
        except lzma.LZMAError:
            return ""
    return data.decode("utf-8", "replace")


def _weakness(message: str, blocks: int) -> str:
    first = message.split("\n", 1)[0].strip()
    if not first.startswith(SUBJECT):
        return f"the message does not begin with {SUBJECT}: it was edited, or it quotes another"
    if blocks > 1:
        return f"the message holds {blocks} run records; the last one is taken"
    return ""


def _command(cmd: object) -> str:
    if isinstance(cmd, list):
        return " ".join(str(part) for part in cmd)
    return cmd if isinstance(cmd, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(part for part in value if isinstance(part, str))
    return ()


def _record(raw: dict[str, Any], weak: str, *, quoted: bool) -> RunRecord:
    status = raw.get("exit")
    pwd = raw.get("pwd")
    dsid = raw.get("dsid")
    return RunRecord(
        raw=raw,
        cmd=_command(raw.get("cmd")),
        inputs=_texts(raw.get("inputs")),
        extra_inputs=_texts(raw.get("extra_inputs")),
        outputs=_texts(raw.get("outputs")),
        pwd=pwd if isinstance(pwd, str) and pwd else ".",
        exit=status if isinstance(status, int) and not isinstance(status, bool) else None,
        chain=_texts(raw.get("chain")),
        dsid=dsid if isinstance(dsid, str) else "",
        weak=weak,
        quoted=quoted,
    )


class Dataset(Struct, frozen=True):
    """The paths of a dataset at one commit, as far as declared inputs need them.

    Attributes:
        name: The folder name of the dataset, to recognise it in paths of another machine.
        exists: Tells whether a path, file or folder, is in the commit.
        files: Returns the files below a folder.
        submodules: Paths of the submodules.
    """

    name: str
    exists: Callable[[str], bool]
    files: Callable[[str], list[str]]
    submodules: tuple[str, ...] = field(default=())

    def submodule_of(self, path: str) -> str | None:
        """Return the submodule a path is in, or None."""
        inside = [root for root in self.submodules if path == root or path.startswith(f"{root}/")]
        return max(inside, key=len, default=None)


def locate(declared: str, pwd: str, dataset: Dataset) -> tuple[str, ...]:
    """Return the paths a declared input means, relative to the dataset's root.

    Tried in this order: relative to `pwd`, relative to the root, and for an absolute path of
    another machine what follows the dataset's own folder name. A glob gives all files it matches;
    one that reaches into a submodule gives the submodule's path itself. Empty: it is not there.
    """
    for candidate in candidates(declared, pwd, dataset.name):
        found = _matches(candidate, dataset)
        if found:
            return found
    return ()


def may_mean(declared: str, pwd: str, name: str, path: str) -> bool:
    """Tell whether a declared input may lead to a path, without looking at any commit."""
    return any(
        leads_to(candidate, path) or _fits(path, candidate) or _fits_above(path, candidate)
        for candidate in candidates(declared, pwd, name)
    )


def leads_to(found: str, path: str) -> bool:
    """Tell whether an input is a path, a folder it lies in, or something inside it."""
    return (
        found in {path, "", "."}
        or f"{path}/".startswith(f"{found}/")
        or found.startswith(f"{path}/")
    )


def _fits_above(path: str, pattern: str) -> bool:
    """Tell whether a glob fits a folder that a path lies in."""
    parts = path.split("/")
    depth = pattern.count("/") + 1
    return depth < len(parts) and _fits("/".join(parts[:depth]), pattern)


def candidates(declared: str, pwd: str, name: str) -> list[str]:
    """Return what a declared input may mean, relative to the root, the likeliest first."""
    path = declared.replace("\\", "/")
    if path.startswith("/") or re.match(r"[A-Za-z]:/", path):
        parts = path.strip("/").split("/")
        places = [place for place, part in enumerate(parts) if part == name]
        return ["/".join(parts[place + 1 :]) for place in reversed(places)] or [
            "/".join(parts[start:]) for start in range(1, len(parts))
        ]
    joined = [_normal(f"{pwd}/{path}"), _normal(path)]
    return [one for one in dict.fromkeys(joined) if one is not None]


def _normal(path: str) -> str | None:
    """Return a relative path without `.`, `..` and `//`, or None if it leaves the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _matches(path: str, dataset: Dataset) -> tuple[str, ...]:
    if path and dataset.submodule_of(path) is not None:
        return (path,)
    if not path or dataset.exists(path):
        return (path or ".",)
    if not any(sign in path for sign in "*?["):
        return ()
    return _globbed(path, dataset)


def _globbed(pattern: str, dataset: Dataset) -> tuple[str, ...]:
    parts = pattern.split("/")
    fixed: list[str] = []
    for part in parts:
        if any(sign in part for sign in "*?["):
            break
        fixed.append(part)
    crossing = tuple(
        root
        for root in dataset.submodules
        if _fits(root, "/".join(parts[: len(PurePosixPath(root).parts)]))
    )
    rule = glob_pattern(pattern)
    files = tuple(path for path in dataset.files("/".join(fixed)) if rule.fullmatch(path))
    return files + tuple(root for root in crossing if root not in files)


def _fits(path: str, pattern: str) -> bool:
    return glob_pattern(pattern).fullmatch(path) is not None


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """Translate a shell glob; `*` and `?` stay within a folder, `**` crosses folders."""
    out = ""
    place = 0
    while place < len(pattern):
        if pattern.startswith("**/", place):
            out, place = out + "(?:.*/)?", place + 3
        elif pattern.startswith("**", place):
            out, place = out + ".*", place + 2
        elif pattern[place] == "*":
            out, place = out + "[^/]*", place + 1
        elif pattern[place] == "?":
            out, place = out + "[^/]", place + 1
        elif pattern[place] == "[" and "]" in pattern[place + 2 :]:
            end = pattern.index("]", place + 2)
            body = pattern[place + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            body = "^" + body[1:] if body[0] in "!^" else body
            out, place = f"{out}[{body}]", end + 1
        else:
            out, place = out + re.escape(pattern[place]), place + 1
    try:
        return re.compile(out, re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))
