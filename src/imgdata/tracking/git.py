"""The git repository around a project, asked by command line."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from imgdata.errors import MachineError, NoProjectError
from imgdata.tracking.git_call import FATAL, call_git
from imgdata.tracking.git_commits import GitCommits
from imgdata.tracking.git_writing import write_git

OWN_FOLDER = ".imgdata/"
PER_CALL = 500
PATHS_ON_INPUT = ("--pathspec-from-file=-", "--pathspec-file-nul")


def find_git(folder: Path) -> "GitRepository | None":
    """Return the repository a folder lies in, or None."""
    done = call_git(("rev-parse", "--show-toplevel"), folder, accept=(0, FATAL))
    top = done.text.rstrip("\n")
    return GitRepository(Path(top)) if done.returncode == 0 and top else None


def init_git(folder: Path, branch: str) -> "GitRepository":
    """Make a new repository."""
    call_git(("init", "--quiet", f"--initial-branch={branch}"), folder)
    return GitRepository(folder)


class GitRepository(GitCommits):
    """One working tree; implements `imgdata.ports.Git`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._staged: dict[str, None] = {}

    @property
    def staged(self) -> tuple[str, ...]:
        """The paths this object added to the index that differ from the current commit."""
        if not self._staged:
            return ()
        args = ("diff", "--cached", "--name-only", "--no-renames", "--no-ext-diff", "-z")
        done = call_git(args, self._root)
        return tuple(path for path in done.text.split("\0") if path in self._staged)

    @property
    def root(self) -> Path:
        """The top folder of the working tree."""
        return self._root

    def head(self) -> str | None:
        """Return the id of the current commit, or None before the first one."""
        args = ("rev-parse", "--verify", "--quiet", "HEAD")
        done = call_git(args, self._root, accept=(0, 1, FATAL))
        return done.text.strip() or None

    def branch(self) -> str:
        """Return the current branch; empty for a detached HEAD."""
        args = ("symbolic-ref", "--quiet", "--short", "HEAD")
        return call_git(args, self._root, accept=(0, 1, FATAL)).text.strip()

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the git remotes."""
        return tuple(call_git(("remote",), self._root).text.split())

    def dirty_paths(self) -> tuple[str, ...]:
        """Return the paths that differ from the current commit, sorted; untracked ones too.

        imgdata's own notes never make a tree dirty.
        """
        done = call_git(("status", "--porcelain=v1", "-z", "--untracked-files=all"), self._root)
        fields = iter(done.text.split("\0"))
        paths = []
        for field in fields:
            if not field:
                continue
            paths.append(field[3:])
            if field[0] in "RC":
                paths.append(next(fields))
        return tuple(sorted(path for path in paths if f"/{OWN_FOLDER}" not in f"/{path}"))

    def stage(self, paths: Iterable[Path]) -> None:
        """Add files to the index, but for those that git ignores.

        imgdata's own notes are added all the same: a line like `*.json*` would lose evidence.
        """
        asked = [os.path.relpath(path, self._root) for path in paths]
        own = [name for name in asked if f"/{OWN_FOLDER}" in f"/{name}"]
        names = self._not_ignored([name for name in asked if name not in set(own)])
        for some, force in ((names, ()), (own, ("--force",))):
            if some:
                write_git(("add", "--all", *force, *PATHS_ON_INPUT), self._root, paths=some)
        self._staged |= dict.fromkeys((*names, *own))

    def unsaved(self, paths: Iterable[Path]) -> tuple[Path, ...]:
        """Return those of some files that the index does not have as they are; no ignored ones."""
        names = [os.path.relpath(path, self._root) for path in paths]
        found: dict[str, None] = {}
        for start in range(0, len(names), PER_CALL):
            few = names[start : start + PER_CALL]
            words = ("ls-files", "-z", "--modified", "--others", "--exclude-standard", "--")
            done = call_git((*words, *few), self._root)
            found |= dict.fromkeys(one for one in done.text.split("\0") if one)
        return tuple(self._root / one for one in sorted(found))

    def kept_below(self, path: Path) -> tuple[Path, ...]:
        """Return the files git has at or below a path in its index."""
        name = os.path.relpath(path, self._root)
        done = call_git(("ls-files", "-z", "--", f":(literal){name}"), self._root)
        return tuple(self._root / one for one in done.text.split("\0") if one)

    def lines_with(self, words: Sequence[str]) -> Iterator[tuple[str, int, str]]:
        """Yield path, number and text of the lines of kept text files that hold one of the words.

        Looks at the files as they are in the working tree.
        """
        patterns = [part for word in words for part in ("-e", word)]
        args = ("grep", "-z", "-n", "-I", "--no-color", "--fixed-strings", *patterns)
        done = call_git(args, self._root, accept=(0, 1))
        for line in done.text.split("\n"):
            path, _, rest = line.partition("\0")
            number, _, text = rest.partition("\0")
            if number.isdecimal():
                yield path, int(number), text

    def keeps(self, path: Path) -> bool:
        """Tell whether git has files at or below a path in its index."""
        return bool(self.kept_below(path))

    def ignores(self, path: Path) -> bool:
        """Tell whether a `.gitignore` leaves a path out."""
        return not self._not_ignored([os.path.relpath(path, self._root)])

    def _not_ignored(self, names: list[str]) -> list[str]:
        """Leave out what a .gitignore names: git refuses to add it."""
        given = "\0".join(names).encode("utf-8", "surrogateescape")
        args = ("check-ignore", "--stdin", "-z")
        done = call_git(args, self._root, accept=(0, 1), stdin=given)
        ignored = set(done.text.split("\0"))
        return [name for name in names if name not in ignored]

    def commit(self, message: str) -> str:
        """Commit what this object staged, nothing else, and return the new commit's id.

        Raises:
            MachineError: Git does not know who commits.
        """
        if self.identity() is None:
            problem = "git does not know who you are, so nothing was committed"
            remedy = 'git config user.name "Your Name" && git config user.email you@lab.example'
            raise MachineError(problem, remedy=remedy)
        args = ("commit", "--quiet", "--no-verify", f"--message={message}", "--only")
        write_git((*args, *PATHS_ON_INPUT), self._root, paths=self.staged)
        self._staged.clear()
        return self.head() or ""

    def identity(self) -> str | None:
        """Return `Name <email>` of the person who would commit, or None if none is configured."""
        values = []
        for key, variable in (
            ("user.name", "GIT_AUTHOR_NAME"),
            ("user.email", "GIT_AUTHOR_EMAIL"),
        ):
            done = call_git(("config", "--get", key), self._root, accept=(0, 1))
            values.append(os.environ.get(variable) or done.text.strip())
        name, email = values
        return f"{name} <{email}>" if name and email else None

    def config(self, key: str, value: str) -> None:
        """Set an option of this clone."""
        write_git(("config", "--local", key, value), self._root)

    def get_config(self, key: str) -> str | None:
        """Return an option, or None."""
        done = call_git(("config", "--get", key), self._root, accept=(0, 1))
        return done.text.rstrip("\n") if done.returncode == 0 else None


def need_git(folder: Path) -> GitRepository:
    """Return the repository a folder lies in.

    Raises:
        NoProjectError: There is none.
    """
    found = find_git(folder)
    if found is None:
        problem = f"{folder} is not in a git repository"
        raise NoProjectError(problem, remedy="imgdata init")
    return found
