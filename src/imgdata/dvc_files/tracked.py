"""Write `.dvc` files and the `.gitignore` lines beside them, as `dvc add` would."""

from pathlib import Path

import yaml
from msgspec import Struct

from imgdata.model.objects import ObjectId
from imgdata.system.files import write_text


class TrackedOut(Struct, frozen=True):
    """One tracked file or folder.

    Attributes:
        path: Its name beside the `.dvc` file.
        object_id: The version.
        size: Bytes of all its files.
        nfiles: How many files a folder has; None for a single file.
        remote: The DVC remote it is pushed to, or None.
        push: False where no DVC remote may get it.
        origin: Where raw data came from, or None.
        added: UTC time of the add, ISO 8601, or None.
    """

    path: str
    object_id: ObjectId
    size: int
    nfiles: int | None
    remote: str | None
    push: bool
    origin: str | None
    added: str | None


class _Quoted(str):
    """A text that is written in quotes: a hash of digits alone is a number to YAML."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Indents lists the way DVC writes them and quotes only what must be."""


_Dumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")
)


def _plain_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Escape what a YAML reader would fold or lose, such as the line break U+0085."""
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _plain_text)


def hash_text(object_id: str) -> str:
    """Return the hash for a YAML file, quoted where it would be read as a number."""
    digits = object_id.replace("e", "", 1).replace("_", "")
    return _Quoted(object_id) if digits.isdecimal() else object_id


def dot_dvc_text(out: TrackedOut) -> str:
    """Return the content of a `.dvc` file."""
    entry: dict[str, object] = {"md5": hash_text(out.object_id), "size": out.size}
    if out.nfiles is not None:
        entry["nfiles"] = out.nfiles
    entry["hash"] = "md5"
    entry["path"] = out.path
    if out.remote is not None:
        entry["remote"] = out.remote
    if not out.push:
        entry["push"] = False
    noted = {name: value for name, value in (("origin", out.origin), ("added", out.added)) if value}
    if noted:
        entry["meta"] = {"imgdata": noted}
    return yaml.dump(
        {"outs": [entry]}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000
    )


def ignore_in_git(path: Path) -> Path | None:
    """Add a tracked path to the `.gitignore` beside it; return the file if it changed."""
    ignore = path.parent / ".gitignore"
    line = f"/{escape_pattern(path.name)}"
    before = ignore.read_text("utf-8") if ignore.is_file() else ""
    if line in before.splitlines():
        return None
    gap = "" if not before or before.endswith("\n") else "\n"
    write_text(ignore, f"{before}{gap}{line}\n")
    return ignore


def escape_pattern(name: str) -> str:
    """Return a file name as a pattern of `.gitignore` that means just that name."""
    escaped = "".join(f"\\{char}" if char in "*?[]\\!#" else char for char in name)
    return f"{escaped[:-1]}\\ " if escaped.endswith(" ") else escaped
