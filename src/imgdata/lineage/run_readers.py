"""DataLad runs by what they read: the other direction of the run graph."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from imgdata.lineage.datalad import Run, Runs
from imgdata.lineage.downstream import Reading
from imgdata.lineage.run_graph import dataset_of
from imgdata.lineage.run_records import BELOW, candidates, leads_to, locate, may_mean
from imgdata.ports import GitObjects, History

OWN_FOLDER = ".datalad/"
"""Where DataLad keeps its own files, run records among them: no data."""


class RunReaders(Struct, dict=True):
    """The runs up to a commit.

    Attributes:
        objects: git's objects.
        history: git's history.
        runs: The run records.
        name: The dataset's folder name, to recognise it in absolute paths of other machines.
        commit_id: The commit.
    """

    objects: GitObjects
    history: History
    runs: Runs
    name: str
    commit_id: str

    @cached_property
    def _all(self) -> list[Run]:
        """All runs with inputs of this dataset, oldest first."""
        commits = self.history.mentioning(self.commit_id, BELOW)
        found = (self.runs.of(commit) for commit in reversed(commits))
        return [run for run in found if run is not None and not self.runs.is_foreign(run)]

    def of(self, path: str) -> Iterator[Reading]:
        """Yield each run that read the path, where something it made is still there."""
        for run in self._all:
            via = self._via(run, path)
            outs = () if via is None else self._outs(run)
            if via is not None and outs:
                yield Reading(run.id, via, outs, frozen=False, current=self._is_current(run, path))

    def _via(self, run: Run, path: str) -> str | None:
        """Return the input through which a run read a path, or None."""
        record = run.record
        for declared in (*record.inputs, *record.extra_inputs):
            if not may_mean(declared, record.pwd, self.name, path):
                continue
            found = self._located(run, declared) or candidates(declared, record.pwd, self.name)[:1]
            leading = [one for one in found if leads_to(one, path)]
            if leading:
                return path if path in leading else leading[0]
        return None

    def _located(self, run: Run, declared: str) -> tuple[str, ...]:
        if not run.commit.parents:
            return ()
        tree = self.objects.tree(run.commit.parents[0])
        return locate(declared, run.record.pwd, dataset_of(tree, self.name))

    def _outs(self, run: Run) -> tuple[str, ...]:
        """Return what a run made and no later commit changed."""
        tree = self.objects.tree(self.commit_id)
        changed = self.history.changed_in(run.commit.id)
        return tuple(
            change.path
            for change in changed
            if change.blob
            and not change.path.startswith(OWN_FOLDER)
            and (entry := tree.entry(change.path)) is not None
            and self.runs.content(entry.id) == self.runs.content(change.blob)
        )

    def _is_current(self, run: Run, path: str) -> bool:
        """Tell whether a run read the content a path has now; unknown counts as yes."""
        if not run.commit.parents:
            return True
        then = self.objects.tree(run.commit.parents[0]).entry(path)
        now = self.objects.tree(self.commit_id).entry(path)
        if then is None or now is None or {then.kind, now.kind} != {"blob"}:
            return True
        return self.runs.content(then.id) == self.runs.content(now.id)
