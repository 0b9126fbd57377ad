"""What a drop would delete, why each file is safe to delete or not, and what depends on it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.errors import DamagedError, RefusedError, UsageError
from imgdata.levels.changes import Comparison
from imgdata.levels.units import Unit
from imgdata.model.durations import format_duration
from imgdata.model.keys import Fields, read_name
from imgdata.model.objects import FOLDER_SUFFIX
from imgdata.model.selection import Selection, parse_selection
from imgdata.policy.ledger import NotThere
from imgdata.policy.recoverable import (
    ByCopies,
    ByRecipe,
    NotRecoverable,
    Recoverability,
    Verdict,
)
from imgdata.project.config import AcceptedLoss, Level
from imgdata.system.files import Stamp
from imgdata.transfer.move import Item
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.copies import Copies, Offline, Reached
from imgdata.workflows.drop_downstream import downstream_words
from imgdata.workflows.graph import Graph, id_of
from imgdata.workflows.history import History, Version
from imgdata.workflows.places import HERE
from imgdata.workflows.retention import Retention, superseded

CONFIG_FILE = "imgdata.yaml"


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


class Piece(Struct, frozen=True):
    """One thing to delete: a workspace file (with the stamp it must still have) or an object."""

    path: str
    md5: str
    size: int
    stamp: Stamp | None


class Safe(Struct, frozen=True):
    """Files that may go for one reason."""

    why: str
    files: int
    size: int


class Unsafe(Struct, frozen=True):
    """Files that stay because nothing else has them for sure: why, and what makes them safe."""

    names: tuple[str, ...]
    why: str
    remedy: str
    size: int


class VersionPlan(Struct, frozen=True):
    """One version and what of it goes.

    Attributes:
        safe: By reason.
        unsafe: By reason and remedy.
        shared: Files whose content another path or version in use has here; it stays.
        needs: What the recipes it relies on need.
        pieces: What is deleted, literally.
        held: The keys of its objects that must stay.
    """

    version: Version
    source: str
    safe: tuple[Safe, ...]
    unsafe: tuple[Unsafe, ...]
    shared: int
    needs: tuple[str, ...]
    pieces: tuple[Piece, ...]
    held: frozenset[str]

    @property
    def files(self) -> int:
        """How many files may go."""
        return sum(one.files for one in self.safe)

    @property
    def size(self) -> int:
        """Bytes that become free."""
        return sum(one.size for one in self.safe)


class DropPlan(Struct, frozen=True):
    """All that a drop would do.

    Attributes:
        downstream: Sentences about what is made from it.
        asked: Whether storages were asked, or the plan is as remembered.
        offline: Storages that could not be asked.
    """

    versions: tuple[VersionPlan, ...]
    downstream: tuple[str, ...]
    asked: bool
    offline: tuple[str, ...]

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
    if options.source != HERE and options.source not in clone.config.storages:
        known = ", ".join(clone.config.storages)
        problem = f"'{options.source}' is not a storage of this project"
        raise UsageError(problem, cause=f"storages: {known}")
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
        return DropPlan(tuple(plans), downstream, self.options.ask, offline)

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
            found.append(_version(unit))
        return tuple(found)

    def _consumers(self, targets: Iterable[Version]) -> Mapping[str, tuple[Version, ...]]:
        """Return by level the recorded versions that are made from what would be dropped."""
        paths = {version.path for version in targets}
        levels = {version.level for version in targets}
        found: dict[str, list[Version]] = {}
        for unit in self.clone.units.of(self.clone.config.levels):
            reads = {dep.path for dep in unit.stage.deps if dep.is_inside}
            if unit.version is not None and reads & paths and unit.level not in levels:
                found.setdefault(unit.level, []).append(_version(unit))
        return {level: tuple(some) for level, some in found.items()}

    def _shared(self, targets: Iterable[Version]) -> frozenset[str]:
        """Return the objects that something else needs at the place that is dropped from.

        In the cache: every other version at the tip of a branch, tag or stash. On a storage: every
        other version of all history that was not dropped there.
        """
        going = {id_of(version) for version in targets}
        kept: set[str] = set()
        used = self.graph.history.in_use
        others = used if self.options.source == HERE else {**self.graph.history.ever, **used}
        for version in others:
            is_going = id_of(version) in going
            if not is_going and self._was_dropped(version, version in used):
                continue
            items = self.graph.contents.items(version)
            if items is not None:
                leave = set(self._chosen(version, items)) if is_going else set()
                kept |= {item.object_id for item in items if item not in leave}
            elif is_going:
                continue
            elif (
                self.options.source != HERE
                and self.graph.copies.copy(version, self.options.source).notes
            ):
                problem = (
                    f"the file list of {version.title} (version {version.version[:8]}) is lost"
                )
                raise DamagedError(
                    problem,
                    cause=f"so it is not known which files it shares on {self.options.source}",
                    remedy=f"imgdata verify {version.level} --repair",
                )
        return frozenset(kept)

    def _was_dropped(self, version: Version, in_use: bool) -> bool:  # noqa: FBT001 - private
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
            return None
        chosen = self._chosen(version, items)
        here = self._workspace(version) if self.options.source == HERE else None
        there = self._present(version, chosen)
        current = not self.options.old_versions
        sorter = _Sorter(version, judge, keep, self._accepted(version.level), current)
        for item in chosen:
            size = there.get(item.object_id)
            is_list = item.object_id.endswith(FOLDER_SUFFIX)
            files = {} if here is None or is_list else here.files(item)
            if size is None and not files and not (here and here.edited & set(item.names)):
                continue
            sorter.take(item, size, files, here.edited if here else frozenset())
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

    def _workspace(self, version: Version) -> "_Workspace | None":
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
        return _Workspace(version, found, comparison)

    def _accepted(self, level: str) -> tuple[AcceptedLoss, ...]:
        """Return the losses that an owner accepts; they hold once imgdata.yaml is committed."""
        known = self.clone.config.levels.get(level)
        if known is None or not known.accept_loss:
            return ()
        prefix = self.clone.root.relative_to(self.clone.git.root).as_posix()
        path = CONFIG_FILE if prefix == "." else f"{prefix}/{CONFIG_FILE}"
        return () if path in self.clone.git.dirty_paths() else known.accept_loss


def _version(unit: Unit) -> Version:
    return Version(unit.path, unit.level, unit.name, str(unit.version), unit.size, unit.nfiles)


def _fields(level: Level, version: Version, name: str) -> Fields | None:
    inside = name.removeprefix(level.path).lstrip("/")
    found = read_name(level.keys, inside, version.unit)
    if found is None and version.unit is not None and name == version.path:
        return {"plate": version.unit}
    return found


class _Workspace(Struct, frozen=True):
    """The files of a version's unit that are in the workspace."""

    version: Version
    stamps: Mapping[str, Stamp]
    comparison: Comparison | None

    def files(self, item: Item) -> dict[str, Stamp]:
        """Return the workspace files that have an object's content, by path from the root."""
        if self.comparison is None:
            return {}
        other = {*self.comparison.changed, *self.comparison.missing}
        return {
            name: self.stamps[below]
            for name in item.names
            if (below := self._below(name)) in self.stamps and below not in other
        }

    @property
    def edited(self) -> frozenset[str]:
        """The files whose content here is not the recorded one."""
        changed = self.comparison.changed if self.comparison else ()
        return frozenset(f"{self.version.path}/{one}" if one else self.version.path
                         for one in changed)  # fmt: skip

    def _below(self, name: str) -> str:
        return name[len(self.version.path) + 1 :] if name != self.version.path else ""


