"""`imgdata init`: scaffold a project, or complete one that is there."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from imgdata.dvc_files.config import Setting, edited_config
from imgdata.errors import RefusedError, UsageError
from imgdata.project.editor import dump_edited, load_editable
from imgdata.project.loader import CONFIG_NAME
from imgdata.project.template import render_template
from imgdata.system.files import write_bytes, write_text
from imgdata.workflows.conform import FileChange
from imgdata.workflows.prepare_clone import DVC_IGNORED

NAME_CHARACTERS = re.compile(r"[^a-z0-9_-]+")
REPOSITORY_SCHEMES = frozenset(
    {"zenodo", "invenio", "figshare", "dryad", "bia", "idr", "cpg", "bbbc"}
)
ORIGIN_KINDS = ("own", "academic-collaborator", "industry-collaborator", "public")
NO_CREATOR = {"name": "", "orcid": "", "affiliation": ""}
CACHE_TYPE = "reflink,hardlink,copy"
EMPTY_ENOUGH = {".git", ".DS_Store"}
BEGINNING = re.compile(
    r"(README|LICEN[CS]E|COPYING)(\..*)?|\.git(ignore|attributes)?|\.DS_Store", re.IGNORECASE
)
InitKind = Literal["new", "adopt", "complete"]


class InitOptions(Struct, frozen=True):
    """What a new project is made from.

    Attributes:
        template: The template's folder.
        title: Title of the project.
        license: SPDX identifier for the data.
        creators: People, each with `name` and maybe `orcid`, `affiliation`.
        storages: Url by level; `none` for no storage.
        origins: Kind by name of the origin.
    """

    template: Path
    title: str
    license: str
    creators: tuple[Mapping[str, str], ...]
    storages: Mapping[str, str]
    origins: Mapping[str, str]
    year: int
    version: str


class InitPlan(Struct, frozen=True):
    """The files that will be written, by path relative to the project, and folders to make.

    Attributes:
        files: New files.
        kept: Files of the template that exist already and stay as they are.
        archive: The folder of the default storage, or None where every level has its own.
    """

    root: Path
    files: Mapping[str, bytes]
    kept: tuple[str, ...] = ()
    archive: Path | None = None
    local: tuple[FileChange, ...] = field(default=())


def is_beginning(root: Path) -> bool:
    """Tell whether a folder is absent, empty, or holds what a new repository begins with."""
    if not root.is_dir():
        return True
    return all(BEGINNING.fullmatch(path.name) for path in root.iterdir())


def new_id() -> str:
    """Return an id for a new project."""
    return secrets.token_hex(16)


def refuse_foreign_folder(root: Path) -> None:
    """Stop where the folder holds files that are no project and no repository.

    Raises:
        RefusedError: Naming some of them.
    """
    if not root.exists():
        return
    if not root.is_dir():
        problem = f"{root} is a file, not a folder"
        raise UsageError(problem)
    if (root / CONFIG_NAME).exists() or (root / ".dvc").is_dir() or (root / ".git").exists():
        return
    there = sorted(path.name for path in root.iterdir() if path.name not in EMPTY_ENOUGH)
    if there:
        shown = ", ".join(there[:5]) + (", ..." if len(there) > 5 else "")  # noqa: PLR2004 - shown
        msg = f"{root} is not empty and not a git repository; nothing was written"
        raise RefusedError(
            msg,
            cause=f"it holds {shown}",
            remedy=f"choose a new folder, then bring data in: imgdata add raw {root}/FOLDER\n"
            f"or make it a repository first: git init {root}",
        )


def plan_init(root: Path, options: InitOptions) -> InitPlan:
    """Fill in the template and decide what is written; an existing file is never replaced.

    Raises:
        UsageError: A level, url or origin does not fit the template.
    """
    archive = default_archive(root, root)
    values = {
        "title": options.title,
        "id": new_id(),
        "license": options.license,
        "creators": [{**NO_CREATOR, **creator} for creator in options.creators],
        "archive_url": str(archive),
        "imgdata_version": options.version,
        "year": options.year,
    }
    files = render_template(options.template, values)
    if CONFIG_NAME not in files:
        problem = f"the template {options.template} has no {CONFIG_NAME}"
        raise UsageError(problem)
    text, uses_archive = edit_config(files[CONFIG_NAME].decode("utf-8"), options)
    files[CONFIG_NAME] = text.encode("utf-8")
    files[".dvc/.gitignore"] = DVC_IGNORED.encode()
    files[".dvc/config"] = _dvc_config(root / ".dvc" / "config").encode()
    kept = tuple(name for name in files if (root / name).exists())
    return InitPlan(
        root=root,
        files={name: data for name, data in files.items() if name not in kept},
        kept=kept,
        archive=archive if uses_archive else None,
    )


def default_archive(root: Path, git_root: Path) -> Path:
    """Return the folder that is a project's storage until another is named.

    It lies beside the git repository, which must not take what is kept there.
    """
    name = "-".join(root.relative_to(git_root.parent).parts)
    return git_root.parent / f"{name}-archive"


def _dvc_config(path: Path) -> str:
    settings = [
        Setting("core", "analytics", "false"),
        Setting("core", "autostage", "true"),
        Setting("cache", "type", CACHE_TYPE),
    ]
    return edited_config(path, settings)[1]


def edit_config(text: str, options: InitOptions, *, keep_unused: bool = False) -> tuple[str, bool]:
    """Put storages and origins into an imgdata.yaml; tell whether the archive is used.

    Args:
        text: A template's, or one that was proposed.
        options: What was asked for.
        keep_unused: Keep storages that no level names.

    Raises:
        UsageError: A level does not exist, or an origin's kind is not known.
    """
    value = load_editable(text)
    levels, storages = value["levels"], value.setdefault("storages", {})
    for level, url in options.storages.items():
        if level not in levels:
            known = ", ".join(levels)
            problem = f"--storage {level}=...: '{level}' is no level here"
            raise UsageError(problem, cause=f"levels: {known}")
        _set_storage(value, levels[level], url)
    if not keep_unused:
        _drop_unused(levels, storages)
    for name, kind in options.origins.items():
        _set_origin(value, name, kind)
    return dump_edited(value, text), "archive" in storages


def _drop_unused(levels: dict[str, dict[str, object]], storages: dict[str, object]) -> None:
    """Take out storages that no level names any more, and the levels' ways there."""
    used = {name for level in levels.values() for name in _names(level.get("storage"))}
    for name in [name for name in storages if name not in used]:
        del storages[name]
    for level in levels.values():
        if level.get("then") is not None and level["then"] not in storages:
            del level["then"]


