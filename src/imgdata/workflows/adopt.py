"""`imgdata init` in a repository that exists: propose what imgdata.yaml could say, change nothing.

Adoption is additive. Data, pipelines, records and remotes stay as they are, so plain DVC behaves
as before; imgdata.yaml and the few lines it needs come beside them once a person said yes.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from msgspec import Struct

from imgdata.dvc_files.collecting import DVC_FOLDER, dvc_roots
from imgdata.dvc_files.config import REMOTE, DvcConfig, Setting, config_sections, read_config
from imgdata.dvc_files.index import Index, read_index
from imgdata.dvc_files.recorded import MD5_DOS2UNIX
from imgdata.dvc_files.stages import Out, Stage
from imgdata.errors import UsageError
from imgdata.levels.proposal import DataPath, ProposedLevel, propose_levels
from imgdata.levels.units import refuse_outside
from imgdata.model.objects import is_folder
from imgdata.model.urls import holds_secret
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.system.folder_tree import FolderTree
from imgdata.workflows.by_path import MIGRATE, kept_by_name
from imgdata.workflows.conform import DVC_ONLY, FileChange, plan_conform, storage_options
from imgdata.workflows.init import (
    NO_CREATOR,
    InitOptions,
    default_archive,
    edit_config,
)
from imgdata.workflows.level_config import yaml_value
from imgdata.workflows.prepare_clone import DVC_IGNORED

READ_ONLY = frozenset({"http", "https"})
STORAGE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
IMAGE_SUFFIXES = frozenset(
    {".tif", ".tiff", ".flex", ".nd2", ".czi", ".lif", ".lsm", ".oib", ".oif", ".oir", ".vsi"}
    | {".ims", ".zarr", ".dv", ".stk", ".c01", ".dib", ".png", ".jpg", ".h5", ".hdf5", ".mrc"}
    | {".dcm", ".svs"}
)
IMAGE_FOLDERS_DEEP = 5
SHOWN = 3
RAW = DataPath("data/raw", is_folder=True)

Ask = Callable[[Path], bool]


class AdoptionPlan(Struct, frozen=True):
    """What adopting a repository would write.

    Attributes:
        root: The DVC root, or what becomes it.
        levels: The proposed levels.
        changes: Every file that is new or gets lines.
        notes: What a person should know: remotes left to DVC, files that cannot be read.
        archive: A folder to make for the first storage; None where remotes were adopted.
    """

    root: Path
    levels: tuple[ProposedLevel, ...]
    changes: tuple[FileChange, ...]
    notes: tuple[str, ...]
    archive: Path | None

    @property
    def text(self) -> str:
        """The plan as a person reads it: the difference of every file, then the notes."""
        parts = [change.diff(self.root) for change in self.changes if _is_worth_reading(change)]
        return "\n".join([*parts, *(f"note: {note}" for note in self.notes)])


def _is_worth_reading(change: FileChange) -> bool:
    return not change.path.name.endswith(".schema.json")


def adoption_root(folder: Path, git_root: Path) -> Path:
    """Return the DVC root that is meant: at or above the folder, else the only one below.

    Raises:
        UsageError: There are several below.
    """
    for one in (folder, *folder.parents):
        if (one / DVC_FOLDER).is_dir():
            return one
        if one == git_root:
            break
    below = dvc_roots(FolderTree(folder))
    if len(below) > 1:
        problem = f"{folder} holds {len(below)} DVC projects"
        cause = "\n".join(below)
        raise UsageError(problem, cause=cause, remedy=f"choose one: imgdata init {below[0]}")
    return folder / below[0] if below else folder


def plan_adoption(
    root: Path, options: InitOptions, project_id: str, is_tracked: Ask, is_ignored: Ask
) -> AdoptionPlan:
    """Propose imgdata.yaml and what goes with it. Reads DVC's files and folder names, no data.

    Args:
        root: As `adoption_root` found it.
        options: Title, licence and the like; storages and origins by level.
        project_id: For imgdata.yaml.
        is_tracked: Tells whether git itself keeps files below a path.
        is_ignored: Tells whether a `.gitignore` leaves a path out.

    Raises:
        InvalidProjectError: A DVC file names an out outside the repository.
    """
    index = read_index(FolderTree(root))
    refuse_outside(index)
    dvc = read_config(root / DVC_FOLDER)
    remotes, notes = _storages(root, dvc)
    found = list(_data(index)) or list(_image_folders(root, is_tracked)) or [RAW]
    levels = propose_levels(found)
    git_root = next((one for one in (root, *root.parents) if (one / ".git").exists()), root)
    archive = None if remotes else default_archive(root, git_root)
    if archive is not None:
        remotes = {"archive": {"url": str(archive)}}
    text = _config_text(levels, remotes, _place_of(remotes, dvc), options, project_id)
    if options.storages or options.origins:
        text, _ = edit_config(text, options, keep_unused=True)
    config = parse_config(text)
    has_dvc = (root / DVC_FOLDER).is_dir()
    extra = () if has_dvc else (Setting("core", "analytics", "false"),)
    changes = [FileChange(root / CONFIG_NAME, "", text)]
    if not (root / DVC_FOLDER / ".gitignore").is_file():
        changes.append(FileChange(root / DVC_FOLDER / ".gitignore", "", DVC_IGNORED))
    changes += plan_conform(config, root, extra=extra)
    notes += [problem.sentence for problem in index.problems]
    notes += _old_records(index)
    notes += [
        f"git ignores {level.path}, and DVC with it: take it out of .gitignore before imgdata add"
        for level in levels
        if not index.stages and is_ignored(root / level.path)
    ]
    return AdoptionPlan(root, levels, tuple(changes), tuple(notes), archive)


def _old_records(index: Index) -> Iterator[str]:
    """Say what DVC 2 recorded: by path it is pushed and pulled, as a level not yet."""
    outs = [out for stage in index.stages for out in stage.outs if out.flags.cache]
    hashes = {out.path: out.recorded.hash for out in outs if out.recorded}
    old = [path for path, found in hashes.items() if found and found.name == MD5_DOS2UNIX]
    if old:
        shown = ", ".join(old[:SHOWN]) + (", ..." if len(old) > SHOWN else "")
        yield f"in the form of DVC 2, of which imgdata notes no copies ({shown}): {MIGRATE}"


def _data(index: Index) -> Iterator[DataPath]:
    """Yield what DVC keeps: outs with a cache, metrics and plots left out."""
    for stage in index.stages:
        deps = tuple(dep.path for dep in stage.deps if dep.is_inside)
        for out in stage.outs:
            if out.is_inside and out.path and out.flags.cache and out.flags.kind == "out":
                place = (out.flags.remote or "") if out.flags.push else None
                yield DataPath(out.path, _is_folder(out), _group(stage, out), place, deps)


def _group(stage: Stage, out: Out) -> str:
    """Name what a foreach or matrix makes together: its outs at the same place of the list."""
    return f"{stage.file}:{stage.group}:{stage.outs.index(out)}" if stage.group else ""


def _is_folder(out: Out) -> bool:
    if out.recorded is not None and out.recorded.hash is not None:
        return out.recorded.nfiles is not None or is_folder(out.recorded.hash.value)
    return not PurePosixPath(out.path).suffix


def _image_folders(root: Path, is_tracked: Ask) -> Iterator[DataPath]:
    """Yield folders that hold images git does not keep, in a repository without DVC."""
    tree = FolderTree(root)
    pending = [("", 0)]
    while pending:
        folder, depth = pending.pop()
        folders, files = tree.children(folder)
        inner = [name for name in folders if not name.startswith(".")]
        names = (*files, *(name for name in inner if name.endswith(".zarr")))
        if folder and any(PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES for name in names):
            if not is_tracked(root / folder):
                yield DataPath(folder, is_folder=True)
        elif depth < IMAGE_FOLDERS_DEEP:
            pending += [(f"{folder}/{name}".lstrip("/"), depth + 1) for name in inner]


def _storages(root: Path, dvc: DvcConfig) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Return the remotes of `.dvc/config` as storages of the same names, and what was left out."""
    storages: dict[str, dict[str, object]] = {}
    notes = []
    shared = {
        found[1]: options
        for section, options in config_sections(root / DVC_FOLDER / "config").items()
        if (found := REMOTE.match(section)) and options.get("url")
    }
    for name, options in shared.items():
        why = _not_adopted(name, options)
        if why:
            notes.append(f"the remote '{name}' stays DVC's own: {why}")
            continue
        storages[name] = _storage(options, root)
        if urlsplit(options["url"]).scheme in DVC_ONLY:
            notes.append(_left_to_dvc(name, options["url"]))
    notes += [
        f"the remote '{name}' stays DVC's own: it is known on this machine alone"
        for name in sorted(set(dvc.remotes) - set(shared))
        if "url" in dvc.remotes[name]
    ]
    return storages, notes


