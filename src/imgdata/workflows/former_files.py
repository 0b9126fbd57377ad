"""Files in the workspace that another recorded version put there: they are no edits by hand.

After `git pull` or `git switch` the record is of another version than the files. These may be
replaced as long as the cache has them, by their name in the record of some commit.
"""

from collections.abc import Iterable
from contextlib import suppress

from imgdata.transfer.move import Intact, Item, check_one
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents


def former_files(clone: Clone, path: str, names: Iterable[str]) -> frozenset[str]:
    """Return which files of an out some recorded version has by this name and content.

    Only those whose object lies intact in the cache, so that nothing is lost with the file.
    Commits that were amended or reset away in this clone count as records, too.

    Args:
        clone: The project.
        path: The out, relative to the project's root.
        names: Files here that differ from the record of now, by path below the out.
    """
    wanted = set(names)
    stamps = {name: stamp for name, stamp in clone.workspace.scan(path).items() if name in wanted}
    here = {
        f"{path}/{name}" if name else path: (name, md5)
        for name, md5 in clone.workspace.hashes(path, stamps).items()
        if md5 and clone.cache.stat(Item(md5, ()).key) is not None
    }
    if not here:  # what was edited by hand is not in the cache: history need not be read
        return frozenset()
    contents = Contents(clone)
    found: dict[str, Item] = {}
    for version in clone.history.ever:
        if version.path != path:
            continue
        for item in contents.items(version) or ():
            for full in item.names:
                if full in here and here[full][1] == item.object_id:
                    found[here[full][0]] = item
    return frozenset(name for name, item in found.items() if _is_kept(clone, path, name, item))


def _is_kept(clone: Clone, path: str, name: str, item: Item) -> bool:
    """Tell whether the cache has a file's content whole; a link to it was hashed already."""
    with suppress(OSError):
        if (clone.root / path / name).samefile(clone.dvc.cache_dir / item.key):
            return True
    return isinstance(check_one(item, clone.cache), Intact)
