"""Where the storages of a project lie, and which of them are one place."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from imgdata.errors import ImgdataError
from imgdata.policy.places import Inode, Location, group_places
from imgdata.ports import LiesInFolder, Storage
from imgdata.project.config import StorageConfig
from imgdata.workflows.clone import Clone

HERE = ""
"""The name of this clone's own place, workspace and cache, among the storages' names."""

THIS_MACHINE = "this machine"
KINDS = {
    "file": "folder",
    "drive": "drive",
    "s3": "S3",
    "gs": "Google Cloud",
    "azure": "Azure",
    "ssh": "SSH",
    "webdav": "WebDAV",
    "webdavs": "WebDAV",
    "rclone": "rclone",
    "git": "git",
    "git-lfs": "Git LFS",
}


def kind_of(storage: StorageConfig) -> str:
    """Return what kind of place a storage is, in a word or two."""
    scheme = storage.url.partition(":")[0].lower() if ":" in storage.url else "file"
    return KINDS.get(scheme, KINDS["file"] if "/" in scheme or len(scheme) == 1 else scheme)


def places(clone: Clone, tokens: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return by storage the name of its place; `HERE` for one in this clone's cache.

    Asks no network. `tokens` are what markers say, where storages were asked.
    """
    here = folder_location(HERE, clone.dvc.cache_dir)
    wanted = clone.config.storages.values()
    found = [location_of(clone, one, (tokens or {}).get(one.name, "")) for one in wanted]
    return group_places([here, *found])


def location_of(clone: Clone, storage: StorageConfig, token: str = "") -> Location:
    """Return where a storage lies; `token` is what its marker says, where it was asked."""
    folder = _folder(clone, storage)
    if folder is not None:
        return folder_location(storage.name, folder, token)
    parts = urlsplit(storage.url)
    endpoint = str(storage.options.get("endpoint_url", "")).rstrip("/").lower()
    scope = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()} {endpoint}"
    path = tuple(part for part in parts.path.split("/") if part not in {"", "."})
    return Location(storage.name, scope, path, token=token)


def _folder(clone: Clone, storage: StorageConfig) -> Path | None:
    try:
        opened: Storage = clone.open_storage(storage)
    except ImgdataError:
        return None  # it cannot even be opened: whoever uses it is told why
    return opened.folder if isinstance(opened, LiesInFolder) else None


def folder_location(name: str, folder: Path, token: str = "") -> Location:
    """Return the location of a folder of this machine, links resolved."""
    real = Path(os.path.realpath(folder))
    chain = [found for one in (real, *real.parents) if (found := _inode(str(one))) is not None]
    inode = _inode(str(real))
    return Location(name, THIS_MACHINE, real.parts, inode, frozenset(chain), token)


def _inode(path: str) -> Inode | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a text, many times
    except OSError:
        return None
    return Inode((status.st_dev, status.st_ino))
