"""What branches, tags, stashes and history record in DVC's files."""

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from imgdata.model.revisions import RecordedFile
from imgdata.system.dialogue import Dialogue
from imgdata.tracking.commit_tree import parse_listing
from imgdata.tracking.git_call import CALLED, FATAL, GIT, NO_FETCHING, call_git

DVC_FILES = (":(top,glob)**/*.dvc", ":(top,glob)**/dvc.lock")
COMMIT_MARK = "\x01"
_RAW = re.compile(r":\d{6} (\d{6}) [0-9a-f]+ ([0-9a-f]+) [A-Z]\d*")
_GONE = "000000"
_STASH = "refs/stash"
IN_FLIGHT_CHARACTERS = 8_000


class GitCommits:
    """The commits of one repository; implements `imgdata.ports.Commits`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def tips(self) -> Mapping[str, str]:
        """Return commit ids by name: HEAD, branches, remote branches, tags, stashes."""
        form = "--format=%(refname)%00%(objectname)%00%(*objectname)%00%(objecttype)"
        done = call_git(("for-each-ref", form), self._root)
        found: dict[str, str] = {}
        has_stash = False
        for line in done.text.splitlines():
            name, commit, peeled, kind = line.split("\0")
            if name == _STASH:
                has_stash = True
            elif kind in {"commit", "tag"}:
                found[name.removeprefix("refs/").removeprefix("heads/")] = peeled or commit
        head = call_git(("rev-parse", "--verify", "-q", "HEAD"), self._root, accept=(0, 1, FATAL))
        if head.returncode == 0:
            found["HEAD"] = head.text.strip()
        for number, commit in enumerate(self._stashes() if has_stash else ()):
            found[f"stash@{{{number}}}"] = commit
        return found

    def _stashes(self) -> list[str]:
        args = ("log", "-g", "--format=%H", _STASH, "--")
        done = call_git(args, self._root, accept=(0, FATAL))
        return done.text.split() if done.returncode == 0 else []

    def dvc_files_at(self, commit: str) -> Mapping[str, str]:
        """Return the blob ids of a commit's `.dvc` files and locks, by path."""
        done = call_git(("ls-tree", "-r", "-z", "--full-tree", commit), self._root)
        found: dict[str, str] = {}
        for line in done.text.split("\0"):
            header, _, path = line.partition("\t")
            if path.endswith(".dvc") or path.rpartition("/")[2] == "dvc.lock":
                found[path] = header.split(" ")[2]
        return found

    def dvc_files_ever(self, *, with_reflog: bool = False) -> Iterator[RecordedFile]:
        """Yield every state that a `.dvc` file or lock had in any commit, newest commit first.

        With the reflog: also in commits that were amended or reset away in this clone.
        """
        sources = ("--all", "--reflog") if with_reflog else ("--all",)
        return self._recorded((*sources, *self._stashes()), DVC_FILES)

    def _recorded(self, sources: Sequence[str], paths: Sequence[str]) -> Iterator[RecordedFile]:
        """Yield every state that files had in the commits of some sources, newest commit first."""
        args = (
            "log", "-z", "-m", "--raw", "--no-abbrev", "--no-renames", "--full-history",
            "--root", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all",
            f"--format={COMMIT_MARK}%H %ct",
        )  # fmt: skip
        done = call_git((*args, *sources, "--", *paths), self._root, accept=(0, FATAL))
        commit, at = "", datetime.fromtimestamp(0, UTC)
        tokens = iter(done.text.split("\0") if done.returncode == 0 else ())
        for token in tokens:
            text = token.lstrip("\n")
            if text.startswith(COMMIT_MARK):
                commit, _, seconds = text[1:].partition(" ")
                at = datetime.fromtimestamp(int(seconds), UTC)
            elif (found := _RAW.match(text)) is not None:
                path = next(tokens, "")
                if found[1] != _GONE:
                    yield RecordedFile(path, found[2], commit, at)

    def read_blobs(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield id and bytes of the blobs that this clone has, each once, in the order asked."""
        return self._batch(ids)

    def states_ever(self, path: str) -> Iterator[bytes]:
        """Yield the content a file had in any commit, newest commit first; each once."""
        found = self._recorded(("--all",), (f":(top,literal){path}",))
        yield from (data for _, data in self.read_blobs(one.blob for one in found))

    def contents_at(self, commit: str) -> Iterator[tuple[str, str]]:
        """Yield path and md5 of every file of a commit that this clone has."""
        args = ("ls-tree", "-r", "-z", "--full-tree", commit)
        done = call_git(args, self._root, env=NO_FETCHING)
        paths: dict[str, list[str]] = {}
        for path, entry in parse_listing(done.stdout).items():
            if entry.kind == "blob":
                paths.setdefault(entry.id, []).append(path)
        for blob, data in self._batch(paths):
            md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
            yield from ((path, md5) for path in paths[blob])

    def blobs_at(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return the bytes of files of a commit, by path; absent ones are not in the answer."""
        asked = {f"{commit}:{path}": path for path in paths if "\n" not in path}
        return {asked[name]: data for name, data in self._batch(asked)}

    def files_at(self, commits: Iterable[str], path: str) -> Mapping[str, bytes]:
        """Return the bytes of one path by commit, with one call of git."""
        asked = {f"{commit}:{path}": commit for commit in commits if "\n" not in path}
        return {asked[name]: data for name, data in self._batch(asked)}

    def is_shallow(self) -> bool:
        """Tell whether history is cut."""
        args = ("rev-parse", "--is-shallow-repository")
        return call_git(args, self._root).text.strip() == "true"

    def _batch(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the objects that this clone has, each once, one in memory at a time."""
        asked = list(dict.fromkeys(names))
        if not asked:
            return
        command = (*GIT, "cat-file", "--batch")
        with Dialogue(command, cwd=self._root, env={**CALLED, **NO_FETCHING}) as git:
            for some in _questions(asked):
                git.ask("".join(f"{name}\n" for name in some).encode("utf-8", "surrogateescape"))
                for name in some:
                    size = git.line().rpartition(b" ")[2]
                    if size.isdigit():
                        yield name, git.take(int(size) + 1)[:-1]

    def unpushed(self) -> Mapping[str, int]:
        """Return local branches, tags and stashes with commits that no remote branch has."""
        found: dict[str, int] = {}
        for name, commit in self.tips().items():
            if name.startswith("remotes/"):
                continue
            args = ("rev-list", "--count", commit, "--not", "--remotes")
            count = int(call_git(args, self._root).text)
            if count:
                found[name] = count
        return found

    def is_pushed(self, commit: str) -> bool:
        """Tell whether a remote branch, as last fetched, has a commit."""
        args = ("for-each-ref", f"--contains={commit}", "--count=1", "refs/remotes")
        done = call_git(args, self._root, accept=(0, 1, FATAL, 129))
        return done.returncode == 0 and bool(done.text.strip())

    def export(self, commit: str, folder: Path) -> None:
        """Write a commit's files into an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as private:
            env = {"GIT_INDEX_FILE": f"{private}/index"}
            call_git(("read-tree", commit), self._root, env=env)
            args = ("checkout-index", "--all", "--force", f"--prefix={folder}/")
            call_git(args, self._root, env=env)


def _questions(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield names in groups well below the size of a pipe: git may be waiting to be read."""
    some: list[str] = []
    size = 0
    for name in names:
        if some and size + len(name) > IN_FLIGHT_CHARACTERS:
            yield some
            some, size = [], 0
        some.append(name)
        size += len(name)
    yield some
