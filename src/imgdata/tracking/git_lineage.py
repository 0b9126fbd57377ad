"""Opens any git repository for lineage: with DVC, DataLad, both or neither."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imgdata.lineage.answer import Answer
from imgdata.tracking.git_history import GitHistory, find_root, is_bare
from imgdata.tracking.git_tree import GitWorkingTree
from imgdata.workflows.lineage import Question, Repository
from imgdata.workflows.lineage_arguments import ask


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


def lineage(
    files: Sequence[str | os.PathLike[str]] = (),
    *,
    path: str | os.PathLike[str] = ".",
    question: Question | None = None,
) -> tuple[Answer, ...]:
    """Say how files were made; works in any git repository, with or without imgdata.yaml.

    Args:
        files: Levels, files and folders, relative to `path`; without any, all tracked data.
        path: A folder of the repository.
        question: What else is asked: a revision, versions, differences, what was made from it.

    Raises:
        NoProjectError: The folder is in no git repository.
        NothingFoundError: A file is nowhere recorded, or a table has no such row.
        UsageError: A revision does not exist.
    """
    base = Path(path).absolute()
    with open_repository(base) as repository:
        names = [os.fspath(file) for file in files]
        return tuple(ask(repository, base, names, question or Question()))
