"""May a unit go to a place that others can read? Asked before a byte moves.

Restrictions are read from imgdata.yaml in the working tree and on the release branch, and flow
along the pipeline; what was ever recorded as restricted stays so under any other name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property

from msgspec import Struct, field

from imgdata.errors import RefusedError
from imgdata.levels.raw_units import RawUnits
from imgdata.levels.units import Unit, level_of
from imgdata.model.excerpts import first_lines
from imgdata.policy.licenses import sharing_fault
from imgdata.policy.restrictions import MayLeave, Restricted, Source, Verdict, may_leave
from imgdata.ports import Storage
from imgdata.project.config import Level, StorageConfig
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents, Files
from imgdata.workflows.history import History, Version
from imgdata.workflows.public_places import PublicPlaces
from imgdata.workflows.release_clock import ReleaseClock
from imgdata.workflows.release_rules import ReleaseRules
from imgdata.workflows.restricted_content import RestrictedContent
from imgdata.workflows.versions import version_of

SHOWN = 20
CUT = (
    "this clone's history is cut, so it cannot be compared with what was ever restricted;"
    " git fetch --unshallow"
)


class Withheld(Struct, frozen=True):
    """A unit that stays: where it was to go, why that is public, why it may not, what may."""

    unit: Unit
    storage: str
    public: str
    reasons: tuple[str, ...]
    may: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Why, in a clause."""
        return f"restricted, and {self.storage} is public ({self.public}): {self.reasons[0]}"


