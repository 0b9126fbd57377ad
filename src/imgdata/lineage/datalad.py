"""Files that git or git-annex keeps: which run, if any, made the content they have.

The last commit that touched a file is not always its producer: a merge joins what a side branch
made, a revert brings back what an older run made, a person copies a file in. So contents are
compared: the producer is the commit that brought the content the file has, and where several
brought it, the run among them.
"""

import re
from collections.abc import Callable, Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.lineage.annex_keys import is_key, key_of, size_of
from imgdata.lineage.answer import InGit, ProducedBy
from imgdata.lineage.run_records import BELOW, NoRecord, RunRecord, parse_run_record
from imgdata.lineage.sources import source_timelines
from imgdata.lineage.timeline import Timeline
from imgdata.model.commits import Commit, TreeEntry
from imgdata.ports import GitObjects, History

LINK = "120000"
_DATASET_ID = re.compile(r"^\s*id\s*=\s*\"?([^\s\"]+)", re.MULTILINE)


class Run(Struct, frozen=True):
    """A commit that carries a run record of its own."""

    commit: Commit
    record: RunRecord

    @property
    def id(self) -> str:
        """The id of its node."""
        return f"datalad-run:{self.commit.id}"


class Origin(Struct, frozen=True):
    """Where the content of one file in git came from."""

    path: str
    run: Run | None
    in_git: InGit
    gaps: tuple[str, ...] = ()


def _nothing_here(key: str) -> bytes | None:
    """Say that the content of no key is here."""
    del key
    return None


