"""The history of a git repository, read object by object through one open `git cat-file`.

Nothing the repository or its configuration names is run: no hook, no file-system monitor, no
filter, no text conversion, no external diff, no signature check, no fetch of missing objects.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path

from imgdata.errors import MachineError, NoProjectError, UsageError
from imgdata.model.commits import ID_LENGTHS, Commit, PathChange, TreeEntry
from imgdata.ports import CommitTree
from imgdata.system import process
from imgdata.system.dialogue import Dialogue
from imgdata.system.process import CommandError, Completed
from imgdata.tracking.commit_tree import GitCommitTree, parse_listing
from imgdata.tracking.git_call import GIT, NO_FETCHING, QUIET

ENVIRONMENT = {**QUIET, **NO_FETCHING}
READING = (*GIT, "-c", "core.attributesFile=/dev/null")
COMMIT_FORMAT = "%H%x00%P%x00%an%x00%ad%x00%s"
COMMIT_FIELDS = 5
KEPT = 1 << 26
"""Bytes of objects that are kept in memory: several questions read the same versions."""
IN_FLIGHT = 100
"""Questions sent to git before their answers are read: about 20 KiB, a third of a pipe."""

PROMISES = r"^(remote\..*\.(promisor|partialclonefilter)|extensions\.partialclone)$"
"""Settings of a partial clone, whose missing objects git would fetch when they are read."""

_RAW = re.compile(rb":\d{6} (\d{6}) [0-9a-f]+ ([0-9a-f]+) [A-Z]\d*")
_REVISION = re.compile(r"[^\s\0-\x1f\x7f-][^\0-\x1f\x7f]*")


class GitHistory:
    """Objects and history of one repository, bare or with a working tree.

    Keeps up to two `git cat-file` processes open; close it, or use it in a `with` statement.
    """

    def __init__(self, root: Path) -> None:
        """Open the repository whose working tree's (or bare repository's) folder is given."""
        self.root = root
        self._contents: Dialogue | None = None
        self._checks: Dialogue | None = None
        self._trees: dict[str, GitCommitTree] = {}
        self._commits: dict[str, Commit] = {}
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._kept = 0
        self._absent: set[str] = set()

    def close(self) -> None:
        """End the git processes."""
        for dialogue in (self._contents, self._checks):
            if dialogue is not None:
                dialogue.close()
        self._contents = self._checks = None

    @cached_property
    def shallow(self) -> bool:
        """Whether history is cut."""
        return self._git("rev-parse", "--is-shallow-repository").text.strip() == "true"

    @property
    def absent(self) -> int:
        """How many objects were asked for so far that exist and that this clone does not have."""
        return len(self._absent)

    @cached_property
    def _present(self) -> frozenset[str] | None:
        """The objects a partial clone has; None for a clone that has all.

        `git cat-file` ends at the first object that it would have to fetch, so it is never asked
        for one.
        """
        config = self._git("config", "--get-regexp", PROMISES, accept=(0, 1))
        if config.returncode != 0:
            return None
        listed = self._git(
            "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)"
        )
        return frozenset(listed.text.split())

    def head(self) -> Commit | None:
        """Return the current commit, or None before the first one."""
        done = self._git("rev-parse", "--verify", "-q", "HEAD^{commit}", accept=(0, 1, 128))
        return self.commit("HEAD") if done.returncode == 0 else None

    def commit(self, revision: str) -> Commit:
        """Return the commit a revision names."""
        if revision in self._commits:
            return self._commits[revision]
        if not _REVISION.fullmatch(revision):
            msg = f"'{revision}' is not a revision: a branch, a tag or a commit id"
            raise UsageError(msg, remedy="git log --oneline lists the commits")
        done = self._git(
            "log", "-1", "-z", "--date=raw", f"--format={COMMIT_FORMAT}",
            f"{revision}^{{commit}}", "--",
            accept=(0, 128),
        )  # fmt: skip
        found = next(_commits(done.stdout), None) if done.returncode == 0 else None
        if found is None:
            msg = f"this repository has no revision '{revision}'"
            remedy = "git log --oneline --all lists the commits, git tag the tags"
            cause = done.tail or "it is a range of commits, not one"
            raise UsageError(msg, cause=cause, remedy=remedy)
        self._commits[found.id] = found
        return found

    def tree(self, commit_id: str) -> CommitTree:
        """Return the files of a commit."""
        if commit_id not in self._trees:
            self._trees[commit_id] = GitCommitTree(self.commit(commit_id), self)
        return self._trees[commit_id]

    def listing(self, commit_id: str) -> dict[str, TreeEntry]:
        """Return all entries of a commit by path, folders and submodules included."""
        done = self._git("ls-tree", "-r", "-t", "-z", "--full-tree", commit_id)
        return parse_listing(done.stdout)

    def read_blob(self, blob_id: str) -> bytes | None:
        """Return an object's bytes, or None if this clone does not have it."""
        if blob_id in self._blobs:
            self._blobs.move_to_end(blob_id)
            return self._blobs[blob_id]
        data = self._read_object(blob_id)
        if data is not None and len(data) <= KEPT // 4:
            self._blobs[blob_id] = data
            self._kept += len(data)
            while self._kept > KEPT:
                self._kept -= len(self._blobs.popitem(last=False)[1])
        return data

    def _read_object(self, blob_id: str) -> bytes | None:
        if self._present is not None:
            commit_id, colon, path = blob_id.partition(":")
            found = self._listed(commit_id, path) if colon else blob_id
            if found is None or found not in self._present:
                self._absent |= {found} if found else set()
                return None
        if self._contents is None:
            self._contents = self._open("--batch")
        self._contents.ask(f"{blob_id}\n".encode("utf-8", "surrogateescape"))
        header = self._contents.line().split(b" ")
        if not header[-1].isdigit() or _object_id(header[0]) is None:
            return None
        data = self._contents.take(int(header[-1]) + 1)
        return data[:-1] if header[1] == b"blob" else None

    def blobs_at(self, places: Sequence[tuple[str, str]]) -> list[str | None]:
        """Return the object id at each (commit id, path), None where there is none."""
        if self._present is not None:
            return [self._listed(*place) for place in places]
        if self._checks is None:
            self._checks = self._open("--batch-check=%(objectname)")
        found: list[str | None] = []
        for start in range(0, len(places), IN_FLIGHT):
            part = places[start : start + IN_FLIGHT]
            usable = [place for place in part if "\n" not in place[1]]
            asked = "".join(f"{commit}:{path}\n" for commit, path in usable)
            self._checks.ask(asked.encode("utf-8", "surrogateescape"))
            answers = {place: _object_id(self._checks.line()) for place in usable}
            # git's question ends at a newline, so a path that holds one is looked up in a listing.
            found += [
                answers[place] if place in answers else self._listed(*place) for place in part
            ]
        return found

    def _listed(self, commit_id: str, path: str) -> str | None:
        entry = self.tree(commit_id).entry(path)
        return None if entry is None else entry.id

    def touching(self, commit_id: str, paths: Sequence[str]) -> tuple[Commit, ...]:
        """Return the ancestors of a commit that changed one of the paths, newest first."""
        done = self._git(
            "log", "-z", "--date-order", "--full-history", "--simplify-merges", "--parents",
            "--date=raw", f"--format={COMMIT_FORMAT}", commit_id, "--",
            *(f":(top,literal){path}" for path in paths),
        )  # fmt: skip
        return tuple(_commits(done.stdout))

    def changes(self, commit_id: str, patterns: Sequence[str]) -> Iterator[PathChange]:
        """Yield all that happened to the paths that match git pathspecs, newest commit first."""
        done = self._git(
            "log", "-z", "-m", "--raw", "--no-abbrev", "--no-renames", "--full-history",
            "--date-order", "--root", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none",
            "--format=%x01%H", commit_id, "--", *patterns,
        )  # fmt: skip
        return _path_changes(done.stdout)

    def message(self, commit_id: str) -> str:
        """Return the whole message of a commit."""
        done = self._git("log", "-1", "--format=%B", commit_id, "--")
        return done.stdout.decode("utf-8", "replace")

    def mentioning(self, commit_id: str, text: str) -> tuple[Commit, ...]:
        """Return the ancestors of a commit whose message contains the text, newest first."""
        done = self._git(
            "log", "-z", "--date-order", "--date=raw", f"--format={COMMIT_FORMAT}",
            "--fixed-strings", f"--grep={text}", commit_id, "--",
        )  # fmt: skip
        return tuple(_commits(done.stdout))

    def changed_in(self, commit_id: str) -> tuple[PathChange, ...]:
        """Return what one commit did, against its first parent."""
        done = self._git(
            "log", "-1", "-z", "-m", "--first-parent", "--raw", "--no-abbrev", "--no-renames",
            "--root", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none",
            "--format=%x01%H", commit_id, "--",
        )  # fmt: skip
        return tuple(_path_changes(done.stdout))

    def _git(self, *args: str, accept: Sequence[int] = (0,)) -> Completed:
        try:
            return run_git(self.root, *args, accept=accept)
        except CommandError as error:
            if b"promisor" not in error.completed.stderr:
                raise
            msg = "this partial clone does not have the folders of earlier commits"
            remedy = "git fetch --refetch --no-filter brings them"
            raise MachineError(msg, cause=error.completed.tail, remedy=remedy) from error

    def _open(self, how: str) -> Dialogue:
        return Dialogue([*READING, "cat-file", how], cwd=self.root, env=ENVIRONMENT)


