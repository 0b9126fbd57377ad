"""`imgdata storage add|list|test`: try a storage out, then write it down."""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from imgdata.errors import (
    DamagedError,
    ForbiddenError,
    ImgdataError,
    StorageError,
    UsageError,
)
from imgdata.levels.units import choose_levels
from imgdata.ports import CanCreateRoot, CanErase, Storage
from imgdata.project.config import NO_STORAGE, Config, Option, StorageConfig
from imgdata.project.editor import append_entry, dump_edited, load_editable
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import FileChange, dvc_url, plan_conform
from imgdata.workflows.leaving import Gate
from imgdata.workflows.marker import mark_or_refuse

PROBE_PREFIX = "0-imgdata-probe-"
"""Sorts before DVC's `files`, so that the first page of a long listing shows it."""
PROBE_BYTES = 4096
UNRELIABLE = "do not use this storage for data; tell the people who run it"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

StepName = Literal["write", "read", "list", "erase"]
STEPS: tuple[StepName, ...] = ("write", "read", "list", "erase")


class Passed(Struct, frozen=True):
    """One step of the trial went well."""

    step: StepName


class Lacking(Struct, frozen=True):
    """The storage cannot do this step at all, by its nature or by its owner's rules."""

    step: StepName
    meaning: str


class Failed(Struct, frozen=True):
    """One step of the trial did not go well; the later ones were not tried."""

    step: StepName
    error: ImgdataError


TrialOutcome = Passed | Lacking | Failed


class StorageLine(Struct, frozen=True):
    """One storage of the project as `storage list` shows it.

    Attributes:
        levels: Levels that name it.
        in_dvc: Whether plain DVC can speak to it.
    """

    config: StorageConfig
    levels: tuple[str, ...]
    in_dvc: bool


class AddPlan(Struct, frozen=True):
    """A new storage and the files that change with it; no changes when it is known already."""

    storage: StorageConfig
    changes: tuple[FileChange, ...]


def list_storages(config: Config) -> tuple[StorageLine, ...]:
    """Return the storages in the order of imgdata.yaml; asks none of them."""
    return tuple(
        StorageLine(
            storage,
            tuple(name for name, level in config.levels.items() if storage.name in level.storages),
            dvc_url(storage, Path("/")) is not None,
        )
        for storage in config.storages.values()
    )


def try_out(storage: Storage) -> Iterator[TrialOutcome]:
    """Write an object, read it back, find it in the listing and erase it; stop at a failure.

    The object has a name that nothing else has, beside the project's own. It is erased after a
    failure too; where that cannot be, the failure says so.
    """
    key, data = f"{PROBE_PREFIX}{secrets.token_hex(8)}", secrets.token_bytes(PROBE_BYTES)
    for step in STEPS:
        if step == "erase" and not isinstance(storage, CanErase):
            yield _never_erases(key)
            return
        try:
            _step(storage, step, key, data)
        except ImgdataError as error:
            if step == "erase" and isinstance(error, ForbiddenError):
                # Raw data are well kept where nobody may erase them.
                yield _never_erases(key, "permission denied; ")
                return
            yield Failed(step, error if step == "write" else _cleared(storage, key, error))
            return
        yield Passed(step)


def _never_erases(key: str, why: str = "") -> Lacking:
    return Lacking("erase", f"{why}{key} stays there; nothing can be dropped from this storage")


def _cleared(storage: Storage, key: str, error: ImgdataError) -> ImgdataError:
    """Erase the object of a trial that failed; return the failure, with what stays behind."""
    try:
        _erase(storage, key)
    except ImgdataError:
        stays = f"{key} stays there, {PROBE_BYTES} bytes that mean nothing"
        cause = "\n".join(line for line in (error.cause, stays) if line)
        return type(error)(error.problem, cause=cause, remedy=error.remedy)
    return error


def _step(storage: Storage, step: StepName, key: str, data: bytes) -> None:
    match step:
        case "write":
            storage.write(key, [data], len(data))
        case "read":
            with storage.read(key) as chunks:
                if b"".join(chunks) != data:
                    problem = f"{storage.description} gives back other bytes than were written"
                    raise DamagedError(problem, remedy=UNRELIABLE)
        case "list":
            if all(found.key != key for found in storage.list()):
                problem = f"{storage.description} does not list an object just written"
                raise StorageError(problem, remedy=UNRELIABLE)
        case "erase":
            _erase(storage, key)


