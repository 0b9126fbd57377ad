"""A DVC repository without git (`dvc init --no-scm`): no commits, nothing to add."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from imgdata.errors import NoProjectError
from imgdata.model.revisions import RecordedFile


class NoGit:
    """Stands where git would; implements `imgdata.ports.Git`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The DVC repository's folder."""
        return self._root

    @property
    def staged(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def head(self) -> str | None:
        """Return no commit."""
        return None

    def branch(self) -> str:
        """Return no branch."""
        return ""

    def remotes(self) -> tuple[str, ...]:
        """Return no remote."""
        return ()

    def kept_below(self, path: Path) -> tuple[Path, ...]:
        """Return no file."""
        del path
        return ()

    def ignores(self, path: Path) -> bool:
        """Tell that nothing is left out."""
        del path
        return False

    def lines_with(self, words: Sequence[str]) -> Iterator[tuple[str, int, str]]:
        """Yield no line: nothing is kept."""
        del words
        yield from ()

    def dirty_paths(self) -> tuple[str, ...]:
        """Return no path: there is nothing to differ from."""
        return ()

    def stage(self, paths: Iterable[Path]) -> None:
        """Add nothing."""
        del paths

    def commit(self, message: str) -> str:
        """Refuse.

        Raises:
            NoProjectError: There is no git repository.
        """
        del message
        raise self._refusal()

    def config(self, key: str, value: str) -> None:
        """Refuse, as `commit` does."""
        del key, value
        raise self._refusal()

    def get_config(self, key: str) -> str | None:
        """Return no option."""
        del key
        return None

    def identity(self) -> str | None:
        """Return nobody."""
        return None

    def tips(self) -> Mapping[str, str]:
        """Return no branch."""
        return {}

    def dvc_files_at(self, commit: str) -> Mapping[str, str]:
        """Return no file."""
        del commit
        return {}

    def dvc_files_ever(self, *, with_reflog: bool = False) -> Iterator[RecordedFile]:
        """Yield no state: there is no history."""
        del with_reflog
        yield from ()

    def files_at(self, commits: Iterable[str], path: str) -> Mapping[str, bytes]:
        """Return no file."""
        del commits, path
        return {}

    def is_shallow(self) -> bool:
        """Tell that nothing is cut off."""
        return False

    def read_blobs(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield no bytes."""
        del ids
        return iter(())

    def blobs_at(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return no file."""
        del commit, paths
        return {}

    def states_ever(self, path: str) -> Iterator[bytes]:
        """Yield no state, as above."""
        del path
        yield from ()

    def contents_at(self, commit: str) -> Iterator[tuple[str, str]]:
        """Yield no file."""
        del commit
        yield from ()

    def unpushed(self) -> Mapping[str, int]:
        """Return no branch."""
        return {}

    def is_pushed(self, commit: str) -> bool:
        """Tell that no remote branch has it."""
        del commit
        return False

    def export(self, commit: str, folder: Path) -> None:
        """Refuse, as `commit` does."""
        del commit, folder
        raise self._refusal()

    def _refusal(self) -> NoProjectError:
        problem = f"{self._root} is not in a git repository"
        return NoProjectError(problem, remedy="git init")
