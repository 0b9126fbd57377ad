"""What is made from what a drop deletes, and whether that stays recoverable, in words."""

from collections.abc import Iterator, Mapping, Sequence

from imgdata.policy.recoverable import ByRecipe, Node, NodeId, Recoverability
from imgdata.workflows.graph import id_of
from imgdata.workflows.history import Version


def downstream_words(
    below: Mapping[str, tuple[Version, ...]], judge: Recoverability, nodes: Mapping[NodeId, Node]
) -> Iterator[str]:
    """Say what is made from what goes, and whether that stays recoverable."""
    stored: list[str] = []
    again: list[str] = []
    lost: list[str] = []
    for level, versions in below.items():
        known = [nodes[name] for one in versions if (name := id_of(one)) in nodes]
        whole = [node for node in known if judge.is_whole(node.id)]
        if len(whole) < len(versions):
            count = len(versions) - len(whole)
            lost.append(f"{level} ({count} of {len(versions)} units)")
        elif any(_needs_recipe(judge, node) for node in whole):
            again.append(level)
        else:
            stored.append(level)
    parts = []
    if stored:
        parts.append(
            f"{_listed(stored)} stored in {'its' if len(stored) == 1 else 'their'} own right"
        )
    if again:
        parts.append(f"{_listed(again)} proven to come back from what stays")
    if parts:
        yield f"{'breaks nothing: ' if not lost else ''}{'; '.join(parts)}"
    if lost:
        yield f"not recoverable, with or without this: {', '.join(lost)}"


def _needs_recipe(judge: Recoverability, node: Node) -> bool:
    return any(isinstance(judge.of(node.id, one), ByRecipe) for one in node.facts)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
