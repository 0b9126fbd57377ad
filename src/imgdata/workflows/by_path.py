"""A DVC repository without imgdata.yaml: what DVC's own files say, in the words of a project.

Every tracked path becomes a level of one unit that is called by its path, and every DVC remote a
storage. So status, whereis, push and pull are the same code as in a project; what differs is that
nothing is remembered, and that DVC's files decide what goes where.
"""

import dataclasses
import os
import shlex
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, field

from imgdata.dvc_files.config import DvcConfig, Section
from imgdata.dvc_files.stages import Stage
from imgdata.errors import (
    CredentialsError,
    ImgdataError,
    InvalidProjectError,
    NothingFoundError,
    StorageError,
    UsageError,
)
from imgdata.levels.units import Unit, Units
from imgdata.model.nearest import nearest
from imgdata.project.build import DEFAULT_VERIFY_DAYS
from imgdata.project.config import Config, Level, StorageConfig
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import LOCAL_OPTIONS, storage_options

ALIAS = "remote://"
SPOKEN: Mapping[str, frozenset[str]] = {
    "file": frozenset(),
    "s3": frozenset({"endpoint_url", "region", "profile", "ssl_verify", "anonymous"}),
    "ssh": frozenset({"user", "port", "keyfile"}),
    "https": frozenset({"user", "ssl_verify"}),
    "http": frozenset({"user", "ssl_verify"}),
}
"""The kinds of remotes imgdata speaks to, and the options each of them takes."""
SECRETS: Mapping[str, frozenset[str]] = {
    "s3": frozenset({"access_key_id", "secret_access_key", "session_token"}),
    "ssh": frozenset({"password", "passphrase"}),
    "https": frozenset({"password"}),
    "http": frozenset({"password"}),
}
MIGRATE = "dvc pull && dvc cache migrate --dvc-files"
BY_FILE_NAME = ("version_aware", "worktree")
SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Remote:
    """A DVC remote as a storage.

    Attributes:
        storage: Name, url and what its backend understands.
        secrets: What `.dvc/config.local` or the user's configuration holds for it, by DVC's names.
        unspoken: Why imgdata cannot use it; empty where it can.
    """

    storage: StorageConfig
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    unspoken: str = ""

    def refuse(self) -> None:
        """Stop where only DVC can speak to the remote.

        Raises:
            StorageError: Naming the commands of DVC.
        """
        if self.unspoken:
            problem = f"imgdata does not speak to the remote '{self.storage.name}'"
            name = self.storage.name
            remedy = f"DVC can: dvc push -r {name}, dvc pull -r {name}"
            if self.storage.url.startswith(ALIAS):
                remedy = f"correct it: dvc remote modify {name} url URL"
            raise StorageError(problem, cause=self.unspoken, remedy=remedy)


def remotes_of(dvc: DvcConfig) -> dict[str, Remote]:
    """Return DVC's remotes by name, from all levels of its configuration."""
    found = {}
    for name, section in dvc.remotes.items():
        if section.get("url"):
            found[name] = _remote(name, _without_aliases(section, dvc))
    return found


def in_words_of_dvc(error: ImgdataError, name: str) -> StorageError:
    """Return why a remote cannot be opened, with what to type where there is no imgdata.yaml."""
    if isinstance(error, CredentialsError):
        remedy = f"aws configure --profile NAME, then: dvc remote modify {name} profile NAME"
        return CredentialsError(error.problem, cause=error.cause, remedy=remedy)
    remedy = f"correct the remote: dvc remote modify {name} OPTION VALUE"
    return StorageError(error.problem, cause=error.cause, remedy=remedy)


def _without_aliases(section: Section, dvc: DvcConfig) -> Section:
    """Follow `url = remote://OTHER/path`: the other's url and options, with the path below."""
    for _ in dvc.remotes:
        url = section["url"]
        if not url.startswith(ALIAS):
            break
        name, _, below = url.removeprefix(ALIAS).partition("/")
        other = dvc.remotes.get(name, {})
        if not other.get("url"):
            break
        joined = f"{other['url'].rstrip('/')}/{below}".rstrip("/")
        section = {**other, **section, "url": joined}
    return section


def _remote(name: str, section: Section) -> Remote:
    url = section["url"]
    scheme = urlsplit(url).scheme.lower() if "://" in url else "file"
    options = storage_options(section)
    options |= {ours: section[its] for ours, its in LOCAL_OPTIONS.items() if its in section}
    known = {key: value for key, value in options.items() if key in SPOKEN.get(scheme, ())}
    secrets = {key: section[key] for key in SECRETS.get(scheme, ()) if key in section}
    return Remote(StorageConfig(name, url, known), secrets, _unspoken(scheme, section))


def _unspoken(scheme: str, section: Section) -> str:
    if scheme == "remote":
        return f"its url {section['url']} names a remote that is not configured"
    if scheme not in SPOKEN:
        return f"it is of the kind {scheme}://, for which imgdata has no backend"
    return kept_by_name(section)


