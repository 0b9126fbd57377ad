"""May a unit go to a storage that others can read? Asked before a byte moves.

Restrictions are read from imgdata.yaml in the working tree and on the release branch, and flow
along the pipeline; what was ever recorded as restricted stays so under any other name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from imgdata.errors import ImgdataError
from imgdata.levels.raw_units import RawUnits
from imgdata.levels.units import Unit, level_of
from imgdata.policy.restrictions import MayLeave, Restricted, Source, Verdict, may_leave
from imgdata.project.config import Config, StorageConfig
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.transfer.presence import OBJECTS_FOLDER
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.history import History, Version
from imgdata.workflows.marker import MARKER_NAME
from imgdata.workflows.versions import version_of

DEFAULT_BRANCH = "main"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
"""The md5 of no bytes at all: whoever has it has nothing of anyone."""
PUBLIC_KINDS = ("git:", "git-lfs:")


@dataclass(frozen=True, slots=True)
class Withheld:
    """A unit that stays: where it was to go, why that is public, why it may not, what may."""

    unit: Unit
    storage: str
    public: str
    reasons: tuple[str, ...]
    may: tuple[str, ...]


@dataclass
class Gate:
    """Judges units and storages of one clone; reads every rule and list once."""

    clone: Clone

    def stated_public(self, storage: StorageConfig) -> str:
        """Say why a storage is public by what imgdata.yaml says of it; empty if it is not."""
        if storage.options.get("public") is True:
            return "public: true"
        if storage.options.get("anonymous") is True:
            return "anonymous: true"
        for config in self._committed:
            known = config.storages.get(storage.name)
            if known is not None and known.options.get("public") is True:
                return "public: true on the release branch"
            same = (one for one in config.storages.values() if one.url == storage.url)
            if any(one.options.get("public") is True for one in same):
                return "its url is public: true on the release branch"
        is_private = storage.options.get("public") is False
        if storage.url.startswith(PUBLIC_KINDS) and not is_private:
            return "a git server may show it to anyone (public: false says otherwise)"
        return ""

    def looks_public(self, storage: StorageConfig) -> str:
        """Say whether anyone can read the storage's marker without credentials; asks it."""
        if not storage.url.startswith("s3:"):
            return ""
        anyone = replace(storage, options={**_without_credentials(storage), "anonymous": True})
        try:
            key = MARKER_NAME
            if self.clone.by_path:  # no marker there: any object tells as much
                found = next(self.clone.open_storage(storage).list(OBJECTS_FOLDER), None)
                key = found.key if found else key
            with self.clone.open_storage(anyone).read(key) as chunks:
                next(chunks, b"")
        except ImgdataError:
            return ""
        return "anyone can read it without credentials"

    def withheld(self, unit: Unit, storage: str, public: str) -> Withheld | None:
        """Return why a unit may not go to a public storage, or None if it may."""
        match self.verdict(unit):
            case MayLeave():
                return None
            case Restricted(reasons):
                return Withheld(unit, storage, public, reasons, self._may(unit))

    def verdict(self, unit: Unit) -> Verdict:
        """Judge a unit by its origin, by what it was made from, and by its content."""
        version = version_of(unit)
        reasons = dict.fromkeys(self._reasons(version, self._sources(unit)))
        for md5 in set((self._contents.files(version) or {}).values()) | {version.version}:
            for line in self._restricted_content.get(md5, ()):
                reasons[line] = None
        return Restricted(tuple(reasons)) if reasons else MayLeave()

    def _may(self, unit: Unit) -> tuple[str, ...]:
        """Return the levels that the origins' written rules let go."""
        names = [
            set(origin.may_leave)
            for source in self._sources(unit)
            for config in (self.clone.config, *self._committed)
            if (origin := config.origins.get(source.origin)) is not None
        ]
        return tuple(sorted(set.intersection(*names))) if names else ()

    @cached_property
    def _committed(self) -> tuple[Config, ...]:
        """imgdata.yaml as every branch has it that is, or was, the release branch."""
        found: dict[str, Config] = {}
        todo = [self.clone.config.release_branch, DEFAULT_BRANCH]
        while todo:
            branch = todo.pop()
            if branch in found:
                continue
            config = self._config_on(branch)
            if config is not None:
                found[branch] = config
                todo.append(config.release_branch)
        return tuple(found.values())

    def _config_on(self, branch: str) -> Config | None:
        path = (self.clone.root.relative_to(self.clone.git.root) / CONFIG_NAME).as_posix()
        for ref in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
            data = self.clone.git.blobs_at(ref, [path])
            if path in data:
                here = self.clone.root / CONFIG_NAME
                if here.is_file() and data[path] == here.read_bytes():
                    return self.clone.config
                try:
                    return parse_config(data[path].decode("utf-8", "replace"))
                except ImgdataError:
                    return None
        return None

    def _reasons(self, version: Version, sources: tuple[Source, ...]) -> Iterator[str]:
        """Yield why a version may not leave, by each reading of the rules; none: it may."""
        today = self.clone.clock.now().date()
        if not self._committed:
            yield f"{version.title}: no rule is committed on the release branch"
        for config in (*self._committed, self.clone.config):
            level = level_of(config, version.path)
            name = level.name if level else version.level
            match may_leave(name, sources, [config.origins], today):
                case Restricted(reasons):
                    yield from reasons
                case MayLeave():
                    pass

    @cached_property
    def _raw(self) -> RawUnits:
        return RawUnits(self.clone.index, self.clone.units)

    def _sources(self, unit: Unit) -> tuple[Source, ...]:
        found = [
            Source(raw.title, origin)
            for raw in self._raw.of(unit)
            for origin in sorted({raw.origin or "", *self._origins_ever.get(raw.path, ())})
        ]
        return tuple(dict.fromkeys(found))

    @cached_property
    def _history(self) -> History:
        return History(self.clone)

    @cached_property
    def _contents(self) -> Contents:
        return Contents(self.clone)

    @cached_property
    def _origins_ever(self) -> Mapping[str, set[str]]:
        """The origins that the release branches and HEAD record for each raw path."""
        found: dict[str, set[str]] = {}
        for version, origins in self._history.origins.items():
            if self._is_recorded_now(version):
                found.setdefault(version.path, set()).update(origins)
        return found

    def _is_recorded_now(self, version: Version) -> bool:
        return version in self._history.in_use

    @cached_property
    def _restricted_content(self) -> Mapping[str, tuple[str, ...]]:
        """By md5: why content that history knows as restricted may not leave."""
        units = {unit.path: unit for some in self.clone.units.by_level.values() for unit in some}
        found: dict[str, tuple[str, ...]] = {}
        for version in self._history.ever:
            if not version.level:
                continue
            origins = self._history.origins.get(version)
            if origins is not None:
                sources = tuple(Source(version.title, origin) for origin in sorted(origins))
            elif version.path in units:
                sources = self._sources(units[version.path])
            else:
                continue
            reasons = tuple(self._reasons(version, sources))
            if reasons:
                told = tuple(f"has content of {version.title}; {line}" for line in reasons)
                for md5 in {version.version, *(self._contents.files(version) or {}).values()}:
                    found.setdefault(md5, told)
        found.pop(EMPTY_MD5, None)
        return found


def _without_credentials(storage: StorageConfig) -> dict[str, str | int | float | bool]:
    return {key: value for key, value in storage.options.items() if key != "profile"}
