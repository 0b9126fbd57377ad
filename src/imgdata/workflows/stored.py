"""`imgdata verify --stored` and `--source`: may a clone, or a microscope's folder, be wiped?"""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from imgdata.errors import UsageError
from imgdata.policy.evidence import CopyFact, Rule, tally
from imgdata.policy.ledger import Evidence, NotThere
from imgdata.system.files import file_md5, machine_error
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import Item
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents, list_item
from imgdata.workflows.copies import Copies, Offline, Reached, rule_of
from imgdata.workflows.history import History, Version
from imgdata.workflows.versions import current_versions

IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


class Stored(Struct, frozen=True):
    """Whether a version is on as many storages as its level asks.

    Attributes:
        storages: Those that have all of it now; or are noted to, where they cannot be asked.
        missing: Files that too few storages have; the version's path where none can be named.
    """

    version: Version
    storages: tuple[str, ...]
    needed: int
    missing: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


class Unpushed(Struct, frozen=True):
    """A branch, tag or stash with commits that no git remote has."""

    name: str
    commits: int


StoredAnswer = Stored | Unpushed


def stored(clone: Clone, levels: Sequence[str], *, all_versions: bool) -> Iterator[StoredAnswer]:
    """Ask the storages whether they hold every needed version; reads no file, writes nothing.

    Without `all_versions`: those the working tree records. With it: every version that any commit
    of a local branch, tag or stash records, unless it was dropped by rule, and whether a git
    remote has those commits.
    """
    history = History(clone)
    copies = Copies(clone, ask=True)
    reached = [copies.reach(name) for name in clone.copy_places]
    contents = Contents(clone, [one.storage for one in reached if isinstance(one, Reached)])
    current = wanted = dict.fromkeys(current_versions(clone, levels))
    if all_versions:
        wanted = current | dict.fromkeys(one for one in history.ever if one.level in levels)
    seen: set[tuple[str, str | None, str]] = set()
    for version in wanted:
        name = (version.level, version.unit, version.version)
        level = clone.config.levels[version.level]
        if name in seen or not level.storages:
            continue
        if version not in current and _was_dropped(copies, version):
            continue
        seen.add(name)
        yield _ask(copies, contents, version, max(1, level.copies))
    if all_versions:
        for branch, commits in clone.git.unpushed().items():
            yield Unpushed(branch, commits)


def _was_dropped(copies: Copies, version: Version) -> bool:
    """Tell whether an old version was let go on purpose: dropped somewhere, and held nowhere."""
    beliefs = [
        belief
        for name in copies.clone.copy_places
        for belief in copies.copy(version, name).beliefs
        if copies.copy(version, name).notes
    ]
    gone = any(isinstance(one, NotThere) and one.why == "dropped" for one in beliefs)
    return gone and not any(isinstance(one, Evidence) for one in beliefs)


def _ask(copies: Copies, contents: Contents, version: Version, needed: int) -> Stored:
    items = contents.items(version)
    places: dict[str, str] = {}
    held: dict[str, int] = {}
    for name in copies.storages_of(version):
        place = copies.place_of.get(name, name)
        if not place or place in places.values() or copies.never(name):
            continue
        copy = copies.copy(version, name)
        if isinstance(copies.reach(name), Offline):
            there = {item.object_id for item in items or () if copy.evidence(item.md5)}
            whole = copy.is_whole
        elif items is None:
            continue
        else:
            found = copies.there(name, items)
            there = {item.object_id for item in items if item.key in found}
            whole = len(there) == len(items)
        for one in there:
            held[one] = held.get(one, 0) + 1
        if whole:
            places[name] = place
    if items is None:
        enough = len(places) >= needed
        return Stored(version, tuple(places), needed, () if enough else (version.path,))
    short = [name for item in items if held.get(item.object_id, 0) < needed for name in item.names]
    return Stored(version, tuple(places), needed, tuple(sorted(short)))


class SourceFile(Struct, frozen=True):
    """One file of a folder outside: what it is in this project, and its copies that count."""

    path: str
    recorded_as: str
    copies: tuple[str, ...]
    needed: int
    why_not: str

    @property
    def is_safe(self) -> bool:
        """Whether it has as many copies as its level asks."""
        return not self.why_not


class NotInSource(Struct, frozen=True):
    """A unit with files in the folder, and its recorded files whose content is not there."""

    version: Version
    files: tuple[str, ...]


SourceAnswer = SourceFile | NotInSource


def check_source(clone: Clone, folder: Path, progress: Progress = SILENT) -> Iterator[SourceAnswer]:
    """Hash every file of a folder and say where its copies are; one answer a file.

    A copy counts as it does for `drop`: there now, and checked within the level's time. What is
    recorded of the same units and not in the folder comes last.

    Raises:
        UsageError: There is no such folder.
        MachineError: A file cannot be read.
    """
    if not folder.is_dir():
        problem = f"{folder} is not a folder"
        raise UsageError(problem)
    history, copies = History(clone), Copies(clone, ask=True)
    reached = [copies.reach(name) for name in clone.copy_places]
    contents = Contents(clone, [one.storage for one in reached if isinstance(one, Reached)])
    known: dict[str, tuple[Version, Item]] = {}
    # The oldest first, so that what is recorded now is what a content is called by.
    for version in sorted(history.ever, key=lambda one: (one in history.current, one.path)):
        for item in contents.items(version) or ():
            known[item.object_id] = (version, item)
    now = clone.clock.now()
    paths = sorted(_files(folder))
    progress.start(f"read {folder}", items=len(paths), size=0)
    found: set[str] = set()
    try:
        for path in paths:
            md5 = _md5(path)
            found.add(md5)
            shown = path.relative_to(folder).as_posix()
            yield _source_file(shown, known.get(md5), copies, now)
            progress.advance(items=1)
    finally:
        progress.finish()
    there = {known[md5][0] for md5 in found if md5 in known}
    for version in sorted(there & history.current, key=lambda one: one.path):
        items = (item for item in contents.items(version) or () if item.object_id not in found)
        absent = [name for item in items if item != list_item(version) for name in item.names]
        if absent:
            yield NotInSource(version, tuple(sorted(absent)))


def _files(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        yield from (Path(top) / name for name in names if name not in IGNORED)


def _md5(path: Path) -> str:
    try:
        return file_md5(path)
    except OSError as error:
        raise machine_error(error, "read", path) from error


def _source_file(
    shown: str, recorded: tuple[Version, Item] | None, copies: Copies, now: datetime
) -> SourceFile:
    if recorded is None:
        return SourceFile(shown, "", (), 1, "not in this project")
    version, item = recorded
    level = copies.clone.config.levels.get(version.level)
    if level is None:
        return SourceFile(shown, item.names[0], (), 1, "on no level")
    rule = rule_of(level)
    counted, why = enough_copies(copies.facts(version, [item])[item.object_id], rule, now)
    return SourceFile(shown, item.names[0], counted, rule.copies, why)


def enough_copies(
    facts: Iterable[CopyFact], rule: Rule, now: datetime
) -> tuple[tuple[str, ...], str]:
    """Return the storages whose copies of one object count, and why they are too few or ''."""
    found = tally(facts, rule, now)
    if len(found.counted) >= rule.copies:
        return found.counted, ""
    reasons = "; ".join(f"{storage}: {why}" for storage, why in found.against)
    told = f"{len(found.counted)} of {rule.copies} copies" + (f" ({reasons})" if reasons else "")
    return found.counted, told
