"""What `imgdata pull` would bring back, as remembered: asks no storage."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from imgdata.levels.units import Unit
from imgdata.model.keys import Fields
from imgdata.model.selection import Selection
from imgdata.project.config import Level
from imgdata.workflows.clone import Clone
from imgdata.workflows.objects import Content, content_of, fields_of
from imgdata.workflows.push_plan import may_be_selected
from imgdata.workflows.status import not_here


class WouldPull(Struct, frozen=True):
    """What a pull would bring of one unit.

    Attributes:
        size: At most so many bytes; for a part of a unit, its share by the number of files.
        files: How many are selected and not here; None where all are wanted, or nobody can say
            which are, since the unit's file list is not here.
    """

    unit: Unit
    size: int
    files: int | None


def plan_pull(clone: Clone, levels: Sequence[Level], selection: Selection) -> tuple[WouldPull, ...]:
    """Return what is not here of levels, or of the files of a selection.

    Raises:
        UsageError: The selection fits no file.
    """
    lacking = not_here(clone, levels)
    if not selection:
        return tuple(WouldPull(unit, unit.size, None) for unit in lacking)
    absent = frozenset(unit.path for unit in lacking)
    found: list[WouldPull] = []
    seen: list[Fields] = []
    matched = False
    for level in levels:
        for unit in clone.units.by_level[level.name]:
            if unit.version is None:
                continue
            if clone.has_list(unit):
                content = content_of(unit, clone.folder_list(unit))
                seen += fields_of(unit, level, content.files).values()
                chosen = content.selected(selection, level).files.keys()
                matched = matched or bool(chosen)
                found += _part(clone, content, chosen) if unit.path in absent else ()
            elif may_be_selected(unit, selection):
                matched = True
                found += [WouldPull(unit, unit.size, None)] if unit.path in absent else []
    if not matched:
        raise selection.nothing_matched(seen)
    return tuple(found)


def _part(clone: Clone, content: Content, chosen: AbstractSet[str]) -> Iterator[WouldPull]:
    unit, total = content.unit, len(content.files)
    if lacking := chosen & set(clone.compare(unit).missing):
        yield WouldPull(unit, unit.size * len(lacking) // total, len(lacking))
