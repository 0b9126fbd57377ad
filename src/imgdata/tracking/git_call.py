"""The one way to call git: without hooks, file watchers, prompts or optional locks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from imgdata.system.process import Completed, run

# Nothing of the repository runs: no hook, no file watcher; reading takes no lock. What a person
# likes to see of a log (signatures, other names, another encoding) is not in what code reads.
GIT = (
    "git", "--no-pager",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.quotepath=off",
    "-c", "diff.renames=false",
    "-c", "log.showSignature=false",
    "-c", "log.follow=false",
    "-c", "i18n.logOutputEncoding=UTF-8",
)  # fmt: skip
QUIET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "0",
}
CALLED = {**QUIET, "GIT_NO_REPLACE_OBJECTS": "1"}
"""What replace refs of a clone say of a commit does not count: its rules are those fetched."""
NO_FETCHING = {"GIT_NO_LAZY_FETCH": "1"}
"""A clone made with `--filter` would ask its remote for every object that it lacks."""
FATAL = 128


def call_git(
    args: Sequence[str],
    cwd: Path,
    *,
    accept: Sequence[int] = (0,),
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run one git command; `env` are variables beside those that keep it quiet."""
    return run(
        (*GIT, *args),
        cwd=cwd,
        env={**CALLED, **(env or {})},
        accept=accept,
        stdin=stdin,
    )
