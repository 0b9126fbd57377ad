"""The lineage of a file that DVC tracks: producer, graph and what history says about both."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.lineage.answer import Answer, Edge, Status
from imgdata.lineage.folder_inputs import FolderInputs
from imgdata.lineage.index import Claim, Index
from imgdata.lineage.resolve import Trace, hash_of, member_path, out_of
from imgdata.lineage.sources import explain_sources
from imgdata.lineage.versions import Versions
from imgdata.model.commits import Commit, TreeEntry
from imgdata.ports import CommitTree, GitObjects, History

BRIEF = (
    "history and comparison with the files here are left out of an answer about so many files: "
    "ask for one of them"
)
FolderList = Callable[[str], dict[str, str] | None]
"""Returns md5 by path of a `.dir` object, or None when it is not here."""


class Snapshot(Struct):
    """A repository at one commit, or its working tree on top of the current commit.

    Attributes:
        index: Who claims what.
        commit: The commit; None before the first one.
        objects: git's objects.
        history: git's history.
        versions: The history of locks and `.dvc` files; None before the first commit.
        folder_list: Reads `.dir` objects that are here.
        at_revision: Whether a commit was asked for, not the working tree.
    """

    index: Index
    commit: Commit | None
    objects: GitObjects
    history: History
    versions: Versions | None
    folder_list: FolderList
    at_revision: bool = False

    @property
    def tree(self) -> CommitTree | None:
        """The files of the commit, None before the first one."""
        return None if self.commit is None else self.objects.tree(self.commit.id)

    def in_git(self, path: str) -> TreeEntry | None:
        """Return what git has at a path."""
        return None if self.tree is None else self.tree.entry(path)

    def git_content(self, path: str) -> bytes | None:
        """Return the bytes git has of a file, or None."""
        entry = self.in_git(path)
        return None if entry is None else self.objects.read_blob(entry.id)

    def member_hash(self, folder: str, path: str) -> str | None:
        """Return the hash of a member of a tracked folder, where its list is here."""
        listed = self.folder_list(folder)
        return None if listed is None else listed.get(path)


class Choice(Struct, frozen=True):
    """The claim that counts for a path, and the others."""

    claim: Claim
    others: tuple[Claim, ...]


def choose(index: Index, path: str) -> Choice | None:
    """Return the live claim to a path, exact or by the folder it lies in, and the other claims."""
    exact = index.live(path)
    around = None if exact else index.around(path)
    dead = index.dead(path)
    live = exact or ([] if around is None else [around])
    if live:
        others = [*live[1:], *(claim for claim in dead if claim.path == live[0].path)]
        return Choice(live[0], tuple(others))
    return None


def choose_dead(index: Index, path: str) -> Choice | None:
    """Return the nearest dead claim to a path, and the others."""
    dead = index.dead(path)
    return Choice(dead[0], tuple(dead[1:])) if dead else None


def tracked_answer(
    snapshot: Snapshot, path: str, choice: Choice, status: Status, *, brief: bool = False
) -> Answer:
    """Return the lineage of a file that a stage, an add or an import made.

    A brief answer leaves history out, and says so.
    """
    claim = choice.claim
    trace = Trace(snapshot.index, snapshot.in_git, snapshot.member_hash).follow(claim.stage)
    member = member_path(claim, path)
    digest = hash_of(claim.record)
    gaps = list(trace.gaps)
    if digest is None:
        gaps.append(f"{claim.stage.id} recorded no hash of {claim.path}")
    answer = Answer(
        file=path,
        commit=None if snapshot.commit is None else snapshot.commit.id,
        status=status,
        out=out_of(claim.record),
        member=member,
        member_hash=_member_hash(snapshot, claim, member, gaps),
        producer=claim.stage.id,
        other_lock_entries=tuple(dict.fromkeys(other.stage.id for other in choice.others)),
        nodes=tuple(trace.nodes),
        edges=tuple(trace.edges),
        gaps=tuple(gaps),
    )
    if brief:
        return replace(answer, gaps=(*gaps, BRIEF))
    if snapshot.versions is None or snapshot.commit is None:
        return replace(answer, gaps=(*gaps, "there is no commit yet, so no history"))
    return _with_history(snapshot, snapshot.versions, snapshot.commit, trace, claim, answer)


def _member_hash(
    snapshot: Snapshot, claim: Claim, member: str | None, gaps: list[str]
) -> str | None:
    digest = hash_of(claim.record)
    if member is None or digest is None:
        return None
    listed = claim.record.files and {
        file.path: file.hash.value for file in claim.record.files if file.hash is not None
    }
    files = listed or snapshot.folder_list(digest)
    if files is None:
        gaps.append(
            f"the list of files of {claim.path} ({digest}) is not here, so whether {member} is in "
            f"it is not known: imgdata pull"
        )
        return None
    if member not in files:
        below = folder_digest(files, member)
        if below is not None:
            return below
        gaps.append(f"{member} is not among the files recorded of {claim.path}")
    return files.get(member)


def _with_history(
    snapshot: Snapshot,
    versions: Versions,
    commit: Commit,
    trace: Trace,
    claim: Claim,
    answer: Answer,
) -> Answer:
    digest = hash_of(claim.record)
    noted = versions.recording(claim.stage, claim.record.path, digest)
    gaps = list(answer.gaps)
    if noted.first is None and digest is not None:
        gaps.append(f"no commit up to {commit.id[:7]} has this record of {claim.path} yet")
    edges, more = explain_sources(answer.edges, snapshot.objects, snapshot.history, commit.id)
    gaps += more
    edges = [_dated(edge, trace, versions, gaps) for edge in edges]
    gaps += _last_seen(edges, versions)
    gaps += FolderInputs(snapshot.index, versions).gaps(edges)
    known = {answer.producer, *answer.other_lock_entries}
    earlier = versions.producers(claim.path, snapshot.index.home)
    return replace(
        answer,
        first_recorded=noted.first,
        entry_last_changed=noted.changed,
        stage_last_changed=noted.stage_changed,
        current_streak_since=noted.streak,
        first_recorded_any_path=None if digest is None else versions.first_anywhere(digest),
        historical_producers=tuple(one for one in earlier if one not in known),
        edges=tuple(edges),
        gaps=tuple(dict.fromkeys([*gaps, *history_gaps(snapshot), *_unread(versions)])),
    )


def history_gaps(snapshot: Snapshot) -> list[str]:
    """Return what of the history this clone does not have, so that earlier may be unknown."""
    gaps: list[str] = []
    if snapshot.objects.shallow:
        gaps.append(
            "history is cut: this is a shallow clone, so what is called first may not be the "
            "first (git fetch --unshallow brings the rest)"
        )
    absent = snapshot.objects.absent
    if absent:
        gaps.append(
            f"history has holes: {absent} {'object' if absent == 1 else 'objects'} asked for "
            "are not in this clone, so what is called first may not be the first, and versions "
            "are left out (git fetch --refetch --no-filter brings them)"
        )
    return gaps


def _unread(versions: Versions) -> list[str]:
    return [f"a version in history was skipped: {one.sentence}" for one in versions.problems]


def _last_seen(edges: Sequence[Edge], versions: Versions) -> Iterator[str]:
    """Say where the content of inputs without a producer was recorded in the past."""
    for edge in edges:
        if edge.relation != "missing" or edge.recorded is None:
            continue
        *_, found = (None, *versions.claims(edge.recorded))
        if found is not None:
            commit_id, producer, _ = found
            yield f"{edge.dep} was recorded by {producer} with that content in {commit_id[:7]}"


def _dated(edge: Edge, trace: Trace, versions: Versions, gaps: list[str]) -> Edge:
    """Name the commit at which a hash was current that the producer no longer has."""
    if edge.match is not False or edge.relation not in {"exact", "inside"} or edge.at:
        return edge
    stage = trace.index.stages.get(edge.producer or "")
    if stage is None or edge.recorded is None or edge.relation == "inside":
        return edge
    at = versions.holder(stage, edge.dep, edge.recorded)
    if at is not None:
        return replace(edge, at=at.id)
    found = next(versions.claims(edge.recorded), None)
    if found is not None:
        gaps.append(
            f"{edge.consumer} read {edge.dep} as {found[1]} recorded it ({edge.recorded}), "
            f"not as {edge.producer} has it now"
        )
        return replace(edge, at=found[0])
    gaps.append(
        f"no commit recorded {edge.dep} with the hash {edge.consumer} read: {edge.recorded}"
    )
    return edge


def folder_digest(files: Mapping[str, str], folder: str) -> str | None:
    """Return the hash a folder inside a tracked folder would have as an out of its own."""
    prefix = f"{folder}/"
    inside = [
        FolderEntry(md5, path[len(prefix) :])
        for path, md5 in files.items()
        if path.startswith(prefix)
    ]
    return write_folder(inside)[1] if inside else None
