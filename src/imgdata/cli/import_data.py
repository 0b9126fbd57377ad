"""`imgdata import`."""

from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from imgdata.cli.options import DryRun, Jobs, Select, session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import StorageError, UsageError
from imgdata.model.public_data import ChangedThere, Newer, Newest, NotAsked, Update
from imgdata.model.selection import parse_selection
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.imports import Import, Importing
    from imgdata.workflows.import_data import ImportPlan

SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_data)


def import_data(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(metavar="[REF]", help="zenodo:ID, doi:..., cpg:..., s3://, https://")
    ] = "",
    *,
    level: Annotated[
        str, typer.Option(metavar="LEVEL", help="Where it goes; by default the first level.")
    ] = "",
    unit: Annotated[str, typer.Option(metavar="NAME", help="The name of the unit.")] = "",
    select: Select = None,
    jobs: Jobs = 4,
    check_updates: Annotated[
        bool,
        typer.Option("--check-updates", help="Say which imports have newer versions."),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Bring public data in: listed first, pinned to a version, verified, cited."""
    from imgdata.imports import Importing  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    project = session.open(writing=not (dry_run or check_updates))
    importing = Importing(project, session.progress())
    if check_updates:
        _check_updates(session, importing)
        return
    if not reference:
        problem = "what is to be imported?"
        raise UsageError(problem, remedy="imgdata import zenodo:1234567 --dry-run")
    plan = importing.plan(reference, level=level, select=parse_selection(select or ()), unit=unit)
    _show_plan(session, plan)
    if dry_run:
        return
    if not plan.files:
        session.say(f"{plan.title} has all of it already")
        return
    with session.committing(project, f"Import {plan.record.reference}"):
        _show_import(session, importing.add(plan, list(importing.fetch(plan, jobs=jobs))))


def _show_import(session: Session, done: "Import") -> None:
    added = done.added
    files = count(added.nfiles, "file")
    session.say(f"added {added.unit.title}: {files}, {format_size(added.size)}")
    for left in added.left_out:
        session.say(f"  left out: {left.path}: {left.why}")
    checked = sum(1 for one in done.fetched if one.checked)
    if checked:
        session.say(f"  {checked:,} of {len(done.fetched):,} files agree with their checksum there")
    if checked < len(done.fetched):
        rest = len(done.fetched) - checked
        session.say(f"  {rest:,} have no checksum there: what came first is trusted from now on")
    session.add(
        {
            "level": added.unit.level.name,
            "unit": added.unit.name,
            "version": added.version,
            "nfiles": added.nfiles,
            "size": added.size,
            "fetched": len(done.fetched),
            "checked": checked,
            "left_out": [{"path": left.path, "why": left.why} for left in added.left_out],
        }
    )


def _show_plan(session: Session, plan: "ImportPlan") -> None:
    record = plan.record
    unknown = sum(1 for file in plan.files if file.size is None)
    more = f" and {unknown:,} of unknown size" if unknown else ""
    session.say(f"{record.reference}: {record.title}")
    session.say(
        f"  {len(plan.files):,} of {len(record.files):,} files, {format_size(plan.size)}{more}; "
        f"licence: {record.license or 'not stated'}; version: {record.version or '-'}"
    )
    session.say(f"  {record.citation or record.source}")
    session.say(f"  into {plan.title}{_extending(plan)}")
    for remark in record.remarks:
        session.say(f"  note: {remark}")
    for file in plan.files[: None if session.verbose else SHOWN]:
        size = format_size(file.size) if file.size is not None else "?"
        session.say(f"    {file.name}  {size}  {file.checksum or 'no checksum'}")
    if len(plan.files) > SHOWN and not session.verbose:
        session.say(f"    ... and {len(plan.files) - SHOWN:,} more (--verbose)")
    session.add(_plan_json(plan))


def _extending(plan: "ImportPlan") -> str:
    if plan.extends is None:
        return ""
    return f", which is there: {len(plan.already):,} of the selected files are in it already"


def _plan_json(plan: "ImportPlan") -> dict[str, object]:
    record = plan.record
    return {
        "reference": record.reference,
        "source": record.source,
        "title": record.title,
        "doi": record.doi,
        "concept": record.concept,
        "version": record.version,
        "has_versions": record.has_versions,
        "license": record.license,
        "citation": record.citation,
        "remarks": list(record.remarks),
        "bytes": plan.size,
        "listed": len(record.files),
        "level": plan.level.name,
        "unit": plan.unit,
        "extends": plan.extends,
        "already": len(plan.already),
        "files": [{"name": f.name, "bytes": f.size, "checksum": f.checksum} for f in plan.files],
    }


def _check_updates(session: Session, importing: "Importing") -> None:
    found = list(importing.check_updates())
    for update in found:
        state, newest, lines = _told(update)
        session.say(f"{update.level} {update.unit}: {update.reference}   {lines[0]}")
        for line in lines[1 : None if session.verbose else SHOWN]:
            session.say(f"  {line}")
        session.add(
            {
                "level": update.level,
                "unit": update.unit,
                "reference": update.reference,
                "newest": newest,
                "newer": state in {"newer", "changed"},
                "state": state,
                "notes": lines[1:],
            }
        )
    if not found:
        session.say("nothing was imported yet")
    silent = [update for update in found if isinstance(update, NotAsked)]
    if silent:
        problem = f"{len(silent)} of {len(found)} sources could not be asked"
        raise StorageError(problem, cause="\n".join(one.problem for one in silent[:SHOWN]))


def _told(update: Update) -> tuple[str, str, list[str]]:
    """Return a word for the state, the newest reference, and the lines that say it."""
    match update:
        case Newest():
            return "newest", update.reference, ["newest"]
        case Newer():
            return "newer", update.newest, [f"newer: {update.newest}"]
        case ChangedThere():
            return "changed", update.reference, ["changed at its source", *update.changes]
        case NotAsked():
            return "unknown", "", [f"not asked: {update.problem}"]
        case _:
            assert_never(update)
