"""What a level's rules say about time: which versions are superseded, what is due, what is used."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from imgdata.levels.staleness import Freshness
from imgdata.levels.units import Unit
from imgdata.model.events import parse_time
from imgdata.system.folder_tree import FolderTree
from imgdata.workflows.clone import Clone
from imgdata.workflows.history import History, Version

_DAYS = re.compile(r"(\d+) days after last use")
_LAST = re.compile(r"last (\d+)")


def superseded(clone: Clone, history: History, levels: Sequence[str]) -> tuple[Version, ...]:
    """Return old versions that a level's `versions` rule does not ask to keep, oldest first.

    What the tip of a branch, a tag or a stash still records is never among them.
    """
    used = {(one.path, one.version) for one in history.in_use}
    by_unit: dict[tuple[str, str | None], list[tuple[datetime, Version]]] = {}
    for version, at in history.ever.items():
        if version.level in levels:
            by_unit.setdefault((version.level, version.unit), []).append((at, version))
    found: list[tuple[datetime, Version]] = []
    for (level, _), some in by_unit.items():
        rule = clone.config.levels[level].versions
        if rule == "all":
            continue
        newest = sorted(some, key=lambda pair: (pair[0], pair[1].version), reverse=True)
        last = _LAST.fullmatch(rule)
        kept = int(last[1]) if last else 0
        found += [(at, one) for at, one in newest[kept:] if (one.path, one.version) not in used]
    return tuple(one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].path)))


@dataclass
class Retention:
    """Answers about units from the pipeline, the log and the clock."""

    clone: Clone

    @cached_property
    def _freshness(self) -> Freshness:
        return Freshness(FolderTree(self.clone.root), self.clone.index, self.clone.workspace)

    @cached_property
    def _runs(self) -> dict[str, datetime]:
        return {
            event.text("stage"): event.at
            for event in self.clone.events
            if event.event == "run" and event.details.get("rc") == 0
        }

    @cached_property
    def _published(self) -> frozenset[str]:
        """The levels with a published deposit."""
        found: set[str] = set()
        for event in self.clone.events:
            if event.event != "deposit" or event.details.get("state") != "published":
                continue
            levels = event.details.get("levels") or [event.details.get("level")]
            found |= {str(one) for one in levels} if isinstance(levels, list) else set()
        return frozenset(found)

    def is_used(self, unit: Unit) -> bool:
        """Tell whether a unit's policy lets it go when used, and all who read it are done."""
        level = self.clone.config.levels[unit.level]
        if level.storages and level.keep != "recompute":
            return False
        return self._consumers_are_done(unit)

    def _consumers_are_done(self, unit: Unit) -> bool:
        readers = [
            stage
            for stage in self.clone.index.stages
            if any(dep.is_inside and _touches(dep.path, unit.path) for dep in stage.deps)
        ]
        return bool(readers) and not any(self._freshness.reasons(stage) for stage in readers)

    def is_due(self, unit: Unit) -> bool:
        """Tell whether a unit's `keep` rule says that it may go now."""
        keep = self.clone.config.levels[unit.level].keep
        now = self.clone.clock.now()
        if keep == "recompute":
            return self._consumers_are_done(unit)
        if keep == "until published":
            return unit.level in self._published
        if days := _DAYS.fullmatch(keep):
            used = self.last_use(unit)
            return used is not None and used + timedelta(days=int(days[1])) <= now
        if keep.startswith("until "):
            return date.fromisoformat(keep.removeprefix("until ")) <= now.date()
        return False

    def last_use(self, unit: Unit) -> datetime | None:
        """Return when a stage last read the unit, else when it was made or added."""
        readers = [
            self._runs[stage.address]
            for stage in self.clone.index.stages
            if stage.address in self._runs
            and any(dep.is_inside and _touches(dep.path, unit.path) for dep in stage.deps)
        ]
        if readers:
            return max(readers)
        if unit.stage.address in self._runs:
            return self._runs[unit.stage.address]
        noted = unit.out.flags.meta.get("imgdata")
        added = noted.get("added") if isinstance(noted, dict) else None
        try:
            return parse_time(str(added)) if added else None
        except ValueError:
            return None


def _touches(dep: str, path: str) -> bool:
    return dep == path or dep.startswith(f"{path}/") or path.startswith(f"{dep}/")
