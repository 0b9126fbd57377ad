"""What the workflows need from the outside, as protocols; backends implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from imgdata.model.commits import Commit, PathChange, TreeEntry
    from imgdata.model.deposits import (
        Access,
        Deposit,
        DepositedFile,
        DepositLimits,
        DepositMetadata,
        DepositRecord,
        ListedFile,
        Package,
        PackageDraft,
        Question,
    )
    from imgdata.model.facts import PixelFacts, Reading, Sidecar
    from imgdata.model.objects import StoredObject
    from imgdata.model.public_data import PublicFile, PublicRecord
    from imgdata.model.revisions import RecordedFile
    from imgdata.system.credentials import Token
    from imgdata.system.progress import Progress


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
class CanTidy(Protocol):
    """A storage on which a killed write leaves a file under a temporary name."""

    def tidy(self, folders: Iterable[str]) -> int:
        """Remove from folders what dead writers left unfinished; return how many files.

        Lists each folder once while the storage is open. What may still be written to stays: a
        writer on this machine is asked by its lock, any other counts as dead after a day.
        """


@runtime_checkable
class CanReadRange(Protocol):
    """A storage that can read a part of an object."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`. One request."""


@runtime_checkable
class CanReadSized(Protocol):
    """A storage that tells an object's size in the answer that brings its bytes."""

    def read_sized(self, key: str) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """Open one object: its size in bytes and its chunks, in order. Raises as `read` does."""