def _left_to_dvc(name: str, url: str) -> str:
    if urlsplit(url).scheme in READ_ONLY:
        return f"imgdata only reads from '{name}': push its levels with dvc"
    return f"only DVC speaks to '{name}': push and pull its levels with dvc"


def _not_adopted(name: str, options: Mapping[str, str]) -> str:
    if not STORAGE_NAME.match(name) or name == "none":
        new = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or "storage"
        return f"names of storages are lower-case; dvc remote rename '{name}' {new}"
    if why := kept_by_name(options):
        return why
    if any(map(holds_secret, options.values())):
        return "its url holds a password, which does not belong in a file of the project"
    return ""


def _storage(options: Mapping[str, str], root: Path) -> dict[str, object]:
    url = options["url"]
    if "://" not in url and not Path(url).is_absolute() and not url.startswith("~"):
        url = os.path.relpath(os.path.normpath(root / DVC_FOLDER / url), root)
    return {"url": url, **storage_options(options)}


def _place_of(
    storages: Mapping[str, object], dvc: DvcConfig
) -> Callable[[str | None], list[str] | str]:
    """Return what a level's `storage` says for where plain DVC keeps its data."""
    default = dvc.default_remote if dvc.default_remote in storages else next(iter(storages))

    def place(remote: str | None) -> list[str] | str:
        if remote is None:
            return "none"
        return [remote if remote in storages else str(default)]

    return place


