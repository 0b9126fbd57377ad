"""`imgdata drop`: delete what is recoverable, from a list that is fixed before the first delete."""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.rwlock import dvc_lock, is_alive, refuse_busy_paths
from imgdata.errors import DamagedError, ForbiddenError, RefusedError, StorageError
from imgdata.model.events import Json, parse_time, time_text
from imgdata.model.objects import FOLDER_SUFFIX
from imgdata.ports import CanErase, CanKeepVersions, CanWriteIfAbsent, Storage
from imgdata.project.config import Level
from imgdata.system.files import remove_empty, unlink_same, write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.move import DEFAULT_JOBS, Item, in_parallel
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone
from imgdata.workflows.copies import Copies, Reached
from imgdata.workflows.drop_plan import DropOptions, DropPlan, plan_drop
from imgdata.workflows.drop_sorting import Piece, VersionPlan
from imgdata.workflows.history import Version
from imgdata.workflows.objects import version_event
from imgdata.workflows.places import HERE

DROPS = PRIVATE_FOLDER / "drop"
LOCK_NAME = "imgdata-drop.json"
LOCK_HOLDS = timedelta(hours=24)
LOCK_OVER = b'{"at": "1970-01-01T00:00:00Z"}'
"""What the lock says afterwards in a bucket where nothing may be erased: older than a day."""


@runtime_checkable
class _Lockable(Storage, CanWriteIfAbsent, CanErase, Protocol):
    """A storage that can keep a lock."""


class Dropped(Struct, frozen=True):
    """One version after the drop.

    Attributes:
        files: Workspace files that were deleted.
        objects: Objects that were deleted, and `size` the bytes of both.
        left: Pieces that were left because they changed between plan and drop.
        keeps_versions: The storage keeps what was erased as older versions, so no byte is free.
    """

    version: Version
    source: str
    files: int
    objects: int
    size: int
    left: tuple[str, ...]
    keeps_versions: bool = False


def drop(
    clone: Clone,
    levels: Sequence[Level],
    options: DropOptions,
    approved: DropPlan,
    progress: Progress = SILENT,
) -> Iterator[Dropped]:
    """Delete what a plan says and what is still safe now; one outcome a version.

    All storages are asked again under the lock; only pieces of both plans are deleted. Dropping
    from a storage also locks that storage and those whose copies are relied on, so that two people
    cannot each rely on the copy that the other deletes.

    Raises:
        RefusedError: Someone else drops from one of the storages.
        StorageError: The storage cannot be reached, or cannot erase.
        MachineError: Another imgdata command is at work here.
    """
    now = clone.reread()
    allowed = {(p.version, piece.path) for p in approved.versions for piece in p.pieces}
    with now.writing(), _storage_locks(now, options, approved):
        plan = plan_drop(now, levels, replace(options, ask=True))
        versions = [
            replace(one, pieces=tuple(p for p in one.pieces if (one.version, p.path) in allowed))
            for one in plan.versions
        ]
        record = _freeze(now, versions)
        for one in versions:
            if one.pieces:
                progress.start(f"drop {one.version.title}", items=len(one.pieces), size=0)
                try:
                    yield _drop_version(now, one, progress)
                finally:
                    progress.finish()
        record.unlink(missing_ok=True)


def _freeze(clone: Clone, versions: Sequence[VersionPlan]) -> Path:
    """Write the literal list of what is about to be deleted; it stays when this is killed."""
    folder = clone.root / DROPS
    folder.mkdir(parents=True, exist_ok=True)
    at = clone.clock.now()
    path = folder / f"{at:%Y%m%dT%H%M%S}-{os.getpid()}.jsonl"
    lines = [
        json.dumps({"source": one.source or "here", "path": piece.path, "md5": piece.md5})
        for one in versions
        for piece in one.pieces
    ]
    write_text(path, "\n".join(lines) + "\n")
    return path


def _drop_version(clone: Clone, plan: VersionPlan, progress: Progress) -> Dropped:
    if plan.source == HERE:
        return _drop_here(clone, plan, progress)
    storage = clone.open_storage(clone.config.storages[plan.source])
    if not isinstance(storage, CanErase):
        problem = f"storage '{plan.source}' cannot erase objects"
        raise StorageError(problem, remedy="delete there by its own means, then: imgdata verify")
    keeps = isinstance(storage, CanKeepVersions) and storage.keeps_versions(plan.pieces[0].path)
    # The log says so first: killed half way, it denies copies that are still there, never more.
    _note(clone, plan)
    lists = [piece.path for piece in plan.pieces if piece.path.endswith(FOLDER_SUFFIX)]
    files = [piece.path for piece in plan.pieces if not piece.path.endswith(FOLDER_SUFFIX)]
    for some in (files, lists):  # killed half way, the list still tells what is left to drop
        for _ in in_parallel(storage.erase, some, DEFAULT_JOBS):
            progress.advance(items=1)
    size = sum(piece.size for piece in plan.pieces)
    return Dropped(plan.version, plan.source, 0, len(plan.pieces), size, (), keeps)


