"""`imgdata whereis`: the copies of levels, units or one file, against the rule."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from imgdata.policy.evidence import CopyFact, Rule, standing, tally
from imgdata.policy.evidence import Counts as CountsFully
from imgdata.policy.ledger import Evidence, NothingNoted, NotThere, Unknown
from imgdata.policy.recoverable import ByRecipe, Recoverability
from imgdata.project.config import Level
from imgdata.transfer.move import Item
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents, list_item
from imgdata.workflows.copies import Copies, Offline, Reached, rule_of
from imgdata.workflows.graph import Graph, id_of
from imgdata.workflows.history import History, Version
from imgdata.workflows.places import HERE, kind_of
from imgdata.workflows.versions import Asked, choose

TB = 10**12


class CopyLine(Struct, frozen=True):
    """One storage's copy of a version.

    Attributes:
        storage: Its name; empty for this clone's workspace and cache.
        kind: What kind of place it is.
        place: Where, as a person names it.
        files: Files of the version that are there and right, as far as is known.
        verified_at: When the file checked longest ago was checked; None where not all were.
        how: The weakest way any of them was checked: `read`, `checksum`, `size`, or empty.
        cost: Per month, in the project's currency; None where no price is stated.
        counts: Whether it counts against the rule.
        lacks: Files that are not there, damaged, or of which nothing certain is known.
        notes: What else a person must know: offline, the same place as another, not asked.
        known: Whether the storage answered, or something is remembered.
    """

    storage: str
    kind: str
    place: str
    files: int
    verified_at: datetime | None
    how: str
    cost: float | None
    counts: bool
    lacks: tuple[str, ...]
    notes: tuple[str, ...]
    known: bool = True


class RecipeLine(Struct, frozen=True):
    """Whether a stage makes a version again, as `drop` would judge it.

    Attributes:
        stage: The stage's name.
        verdict: Of the newest proof: `identical`, ...; empty without one.
        proven_at: When that was.
        seconds: How long making it again takes, with what must be made before it; None if unknown.
        needs: What it is made from, each recoverable.
        faults: Why it cannot be relied on; empty where it can.
    """

    stage: str
    verdict: str
    proven_at: datetime | None
    seconds: float | None
    needs: tuple[str, ...]
    faults: tuple[str, ...]


class Whereabouts(Struct, frozen=True):
    """The copies of one version, or of one file of it.

    Attributes:
        version: The version.
        file: The file asked for, below the version's path; None for all.
        is_current: Whether the working tree records it.
        files: How many files it has.
        rule: What its level asks; None where it is stored nowhere by rule, or on no level.
        lines: This clone first, then the storages.
        short: Files with fewer copies than the rule asks.
        list_known: Whether its files could be named.
        recipe: How it can be made again; None for what no stage makes.
    """

    version: Version
    file: str | None
    is_current: bool
    files: int
    rule: Rule | None
    lines: tuple[CopyLine, ...]
    short: tuple[str, ...]
    list_known: bool
    recipe: RecipeLine | None


NO_LIST = "its file list is not there any more"


class WhereisOptions(Struct, frozen=True):
    """How to answer.

    Attributes:
        remote: Ask the storages now.
        all_versions: Old versions too.
        here: Where relative paths start.
    """

    remote: bool = False
    all_versions: bool = False
    here: Path = Path()


def whereis(clone: Clone, names: Sequence[str], options: WhereisOptions) -> Iterator[Whereabouts]:
    """Say where the copies are, one answer a version; only reads.

    Raises:
        UsageError, NothingFoundError: See `choose`.
    """
    history = History(clone)
    asked = choose(clone, history, names, options.here, all_versions=options.all_versions)
    copies = Copies(clone, ask=options.remote)
    reached = [copies.reach(name) for name in clone.copy_places if options.remote]
    contents = Contents(clone, [one.storage for one in reached if isinstance(one, Reached)])
    graph = Graph(clone, copies, contents, history)
    look = _Look(clone, copies, contents, graph, clone.clock.now())
    if options.remote:  # once for everything: a listing costs less than a request an object
        versions = dict.fromkeys(one.version for one in asked)
        items = [item for version in versions for item in contents.items(version) or ()]
        for name in clone.copy_places:
            copies.there(name, items)
    for one in asked:
        yield look.at(one)


class _Look(Struct, frozen=True):
    clone: Clone
    copies: Copies
    contents: Contents
    graph: Graph
    now: datetime

    def at(self, asked: Asked) -> Whereabouts:
        """Answer for one version."""
        version = asked.version
        level = self.clone.config.levels.get(version.level)
        has_rule = level and not self.clone.by_path and (level.storages or level.copies)
        rule = rule_of(level) if level and has_rule else None
        items = self._items(asked)
        if items is None:
            return self._unnamed(asked, level, rule)
        facts = self.copies.facts(version, items)
        names = self.copies.storages_of(version)
        lines = [self._here(asked, items)]
        by_name = {name: {k: f[i] for k, f in facts.items()} for i, name in enumerate(names)}
        found = [self._line(version, name, items, by_name[name], level) for name in names]
        lines += [line for line in found if self._is_told(line, level)]
        short = self._short(items, facts, rule)
        total = sum(len(item.names) for item in items)
        return Whereabouts(
            version,
            asked.file,
            asked.is_current,
            total,
            rule,
            tuple(lines),
            short,
            list_known=True,
            recipe=self._recipe(version),
        )

    def _recipe(self, version: Version) -> RecipeLine | None:
        if not self.graph.has_recipe(version):
            return None
        nodes = self.graph.nodes([version])
        recipe = nodes[id_of(version)].recipe
        assert recipe is not None, "asked before"  # noqa: S101 - for the type checker
        proof = recipe.proof
        verdict, at = (proof.verdict, proof.at) if proof else ("", None)
        match Recoverability(nodes.values(), self.now).recipe(id_of(version)):
            case ByRecipe(stage, _, seconds, needs):
                return RecipeLine(stage, verdict, at, seconds, needs, ())
            case faults:
                seconds_known = proof.seconds if proof else None
                return RecipeLine(recipe.stage, verdict, at, seconds_known, (), faults)

    def _is_told(self, line: CopyLine, level: Level | None) -> bool:
        """Leave out remotes a path does not belong to and that have nothing of it."""
        own = level is not None and line.storage in level.storages
        return own or not self.clone.by_path or line.files > 0 or bool(line.notes)

    def _items(self, asked: Asked) -> tuple[Item, ...] | None:
        """Return the objects asked for, without the folder list; None where it is not known."""
        found = self.contents.items(asked.version)
        if found is None:
            return None
        items = [item for item in found if not item.object_id.endswith(".dir")]
        if not asked.file:
            return tuple(items)
        full = f"{asked.version.path}/{asked.file}"
        kept = [
            replace(item, names=names)
            for item in items
            if (names := tuple(n for n in item.names if n == full or n.startswith(f"{full}/")))
        ]
        return tuple(kept)

    def _short(
        self,
        items: Sequence[Item],
        facts: dict[str, tuple[CopyFact, ...]],
        rule: Rule | None,
    ) -> tuple[str, ...]:
        if rule is None:
            return ()
        counted: dict[tuple[CopyFact, ...], int] = {}
        short: list[str] = []
        for item in items:
            some = facts[item.object_id]
            if some not in counted:
                counted[some] = len(tally(some, rule, self.now).counted)
            if counted[some] < rule.copies:
                short += item.names
        return tuple(sorted(short))

    def _here(self, asked: Asked, items: Sequence[Item]) -> CopyLine:
        cached = self.copies.cached(items)
        lacks = sorted(name for item in items if item.key not in cached for name in item.names)
        total = sum(len(item.names) for item in items)
        unlinked = [name for name in lacks if (self.clone.root / name).is_file()]
        notes = ("cache lacks them, the workspace has files of these names",) if unlinked else ()
        return CopyLine(
            HERE, "this clone", str(self.clone.cache.description), total - len(lacks), None, "",
            None, counts=False, lacks=tuple(lacks) if asked.is_current else (), notes=notes,
        )  # fmt: skip

    def _line(
        self,
        version: Version,
        name: str,
        items: Sequence[Item],
        facts: dict[str, CopyFact],
        level: Level | None,
    ) -> CopyLine:
        rule = rule_of(level) if level else None
        lacks: list[str] = []
        evidences: list[Evidence] = []
        counting = True
        for item in items:
            fact = facts[item.object_id]
            belief = fact.belief
            there = fact.presence in {"present", "not asked", "offline"}
            if isinstance(belief, Evidence) and there:
                evidences.append(belief)
            elif not isinstance(belief, Evidence) and fact.presence == "present":
                evidences.append(Evidence(self.now, "size"))
            else:
                lacks += item.names
            counting = counting and rule is not None
            counting = counting and isinstance(standing(fact, rule, self.now), CountsFully)  # type: ignore[arg-type]  # rule is checked before
        total = sum(len(item.names) for item in items)
        whole = bool(evidences) and not lacks
        size = version.size if len(items) and total == version.nfiles else 0
        weakest = _weakest(evidences)
        return CopyLine(
            storage=name,
            kind=kind_of(self.clone.copy_places[name]),
            place=_shown_url(self.clone, name),
            files=total - len(lacks),
            verified_at=weakest.at if weakest and weakest.is_verified and whole else None,
            how=weakest.how if weakest else "",
            cost=self._cost(name, size * (total - len(lacks)) // max(1, total)),
            counts=counting and whole,
            lacks=tuple(sorted(lacks)) if evidences else (),
            notes=tuple(self._notes(name, facts, version.level)),
            known=not self.clone.by_path or self.copies.has_answered(name),
        )

    def _cost(self, name: str, size: int) -> float | None:
        price = self.clone.copy_places[name].options.get("price_per_tb_month")
        return price * size / TB if isinstance(price, int | float) else None

    def _notes(self, name: str, facts: dict[str, CopyFact], level: str) -> Iterator[str]:
        deposits = self.clone.deposits.get(name, ())
        yield from (record.page for record in deposits if level in record.levels)
        yield from self._place_notes(name)
        beliefs = {type(fact.belief) for fact in facts.values()}
        if Unknown in beliefs:
            yield "unknown: clones disagree; imgdata verify settles it"
        since = self.clone.ledger.lost_since(name)
        if since is not None and beliefs <= {NotThere, NothingNoted}:
            yield f"lost since {since:%Y-%m-%d}"
        gone = {fact.belief for fact in facts.values()}
        dropped = [one.at for one in gone if isinstance(one, NotThere) and one.why == "dropped"]
        if dropped and len(dropped) == len(gone):
            yield f"dropped on {max(dropped):%Y-%m-%d}"
        unseen = (
            fact.presence == "present" and not isinstance(fact.belief, Evidence)
            for fact in facts.values()
        )
        if any(unseen):
            yield self._never_checked
        elif self.clone.by_path and not self.copies.ask:
            yield "nothing remembered; ask with --remote"

    @property
    def _never_checked(self) -> str:
        if self.clone.by_path:
            return "there, never checked"
        return "there, never checked: imgdata push notes it"

    def _place_notes(self, name: str) -> Iterator[str]:
        yield from self._access_notes(name)
        place = self.copies.place_of.get(name, name)
        if place == HERE:
            yield "is this clone's own cache: no copy"
        elif place != name:
            yield f"the same place as {place}: counts once"
        if never := self.copies.never(name):
            yield f"does not count: {never}"

    def _access_notes(self, name: str) -> Iterator[str]:
        if self.copies.ask:
            answer = self.copies.reach(name)
            if isinstance(answer, Offline):
                word = "not asked" if self.clone.by_path else "offline"
                yield f"{word}: {answer.error.problem}"
        elif not self.clone.by_path and self.copies.is_unplugged(name):
            yield "offline"
        if not self.clone.by_path and self.copies.is_cold(name):
            yield "archive tier: given back after hours, counts beside another copy"

    def _unnamed(self, asked: Asked, level: Level | None, rule: Rule | None) -> Whereabouts:
        """Answer for a version whose files cannot be named: from the ledger, as a whole."""
        version = asked.version
        lines = []
        held = 0
        for name in self.copies.storages_of(version):
            copy = self.copies.copy(version, name)
            # By path nothing is remembered that could turn out to be lost.
            unasked = self.clone.by_path
            presence = "not asked" if unasked else self.copies.presence_unlisted(version, name)
            is_lost = presence in {"absent", "differs"}
            weakest = None if is_lost else copy.weakest
            files = version.nfiles if weakest else 0
            fact = CopyFact(
                name, self.copies.place_of.get(name, name), weakest or NothingNoted(),
                presence, self.copies.never(name),
            )  # fmt: skip
            counts = bool(level) and isinstance(
                standing(fact, rule_of(level), self.now) if level else None, CountsFully
            )
            held += counts
            facts = {"": fact}
            was_whole = is_lost and copy.is_whole
            list_notes = (NO_LIST,) if was_whole else self._list_notes(version, name, level)
            lines.append(
                CopyLine(
                    name, kind_of(self.clone.copy_places[name]), _shown_url(self.clone, name),
                    files, weakest.at if weakest and weakest.is_verified else None,
                    weakest.how if weakest else "",
                    self._cost(name, version.size if files else 0), counts, (),
                    (*self._notes(name, facts, version.level), *list_notes),
                    not self.clone.by_path,
                )
            )  # fmt: skip
        lines = [line for line in lines if self._is_told(line, level)]
        short = (version.path,) if rule is not None and held < rule.copies else ()
        here = CopyLine(
            HERE, "this clone", self.clone.cache.description, 0, None, "", None,
            counts=False, lacks=(), notes=("its file list is not here",),
        )  # fmt: skip
        return Whereabouts(
            version,
            asked.file,
            asked.is_current,
            version.nfiles,
            rule,
            (here, *lines),
            short,
            list_known=False,
            recipe=self._recipe(version),
        )

    def _list_notes(self, version: Version, name: str, level: Level | None) -> Iterator[str]:
        """Say of a storage of its own that was asked that it cannot name the files either."""
        is_own = level is not None and name in level.storages
        is_asked = is_own and self.copies.has_answered(name)
        if is_asked and not self.copies.there(name, [list_item(version)]):
            yield "its file list is not there"


def _weakest(evidences: Sequence[Evidence]) -> Evidence | None:
    order = {"size": 0, "checksum": 1, "read": 2}
    distinct = set(evidences)
    return min(distinct, key=lambda one: (order.get(one.how, 0), one.at), default=None)


def _shown_url(clone: Clone, name: str) -> str:
    """Return a storage's url without anything before an `@`."""
    if name in clone.deposits:
        return ", ".join(record.page for record in clone.deposits[name])
    url = clone.config.storages[name].url
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else url