def kept_by_name(section: Section) -> str:
    """Say that a remote keeps no content-addressed objects; empty where it does."""
    kept = [name for name in BY_FILE_NAME if section.get(name, "").lower() == "true"]
    return f"it keeps files by name, not by content ({kept[0]} = true)" if kept else ""


def config_by_path(
    root: Path, dvc: DvcConfig, units: Units, remotes: Mapping[str, Remote]
) -> Config:
    """Return what DVC's files say as if it stood in an imgdata.yaml."""
    return Config(
        id="",
        title=root.name,
        description=None,
        license=None,
        creators=(),
        keywords=(),
        funding=(),
        currency="USD",
        commit="never",
        release_branch="main",
        origins={},
        storages={name: remote.storage for name, remote in remotes.items()},
        repositories={},
        levels=levels_by_path(dvc, units),
        checks={},
    )


def levels_by_path(dvc: DvcConfig, units: Units) -> dict[str, Level]:
    """Return a level for each tracked path, kept on the remote DVC sends it to."""
    return {path: _level(path, _remote_of(some[0], dvc)) for path, some in units.by_level.items()}


def _level(path: str, remote: str | None) -> Level:
    return Level(
        name=path,
        path=path,
        unit=None,
        description=None,
        origin=None,
        key_texts=(),
        sources=(),
        storages=() if remote is None else (remote,),
        repositories=(),
        copies=0,
        verify_every_days=DEFAULT_VERIFY_DAYS,
        keep="forever",
        versions="all",
        then=(),
        accept_loss=(),
        ignore=(),
    )


def _remote_of(unit: Unit, dvc: DvcConfig) -> str | None:
    """Return the remote DVC sends an out to, or None where it sends it nowhere."""
    name = unit.out.flags.remote or dvc.default_remote
    if name is None or not dvc.remotes.get(name, {}).get("url") or not is_sent(unit):
        return None
    return name


def is_sent(unit: Unit) -> bool:
    """Tell whether DVC keeps an out's bytes and sends them to a remote."""
    flags, stage = unit.out.flags, unit.stage
    return flags.cache and flags.push and stage.kind != "import" and stage.resolved


def why_nowhere(clone: Clone, unit: Unit) -> str:
    """Say why DVC keeps no copy of an out on a remote."""
    flags = unit.out.flags
    if not unit.stage.resolved:
        return f"{unit.stage.file} cannot be read, so that nobody knows where it belongs"
    if not flags.cache:
        return "cache: false, DVC keeps no copy of it"
    if unit.stage.kind == "import":
        return f"imported from {_source(unit.stage)}, which keeps it"
    if not flags.push:
        return "push: false, it is made again when needed"
    name = flags.remote or clone.dvc.default_remote
    if name is None:
        return "no default remote; choose one: dvc remote default NAME"
    return f"its remote '{name}' is not configured; add it: dvc remote add {name} URL"


def obstacle(clone: Clone, unit: Unit) -> ImgdataError | None:
    """Return what keeps an out from the place it belongs to, for a person to mend.

    None where nothing does, and where it stays by rule: `push: false`, an import, no storage.
    """
    if unit.is_of_dvc_2:
        problem = f"{unit.path} is recorded in the form of DVC 2, of which imgdata notes no copies"
        return InvalidProjectError(problem, remedy=MIGRATE)
    if not clone.by_path or not is_sent(unit) or clone.config.levels[unit.level].storages:
        return None
    name = unit.out.flags.remote or clone.dvc.default_remote
    if name is None:
        problem = f"{unit.path} has no remote to go to"
        return UsageError(problem, remedy="choose a default one: dvc remote default NAME")
    problem = f"the remote '{name}' of {unit.path} is not configured"
    return UsageError(problem, remedy=f"dvc remote add {name} URL")


def _source(stage: Stage) -> str:
    for dep in stage.deps:
        if dep.repo is not None:
            return dep.repo.url
    return "elsewhere"


def how_to_get(unit: Unit) -> str:
    """Return DVC's command that brings an out which no remote keeps."""
    is_pinned = unit.version is None and unit.stage.kind.startswith("import")  # --no-download
    if unit.stage.kind == "import" or is_pinned:
        return f"dvc pull {unit.stage.dvc_name}"  # an update would take a newer version
    if unit.stage.kind in {"import-url", "import-db"}:
        return f"dvc update {unit.stage.dvc_name}"
    return f"dvc repro {unit.stage.dvc_name}" if unit.stage.kind == "stage" else ""


