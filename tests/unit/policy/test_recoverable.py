"""Whatever is called recoverable can be recovered: examples, and a machine that attacks it."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Struct, field

from imgdata.model.events import Event, Json
from imgdata.policy.evidence import CopyFact, Presence, Rule
from imgdata.policy.ledger import CopyKey, Evidence, Following, fold
from imgdata.policy.recoverable import (
    IDENTICAL,
    METHOD_VERSION,
    ByCopies,
    ByRecipe,
    Node,
    NodeId,
    NotRecoverable,
    Proof,
    Recipe,
    Recoverability,
    node_id,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULE = Rule(1, timedelta(days=90))
OBJECT = "a" * 32


def copy(
    storage: str, *, days: int = 1, presence: Presence = "present", how: str = "read"
) -> CopyFact:
    return CopyFact(storage, storage, Evidence(NOW - timedelta(days=days), how), presence)


def node(name: str, *facts: CopyFact, recipe: Recipe | None = None) -> Node:
    return Node(node_id(name, "1"), name, name, {OBJECT: facts}, RULE, recipe)


def proof(verdict: str = IDENTICAL, tolerance: str = "", *, known: bool = True) -> Proof:
    return Proof(NOW, verdict, tolerance, METHOD_VERSION, 60.0, environment_known=known)


def recipe(*inputs: str, made: Proof | None = None, faults: tuple[str, ...] = ()) -> Recipe:
    return Recipe("s", made or proof(), faults, tuple(node_id(name, "1") for name in inputs))


def verdict(name: str, *nodes: Node) -> ByCopies | ByRecipe | NotRecoverable:
    return Recoverability(nodes, NOW).of(node_id(name, "1"), OBJECT)


def test_a_drive_in_a_drawer_counts_beside_a_copy_that_was_asked_and_never_alone() -> None:
    drawer = copy("red", presence="offline")
    assert isinstance(verdict("raw", node("raw", drawer)), NotRecoverable)
    both = verdict("raw", node("raw", drawer, copy("lab")))
    assert isinstance(both, ByCopies)
    assert both.tally.counted == ("lab", "red")


def test_size_alone_an_old_check_and_a_check_in_the_future_do_not_count() -> None:
    for fact in (copy("lab", how="size"), copy("lab", days=91), copy("lab", days=-9)):
        assert isinstance(verdict("raw", node("raw", fact)), NotRecoverable)


def test_a_recipe_counts_only_while_its_inputs_are_recoverable_all_the_way_up() -> None:
    middle, last = node("masks", recipe=recipe("raw")), node("crops", recipe=recipe("masks"))
    good = verdict("crops", node("raw", copy("lab")), middle, last)
    assert isinstance(good, ByRecipe)
    assert good.seconds == 120.0
    assert isinstance(verdict("crops", node("raw"), middle, last), NotRecoverable)
    assert isinstance(verdict("crops", middle, last), NotRecoverable)


def test_recipes_that_need_each_other_recover_nothing() -> None:
    one, two = node("a", recipe=recipe("b")), node("b", recipe=recipe("a"))
    assert isinstance(verdict("a", one, two), NotRecoverable)


def test_equal_within_a_tolerance_counts_only_where_the_level_declares_that_tolerance() -> None:
    loose = proof("equal within 'equal labels'", "equal labels")
    raw = node("raw", copy("lab"))
    strict = node("masks", recipe=recipe("raw", made=loose))
    assert isinstance(verdict("masks", raw, strict), NotRecoverable)
    declared = Recipe("s", loose, (), (node_id("raw", "1"),), "equal labels")
    assert isinstance(verdict("masks", raw, node("masks", recipe=declared)), ByRecipe)


def test_what_comes_back_within_a_tolerance_is_not_the_input_that_a_proof_was_made_with() -> None:
    loose = proof("equal within 'equal labels'", "equal labels")
    declared = Recipe("s", loose, (), (node_id("raw", "1"),), "equal labels")
    raw, crops = node("raw", copy("lab")), node("crops", recipe=recipe("masks"))
    found = verdict("crops", raw, node("masks", recipe=declared), crops)
    assert isinstance(found, NotRecoverable)
    assert found.recipe_faults == ("its input masks comes back only equal within 'equal labels'",)
    stored = node("masks", copy("lab"), recipe=declared)
    assert isinstance(verdict("crops", raw, stored, crops), ByRecipe)


def test_tolerances_of_the_first_method_are_not_trusted_its_identical_is() -> None:
    raw = node("raw", copy("lab"))
    exact = Proof(NOW, IDENTICAL, "", 1, 60.0, environment_known=True)
    assert isinstance(verdict("m", raw, node("m", recipe=recipe("raw", made=exact))), ByRecipe)
    loose = Proof(
        NOW, "equal within 'equal labels'", "equal labels", 1, 60.0, environment_known=True
    )
    declared = Recipe("s", loose, (), (node_id("raw", "1"),), "equal labels")
    found = verdict("m", raw, node("m", recipe=declared))
    assert isinstance(found, NotRecoverable)
    assert found.recipe_faults == ("proven by method version 1, which is not trusted",)


def test_each_thing_that_makes_a_recipe_unreliable_is_named() -> None:
    raw = node("raw", copy("lab"))
    old = Proof(NOW, IDENTICAL, "", 0, 60.0, environment_known=True)
    cases = {
        "never proven by making it again": Recipe("s", None, (), ()),
        "proven by method version 0, which is not trusted": recipe("raw", made=old),
        "the versions of its programs are unknown": recipe("raw", made=proof(known=False)),
        "made again, it was different": recipe("raw", made=proof("different")),
        "its stage is frozen": recipe("raw", faults=("its stage is frozen",)),
        "its input nowhere is not recoverable": recipe("nowhere"),
    }
    for fault, one in cases.items():
        found = verdict("masks", raw, node("masks", recipe=one))
        assert isinstance(found, NotRecoverable)
        assert found.recipe_faults == (fault,)


def test_what_goes_in_the_same_plan_does_not_count_for_what_needs_it() -> None:
    raw, masks = node("raw", copy("lab")), node("masks", recipe=recipe("raw"))
    leaving = {node_id("raw", "1"): frozenset({"lab"})}
    judge = Recoverability((raw, masks), NOW, leaving)
    assert isinstance(judge.of(node_id("masks", "1"), OBJECT), NotRecoverable)


STORAGES = ("lab", "red", "cloud")
LEVELS = ("raw", "masks", "crops", "raw before", "masks before")
"""Levels, and superseded versions of two of them."""
ABOVE = {"masks": "raw", "crops": "masks", "masks before": "raw before"}


class Shelf(Struct):
    """What a storage really holds of each level: right, wrong, or nothing."""

    content: dict[str, str] = field(default_factory=dict)


class LossMachine(RuleBasedStateMachine):
    """Two clones store, check, drop and forget; storages rot and burn."""

    def __init__(self) -> None:
        super().__init__()
        self.shelves = {name: Shelf() for name in STORAGES}
        self.logs: dict[str, list[Event]] = {"x": [], "y": []}
        self.proven: set[str] = set()
        self.count = 0

    def _note(self, who: str, kind: str, storage: str, level: str) -> None:
        self.count += 1
        details: dict[str, Json] = {"storage": storage, "level": level, "unit": "P1"}
        details |= {"version": "1", "how": "read", "objects": "all"}
        new_id = f"{who}{self.count:05d}"
        details["after"] = list(Following(fold(self.logs[who]))(kind, details, new_id))
        at = NOW - timedelta(days=1) + timedelta(seconds=self.count)
        self.logs[who].append(Event(new_id, at, "", who, kind, details))

    def _nodes(self, who: str) -> list[Node]:
        ledger = fold(self.logs[who])
        found = []
        for level in LEVELS:
            facts = []
            for name, shelf in self.shelves.items():
                belief = ledger.copy(CopyKey(name, level, "P1", "1")).belief(OBJECT)
                state = shelf.content.get(level)
                presence: Presence = "absent" if state is None else "present"
                if state == "wrong":
                    presence = "written since"  # a disk notes when bytes change
                facts.append(CopyFact(name, name, belief, presence))
            made = None
            if level in ABOVE:
                kept = proof() if level in self.proven else None
                made = Recipe("s", kept, (), (node_id(ABOVE[level], "1"),))
            found.append(
                Node(node_id(level, "1"), level, level, {OBJECT: tuple(facts)}, RULE, made)
            )
        return found

    @rule(
        who=st.sampled_from("xy"), storage=st.sampled_from(STORAGES), level=st.sampled_from(LEVELS)
    )
    def store(self, who: str, storage: str, level: str) -> None:
        if self._can_be_had(level) or not any(level in s.content for s in self.shelves.values()):
            self.shelves[storage].content[level] = "right"
            self._note(who, "stored", storage, level)

    @rule(
        who=st.sampled_from("xy"), storage=st.sampled_from(STORAGES), level=st.sampled_from(LEVELS)
    )
    def check(self, who: str, storage: str, level: str) -> None:
        state = self.shelves[storage].content.get(level)
        kind = {"right": "verified", "wrong": "damaged", None: "missing"}[state]
        self._note(who, kind, storage, level)

    @rule(storage=st.sampled_from(STORAGES), level=st.sampled_from(LEVELS))
    def rot(self, storage: str, level: str) -> None:
        if level in self.shelves[storage].content:
            self.shelves[storage].content[level] = "wrong"

    @rule(storage=st.sampled_from(STORAGES))
    def burn(self, storage: str) -> None:
        self.shelves[storage].content.clear()

    @rule(storage=st.sampled_from(STORAGES), level=st.sampled_from(LEVELS))
    def forget(self, storage: str, level: str) -> None:
        """A storage took it, and lost it, and says nothing."""
        self.shelves[storage].content.pop(level, None)

    @rule(who=st.sampled_from("xy"), storage=st.sampled_from(STORAGES))
    def declare_lost(self, who: str, storage: str) -> None:
        self.count += 1
        details: dict[str, Json] = {"storage": storage, "reason": "fell down"}
        new_id = f"{who}{self.count:05d}"
        details["after"] = list(Following(fold(self.logs[who]))("lost", details, new_id))
        at = NOW - timedelta(days=1) + timedelta(seconds=self.count)
        self.logs[who].append(Event(new_id, at, "", who, "lost", details))
        self.shelves[storage].content.clear()

    @rule(
        who=st.sampled_from("xy"),
        first=st.sampled_from(STORAGES),
        then=st.sampled_from(STORAGES),
        level=st.sampled_from(LEVELS),
    )
    def move(self, who: str, first: str, then: str, level: str) -> None:
        """Send a copy on, hashed on the way, and only then let go of the first."""
        if self.shelves[first].content.get(level) == "right" and first != then:
            self.shelves[then].content[level] = "right"
            self._note(who, "stored", then, level)
            self.drop(who, first, level)

    @rule(who=st.sampled_from("xy"), level=st.sampled_from(tuple(ABOVE)))
    def recompute(self, who: str, level: str) -> None:
        """A proven recipe makes it again wherever its input is; the result is stored."""
        if level in self.proven and self._can_be_had(ABOVE[level]):
            self.shelves["lab"].content[level] = "right"
            self._note(who, "stored", "lab", level)

    @rule(who=st.sampled_from("xy"))
    def merge(self, who: str) -> None:
        other = self.logs["y" if who == "x" else "x"]
        self.logs[who] += [event for event in other if event not in self.logs[who]]

    @rule(level=st.sampled_from(tuple(ABOVE)))
    def prove(self, level: str) -> None:
        if self._can_be_had(ABOVE[level]):
            self.proven.add(level)

    @rule(
        who=st.sampled_from("xy"), storage=st.sampled_from(STORAGES), level=st.sampled_from(LEVELS)
    )
    def drop(self, who: str, storage: str, level: str) -> None:
        had = {one for one in LEVELS if self._can_be_had(one)}
        name: NodeId = node_id(level, "1")
        judge = Recoverability(self._nodes(who), NOW, {name: frozenset({storage})})
        if isinstance(judge.of(name, OBJECT), NotRecoverable):
            return
        self._note(who, "dropped", storage, level)
        self.shelves[storage].content.pop(level, None)
        assert level in had
        assert self._can_be_had(level)

    def _can_be_had(self, level: str) -> bool:
        if any(shelf.content.get(level) == "right" for shelf in self.shelves.values()):
            return True
        return level in self.proven and self._can_be_had(ABOVE[level])

    @invariant()
    def what_is_called_recoverable_can_be_recovered(self) -> None:
        for who in self.logs:
            judge = Recoverability(self._nodes(who), NOW)
            for level in LEVELS:
                if not isinstance(judge.of(node_id(level, "1"), OBJECT), NotRecoverable):
                    assert self._can_be_had(level)


TestLossMachine = LossMachine.TestCase
TestLossMachine.settings = settings(max_examples=500, stateful_step_count=20, deadline=None)