def _config_text(
    levels: Iterable[ProposedLevel],
    storages: Mapping[str, Mapping[str, object]],
    place: Callable[[str | None], list[str] | str],
    options: InitOptions,
    project_id: str,
) -> str:
    """Return the proposed imgdata.yaml. JSON values are YAML, and quote what needs it."""
    creators = [{**NO_CREATOR, **creator} for creator in options.creators]
    known = [{key: value for key, value in one.items() if value} for one in creators]
    lines = [
        "# yaml-language-server: $schema=.imgdata/imgdata.schema.json",
        "# Proposed by imgdata init from what DVC and git knew. Correct it, then:",
        "#   imgdata storage apply",
        "version: 1",
        f"id: {yaml_value(project_id)}",
        f"title: {yaml_value(options.title)}",
        f"license: {yaml_value(options.license)}",
        f"creators: {yaml_value(known)}",
        "currency: USD",
        "commit: ask",
        "release_branch: main",
        "",
        "# Where copies are kept. Nothing is known yet about what really lies there.",
        "storages:",
        *(f"  {name}: {yaml_value(storage)}" for name, storage in storages.items()),
        "",
        "levels:",
    ]
    for level in levels:
        lines += [f"  {level.name}:", f"    path: {yaml_value(level.path)}"]
        lines.append(f"    unit: {level.unit or 'none'}")
        if level.sources:
            lines.append(f"    from: {yaml_value(level.sources)}")
        lines.append(f"    storage: {yaml_value(place(level.place))}")
    return "\n".join(lines) + "\n"
