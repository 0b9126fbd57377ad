"""Is a version recoverable? One pure function over copies, recipes, proofs and inputs.

Recoverable is what has enough copies that count, or a recipe that was proven and whose inputs are
themselves recoverable. Unknown is not recoverable.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NewType

from msgspec import Struct

from imgdata.policy.evidence import CopyFact, Rule, Tally, tally

NodeId = NewType("NodeId", str)
"""One recorded content of one path: `data/raw/P1@47ab78...dir`."""

IDENTICAL = "identical"
NEVER_PROVEN = "never proven by making it again"
PROGRAMS_UNKNOWN = "the versions of its programs are unknown"
DIFFERENT = "different"
METHOD = "recompute in a clean checkout, compare every byte"
METHOD_VERSION = 2
TRUSTED_METHODS = frozenset({1, 2})
"""Versions of the way of proving that are known to be right; one found wrong is taken out."""
TRUSTED_TOLERANCES = frozenset({2})
"""Those whose tolerances are: version 1 saw no later series of an image and no index of a table."""


def node_id(path: str, version: str) -> NodeId:
    """Return how a version of a path is named in the graph."""
    return NodeId(f"{path}@{version}")


class Proof(Struct, frozen=True):
    """A recomputation that was compared with the record.

    Attributes:
        at: When.
        verdict: `identical`, `equal within ...` or `different`.
        tolerance: What the comparison allowed; empty for none.
        method_version: Of the way of proving.
        seconds: How long the recomputation took.
        environment_known: Whether the programs' versions were established.
    """

    at: datetime
    verdict: str
    tolerance: str
    method_version: int
    seconds: float
    environment_known: bool


class Recipe(Struct, frozen=True):
    """How a version can be made again.

    Attributes:
        stage: The stage's name.
        proof: The newest proof of this very version; None without one.
        faults: Why the recipe cannot be relied on, whatever the proof says: its code is not
            committed or pushed, the stage is frozen or always runs, an input is outside.
        inputs: The versions it needs.
        tolerance: What the level's owner allows a recomputation to differ by; empty for nothing.
    """

    stage: str
    proof: Proof | None
    faults: tuple[str, ...]
    inputs: tuple[NodeId, ...]
    tolerance: str = ""


class Node(Struct, frozen=True):
    """One version with what is known of each of its objects.

    Attributes:
        title: Level and unit, for messages.
        level: The level's name, for the command that makes it safe.
        facts: By object id, a fact a storage.
        rule: What its level asks.
        recipe: How it is made; None for what was added by hand.
        unreadable: Why its files are not known; empty where they are.
        places: Storages that one more copy may go to, the level's own first.
    """

    id: NodeId
    title: str
    level: str
    facts: Mapping[str, tuple[CopyFact, ...]]
    rule: Rule
    recipe: Recipe | None
    unreadable: str = ""
    places: tuple[str, ...] = ()


class ByCopies(Struct, frozen=True):
    """Enough copies count."""

    tally: Tally


class ByRecipe(Struct, frozen=True):
    """A proven recipe makes it again from inputs that are recoverable."""

    stage: str
    proof: Proof
    seconds: float
    needs: tuple[str, ...]


class NotRecoverable(Struct, frozen=True):
    """Why not: what is wrong with its copies, and with its recipe; and what to do about it."""

    copies: Tally
    needed: int
    recipe_faults: tuple[str, ...]
    remedy: str


Verdict = ByCopies | ByRecipe | NotRecoverable


class Recoverability:
    """Answers for every object of a graph; `leaving` are the places that versions go from."""

    def __init__(
        self,
        nodes: Iterable[Node],
        now: datetime,
        leaving: Mapping[NodeId, frozenset[str]] | None = None,
    ) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._now = now
        self._leaving = leaving or {}
        self._recipes: dict[NodeId, ByRecipe | tuple[str, ...]] = {}
        self._wholes: dict[NodeId, bool] = {}
        self._verdicts: dict[tuple[NodeId, tuple[CopyFact, ...]], Verdict] = {}

    def of(self, node: NodeId, object_id: str) -> Verdict:
        """Return whether one object of a version is recoverable, and how."""
        found = self._nodes[node]
        facts = found.facts.get(object_id, ())
        known = self._verdicts.get((node, facts))
        if known is None:
            known = self._judge(found, facts, frozenset())
            self._verdicts[node, facts] = known
        return known

    def is_whole(self, node: NodeId) -> bool:
        """Tell whether every object of a version is recoverable."""
        return self._is_whole(node, frozenset())

    def recipe(self, node: NodeId) -> ByRecipe | tuple[str, ...]:
        """Return the recipe as a way back, whatever copies there are; or what is wrong with it.

        Nothing wrong and no way back, an empty tuple: it has no recipe.
        """
        return self._recipe(self._nodes[node], frozenset())

    def _judge(self, node: Node, facts: tuple[CopyFact, ...], above: frozenset[NodeId]) -> Verdict:
        gone = self._leaving.get(node.id, frozenset())
        counted = tally((f for f in facts if f.place not in gone), node.rule, self._now)
        if len(counted.counted) >= node.rule.copies:
            return ByCopies(counted)
        recipe = self._recipe(node, above)
        if isinstance(recipe, ByRecipe):
            return recipe
        return NotRecoverable(
            counted, node.rule.copies, recipe, _remedy(node, counted, recipe, gone)
        )

    def _is_whole(self, node_id_: NodeId, above: frozenset[NodeId]) -> bool:
        node = self._nodes.get(node_id_)
        if node is None or node.unreadable or node_id_ in above:
            return False
        if node_id_ not in self._wholes:
            distinct = set(node.facts.values())
            self._wholes[node_id_] = bool(distinct) and all(
                not isinstance(self._judge(node, facts, above), NotRecoverable)
                for facts in distinct
            )
        return self._wholes[node_id_]

    def _recipe(self, node: Node, above: frozenset[NodeId]) -> ByRecipe | tuple[str, ...]:
        """Return the recipe as a way back, or what is wrong with it."""
        if node.id in above:
            return ("it is made from itself",)
        if node.id not in self._recipes:
            self._recipes[node.id] = self._follow(node, above | {node.id})
        return self._recipes[node.id]

    def _follow(self, node: Node, above: frozenset[NodeId]) -> ByRecipe | tuple[str, ...]:
        recipe = node.recipe
        if recipe is None:
            return ()
        faults = [*recipe.faults, *proof_faults(recipe)]
        needs: list[str] = []
        seconds = recipe.proof.seconds if recipe.proof else 0.0
        for one in recipe.inputs:
            there = self._nodes.get(one)
            title = there.title if there else one.rpartition("@")[0]
            if not self._is_whole(one, above):
                faults.append(f"its input {title} is not recoverable")
                continue
            needs.append(title)
            again = self._made_again(there, above) if there is not None else None
            if again is None:
                continue
            seconds += again.seconds
            if again.proof.verdict != IDENTICAL:
                faults.append(f"its input {title} comes back only {again.proof.verdict}")
        if faults or recipe.proof is None:
            return tuple(faults)
        return ByRecipe(recipe.stage, recipe.proof, seconds, tuple(needs))

    def _made_again(self, node: Node, above: frozenset[NodeId]) -> ByRecipe | None:
        """Return how an input is made again where copies do not suffice; None where they do."""
        for facts in set(node.facts.values()):
            verdict = self._judge(node, facts, above)
            if isinstance(verdict, ByRecipe):
                return verdict
        return None


def proof_faults(recipe: Recipe) -> Sequence[str]:
    """Say why a recipe's proof does not hold; "made here" is never "made again"."""
    proof = recipe.proof
    if proof is None:
        return (NEVER_PROVEN,)
    faults: list[str] = []
    is_exact = proof.verdict == IDENTICAL
    if proof.method_version not in (TRUSTED_METHODS if is_exact else TRUSTED_TOLERANCES):
        faults.append(f"proven by method version {proof.method_version}, which is not trusted")
    if not proof.environment_known:
        faults.append(PROGRAMS_UNKNOWN)
    if not is_exact:
        allowed = proof.verdict.startswith("equal within") and (
            bool(recipe.tolerance) and proof.tolerance == recipe.tolerance
        )
        if not allowed:
            faults.append(f"made again, it was {proof.verdict}")
    return faults


