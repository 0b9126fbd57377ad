"""Ignore files: the same answer as git's own for any rules."""

import random
import subprocess
from pathlib import Path

import pytest

from imgdata.dvc_files.ignoring import GIT_DEFAULTS, IgnoreRules
from imgdata.system.folder_tree import FolderTree

FOLDERS = ("a", "b", "a/b", "a/b/c", "plates/P1", "plates/P2")
FILES = ("x.dvc", "dvc.yaml", "P1.dvc", "a b.dvc", "é.dvc")
RULES = (
    "/a", "a", "b/", "/b/", "*.dvc", "!x.dvc", "P?", "/P1", "/P2", "/P1.dvc", "a/b", "/a/b/",
    "**/c", "plates/*", "!plates/P1", "# note", "", "\\#x", "[ab]", "dvc.*", "/é.dvc", "/a b.dvc",
    "!/P1", "*", "!*/", "c/**", "/plates/P1/x.dvc", "x.dvc/", "P1/",
)  # fmt: skip


def left_out(tree: FolderTree, path: str) -> bool:
    """Walk down to a path as collecting does; what is below an ignored folder is ignored."""
    rules = IgnoreRules(tree.read, GIT_DEFAULTS, ".gitignore", "")
    parts = path.split("/")
    for count in range(len(parts)):
        folder, below = "/".join(parts[:count]), "/".join(parts[: count + 1])
        ignored = rules.enter(folder, tree.children(folder)[1])
        if ignored(below, is_folder=count + 1 < len(parts)):
            return True
    return False


@pytest.mark.parametrize("seed", range(25))
def test_random_rules_leave_out_what_git_leaves_out(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311 - no secret
    root = tmp_path / "repository"
    paths = [f"{folder}/{name}" for folder in FOLDERS for name in FILES] + list(FILES)
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    for folder in ("", "a/", "plates/"):
        rules = chosen.sample(RULES, chosen.randrange(6))
        (root / f"{folder}.gitignore").write_text("\n".join(rules) + "\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    listed = subprocess.run(
        ["git", "check-ignore", "--stdin", "-z"],
        cwd=root,
        input="\0".join(paths).encode(),
        capture_output=True,
        check=False,
    ).stdout.decode()
    tree = FolderTree(root)
    assert [path for path in paths if left_out(tree, path)] == listed.split("\0")[:-1]
