"""What a drop would delete, why each file is safe to delete or not, and what depends on it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.errors import DamagedError, RefusedError
from imgdata.model.keys import Fields, read_name
from imgdata.model.objects import FOLDER_SUFFIX
from imgdata.model.selection import Selection
from imgdata.policy.ledger import NotThere
from imgdata.policy.recoverable import Recoverability
from imgdata.project.by_name import storage_named
from imgdata.project.config import AcceptedLoss, Level
from imgdata.project.loader import CONFIG_NAME
from imgdata.transfer.move import Item
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.copies import Copies, Offline, Reached
from imgdata.workflows.drop_downstream import downstream_words
from imgdata.workflows.drop_sorting import Sorter, Unsafe, VersionPlan, WorkspaceFiles
from imgdata.workflows.former_files import former_files
from imgdata.workflows.graph import Graph, id_of
from imgdata.workflows.history import History, Version
from imgdata.workflows.places import HERE
from imgdata.workflows.retention import Retention, superseded
from imgdata.workflows.versions import version_of


class DropOptions(Struct, frozen=True):
    """What to drop, and from where.

    Attributes:
        source: A storage's name; empty for workspace and cache.
        selection: Only files whose key fields fit.
        old_versions: Superseded versions, by the levels' rules, instead of the current ones.
        due: Only what its level's `keep` says is due.
        used: Only what is stored nowhere by rule and whose consumers are done.
        only: Only units with these paths; None for all.
        ask: Ask the storages now; without it the plan is made from what is remembered.
    """

    source: str = HERE
    selection: Selection = field(default_factory=lambda: Selection({}))
    old_versions: bool = False
    due: bool = False
    used: bool = False
    only: frozenset[str] | None = None
    ask: bool = True


class DropPlan(Struct, frozen=True):
    """All that a drop would do.

    Attributes:
        downstream: Sentences about what is made from it.
        asked: Whether storages were asked, or the plan is as remembered.
        offline: Storages that could not be asked.
        unlisted: Versions whose file list was not found, so that nothing of them goes.
    """

    versions: tuple[VersionPlan, ...]
    downstream: tuple[str, ...]
    asked: bool
    offline: tuple[str, ...]
    unlisted: tuple[str, ...] = ()

    @property
    def unsafe(self) -> tuple[Unsafe, ...]:
        """All files that stay."""
        return tuple(one for version in self.versions for one in version.unsafe)

    @property
    def files(self) -> int:
        """How many files may go."""
        return sum(one.files for one in self.versions)

    @property
    def size(self) -> int:
        """Bytes that become free."""
        return sum(one.size for one in self.versions)


def plan_drop(clone: Clone, levels: Sequence[Level], options: DropOptions) -> DropPlan:
    """Decide file by file what may go; changes nothing.

    Raises:
        UsageError: The storage is not configured, or the selection fits no file.
        RefusedError: The storage's marker is absent or names another project.
        StorageError: The storage cannot be reached.
    """
    if options.source in clone.config.repositories:
        problem = f"nothing can be dropped from '{options.source}': a published record stays"
        raise RefusedError(problem)
    if options.source != HERE:
        storage_named(clone.config, options.source)
    copies = Copies(clone, ask=options.ask)
    _refuse_foreign(clone, copies, options)
    storages = [
        one.storage
        for name in clone.copy_places
        if options.ask and isinstance(one := copies.reach(name), Reached)
    ]
    history = History(clone)
    contents = Contents(clone, storages)
    graph = Graph(clone, copies, contents, history)
    return _Planner(clone, options, graph, levels).plan()


def _refuse_foreign(clone: Clone, copies: Copies, options: DropOptions) -> None:
    if options.source == HERE or not options.ask:
        return
    found = copies.reach(options.source)
    if isinstance(found, Offline):
        raise found.error
    marker = found.marker
    if marker is None or marker.project_id != clone.config.id:
        owner = "has no marker" if marker is None else f"names '{marker.title}'"
        problem = f"storage '{options.source}' is not known to be this project's alone"
        raise RefusedError(
            problem,
            cause=f"its imgdata-project.json {owner}",
            remedy="give each project its own prefix; nothing was deleted",
        )


class _Planner(Struct):
    clone: Clone
    options: DropOptions
    graph: Graph
    levels: Sequence[Level]
    matched: bool = False
    seen: list[Fields] = field(default_factory=list)
    unlisted: dict[str, None] = field(default_factory=dict)

    def plan(self) -> DropPlan:
        targets = self._targets()
        place = self._place()
        leaving = {id_of(version): frozenset({place}) for version in targets}
        below = self._consumers(targets)
        nodes = self.graph.nodes([*targets, *(one for some in below.values() for one in some)])
        judge = Recoverability(nodes.values(), self.clone.clock.now(), leaving)
        keep = self._shared(targets)
        found = [self._version(version, judge, keep) for version in targets]
        plans = _without_held([one for one in found if one is not None])
        if self.options.selection and not self.matched:
            raise self.options.selection.nothing_matched(self.seen)
        offline = tuple(
            name
            for name in self.clone.copy_places
            if self.options.ask and isinstance(self.graph.copies.reach(name), Offline)
        )
        downstream = tuple(downstream_words(below, judge, nodes))
        unlisted = tuple(self.unlisted)
        return DropPlan(tuple(plans), downstream, self.options.ask, offline, unlisted)

    def _place(self) -> str:
        name = self.options.source
        return HERE if name == HERE else self.graph.copies.place_of.get(name, name)

    def _targets(self) -> tuple[Version, ...]:
        names = [level.name for level in self.levels]
        if self.options.old_versions:
            return superseded(self.clone, self.graph.history, names)
        retention = Retention(self.clone)
        found = []
        for unit in self.clone.units.of(names):
            if unit.version is None:
                continue
            if self.options.used and not retention.is_used(unit):
                continue
            if self.options.due and not retention.is_due_at(unit, self.options.source):
                continue
            if self.options.only is not None and unit.path not in self.options.only:
                continue
            found.append(version_of(unit))
        return tuple(found)

    def _consumers(self, targets: Iterable[Version]) -> Mapping[str, tuple[Version, ...]]:
        """Return by level the recorded versions that are made from what would be dropped."""
        paths = {version.path for version in targets}
        levels = {version.level for version in targets}
        found: dict[str, list[Version]] = {}
        for unit in self.clone.units.of(self.clone.config.levels):
            reads = {dep.path for dep in unit.stage.deps if dep.is_inside}
            if unit.version is not None and reads & paths and unit.level not in levels:
                found.setdefault(unit.level, []).append(version_of(unit))
        return {level: tuple(some) for level, some in found.items()}

    def _shared(self, targets: Iterable[Version]) -> frozenset[str]:
        """Return the objects that something else needs at the place that is dropped from.

        In the cache: every other version at the tip of a branch, tag or stash. On a storage: every
        other version of all history that was not dropped there.
        """
        going = {id_of(version) for version in targets}
        levels = {version.level for version in targets}
        kept: set[str] = set()
        used = self.graph.history.in_use
        others = used if self.options.source == HERE else {**self.graph.history.ever, **used}
        for version in others:
            is_going = id_of(version) in going
            if not is_going and self._was_dropped(version, in_use=version in used):
                continue
            items = self.graph.contents.items(version)
            if items is not None:
                leave = set(self._chosen(version, items)) if is_going else set()
                kept |= {item.object_id for item in items if item not in leave}
            elif is_going:
                continue
            elif self._is_noted(version) and not self.options.ask:
                if version.level in levels:
                    self._not_listed(version)
            elif self._is_noted(version):
                problem = (
                    f"the file list of {version.title} (version {version.version[:8]}) is lost"
                )
                raise DamagedError(
                    problem,
                    cause=f"so it is not known which files it shares on {self.options.source}",
                    remedy=f"imgdata verify {version.level} --repair",
                )
        return frozenset(kept)

    def _is_noted(self, version: Version) -> bool:
        """Tell whether the log says anything of a version on the storage that is dropped from."""
        source = self.options.source
        return source != HERE and bool(self.graph.copies.copy(version, source).notes)

    def _not_listed(self, version: Version) -> None:
        self.unlisted[f"{version.title} (version {version.version[:8]})"] = None

    def _was_dropped(self, version: Version, *, in_use: bool) -> bool:
        if self.options.source == HERE or in_use:
            return False
        beliefs = self.graph.copies.copy(version, self.options.source).beliefs
        return bool(beliefs) and all(
            isinstance(one, NotThere) and one.why in {"dropped", "lost"} for one in beliefs
        )

    def _version(
        self, version: Version, judge: Recoverability, keep: frozenset[str]
    ) -> VersionPlan | None:
        items = self.graph.items(version)
        if items is None:
            if self._is_noted(version) and not self._was_dropped(version, in_use=False):
                self._not_listed(version)
            return None
        chosen = self._chosen(version, items)
        here = self._workspace(version) if self.options.source == HERE else None
        there = self._present(version, chosen)
        current = not self.options.old_versions
        accepted, history = self._accepted(version.level), self.graph.history
        sorter = Sorter(version, judge, keep, accepted, self.clone, history, current)
        for item in chosen:
            size = there.get(item.object_id)
            is_list = item.object_id.endswith(FOLDER_SUFFIX)
            files = {} if here is None or is_list else here.files(item)
            if size is None and not files and not (here and here.edited & set(item.names)):
                continue
            sorter.take(item, size, files, here)
        return (
            sorter.plan(self.options.source) if sorter.has_anything(self.options.source) else None
        )

    def _chosen(self, version: Version, items: Sequence[Item]) -> tuple[Item, ...]:
        """Return the objects whose files are selected; the folder list only with all of them."""
        if not self.options.selection:
            return tuple(items)
        level = self.clone.config.levels[version.level]
        found = []
        for item in items:
            fields = {name: _fields(level, version, name) for name in item.names}
            self.seen += [one for one in fields.values() if one is not None]
            if all(one and self.options.selection.fits(one) for one in fields.values()):
                found.append(item)
        self.matched = self.matched or bool(found)
        return tuple(found)

    def _present(self, version: Version, items: Sequence[Item]) -> dict[str, int]:
        """Return the sizes of the objects that are at the place, as far as is known."""
        name = self.options.source
        if name == HERE:
            there = self.graph.copies.cached(items)
        elif self.options.ask:
            there = self.graph.copies.there(name, items)
        else:
            copy = self.graph.copies.copy(version, name)
            return {i.object_id: i.size or 0 for i in items if copy.evidence(i.md5) is not None}
        return {i.object_id: there[i.key].size for i in items if i.key in there}

    def _workspace(self, version: Version) -> WorkspaceFiles | None:
        unit = next(
            (
                unit
                for unit in self.clone.units.by_level.get(version.level, ())
                if unit.path == version.path and unit.version == version.version
            ),
            None,
        )
        if unit is None:
            return None
        found = self.clone.workspace.scan(unit.path)
        comparison = self.clone.compare(unit) if self.clone.has_list(unit) else None
        changed = comparison.changed if comparison else ()
        former = former_files(self.clone, unit.path, changed) if changed else frozenset()
        return WorkspaceFiles(version, found, comparison, former)

    def _accepted(self, level: str) -> tuple[AcceptedLoss, ...]:
        """Return the losses that an owner accepts; they hold once imgdata.yaml is committed."""
        known = self.clone.config.levels.get(level)
        if known is None or not known.accept_loss:
            return ()
        path = f"{self.clone.git_prefix}{CONFIG_NAME}"
        return () if path in self.clone.git.dirty_paths() else known.accept_loss


def _fields(level: Level, version: Version, name: str) -> Fields | None:
    inside = name.removeprefix(level.path).lstrip("/")
    found = read_name(level.keys, inside, version.unit)
    if found is None and version.unit is not None and name == version.path:
        return {"plate": version.unit}
    return found


def _without_held(plans: Sequence[VersionPlan]) -> list[VersionPlan]:
    """Return the plans without objects that another version of the same drop must keep."""
    held = frozenset().union(*(one.held for one in plans))
    return [
        replace(one, pieces=tuple(p for p in one.pieces if p.path not in held)) for one in plans
    ]
