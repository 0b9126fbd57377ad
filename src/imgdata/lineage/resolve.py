"""From one claim back to the data nothing made: nodes, edges and what is missing between them.

How a dep finds its producer, in this order:

1. a live stage claims exactly this path: `exact`;
2. the path lies in a folder that a live stage tracks: `inside`;
3. live stages claim paths below it: `contains`, one edge for each; no hash joins them;
4. git has it at this commit: `source`;
5. only a dead lock entry claims it: `exact` or `inside`, the node carries the flag `orphan`;
6. nothing does: `missing`.
"""

from collections import deque
from collections.abc import Callable, Iterator

from msgspec import Struct, field

from imgdata.dvc_files.dot_dvc import DotDvcDep
from imgdata.dvc_files.pipeline import PIPELINE_NAME
from imgdata.dvc_files.places import Where, folder_of, join, resolve
from imgdata.dvc_files.recorded import CHECKSUM, ETAG, Recorded
from imgdata.lineage.answer import Answer, Edge, Node, Out, Relation
from imgdata.lineage.index import Claim, Index, Stage
from imgdata.model.commits import TreeEntry

SUBMODULE = "commit"


class Found(Struct, frozen=True):
    """A producer of a path, and which of its claims leads there."""

    stage: Stage
    edge: Edge


class Trace(Struct):
    """Nodes and edges upstream of one stage, breadth first, each node once.

    Attributes:
        index: Who claims what.
        in_git: What git has at a path, at the commit asked about.
        member_hash: Returns the hash of a member of a tracked folder, where the list is here.
    """

    index: Index
    in_git: Callable[[str], TreeEntry | None]
    member_hash: Callable[[str, str], str | None] = field(default=lambda _folder, _path: None)
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def follow(self, start: Stage) -> "Trace":
        """Collect everything upstream of a stage. A cycle ends where it closes."""
        waiting = deque([start])
        seen = {start.id}
        while waiting:
            stage = waiting.popleft()
            self.stages.append(stage)
            self.nodes.append(node_of(stage))
            if stage.dead_because and stage.live:
                self.gaps.append(f"{stage.id}: {stage.dead_because}")
            for found in self._inputs(stage):
                self.edges.append(found.edge)
                if found.stage is not stage and found.stage.id not in seen:
                    seen.add(found.stage.id)
                    waiting.append(found.stage)
        self.gaps += self._unread()
        return self

    def _unread(self) -> Iterator[str]:
        """Yield what could not be read of the files the graph came from.

        Where an input has no producer, or a producer may be an old one, whatever could not be
        read anywhere may be the right one.
        """
        is_open = any(edge.relation == "missing" for edge in self.edges)
        is_open |= any(stage.live and stage.dead_because for stage in self.stages)
        files = {stage.file for stage in self.stages}
        files |= {join(folder_of(file), PIPELINE_NAME) for file in files}
        for problem in self.index.problems:
            if is_open or (problem.file in files and not problem.unit):
                yield problem.sentence

    def _inputs(self, stage: Stage) -> Iterator[Found]:
        if stage.dot_dvc is not None:
            for dep in stage.dot_dvc.deps:
                yield from self._dot_dvc_input(stage, dep)
            return
        for record in stage.entry.deps:
            yield from self._input(stage, record)

    def _dot_dvc_input(self, stage: Stage, dep: DotDvcDep) -> Iterator[Found]:
        if dep.params is not None:
            return
        if dep.database is not None:
            text = dep.database.query or dep.database.table
            edge = Edge(stage.id, text, None, "url", url=dep.database.connection)
            yield Found(stage, edge)
        elif dep.repo is not None and dep.recorded is not None:
            lock = dep.repo.rev_lock
            if not lock:
                self.gaps.append(f"{stage.id}: the import names no commit (rev_lock)")
            url = f"{dep.repo.url}@{dep.repo.rev}" if dep.repo.rev else dep.repo.url
            yield Found(stage, Edge(stage.id, dep.recorded.path, lock or None, "import", url=url))
        elif dep.recorded is not None:
            yield from self._input(stage, dep.recorded)

    def _input(self, stage: Stage, record: Recorded) -> Iterator[Found]:
        place = stage.place(record.path, self.index.home)
        recorded = None if record.hash is None else record.hash.value
        if recorded is None:
            self.gaps.append(f"{stage.id} recorded no hash of its input {place.path}")
        if place.where is Where.URL or (record.hash and record.hash.name in {ETAG, CHECKSUM}):
            yield Found(stage, Edge(stage.id, place.path, recorded, "url", url=place.path))
            return
        if place.where is Where.OUTSIDE:
            kind: Relation = "url" if stage.kind == "import-url" else "missing"
            if kind == "missing":
                self.gaps.append(f"{place.path}, read by {stage.id}, lies outside the repository")
            yield Found(stage, Edge(stage.id, place.path, recorded, kind))
            return
        producers = list(self._producers(stage, place.path, recorded))
        yield from producers or [self._source_or_dead(stage, place.path, recorded)]

    def _producers(self, stage: Stage, path: str, recorded: str | None) -> Iterator[Found]:
        exact = [claim for claim in self.index.live(path) if claim.stage is not stage]
        if exact:
            yield self._exact(stage, exact[0], recorded)
            return
        around = self.index.around(path)
        if around is not None and around.stage is not stage:
            yield self._inside(stage, around, path, recorded)
            return
        for claim in self.index.below(path):
            if claim.stage is not stage:
                edge = Edge(
                    stage.id, path, recorded, "contains",
                    producer=claim.stage.id, producer_path=claim.path,
                    producer_hash=hash_of(claim.record),
                )  # fmt: skip
                yield Found(claim.stage, edge)

    def _exact(self, stage: Stage, claim: Claim, recorded: str | None) -> Found:
        now = hash_of(claim.record)
        edge = Edge(
            stage.id, claim.path, recorded, "exact",
            producer=claim.stage.id, producer_hash=now,
            match=None if now is None or recorded is None else now == recorded,
        )  # fmt: skip
        return Found(claim.stage, edge)

    def _inside(self, stage: Stage, claim: Claim, path: str, recorded: str | None) -> Found:
        folder = hash_of(claim.record)
        now = None if folder is None else self.member_hash(folder, path[len(claim.path) + 1 :])
        edge = Edge(
            stage.id, path, recorded, "inside",
            producer=claim.stage.id, producer_path=claim.path, producer_hash=folder,
            match=None if now is None or recorded is None else now == recorded,
        )  # fmt: skip
        return Found(claim.stage, edge)

    def _source_or_dead(self, stage: Stage, path: str, recorded: str | None) -> Found:
        entry = self._entry_or_submodule(path)
        if entry is not None:
            return Found(stage, Edge(stage.id, path, recorded, "source", git=str(entry)))
        dead = [claim for claim in self.index.dead(path) if claim.stage.id != stage.id]
        dead.sort(key=lambda claim: hash_of(claim.record) != recorded)
        if dead:
            claim = dead[0]
            self.gaps.append(
                f"{path}, read by {stage.id}, is claimed only by {claim.stage.id}: "
                f"{claim.stage.dead_because}"
            )
            if claim.path == path:
                return self._exact(stage, claim, recorded)
            return self._inside(stage, claim, path, recorded)
        self.gaps.append(f"nothing tells where {path} came from, which {stage.id} read")
        return Found(stage, Edge(stage.id, path, recorded, "missing"))

    def _entry_or_submodule(self, path: str) -> TreeEntry | None:
        entry = self.in_git(path)
        folder = path
        while entry is None and "/" in folder:
            folder = folder.rpartition("/")[0]
            above = self.in_git(folder)
            if above is not None:
                return above if above.kind == SUBMODULE else None
        return entry


