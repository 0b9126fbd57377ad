"""`imgdata lineage`: from a file to its answer, in any git repository."""

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.errors import NothingFoundError
from imgdata.lineage.annex_keys import annex_out
from imgdata.lineage.answer import Answer, Edge, Node, Status
from imgdata.lineage.datalad import LINK, Origin, Runs
from imgdata.lineage.index import Index
from imgdata.lineage.run_graph import RunGraph
from imgdata.lineage.run_readers import RunReaders
from imgdata.lineage.upstream import (
    Choice,
    Snapshot,
    choose,
    choose_dead,
    history_gaps,
    tracked_answer,
)
from imgdata.lineage.versions import Versions, parts_of_id
from imgdata.model.commits import Commit
from imgdata.ports import GitObjects, History, Tree
from imgdata.workflows.annex_here import read_annexed
from imgdata.workflows.bytes_here import git_status, is_too_large, status_of
from imgdata.workflows.folder_lists import DVC_FOLDER, FolderLists
from imgdata.workflows.lineage_project import ProjectView, project_folder, read_project
from imgdata.workflows.unrecorded import unrecorded


class Question(Struct, frozen=True):
    """What is asked about a file beside how it was made.

    Attributes:
        revision: A branch, tag or commit; None for the working tree.
        history: All recorded versions.
        diff: A revision to compare with, in words.
        down: What was made from it.
        row: A row of a table, counted from 0.
        verify: Hash what is here and compare.
        public: Leave out names, hosts, home paths and what is restricted.
        brief: Leave out history and reading files, for questions about very many files.
    """

    revision: str | None = None
    history: bool = False
    diff: str | None = None
    down: bool = False
    row: int | None = None
    verify: bool = False
    public: bool = False
    brief: bool = False


class Repository(Struct, dict=True):
    """A git repository with everything lineage reads, joined by the caller.

    Attributes:
        root: Top of the working tree; for a bare repository its own folder.
        objects: git's objects.
        history: git's history.
        working_tree: None for a bare repository.
        head: The current commit, None before the first one.
    """

    root: Path
    objects: GitObjects
    history: History
    working_tree: Tree | None
    head: Commit | None
    _views: dict[tuple[Tree, str], ProjectView] = field(default_factory=dict)
    _snapshots: dict[str, Snapshot] = field(default_factory=dict)

    @property
    def home(self) -> str:
        """The root as absolute paths in records name it; empty for a bare repository."""
        return "" if self.working_tree is None else str(self.root)

    @property
    def name(self) -> str:
        """The folder name: what absolute paths of other machines know it by."""
        return self.root.name.removesuffix(".git")

    @cached_property
    def lists(self) -> FolderLists:
        """The folder lists that are on this machine."""
        return FolderLists(self.dvc_roots)

    @cached_property
    def dvc_roots(self) -> tuple[Path, ...]:
        """The folders with a `.dvc` folder that git knows about, or that are at the top."""
        if self.working_tree is None:
            return ()
        marks = (path for path in self.working_tree.files() if f"/{DVC_FOLDER}/" in f"/{path}")
        named = {f"/{path}".split(f"/{DVC_FOLDER}/", 1)[0] for path in marks} | {""}
        found = (self.root / folder.lstrip("/") for folder in sorted(named))
        return tuple(folder for folder in found if (folder / DVC_FOLDER).is_dir())

    @cached_property
    def runs(self) -> Runs:
        """The run records of DataLad."""
        return Runs(self.objects, self.history, partial(read_annexed, self.root))

    def run_readers(self, snapshot: Snapshot) -> RunReaders | None:
        """Return the runs up to a snapshot's commit by what they read; None before the first."""
        if snapshot.commit is None:
            return None
        return RunReaders(self.objects, self.history, self.runs, self.name, snapshot.commit.id)

    def view(self, tree: Tree, path: str) -> ProjectView | None:
        """Return the imgdata project a path belongs to, or None; each is read once."""
        folder = project_folder(tree, path)
        if folder is None:
            return None
        if (tree, folder) not in self._views:
            self._views[tree, folder] = read_project(tree, folder)
        return self._views[tree, folder]

    def place(self, path: str, revision: str | None) -> str:
        """Return where a path lies at a revision: elsewhere if its level was renamed meanwhile."""
        snapshot = self.snapshot(revision)
        index = snapshot.index
        view = None if self.working_tree is None else self.view(self.working_tree, path)
        if view is None or choose(index, path) is not None or path in index.stages:
            return path
        return next((one for one in view.places(path) if choose(index, one) is not None), path)

    def snapshot(self, revision: str | None) -> Snapshot:
        """Return the repository at a revision, or its working tree."""
        commit = self.head if revision is None else self.objects.commit(revision)
        at_revision = revision is not None or self.working_tree is None
        key = commit.id if at_revision and commit is not None else ""
        if key not in self._snapshots:
            self._snapshots[key] = self._open(commit, at_revision=at_revision)
        return self._snapshots[key]

    def _open(self, commit: Commit | None, *, at_revision: bool) -> Snapshot:
        tree: Tree = self.working_tree or _Empty()
        if at_revision and commit is not None:
            tree = self.objects.tree(commit.id)

        def former(producer: str) -> tuple[str, ...]:
            view = self.view(tree, parts_of_id(producer)[0])
            return () if view is None else view.former(producer)

        versions = None
        past_wdir: Callable[[str, str], str] | None = None
        if commit is not None:
            versions = Versions(self.objects, self.history, commit.id, former)
            past_wdir = versions.past_wdir
        index = Index(tree, self.home, past_wdir).gather()
        return Snapshot(
            index, commit, self.objects, self.history, versions, self.lists, at_revision
        )


