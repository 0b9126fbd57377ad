"""DVC's configuration: `.dvc/config`, `.dvc/config.local`, and the user's and system's own."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from configobj import ConfigObj, ConfigObjError
from msgspec import Struct

from imgdata.errors import InvalidProjectError, MachineError

CACHE_TYPES = ("reflink", "hardlink", "symlink", "copy")
DEFAULT_CACHE_TYPE = ("reflink", "copy")
REMOTE = re.compile(r"""['"]?remote\s*"(.+)"['"]?""")
SITE_CACHE_VARIABLE = "DVC_SITE_CACHE_DIR"
LEGACY_SITE_CACHE = Path("/var/tmp/dvc")  # noqa: S108 - DVC's default, known to be world-writable

Section = Mapping[str, str]


class DvcConfig(Struct, frozen=True):
    """What imgdata needs of DVC's configuration.

    Attributes:
        cache_dir: The cache's root; objects lie in `files/md5` below it.
        cache_types: How files get from the cache into the workspace, in the order to try.
        site_cache_dir: Where DVC keeps its state rows.
        remotes: Settings by remote name; relative urls are made absolute.
        default_remote: `core.remote`.
    """

    cache_dir: Path
    cache_types: tuple[str, ...]
    site_cache_dir: Path
    remotes: Mapping[str, Section]
    default_remote: str | None


def read_config(dvc_dir: Path) -> DvcConfig:
    """Read the configuration of the repository whose `.dvc` folder this is.

    Raises:
        InvalidProjectError: A configuration file cannot be parsed.
    """
    merged: dict[str, dict[str, str]] = {}
    for path in _config_files(dvc_dir):
        for name, section in _read_file(path).items():
            merged.setdefault(name, {}).update(_absolute(name, section, path.parent))
    core, cache = merged.get("core", {}), merged.get("cache", {})
    types = tuple(part.strip() for part in cache.get("type", "").split(",") if part.strip())
    return DvcConfig(
        cache_dir=Path(cache.get("dir", str(dvc_dir / "cache"))),
        cache_types=tuple(kind for kind in types if kind in CACHE_TYPES) or DEFAULT_CACHE_TYPE,
        site_cache_dir=_site_cache(core.get("site_cache_dir")),
        remotes={
            found[1]: section for name, section in merged.items() if (found := REMOTE.match(name))
        },
        default_remote=core.get("remote"),
    )


def require_cache(folder: Path) -> None:
    """Refuse to write to a cache whose folder is missing: that would fill another disk.

    Raises:
        MachineError: It is missing.
    """
    if not folder.is_dir():
        problem = f"DVC's cache {folder} is not there"
        cause = "its disk is not mounted, or the folder was never made"
        remedy = f"mount the disk, or for a new cache: mkdir -p {folder}"
        raise MachineError(problem, cause=cause, remedy=remedy)


def _config_files(dvc_dir: Path) -> list[Path]:
    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir(
        "dvc", "iterative"
    )
    user = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir(
        "dvc", "iterative"
    )
    return [
        Path(system) / "config",
        Path(user) / "config",
        dvc_dir / "config",
        dvc_dir / "config.local",
    ]


def _parse(lines: list[str], path: Path) -> ConfigObj:
    try:
        return ConfigObj(lines, encoding="utf-8", interpolation=False)
    except ConfigObjError as error:
        problem = f"{path} cannot be read as a DVC configuration"
        raise InvalidProjectError(problem, cause=str(error)) from error


def _read_file(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        problem = f"{path} is not UTF-8 text"
        raise InvalidProjectError(problem, cause=str(error)) from error
    return {
        name: {key: _one_text(value) for key, value in section.items()}
        for name, section in _parse(lines, path).items()
        if isinstance(section, dict)
    }


def _one_text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _absolute(name: str, section: Section, folder: Path) -> dict[str, str]:
    """Make local paths absolute: DVC means them relative to the file that names them."""
    values = dict(section)
    key = "dir" if name == "cache" else "url" if REMOTE.match(name) else None
    if key in values and "://" not in values[key]:
        expanded = os.path.expanduser(values[key])
        values[key] = os.path.normpath(folder / expanded)
    return values


def _site_cache(configured: str | None) -> Path:
    chosen = os.environ.get(SITE_CACHE_VARIABLE) or configured
    if chosen:
        return Path(chosen)
    if os.name == "posix" and os.uname().sysname == "Linux":
        return LEGACY_SITE_CACHE
    return Path(platformdirs.site_cache_dir("dvc", "iterative", opinion=True))


class Setting(Struct, frozen=True):
    """One value of a configuration file; `value` None removes the option."""

    section: str
    option: str
    value: str | None


def remote_section(name: str) -> str:
    """Return the name of a remote's section."""
    return f'remote "{name}"'


def config_sections(path: Path) -> dict[str, dict[str, str]]:
    """Return one configuration file as it is, by section; empty when there is none."""
    return _read_file(path)


def edited_config(path: Path, settings: list[Setting]) -> tuple[str, str]:
    """Return the text of a configuration file before and after the settings; writes nothing.

    A file that says all of it already keeps its text, whoever wrote it.
    """
    before = path.read_text("utf-8") if path.is_file() else ""
    parsed = _parse(before.splitlines(), path)
    if all(_says(parsed, setting) for setting in settings):
        return before, before
    parsed.indent_type = "    "
    for setting in settings:
        if setting.value is not None:
            parsed.setdefault(setting.section, {})[setting.option] = setting.value
        elif setting.section in parsed:
            parsed[setting.section].pop(setting.option, None)
            if not parsed[setting.section]:
                del parsed[setting.section]
    after = "\n".join(line.decode("utf-8") for line in parsed.write())
    return before, f"{after}\n" if after else ""


def _says(parsed: ConfigObj, setting: Setting) -> bool:
    section = parsed.get(setting.section)
    known = section.get(setting.option) if isinstance(section, dict) else None
    return (None if known is None else _one_text(known)) == setting.value