@runtime_checkable
class CanReadTogether(Protocol):
    """A storage of which objects that lie side by side are read in one request."""

    def together(self, keys: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Sort keys into groups, each read in one go; absent keys are a group each."""

    def read_together(
        self, keys: tuple[str, ...]
    ) -> AbstractContextManager[Iterator[tuple[str, Iterator[bytes]]]]:
        """Open the objects of one group, each with its chunks, in an order of its own.

        An object's chunks end when the next one is asked for.
        """


@runtime_checkable
class CanWriteIfAbsent(Protocol):
    """A storage that can refuse to overwrite, decided by the storage itself."""

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Store the bytes unless the key exists; tell whether they were stored."""


@runtime_checkable
class CanBeCold(Protocol):
    """A storage that may be an archive tier."""

    @property
    def is_cold(self) -> bool:
        """Whether objects are given back only hours after they were asked for."""


@runtime_checkable
class CanTellTime(Protocol):
    """A storage whose server has a clock of its own."""

    def server_time(self) -> datetime | None:
        """Return the time by that clock, or None where the server does not say. One request."""


@runtime_checkable
class CanTellAudience(Protocol):
    """A storage that can find out whether strangers can read what is on it."""

    def public_because(self, *, thoroughly: bool) -> str:
        """Say why anyone can read it; empty where nobody without rights can.

        Args:
            thoroughly: Also look where that costs more, or writes and erases a probe.

        Raises:
            StorageError: It could not be found out.
        """


class Content(Protocol):
    """Bytes that are to be sent, which can be read any number of times, from any place."""

    @property
    def name(self) -> str:
        """The file name in the deposit."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def md5(self) -> str:
        """Of all bytes."""

    def chunks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a range, all by default."""


class Depository(Protocol):
    """A data repository that takes deposits: draft, files, publish.

    All methods raise `StorageError` when the repository cannot be reached or answers with a
    failure, `CredentialsError` when it refuses the token, `UsageError` when it refuses the
    description. A request that is not safe to repeat is never repeated.
    """

    @property
    def address(self) -> str:
        """The service's address without credentials; tells sandbox from production."""

    def create(self, metadata: DepositMetadata, access: Access, marker: str) -> Deposit:
        """Open a draft and reserve its DOI. The marker is kept in it, for `CanFindDraft`."""

    def describe(self, identifier: str, metadata: DepositMetadata, access: Access) -> Deposit:
        """Replace the description of a draft."""

    def read(self, identifier: str) -> Deposit:
        """Return the draft, or the published record where there is none, with its files.

        Raises:
            NothingFoundError: The repository knows neither.
        """

    def add_file(self, identifier: str, content: Content, progress: Progress) -> DepositedFile:
        """Send one file to a draft, replacing what is there, and return what arrived.

        The answer carries the repository's own checksum; comparing it is the caller's duty.
        """

    def publish(self, identifier: str) -> Deposit:
        """Make the draft public for ever. Asked once; an unclear answer is followed by reading.

        Raises:
            PartlyDoneError: Whether it happened could not be found out.
        """


@runtime_checkable
class CanClose(Protocol):
    """A service that keeps connections open until it is closed."""

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""


@runtime_checkable
class CanFindDraft(Protocol):
    """A repository that can find a draft again whose creation was not answered."""

    def find_draft(self, marker: str) -> Deposit | None:
        """Return this account's draft with the marker."""


@runtime_checkable
class CanRemoveFile(Protocol):
    """A repository whose drafts can lose a file."""

    def remove_file(self, identifier: str, name: str) -> None:
        """Remove one file of a draft; it is no error when it is already gone."""


@runtime_checkable
class CanDiscard(Protocol):
    """A repository whose drafts can be thrown away."""

    def discard(self, identifier: str) -> None:
        """Throw an unpublished draft away; it is no error when it is already gone."""


@runtime_checkable
class CanVersion(Protocol):
    """A repository whose published records can get a new version."""

    def new_version(self, identifier: str) -> Deposit:
        """Return the one open draft of the next version, holding the published files."""


@runtime_checkable
class CanShare(Protocol):
    """A repository that can show a draft to a reviewer."""

    def reviewer_link(self, identifier: str) -> str:
        """Return an address that shows the draft without an account."""


@runtime_checkable
class CanJoinCommunity(Protocol):
    """A repository whose communities review a draft before it is public."""

    def submit_to(self, identifier: str, community: str) -> Deposit:
        """Hand the draft to the community's curators; they publish it."""


@runtime_checkable
class CanReadBack(Protocol):
    """A repository whose published records can be read, open ones without an account."""

    def published(self, record: DepositRecord) -> tuple[DepositedFile, ...]:
        """Return the files of exactly that version, with the repository's checksums.

        Raises:
            NothingFoundError: The repository does not have the record any more.
            CredentialsError: Its files are not open to this account.
        """

    def content(
        self, record: DepositRecord, name: str, start: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a published file, or a range of it; one request.

        Raises:
            StorageError: With `status` 200 where the server gives the file as a whole only.
        """


class PublishedDeposits(Protocol):
    """Opens what a project has published. Makes no request before something is read."""

    def address(self, name: str, url: str) -> str:
        """Return the service's address; tells sandbox from production."""

    def open(self, name: str, url: str, records: Sequence[DepositRecord]) -> Storage:
        """Return published deposits as a storage that only lets itself be read."""


class DepositService(Protocol):
    """A data repository before anybody connects: what is known without network and token."""

    @property
    def address(self) -> str:
        """The service's address; tells sandbox from production."""

    @property
    def publisher(self) -> str:
        """The name a citation gives the repository."""

    @property
    def limits(self) -> DepositLimits:
        """What one record holds."""

    def asks(self, metadata: DepositMetadata) -> tuple[Question, ...]:
        """Return what this repository needs beyond a DOI's description and is missing."""

    def connect(self, token: Token | None) -> Depository:
        """Return the service for one account, or without one for public records.

        Makes no request.
        """


@runtime_checkable
class CanPackage(Protocol):
    """A repository that a person submits to: a complete package and a checklist are written."""

    def package(
        self, metadata: DepositMetadata, files: Sequence[ListedFile], folder: Path
    ) -> tuple[Path, ...]:
        """Write the package into a folder and return its files."""


@runtime_checkable
class CanDraftPackage(Protocol):
    """A repository whose account can be given a package as a draft, for a person to submit."""

    def draft(self, package: Package, token: Token, known: str, progress: Progress) -> PackageDraft:
        """Send what is missing of a package and keep it as the one draft; publishes nothing.

        Raises:
            CredentialsError: The account is refused.
            RefusedError: The repository finds the package wrong, or a file is too large.
        """


class DepositLog(Protocol):
    """What the project remembers of its deposits."""

    def deposits(self) -> Iterator[DepositRecord]:
        """Yield all `deposit` events, oldest first."""

    def note_deposit(self, record: DepositRecord) -> None:
        """Remember one more, safe against a power cut when it returns."""


class PublicSource(Protocol):
    """A place public data are read from, without an account."""

    def record(self, reference: str) -> PublicRecord:
        """Return what a reference names, pinned to a version; lists, and reads no file.

        Raises:
            NothingFoundError: There is no such record.
            UsageError: The reference cannot be understood.
        """

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file's bytes from an offset on; raises when it cannot begin there."""


@runtime_checkable
class CanFindNewer(Protocol):
    """A source whose records have versions."""

    def latest(self, reference: str) -> str:
        """Return the pinned reference of the newest version."""


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


@runtime_checkable
class FindsFiles(Protocol):
    """A cache some of whose objects are files with names of their own."""

    def file_of(self, key: str) -> Path | None:
        """Return the file that an object is, or None where it lies under its key."""


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


class CommitTree(Tree, Protocol):
    """The files of one commit, with what git knows about each."""

    @property
    def commit(self) -> Commit:
        """The commit these files belong to."""

    def entry(self, path: str) -> TreeEntry | None:
        """Return mode, kind and id of a file, folder or submodule, or None if there is none.

        A path inside a submodule has no entry: the submodule itself has.
        """


class GitObjects(Protocol):
    """The objects of a git repository, read without running anything the repository names."""

    @property
    def shallow(self) -> bool:
        """Whether history is cut: commits exist that this clone does not have."""

    def commit(self, revision: str) -> Commit:
        """Return the commit a branch, tag, id or other revision names.

        Raises:
            UsageError: There is no such revision, or no commit yet.
        """

    def tree(self, commit_id: str) -> CommitTree:
        """Return the files of a commit. Lists the commit on first use, then answers from memory."""

    def read_blob(self, blob_id: str) -> bytes | None:
        """Return an object's bytes, or None if this clone does not have it.

        The id may also be `<commit>:<path>`, for a path without a newline.
        """

    def blobs_at(self, places: Sequence[tuple[str, str]]) -> list[str | None]:
        """Return the object id at each (commit id, path), None where there is none."""


ALL_BRANCHES = "--all"
"""Stands for a commit id where history is asked for: everything any branch or tag has."""


class History(Protocol):
    """What happened to files over the commits of a git repository."""

    def touching(self, commit_id: str, paths: Sequence[str]) -> tuple[Commit, ...]:
        """Return the ancestors of a commit, itself included, that changed one of the paths.

        Newest first, no commit before its children; `parents` are rewritten to the nearest
        ancestors that are in the answer too. Merges that changed nothing are left out. Paths are
        taken literally.
        """

    def changes(self, commit_id: str, patterns: Sequence[str]) -> Iterator[PathChange]:
        """Yield all that happened to the paths that match git pathspecs, newest commit first.

        A merge is compared with each of its parents. Without patterns: to all paths.
        """

    def message(self, commit_id: str) -> str:
        """Return the whole message of a commit."""

    def mentioning(self, commit_id: str, text: str) -> tuple[Commit, ...]:
        """Return the ancestors of a commit whose message contains the text, newest first."""

    def changed_in(self, commit_id: str) -> tuple[PathChange, ...]:
        """Return what one commit did, against its first parent."""


class Commits(Protocol):
    """What a repository's branches, tags and stashes record; only reads."""

    def tips(self) -> Mapping[str, str]:
        """Return commit ids by name: HEAD, branches, remote branches, tags, stashes."""

    def dvc_files_at(self, commit: str) -> Mapping[str, str]:
        """Return the blob ids of a commit's `.dvc` files and locks, by path from the git root."""

    def dvc_files_ever(self, *, with_reflog: bool = False) -> Iterator[RecordedFile]:
        """Yield every state that a `.dvc` file or lock had in any commit, newest commit first.

        With the reflog: also in commits that were amended or reset away in this clone.
        """

    def read_blobs(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield id and bytes of the blobs that this clone has, each once; one call of git."""

    def blobs_at(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return the bytes of files of a commit, by path from the git root; absent ones are not."""

    def states_ever(self, path: str) -> Iterator[bytes]:
        """Yield the content a file had in any commit, newest commit first; each once."""

    def contents_at(self, commit: str) -> Iterator[tuple[str, str]]:
        """Yield path and md5 of every file of a commit that this clone has.

        Reads every blob of the commit once: as long as reading so many bytes takes.
        """

    def files_at(self, commits: Iterable[str], path: str) -> Mapping[str, bytes]:
        """Return the bytes of one path from the git root by commit; one call of git."""

    def is_shallow(self) -> bool:
        """Tell whether history is cut: commits exist that this clone does not have."""

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

    def branch(self) -> str:
        """Return the current branch; empty for a detached HEAD."""

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the git remotes."""

    def dirty_paths(self) -> tuple[str, ...]:
        """Return the paths, relative to the root, that differ from the current commit, sorted."""

    def stage(self, paths: Iterable[Path]) -> None:
        """Add files to the index."""

    def kept_below(self, path: Path) -> tuple[Path, ...]:
        """Return the files git has at or below a path in its index."""

    def ignores(self, path: Path) -> bool:
        """Tell whether a `.gitignore` leaves a path out."""

    def lines_with(self, words: Sequence[str]) -> Iterator[tuple[str, int, str]]:
        """Yield path, number and text of lines in kept text files that hold one of the words."""

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


class ImageReader(Protocol):
    """Tells what is inside image files. What is wrong inside a file is a symptom, not an error.

    All methods are safe to call from several threads and raise `OSError` when a disk fails.
    """

    def read(self, path: Path) -> Reading | None:
        """Read one file's headers; None when it is no image by content or name.

        A folder named `*.zarr` is one file.
        """

    def pixels(self, path: Path, reading: Reading, *, planes: int) -> PixelFacts:
        """Decode up to so many planes (0: all of them), one at a time."""

    def sidecar(self, path: Path) -> Sidecar | None:
        """Read a microscope's index file; None for any other file."""


class Clock(Protocol):
    """Tells the time, so that tests can."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
