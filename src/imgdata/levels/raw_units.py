"""Which raw units a unit was made from: what restrictions flow along."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct, field

from imgdata.dvc_files.index import Index
from imgdata.dvc_files.places import folders_above, paths_below
from imgdata.dvc_files.stages import Stage
from imgdata.levels.units import Unit, Units


class RawUnits(Struct, dict=True):
    """Walks from a unit up to the raw units, over the deps of now and those of the last run.

    Cost: each stage is visited once, whatever is asked.
    """

    index: Index
    units: Units
    _known: dict[str, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def _by_path(self) -> dict[str, Stage]:
        return {out.path: s for s in self.index.stages for out in s.outs if out.is_inside}

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(self._by_path)

    @cached_property
    def _raw(self) -> dict[str, Unit]:
        return {u.path: u for all_ in self.units.by_level.values() for u in all_ if u.is_raw}

    def of(self, unit: Unit) -> tuple[Unit, ...]:
        """Return the raw units upstream of a unit, or the unit itself where it is raw."""
        if unit.is_raw:
            return (unit,)
        return tuple(self._raw[path] for path in sorted(self._above(unit.stage)))

    def _above(self, stage: Stage) -> frozenset[str]:
        """Return the paths of the raw units above a stage; a loop ends where it closes."""
        pending, seen, found = [stage], {stage.address}, set[str]()
        while pending:
            current = pending.pop()
            if current.address in self._known:
                found |= self._known[current.address]
                continue
            for path in _dep_paths(current):
                for out in self._touching(path):
                    maker = self._by_path[out]
                    if out in self._raw:
                        found.add(out)
                    elif maker.address not in seen:
                        seen.add(maker.address)
                        pending.append(maker)
        self._known[stage.address] = frozenset(found)
        return self._known[stage.address]

    def _touching(self, path: str) -> Iterator[str]:
        """Yield outs that are the path, a folder above it, or lie below it."""
        yield from (one for one in (path, *folders_above(path)) if one in self._by_path)
        yield from paths_below(self._paths, path)


def _dep_paths(stage: Stage) -> set[str]:
    now = {dep.path for dep in stage.deps if dep.is_inside}
    return now | {located.path for located in stage.recorded_deps}
