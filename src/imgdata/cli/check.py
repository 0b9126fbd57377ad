"""`imgdata check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import Exit, UsageError
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.model.findings import CheckReport, Finding, Layout

SHOWN_PATHS = 3
SEVERITIES = ("error", "warning", "note")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LEVEL|PATH]...", help="Levels, files or folders."),
    ] = None,
    *,
    level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="Check this level; with PATH: judge as it.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Decode the pixels of every file.")] = False,
    infer_key: Annotated[
        bool, typer.Option("--infer-key", help="Propose a key pattern from the names.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report: FILE.html or FILE.json.")
    ] = None,
    fail_on: Annotated[
        str, typer.Option(metavar="error|warning|note", help="Exit 1 from this severity on.")
    ] = "error",
) -> None:
    """Find damaged, lossy, undescribed, missing or doubled images."""
    from imgdata import checks  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    if fail_on not in SEVERITIES:
        problem = f"--fail-on takes error, warning or note, not '{fail_on}'"
        raise UsageError(problem)
    request = checks.Request(session.project, tuple(targets or ()), level, deep=deep)
    found = checks.check(request, progress=session.progress())
    session.results += [checks.as_json(one) for one in found]
    for one in found:
        _show(session, one, infer_key=infer_key)
    if report is not None:
        checks.write_report(found, report)
        session.say(f"report written to {report}")
    if any(checks.fails(one, fail_on) for one in found):
        session.ok = False
        raise typer.Exit(Exit.FINDINGS)


def _show(session: Session, report: "CheckReport", *, infer_key: bool) -> None:
    from imgdata.policy.judging import grouped  # noqa: PLC0415 - keeps --help fast

    size = format_size(sum(one.size for one in report.files))
    level = f" as {report.level}" if report.level else ""
    others = f", {count(report.others, 'other file')}" if report.others else ""
    session.say(f"{report.root}{level}: {count(len(report.files), 'file')}, {size}{others}")
    unread = sum(1 for one in report.files if not one.reading.checked)
    if unread:
        have = "has" if unread == 1 else "have"
        session.say(f"  NOT CHECKED: {count(unread, 'file')} {have} no reader here; not passed")
    causes = grouped(report.findings)
    for finding, times in causes:
        _show_cause(session, finding, times)
    if not causes:
        session.say("  nothing found" + ("" if report.files else ": no image here"))
    for layout in report.layouts:
        _show_layout(session, layout, explain=infer_key)
    if infer_key and not report.layouts:
        session.say("  no key pattern could be told from the names")


def _show_cause(session: Session, finding: "Finding", often: int) -> None:
    files = count(len(finding.paths), "file")
    times = f", {often} times" if often > len(finding.paths) else ""
    session.say(f"  {finding.severity.value:<7} {finding.id}  {files}{times}  {finding.message}")
    shown = ", ".join(finding.paths[:SHOWN_PATHS])
    more = len(finding.paths) - SHOWN_PATHS
    session.say(f"                   {shown}" + (f" and {more} more" if more > 0 else ""))
    session.say(f"                   try: {finding.remedy}")
    if finding.reason:
        session.say(f"                   severity set in imgdata.yaml: {finding.reason}")


def _show_layout(session: Session, layout: "Layout", *, explain: bool) -> None:
    if layout.guessed and not explain:
        return
    counts = ", ".join(f"{len(values)} {name}" for name, values in layout.values.items())
    session.say(f"  names: {counts}; {layout.matched} fit the key")
    if explain:
        for line in layout.explanation:
            session.say(f"    {line}")
        session.say(f'    key: "{layout.pattern}"')