def run_git(root: Path, *args: str, accept: Sequence[int] = (0,)) -> Completed:
    """Run a reading git command in a folder, with nothing of the repository's own switched on."""
    return process.run([*READING, *args], cwd=root, env=ENVIRONMENT, accept=accept)


def find_root(folder: Path) -> Path:
    """Return the top of the working tree a folder is in, or the bare repository's own folder.

    Raises:
        NoProjectError: The folder is in no git repository.
    """
    try:
        done = run_git(folder, "rev-parse", "--is-bare-repository", "--show-toplevel",
                       accept=(0, 128))  # fmt: skip
        lines = done.text.split("\n")
        if done.returncode == 0 and len(lines) > 1:
            return Path(lines[1])
        if lines[0] == "true":
            git_dir = run_git(folder, "rev-parse", "--absolute-git-dir").text.rstrip("\n")
            return Path(git_dir)
    except CommandError as error:
        done = error.completed
    msg = f"{folder} is in no git repository"
    raise NoProjectError(
        msg,
        cause=done.tail,
        remedy="go to the folder of the project, or name it: imgdata --project DIR lineage FILE",
    )


def is_bare(root: Path) -> bool:
    """Tell whether the repository has no working tree."""
    return run_git(root, "rev-parse", "--is-bare-repository").text.strip() == "true"


