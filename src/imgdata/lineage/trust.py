"""How far recorded lineage can be trusted: what is here is hashed again and compared.

A lock can be edited by hand. Two traces of that are looked for: a recorded hash that no bytes
match, and an entry whose inputs, parameters or command changed in a commit that left its outs
as they were.
"""

from typing import Protocol

from msgspec.structs import replace

from imgdata.lineage.annex_keys import is_key, new_checksum
from imgdata.lineage.answer import Answer, Edge, Node
from imgdata.lineage.index import Stage
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.upstream import Snapshot
from imgdata.lineage.versions import Versions


class Bytes(Protocol):
    """Bytes that are on this machine."""

    def matches(self, path: str, digest: str) -> bool | None:
        """Hash what is here under a path or a digest; None when nothing is here."""


def verified_answer(answer: Answer, here: Bytes, snapshot: Snapshot) -> Answer:
    """Return the answer with each edge re-verified where that was possible, and what differs."""
    gaps: list[str] = []
    answer = _checked_annex(answer, here, gaps)
    edges = tuple(_verified(edge, here, gaps) for edge in answer.edges)
    nodes = tuple(_checked(node, here, snapshot, gaps) for node in answer.nodes)
    return replace(
        answer, edges=edges, nodes=nodes, gaps=tuple(dict.fromkeys((*answer.gaps, *gaps)))
    )


def _checked_annex(answer: Answer, here: Bytes, gaps: list[str]) -> Answer:
    """Hash the content of an annexed file and compare it with its key."""
    key = None if answer.in_git is None else answer.in_git.annex_key
    if key is None or answer.status == "missing":
        return answer
    found = here.matches(answer.file, key)
    if found is None:
        gaps.append(f"{answer.file} could not be verified: its key {key} holds no checksum")
    elif not found:
        gaps.append(f"the bytes of {answer.file} that are here do not match its key {key}")
        return replace(answer, status="modified")
    return answer


def _verified(edge: Edge, here: Bytes, gaps: list[str]) -> Edge:
    if edge.recorded is None:
        return edge
    if edge.relation == "source" and edge.match is not None:
        # The object of git that has the recorded hash was found by hashing it.
        return replace(edge, trust="re-verified")
    if edge.relation in {"exact", "inside", "source", "missing", "contains"}:
        found = here.matches(edge.dep, edge.recorded)
        if found:
            return replace(edge, trust="re-verified")
        if found is False and edge.match is not False:
            gaps.append(f"{edge.dep} is here with other content than {edge.consumer} recorded")
        elif found is None:
            why = "has no checksum" if _names_no_checksum(edge.recorded) else "is not here"
            gaps.append(f"{edge.dep} ({edge.recorded}) {why}, so it could not be re-verified")
    return edge


def _names_no_checksum(recorded: str) -> bool:
    return is_key(recorded) and new_checksum(recorded) is None


def _checked(node: Node, here: Bytes, snapshot: Snapshot, gaps: list[str]) -> Node:
    stage = snapshot.index.stages.get(node.id)
    if stage is None:
        return node
    flags = dict(node.flags)
    for record in stage.entry.outs:
        digest = hash_of(record)
        path = stage.place(record.path, snapshot.index.home).path
        if digest is not None and here.matches(path, digest) is False:
            gaps.append(
                f"no bytes here match what {node.id} recorded of {path} ({digest}): the file was "
                "changed afterwards, or the record was edited by hand"
            )
            flags["unmatched"] = True
    if snapshot.versions is not None and stage.kind == "stage" and node.run is None:
        said = edited_by_hand(snapshot.versions, stage)
        if said:
            gaps.append(said)
            flags["edited"] = True
    return replace(node, flags=flags)


def edited_by_hand(versions: Versions, stage: Stage) -> str:
    """Return what makes the last change of an entry look like an edit by hand; empty if nothing."""
    line = versions.timeline(stage.file, stage.name)
    changed = line.last_change()
    if changed is None or line.tip is None:
        return ""
    before = line.before(changed)
    if before is None or not line.tip.outs:
        return ""
    same_outs = before.outs == line.tip.outs
    inputs = {dep.path: hash_of(dep) for dep in before.deps}
    now = {dep.path: hash_of(dep) for dep in line.tip.deps}
    if same_outs and (before.cmd, before.params, inputs) != (line.tip.cmd, line.tip.params, now):
        return (
            f"commit {changed.id[:7]} changed what {stage.id} says it ran with, but not its outs, "
            "and no run record of imgdata tells of it: a run with the same result, or an edit by "
            "hand"
        )
    if not same_outs and (before.cmd, before.params, inputs) == (
        line.tip.cmd, line.tip.params, now,
    ):  # fmt: skip
        return (
            f"commit {changed.id[:7]} changed the outs of {stage.id} while its command, parameters "
            "and inputs stayed the same: a stage that is not deterministic, or an edit by hand"
        )
    return ""
