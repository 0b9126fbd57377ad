"""Compare a unit's files in the workspace with its record, reading only what DVC has not read."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.directory import FolderEntry
from imgdata.dvc_files.ignoring import DVC_DEFAULTS, IgnoreRules
from imgdata.dvc_files.state import Row, State, checksum
from imgdata.system.files import Stamp, file_md5, is_temporary, machine_error
from imgdata.system.folder_tree import FolderTree
from imgdata.system.line_ends import legacy_md5

NOWHERE = Stamp(0, 0.0, 0)
"""The stamp of a link that leads to no file."""
FOLDER = Stamp(0, 0.0, -1)


class Comparison(Struct, frozen=True):
    """What is in the workspace of one unit, against its record. Paths are below the unit.

    For a unit that is a single file the one path is empty.

    Attributes:
        same: Files with the recorded content.
        changed: Files with other content.
        missing: Recorded files that are not here.
        extra: Files that are not recorded.
        size: Bytes that are here.
    """

    same: int
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    size: int

    @property
    def is_absent(self) -> bool:
        """Whether nothing of the unit is here."""
        return not (self.same or self.changed or self.extra)

    @property
    def is_complete(self) -> bool:
        """Whether exactly the recorded files are here, unchanged."""
        return not (self.changed or self.missing or self.extra)

    @property
    def is_partial(self) -> bool:
        """Whether some recorded files are missing and nothing else differs."""
        return bool(self.missing and self.same) and not (self.changed or self.extra)


class Workspace:
    """The files of a project's working folder and the hashes DVC remembers of them."""

    def __init__(self, root: Path, state: State) -> None:
        self._root = root
        self._state = state
        self._read = FolderTree(root).read

    def scan(self, path: str) -> dict[str, Stamp]:
        """Return the stamp of every file of an out by its path below it.

        Names that DVC ignores (`.dvcignore`) and leftovers of killed commands are left out. Links
        are followed, as DVC does.
        """
        full = self._root / path
        if full.is_dir():
            rules = IgnoreRules(self._read, DVC_DEFAULTS, ".dvcignore", "")
            rules.enter_all_above(path)
            return dict(_walk(str(full), path, "", rules, (os.path.realpath(full),)))
        try:
            return {"": Stamp.of(full.stat())}
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def hashes(self, path: str, found: Mapping[str, Stamp]) -> dict[str, str]:
        """Return the md5 of every scanned file; reads only those without a valid state row.

        What had to be read is remembered, so that nobody reads it again.
        """
        base = str(self._root / path)
        full = {name: f"{base}/{name}" if name else base for name in found}
        rows = self._state.read(full.values())
        hashes: dict[str, str] = {}
        fresh: list[Row] = []
        for name, stamp in found.items():
            row = rows.get(full[name])
            if row is not None and row[0] == checksum(stamp):
                hashes[name] = row[1]
                continue
            if stamp == NOWHERE:
                hashes[name] = ""
                continue
            hashes[name] = _read(full[name])
            if Stamp.of(os.stat(full[name])) == stamp:  # noqa: PTH116 - the same call as the scan
                fresh.append(Row(full[name], stamp, hashes[name]))
        self._state.write(fresh)
        return hashes

    def compare(
        self, path: str, recorded: Mapping[str, str], *, legacy: bool = False
    ) -> Comparison:
        """Compare an out with its recorded content (md5 by path below it).

        With `legacy` DVC before 3 made the record: text may have other line ends than it had.
        """
        found = self.scan(path)
        hashes = self.hashes(path, found)
        if legacy:
            hashes = self.as_recorded(path, hashes, recorded)
        changed = tuple(
            sorted(name for name in hashes if name in recorded and recorded[name] != hashes[name])
        )
        extra = tuple(sorted(hashes.keys() - recorded.keys()))
        return Comparison(
            same=len(hashes) - len(changed) - len(extra),
            changed=changed,
            missing=tuple(sorted(recorded.keys() - hashes.keys())),
            extra=extra,
            size=sum(stamp.size for stamp in found.values()),
        )

    def as_recorded(
        self, path: str, hashes: Mapping[str, str], recorded: Mapping[str, str]
    ) -> dict[str, str]:
        """Return hashes with the md5 of DVC 2 where that is what was recorded; reads the others."""
        base = self._root / path
        return {
            name: recorded[name]
            if md5
            and recorded.get(name, md5) != md5
            and legacy_md5(base / name if name else base) == recorded[name]
            else md5
            for name, md5 in hashes.items()
        }


def _read(path: str) -> str:
    try:
        return file_md5(path)
    except OSError as error:
        raise machine_error(error, "read", path) from error


def _walk(
    full: str, path: str, below: str, rules: IgnoreRules, above: tuple[str, ...]
) -> Iterator[tuple[str, Stamp]]:
    try:
        with os.scandir(full) as listing:
            entries = list(listing)
    except OSError as error:
        raise machine_error(error, "list", full) from error
    ignored = rules.enter(path, [entry.name for entry in entries])
    for entry in entries:
        name = f"{below}{entry.name}"
        stamp = _stamp(entry, above)
        if is_temporary(entry.name) or ignored(f"{path}/{entry.name}", is_folder=stamp is FOLDER):
            continue
        if stamp is FOLDER:
            inside = (*above, os.path.realpath(entry.path))
            yield from _walk(entry.path, f"{path}/{entry.name}", f"{name}/", rules, inside)
        elif stamp is not None:
            yield name, stamp


def _stamp(entry: os.DirEntry[str], above: tuple[str, ...]) -> Stamp | None:
    """Return a file's stamp, that of a folder to walk into, or None for pipes and the like.

    A link to nowhere, in a circle or back to a folder above is a file that cannot be right.
    """
    try:
        if entry.is_dir():
            loops = entry.is_symlink() and os.path.realpath(entry.path) in above
            return NOWHERE if loops else FOLDER
        if entry.is_file():
            return Stamp.of(entry.stat())
    except OSError:
        return NOWHERE
    return NOWHERE if entry.is_symlink() else None


def recorded_files(entries: list[FolderEntry] | None, md5: str) -> dict[str, str]:
    """Return md5 by path below the out: a folder's entries, or the single file under ''."""
    if entries is None:
        return {"": md5}
    return {entry.relpath: entry.md5 for entry in entries}
