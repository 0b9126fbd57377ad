"""What a level's rules say about time: which versions are superseded, what is due, what is used."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property

from msgspec import Struct

from imgdata.dvc_files.places import touches
from imgdata.dvc_files.stages import Stage
from imgdata.levels.staleness import Freshness
from imgdata.levels.units import Unit
from imgdata.model.deposits import DepositState
from imgdata.model.events import parse_time
from imgdata.policy.retention import FOREVER, RECOMPUTE, UnitLife, has_ended, why_to_move
from imgdata.project.deposit_log import KIND as DEPOSIT
from imgdata.project.deposit_log import record_of
from imgdata.system.folder_tree import FolderTree
from imgdata.workflows.clone import Clone
from imgdata.workflows.history import History, Version

SANDBOX = "sandbox"
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


class Retention(Struct, dict=True):
    """Answers about units from the pipeline, the log and the clock."""

    clone: Clone

    @cached_property
    def _freshness(self) -> Freshness:
        return Freshness(FolderTree(self.clone.root), self.clone.index, self.clone.workspace)

    @cached_property
    def _runs(self) -> Mapping[str, datetime]:
        """When each stage last ran, whether it ended well or not: it read its inputs."""
        found: dict[str, datetime] = {}
        for event in self.clone.events:
            if event.event == "run":
                found[event.text("stage")] = event.at
        return found

    @cached_property
    def _published(self) -> frozenset[tuple[str, str | None, str]]:
        """Level, unit and version of what published deposits hold; sandboxes publish nothing."""
        return frozenset(
            (level, unit or None, version)
            for event in self.clone.events
            if event.event == DEPOSIT
            for record in (record_of(event),)
            if record.state is DepositState.PUBLISHED and SANDBOX not in record.address
            for level, unit, version in record.contents
        )

    @cached_property
    def _newest(self) -> datetime | None:
        return max((event.at for event in self.clone.events), default=None)

    def is_used(self, unit: Unit) -> bool:
        """Tell whether a unit's policy lets it go when used, and all who read it are done."""
        level = self.clone.config.levels[unit.level]
        if level.storages and level.keep != RECOMPUTE:
            return False
        return self._consumers_are_done(unit)

    def _readers(self, unit: Unit) -> list[Stage]:
        return [
            stage
            for stage in self.clone.index.stages
            if any(dep.is_inside and touches(dep.path, unit.path) for dep in stage.deps)
        ]

    def _consumers_are_done(self, unit: Unit) -> bool:
        readers = self._readers(unit)
        return bool(readers) and not any(self._freshness.reasons(stage) for stage in readers)

    def _life(self, unit: Unit, keep: str) -> UnitLife:
        asks_readers = keep in {RECOMPUTE, FOREVER}
        return UnitLife(
            last_use=self.last_use(unit),
            is_used_up=asks_readers and self._consumers_are_done(unit),
            is_published=(unit.level, unit.name, str(unit.version)) in self._published,
        )

    def is_due(self, unit: Unit) -> bool:
        """Tell whether a unit's `keep` rule says that it may go now."""
        keep = self.clone.config.levels[unit.level].keep
        if keep == FOREVER:
            return False
        return has_ended(keep, self._life(unit, keep), self.clone.clock.now(), self._newest)

    def is_due_at(self, unit: Unit, place: str) -> bool:
        """Tell whether a unit may go from a place now.

        On a storage that `then` names nothing is due: `keep` is about the storages before it.
        """
        level = self.clone.config.levels[unit.level]
        return place not in level.then and self.is_due(unit)

    def why_to_move(self, unit: Unit) -> str:
        """Say why a unit should move on to where `then` says; empty while it should not."""
        keep = self.clone.config.levels[unit.level].keep
        return why_to_move(keep, self._life(unit, keep), self.clone.clock.now(), self._newest)

    def last_use(self, unit: Unit) -> datetime | None:
        """Return when a stage last read the unit, or when it was made or added, if that is later.

        The latest of them, since a clock that was behind for one of them was not for all.
        """
        stages = [*self._readers(unit), unit.stage]
        times = [self._runs[one.address] for one in stages if one.address in self._runs]
        noted = unit.out.flags.meta.get("imgdata")
        added = noted.get("added") if isinstance(noted, dict) else None
        if added:
            with suppress(ValueError):
                times.append(parse_time(str(added)))
        return max(times, default=None)
