"""Which files of a level differ from what DVC recorded when they were added."""

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from imgdata.dvc_files.config import DvcConfig
from imgdata.dvc_files.directory import read_folder
from imgdata.dvc_files.index import read_index
from imgdata.dvc_files.state import State
from imgdata.errors import ImgdataError
from imgdata.levels.changes import Workspace, recorded_files
from imgdata.levels.units import Unit, find_units
from imgdata.model.objects import object_key
from imgdata.project.config import Config, Level
from imgdata.system.folder_tree import FolderTree

_log = logging.getLogger(__name__)


def differing(root: Path, config: Config, dvc: DvcConfig, level: Level) -> dict[str, str]:
    """Return the recorded md5 of files that are changed or missing, by path below the level.

    Reads only files that changed since DVC hashed them. Units of which nothing is here, and units
    whose list of files is not in the cache, are left out; so is everything when DVC's files
    cannot be understood, which other commands tell.
    """
    found: dict[str, str] = {}
    try:
        units = find_units(config, read_index(FolderTree(root))).by_level[level.name]
        workspace = Workspace(root, State(root, dvc.site_cache_dir))
        for unit in units:
            if unit.is_raw:
                found.update(_of_unit(unit, workspace, dvc.cache_dir, level))
    except ImgdataError as error:
        _log.info("records of %s cannot be compared: %s", level.name, error.problem)
    return found


def _of_unit(
    unit: Unit, workspace: Workspace, cache: Path, level: Level
) -> Iterator[tuple[str, str]]:
    if unit.version is None:
        return
    listing = cache / object_key(unit.version)
    if unit.is_folder and not listing.is_file():
        return
    entries = read_folder(listing.read_bytes(), unit.version) if unit.is_folder else None
    recorded = recorded_files(entries, unit.version)
    here = workspace.scan(unit.path)
    if not here:
        return
    hashes = workspace.hashes(unit.path, here)
    top = PurePosixPath(level.path)
    if unit.path == level.path and not unit.is_folder:
        top = top.parent  # the level is one file
    below = PurePosixPath(unit.path).relative_to(top)
    for path, md5 in recorded.items():
        if hashes.get(path) != md5:
            yield str(below / path) if path else str(below), md5
