"""imgdata.yaml decides storage: what DVC's files must say so that plain DVC agrees.

`imgdata storage apply` shows and writes the changes; push refuses while there are some.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.config import (
    DvcConfig,
    Setting,
    config_sections,
    edited_config,
    read_config,
    remote_section,
)
from imgdata.dvc_files.index import Index, read_index
from imgdata.dvc_files.outputs import OutFlags
from imgdata.dvc_files.remote_options import stale_options
from imgdata.dvc_files.stages import Out, Stage
from imgdata.levels.units import Unit, Units, find_units
from imgdata.project.config import Config, Level, Option, StorageConfig
from imgdata.project.editor import dump_edited, load_editable
from imgdata.project.loader import schema_text
from imgdata.project.unit_list import example_lists
from imgdata.system.files import write_text
from imgdata.system.folder_tree import FolderTree

DVC_ONLY = frozenset({"http", "https", "hdfs", "webhdfs", "oss", "gdrive", "remote"})
"""What DVC speaks and imgdata does not: adopted remotes, which stay what they are."""
DVC_SCHEMES = frozenset({"s3", "gs", "azure", "ssh", "webdav", "webdavs"}) | DVC_ONLY
DVC_OPTIONS: Mapping[str, str] = {
    "endpoint_url": "endpointurl",
    "region": "region",
    "profile": "profile",
    "ssl_verify": "ssl_verify",
    "anonymous": "allow_anonymous_login",
    "user": "user",
    "port": "port",
}
LOCAL_OPTIONS: Mapping[str, str] = {"keyfile": "keyfile"}
_SECRET_OPTION = re.compile(
    r"(?im)^(.\s*\w*(?:password|passphrase|secret|token|account_key|connection_string|auth_header"
    r"|customer_key|access_key_id)\w*\s*=\s*).+$"
)
_SECRET_IN_URL = re.compile(r"(://[^/@\s:]*:)[^@\s]+@")
MERGE_ATTRIBUTES = ("dvc.lock merge=imgdata-dvc-lock", ".gitignore merge=union")
KEPT_BY_GIT = (
    "*.dvc",
    "dvc.yaml",
    "dvc.lock",
    ".dvc/**",
    ".dvcignore",
    "imgdata.yaml",
    ".imgdata/**",
)
ANNEX_ATTRIBUTES = tuple(f"{name} annex.largefiles=nothing" for name in KEPT_BY_GIT)
"""In a DataLad dataset: what is edited and merged must not become a link to annexed content."""
SCHEMA_PATH = ".imgdata/imgdata.schema.json"


class FileChange(Struct, frozen=True):
    """One file that must say something else."""

    path: Path
    before: str
    after: str

    def diff(self, root: Path) -> str:
        """Return the change as a unified diff; secrets of a DVC configuration are masked."""
        from difflib import unified_diff  # noqa: PLC0415 - push asks for no diff

        name = os.path.relpath(self.path, root)
        lines = unified_diff(
            self.before.splitlines(), self.after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
        )
        return _SECRET_IN_URL.sub(r"\1***@", _SECRET_OPTION.sub(r"\1***", "\n".join(lines)))


def dvc_url(storage: StorageConfig, root: Path) -> str | None:
    """Return the url DVC knows a storage by, or None where DVC cannot speak to it.

    Local folders become absolute: a relative one would mean another place in every clone.
    """
    parts = urlsplit(storage.url)
    if parts.scheme in DVC_SCHEMES:
        return storage.url
    if parts.scheme == "file":
        return unquote(parts.path)
    if ":" in storage.url.split("/", 1)[0]:
        return None
    return os.path.normpath(root / Path(storage.url).expanduser())


Barred = Callable[[Unit], frozenset[str]]
"""Says which storages a unit's record must not name, because they are public and it may not go."""


def dvc_remote_of(
    config: Config, level: Level, barred: frozenset[str] = frozenset()
) -> tuple[str | None, bool]:
    """Return the DVC remote of a level and whether plain DVC may push it."""
    root = Path("/")
    for name in level.storages:
        if name not in barred and dvc_url(config.storages[name], root) is not None:
            return name, True
    return None, False


def _nothing(_: Unit) -> frozenset[str]:
    return frozenset()


def _targets(
    config: Config, units: Units, barred: Barred
) -> Iterator[tuple[Unit, tuple[str | None, bool]]]:
    """Yield each unit with its remote. Units that one definition makes share the strictest."""
    for name, some in units.by_level.items():
        together: dict[tuple[str, str], frozenset[str]] = {}
        addresses = {unit.path: (unit.stage.file, _address(unit.stage, unit.out)) for unit in some}
        for unit in some:
            address = addresses[unit.path]
            together[address] = together.get(address, frozenset()) | barred(unit)
        for unit in some:
            yield unit, dvc_remote_of(config, config.levels[name], together[addresses[unit.path]])


