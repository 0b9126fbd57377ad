"""Prints what DVC's own state and folder lists say, as JSON; a program of its own.

`state ROOT SITE PATH...` prints the md5 that DVC remembers of each path, null where it would hash.
`remember ROOT SITE PATH MD5` lets DVC remember one. `folder` reads `[md5, path]` pairs from
standard input and prints the id and the bytes of the folder's list.
"""

import json
import os
import sys

from dvc.fs import LocalFileSystem
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree


def state(root: str, paths: list[str]) -> list[str | None]:
    with Repo(root) as repo:
        found = (repo.state.get(path, LocalFileSystem()) for path in paths)
        return [None if info is None else info.value for _, info in found]


def remember(root: str, path: str, md5: str) -> str:
    with Repo(root) as repo:
        repo.state.save(path, LocalFileSystem(), HashInfo("md5", md5))
        return str(repo.state.hashes.directory)


def folder(pairs: list[list[str]]) -> list[str]:
    tree = Tree()
    for md5, path in pairs:
        tree.add(tuple(path.split("/")), Meta(), HashInfo("md5", md5))
    tree.digest()
    return [tree.hash_info.value, tree.as_bytes().decode()]


def main() -> object:
    match sys.argv[1:]:
        case ["state", root, *paths]:
            return state(root, paths)
        case ["remember", root, path, md5]:
            return remember(root, path, md5)
        case _:
            return folder(json.load(sys.stdin))


os.environ["DVC_NO_ANALYTICS"] = "1"
print(json.dumps(main()))  # noqa: T201 - its answer