class _Sorter(Struct):
    """Sorts the objects of one version into what may go and what stays."""

    version: Version
    judge: Recoverability
    keep: frozenset[str]
    accepted: tuple[AcceptedLoss, ...]
    is_current: bool
    safe: dict[str, list[int]] = field(default_factory=dict)
    unsafe: dict[tuple[str, str], tuple[list[str], list[int]]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    pieces: list[Piece] = field(default_factory=list)
    lists: list[Piece] = field(default_factory=list)
    needs: dict[str, None] = field(default_factory=dict)
    shared: int = 0

    def has_anything(self, source: str) -> bool:
        """Tell whether there is something to say: files, or a list that a killed drop left."""
        left = self.lists and self._list_goes(source)
        return bool(self.safe or self.unsafe or self.shared or left)

    def take(
        self, item: Item, size: int | None, files: Mapping[str, Stamp], edited: frozenset[str]
    ) -> None:
        """Decide about one object: `size` where the place has it, `files` in the workspace."""
        by_hand = edited & set(item.names)
        bytes_here = size or 0
        if by_hand:
            self.held.add(item.key)
            why = "hand-edited, the only copy"
            first = min(by_hand)
            self._stays(sorted(by_hand), why, f"mv {first} {first}.kept", bytes_here)
            return
        verdict = self.judge.of(id_of(self.version), item.object_id)
        reason = self._why(verdict)
        is_list = item.object_id.endswith(FOLDER_SUFFIX)
        if isinstance(verdict, NotRecoverable) and reason is None:
            self.held.add(item.key)
            if not is_list:
                self._stays(item.names, _against(verdict), verdict.remedy, bytes_here)
            return
        self._goes(item, size, files, str(reason))

    def _goes(self, item: Item, size: int | None, files: Mapping[str, Stamp], why: str) -> None:
        is_list = item.object_id.endswith(FOLDER_SUFFIX)
        is_kept = item.object_id in self.keep
        if is_kept and not is_list:
            self.shared += len(item.names)
        if size is not None and not is_kept:
            piece = Piece(item.key, item.md5, size, None)
            (self.lists if is_list else self.pieces).append(piece)
        freed = 0 if size is None or is_kept else size
        for name, stamp in files.items():
            self.pieces.append(Piece(name, item.md5, stamp.size, stamp))
            freed += stamp.size if size is None else 0
        if not is_list and (files or (size is not None and not is_kept)):
            count, total = self.safe.setdefault(why, [0, 0])
            self.safe[why] = [count + len(item.names), total + freed]

    def _why(self, verdict: Verdict) -> str | None:
        match verdict:
            case ByCopies(tally):
                count = len(tally.counted)
                word = "checked copy" if count == 1 else "checked copies"
                return f"{count} {word} ({', '.join(tally.counted)})"
            case ByRecipe():
                self.needs |= dict.fromkeys(verdict.needs)
                proof = verdict.proof
                return (
                    f"recomputable, proven {proof.verdict} on {proof.at:%Y-%m-%d}, "
                    f"{format_duration(verdict.seconds)}"
                )
            case NotRecoverable():
                loss = next((one for one in self.accepted if self._accepts(one)), None)
                if loss is None:
                    return None
                return f"loss accepted by {loss.by} on {loss.on}: {loss.reason}"

    def _accepts(self, loss: AcceptedLoss) -> bool:
        if loss.select == self.version.unit:
            return True
        try:
            selection = parse_selection([loss.select])
        except UsageError:
            return False
        unit = self.version.unit
        return unit is not None and selection.fits({"plate": unit})

    def _stays(self, names: Sequence[str], why: str, remedy: str, size: int) -> None:
        some, sizes = self.unsafe.setdefault((why, remedy), ([], []))
        some += names
        sizes.append(size)

    def _list_goes(self, source: str) -> bool:
        if self.unsafe or self.shared:
            return False
        return source != HERE or not self.is_current

    def plan(self, source: str) -> VersionPlan:
        return VersionPlan(
            version=self.version,
            source=source,
            safe=tuple(Safe(why, *numbers) for why, numbers in sorted(self.safe.items())),
            unsafe=tuple(
                Unsafe(tuple(sorted(names)), why, remedy, sum(sizes))
                for (why, remedy), (names, sizes) in sorted(self.unsafe.items())
            ),
            shared=self.shared,
            needs=tuple(self.needs),
            # The list goes last, and stays while any of its files stays. Here it stays while the
            # version is recorded: without it nobody could name what is missing.
            pieces=(*self.pieces, *(self.lists if self._list_goes(source) else ())),
            held=frozenset(self.held),
        )


def _without_held(plans: Sequence[VersionPlan]) -> list[VersionPlan]:
    """Return the plans without objects that another version of the same drop must keep."""
    held = frozenset().union(*(one.held for one in plans))
    return [
        replace(one, pieces=tuple(p for p in one.pieces if p.path not in held)) for one in plans
    ]


def _against(verdict: NotRecoverable) -> str:
    """Say in a clause why nothing else has a file for sure."""
    count = len(verdict.copies.counted)
    parts = []
    if count:
        parts.append(f"{count} of {verdict.needed} copies ({', '.join(verdict.copies.counted)})")
    else:
        parts.append("no other checked copy")
    parts += [f"{storage}: {why}" for storage, why in verdict.copies.against]
    parts += list(verdict.recipe_faults)
    return "; ".join(parts)