def _remote_options(storage: StorageConfig) -> dict[str, str]:
    """Return the options of a remote in `.dvc/config`, by DVC's names."""
    return {
        name: _option_text(storage.options[key])
        for key, name in DVC_OPTIONS.items()
        if key in storage.options
    }


def storage_options(remote: Mapping[str, str]) -> dict[str, Option]:
    """Return the options of a DVC remote by our names; those imgdata does not know are left out."""
    found = {ours: remote[theirs] for ours, theirs in DVC_OPTIONS.items() if theirs in remote}
    return {name: _option(name, text) for name, text in found.items()}


def _option(name: str, text: str) -> Option:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return int(text) if name == "port" and text.isdecimal() else text


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def differences(
    config: Config, dvc: DvcConfig, units: Units, root: Path, barred: Barred = _nothing
) -> Iterator[str]:
    """Yield in words what DVC's files say otherwise than imgdata.yaml. Cheap: reads nothing."""
    for storage in config.storages.values():
        url = dvc_url(storage, root)
        if url is not None and not _is_same_place(dvc, storage.name, url):
            yield f".dvc/config: remote '{storage.name}' is not {url}"
    for unit, (remote, push) in _targets(config, units, barred):
        if not _agrees(unit.out.flags, (remote, push), config, dvc):
            said = f"remote {remote}" if push else "push: false"
            why = f"; restricted, '{named}' is public" if (
                named := unit.out.flags.remote
            ) in barred(unit) else ""  # fmt: skip
            yield f"{unit.stage.file}: {unit.path} should say {said}{why}"


def _is_same_place(dvc: DvcConfig, name: str, url: str) -> bool:
    """Tell whether DVC's remote of a name is at a url, however a local path is written."""
    known = dvc.remotes.get(name, {}).get("url", "")
    if "://" not in url and known:
        return os.path.normpath(known) == os.path.normpath(url)
    return known.rstrip("/") == url.rstrip("/")


def _agrees(
    flags: OutFlags, target: tuple[str | None, bool], config: Config, dvc: DvcConfig
) -> bool:
    """Tell whether plain DVC takes an out where imgdata.yaml says.

    An out that names no remote goes to DVC's default one. Where imgdata.yaml does not know that
    remote, it is DVC's own business, and imgdata keeps its copies beside it.
    """
    remote, push = target
    if flags.push != push or not push or flags.remote:
        return (flags.remote or None, flags.push) == target
    default = dvc.default_remote
    return default is not None and (default == remote or default not in config.storages)


class _WithOneUnit:
    """A project's folder as it would be with one unit, so that its stages have definite outs."""

    def __init__(self, tree: FolderTree, lists: Mapping[str, bytes]) -> None:
        self.root = tree.root
        self.description = tree.description
        self.files = tree.files
        self.is_folder = tree.is_folder
        self.children = tree.children
        self._tree = tree
        self._lists = lists

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes; the empty list of units has one."""
        return self._lists.get(path) or self._tree.read(path)


def plan_conform(
    config: Config,
    root: Path,
    *,
    extra: Sequence[Setting] = (),
    strict: bool = False,
    barred: Barred = _nothing,
) -> tuple[FileChange, ...]:
    """Return every file that must change so that DVC's files agree with imgdata.yaml.

    Args:
        config: imgdata.yaml.
        root: The project.
        extra: Further settings for `.dvc/config`.
        strict: Every out names its remote, also the default one; for a project made new.
        barred: Which storages a unit must not name.
    """
    tree = FolderTree(root)
    kinds = {level.unit for level in config.levels.values() if level.unit}
    lists = {name: text for kind in kinds for name, text in example_lists(root, kind).items()}
    index = read_index(_WithOneUnit(tree, lists))
    changes = [
        _config_change(config, root, extra, strict=strict),
        _local_config_change(config, root),
        _attributes_change(root),
        _schema_change(root),
    ]
    now = read_config(root / ".dvc")
    default = _default_remote(config, now, strict=strict)
    dvc = None if strict else replace(now, default_remote=default)
    changes += _pipeline_changes(config, index, root, dvc, barred)
    return tuple(change for change in changes if change.before != change.after)


def apply_changes(changes: tuple[FileChange, ...]) -> tuple[Path, ...]:
    """Write the files; return their paths."""
    for change in changes:
        write_text(change.path, change.after)
    return tuple(change.path for change in changes)


def _config_change(
    config: Config, root: Path, extra: Sequence[Setting], *, strict: bool
) -> FileChange:
    path = root / ".dvc" / "config"
    settings = [*extra, *stale_options(config_sections(path), _dvc_urls(config, root))]
    dvc = read_config(root / ".dvc")
    default = _default_remote(config, dvc, strict=strict)
    for storage in config.storages.values():
        url = dvc_url(storage, root)
        if url is None:
            continue
        section = remote_section(storage.name)
        if not _is_same_place(dvc, storage.name, url):
            settings.append(Setting(section, "url", url))
        wanted = _remote_options(storage)
        settings += [Setting(section, name, wanted.get(name)) for name in DVC_OPTIONS.values()]
    if default is not None and default != dvc.default_remote:
        settings.append(Setting("core", "remote", default))
    return FileChange(path, *edited_config(path, settings))


def _default_remote(config: Config, dvc: DvcConfig, *, strict: bool) -> str | None:
    """Return DVC's default remote as it will be: one that works stays unless `strict`."""
    if not strict and dvc.default_remote in dvc.remotes:
        return dvc.default_remote
    known = [dvc_remote_of(config, level)[0] for level in config.levels.values()]
    # What names no remote goes to the default one: not to a public storage while there is another.
    private = [name for name in known if name and not config.storages[name].options.get("public")]
    return next((name for name in (*private, *known) if name), dvc.default_remote)


