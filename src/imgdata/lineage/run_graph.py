"""The graph behind a DataLad run: its inputs as they were before it ran, and what made them."""

from collections import deque
from collections.abc import Iterator

from msgspec import Struct, field

from imgdata.lineage.annex_keys import annex_out
from imgdata.lineage.answer import Edge, Node, Out, RunNote
from imgdata.lineage.datalad import Run, Runs
from imgdata.lineage.run_records import Dataset, locate
from imgdata.model.commits import TreeEntry
from imgdata.ports import CommitTree, GitObjects, History

SUBMODULE = "commit"


class RunGraph(Struct):
    """Nodes and edges upstream of runs, breadth first, each run once.

    Attributes:
        runs: The run records.
        name: The dataset's folder name, to recognise it in absolute paths of other machines.
        submodules: Submodules that held inputs, by the run's commit.
    """

    objects: GitObjects
    history: History
    runs: Runs
    name: str
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    submodules: dict[str, dict[str, str]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def follow(self, start: Run) -> "RunGraph":
        """Collect everything upstream of a run."""
        waiting = deque([start])
        while waiting:
            run = waiting.popleft()
            if run.id in self._seen:
                continue
            self._seen.add(run.id)
            self.nodes.append(self._node(run))
            for edge, upstream in self._inputs(run):
                self.edges.append(edge)
                if upstream is not None:
                    waiting.append(upstream)
        return self

    def _node(self, run: Run) -> Node:
        record = run.record
        flags: dict[str, object] = {}
        if record.failed:
            flags["failed"] = True
            self.gaps.append(
                f"the run {run.commit.id[:7]} ended with exit status {record.exit}: what it left "
                "may be incomplete"
            )
        if record.weak:
            flags["weak"] = record.weak
        if record.container:
            flags["container"] = record.container
        changed = [change for change in self.history.changed_in(run.commit.id) if change.blob]
        return Node(
            id=run.id,
            kind="datalad-run",
            wdir=record.pwd,
            cmd=record.cmd,
            flags=flags,
            run=RunNote(
                by=run.commit.author, end=run.commit.date, rc=record.exit,
                commit=run.commit, record=record.raw,
            ),
            outs=tuple(self._out(change.path, change.blob) for change in changed),
        )  # fmt: skip

    def _out(self, path: str, blob: str) -> Out:
        key = self.runs.annex_key(blob)
        return Out(path) if key is None else annex_out(path, key)

    def _inputs(self, run: Run) -> Iterator[tuple[Edge, Run | None]]:
        """Yield the run's inputs as they were at the commit before it."""
        if not run.commit.parents:
            for path in (*run.record.inputs, *run.record.extra_inputs):
                yield Edge(run.id, path, None, "missing"), None
            return
        parent = run.commit.parents[0]
        if self.runs.is_foreign(run):
            yield from self._foreign(run)
            return
        tree = self.objects.tree(parent)
        dataset = dataset_of(tree, self.name)
        for declared in dict.fromkeys((*run.record.inputs, *run.record.extra_inputs)):
            found = locate(declared, run.record.pwd, dataset)
            if not found:
                self.gaps.append(
                    f"the input {declared} of run {run.commit.id[:7]} is not in the commit before"
                )
                yield Edge(run.id, declared, None, "missing"), None
            for path in found:
                yield from self._input(run, path, parent, tree, dataset)

    def _foreign(self, run: Run) -> Iterator[tuple[Edge, Run | None]]:
        """Yield the inputs of a run that was recorded by the dataset above."""
        self.gaps.append(
            f"the run {run.commit.id[:7]} was of another dataset ({run.record.dsid}), most likely "
            "the one this is a part of: its inputs are paths there, and have to be asked there"
        )
        for declared in dict.fromkeys((*run.record.inputs, *run.record.extra_inputs)):
            yield Edge(run.id, declared, None, "missing"), None

    def _input(
        self, run: Run, path: str, parent: str, tree: CommitTree, dataset: Dataset
    ) -> Iterator[tuple[Edge, Run | None]]:
        root = dataset.submodule_of(path)
        entry = tree.entry(root or path)
        if root is not None and entry is not None:
            self.submodules.setdefault(run.commit.id, {})[root] = entry.id
            yield Edge(run.id, path, entry.id, "import", git=str(entry)), None
        elif entry is None or entry.kind == "tree":
            yield from self._folder(run, path, parent, entry)
        else:
            yield self._file(run, path, parent, entry)

    def _file(self, run: Run, path: str, parent: str, entry: TreeEntry) -> tuple[Edge, Run | None]:
        origin = self.runs.origin(path, parent)
        key = self.runs.annex_key(entry.id)
        if origin is None or origin.run is None:
            added = None if origin is None else origin.in_git.added_by
            edge = Edge(run.id, path, key, "source", git=str(entry), introduced=added)
            return edge, None
        self.gaps += origin.gaps
        edge = Edge(
            run.id, path, key or entry.id, "exact", producer=origin.run.id,
            producer_hash=key or entry.id, match=True, git=str(entry),
        )  # fmt: skip
        return edge, origin.run

    def _folder(
        self, run: Run, path: str, parent: str, entry: TreeEntry | None
    ) -> Iterator[tuple[Edge, Run | None]]:
        """Yield an edge for each run that made something in the folder that is still there."""
        makers: dict[str, tuple[Run, str]] = {}
        mentions = self.runs.any_up_to(parent)
        for commit in self.history.touching(parent, [path]) if mentions else ():
            maker = self.runs.of(commit) if commit.id in mentions else None
            made = None if maker is None else self._still_there(maker, path, parent)
            if maker is not None and made is not None:
                makers.setdefault(maker.id, (maker, made))
        git = None if entry is None else str(entry)
        for maker, made in makers.values():
            edge = Edge(
                run.id, path, None, "contains", producer=maker.id, producer_path=made, git=git
            )
            yield edge, maker
        if not makers:
            yield Edge(run.id, path, None, "source", git=git), None

    def _still_there(self, maker: Run, folder: str, parent: str) -> str | None:
        """Return the first path below a folder that has what a run made, or None."""
        prefix = "" if folder in {"", "."} else f"{folder}/"
        tree = self.objects.tree(parent)
        for change in self.history.changed_in(maker.commit.id):
            entry = tree.entry(change.path)
            if change.path.startswith(prefix) and entry is not None and entry.id == change.blob:
                return change.path
        return None


def dataset_of(tree: CommitTree, name: str) -> Dataset:
    """Return a commit as what declared inputs are looked up in."""
    return Dataset(
        name=name,
        exists=lambda path: tree.entry(path) is not None,
        files=lambda folder: list(tree.files(folder)),
        submodules=submodules_of(tree),
    )


def submodules_of(tree: CommitTree) -> tuple[str, ...]:
    """Return the paths of all submodules of a commit, sorted."""
    data = tree.read(".gitmodules")
    if data is None:
        return ()
    lines = data.decode("utf-8", "replace").splitlines()
    named = [line.split("=", 1)[1].strip().strip('"') for line in lines
             if line.strip().startswith("path") and "=" in line]  # fmt: skip
    return tuple(
        sorted(
            path for path in named if (entry := tree.entry(path)) is not None
            and entry.kind == SUBMODULE
        )
    )  # fmt: skip
