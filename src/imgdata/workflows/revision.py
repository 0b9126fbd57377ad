"""A project as it was at a tag or commit: its levels, records and recipe, read from git."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from imgdata.errors import UsageError
from imgdata.ports import GitObjects, Tree
from imgdata.project.config import Config
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.workflows.clone import Clone


class FolderOf(Struct, frozen=True):
    """One folder of a tree, as a tree of its own."""

    tree: Tree
    folder: str

    @property
    def description(self) -> str:
        """The tree, for messages."""
        return self.tree.description

    def read(self, path: str) -> bytes | None:
        """Return one file's bytes, or None if there is no such file."""
        return self.tree.read(f"{self.folder}/{path}")

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder, sorted."""
        inside = f"{self.folder}/{under}".rstrip("/")
        for path in self.tree.files(inside):
            yield path[len(self.folder) + 1 :]

    def is_folder(self, path: str) -> bool:
        """Tell whether the path is a folder."""
        return self.tree.is_folder(f"{self.folder}/{path}".rstrip("/"))


def tree_at(clone: Clone, objects: GitObjects, revision: str) -> tuple[Tree, str]:
    """Return the project's files as a revision has them, and that commit's id.

    Raises:
        UsageError: There is no such revision.
    """
    commit = objects.commit(revision).id
    tree: Tree = objects.tree(commit)
    if clone.root != clone.git.root:
        tree = FolderOf(tree, clone.root.relative_to(clone.git.root).as_posix())
    return tree, commit


def config_at(tree: Tree, revision: str) -> Config:
    """Return imgdata.yaml as a revision has it.

    Raises:
        UsageError: It has none.
        InvalidProjectError: It is not valid.
    """
    text = tree.read(CONFIG_NAME)
    if text is None:
        problem = f"'{revision}' has no {CONFIG_NAME}"
        raise UsageError(problem, remedy="choose a revision from after imgdata init")
    return parse_config(text.decode("utf-8", "replace"), name=f"{revision}:{CONFIG_NAME}")


def clone_at(clone: Clone, objects: GitObjects, revision: str) -> tuple[Clone, str]:
    """Return the project as a revision has it, and that commit's id.

    Levels, records, description and recipe are the revision's. Storages, repositories, the release
    branch and what origins allow are today's: where data may go is decided now. A level is looked
    for where it is kept today, then where it was kept.

    Raises:
        UsageError: There is no such revision, or no project in it.
        InvalidProjectError: Its imgdata.yaml is not valid.
    """
    tree, commit = tree_at(clone, objects, revision)
    then = config_at(tree, revision)
    now = clone.config
    config = replace(
        then,
        storages=now.storages,
        repositories=now.repositories,
        release_branch=now.release_branch,
        origins={**then.origins, **now.origins},
        levels={
            name: replace(
                level,
                storages=now.levels[name].storages if name in now.levels else level.storages,
                then=now.levels[name].then if name in now.levels else level.then,
            )
            for name, level in then.levels.items()
        },
    )
    return replace(clone, config=config, tree=tree, read_before=None), commit
