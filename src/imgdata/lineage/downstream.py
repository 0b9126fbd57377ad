"""What was made from a file: its readers, what they made, and so on."""

from collections import deque
from collections.abc import Iterator

from msgspec import Struct, field

from imgdata.dvc_files.places import folders_above, paths_below
from imgdata.lineage.answer import Downstream
from imgdata.lineage.index import Claim, Index, Stage
from imgdata.lineage.resolve import hash_of


class Readers(Struct):
    """Which live stages read which paths: looked up by path, by folder above, by paths below."""

    index: Index
    _by_path: dict[str, list[Stage]] = field(default_factory=dict)
    _paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Collect all deps once."""
        for stage, path in self.index.readers():
            self._by_path.setdefault(path, []).append(stage)
        self._paths = sorted(self._by_path)

    def of(self, path: str) -> Iterator[tuple[Stage, str]]:
        """Yield each stage that reads the path, a folder it lies in, or something inside it."""
        for dep in (path, *folders_above(path), ".", *paths_below(self._paths, path)):
            yield from ((stage, dep) for stage in self._by_path.get(dep, ()))


def downstream(index: Index, path: str) -> list[Downstream]:
    """Return every out made from a path, directly or through others, nearest first."""
    readers = Readers(index)
    found: list[Downstream] = []
    seen: set[str] = set()
    waiting = deque([(path, True, True)])
    while waiting:
        current_path, stale, fresh = waiting.popleft()
        for stage, dep in readers.of(current_path):
            if stage.id in seen:
                continue
            seen.add(stage.id)
            is_frozen = bool(stage.flags().get("frozen"))
            now_stale = stale and not is_frozen
            now_fresh = fresh and reads_current(index, stage, dep)
            for record in stage.entry.outs:
                out = stage.place(record.path, index.home).path
                found.append(Downstream(out, None, stage.id, dep, now_stale, now_fresh))
                waiting.append((out, now_stale, now_fresh))
    return found


def reads_current(index: Index, stage: Stage, dep: str) -> bool:
    """Tell whether a stage read the version of a dep that its producer has now."""
    producers: list[Claim] = index.live(dep)
    recorded = next(
        (hash_of(one) for one in stage.entry.deps if stage.place(one.path, index.home).path == dep),
        None,
    )
    now = hash_of(producers[0].record) if producers else None
    return now is None or recorded is None or now == recorded