def _remedy(node: Node, counted: Tally, faults: tuple[str, ...], gone: frozenset[str]) -> str:
    """Return the command that makes it safe, or comes closest."""
    for words, command in COPY_REMEDIES:
        for storage, why in counted.against:
            if storage not in gone and why.startswith(words):
                return command.format(level=node.level, storage=storage)
    for word, command in RECIPE_REMEDIES:
        if node.recipe is not None and any(word in fault for fault in faults):
            return command.format(level=node.level)
    away = [storage for storage, why in counted.against if why.startswith("offline")]
    place = next((name for name in node.places if name not in gone and name not in away), None)
    if place is None and away:
        return TEST.format(storage=away[0])
    if place is None:
        return NOWHERE_ELSE.format(level=node.level)
    return PUSH.format(level=node.level, storage=place)


NOWHERE_ELSE = "edit imgdata.yaml: give {level} a storage at another place"
TEST = "imgdata storage test {storage}"
VERIFY = "imgdata verify {level} --on {storage}"
REPAIR = "imgdata push {level} --to {storage} --repair"
PUSH = "imgdata push {level} --to {storage}"
COPY_REMEDIES = (
    (("last checked", "unknown"), VERIFY),
    (("damaged", "another size"), REPAIR),
    (
        ("never stored", "missing", "not there", "dropped", "written to since", "only its size"),
        PUSH,
    ),
)
"""By what is wrong with a copy: the command that mends it, the cheapest first."""

RECIPE_REMEDIES = (
    ("pushed", "git push"),
    ("committed", "git commit"),
    ("proven", "imgdata run {level} --prove"),
)
"""By what is wrong with a recipe."""
