"""`imgdata storage ...`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, assert_never

import typer

from imgdata.cli.options import DryRun, Yes, change_json, session_of
from imgdata.cli.session import Session
from imgdata.cli.storage_login import login
from imgdata.errors import ImgdataError, UsageError

if TYPE_CHECKING:
    from imgdata.project.config import Option
    from imgdata.workflows.storages import TrialOutcome

STEP_WORDS = {
    "write": "writes an object",
    "read": "gives it back unchanged",
    "list": "lists it",
    "erase": "erases it",
}

app = typer.Typer(
    help="Storages: list, try out, add, move, and bring DVC's files in line with imgdata.yaml.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    from imgdata.cli.storage_lost import lost  # noqa: PLC0415 - it stands in a file of its own
    from imgdata.cli.storage_move import move  # noqa: PLC0415 - it stands in a file of its own

    app.command(short_help="Note that a storage is gone: none of its copies counts.")(lost)
    app.command(short_help="Copy levels to their next storage, then leave the old.")(move)
    app.command(short_help="Keep a token in the system's keyring.")(login)
    parent.add_typer(app, name="storage")


@app.command(short_help="Bring DVC's files in line with imgdata.yaml.")
def apply(context: typer.Context, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Show what DVC's files must say after a change of imgdata.yaml, and write it."""
    session = session_of(context)
    project = session.open(writing=not dry_run)
    changes = project.plan_apply()
    for change in changes:
        session.say(change.diff(project.root))
        session.add(change_json(change, project.root))
    if not changes:
        session.say("DVC's files agree with imgdata.yaml")
    for warning in project.out_of_sight():
        session.note(f"note: {warning}")
    if dry_run or not changes:
        return
    session.confirm("write this?", yes=yes, why="this would change DVC's files as shown")
    project.apply(changes)
    session.finish_writing(project, "Bring DVC's files in line with imgdata.yaml")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the project's storages; asks none of them."""
    session = session_of(context)
    lines = session.open().storages()
    rows = [("storage", "url", "levels", "plain DVC")]
    for line in lines:
        config = line.config
        rows.append(
            (config.name, config.url, ", ".join(line.levels) or "-", "yes" if line.in_dvc else "no")
        )
        session.add(
            {
                "storage": config.name,
                "url": config.url,
                "options": dict(config.options),
                "levels": list(line.levels),
                "dvc_remote": line.in_dvc,
            }
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        session.say("  ".join(cells).rstrip())


@app.command("test", short_help="Write, read back, list and erase a small object.")
def try_(
    context: typer.Context,
    storage_names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Storages; all without one.")
    ] = None,
) -> None:
    """Write, read back, list and erase a small object on storages, and say what fails."""
    session = session_of(context)
    project = session.open()
    errors = []
    for name in storage_names or list(project.config.storages):
        try:
            _show_trial(session, name, project.try_storage(name))
        except ImgdataError as error:
            session.add({"storage": name, "error": error.problem, "kind": error.kind})
            errors.append(error)
            session.say(f"{name}: FAILED: {error.problem}")
    if errors:
        raise errors[0]


@app.command(short_help="Try a new storage out; if it works, write it down.")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A new name: lab-s3.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where it is: s3://lab/nf1.")],
    *,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="Another key: endpoint_url=https://..."),
    ] = None,
    level: Annotated[
        list[str] | None, typer.Option("--level", metavar="LEVEL", help="Keep the level there too.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Try a new storage out; if it works, write it to imgdata.yaml and DVC's configuration."""
    session = session_of(context)
    project = session.open(writing=not dry_run)
    plan = project.plan_storage(name, url, dict(map(_option, option or ())), tuple(level or ()))
    if not dry_run:
        _show_trial(session, name, project.try_new_storage(plan))
    for change in plan.changes:
        session.say(change.diff(project.root))
        session.add(change_json(change, project.root))
    if dry_run:
        return
    project.add_storage(plan)
    session.finish_writing(project, f"Add storage {name}")


def _option(text: str) -> "tuple[str, Option]":
    """Read `KEY=VALUE` as YAML would: numbers, true and false are what they look like."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        problem = f"--option {text}: write it as KEY=VALUE"
        raise UsageError(problem)
    if value.lower() in {"true", "false"}:
        return key, value.lower() == "true"
    for number in (int, float):
        try:
            return key, number(value)
        except ValueError:
            continue
    return key, value


def _show_trial(session: Session, name: str, trial: "Iterator[TrialOutcome]") -> None:
    """Print the steps of a trial as they end.

    Raises:
        ImgdataError: What the storage failed with.
    """
    from imgdata.workflows.storages import Failed, Lacking, Passed  # noqa: PLC0415 - fast --help

    steps: list[dict[str, Any]] = []
    session.add({"storage": name, "steps": steps})
    for outcome in trial:
        steps.append({"step": outcome.step, "ok": isinstance(outcome, Passed)})
        words = STEP_WORDS[outcome.step]
        match outcome:
            case Passed():
                session.say(f"{name}: {words}")
            case Lacking(_, meaning):
                steps[-1]["meaning"] = meaning
                session.say(f"{name}: never {words}: {meaning}")
            case Failed(_, error):
                steps[-1]["problem"] = error.problem
                raise error
            case _:
                assert_never(outcome)
