"""`imgdata add`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import DryRun, Sources, Yes, session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import PartlyDoneError, RefusedError
from imgdata.model.excerpts import first_lines, first_names
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.api import Project
    from imgdata.model.findings import CheckReport
    from imgdata.workflows.add import Added
    from imgdata.workflows.add_plan import AddPlan, UnitToAdd

SHOWN = 10
NAMED = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(add)


def add(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    level: Annotated[str, typer.Argument(metavar="LEVEL", help="The level the files belong to.")],
    sources: Sources,
    *,
    unit: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the unit.")] = None,
    origin: Annotated[str | None, typer.Option(metavar="NAME", help="Where it came from.")] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Delete the sources once their copies are checked.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="STORAGE", help="Send to it without a copy here."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take nothing when the check finds errors.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take files as the microscope left them; each SOURCE becomes a unit."""
    session = session_of(context)
    project = session.open(writing=not dry_run)
    if move or to is not None:
        from imgdata.cli.add_away import Request, add_away  # noqa: PLC0415 - keeps --help fast

        wanted = Request(level, tuple(sources), unit, origin, to, move, strict, dry_run, yes)
        add_away(session, project, wanted)
        return
    plan = project.plan_add(level, sources, unit=unit, origin=origin)
    show_plan(session, plan)
    if dry_run:
        session.results += [planned(one) for one in plan.units]
        return
    if strict:
        refuse_errors(session, project.check_headers([one.source for one in plan.units], level))
    done: list[Added] = []
    try:
        take_in(session, project, plan, done, strict=strict)
    finally:
        if done:
            session.finish_writing(project, f"Add {units_of(done)} to {level}")
    refuse_left_out(done)


def units_of(done: Sequence["Added"]) -> str:
    """Return the first units that were added, for the subject of a commit."""
    return first_names([one.unit.name or one.unit.level.name for one in done], NAMED)


def show_plan(session: Session, plan: "AddPlan") -> None:
    """Say what each source becomes."""
    for unit in plan.units:
        session.say(
            f"{unit.title}: {count(len(unit.files), 'file')}, {format_size(unit.size)} "
            f"from {unit.source}"
        )
        if unit.origin is None:
            session.say("  no origin is recorded, so it counts as restricted; --origin NAME")


def planned(
    one: "UnitToAdd", send_to: Sequence[str] = (), *, keep: bool = True, delete: bool = False
) -> dict[str, object]:
    """Return what would become of one source."""
    return {
        "plan": one.title,
        "level": one.level.name,
        "unit": one.name,
        "source": str(one.source),
        "send_to": list(send_to),
        "keep_here": keep,
        "delete_source": delete,
        "files": [file.relpath for file in one.files],
        "bytes": one.size,
    }


def take_in(
    session: Session, project: "Project", plan: "AddPlan", done: "list[Added]", *, strict: bool
) -> None:
    """Take planned units in, each told and checked at once; with `strict` they were before."""
    for added in project.add(plan, progress=session.progress()):
        done.append(added)
        show_added(session, added)
        if not strict:
            folder = project.root / added.unit.path
            show_findings(session, project.check_headers([folder], added.unit.level.name))


def show_added(session: Session, added: "Added") -> None:
    """Tell what became of one unit."""
    session.add(
        {
            "level": added.unit.level.name,
            "unit": added.unit.name,
            "path": added.unit.path,
            "version": added.version,
            "new": list(added.new),
            "already": added.already,
            "nfiles": added.nfiles,
            "size": added.size,
            "origin": added.unit.origin,
            "left_out": [{"path": one.path, "why": one.why} for one in added.left_out],
            "same_but_case": [list(pair) for pair in added.same_but_case],
        }
    )
    already = f", {added.already:,} were there" if added.already else ""
    session.say(
        f"added {added.unit.title}: {len(added.new):,} new{already}; "
        f"{count(added.nfiles, 'file')}, {format_size(added.size)}, version {added.version[:8]}"
    )
    for first, second in added.same_but_case[:SHOWN]:
        session.say(f"  note: {first} and {second} are one file on macOS and Windows")
    for left in added.left_out[:SHOWN]:
        session.say(f"  left out: {left.path} ({left.why})")
    if len(added.left_out) > SHOWN:
        session.say(f"  ... and {len(added.left_out) - SHOWN} more left out")


def show_findings(session: Session, reports: "tuple[CheckReport, ...]") -> None:
    """Print what the check found; the data are archived whatever it is."""
    from imgdata.policy.judging import grouped  # noqa: PLC0415 - keeps --help fast

    for report in reports:
        for finding, _ in grouped(report.findings):
            files = count(len(finding.paths), "file")
            session.say(f"  {finding.severity.value} {finding.id}, {files}: {finding.message}")
        if report.findings:
            session.say(f"  more: imgdata check {report.level}")


def refuse_errors(session: Session, reports: "tuple[CheckReport, ...]") -> None:
    """Stop before anything is taken when a source has errors."""
    from imgdata.checks import fails  # noqa: PLC0415 - keeps --help fast

    show_findings(session, reports)
    if any(fails(report, "error") for report in reports):
        problem = "the check found errors, so with --strict nothing was added"
        remedy = "add without --strict to keep the data as they are, then mend what can be mended"
        raise RefusedError(problem, remedy=remedy)


def refuse_left_out(done: "list[Added]") -> None:
    """Say with the exit status that some files are still only at the source."""
    from imgdata.workflows.source_files import IGNORED  # noqa: PLC0415 - keeps --help fast

    left = [
        f"{one.unit.source}/{path.path}: {path.why}"
        for one in done
        for path in one.left_out
        if path.why != IGNORED
    ]
    if left:
        many = "one file was" if len(left) == 1 else f"{len(left)} files were"
        msg = f"{many} not added and exist only at the source"
        raise PartlyDoneError(
            msg,
            cause=first_lines(left, SHOWN),
            remedy="make them readable and run the same command again; it adds what is missing",
        )
