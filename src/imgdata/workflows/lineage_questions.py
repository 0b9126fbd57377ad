"""What can be asked about a file beside how it was made: members, versions, differences, ..."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.places import folder_of, join
from imgdata.errors import MachineError, NothingFoundError, UsageError
from imgdata.lineage.answer import Answer, Downstream, Row
from imgdata.lineage.difference import answer_differences, folder_differences
from imgdata.lineage.downstream import downstream
from imgdata.lineage.index import Claim
from imgdata.lineage.members import Fields, MemberSearch, Sources, Subject
from imgdata.lineage.public import public_answer
from imgdata.lineage.recorded_versions import git_versions, recorded_versions
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.tables import NamedFile, Table
from imgdata.lineage.trust import verified_answer
from imgdata.lineage.upstream import Choice, Snapshot, choose, choose_dead
from imgdata.ports import Tree
from imgdata.project.config import DEFAULT_BRANCH, Config
from imgdata.project.loader import CONFIG_NAME
from imgdata.workflows.bytes_here import BytesHere
from imgdata.workflows.lineage import Question, Repository, explain
from imgdata.workflows.lineage_decisions import Decisions
from imgdata.workflows.lineage_project import (
    ProjectView,
    project_view,
    read_project,
    restricted_paths,
    with_project,
)
from imgdata.workflows.table_reading import read_table


class Asking(Struct):
    """One file and everything needed to answer questions about it."""

    repository: Repository
    snapshot: Snapshot
    path: str
    question: Question

    @property
    def tree(self) -> Tree | None:
        """The files of the revision, or the working tree."""
        if self.snapshot.at_revision:
            return self.snapshot.tree
        return self.repository.working_tree

    @property
    def view(self) -> ProjectView | None:
        """The imgdata project the file belongs to."""
        return None if self.tree is None else self.repository.view(self.tree, self.path)

    @property
    def bytes_here(self) -> BytesHere:
        """Bytes of the working tree and the cache."""
        return BytesHere(self.repository.root, self.repository.lists, self.snapshot)


def answer(repository: Repository, path: str, question: Question) -> Answer:
    """Answer all that is asked about one file.

    Raises:
        NothingFoundError: The table has no such row.
        UsageError: A row is asked of a file that is no table, or a revision does not exist.
        MachineError: A parquet table is asked for a row and pyarrow is not installed.
    """
    place = repository.place(path, question.revision)
    found = _answer_at(repository, place, question)
    if place == path or question.public:
        return found
    why = f"its level has another name there: {path} is {place}"
    return replace(found, gaps=(why, *found.gaps))


def _answer_at(repository: Repository, path: str, question: Question) -> Answer:
    asking = Asking(repository, repository.snapshot(question.revision), path, question)
    found = explain(repository, path, question)
    view = asking.view
    if view is not None:
        found = with_project(found, view, asking.snapshot.index)
    if question.brief:
        return _checked(asking, view, found)
    choice = choose(asking.snapshot.index, path) or choose_dead(asking.snapshot.index, path)
    if choice is not None:
        found = _with_members(asking, view, choice, found)
    elif question.row is not None:
        found = _with_row(asking, found)
    if question.history:
        found = _with_history(asking, choice, found)
    if question.down:
        found = _with_down(asking, view, found)
    if question.diff is not None:
        found = _with_difference(asking, found)
    return _checked(asking, view, _with_decisions(asking, view, found))


def _with_decisions(asking: Asking, view: ProjectView | None, found: Answer) -> Answer:
    if view is None:
        return found
    return Decisions(asking.repository, asking.snapshot, view).added_to(found)


def _checked(asking: Asking, view: ProjectView | None, found: Answer) -> Answer:
    index = asking.snapshot.index
    if asking.question.verify:
        found = verified_answer(found, asking.bytes_here, asking.snapshot)
    if asking.question.public:
        today = datetime.now(UTC).date()
        runs = asking.repository.run_readers(asking.snapshot)
        hidden = restricted_paths(view, index, tuple(_committed(asking, view)), today, runs)
        found = public_answer(found, hidden, str(asking.repository.root))
    return found


def _committed(asking: Asking, view: ProjectView | None) -> Iterator[Config]:
    """Yield what imgdata.yaml says on the release branch, here and as last fetched.

    Also on the branch that is it by default, so that naming another one takes no rule away.
    """
    if view is None or view.config is None:
        return
    objects = asking.repository.objects
    for branch in dict.fromkeys((view.config.release_branch, DEFAULT_BRANCH)):
        for name in (f"{branch}@{{upstream}}", f"refs/remotes/origin/{branch}", branch):
            with suppress(UsageError):
                tree = objects.tree(objects.commit(name).id)
                if tree.read(join(view.folder, CONFIG_NAME)) is not None:
                    yield read_project(tree, view.folder).config or replace(view.config, origins={})


def _with_members(
    asking: Asking, view: ProjectView | None, choice: Choice, found: Answer
) -> Answer:
    claim = choice.claim
    here = asking.bytes_here
    sources = Sources(
        index=asking.snapshot.index,
        levels={} if view is None else view.levels,
        prefix="" if view is None else view.prefix,
        folder_list=asking.repository.lists,
        read=here.read,
        table=_table_or_none,
    )
    md5 = found.member_hash if found.member is not None else hash_of(claim.record)
    row: Row | None = None
    wanted: tuple[Fields, ...] = ()
    files: tuple[NamedFile, ...] = ()
    if asking.question.row is not None:
        row, wanted, files = _row_of(asking, md5)
    if claim.stage.kind != "stage" or (found.member is None and row is None and _is_folder(claim)):
        return replace(found, row=row)
    search = MemberSearch(sources).follow(Subject(claim, asking.path, md5, wanted, files))
    return replace(
        found,
        row=row,
        members=tuple(search.found),
        gaps=tuple(dict.fromkeys((*found.gaps, *search.gaps))),
    )


def _is_folder(claim: Claim) -> bool:
    digest = hash_of(claim.record)
    return digest is not None and digest.endswith(".dir")


def _table_or_none(path: str, data: bytes) -> Table | None:
    """Return a table met on the way; one that cannot be read here is passed over."""
    try:
        return read_table(path, data)
    except MachineError:
        return None


def _row_of(
    asking: Asking, md5: str | None
) -> tuple[Row, tuple[Fields, ...], tuple[NamedFile, ...]]:
    """Read the row that is asked about.

    The unit's name stands in for a plate that the table does not name.
    """
    number = asking.question.row or 0
    data = asking.bytes_here.read(asking.path, md5) if md5 else _plain(asking)
    if data is None:
        msg = f"{asking.path} is not here with its recorded content, so its rows cannot be read"
        raise NothingFoundError(msg, remedy="imgdata pull")
    table = read_table(asking.path, data)
    if table is None:
        msg = f"{asking.path} is no table that imgdata reads: parquet, CSV or TSV"
        raise UsageError(msg, remedy="leave out --row")
    if not 0 <= number < table.length:
        rows = "1 row" if table.length == 1 else f"{table.length} rows"
        msg = f"{asking.path} has {rows}, counted from 0: there is no row {number}"
        raise NothingFoundError(msg, remedy=f"imgdata lineage {asking.path} --row 0")
    fields = table.fields(number)
    return Row(number, fields), (fields,) if fields else (), tuple(table.files(number))


def _plain(asking: Asking) -> bytes | None:
    return None if asking.tree is None else asking.tree.read(asking.path)


def _with_row(asking: Asking, found: Answer) -> Answer:
    row, _, _ = _row_of(asking, None)
    return replace(found, row=row)


def _with_history(asking: Asking, choice: Choice | None, found: Answer) -> Answer:
    snapshot = asking.snapshot
    if snapshot.commit is None or snapshot.versions is None:
        return replace(found, history=())
    if choice is not None and found.producer and not found.producer.startswith("datalad-run:"):
        versions = recorded_versions(snapshot.versions, found, choice.claim, snapshot.index.home)
        return replace(found, history=tuple(versions))
    repository = asking.repository
    listed = git_versions(
        repository.objects, repository.history, repository.runs, snapshot.commit.id, asking.path
    )
    return replace(found, history=tuple(listed))


def _with_down(asking: Asking, view: ProjectView | None, found: Answer) -> Answer:
    index = asking.snapshot.index
    runs = asking.repository.run_readers(asking.snapshot)
    made = downstream(index, asking.path, runs, asking.snapshot.git_content)
    if view is None:
        return replace(found, down=tuple(made))
    placed: list[Downstream] = []
    for one in made:
        level = view.level_of(one.path)
        placed.append(replace(one, level=None if level is None else level.name))
    if found.level is not None:
        placed = list(_narrowed(asking, view, placed))
    return replace(found, down=tuple(placed))


def _narrowed(asking: Asking, view: ProjectView, made: list[Downstream]) -> list[Downstream]:
    """Name the images inside tracked folders that came from the asked image, where it is known."""
    here = asking.bytes_here
    sources = Sources(
        asking.snapshot.index, view.levels, view.prefix, asking.repository.lists, here.read,
        _table_or_none,
    )  # fmt: skip
    reached = {asking.path}
    found: list[Downstream] = []
    for one in made:
        claims = asking.snapshot.index.live(one.path)
        members = sources.folder_list(hash_of(claims[0].record) or "") if claims else None
        if members is None or one.level is None:
            reached.add(one.path)
            found.append(one)
            continue
        search = MemberSearch(sources)
        inside: list[Downstream] = []
        for name in members:
            path = f"{one.path}/{name}"
            direct = search.direct(Subject(claims[0], path, members[name]))
            how = next((how for source, how in direct if _reached(source, reached)), None)
            if how is not None:
                inside.append(replace(one, path=path, how=how))
        reached |= {member.path for member in inside} or {one.path}
        found += inside or [one]
    return found


def _reached(path: str, reached: set[str]) -> bool:
    return path in reached or folder_of(path) in reached


def _with_difference(asking: Asking, found: Answer) -> Answer:
    """Compare with the same file at another revision, in words."""
    revision = "" if asking.question.diff is None else asking.question.diff
    repository = asking.repository
    place = repository.place(asking.path, revision)
    before = explain(repository, place, replace(asking.question, revision=revision))
    snapshot = repository.snapshot(revision)
    view = None if snapshot.tree is None else project_view(snapshot.tree, place)
    if view is not None:
        before = with_project(before, view, snapshot.index)
    if before.status == "untracked" or (before.producer is None and before.in_git is None):
        return replace(found, diff=(f"{asking.path} has no record at {revision}",))
    hashes = {edge.recorded for one in (before, found) for edge in one.edges if edge.recorded}
    outs = {one.out.md5 for one in (before, found) if one.out is not None and one.out.md5}
    lists = {
        digest: listed
        for digest in hashes | outs
        if (listed := repository.lists(digest)) is not None
    }
    lines = list(answer_differences(before, found, lists))
    if before.out is not None and found.out is not None and found.member is None:
        old, new = lists.get(before.out.md5 or ""), lists.get(found.out.md5 or "")
        if old is not None and new is not None:
            lines += folder_differences(asking.path, old, new)
    return replace(found, diff=tuple(dict.fromkeys(lines)))
