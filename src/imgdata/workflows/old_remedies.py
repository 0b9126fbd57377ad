"""What to type so that a version which is not recorded now becomes recoverable."""

from imgdata.workflows.history import History, Version

SHORT = 8
AT_ITS_COMMIT = ("imgdata run ", "imgdata push ")
"""Commands that work on the recorded version, so that an old one must be checked out for them."""


def remedy_for(version: Version, remedy: str, history: History) -> str:
    """Return a remedy as it works for a version: from a commit that records it, if it is old."""
    if version in history.current or not remedy.startswith(AT_ITS_COMMIT):
        return remedy
    if remedy.endswith(" --repair"):  # verify mends old versions from here
        storage = remedy.split(" --to ")[1]
        return f"imgdata verify {version.level} --on {storage} --repair"
    commit = history.commits.get(version)
    return f"git checkout {commit[:SHORT]} && {remedy} && git checkout -" if commit else remedy
