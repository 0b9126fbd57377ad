"""Inputs that no hash joins to their producer: whether they are still what was read.

No hash joins a folder that was read to the files in it that other stages made, nor a file that was
read to the folder it is tracked in while the list of that is not here. What can be told is which
version was recorded when the reader's own entry was: where it is another one now, the reader most
likely read the older one.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from imgdata.dvc_files.dot_dvc import is_dot_dvc, read_dot_dvc
from imgdata.dvc_files.lazy_lock import LazyLock
from imgdata.dvc_files.recorded import Recorded
from imgdata.lineage.answer import Edge
from imgdata.lineage.index import Index, Stage
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.versions import Versions
from imgdata.model.commits import Commit

NAMED = 5
"""Files that are named; more are counted."""


class FolderInputs(Struct):
    """Compares what folders held when they were read with what is recorded now."""

    index: Index
    versions: Versions
    _locks: dict[str, LazyLock] = field(default_factory=dict)

    def gaps(self, edges: Sequence[Edge]) -> Iterator[str]:
        """Yield a sentence for each folder of which something was recorded anew since it was read.

        Cost: reads the lock at one commit for each consumer.
        """
        newer: dict[tuple[str, str, str], list[str]] = {}
        for edge in edges:
            is_open = edge.relation == "contains" or (
                edge.relation == "inside" and edge.match is None
            )
            commit = self._last_run(edge) if is_open else None
            if commit is None or not self._is_newer(edge, commit):
                continue
            if edge.relation == "inside":
                yield (
                    f"{edge.consumer} last ran in {commit.id[:7]}; {edge.producer_path} was "
                    f"recorded anew since then and the list of its files is not here, so whether "
                    f"{edge.dep} is still what was read is not known: imgdata pull"
                )
            else:
                found = newer.setdefault((edge.consumer, edge.dep, commit.id[:7]), [])
                found.append(edge.producer_path or "")
        for (consumer, dep, commit_id), paths in newer.items():
            named = ", ".join(paths[:NAMED])
            more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
            verb = "was" if len(paths) == 1 else "were"
            yield (
                f"{consumer} last ran in {commit_id}; in {dep}, which it read, {named}{more} "
                f"{verb} recorded anew since then: it most likely read what was there before"
            )

    def _last_run(self, edge: Edge) -> Commit | None:
        """Return the commit that recorded the consumer as it is; None while none has."""
        consumer = self.index.stages.get(edge.consumer)
        if consumer is None or edge.producer not in self.index.stages:
            return None
        line = self.versions.timeline(consumer.file, consumer.name)
        return line.last_change() if line.tip == consumer.entry else None

    def _is_newer(self, edge: Edge, commit: Commit) -> bool:
        producer = self.index.stages[edge.producer or ""]
        then = {self._path(producer, one): hash_of(one) for one in self._outs(producer, commit.id)}
        before = then.get(edge.producer_path or "")
        return None not in {before, edge.producer_hash} and before != edge.producer_hash

    def _path(self, producer: Stage, record: Recorded) -> str:
        return producer.place(record.path, self.index.home).path

    def _outs(self, producer: Stage, commit_id: str) -> tuple[Recorded, ...]:
        """Return what a producer had recorded at a commit."""
        blob = self.versions.objects.blobs_at([(commit_id, producer.file)])[0]
        data = None if blob is None else self.versions.objects.read_blob(blob)
        if blob is None or data is None:
            return ()
        if is_dot_dvc(producer.file):
            return tuple(out.recorded for out in read_dot_dvc(data, producer.file).outs)
        if blob not in self._locks:
            self._locks[blob] = LazyLock(data, producer.file)
        entry = self._locks[blob].entry(producer.name)
        return () if entry is None else entry.outs
