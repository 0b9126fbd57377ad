"""Opens any git repository for lineage: with DVC, DataLad, both or neither."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgdata.tracking.git_history import GitHistory, find_root, is_bare
from imgdata.tracking.git_tree import GitWorkingTree
from imgdata.workflows.lineage import Repository


@contextmanager
def open_repository(folder: Path) -> Iterator[Repository]:
    """Open the git repository a folder is in; ends git's processes at the end.

    Raises:
        NoProjectError: The folder is in no git repository.
    """
    root = find_root(folder)
    history = GitHistory(root)
    try:
        tree = None if is_bare(root) else GitWorkingTree(root)
        yield Repository(root, history, history, tree, history.head())
    finally:
        history.close()