class _Empty:
    """A tree without files: a bare repository before its first commit."""

    description = "an empty repository"

    def read(self, path: str) -> bytes | None:  # noqa: ARG002 - there is no file of any name
        """Return None: there is no file."""
        return None

    def files(self, under: str = "") -> Iterator[str]:  # noqa: ARG002 - nor in any folder
        """Yield no file."""
        yield from ()

    def is_folder(self, path: str) -> bool:  # noqa: ARG002 - nor a folder
        """Tell that it is not."""
        return False


def targets(repository: Repository, path: str, question: Question) -> list[str]:
    """Return the files an argument means: itself, or all outs below a folder that is no out."""
    snapshot = repository.snapshot(question.revision)
    index = snapshot.index
    stage = index.stages.get(path)
    if stage is not None and stage.dot_dvc is not None:
        return [stage.place(out.path, index.home).path for out in stage.entry.outs]
    if choose(index, path) is not None:
        return [path]
    below = [claim.path for claim in index.below(path)] if _is_folder(repository, path) else []
    if below:
        return below
    entry = snapshot.in_git(path)
    if snapshot.tree is not None and entry is not None and entry.kind == "tree":
        return list(snapshot.tree.files(path))
    if not path:
        msg = "DVC tracks nothing here"
        raise NothingFoundError(msg, remedy="imgdata lineage FILE")
    return [path]


def _is_folder(repository: Repository, path: str) -> bool:
    return not path or not (repository.root / path).is_file()


def explain(repository: Repository, path: str, question: Question) -> Answer:
    """Return the lineage of one file; never raises for what the repository's files hold."""
    snapshot = repository.snapshot(question.revision)
    choice = choose(snapshot.index, path)
    if choice is not None and question.brief:
        here = (repository.root / path).exists()
        status: Status = "recorded" if here else "missing"
        return tracked_answer(snapshot, path, choice, status, brief=True)
    if choice is not None:
        return _tracked(repository, snapshot, path, choice)
    origin = None if snapshot.commit is None else repository.runs.origin(path, snapshot.commit.id)
    dead = choose_dead(snapshot.index, path)
    if origin is not None and (origin.run is not None or dead is None):
        return _kept_in_git(repository, snapshot, origin, dead)
    if dead is not None:
        return _tracked(repository, snapshot, path, dead, orphan=True)
    tree = snapshot.tree if snapshot.at_revision else repository.working_tree
    in_project = tree is not None and repository.view(tree, path) is not None
    head = repository.snapshot("HEAD") if repository.head is not None else snapshot
    return unrecorded(snapshot, head, path, in_project=in_project)


def _tracked(
    repository: Repository, snapshot: Snapshot, path: str, choice: Choice, *, orphan: bool = False
) -> Answer:
    status = (
        "orphan"
        if orphan
        else status_of(repository.root, repository.lists, snapshot, choice.claim, path)
    )
    answer = tracked_answer(snapshot, path, choice, status)
    record = choice.claim.record
    if status == "recorded" and answer.member is None and is_too_large(record):
        why = "only the names of its files were compared, not their contents: --verify reads them"
        answer = replace(answer, gaps=(*answer.gaps, why))
    if orphan:
        why = f"{choice.claim.stage.id} is dead: {choice.claim.stage.dead_because}"
        answer = replace(answer, gaps=(why, *answer.gaps))
    return _with_runs(repository, snapshot, answer)


