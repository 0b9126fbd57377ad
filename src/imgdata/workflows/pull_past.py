"""`imgdata pull --rev`: what an earlier commit records, into the cache or a folder of its own.

The working tree keeps the version it has: files of another one there would look like edits. So
the cache is filled, and a checkout of the commit finds all; or a folder elsewhere gets the files.
"""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.index import read_index
from imgdata.errors import DamagedError, UsageError
from imgdata.levels.units import Unit, units_by_path
from imgdata.model.keys import Fields
from imgdata.ports import GitObjects
from imgdata.project.config import Config, Level
from imgdata.system.files import remove_leftovers
from imgdata.transfer.move import Intact, check_one
from imgdata.transfer.presence import present_objects
from imgdata.workflows.by_path import Chosen, choose_paths, levels_by_path
from imgdata.workflows.clone import Clone
from imgdata.workflows.into_folder import refuse_link_out, refuse_unfit
from imgdata.workflows.objects import Content, content_of
from imgdata.workflows.past import Past
from imgdata.workflows.pull_unit import Fetch, Pulled, PullOptions
from imgdata.workflows.revision import config_at, tree_at


class PastPull(Struct, frozen=True):
    """What is brought back of an earlier revision, decided but not begun.

    Attributes:
        clone: The project as the revision has it, its levels under the names of today.
        levels: Those that were chosen.
        options: How to pull; `past` is the revision.
        past: The revision.
    """

    clone: Clone
    levels: tuple[Level, ...]
    options: PullOptions
    past: Past

    def lacking(self) -> tuple[tuple[Unit, int], ...]:
        """Return the units that are not all there, with up to how many bytes; asks no storage."""
        units = self.clone.units.of(level.name for level in self.levels)
        sizes = [(unit, self._lacks(unit)) for unit in units if unit.version is not None]
        return tuple((unit, size) for unit, size in sizes if size is not None)

    def _lacks(self, unit: Unit) -> int | None:
        if not self.clone.has_list(unit):
            return unit.size
        level = self.clone.config.levels[unit.level]
        try:
            whole = content_of(unit, self.clone.folder_list(unit))
        except DamagedError:
            return unit.size
        content = whole.selected(self.options.selection, level)
        content = content.below(self.options.parts.get(unit.level))
        missing = self._missing(unit, content)
        return unit.size * missing // max(1, len(whole.files)) if missing else None

    def _missing(self, unit: Unit, content: Content) -> int:
        into = self.past.into
        if into is not None:
            return sum(1 for path in content.files if not (into / unit.path / path).is_file())
        items = content.items()
        there = present_objects(self.clone.cache, [item.key for item in items])
        return sum(len(item.names) for item in items if item.key not in there)

    @property
    def next_step(self) -> str:
        """The command line that puts the data into the working tree."""
        words = self._words(self.past.level_then(level.name) for level in self.levels)
        return f"git checkout {shlex.quote(self.past.name)} && imgdata pull{words}"

    @property
    def into_command(self) -> str:
        """The command line that writes the data into a folder of their own."""
        words = self._words(level.name for level in self.levels)
        return f"imgdata pull{words} {self.past.options} --into DIR"

    def _words(self, names: Iterable[str]) -> str:
        is_all = len(self.levels) == len(self.clone.config.levels)
        return "" if is_all else "".join(f" {shlex.quote(name)}" for name in names)


def plan_past(
    clone: Clone,
    objects: GitObjects,
    names: Sequence[str],
    options: PullOptions,
    past: tuple[str, Path | None],
    here: Path,
) -> PastPull:
    """Decide what is brought back of an earlier revision; asks no storage.

    Args:
        clone: The project as it is today.
        objects: Its git repository.
        names: Levels, by their name of today or then; paths where there is no imgdata.yaml.
        options: How to pull.
        past: The revision, and the folder its data are written into.
        here: Where relative paths start.

    Raises:
        UsageError: There is no such revision, or it has no such level.
        RefusedError: The folder is in the way, or not empty.
    """
    revision, into = past
    tree, commit = tree_at(clone, objects, revision)
    if clone.by_path:
        units = units_by_path(read_index(tree))
        config = replace(clone.config, levels=levels_by_path(clone.dvc, units))
        then: dict[str, str] = {}
    else:
        was = config_at(tree, revision)
        then = _names_then(clone, was)
        config = _config_of(clone.config, was, then)
    home = clone.root.relative_to(clone.git.root.parent).as_posix()
    asked = Past(revision, commit, into, then, home)
    refuse_unfit(clone, asked)
    old = replace(clone, config=config, tree=tree, read_before=None)
    _ = old.index  # read while git answers
    chosen = choose_paths(old, names, here) if clone.by_path else _choose(old, asked, names)
    options = replace(options, parts=chosen.parts, past=asked)
    return PastPull(old, chosen.levels, options, asked)


