"""Restricted content that plain `dvc push`, git or somebody's hand put where others can read it.

It is looked for by md5: in the log, on public storages (with `--remote`: one request for every
thousand objects there), and in git at HEAD, where every blob is read once.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path, PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.tracked import escape_pattern
from imgdata.errors import ImgdataError
from imgdata.levels.units import Unit
from imgdata.model.objects import object_key
from imgdata.policy.audit.facts import Leak, PublicRemote
from imgdata.ports import Storage
from imgdata.project.config import StorageConfig
from imgdata.transfer.presence import OBJECTS_FOLDER
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.copies import Copies, Reached
from imgdata.workflows.former_storages import how_to_add
from imgdata.workflows.history import Version
from imgdata.workflows.leaving import Gate
from imgdata.workflows.restricted_content import EMPTY_MD5
from imgdata.workflows.versions import version_of

GIT = "git"
LOOKED_AT = "s3:"
"""The storages that are asked, without credentials, whether anyone can read them."""


def leaks(clone: Clone, gate: Gate, copies: Copies, contents: Contents) -> Iterator[Leak]:
    """Yield restricted versions of which something is at a public place."""
    if not gate.restricted_versions:
        return
    known = clone.config.storages
    urls = {one.url.rstrip("/") for one in known.values()}
    others = [_storage_of(clone, name) for name in clone.dvc.remotes if name not in known]
    for storage in (*known.values(), *(one for one in others if one.url.rstrip("/") not in urls)):
        yield from _Search(clone, gate, copies, contents, storage).leaks()
    yield from _in_git(clone, gate, contents)


class _Search(Struct, frozen=True):
    """Looks for restricted content on one storage, or on a remote that only DVC knows."""

    clone: Clone
    gate: Gate
    copies: Copies
    contents: Contents
    storage: StorageConfig

    def leaks(self) -> Iterator[Leak]:
        public = self.gate.stated_public(self.storage)
        opened = self._opened() if public or self.storage.url.startswith(LOOKED_AT) else None
        there = None if opened is None else _listed(opened)
        if not public and not there:
            return
        for version, reasons in self.gate.restricted_versions.items():
            names = _names_by_md5(self.contents, version)
            keys = {object_key(md5): name for md5, name in names.items()}
            if there is None:
                found = sorted(keys.values()) if self._is_noted(version) else []
            else:
                held = sorted(keys.keys() & there)
                if held and not public:
                    public = _glance(self.clone, self.gate, self.storage, held[0])
                    if not public:
                        return
                found = sorted(keys[key] for key in held)
            if found:
                yield self._leak(version, public, found, reasons)

    def _opened(self) -> Storage | None:
        """Open the storage where storages are to be asked; None where it does not open."""
        if not self.copies.ask:
            return None
        try:
            return self.clone.open_storage(self.storage)
        except ImgdataError:
            return None

    def _is_noted(self, version: Version) -> bool:
        return self.copies.copy(version, self.storage.name).has_something

    def _leak(
        self, version: Version, public: str, found: list[str], reasons: tuple[str, ...]
    ) -> Leak:
        is_known = self.storage.name in self.clone.config.storages
        answer = self.copies.reach(self.storage.name) if is_known and self.copies.ask else None
        return Leak(
            level=version.level,
            title=version.title,
            place=self.storage.name,
            public=public,
            names=tuple(found),
            reason=reasons[0],
            is_current=is_known and _is_current(self.clone, version),
            is_marked=not isinstance(answer, Reached) or answer.marker is not None,
            add_again=how_to_add(self.storage),
        )


def _names_by_md5(contents: Contents, version: Version) -> Mapping[str, str]:
    """Return the names of a version's files by their md5, and of its list; no empty file."""
    files = contents.files(version) or {}
    found = {md5: f"{version.path}/{name}" if name else version.path for name, md5 in files.items()}
    found[version.version] = version.path
    found.pop(EMPTY_MD5, None)
    return found


def _glance(clone: Clone, gate: Gate, storage: StorageConfig, key: str = "") -> str:
    """Say whether a storage is public by looking, without writing to it.

    With a key, a stranger's view of that very object is asked for as well: its own list of
    rights may say otherwise than the bucket's.
    """
    with suppress(ImgdataError):
        if found := gate.glance(storage, clone.open_storage(storage)):
            return found
    if not key:
        return ""
    options = {name: value for name, value in storage.options.items() if name != "profile"}
    anyone = replace(storage, options={**options, "anonymous": True})
    with suppress(ImgdataError), clone.open_storage(anyone).read(key) as chunks:
        next(iter(chunks), b"")
        return "anyone can read it without credentials"
    return ""