def _with_runs(repository: Repository, snapshot: Snapshot, answer: Answer) -> Answer:
    """Add the DataLad runs that made source files of the graph."""
    commit = snapshot.commit
    if commit is None or not repository.runs.any_up_to(commit.id):
        return answer
    graph = _run_graph(repository)
    edges: list[Edge] = []
    for edge in answer.edges:
        origin = None
        if edge.relation == "source" and edge.git and edge.git.startswith("blob "):
            origin = repository.runs.origin(edge.dep, edge.at or commit.id)
        if origin is None or origin.run is None:
            edges.append(edge)
            continue
        graph.follow(origin.run)
        graph.gaps += origin.gaps
        edges.append(replace(edge, producer=origin.run.id))
    nodes, more = _joined(repository, graph, answer.nodes)
    return replace(
        answer,
        nodes=(*answer.nodes, *nodes),
        edges=(*edges, *more),
        gaps=tuple(dict.fromkeys((*answer.gaps, *graph.gaps))),
    )


def _run_graph(repository: Repository) -> RunGraph:
    return RunGraph(repository.objects, repository.history, repository.runs, repository.name)


def _joined(
    repository: Repository, graph: RunGraph, known: tuple[Node, ...]
) -> tuple[list[Node], list[Edge]]:
    """Join inputs of runs that git does not have with the stages that made them, at that commit."""
    nodes, edges = list(graph.nodes), []
    ids = {node.id for node in (*known, *nodes)}
    runs = {node.id: node.run for node in graph.nodes}
    for edge in graph.edges:
        note = runs.get(edge.consumer)
        if edge.relation != "missing" or note is None or note.commit is None:
            edges.append(edge)
            continue
        parents = note.commit.parents
        before = repository.snapshot(parents[0]) if parents else None
        choice = None if before is None else choose(before.index, edge.dep.rstrip("/"))
        if before is None or choice is None:
            edges.append(edge)
            continue
        upstream = tracked_answer(before, choice.claim.path, choice, "recorded")
        out = upstream.out
        edges.append(
            replace(
                edge,
                relation="exact" if choice.claim.path == edge.dep else "inside",
                producer=upstream.producer,
                producer_hash=None if out is None else out.md5,
                recorded=None if out is None else out.md5,
            )
        )
        nodes += [node for node in upstream.nodes if node.id not in ids]
        edges += [one for one in upstream.edges if one.consumer not in ids]
        ids |= {node.id for node in upstream.nodes}
        graph.gaps = [gap for gap in graph.gaps if not gap.startswith(f"the input {edge.dep} of")]
    return nodes, edges


def _kept_in_git(
    repository: Repository, snapshot: Snapshot, origin: Origin, dead: Choice | None
) -> Answer:
    """Return the answer for a file that git or git-annex keeps and DVC does not."""
    in_git, gaps = origin.in_git, list(origin.gaps)
    nodes: list[Node] = []
    edges: list[Edge] = []
    if origin.run is not None:
        graph = _run_graph(repository).follow(origin.run)
        nodes, edges = _joined(repository, graph, ())
        gaps += graph.gaps
        in_git = replace(
            in_git,
            input_submodules_at_run=graph.submodules.get(origin.run.commit.id, {}),
            upstream_runs=_runs_before(origin.run.id, edges),
        )
    elif not gaps:
        gaps.append(_only_added(repository, origin))
    gaps += history_gaps(snapshot)
    key = in_git.annex_key
    maker = origin.run.commit if origin.run is not None else in_git.added_by
    return Answer(
        file=origin.path,
        commit=None if snapshot.commit is None else snapshot.commit.id,
        status=git_status(repository.root, snapshot, origin.path, in_git),
        out=None if key is None else annex_out(origin.path, key),
        producer=None if origin.run is None else origin.run.id,
        other_lock_entries=_claimants(dead),
        first_recorded=maker,
        nodes=tuple(nodes),
        edges=tuple(edges),
        in_git=in_git,
        gaps=tuple(dict.fromkeys(gaps)),
    )


def _only_added(repository: Repository, origin: Origin) -> str:
    in_git = origin.in_git
    if in_git.git_mode == LINK and in_git.annex_key is None:
        text = (repository.objects.read_blob(in_git.blob) or b"").decode("utf-8", "surrogateescape")
        return f"{origin.path} is a link to {text}: git only says who added the link"
    return f"no run or stage is recorded for {origin.path}: git only says who added it"


def _claimants(choice: Choice | None) -> tuple[str, ...]:
    if choice is None:
        return ()
    return tuple(dict.fromkeys(one.stage.id for one in (choice.claim, *choice.others)))


def _runs_before(run_id: str, edges: list[Edge]) -> tuple[str, ...]:
    made = (edge.producer for edge in edges if edge.consumer == run_id)
    runs = (one for one in made if one is not None and one.startswith("datalad-run:"))
    return tuple(dict.fromkeys(one.split(":", 1)[1] for one in runs))
