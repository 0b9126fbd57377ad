"""`imgdata import`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import DryRun, Jobs, Select, session_of
from imgdata.cli.session import Session
from imgdata.errors import UsageError
from imgdata.model.public_data import Fetched
from imgdata.model.selection import parse_selection
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.imports import Importing
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
    project = session.open(writing=not dry_run)
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
    outcomes = list(importing.fetch(reference, plan, jobs=jobs))
    for added in importing.add(plan, level, outcomes):
        session.say(f"added {added.unit.title}: {added.nfiles:,} files, {format_size(added.size)}")
        session.add(
            {
                "level": added.unit.level.name,
                "unit": added.unit.name,
                "version": added.version,
                "nfiles": added.nfiles,
                "size": added.size,
            }
        )
    trusted = sum(1 for one in outcomes if isinstance(one, Fetched) and not one.checked)
    if trusted:
        session.say(
            f"{trusted:,} files have no checksum at their source; "
            "what came first is trusted from now on"
        )
    session.finish_writing(project, f"Import {plan.record.reference}")


def _show_plan(session: Session, plan: "ImportPlan") -> None:
    record = plan.record
    unknown = sum(1 for file in plan.files if file.size is None)
    more = f" and {unknown} of unknown size" if unknown else ""
    session.say(f"{record.reference}: {record.title}")
    session.say(
        f"  {len(plan.files):,} of {len(record.files):,} files, {format_size(plan.size)}{more}; "
        f"licence: {record.license or 'not stated'}; version: {record.version or '-'}"
    )
    session.say(f"  {record.citation or record.source}")
    for remark in record.remarks:
        session.say(f"  note: {remark}")
    for file in plan.files[: None if session.verbose else SHOWN]:
        size = format_size(file.size) if file.size is not None else "?"
        session.say(f"    {file.name}  {size}  {file.checksum or 'no checksum'}")
    if len(plan.files) > SHOWN and not session.verbose:
        session.say(f"    ... and {len(plan.files) - SHOWN:,} more (--verbose)")
    session.add(
        {
            "reference": record.reference,
            "source": record.source,
            "title": record.title,
            "doi": record.doi,
            "concept": record.concept,
            "version": record.version,
            "license": record.license,
            "citation": record.citation,
            "bytes": plan.size,
            "unit": plan.unit,
            "files": [
                {"name": f.name, "bytes": f.size, "checksum": f.checksum} for f in plan.files
            ],
        }
    )


def _check_updates(session: Session, importing: "Importing") -> None:
    found = list(importing.check_updates())
    for update in found:
        newer = update.newest != update.reference
        word = f"newer: {update.newest}" if newer else "newest"
        session.say(f"{update.level} {update.unit}: {update.reference}   {word}")
        session.add(
            {
                "level": update.level,
                "unit": update.unit,
                "reference": update.reference,
                "newest": update.newest,
                "newer": newer,
            }
        )
    if not found:
        session.say("nothing was imported yet")