def _object_id(answer: bytes) -> str | None:
    text = answer.decode("ascii", "replace")
    is_id = len(text) in ID_LENGTHS and all(digit in "0123456789abcdef" for digit in text)
    return text if is_id else None


def _commits(output: bytes) -> Iterator[Commit]:
    fields = output.decode("utf-8", "replace").split("\0")
    for start in range(0, len(fields) - COMMIT_FIELDS + 1, COMMIT_FIELDS):
        commit_id, parents, author, date, subject = fields[start : start + COMMIT_FIELDS]
        yield Commit(commit_id, tuple(parents.split()), author, iso_date(date), subject)


def iso_date(raw: str) -> str:
    """Return git's raw date (`1671208136 +0000`) as ISO 8601 in the same offset."""
    try:
        seconds, offset = raw.split()
        sign = -1 if offset.startswith("-") else 1
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        zone = timezone(sign * timedelta(minutes=minutes))
        return datetime.fromtimestamp(int(seconds), zone).isoformat()
    except (ValueError, OverflowError, OSError):
        # Damaged commits exist in real histories; their date is shown as it is.
        return raw


def _path_changes(output: bytes) -> Iterator[PathChange]:
    commit = ""
    tokens = iter(output.split(b"\0"))
    for token in tokens:
        text = token.lstrip(b"\n")
        if text.startswith(b"\x01"):
            commit = text[1:].decode("ascii")
            continue
        if (found := _RAW.match(text)) is None:
            continue
        path = next(tokens, b"").decode("utf-8", "surrogateescape")
        mode, blob = found[1].decode(), found[2].decode()
        yield PathChange(commit, path, mode, "" if mode == "000000" else blob)
