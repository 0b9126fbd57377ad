"""The entry point: global options, one outermost frame for every failure, the exit status."""

import errno
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import imgdata
from imgdata.cli.listeners import go_on_unheard
from imgdata.cli.session import Session
from imgdata.cli.summaries import SUMMARIES
from imgdata.errors import (
    BugError,
    Exit,
    ImgdataError,
    InterruptedByUserError,
    MachineError,
    UsageError,
)

HELP = """Keep imaging data versioned, stored where it belongs, and answerable for.

A project has levels (raw images, masks, profiles, ...); each level has units (plates) and storages.
"""
EPILOG = "Every command takes --project DIR, --json, --quiet, --verbose, --debug."
FLAGS = {"--json": "as_json", "--quiet": "quiet", "--verbose": "verbose", "--debug": "debug"}
COMMANDS = (
    ("init", "Project"),
    ("add", "Data"),
    ("run", "Data"),
    ("status", "Questions"),
    ("lineage", "Questions"),
    ("check", "Questions"),
    ("fingerprint", "Questions"),
    ("describe", "Project"),
    ("exclude", "Data"),
    ("note", "Data"),
    ("whereis", "Questions"),
    ("audit", "Questions"),
    ("verify", "Storage"),
    ("drop", "Storage"),
    ("push", "Storage"),
    ("pull", "Storage"),
    ("storage", "Storage"),
    ("level", "Project"),
    ("publish", "Publication"),
    ("import_data", "Publication"),
    ("merge_dvc_lock", "Project"),
)
"""The commands in the order of `--help`: module of `imgdata.cli`, and the panel it stands in."""

TEXTS = frozenset({"-h", "--help", "--version"})
"""Options that print a text and end."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
COMPLETION_VARIABLE = "_IMGDATA_COMPLETE"  # the shell asks for words, of any command

# What typer raises for wrong words on the command line; it has no public name of its own.
WordsError: type[Exception] = typer.BadParameter.__bases__[0]


def application(wanted: str | None = None) -> typer.Typer:
    """Return the command line, with all commands or with one.

    Args:
        wanted: The one command that will run; of the others only name and summary are known then,
            so that `imgdata --help` (wanted is empty) imports none of them.
    """
    app = typer.Typer(
        help=HELP,
        epilog=EPILOG,
        add_completion=True,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for module, _panel in COMMANDS:
        command, summary = SUMMARIES.get(module, (wanted, ""))
        if wanted is None or command == wanted:
            import_module(f"imgdata.cli.{module}").register(app)
        elif summary:
            app.command(command, short_help=summary)(_known_by_name)
    return app


def _known_by_name() -> None:
    """Stand for a command that this call does not run."""


def _version(value: bool) -> None:  # noqa: FBT001 - typer's callback
    if value:
        typer.echo(f"imgdata {imgdata.__version__}")
        raise typer.Exit


def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Global options are taken out of the arguments before typer sees them."""


def take_globals(arguments: Sequence[str], session: Session) -> list[str]:
    """Take the global options, wherever they stand, out of the arguments into the session.

    Raises:
        UsageError: `--project` without a folder.
    """
    rest: list[str] = []
    todo = iter(arguments)
    for word in todo:
        if word == "--":
            return [*rest, word, *todo]
        if word in FLAGS:
            setattr(session, FLAGS[word], True)
        elif word == "--project" or word.startswith("--project="):
            value = word.partition("=")[2] or next(todo, "")
            if not value:
                problem = "--project needs a folder"
                raise UsageError(problem)
            session.project = Path(value)
        else:
            rest.append(word)
    return rest


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its status."""
    # What a command makes for each file lives to its end: looking for cycles in it finds none.
    gc.set_threshold(20_000, 50)
    go_on_unheard()
    session = Session()
    status, error = _run(sys.argv[1:] if arguments is None else arguments, session)
    session.close(error)
    sys.stdout.flush()
    sys.exit(status)


def _run(arguments: Sequence[str], session: Session) -> tuple[int, ImgdataError | None]:
    """Run the command; return the exit status and the failure to tell, if any."""
    try:
        words = take_globals(arguments, session)
        session.command = next((word for word in words if not word.startswith("-")), "")
        wanted = None if COMPLETION_VARIABLE in os.environ else session.command
        done = _call(typer.main.get_command(application(wanted)), words, session)
    except typer.Exit as stop:
        return stop.exit_code, None
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the one broad except; panics of Rust are bare
        if session.debug:
            traceback.print_exc()
        told = _told(error)
        return told.exit_status, told
    return int(done) if isinstance(done, int) else Exit.DONE, None


def _call(command: Any, words: list[str], session: Session) -> object:  # noqa: ANN401 - typer's own
    """Run the command; without any words it shows its help, and with `--json` as a document."""
    try:
        asked = words[: words.index("--")] if "--" in words else words
        if session.as_json and TEXTS & set(asked):
            return _as_document(command, words, session)
        return command.main(words, prog_name="imgdata", standalone_mode=False, obj=session)
    except WordsError as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            raise
        return _call(command, [*words, "--help"], session)


def _as_document(command: Any, words: list[str], session: Session) -> object:  # noqa: ANN401 - as above
    text = StringIO()
    try:
        with redirect_stdout(text):
            return command.main(words, prog_name="imgdata", standalone_mode=False, obj=session)
    finally:
        session.add({"text": text.getvalue()})


def _told(error: BaseException) -> ImgdataError:
    """Put whatever stopped the command into a sentence."""
    if isinstance(error, ImgdataError):
        return error
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        return InterruptedByUserError("interrupted; what is done is kept, the same command goes on")
    if isinstance(error, WordsError):
        asked = getattr(getattr(error, "ctx", None), "command_path", "imgdata")
        said = getattr(error, "format_message", lambda: str(error))()
        return UsageError(said, remedy=f"{asked} --help")
    if isinstance(error, OSError) and error.errno in FULL:
        return MachineError(
            f"the disk is full: {error.strerror}",
            cause=str(error.filename or "df -h tells which disk"),
            remedy="free some MB there and run the same command again: it goes on",
        )
    if isinstance(error, OSError):
        problem = f"the operating system refused: {error.strerror or error}"
        return MachineError(problem, cause=str(error.filename or ""))
    return BugError(
        "this is a bug in imgdata; nothing that it had not finished counts as done",
        cause=f"{type(error).__name__}: {error}",
        remedy="run the same command with --debug and report what it prints",
    )
