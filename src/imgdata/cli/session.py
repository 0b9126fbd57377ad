"""What one call of the command line is: its global options, its output, its questions."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from msgspec import Struct, field

from imgdata.errors import ImgdataError, RefusedError

if TYPE_CHECKING:
    from rich.console import Console

    from imgdata.api import Project
    from imgdata.dvc_repository import DvcRepository
    from imgdata.system.progress import Progress

DOCUMENT_VERSION = 1
PLAIN_WIDTH = 200


class Session(Struct):
    """Global options, and what the command has to say so far.

    Attributes:
        results: What `--json` shows, one mapping a result; filled by the command.
    """

    project: Path = field(default_factory=Path)
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    command: str = ""
    results: list[Mapping[str, Any]] = field(default_factory=list)
    ok: bool = True

    def open(self, *, writing: bool = False) -> "Project":
        """Open the project the command works on."""
        from imgdata.api import open_project  # noqa: PLC0415 - keeps --help fast

        return open_project(self.project, writing=writing)

    def open_data(self, *, writing: bool = False) -> "DvcRepository":
        """Open the project, or the DVC repository by path where there is no imgdata.yaml."""
        from imgdata.api import open_data  # noqa: PLC0415 - keeps --help fast

        return open_data(self.project, writing=writing)

    @property
    def out(self) -> "Console":
        """Standard output for people; silent with `--json` and `--quiet`."""
        return _console(stderr=False, silent=self.as_json or self.quiet)

    @property
    def err(self) -> "Console":
        """Standard error: questions, progress, errors."""
        return _console(stderr=True, silent=False)

    def say(self, text: str = "") -> None:
        """Print a line for people, as it is."""
        if not (self.as_json or self.quiet):
            print(text)  # noqa: T201 - the one place that prints

    def note(self, text: str) -> None:
        """Print a remark on standard error."""
        if not self.quiet:
            print(text, file=sys.stderr)  # noqa: T201 - the one place that prints

    def add(self, result: Mapping[str, Any]) -> None:
        """Keep one result for `--json`."""
        self.results.append(result)

    def progress(self) -> "Progress":
        """Return a progress bar on a terminal, silence elsewhere (without loading the bars)."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            from imgdata.system.progress import SILENT  # noqa: PLC0415 - keeps --help fast

            return SILENT
        from imgdata.cli.progress import BarProgress  # noqa: PLC0415 - keeps --help fast

        return BarProgress()

    @property
    def is_terminal(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.as_json

    @property
    def width(self) -> int:
        """How many characters a line takes: as many as the terminal has, else any number."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize

    def confirm(self, question: str, *, yes: bool, why: str) -> None:
        """Ask before something that cannot be undone; without a terminal it takes `--yes`.

        Raises:
            RefusedError: The answer is no, or nobody can be asked.
        """
        if yes:
            return
        if not self.is_terminal:
            raise RefusedError(why, remedy="run the same command with --yes")
        if not typer.confirm(question, err=True):
            problem = "nothing was done"
            raise RefusedError(problem)

    def ask(self, question: str, default: str, *, yes: bool) -> str:
        """Ask for a text on a terminal; the default elsewhere."""
        if yes or not self.is_terminal:
            return default
        shown = bool(default)
        return str(typer.prompt(question, default=default, show_default=shown, err=True))

    def finish_writing(self, project: "DvcRepository", message: str) -> None:
        """Commit what was written, ask, or print the line to type, as imgdata.yaml says."""
        staged = project.clone.git.staged
        if not staged:
            return
        mode = project.config.commit
        if mode == "ask" and self.is_terminal:
            mode = (
                "auto" if typer.confirm(f"commit '{message}'?", default=True, err=True) else "never"
            )
        if mode == "auto":
            commit = project.clone.git.commit(message)
            self.say(f"committed {commit[:8]}: {message}")
        else:
            self.say(f'to commit:  git commit -m "{message}"')

    @contextmanager
    def committing(self, project: "DvcRepository", message: str) -> Iterator[None]:
        """Finish writing at the end, also where it stops half way: what was noted is kept.

        All of it goes into one file of the log.
        """
        try:
            with project.clone.log_file.one_command():
                yield
        finally:
            self.finish_writing(project, message)

    def close(self, error: ImgdataError | None) -> None:
        """Print the JSON document, or the error for people."""
        if self.as_json:
            print(json.dumps(self._document(error), indent=2, ensure_ascii=False))  # noqa: T201 - the one place
        elif error is not None:
            self._print_error(error)

    def _document(self, error: ImgdataError | None) -> dict[str, Any]:
        document: dict[str, Any] = {
            "v": DOCUMENT_VERSION,
            "ok": error is None and self.ok,
            "command": self.command,
            "results": self.results,
        }
        if error is not None:
            document["error"] = {
                "kind": error.kind,
                "problem": error.problem,
                "cause": error.cause,
                "remedy": error.remedy,
            }
        return document

    def _print_error(self, error: ImgdataError) -> None:
        lines = [error.problem]
        for label, text in (("cause:", error.cause), ("try:", error.remedy)):
            rows = text.strip().splitlines()
            lines += [f"  {label if not index else '':<7}{row}" for index, row in enumerate(rows)]
        print("imgdata: " + "\n".join(lines), file=sys.stderr)  # noqa: T201 - the one place


def _console(*, stderr: bool, silent: bool) -> "Console":
    from rich.console import Console  # noqa: PLC0415 - keeps --help fast

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(stderr=stderr, quiet=silent, highlight=False, soft_wrap=True, width=width)
