"""What git does not bring to a clone."""

import os
from pathlib import Path

from imgdata.dvc_files.config import Setting, edited_config
from imgdata.system.files import write_text

GROUP_MODE = 0o2775
DVC_IGNORED = "/config.local\n/tmp\n/cache\n"


def prepare_clone(root: Path, site_cache: Path, cache: Path | None) -> bool:
    """Give a clone what git does not bring: a private place for DVC's state rows, a shared cache.

    Returns whether anything was missing.

    Only adds what is not set; DVC's own default is a folder that everyone on the machine can write
    and DVC unpickles from (CVE-2025-69872).
    """
    path = root / ".dvc" / "config.local"
    text = path.read_text("utf-8") if path.is_file() else ""
    settings = []
    if "site_cache_dir" not in text:
        settings.append(Setting("core", "site_cache_dir", str(site_cache)))
    if cache is not None:
        cache = Path(os.path.normpath(cache.expanduser().absolute()))
        _make_for_group(cache)
        settings += [Setting("cache", "dir", str(cache)), Setting("cache", "shared", "group")]
    if not settings:
        return False
    site_cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    before, after = edited_config(path, settings)
    if before != after:
        ignored = path.with_name(".gitignore")
        if not ignored.exists():  # DVC makes it too; config.local may hold keys
            write_text(ignored, DVC_IGNORED)
        write_text(path, after)
    return before != after


def _make_for_group(folder: Path) -> None:
    """Make a folder that its group may write to; one that is there keeps its owner's choice."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(GROUP_MODE)