def _set_origin(value: dict[str, dict[str, object]], name: str, kind: str) -> None:
    if kind not in ORIGIN_KINDS:
        problem = f"--origin {name}={kind}: '{kind}' is no kind of origin"
        raise UsageError(problem, cause=f"kinds: {', '.join(ORIGIN_KINDS)}")
    value.setdefault("origins", {})[name] = {"kind": kind}
    for level in value["levels"].values():
        if isinstance(level, dict) and level.get("origin") is not None:
            level["origin"] = name


def _names(value: object) -> Sequence[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(name) for name in value]  # type: ignore[attr-defined] # a YAML list


def _set_storage(value: dict[str, dict[str, object]], level: dict[str, object], url: str) -> None:
    if url == "none":
        level["storage"] = "none"
        for key in ("copies", "then", "verify_every_days"):
            level.pop(key, None)
        if level.get("keep") != "recompute":
            level["keep"] = "recompute"
        return
    scheme = url.split(":", 1)[0].lower() if ":" in url.split("/", 1)[0] else ""
    if scheme in REPOSITORY_SCHEMES:
        name = _add_place(value.setdefault("repositories", {}), url, scheme)
        level["storage"] = [*(n for n in _names(level.get("storage")) if n != "none"), name]
        return
    level["storage"] = [_add_place(value["storages"], url, _storage_name(url))]


def _storage_name(url: str) -> str:
    """Return a name for a storage, from its scheme and first part: `s3-lab`, `archive`."""
    parts = urlsplit(url) if "://" in url else None
    if parts is not None and parts.netloc:
        text = f"{parts.scheme}-{parts.hostname or parts.netloc}"
    else:
        text = Path(url.split(":", 1)[-1]).name or "disk"
    name = NAME_CHARACTERS.sub("-", text.lower()).strip("-_") or "disk"
    return (name if name[0].isalpha() else f"s-{name}")[:28]


def _add_place(places: dict[str, object], url: str, name: str) -> str:
    for known, place in places.items():
        if isinstance(place, dict) and place.get("url") == url:
            return known
    free = name
    number = 2
    while free in places or free == "none":
        free, number = f"{name}-{number}", number + 1
    places[free] = {"url": url}
    return free


def apply_init(plan: InitPlan) -> tuple[Path, ...]:
    """Write the planned files and make the default storage's folder; return the written paths."""
    plan.root.mkdir(parents=True, exist_ok=True)
    written = []
    # imgdata.yaml comes last: with it there, the rest is complete.
    for name, data in sorted(plan.files.items(), key=lambda item: item[0] == CONFIG_NAME):
        path = plan.root / name
        write_bytes(path, data)
        written.append(path)
    return tuple(written)


def make_dvc_folder(root: Path) -> tuple[Path, ...]:
    """Make the `.dvc` folder of a project that has none; return what was written."""
    files = {
        root / ".dvc" / ".gitignore": DVC_IGNORED,
        root / ".dvc" / "config": _dvc_config(root / ".dvc" / "config"),
    }
    for path, text in files.items():
        write_text(path, text)
    return tuple(files)