class Runs(Struct):
    """The run records of a history, read when they are asked for.

    Attributes:
        objects: git's objects.
        history: git's history.
        annexed: Returns the content of a key of git-annex, None when it is not here.
    """

    objects: GitObjects
    history: History
    annexed: Callable[[str], bytes | None] = _nothing_here
    _known: dict[str, RunRecord | NoRecord] = field(default_factory=dict)
    _mentions: dict[str, frozenset[str]] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)

    def any_up_to(self, commit_id: str) -> frozenset[str]:
        """Return the ids of all commits up to one that mention a run record: one search."""
        if commit_id not in self._mentions:
            found = self.history.mentioning(commit_id, BELOW)
            self._mentions[commit_id] = frozenset(commit.id for commit in found)
        return self._mentions[commit_id]

    def of(self, commit: Commit) -> Run | None:
        """Return the commit as a run, or None when it is none."""
        record = self._record(commit)
        if isinstance(record, NoRecord) or record.quoted:
            return None
        # A history limited to some paths has rewritten parents; the run needs its real ones.
        return Run(self.objects.commit(commit.id), record)

    def is_foreign(self, run: Run) -> bool:
        """Tell whether another dataset recorded the run: with paths of its own, not of this one.

        `datalad run` leaves the same record in every dataset below that it changed.
        """
        data = self.objects.read_blob(f"{run.commit.id}:.datalad/config") or b""
        ids = _DATASET_ID.findall(data.decode("utf-8", "replace"))
        return bool(run.record.dsid and ids) and run.record.dsid not in ids

    def problem(self, commit: Commit) -> str:
        """Return what is wrong with the record of a commit; empty when nothing is."""
        record = self._record(commit)
        return record.problem if isinstance(record, NoRecord) else ""

    def _record(self, commit: Commit) -> RunRecord | NoRecord:
        if commit.id not in self._known:
            message = self.history.message(commit.id)
            self._known[commit.id] = parse_run_record(
                message, lambda name: self._sidecar(commit.id, name)
            )
        return self._known[commit.id]

    def _sidecar(self, commit_id: str, name: str) -> bytes | None:
        """Return a record that lies in a file; packed, so most datasets annex it.

        DataLad gives the file no suffix.
        """
        place = f"{commit_id}:.datalad/runinfo/{name}"
        read = self.objects.read_blob
        data = read(place) or read(f"{place}.jsonl")
        key = None if data is None else key_of(data)
        return data if key is None else self.annexed(key)

    def origin(self, path: str, commit_id: str) -> Origin | None:
        """Return where the content comes from that a file has at a commit; None if not there."""
        entry = self.objects.tree(commit_id).entry(path)
        if entry is None or entry.kind != "blob":
            return None
        mentions = self.any_up_to(commit_id)
        blobs = source_timelines(self.objects, self.history, commit_id, [path]).of(path)
        line = Timeline(
            blobs.commits, {one: self.content(blob) for one, blob in blobs.values.items()}
        )
        here = self.content(entry.id)
        changes = line.changed()
        brought = [commit for commit in changes if line.values.get(commit.id) == here]
        runs = [run for commit in brought if commit.id in mentions and (run := self.of(commit))]
        moved_from = ""
        if not runs and mentions:
            moved_from, runs = self._moved(path, here, commit_id, mentions)
        gaps = [
            f"commit {commit.id[:7]} that touched {path}: {problem}"
            for commit in brought
            if commit.id in mentions and (problem := self.problem(commit))
        ]
        run = runs[0] if runs else None
        if run is not None and run.record.weak:
            gaps.append(f"weak evidence for the run of {path}: {run.record.weak}")
        if moved_from:
            move = f"; {brought[0].id[:7]} moved or copied it here" if brought else ""
            gaps.append(f"the run made the content as {moved_from}{move}")
        facts = self._facts(entry, line, changes, brought, run)
        if moved_from:
            facts = replace(facts, restored_by=None)
        if run is None:
            gaps += self._maybe_migrated(path, here, line, facts.earlier_versions_by_run)
        return Origin(path, run, facts, tuple(gaps))

    def _maybe_migrated(
        self, path: str, here: str, line: Timeline[str], earlier: tuple[str, ...]
    ) -> Iterator[str]:
        """Say that a run may have made the same bytes under another name.

        `git annex migrate` and `unannex` change what identifies a content, not the content.
        """
        newest = earlier[0] if earlier else ""
        before = line.values.get(newest)
        if before is None or not (is_key(before) or is_key(here)):
            return
        size = self._size(here)
        if size is not None and size == self._size(before):
            yield (
                f"the run {newest[:7]} made {path} with as many bytes under another key "
                f"({before}): the same content migrated or unannexed, or an edit of the same "
                "length"
            )

    def _size(self, content: str) -> int | None:
        if is_key(content):
            return size_of(content)
        data = self.objects.read_blob(content)
        return None if data is None else len(data)

    def _facts(
        self,
        entry: TreeEntry,
        line: Timeline[str],
        changes: list[Commit],
        brought: list[Commit],
        run: Run | None,
    ) -> InGit:
        latest = brought[0] if brought else None
        maker = brought[-1] if run is None and brought else None if run is None else run.commit
        before = _before(line, changes, maker)
        here = self.content(entry.id)
        later = [commit for commit in line.commits if maker is not None and commit.id != maker.id]
        newer = later[: _place(line.commits, maker)]
        earlier = [
            commit.id
            for commit in changes
            if line.values.get(commit.id) not in {here, None} and self.of(commit) is not None
        ]
        restored = latest is not None and maker is not None and latest.id != maker.id
        return InGit(
            git_mode=entry.mode,
            blob=entry.id,
            annex_key=self.annex_key(entry.id),
            produced_by=None if run is None else ProducedBy(run.commit, run.record.raw),
            added_by=maker if run is None else None,
            restored_by=latest if restored else None,
            not_the_producer=tuple(commit.id for commit in newer),
            previous_version_by=before,
            earlier_versions_by_run=tuple(earlier),
        )

    def _moved(
        self, path: str, here: str, commit_id: str, mentions: frozenset[str]
    ) -> tuple[str, list[Run]]:
        """Find a run that brought this content under another path, the latest first."""
        for change in self.history.changes(commit_id, []):
            if change.commit not in mentions or change.path == path or not change.blob:
                continue
            if change.mode == "160000" or self.content(change.blob) != here:
                continue
            run = self.of(self.objects.commit(change.commit))
            if run is not None:
                return change.path, [run]
        return "", []

    def content(self, blob: str) -> str:
        """Return what identifies the content behind an object: git-annex's key, or its own id.

        A link to annexed content changes when the file moves to another depth, the key does not.
        """
        return self.annex_key(blob) or blob

    def annex_key(self, blob: str) -> str | None:
        """Return the key an annexed file's link or pointer names, or None."""
        if blob not in self._keys:
            data = self.objects.read_blob(blob) or b""
            self._keys[blob] = key_of(data) or ""
        return self._keys[blob] or None


def _place(commits: object, wanted: Commit | None) -> int:
    ids = [commit.id for commit in commits] if isinstance(commits, tuple | list) else []
    return ids.index(wanted.id) if wanted is not None and wanted.id in ids else 0


def _before(line: Timeline[str], changes: list[Commit], maker: Commit | None) -> Commit | None:
    """Return the commit that brought the content before the one a commit made."""
    if maker is None:
        return None
    previous = line.before(maker)
    if previous is None:
        return None
    older = changes[_place(changes, maker) + 1 :]
    return next((commit for commit in older if line.values.get(commit.id) == previous), None)
