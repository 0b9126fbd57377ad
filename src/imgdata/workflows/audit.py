"""`imgdata audit`: gather what the project's rules are about, and judge it; only reads."""

from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from imgdata.errors import ImgdataError
from imgdata.levels.units import Unit
from imgdata.model.objects import FOLDER_SUFFIX
from imgdata.policy.audit.facts import (
    AuditFacts,
    CommitState,
    ConfigState,
    LegacyUnit,
    Loss,
    MarkerState,
    ObjectsFact,
    OldVersion,
    RawOrigin,
    StorageFact,
    UnitHere,
    Unproven,
    VersionFact,
)
from imgdata.policy.audit.remarks import Judged
from imgdata.policy.audit.table import audit as judge
from imgdata.policy.evidence import CopyFact
from imgdata.policy.ledger import NothingNoted, NotThere
from imgdata.policy.recoverable import NotRecoverable, Recoverability
from imgdata.ports import LiesInFolder
from imgdata.project.config import Config
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.project.log import read_events
from imgdata.transfer.presence import present_objects
from imgdata.workflows import merge_driver
from imgdata.workflows.audit_due import due, superseded_somewhere, to_move
from imgdata.workflows.audit_leaks import leaks, public_remotes
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import differences
from imgdata.workflows.contents import Contents
from imgdata.workflows.copies import PURGED_OPTION, Copies, Offline, Reached, rule_of
from imgdata.workflows.former_storages import FormerStorages
from imgdata.workflows.graph import Graph, id_of
from imgdata.workflows.history import WORKING_TREE, History, Version
from imgdata.workflows.leaving import Gate
from imgdata.workflows.old_remedies import level_at
from imgdata.workflows.status import is_former, look_at
from imgdata.workflows.versions import version_of

DECISIONS = ("excluded", "note")
LOST_LIST = "its file list is nowhere to be found"


def audit(clone: Clone, *, remote: bool = False) -> tuple[Judged, ...]:
    """Judge a project by every rule; with `remote`, ask its storages."""
    return judge(_Gathering(clone, remote).facts())