def _listed(storage: Storage) -> frozenset[str] | None:
    """Return the keys of all objects of a storage; None where it does not answer."""
    try:
        return frozenset(one.key for one in storage.list(OBJECTS_FOLDER))
    except ImgdataError:
        return None


def _is_current(clone: Clone, version: Version) -> bool:
    units = clone.units.by_level.get(version.level, ())
    return any((one.path, one.version) == (version.path, version.version) for one in units)


def _in_git(clone: Clone, gate: Gate, contents: Contents) -> Iterator[Leak]:
    """Yield restricted content that is committed in git itself, which is pushed to a server."""
    remotes = clone.git.remotes()
    head = clone.git.head()
    if not remotes or head is None:
        return
    wanted: dict[str, Version] = {}
    for version in gate.restricted_versions:
        wanted.update(dict.fromkeys(_names_by_md5(contents, version), version))
    found: dict[Version, list[str]] = {}
    for path, md5 in clone.git.contents_at(head):
        if md5 in wanted:
            name = os.path.relpath(clone.git.root / path, clone.root)
            found.setdefault(wanted[md5], []).append(name)
    public = f"pushed to {', '.join(remotes)}, which may show it to anyone"
    units = frozenset(unit.path for unit in clone.units.of(clone.config.levels))
    for version, paths in found.items():
        in_git = tuple(sorted({_whole(name, units) for name in paths}))
        yield Leak(
            level=version.level,
            title=version.title,
            place=GIT,
            public=public,
            names=tuple(sorted(paths)),
            reason=gate.restricted_versions[version][0],
            in_git=in_git,
            not_ignored=tuple(_not_ignored(clone.root, in_git)),
        )


def _whole(name: str, units: AbstractSet[str]) -> str:
    """Return the unit that a file lies in, or the file itself, which nothing tracks."""
    folders = (name, *(path.as_posix() for path in PurePosixPath(name).parents))
    return next((one for one in folders if one in units), name)


def _not_ignored(root: Path, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each `.gitignore` without the line for a path, and that line, as DVC writes it."""
    for path in map(PurePosixPath, paths):
        file, line = path.parent / ".gitignore", f"/{escape_pattern(path.name)}"
        own = root / file
        if not own.is_file() or line not in own.read_text("utf-8", "replace").splitlines():
            yield file.as_posix(), line


def public_remotes(clone: Clone, gate: Gate, *, ask: bool) -> Iterator[PublicRemote]:
    """Yield restricted units whose DVC remote is public; with `ask`, S3 remotes are looked at."""
    known: dict[str, str] = {}
    for unit in clone.units.of(clone.config.levels):
        name = _remote_of(clone, unit)
        if unit.version is None or name is None:
            continue
        if name not in known:
            storage = _storage_of(clone, name)
            looked = ask and storage.url.startswith(LOOKED_AT)
            seen = _glance(clone, gate, storage) if looked else ""
            known[name] = gate.stated_public(storage) or seen
        if not known[name]:
            continue
        if reasons := gate.restricted_versions.get(version_of(unit)):
            reason = reasons[0]
            yield PublicRemote(unit.level, unit.name, unit.title, name, known[name], reason)


def _remote_of(clone: Clone, unit: Unit) -> str | None:
    """Return the remote plain DVC would push a unit to."""
    if not unit.out.flags.push:
        return None
    return unit.out.flags.remote or clone.dvc.default_remote


def _storage_of(clone: Clone, name: str) -> StorageConfig:
    """Return what imgdata.yaml says of a DVC remote, or what DVC's configuration does."""
    if name in clone.config.storages:
        return clone.config.storages[name]
    section: Mapping[str, str] = clone.dvc.remotes.get(name, {})
    url = section.get("url", "")
    same = (one for one in clone.config.storages.values() if one.url.rstrip("/") == url.rstrip("/"))
    return next(same, StorageConfig(name, url, _options(section)))


def _options(section: Mapping[str, str]) -> dict[str, str | int | float | bool]:
    """Return what looking needs of a DVC remote, by imgdata's names."""
    names = {"endpointurl": "endpoint_url", "region": "region", "profile": "profile"}
    return {ours: section[theirs] for theirs, ours in names.items() if section.get(theirs)}
