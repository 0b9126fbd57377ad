"""What content history knows as restricted: by md5, under whatever name it comes back.

A restriction flows along what runs recorded: from a raw version to every version that was ever
made from it, through levels that have other names now and through paths that are gone.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from msgspec import Struct, field

from imgdata.dvc_files.places import folders_above, paths_below
from imgdata.policy.ledger import NotThere
from imgdata.policy.restrictions import Source
from imgdata.ports import Storage
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.copies import key_of
from imgdata.workflows.history import History, Input, Version

EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
"""The md5 of no bytes at all: whoever has it has nothing of anyone."""

UNLISTED = (
    "the file list of {title} is neither here nor on a storage, so nothing can be compared with it"
)

Judge = Callable[[Version, tuple[Source, ...]], tuple[str, ...]]
"""Says why a version made from these sources may not leave; nothing where it may."""


class Known(Struct, frozen=True):
    """Content of a version that may not leave.

    Attributes:
        title: The version as messages name it.
        bare: Why, by origin and rule.
        sources: The raw units it was made from.
        is_added: A person added it; else a stage made it.
        is_level_gone: It was derived, and lies on no level of today: who asks judges it by the
            level on which the same content lies now.
    """

    title: str
    bare: tuple[str, ...]
    sources: frozenset[Source]
    is_added: bool
    is_level_gone: bool

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, each naming the version."""
        return tuple(f"has content of {self.title}; {line}" for line in self.bare)


class Ancestry:
    """Which raw versions any recorded version was made from, over all of history."""

    def __init__(self, history: History) -> None:
        self._origins = history.origins
        self._inputs = history.inputs
        self._by_md5: dict[str, list[Version]] = {}
        self._by_path: dict[str, list[Version]] = {}
        for version in history.ever:
            self._by_md5.setdefault(version.version, []).append(version)
            self._by_path.setdefault(version.path, []).append(version)
        self._paths = sorted(self._by_path)
        self._sources: dict[Version, frozenset[Source]] = {}

    def is_added(self, version: Version) -> bool:
        """Tell whether a person added it, and did not only make it by a stage."""
        return version in self._origins

    def sources(self, version: Version) -> frozenset[Source]:
        """Return the raw units with their origins, as recorded at any time."""
        if version not in self._sources:
            self._sources[version] = self._trace(version)
        return self._sources[version]

    def _trace(self, version: Version) -> frozenset[Source]:
        pending, seen, found = [version], {version}, set[Source]()
        while pending:
            one = pending.pop()
            if one in self._sources:
                found |= self._sources[one]
                continue
            found.update(Source(one.title, origin) for origin in self.origins(one))
            for read in self._inputs.get(one, ()):
                new = [other for other in self._read(read) if other not in seen]
                seen.update(new)
                pending += new
        return frozenset(found)

    def origins(self, version: Version) -> frozenset[str]:
        """Return the origins that were recorded of an added version.

        One that was named makes up for earlier records without a name. What lies on no level
        and never had an origin (a model, a plate map) is no unit.
        """
        noted = self._origins.get(version, set())
        named = frozenset(noted - {""})
        return named or frozenset(noted if version.level else ())

    def _read(self, read: Input) -> Iterator[Version]:
        """Yield the versions that an input was, contained, or was a part of."""
        path, md5 = read
        same = self._by_md5.get(md5, ()) if md5 else ()
        yield from same
        if not any(one.path == path for one in same):
            yield from self._by_path.get(path, ())
        for one in (*folders_above(path), *paths_below(self._paths, path)):
            yield from self._by_path.get(one, ())


class RestrictedContent(Struct, dict=True):
    """The content that may not leave.

    Attributes:
        clone: The project.
        history: Its versions, of the reflog too.
        judge: Says why a version may not leave.
    """

    clone: Clone
    history: History
    judge: Judge
    _by_md5: dict[str, list[Known]] = field(default_factory=dict)

    @cached_property
    def ancestry(self) -> Ancestry:
        """What was made from what."""
        return Ancestry(self.history)

    def known(self, md5s: Iterable[str]) -> Iterator[Known]:
        """Yield what is known against any of some contents, each once."""
        _ = self.unlisted
        found = {id(one): one for md5 in md5s for one in self._by_md5.get(md5, ())}
        yield from found.values()

    @property
    def is_empty(self) -> bool:
        """Whether nothing restricted was ever recorded."""
        return not (self.unlisted or self._by_md5)

    @cached_property
    def unlisted(self) -> tuple[str, ...]:
        """Why nothing can be compared with a restricted version: its file list is nowhere.

        Reads all of history; a file list that is not in the cache is looked for on storages.
        """
        restricted = [(one, found) for one in self.history.ever if (found := self.judged(one))]
        here = Contents(self.clone)
        lacking = [pair for pair in restricted if here.files(pair[0]) is None]
        anywhere = Contents(self.clone, self._storages()) if lacking else here
        missing: list[str] = []
        for version, found in restricted:
            files = here.files(version)
            files = anywhere.files(version) if files is None else files
            if files is None and not self._was_dropped(version):
                missing += [f"{UNLISTED.format(title=version.title)}; {r}" for r in found.bare]
            for md5 in {version.version, *(files or {}).values()} - {EMPTY_MD5}:
                self._by_md5.setdefault(md5, []).append(found)
        return tuple(dict.fromkeys(missing))

    def judged(self, version: Version) -> Known | None:
        """Return why a version may not leave; None where it may."""
        sources = self.ancestry.sources(version)
        is_added = self.ancestry.is_added(version)
        if not sources and (is_added or version not in self.history.inputs):
            return None
        if not sources and not version.level:
            return None
        reasons = self.judge(version, tuple(sorted(sources, key=str)))
        if not reasons:
            return None
        return Known(version.title, reasons, sources, is_added, not version.level and not is_added)

    def _was_dropped(self, version: Version) -> bool:
        """Tell whether the log says that every copy of a version was deleted on purpose."""
        copies = [
            copy
            for name in self.clone.config.storages
            if (copy := self.clone.ledger.copy(key_of(version, name))).notes
        ]
        return bool(copies) and all(
            isinstance(belief, NotThere) and belief.why in {"dropped", "lost"}
            for copy in copies
            for belief in copy.beliefs
        )

    def _storages(self) -> tuple[Storage, ...]:
        from imgdata.workflows.copies import Copies, Reached  # noqa: PLC0415 - rarely needed

        copies = Copies(self.clone, ask=True)
        answers = (copies.reach(name) for name in self.clone.config.storages)
        return tuple(one.storage for one in answers if isinstance(one, Reached))