class _Gathering(Struct, dict=True):
    clone: Clone
    remote: bool

    def facts(self) -> AuditFacts:
        """Collect what the rules ask for."""
        clone = self.clone
        old, legacy = tuple(self._old()), tuple(self._legacy())
        return AuditFacts(
            now=clone.clock.now(),
            asked=self.remote,
            newest=max((event.at for event in clone.events), default=None),
            versions=tuple(self._versions()),
            old=old,
            legacy=legacy,
            unproven=tuple(self._unproven()),
            storages=tuple(self._storages()),
            here=tuple(self._here()),
            due=tuple(due(clone, self.graph)),
            superseded=tuple(superseded_somewhere(clone, self.graph)),
            to_move=tuple(to_move(clone, self.copies)),
            origins=clone.config.origins,
            raw_origins=tuple(_raw_origins(clone)),
            leaks=tuple(leaks(clone, self.gate, self.copies, self.graph.contents)),
            public_remotes=tuple(public_remotes(clone, self.gate, ask=self.remote)),
            losses=tuple(_losses(clone)),
            config=_config_state(clone),
            differences=tuple(
                differences(
                    clone.config, clone.dvc, clone.units, clone.root, self.gate.barred_as_written
                )
            ),
            unreadable=read_events(clone.root)[1],
            doubts=tuple(one.sentence for one in clone.index.problems),
            driver_missing=merge_driver.is_named(clone.root, clone.git)
            and not merge_driver.is_installed(clone.git),
            decisions=_decisions(clone),
        )

    @cached_property
    def copies(self) -> Copies:
        return Copies(self.clone, ask=self.remote)

    @cached_property
    def former(self) -> FormerStorages:
        return FormerStorages(self.clone)

    @cached_property
    def graph(self) -> Graph:
        reached = [self.copies.reach(name) for name in self._asked]
        storages = [one.storage for one in reached if isinstance(one, Reached)]
        contents = Contents(self.clone, storages)
        return Graph(self.clone, self.copies, contents, History(self.clone))

    @cached_property
    def gate(self) -> Gate:
        return Gate(self.clone, ask=self.remote)

    @property
    def _asked(self) -> tuple[str, ...]:
        return tuple(self.clone.config.storages) if self.remote else ()

    def _versions(self) -> Iterator[VersionFact]:
        """Yield the current versions of levels that are stored."""
        for unit in self.clone.units.of(self.clone.config.levels):
            level = self.clone.config.levels[unit.level]
            if unit.version is None or not (level.storages or level.then):
                continue
            version = version_of(unit)
            yield VersionFact(
                level=level.name,
                unit=unit.name,
                title=unit.title,
                rule=rule_of(level),
                storages=level.storages,
                objects=self._objects(version),
                is_here=self._is_here(version),
                is_made=not unit.is_raw,
                way_back=self.former.way_back(version),
            )

    def _objects(self, version: Version) -> tuple[ObjectsFact, ...]:
        """Return a version's files by the state of their copies; as a whole if none is known."""
        items = self.graph.items(version)
        if items is None:
            return tuple(self._as_a_whole(version))
        groups: dict[tuple[CopyFact, ...], list[str]] = {}
        facts = self.copies.facts(version, items)
        for item in items:
            groups.setdefault(facts[item.object_id], []).extend(item.names)
        lists = {name for item in items if item.object_id.endswith(FOLDER_SUFFIX)
                 for name in item.names}  # fmt: skip
        return tuple(
            ObjectsFact(some, tuple(name for name in names if name not in lists) or tuple(names))
            for some, names in groups.items()
        )

    def _as_a_whole(self, version: Version) -> Iterator[ObjectsFact]:
        """Yield the states that any file of a version may be in, where its list is not here."""
        names = self.copies.storages_of(version)
        beliefs = {name: self.copies.copy(version, name).beliefs for name in names}
        count = max((len(some) for some in beliefs.values()), default=0)
        for position in range(max(1, count)):
            facts = []
            for name in names:
                known = beliefs[name] or (NothingNoted(),)
                belief = known[min(position, len(known) - 1)]
                place = self.copies.place_of.get(name, name)
                presence = self.copies.presence_unlisted(version, name)
                facts.append(CopyFact(name, place, belief, presence, self.copies.never(name)))
            yield ObjectsFact(tuple(facts), (version.path,))

    def _is_here(self, version: Version) -> bool:
        items = self.graph.items(version)
        if items is None:
            return False
        found = present_objects(self.clone.cache, [item.key for item in items])
        return len(found) == len({item.key for item in items})

    def _old(self) -> Iterator[OldVersion]:
        """Yield versions that branches, tags and stashes record and that no storage has."""
        history = self.graph.history
        current = {(one.path, one.version) for one in history.current}
        seen: set[tuple[str, str]] = set()
        for version, where in history.in_use.items():
            level = self.clone.config.levels.get(version.level)
            known = (version.path, version.version)
            if level is None or not level.storages or known in current or known in seen:
                continue
            seen.add(known)
            if not self._has_or_had_copy(version):
                yield self._old_version(version, where)

    def _old_version(self, version: Version, where: tuple[str, ...]) -> OldVersion:
        here = {WORKING_TREE, "HEAD", self.clone.git.branch()}
        elsewhere = [name for name in where if name not in here]
        name = elsewhere[0] if elsewhere else next(one for one in where if one != WORKING_TREE)
        return OldVersion(
            version.level,
            version.unit,
            version.title,
            version.version,
            name.removeprefix("remotes/").removeprefix("tags/"),
            is_checked_out=not elsewhere,
            way_back=self.former.way_back(version),
            is_here=self._is_here(version),
            level_there=level_at(self.clone, name, version.level),
        )

    def _has_or_had_copy(self, version: Version) -> bool:
        """Tell whether a storage has a version, or had it until it was dropped by rule."""
        for name in self.clone.config.storages:
            copy = self.copies.copy(version, name)
            was_dropped = any(isinstance(one, NotThere) and one.why == "dropped" for one in
                              copy.beliefs)  # fmt: skip
            if copy.notes and was_dropped:
                return True
            if copy.is_whole and self.copies.is_there(version, name, self.graph.items(version)):
                return True
        return False

    def _legacy(self) -> Iterator[LegacyUnit]:
        for unit in self.clone.units.of(self.clone.config.levels):
            if unit.legacy_hash is not None:
                yield LegacyUnit(unit.level, unit.name, unit.title, unit.legacy_hash)

    def _unproven(self) -> Iterator[Unproven]:
        """Yield versions of levels that are stored nowhere and that nothing gives back for sure."""
        units = [
            unit
            for unit in self.clone.units.of(self.clone.config.levels)
            if unit.version is not None
            and not self.clone.config.levels[unit.level].storages
            and not self.clone.config.levels[unit.level].then
        ]
        nodes = self.graph.nodes(version_of(unit) for unit in units)
        judge = Recoverability(nodes.values(), self.clone.clock.now())
        for unit in units:
            name = id_of(version_of(unit))
            if judge.is_whole(name):
                continue
            why, remedy = LOST_LIST, f"imgdata run {unit.level}"
            bad = (judge.of(name, one) for one in nodes[name].facts)
            first = next((one for one in bad if isinstance(one, NotRecoverable)), None)
            if first is not None:
                why, remedy = "; ".join(first.recipe_faults) or "it has no recipe", first.remedy
            yield Unproven(unit.level, unit.name, unit.title, why, remedy)

    def _storages(self) -> Iterator[StorageFact]:
        config = self.clone.config
        for name, storage in config.storages.items():
            marker, detail = self._marker(name) if self.remote else (None, "")
            yield StorageFact(
                name=name,
                place=self.copies.place_of.get(name, name),
                levels=tuple(
                    one.name for one in config.levels.values() if name in (*one.storages, *one.then)
                ),
                holds=tuple(self._held(name)),
                marker=marker,
                detail=detail,
                purged=PURGED_OPTION in storage.options,
                is_unplugged=self.copies.is_unplugged(name),
            )

    def _held(self, name: str) -> Iterator[str]:
        for level in self.clone.config.levels.values():
            copies = (
                self.copies.copy(version_of(unit), name)
                for unit in self.clone.units.by_level[level.name]
                if unit.version is not None
            )
            if any(copy.has_something for copy in copies):
                yield level.name

    def _marker(self, name: str) -> tuple[MarkerState, str]:
        answer = self.copies.reach(name)
        if isinstance(answer, Offline):
            return ("offline" if self._is_drive(name) else "unreachable"), answer.error.problem
        if answer.marker is None:
            return "absent", ""
        if answer.marker.project_id != self.clone.config.id:
            return "foreign", answer.marker.title or answer.marker.project_id
        return "ours", ""

    def _is_drive(self, name: str) -> bool:
        """Tell whether a storage is a drive known by its label that is not plugged in."""
        try:
            opened = self.clone.open_storage(self.clone.config.storages[name])
        except ImgdataError:
            return False
        return isinstance(opened, LiesInFolder) and opened.folder is None

    def _here(self) -> Iterator[UnitHere]:
        for unit in self.clone.units.of(self.clone.config.levels):
            state, comparison = look_at(self.clone, unit)
            if comparison is None or state != "changed":
                continue
            if not is_former(self.clone, unit, comparison):  # those are not pulled yet
                yield UnitHere(
                    unit.level, unit.name, unit.title, unit.is_raw,
                    comparison.changed, comparison.missing, comparison.extra,
                )  # fmt: skip