def _local_config_change(config: Config, root: Path) -> FileChange:
    """Drop options of `config.local` that another kind of remote left: they break every command."""
    path = root / ".dvc" / "config.local"
    remotes = read_config(root / ".dvc").remotes
    orphans = {name: None for name, options in remotes.items() if "url" not in options}
    settings = stale_options(config_sections(path), {**orphans, **_dvc_urls(config, root)})
    settings += [
        Setting(remote_section(storage.name), name, str(storage.options[key]))
        for storage in config.storages.values()
        for key, name in LOCAL_OPTIONS.items()
        if key in storage.options and dvc_url(storage, root) is not None
    ]
    return FileChange(path, *edited_config(path, settings))


def _dvc_urls(config: Config, root: Path) -> dict[str, str | None]:
    return {storage.name: dvc_url(storage, root) for storage in config.storages.values()}


def _attributes_change(root: Path) -> FileChange:
    path = root / ".gitattributes"
    before = path.read_text("utf-8") if path.is_file() else ""
    there = [line.split() for line in before.splitlines() if line.strip()]
    is_annexed = (root / ".datalad").is_dir() or " annex." in before
    missing = [
        line
        for line in (*MERGE_ATTRIBUTES, *(ANNEX_ATTRIBUTES if is_annexed else ()))
        if not any(line.split()[0] == words[0] and line.split()[1] in words for words in there)
    ]
    gap = "" if not before or before.endswith("\n") else "\n"
    return FileChange(path, before, before + gap + "".join(f"{line}\n" for line in missing))


def _schema_change(root: Path) -> FileChange:
    path = root / SCHEMA_PATH
    before = path.read_text("utf-8") if path.is_file() else ""
    return FileChange(path, before, schema_text())


def _pipeline_changes(
    config: Config, index: Index, root: Path, dvc: DvcConfig | None, barred: Barred
) -> Iterator[FileChange]:
    units = find_units(config, index)
    wanted: dict[str, dict[str, tuple[str | None, bool]]] = {}
    for unit, target in _targets(config, units, barred):
        flags = unit.out.flags
        fits = (flags.remote or None, flags.push) == target
        if not fits and not (dvc and _agrees(flags, target, config, dvc)):
            wanted.setdefault(unit.stage.file, {})[_address(unit.stage, unit.out)] = target
    for file, outs in wanted.items():
        path = root / file
        before = path.read_text("utf-8")
        value = load_editable(before)
        if file.endswith(".dvc"):
            _edit_tracked(value, outs)
        else:
            _edit_pipeline(value, outs)
        yield FileChange(path, before, dump_edited(value, before))


def _address(stage: Stage, out: Out) -> str:
    """Return which definition in the file an out comes from: its stage or group, and its place."""
    definition = stage.group or stage.name
    kept = [one for one in stage.outs if one.flags.kind == "out"]
    position = kept.index(out) if out in kept else -1
    return out.written if stage.kind != "stage" else f"{definition}\n{position}"


def _edit_tracked(value: Any, outs: Mapping[str, tuple[str | None, bool]]) -> None:  # noqa: ANN401 - ruamel's own types
    for out in value["outs"]:
        if out["path"] in outs:
            _set_flags(out, *outs[out["path"]])


def _edit_pipeline(value: Any, outs: Mapping[str, tuple[str | None, bool]]) -> None:  # noqa: ANN401 - ruamel's own types
    for address, (remote, push) in outs.items():
        definition, position = address.split("\n")
        stage = value["stages"][definition]
        listed = stage.get("do", stage)["outs"]
        number = int(position)
        if number < 0:
            continue
        item = listed[number]
        flags = {} if isinstance(item, str) else dict(next(iter(item.values())) or {})
        name = item if isinstance(item, str) else next(iter(item))
        _set_flags(flags, remote, push=push)
        listed[number] = {name: flags} if flags else name


def _set_flags(out: Any, remote: str | None, push: bool) -> None:  # noqa: ANN401, FBT001 - ruamel's type, a pair
    if remote is None:
        out.pop("remote", None)
    else:
        out["remote"] = remote
    if push:
        out.pop("push", None)
    else:
        out["push"] = False
