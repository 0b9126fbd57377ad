"""What was made from a file: its readers, what they made, and so on."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct, field

from imgdata.dvc_files.places import folders_above, paths_below
from imgdata.dvc_files.recorded import FOLDER_SUFFIX
from imgdata.lineage.answer import Downstream
from imgdata.lineage.index import Claim, Index, Stage
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.sources import content_md5s


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


class Reading(Struct, frozen=True):
    """One activity that read a path.

    Attributes:
        id: Of the activity.
        via: The input through which the path entered.
        outs: What it made.
        frozen: Whether it is kept as it is when its inputs change.
        current: Whether it read the version that is recorded now.
    """

    id: str
    via: str
    outs: tuple[str, ...]
    frozen: bool
    current: bool


class MoreReaders(Protocol):
    """Activities that read files, beside DVC's stages."""

    def of(self, path: str) -> Iterator[Reading]:
        """Yield each activity that reads the path, a folder it lies in, or something inside it."""


def downstream(
    index: Index,
    path: str,
    more: MoreReaders | None = None,
    in_git: Callable[[str], bytes | None] = lambda _path: None,
) -> list[Downstream]:
    """Return every out made from a path, directly or through others, nearest first.

    Args:
        index: Who claims and reads what.
        path: What they were made from.
        more: What else reads files.
        in_git: Returns what git has of a file that nothing makes.
    """
    readers = Readers(index)
    found: list[Downstream] = []
    seen: set[str] = set()
    waiting = deque([(path, True, True)])
    while waiting:
        current_path, stale, fresh = waiting.popleft()
        others = () if more is None else more.of(current_path)
        for one in (*_stages(readers, current_path, in_git), *others):
            if one.id in seen:
                continue
            seen.add(one.id)
            now_stale = stale and not one.frozen
            now_fresh = fresh and one.current
            for out in one.outs:
                found.append(Downstream(out, None, one.id, one.via, now_stale, now_fresh))
                waiting.append((out, now_stale, now_fresh))
    return found


def _stages(
    readers: Readers, path: str, in_git: Callable[[str], bytes | None]
) -> Iterator[Reading]:
    index = readers.index
    for stage, dep in readers.of(path):
        outs = (stage.place(record.path, index.home).path for record in stage.entry.outs)
        frozen = bool(stage.flags().get("frozen"))
        current = reads_current(index, stage, dep, in_git)
        yield Reading(stage.id, dep, tuple(outs), frozen, current)


def reads_current(
    index: Index, stage: Stage, dep: str, in_git: Callable[[str], bytes | None]
) -> bool:
    """Tell whether a stage read the version of a dep that is recorded now; unknown is yes."""
    recorded = next(
        (hash_of(one) for one in stage.entry.deps if stage.place(one.path, index.home).path == dep),
        None,
    )
    if recorded is None:
        return True
    producers: list[Claim] = index.live(dep)
    if producers:
        now = hash_of(producers[0].record)
        return now is None or now == recorded
    data = None if recorded.endswith(FOLDER_SUFFIX) else in_git(dep)
    return data is None or recorded in content_md5s(data)