def _note(clone: Clone, plan: VersionPlan) -> None:
    items = [Item(_object_id(piece), (piece.path,)) for piece in plan.pieces]
    whole = any(item.object_id == plan.version.version for item in items)
    details: dict[str, Json] = version_event(
        plan.version, plan.source, "", items, whole=whole, size=sum(p.size for p in plan.pieces)
    )
    path = clone.log().write([("dropped", details)])
    if path is not None:
        clone.git.stage([path])


def _object_id(piece: Piece) -> str:
    return piece.md5 + (FOLDER_SUFFIX if piece.path.endswith(FOLDER_SUFFIX) else "")


def _drop_here(clone: Clone, plan: VersionPlan, progress: Progress) -> Dropped:
    """Delete workspace files that are still the ones that were looked at, then cache objects."""
    cache = clone.cache
    assert isinstance(cache, CanErase), "the cache is a folder"  # noqa: S101 - for the type checker
    top = clone.root / plan.version.path
    left: list[str] = []
    spared: set[str] = set()
    files = objects = size = 0
    refuse_busy_paths(clone.tmp, [top])
    with dvc_lock(clone.tmp):
        for piece in plan.pieces:
            progress.advance(items=1)
            if piece.stamp is None:
                continue
            if unlink_same(clone.root / piece.path, piece.stamp):
                files += 1
                size += piece.size
            else:
                left.append(piece.path)
                spared.add(piece.md5)
        for piece in plan.pieces:
            if piece.stamp is None and piece.md5 not in spared:
                cache.erase(piece.path)
                objects += 1
                size += piece.size
        if top.is_dir():
            remove_empty(top)
    size -= _linked(plan)
    return Dropped(plan.version, HERE, files, objects, max(0, size), tuple(left))


def _linked(plan: VersionPlan) -> int:
    """Return the bytes that were counted twice: workspace files of objects that went as well."""
    objects = {piece.md5: piece.size for piece in plan.pieces if piece.stamp is None}
    return sum(objects.get(piece.md5, 0) for piece in plan.pieces if piece.stamp is not None)


@contextmanager
def _storage_locks(clone: Clone, options: DropOptions, plan: DropPlan) -> Iterator[None]:
    """Hold a note on the storage that is dropped from, and on all that may be relied on."""
    if options.source == HERE:
        yield
        return
    copies = Copies(clone, ask=True)
    concerned = {name for one in plan.versions for name in copies.storages_of(one.version)}
    with ExitStack() as stack:
        for name in sorted({options.source, *concerned}):
            found = copies.reach(name)
            if isinstance(found, Reached):
                stack.enter_context(_storage_lock(clone, name, found.storage))
        yield


@contextmanager
def _storage_lock(clone: Clone, name: str, storage: Storage) -> Iterator[None]:
    if not isinstance(storage, _Lockable):
        yield
        return
    now = clone.clock.now()
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "at": time_text(now)}
    data = json.dumps({**mine, "by": clone.git.identity() or ""}).encode()
    try:
        taken = storage.write_if_absent(LOCK_NAME, data)
        if not taken and _is_over(storage, now):
            taken = _replace(storage, data)
    except StorageError:
        if name in clone.config.storages and _may_write(storage):
            raise
        yield  # a storage that only lets itself be read: nobody can drop from it
        return
    if not taken:
        holder = _read_lock(storage)
        problem = f"someone else drops copies that involve storage '{name}' right now"
        raise RefusedError(
            problem,
            cause=" ".join(f"{name}: {value}" for name, value in sorted(holder.items())),
            remedy=f"wait until that has ended; a note older than a day is ignored: {LOCK_NAME}",
        )
    try:
        yield
    finally:
        with suppress(StorageError):
            _release(storage)


def _replace(storage: _Lockable, data: bytes) -> bool:
    """Put a lock in place of one that is over; tell whether it was this one that got there."""
    try:
        storage.erase(LOCK_NAME)
    except ForbiddenError:
        storage.write(LOCK_NAME, [data], len(data))
        return True
    return storage.write_if_absent(LOCK_NAME, data)


def _release(storage: _Lockable) -> None:
    """Take the lock away; where nothing may be erased, write that it is over."""
    try:
        storage.erase(LOCK_NAME)
    except ForbiddenError:
        storage.write(LOCK_NAME, [LOCK_OVER], len(LOCK_OVER))


def _may_write(storage: Storage) -> bool:
    return storage.stat(LOCK_NAME) is not None


def _read_lock(storage: Storage) -> Mapping[str, str]:
    try:
        with storage.read(LOCK_NAME) as chunks:
            value = json.loads(b"".join(chunks))
    except (DamagedError, ValueError):
        return {}
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _is_over(storage: Storage, now: datetime) -> bool:
    """Tell whether a lock's command has ended without taking it away."""
    holder = _read_lock(storage)
    try:
        if now - parse_time(holder["at"]) > LOCK_HOLDS:
            return True
        return holder["host"] == socket.gethostname() and not is_alive(int(holder["pid"]))
    except (KeyError, ValueError):
        return False
