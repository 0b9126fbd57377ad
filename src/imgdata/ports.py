"""What the workflows need from the outside, as protocols; backends implement them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from imgdata.model.objects import StoredObject
from imgdata.model.revisions import RecordedFile


class Storage(Protocol):
    """A working place that keeps bytes under keys (`files/md5/ab/cdef...`).

    A key is relative, `/` between parts, without empty, `.` or `..` parts. All methods are safe
    to call from several threads and raise `StorageError` (or `CredentialsError`) when the place
    cannot be reached or refuses, `MachineError` when this machine is in the way.
    """

    @property
    def description(self) -> str:
        """The place as a person names it (url without credentials), for messages."""

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object, or None if there is none. One request; never cached."""

    def read(self, key: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open one object as chunks, in order.

        Raises:
            DamagedError: There is no such object, or it ends early.
        """

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        """Store `size` bytes under the key and describe what arrived.

        The object appears whole or not at all: when the chunks raise, are too few or too many,
        nothing is stored under the key. The returned `md5` is the storage's own checksum of what
        arrived, or None where it has none (the caller then reads back). Overwrites.
        """

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Yield all objects whose key starts with the folder `under`, in no promised order."""


@runtime_checkable
class CanErase(Protocol):
    """A storage whose objects can be erased."""

    def erase(self, key: str) -> None:
        """Erase one object; it is no error when it is already gone."""


@runtime_checkable
class CanFlush(Protocol):
    """A storage that may hold finished writes in memory for a while."""

    def flush(self) -> None:
        """Return when everything written before is safe against a power cut."""


@runtime_checkable
class CanReadRange(Protocol):
    """A storage that can read a part of an object."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`. One request."""


@runtime_checkable
class CanWriteIfAbsent(Protocol):
    """A storage that can refuse to overwrite, decided by the storage itself."""

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Store the bytes unless the key exists; tell whether they were stored."""


@runtime_checkable
class CanCreateRoot(Protocol):
    """A storage whose folder must be made before its first use, because a person says so."""

    def create_root(self) -> None:
        """Make the folder; nothing happens when it is there."""


@runtime_checkable
class LiesInFolder(Protocol):
    """A storage whose objects are files on this machine."""

    @property
    def folder(self) -> Path | None:
        """Its folder; None while it is not here (a drive in a drawer)."""


class Tree(Protocol):
    """The files of a working tree, or of one commit, by paths relative to its root."""

    @property
    def description(self) -> str:
        """What this tree is, for messages: a folder, or a commit's short id."""

    def read(self, path: str) -> bytes | None:
        """Return one file's bytes, or None if there is no such file. Follows no link outside."""

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder, sorted; git's own folder is left out."""

    def is_folder(self, path: str) -> bool:
        """Tell whether the path is a folder."""


class Commits(Protocol):
    """What a repository's branches, tags and stashes record; only reads."""

    def tips(self) -> Mapping[str, str]:
        """Return commit ids by name: HEAD, branches, remote branches, tags, stashes."""

    def dvc_files_at(self, commit: str) -> Mapping[str, str]:
        """Return the blob ids of a commit's `.dvc` files and locks, by path from the git root."""

    def dvc_files_ever(self) -> Iterator[RecordedFile]:
        """Yield every state that a `.dvc` file or lock had in any commit, newest commit first."""

    def read_blobs(self, ids: Iterable[str]) -> Mapping[str, bytes]:
        """Return the bytes of blobs by id, each once, with one call of git."""

    def blobs_at(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return the bytes of files of a commit, by path from the git root; absent ones are not."""

    def unpushed(self) -> Mapping[str, int]:
        """Return local branches, tags and stashes with commits that no remote branch has."""

    def is_pushed(self, commit: str) -> bool:
        """Tell whether a remote branch, as last fetched, has a commit."""

    def export(self, commit: str, folder: Path) -> None:
        """Write a commit's files into an empty folder."""


class Git(Commits, Protocol):
    """The git repository a project lives in."""

    @property
    def root(self) -> Path:
        """The top folder of the working tree."""

    def head(self) -> str | None:
        """Return the id of the current commit, or None before the first one."""

    def dirty_paths(self) -> tuple[str, ...]:
        """Return the paths, relative to the root, that differ from the current commit, sorted."""

    def stage(self, paths: Iterable[Path]) -> None:
        """Add files to the index."""

    @property
    def staged(self) -> tuple[str, ...]:
        """The paths this object added to the index, relative to the root."""

    def commit(self, message: str) -> str:
        """Commit what this object staged, nothing else, and return the new commit's id."""

    def config(self, key: str, value: str) -> None:
        """Set an option of this clone."""

    def get_config(self, key: str) -> str | None:
        """Return an option, or None."""

    def identity(self) -> str | None:
        """Return `Name <email>` of the person who would commit, or None if none is configured."""


class StageRunner(Protocol):
    """Runs one stage of the pipeline and records it in dvc.lock."""

    def run(self, stage: str, *, force: bool) -> str:
        """Run the stage if it is stale and return what it printed.

        Raises:
            StageFailedError: Its command ended with an error; the output's tail is the cause.
        """


class Clock(Protocol):
    """Tells the time, so that tests can."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