def _erase(storage: Storage, key: str) -> None:
    if isinstance(storage, CanErase):
        storage.erase(key)
    if storage.stat(key) is not None:
        problem = f"{storage.description} still has an object just erased"
        raise StorageError(problem, remedy=UNRELIABLE)


def plan_add(
    clone: Clone,
    name: str,
    url: str,
    options: Mapping[str, Option],
    levels: Sequence[str] = (),
) -> AddPlan:
    """Decide what imgdata.yaml and DVC's files will say with a new storage; asks nothing.

    Args:
        clone: The project.
        name: The storage's name; one that is known with the same url and options is no mistake.
        url: Where it is.
        options: Its other keys in imgdata.yaml.
        levels: Levels that are to be kept there too, after their other storages.

    Raises:
        UsageError: The name is not allowed, another storage has it, or a level does not exist.
        InvalidProjectError: The url or an option is not understood.
    """
    storage = StorageConfig(name, url, dict(options))
    choose_levels(clone.config, levels)
    _refuse_inside(clone, storage)
    if name in clone.config.storages:
        _refuse_other(clone.config.storages[name], storage)
    elif not NAME.fullmatch(name) or name == NO_STORAGE:
        problem = f"'{name}' cannot be the name of a storage"
        remedy = "use lower-case letters, digits, - and _, up to 32, a letter first"
        raise UsageError(problem, remedy=remedy)
    path = clone.root / CONFIG_NAME
    before = path.read_text("utf-8")
    after = with_storage(before, storage, levels)
    config = parse_config(after)
    barred = Gate(replace(clone, config=config), ask=False).barred
    conform = plan_conform(config, clone.root, barred=barred)
    changes = (FileChange(path, before, after), *conform)
    return AddPlan(storage, tuple(one for one in changes if one.before != one.after))


def with_storage(text: str, storage: StorageConfig, levels: Sequence[str]) -> str:
    """Return the text of imgdata.yaml with the storage, and the levels kept there.

    Comments and order stay; what is there already is not written again.
    """
    value = load_editable(text)
    before = dump_edited(value, text)
    if value.get("storages") is None:
        value["storages"] = {}
    if storage.name not in value["storages"]:
        append_entry(value["storages"], storage.name, {"url": storage.url, **storage.options})
    for name in levels:
        level = value["levels"][name]
        kept = level.get("storage", NO_STORAGE)
        if isinstance(kept, str):
            # Read from text, so that it is written on one line like the lists of the templates.
            kept = level["storage"] = load_editable("[]" if kept == NO_STORAGE else f"[{kept}]")
        if storage.name not in kept:
            kept.append(storage.name)
    after = dump_edited(value, text)
    return text if after == before else after


def prepare_new(storage: Storage) -> None:
    """Make a local storage's folder, which a person has just named."""
    if isinstance(storage, CanCreateRoot):
        storage.create_root()


def claim(clone: Clone, config: StorageConfig, storage: Storage) -> None:
    """Mark the storage's prefix as this project's.

    Raises:
        RefusedError: It belongs to another project.
    """
    mark_or_refuse(storage, config.name, clone.config.id, clone.config.title)


def _refuse_inside(clone: Clone, storage: StorageConfig) -> None:
    """Stop before git is given the objects of a storage, as `lab/nf1` for `s3://lab/nf1` would."""
    url = dvc_url(storage, clone.root)
    if url is None or "://" in url:
        return
    folder = Path(url)
    if folder.is_relative_to(clone.git.root) and not clone.git.ignores(folder / "files"):
        problem = f"the folder {folder} lies in this project: git would take what is kept there"
        remedy = f"name a folder elsewhere, or the server: s3://{storage.url.lstrip('./')}"
        raise UsageError(problem, remedy=remedy)


def _refuse_other(known: StorageConfig, wanted: StorageConfig) -> None:
    if known.url == wanted.url and dict(known.options) == dict(wanted.options):
        return
    problem = f"there is a storage '{known.name}' already, and it is another one"
    raise UsageError(
        problem,
        cause=f"{CONFIG_NAME} says {known.url}",
        remedy=f"choose another name, or edit {CONFIG_NAME} and run: imgdata storage apply",
    )