def _raw_origins(clone: Clone) -> Iterator[RawOrigin]:
    for unit in clone.units.of(clone.config.levels):
        if unit.is_raw and _is_tracked(unit):
            yield RawOrigin(unit.level, unit.name, unit.title, unit.stage.file, unit.origin or "")


def _is_tracked(unit: Unit) -> bool:
    return unit.version is not None or unit.legacy_hash is not None


def _losses(clone: Clone) -> Iterator[Loss]:
    """Yield every accepted loss, those that only an old commit's imgdata.yaml names as well."""
    path = f"{clone.git_prefix}{CONFIG_NAME}"
    found = dict.fromkeys(_losses_of(clone.config))
    for data in clone.git.states_ever(path):
        if b"accept_loss" not in data:
            continue
        try:
            found |= dict.fromkeys(_losses_of(parse_config(data.decode("utf-8", "replace"))))
        except ImgdataError:
            continue
    yield from found


def _losses_of(config: Config) -> Iterator[Loss]:
    for level in config.levels.values():
        for loss in level.accept_loss:
            yield Loss(level.name, loss.select, loss.reason, loss.by, loss.on.isoformat())


def _config_state(clone: Clone) -> ConfigState:
    """Compare imgdata.yaml here with HEAD, and with the release branch as last fetched."""
    git, release = clone.git, clone.config.release_branch
    path = f"{clone.git_prefix}{CONFIG_NAME}"
    here = (clone.root / CONFIG_NAME).read_bytes()
    refs = (f"refs/remotes/origin/{release}", f"refs/heads/{release}")
    shared = next((data for ref in refs if (data := git.blobs_at(ref, [path]).get(path))), None)
    branch = git.branch()
    state: CommitState = "shared"
    if git.blobs_at("HEAD", [path]).get(path) != here:
        state = "uncommitted"
    elif shared is None:
        state = "nowhere"
    elif shared != here:
        state = "unpushed" if branch == release else "other branch"
    return ConfigState(state, release, branch or "this commit", bool(git.remotes()))


def _decisions(clone: Clone) -> dict[str, int]:
    counted = Counter(event.event for event in clone.events)
    return {kind: counted[kind] for kind in DECISIONS}