def _names_then(clone: Clone, was: Config) -> dict[str, str]:
    """Return what each level was called, by its name of today; its own where it is gone."""
    found: dict[str, str] = {}
    for level in was.levels.values():
        today = clone.config.by_path.get(clone.renames.path_now(level.path))
        found[today.name if today else level.name] = level.name
    if len(found) < len(was.levels):  # a name went from one level to another
        return {name: name for name in was.levels}
    return found


def _config_of(now: Config, was: Config, then: dict[str, str]) -> Config:
    """Return levels as they were under their names of today; storages are those of today.

    A level is looked for where it is kept today, then where it was kept.
    """
    levels = {}
    for name, old_name in then.items():
        old, today = was.levels[old_name], now.levels.get(name)
        own = (*today.storages, *today.then) if today else ()
        storages = tuple(dict.fromkeys((*own, *old.storages, *old.then)))
        levels[name] = replace(old, name=name, storages=storages, then=())
    return replace(
        was, storages=now.storages, repositories=now.repositories, commit=now.commit, levels=levels
    )


def _choose(clone: Clone, past: Past, names: Sequence[str]) -> Chosen:
    """Return the named levels, by what they are called today or were called then.

    Raises:
        UsageError: The revision has no such level.
    """
    levels = clone.config.levels
    today = {then: now for now, then in past.levels.items()}
    wanted = {name if name in levels else today.get(name, name): None for name in names}
    for name in wanted:
        if name not in levels:
            problem = f"'{name}' is not a level of this project at {past.name}"
            raise UsageError(problem, cause=f"its levels: {', '.join(levels)}")
    chosen = (level for name, level in levels.items() if not names or name in wanted)
    return Chosen(tuple(chosen))


def bring_past(fetch: Fetch, past: Past, seen: list[Fields]) -> Pulled:
    """Bring one unit of an earlier revision to where it is wanted, verified.

    Raises:
        RefusedError: Files in the folder differ from the record and would be overwritten.
        DamagedError: The unit's file list cannot be had.
        StorageError: No storage that may have the unit can be reached.
    """
    if past.into is not None:
        refuse_link_out(past.into, fetch.unit.path)
    whole = fetch.content()
    content = fetch.asked(whole, seen)
    left = len(whole.files) - len(content.files)
    if past.into is None:
        present = _fill_cache(fetch, whole, content)
        return fetch.pulled(placed=0, replaced=0, present=present, left=left)
    remove_leftovers(past.into / fetch.unit.path, below=True)
    wanted, present = fetch.wanted(content)
    fetch.bring(whole, content, wanted)
    placed = fetch.place(wanted)
    return fetch.pulled(placed=placed, replaced=0, present=present, left=left)


def _fill_cache(fetch: Fetch, whole: Content, content: Content) -> int:
    """Fetch what the cache lacks and hash what it has; return how many files it had, right."""
    fetch.bring(whole, content, dict(content.files))
    here = [item for item in content.items() if item.object_id not in fetch.fetched]
    fetch.progress.start(f"check {fetch.unit.title}", items=len(here), size=0)
    try:
        for item in here:
            if not any(name in fetch.bad for name in item.names):
                if not isinstance(check_one(item, fetch.clone.cache), Intact):
                    fetch.bad |= dict.fromkeys(item.names, "damaged in the local cache")
                fetch.progress.advance(items=1)
    finally:
        fetch.progress.finish()
    return sum(1 for item in here for name in item.names if name not in fetch.bad)