class Chosen(Struct, frozen=True):
    """What some words on the command line mean.

    Attributes:
        levels: The levels, or tracked paths.
        parts: By level: the paths below it that are asked for; a level that is not here is whole.
    """

    levels: tuple[Level, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def how_to_send(clone: Clone, unit: Unit) -> str:
    """Return what brings a unit that no storage has to its storages.

    The cache has it, or else the files here are taken in again, or else it is sent from where it
    was added or made.
    """
    push = f"imgdata push {unit.level}"
    if clone.has_object(unit):
        return push
    if not (clone.root / unit.path).exists():
        return f"where it is: {push}"
    if unit.is_raw and not clone.by_path:
        return f"imgdata add {unit.level} {shlex.quote(unit.path)} && {push}"
    return f"dvc commit -f {shlex.quote(unit.stage.dvc_name)} && {push}"


def choose_paths(clone: Clone, names: Iterable[str], here: Path) -> Chosen:
    """Return what paths, DVC files and stages mean; everything that is tracked for no name.

    Args:
        clone: A repository without imgdata.yaml.
        names: Tracked files and folders, folders that hold some, files inside tracked folders,
            `.dvc` and dvc.yaml files, names of stages.
        here: Where relative paths start.

    Raises:
        UsageError: A word means nothing here.
        NothingFoundError: A path is there, but DVC does not track it.
    """
    wanted = tuple(names)
    levels = clone.config.levels
    if not wanted:
        return Chosen(tuple(levels.values()))
    words = _Words(clone, sorted(levels, key=_sort_key), here)
    whole: dict[str, None] = {}
    parts: dict[str, list[str]] = {}
    for name in wanted:
        for path, part in words.meaning(name):
            if part:
                parts.setdefault(path, []).append(part)
            else:
                whole[path] = None
    ordered = [level for path, level in levels.items() if path in whole or path in parts]
    kept = {path: tuple(some) for path, some in parts.items() if path not in whole}
    return Chosen(tuple(ordered), kept)


def _sort_key(path: str) -> list[str]:
    return path.split("/")


class _Words(Struct, frozen=True):
    clone: Clone
    paths: list[str]
    here: Path

    def meaning(self, name: str) -> list[tuple[str, str]]:
        """Return the tracked paths a word means, each with a path below it or nothing."""
        path = os.path.relpath(os.path.normpath(self.here / name), self.clone.root)
        path = "" if path == "." else path.replace(os.sep, "/")
        if path == ".." or path.startswith("../"):
            return self._stages(name) or self._unknown(name, path)
        found = [(out, "") for out in self._below(path)]
        if found or not path:
            return found
        above = self.clone.config.by_path
        parts = path.split("/")
        for length in range(len(parts) - 1, 0, -1):
            out = "/".join(parts[:length])
            if out in above:
                return [(out, "/".join(parts[length:]))]
        return self._of_file(path) or self._stages(name) or self._unknown(name, path)

    def _below(self, path: str) -> Iterator[str]:
        key = _sort_key(path) if path else []
        start = bisect_left(self.paths, key, key=_sort_key)
        for out in self.paths[start:]:
            if path and out != path and not out.startswith(f"{path}/"):
                return
            yield out

    def _of_file(self, path: str) -> list[tuple[str, str]]:
        return self._outs(stage for stage in self.clone.index.stages if stage.file == path)

    def _stages(self, name: str) -> list[tuple[str, str]]:
        file, colon, stage_name = name.rpartition(":")
        folder = os.path.relpath(os.path.normpath(self.here / file), self.clone.root)
        wanted = f"{folder}:{stage_name}" if colon and file else stage_name
        return self._outs(
            stage
            for stage in self.clone.index.stages
            if stage.kind == "stage" and _is_called(stage, wanted)
        )

    def _outs(self, stages: Iterable[Stage]) -> list[tuple[str, str]]:
        return [(out.path, "") for stage in stages for out in stage.outs if out.is_inside]

    def _unknown(self, name: str, path: str) -> list[tuple[str, str]]:
        if path == ".." or path.startswith("../"):
            problem = f"{name} is not in this DVC repository"
            raise UsageError(problem, cause=f"it is {self.clone.root}")
        if (self.clone.root / path).exists():
            problem = f"{path} is not tracked by DVC, nor is anything below it"
            raise NothingFoundError(problem, remedy="imgdata status")
        stages = {stage.name for stage in self.clone.index.stages if stage.kind == "stage"}
        known = [*self.paths, *sorted(stages)]
        near = nearest(path, known, SHOWN) or known[:SHOWN]
        problem = f"'{name}' is neither a tracked path nor a stage of this DVC repository"
        told = f"it tracks {', '.join(near)}{', ...' if len(known) > len(near) else ''}"
        cause = f"{told if known else 'it tracks nothing'}\nwithout imgdata.yaml it has no levels"
        raise UsageError(problem, cause=cause, remedy="imgdata status, or for levels: imgdata init")


def _is_called(stage: Stage, wanted: str) -> bool:
    """Tell whether a word is a stage's name, or that of its foreach or matrix."""
    if ":" not in wanted:
        return wanted in {stage.name, stage.group}
    return wanted in {f"{stage.file}:{stage.name}", f"{stage.file}:{stage.group}"}
