"""What to type so that a version which is not recorded now becomes recoverable."""

from imgdata.errors import ImgdataError
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.workflows.clone import Clone
from imgdata.workflows.history import History, Version

SHORT = 8
AT_ITS_COMMIT = ("imgdata run ", "imgdata push ")
"""Commands that work on the recorded version, so that an old one must be checked out for them."""


def level_at(clone: Clone, commit: str, level: str) -> str:
    """Return what a level of today was called at a commit, branch or tag."""
    path = f"{clone.git_prefix}{CONFIG_NAME}"
    try:
        then = parse_config(clone.git.blobs_at(commit, [path])[path].decode("utf-8", "replace"))
    except (KeyError, ImgdataError):
        return level
    folder = clone.config.levels[level].path
    names = (one.name for one in then.levels.values() if clone.renames.path_now(one.path) == folder)
    return next(names, level)


def remedy_for(clone: Clone, version: Version, remedy: str, history: History) -> str:
    """Return a remedy as it works for a version: from a commit that records it, if it is old."""
    if version in history.current or not remedy.startswith(AT_ITS_COMMIT):
        return remedy
    if remedy.endswith(" --repair"):  # verify mends old versions from here
        storage = remedy.split(" --to ")[1]
        return f"imgdata verify {version.level} --on {storage} --repair"
    commit = history.commits.get(version)
    if commit is None:
        return remedy
    there = level_at(clone, commit, version.level)
    command = remedy.replace(f" {version.level} ", f" {there} ", 1)
    return f"git checkout {commit[:SHORT]} && {command} && git checkout -"
