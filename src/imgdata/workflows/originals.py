"""Which originals a raw unit has already, also in a clone without the unit's file list."""

from collections.abc import Iterator, Mapping

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.errors import DamagedError, ImgdataError
from imgdata.levels.changes import recorded_files
from imgdata.levels.units import Unit
from imgdata.ports import Storage
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.marker import MARKER_NAME
from imgdata.workflows.versions import version_of

Originals = Mapping[str, str]
"""md5 by path below the unit; the one path of a single file is empty."""


def recorded_originals(clone: Clone, unit: Unit) -> Originals | None:
    """Return a unit's recorded files; None where no list of them can be found anywhere.

    Looks into the cache, then on the storages of the level: one small object each.

    Raises:
        DamagedError: The list in the cache is damaged.
    """
    if unit.version is None:
        return {}
    if not unit.is_folder or clone.has_list(unit):
        entries = clone.folder_list(unit)
        return recorded_files(entries, str(unit.version))
    return Contents(clone, tuple(_storages(clone, unit))).files(version_of(unit))


def _storages(clone: Clone, unit: Unit) -> Iterator[Storage]:
    """Yield the level's storages, without those that cannot be opened now."""
    for name in clone.config.levels[unit.level].storages:
        try:
            storage = clone.open_storage(clone.config.storages[name])
            storage.stat(
                MARKER_NAME
            )  # asked once, so that one that is away is not waited for again
        except ImgdataError:
            continue
        yield storage


def originals_anew(unit: Unit, here: Originals, taken: Originals) -> Originals:
    """Return a unit's recorded files where only its version is known.

    Args:
        unit: The unit.
        here: What lies in the workspace.
        taken: What is being added.

    Raises:
        DamagedError: Neither is what was recorded, nor are both together.
    """
    for some in (taken, here, {**here, **taken}):
        entries = [FolderEntry(md5, path) for path, md5 in some.items()]
        if entries and write_folder(entries)[1] == unit.version:
            return some
    short = str(unit.version)[:8]
    count = "one file" if unit.nfiles == 1 else f"{unit.nfiles} files"
    problem = f"{unit.title} has {count} already, and the list of them (version {short}) is nowhere"
    raise DamagedError(
        problem,
        cause="it is neither in this clone nor on a storage of the level that can be reached, "
        "so what would be replaced is not known",
        remedy=f"from a clone that has it: imgdata push {unit.level}\n"
        "or add the whole unit again from its source: with all its files the list is made anew\n"
        f"or keep the new files apart: imgdata add {unit.level} SOURCE --unit NAME",
    )