class Gate(Struct, dict=True):
    """Judges units and storages of one clone; reads every rule and list once.

    Attributes:
        clone: The project.
        servers: Web addresses of servers beside the storages that can tell the date.
        ask: Whether servers are asked for the date; a plan from what is remembered asks none.
        known_rules: What the release branch says, where another gate has read it.
    """

    clone: Clone
    servers: Sequence[str] = ()
    ask: bool = True
    known_rules: ReleaseRules | None = None
    _content: dict[date, RestrictedContent] = field(default_factory=dict)

    @cached_property
    def rules(self) -> ReleaseRules:
        """What the release branch says."""
        return self.known_rules or ReleaseRules(self.clone)

    @cached_property
    def _public(self) -> PublicPlaces:
        return PublicPlaces(self.clone, self.rules)

    @cached_property
    def _clock(self) -> ReleaseClock:
        return ReleaseClock(self.clone, self.rules, self.servers, self.ask)

    def stated_public(self, storage: StorageConfig) -> str:
        """Say why a storage is public by what imgdata.yaml says; empty if it is not."""
        return self._public.stated(storage)

    def looks_public(self, storage: StorageConfig, opened: Storage) -> str:
        """Say why a storage is public by looking at it; asks it. Thoroughly where it matters.

        Raises:
            StorageError: It could not be found out.
        """
        return self._public.seen(storage, opened, thoroughly=self._is_worth_a_look)

    @property
    def _is_worth_a_look(self) -> bool:
        """Whether anything here may be restricted, as far as imgdata.yaml and records say."""
        today = self._clock.today()
        units = [unit for some in self.clone.units.by_level.values() for unit in some]
        used = {unit.origin or "" for unit in units if unit.is_raw}
        used |= {name for origins in self.rules.origins for name in origins}
        sources = [Source("", name) for name in used]
        readings = [config.origins for config in self.rules.readings]
        return bool(used) and isinstance(may_leave("", sources, readings, today), Restricted)

    def barred(self, unit: Unit) -> frozenset[str]:
        """Return the storages that a unit's record must not name for plain DVC; asks nobody."""
        return self._barred(unit, self.stated_public)

    def barred_as_written(self, unit: Unit) -> frozenset[str]:
        """Return the same by what the working tree says of storages: reads no other branch."""
        return self._barred(unit, self._public.says)

    def _barred(self, unit: Unit, is_public: Callable[[StorageConfig], str]) -> frozenset[str]:
        level = self.clone.config.levels[unit.level]
        storages = [self.clone.config.storages[name] for name in level.storages]
        public = frozenset(one.name for one in storages if is_public(one))
        is_held = bool(public) and isinstance(self.verdict(unit), Restricted)
        return public if is_held else frozenset()

    def barred_new(
        self, version: Version, origin: str | None, md5s: Iterable[str]
    ) -> frozenset[str]:
        """Return the storages that the record of a unit about to be added must not name."""
        level = self.clone.config.levels[version.level]
        storages = [self.clone.config.storages[name] for name in level.storages]
        public = frozenset(one.name for one in storages if self.stated_public(one))
        if not public:
            return public
        today = self._clock.today()
        reasons = self._reasons(version, (Source(version.title, origin or ""),), today)
        is_held = next(reasons, "") or next(self._content_of(today).known(md5s), None)
        return public if is_held else frozenset()

    def forbidden_new(
        self, level: Level, name: str | None, origin: str | None, storage: str
    ) -> tuple[str, ...]:
        """Return why a unit about to be added may not go to a storage; asks and reads nothing.

        As far as rules and records say: what is sent is judged by its content, too.
        """
        if not self.stated_public(self.clone.config.storages[storage]):
            return ()
        path = level.path if name is None else f"{level.path}/{name}"
        version = Version(path, level.name, name, "", 0, 0)
        sources = (Source(version.title, origin or ""),)
        return tuple(dict.fromkeys(self._reasons(version, sources, self._clock.today())))

    def withheld(
        self, unit: Unit, storage: str, public: str, receiver: Storage | None = None
    ) -> Withheld | None:
        """Return why a unit may not go to a public storage, or None if it may.

        Judged by restrictions, and by the licences of data that are not the lab's own.
        """
        reasons: tuple[str, ...] = ()
        match self.verdict(unit, receiver):
            case Restricted(found):
                reasons = found
            case MayLeave():
                reasons = tuple(dict.fromkeys(self._license_faults(unit)))
        return Withheld(unit, storage, public, reasons, self._may(unit)) if reasons else None

    def remembered(self, unit: Unit, storage: StorageConfig) -> Withheld | None:
        """Return why a unit will be withheld, as far as rules and records say; asks nobody.

        A plan shows it; what is sent is judged by its content, too.
        """
        if not (public := self.stated_public(storage)):
            return None
        found = self._reasons(version_of(unit), self._sources(unit), self._clock.today())
        reasons = tuple(dict.fromkeys((*found, *self._license_faults(unit))))
        if not reasons:
            return None
        return Withheld(unit, storage.name, public, reasons, self._may(unit))

    def verdict(self, unit: Unit, receiver: Storage | None = None) -> Verdict:
        """Judge a unit by its origin, by what it was made from, and by its content."""
        today = self._clock.today(receiver)
        version = version_of(unit)
        reasons = dict.fromkeys(self._reasons(version, self._sources(unit), today))
        if unit.version is not None and self._has_ever_been_told:
            reasons |= dict.fromkeys(self._content_faults(unit, version, today, frozenset(reasons)))
        return Restricted(tuple(reasons)) if reasons else MayLeave()

    def verdict_as_recorded(self, unit: Unit) -> Verdict:
        """Judge a unit by rules and records alone: its content is not compared."""
        found = self._reasons(version_of(unit), self._sources(unit), self._clock.today())
        reasons = tuple(dict.fromkeys(found))
        return Restricted(reasons) if reasons else MayLeave()

    @cached_property
    def restricted_versions(self) -> Mapping[Version, tuple[str, ...]]:
        """All versions of history that may not leave, and why; reads no file list."""
        content = self._content_of(self._clock.today())
        judged = ((version, content.judged(version)) for version in self._history.ever)
        return {version: known.bare for version, known in judged if known is not None}

    def glance(self, storage: StorageConfig, opened: Storage) -> str:
        """Say why a storage is public by looking at it without leaving a trace; else empty.

        Raises:
            StorageError: It could not be found out.
        """
        return self._public.seen(storage, opened, thoroughly=False)

    def refuse(self, units: Sequence[Unit], place: str) -> None:
        """Stop before units go to a place that is public by its nature.

        Raises:
            RefusedError: Naming each unit that may not, the rule, and what may leave.
        """
        judged = ((unit, self.verdict(unit)) for unit in units)
        held = [
            Withheld(unit, place, "a public repository", verdict.reasons, self._may(unit))
            for unit, verdict in judged
            if isinstance(verdict, Restricted)
        ]
        if held:
            raise refusal(held, f"may not go to '{place}'")

    def _content_faults(
        self, unit: Unit, version: Version, today: date, told: frozenset[str]
    ) -> Iterator[str]:
        """Yield why a unit's content is known as restricted, or cannot be compared.

        What was told of the unit itself is not told again of its content.
        """
        if self.clone.git.is_shallow():
            yield CUT
        content = self._content_of(today)
        yield from content.unlisted
        files = self._contents.files(version)
        if files is None:
            yield f"{version.title}: its file list is not here; imgdata pull {unit.level}"
        elif not content.is_empty:
            mine = frozenset(self._sources(unit))
            for known in content.known({*files.values(), version.version}):
                is_same = known.is_level_gone and not unit.is_raw and known.sources <= mine
                is_chance = not known.is_added and self._is_recorded_open(version, today)
                if not (is_same or is_chance or told.issuperset(known.bare)):
                    yield from known.reasons
            yield from self._inside(content, version, files)

    def _is_recorded_open(self, version: Version, today: date) -> bool:
        """Tell whether the release branch records a derived version as made from open data alone.

        Then content that a restricted plate gave as well (an empty mask, a count) is chance.
        """
        same = [one for one in self._history.in_use
                if (one.path, one.version) == (version.path, version.version)]  # fmt: skip
        places = {name for one in same for name in self._history.in_use[one]}
        if not places & self.rules.tips:
            return False
        ancestry = self._content_of(today).ancestry
        sources = tuple(dict.fromkeys(found for one in same for found in ancestry.sources(one)))
        is_derived = not any(ancestry.is_added(one) for one in same)
        return bool(sources) and is_derived and not any(self._reasons(version, sources, today))

    def _inside(self, content: RestrictedContent, version: Version, files: Files) -> Iterator[str]:
        """Yield why what is inside a version's archives may not leave."""
        from imgdata.workflows.inside_archives import members  # noqa: PLC0415 - slow, rarely needed

        for member in members(self.clone, version, files):
            if member.why_not:
                yield member.why_not
            for known in content.known([member.md5]):
                yield from (f"{member.name} {reason}" for reason in known.reasons)

    def _content_of(self, today: date) -> RestrictedContent:
        if today not in self._content:
            self._content[today] = RestrictedContent(
                self.clone,
                self._history,
                lambda version, sources: tuple(self._reasons(version, sources, today)),
            )
        return self._content[today]

    def _may(self, unit: Unit) -> tuple[str, ...]:
        """Return the levels that the origins' written rules let go."""
        names = [
            set(origin.may_leave)
            for source in self._sources(unit)
            for config in self.rules.readings
            if (origin := config.origins.get(source.origin)) is not None
        ]
        return tuple(sorted(set.intersection(*names))) if names else ()

    def _reasons(self, version: Version, sources: tuple[Source, ...], today: date) -> Iterator[str]:
        """Yield why a version may not leave, by each reading of the rules; none: it may."""
        for fault in self.rules.faults:
            yield f"{version.title}: {fault}"
        for config in self.rules.readings:
            level = level_of(config, version.path)
            name = level.name if level else version.level
            match may_leave(name or version.path, sources, [config.origins], today):
                case Restricted(reasons):
                    yield from reasons
                case MayLeave():
                    pass

    def _license_faults(self, unit: Unit) -> Iterator[str]:
        """Yield why the licences of a unit's origins forbid to pass it on."""
        for source in self._sources(unit):
            for config in self.rules.readings:
                origin = config.origins.get(source.origin)
                if origin is None or origin.kind == "own" or unit.level in origin.may_leave:
                    continue
                is_silent = not origin.license and origin.kind != "public"
                fault = sharing_fault(origin.license or "", is_derived=not unit.is_raw)
                if fault and not is_silent:
                    yield f"{source.unit} is of origin '{origin.name}': {fault}"

    @cached_property
    def _raw(self) -> RawUnits:
        return RawUnits(self.clone.index, self.clone.units)

    def _sources(self, unit: Unit) -> tuple[Source, ...]:
        found: dict[Source, None] = {}
        for raw in self._raw.of(unit):
            named = {raw.origin or "", *self._origins_ever.get(raw.path, ())}
            found |= {Source(raw.title, one): None for one in sorted(named - {""} or named)}
        return tuple(found)

    @cached_property
    def _history(self) -> History:
        return History(self.clone, with_reflog=True)

    @cached_property
    def _contents(self) -> Contents:
        return Contents(self.clone)

    @cached_property
    def _has_ever_been_told(self) -> bool:
        """Whether any commit or the working tree records an added version."""
        return bool(self._history.origins)

    @cached_property
    def _origins_ever(self) -> Mapping[str, set[str]]:
        """The origins that branches, tags, stashes and HEAD record for each raw path."""
        found: dict[str, set[str]] = {}
        for version, origins in self._history.origins.items():
            if version in self._history.in_use:
                found.setdefault(version.path, set()).update(origins)
        return found


def refusal(held: Sequence[Withheld], what: str) -> RefusedError:
    """Return the refusal of units: each with its reasons, and what may leave instead."""
    lines = [
        f"{one.unit.title} -> {one.storage} ({one.public}): {reason}"
        for one in held
        for reason in one.reasons
    ]
    may = ", ".join(sorted({name for one in held for name in one.may}))
    count = "one unit is" if len(held) == 1 else f"{len(held)} units are"
    return RefusedError(
        f"{count} restricted and {what}",
        cause=f"{first_lines(lines, SHOWN)}\nwhat may leave: {may or 'no level by a written rule'}",
        remedy="ask the owner; what may leave is said by may_leave of the origin in imgdata.yaml,"
        " committed on the release branch",
    )