def node_of(stage: Stage) -> Node:
    """Return a stage as a node of the graph."""
    entry = stage.entry
    return Node(
        id=stage.id,
        kind=stage.kind,
        wdir=stage.wdir or ".",
        cmd=entry.cmd or None,
        params={file: dict(values) for file, values in entry.params.items()},
        flags=stage.flags(),
        outs=tuple(out_of(record) for record in entry.outs),
    )


def out_of(record: Recorded) -> Out:
    """Return what was recorded about an out; the hash is named only where the record names it."""
    found = record.hash
    return Out(
        path=record.path,
        hash=None if found is None or found.name == "md5-dos2unix" else found.name,
        md5=None if found is None else found.value,
        size=record.size,
        nfiles=record.nfiles,
    )


def hash_of(record: Recorded) -> str | None:
    """Return the recorded hash, or None if there is none."""
    return None if record.hash is None else record.hash.value


def folder_of_member(answer: Answer) -> str:
    """Return the tracked folder a member lies in, seen from the root.

    The answer's own name does not tell: a file from elsewhere is found by its content.
    """
    node = next((one for one in answer.nodes if one.id == answer.producer), None)
    written = "" if answer.out is None else answer.out.path
    return resolve(written, "" if node is None or node.wdir == "." else node.wdir).path


def member_path(claim: Claim, path: str) -> str | None:
    """Return the path of a file inside the claimed folder, or None if it is the out itself."""
    return None if path == claim.path else path[len(join(claim.path, "")) :]
