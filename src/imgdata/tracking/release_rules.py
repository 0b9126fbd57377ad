"""The origins as the release branch states them: only a committed rule lets data leave."""

from collections.abc import Mapping
from pathlib import Path

from imgdata.errors import ImgdataError
from imgdata.project.config import Config, Origin
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.system import process


def committed_origins(root: Path, branch: str) -> Mapping[str, Origin]:
    """Return the origins of imgdata.yaml on the release branch as last fetched.

    The remote's branch counts where there is one, else the local one. Without either, or where
    the file there cannot be read, nothing is stated.
    """
    for ref in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
        found = process.run(
            ["git", "cat-file", "blob", f"{ref}:./{CONFIG_NAME}"],
            cwd=root,
            env={"GIT_OPTIONAL_LOCKS": "0"},
            accept=(0, 128),
        )
        if found.returncode == 0:
            return _origins(found.stdout)
    return {}


def _origins(data: bytes) -> Mapping[str, Origin]:
    try:
        return parse_config(data.decode("utf-8", "replace")).origins
    except ImgdataError:
        return {}


def rules(config: Config, root: Path) -> tuple[Mapping[str, Origin], ...]:
    """Return both readings of the origins, for `imgdata.policy.restrictions.may_leave`."""
    return committed_origins(root, config.release_branch), config.origins
