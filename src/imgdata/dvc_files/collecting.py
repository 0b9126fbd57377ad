"""Finding the DVC files of a project, from the top down, without walking into its data."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from imgdata.dvc_files.dot_dvc import is_dot_dvc
from imgdata.dvc_files.ignoring import DVC_DEFAULTS, GIT_DEFAULTS, Ignored, IgnoreRules
from imgdata.dvc_files.lock import LOCK_NAME
from imgdata.dvc_files.places import join
from imgdata.ports import Tree

DVC_FOLDER = ".dvc"
_PIPELINE = "dvc.yaml"
_PIPELINE_FILES = frozenset((_PIPELINE, LOCK_NAME))
Children = tuple[frozenset[str], tuple[str, ...]]


@runtime_checkable
class CanList(Protocol):
    """A tree that can list one folder without its subfolders, as a working folder can."""

    def children(self, folder: str = "") -> Children:
        """Return the names of the folders and of the files directly in a folder."""


class _Listing:
    """The folders of a tree that only knows all its files, as a commit does."""

    def __init__(self, files: Iterable[str]) -> None:
        self._folders: dict[str, tuple[set[str], list[str]]] = {"": (set(), [])}
        for path in files:
            folder, _, name = path.rpartition("/")
            self._known(folder)[1].append(name)

    def _known(self, folder: str) -> tuple[set[str], list[str]]:
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = (set(), [])
            above, _, name = folder.rpartition("/")
            self._known(above)[0].add(name)
        return known

    def children(self, folder: str = "") -> Children:
        """Return the names of the folders and of the files directly in a folder."""
        folders, files = self._folders.get(folder, (set(), []))
        return frozenset(folders), tuple(files)


def lister(tree: Tree, root: str = "") -> Callable[[str], Children]:
    """Return the function that lists one folder of a tree."""
    if isinstance(tree, CanList):
        return tree.children
    return _Listing(tree.files(root)).children


def collect(tree: Tree, root: str, outs_of: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """Yield the paths of all dvc.yaml and `.dvc` files of one DVC project, top down.

    A dvc.lock is yielded where there is no dvc.yaml beside it.

    Folders that DVC does not look into are not walked: tracked data, what `.dvcignore` names,
    other DVC projects below this one, and in a working folder what git ignores.

    Args:
        tree: A working folder or a commit.
        root: The project's folder, empty for the tree's root.
        outs_of: Called with each file found; returns the paths of its outs, to be skipped.
    """
    children = lister(tree, root)
    use_git = isinstance(tree, CanList)
    known_outs: set[str] = set()
    rules = IgnoreRules(tree.read, DVC_DEFAULTS, ".dvcignore", root)
    git_rules = IgnoreRules(tree.read, GIT_DEFAULTS, ".gitignore", "") if use_git else None
    if git_rules is not None:
        git_rules.add_file(".git/info/exclude", "")
        git_rules.enter_all_above(root)
    pending = [root]
    while pending:
        folder = pending.pop()
        folders, files = children(folder)
        if folder != root and DVC_FOLDER in folders:
            continue
        ignored = rules.enter(folder, files)
        git_ignored = git_rules.enter(folder, files) if git_rules else None
        for name in _dvc_files(files):
            path = join(folder, name)
            if _kept(path, ignored, git_ignored, is_folder=False):
                yield path
                known_outs.update(outs_of(path))
        below = [join(folder, name) for name in sorted(folders, reverse=True)]
        pending.extend(
            path
            for path in below
            if path not in known_outs and _kept(path, ignored, git_ignored, is_folder=True)
        )


def _dvc_files(files: Iterable[str]) -> list[str]:
    """Return the DVC files of a folder; a dvc.lock counts where its dvc.yaml is gone."""
    names = [name for name in files if name in _PIPELINE_FILES or is_dot_dvc(name)]
    return [name for name in names if name != LOCK_NAME or _PIPELINE not in names]


def _kept(path: str, ignored: Ignored, git_ignored: Ignored | None, *, is_folder: bool) -> bool:
    if ignored(path, is_folder=is_folder):
        return False
    return git_ignored is None or not git_ignored(path, is_folder=is_folder)


def dvc_roots(tree: Tree) -> tuple[str, ...]:
    """Return the folders of all DVC projects of a tree, the empty text for its root, sorted.

    In a working folder this walks everything that git does not ignore.
    """
    children = lister(tree)
    found: list[str] = []
    git_rules = IgnoreRules(tree.read, GIT_DEFAULTS, ".gitignore", "")
    pending = [""]
    while pending:
        folder = pending.pop()
        folders, files = children(folder)
        ignored = git_rules.enter(folder, files)
        if DVC_FOLDER in folders:
            found.append(folder)
        pending.extend(
            path
            for name in folders
            if name != DVC_FOLDER and not ignored(path := join(folder, name), is_folder=True)
        )
    return tuple(sorted(found))
