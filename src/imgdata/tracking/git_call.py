"""The one way to call git: without hooks, file watchers, prompts or optional locks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from imgdata.system.process import Completed, run

# Nothing of the repository runs: no hook, no file watcher; reading takes no lock. What replace
# refs of this clone say of a commit does not count: its rules are those that were fetched.
GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
QUIET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
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
    return run((*GIT, *args), cwd=cwd, env={**QUIET, **(env or {})}, accept=accept, stdin=stdin)
