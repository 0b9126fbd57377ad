"""`imgdata add --move` and `--to STORAGE`: to the storages, and away from the source."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from imgdata.cli.add import (
    planned,
    refuse_errors,
    refuse_left_out,
    show_added,
    show_findings,
    show_plan,
    take_in,
    units_of,
)
from imgdata.cli.push import show_outcome
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import ImgdataError, PartlyDoneError
from imgdata.model.excerpts import first_lines
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.api import Project
    from imgdata.workflows.add import Added
    from imgdata.workflows.add_move import Gone, Leaving, MovePlan, Stays
    from imgdata.workflows.add_plan import AddPlan
    from imgdata.workflows.add_stream import NotRecorded
    from imgdata.workflows.push import PushOutcome

SHOWN = 10


class Request(Struct, frozen=True):
    """What was typed."""

    level: str
    sources: tuple[Path, ...]
    unit: str | None
    origin: str | None
    to: str | None
    move: bool
    strict: bool
    dry_run: bool
    yes: bool

    @property
    def command(self) -> str:
        """The same command, to go on with."""
        options = (("--unit", self.unit), ("--origin", self.origin), ("--to", self.to))
        named = [word for name, value in options if value is not None for word in (name, value)]
        flags = (("--move", self.move), ("--strict", self.strict), ("--yes", self.yes))
        said = [name for name, is_set in flags if is_set]
        words = ("imgdata", "add", self.level, *map(str, self.sources), *named, *said)
        return shlex.join(words)


class _Done(Struct):
    """What happened so far."""

    added: list["Added"]
    sent: list["PushOutcome"]
    unrecorded: list["NotRecorded"]
    gone: list["Gone"]
    staying: list["Stays"]


def add_away(session: Session, project: "Project", wanted: Request) -> None:
    """Take sources in or stream them to a storage; with `--move` delete them at the end."""
    plan, emptied = _plan(project, wanted)
    show_plan(session, plan)
    if wanted.to is not None:
        project.refuse_stream(plan, wanted.to)
    if wanted.dry_run:
        _show_dry_run(session, project, wanted, plan)
        _show_emptied(session, emptied)
        return
    _confirm(session, wanted, plan)
    if plan.units and (wanted.strict or wanted.to is not None):
        reports = project.check_headers([one.source for one in plan.units], wanted.level)
        if wanted.strict:
            refuse_errors(session, reports)
        else:
            show_findings(session, reports)
    done = _Done([], [], [], [], [])
    try:
        if wanted.to is None:
            take_in(session, project, plan, done.added, strict=wanted.strict)
        else:
            _stream(session, project, wanted.to, plan, done)
        if wanted.move:
            _delete(session, project, wanted, emptied, done)
    finally:
        units = units_of(done.added)
        what = f"Add {units} to {wanted.level}" if units else f"Note copies of {wanted.level}"
        session.finish_writing(project, what)
    if error := _error(wanted, done):
        raise error
    refuse_left_out(done.added)


def _plan(project: "Project", wanted: Request) -> "tuple[AddPlan, tuple[Leaving, ...]]":
    level, sources = wanted.level, wanted.sources
    if not wanted.move:
        return project.plan_add(level, sources, unit=wanted.unit, origin=wanted.origin), ()
    plan: MovePlan = project.plan_add_and_delete(
        level, sources, unit=wanted.unit, origin=wanted.origin, to=wanted.to
    )
    return plan.add, plan.emptied


def _show_dry_run(session: Session, project: "Project", wanted: Request, plan: "AddPlan") -> None:
    """Say what would be sent and deleted; reads no file and asks no storage."""
    level = project.config.levels[wanted.level]
    storages = (wanted.to,) if wanted.to else level.storages if wanted.move else ()
    for one in plan.units:
        files = f"{count(len(one.files), 'file')}, {format_size(one.size)}"
        where = ", ".join(storages)
        here = " without a copy here" if wanted.to else ""
        session.say(f"{one.title} -> {where}: would send up to {files}{here}")
        if wanted.move:
            needed = max(1, level.copies)
            copies = "a checked copy" if needed == 1 else f"{needed} checked copies"
            session.say(f"  then would delete {one.source}: {files}, once each has {copies}")
        session.add(planned(one, storages, keep=wanted.to is None, delete=wanted.move))


def _show_emptied(session: Session, emptied: "Sequence[Leaving]") -> None:
    for one in emptied:
        session.say(f"{one.source} was moved before, as {one.title}: would look at its copies")


def _confirm(session: Session, wanted: Request, plan: "AddPlan") -> None:
    if not (wanted.move and plan.units):
        return
    files = count(sum(len(one.files) for one in plan.units), "file")
    what = f"delete {files} ({format_size(plan.size)}) at the source once their copies are checked"
    session.confirm(f"{what}?", yes=wanted.yes, why=f"this would {what}")


def _stream(session: Session, project: "Project", to: str, plan: "AddPlan", done: _Done) -> None:
    from imgdata.workflows.add import Added  # noqa: PLC0415 - keeps --help fast
    from imgdata.workflows.add_stream import NotRecorded  # noqa: PLC0415 - keeps --help fast

    for outcome in project.stream(plan, to, progress=session.progress()):
        match outcome:
            case Added():
                done.added.append(outcome)
                show_added(session, outcome)
                _show_first_storage(session, outcome, to)
            case NotRecorded():
                done.unrecorded.append(outcome)
            case _:
                done.sent.append(outcome)
                show_outcome(session, outcome)


def _show_first_storage(session: Session, added: "Added", to: str) -> None:
    """Say where plain DVC looks, if that is not where the unit went."""
    level = added.unit.level
    if level.storages and level.storages[0] != to:
        session.say(
            f"  note: plain dvc pull looks on '{level.storages[0]}', where it is not: "
            f"imgdata push {level.name} sends it there from '{to}'"
        )


def _delete(
    session: Session,
    project: "Project",
    wanted: Request,
    emptied: "tuple[Leaving, ...]",
    done: _Done,
) -> None:
    """Send what was taken in, then delete the sources that are safe by now."""
    from imgdata.workflows.add_move import (  # noqa: PLC0415 - keeps --help fast
        Gone,
        Stays,
        leaving_of,
    )

    leaving = (*map(leaving_of, done.added), *emptied)
    if wanted.to is None:
        for sent in project.push_units(leaving, progress=session.progress()):
            done.sent.append(sent)
            show_outcome(session, sent)
    for outcome in project.delete_sources(leaving, progress=session.progress()):
        match outcome:
            case Gone():
                done.gone.append(outcome)
                _show_gone(session, outcome)
            case Stays():
                done.staying.append(outcome)
                _show_stays(session, outcome)
            case _:
                assert_never(outcome)


def _show_gone(session: Session, gone: "Gone") -> None:
    leaving = gone.leaving
    places = ", ".join(gone.copies)
    if leaving.taken:
        files = count(gone.files, "file")
        session.say(
            f"deleted {files} ({format_size(gone.size)}) of {leaving.source}: on {places}, checked"
        )
    else:
        session.say(f"{leaving.source} was moved before: {leaving.title} is on {places}, checked")
    for one in gone.left[:SHOWN]:
        session.say(f"  stays: {one.path} ({one.why})")
    if len(gone.left) > SHOWN:
        session.say(f"  ... and {len(gone.left) - SHOWN} more stay")
    session.add(
        {
            "moved": leaving.title,
            "source": str(leaving.source),
            "files": gone.files,
            "bytes": gone.size,
            "copies": list(gone.copies),
            "stays": [{"path": one.path, "why": one.why} for one in gone.left],
        }
    )


def _show_stays(session: Session, stays: "Stays") -> None:
    leaving = stays.leaving
    session.say(f"{leaving.source} stays: {count(len(stays.why), 'file')} with too few copies")
    session.add(
        {
            "not_moved": leaving.title,
            "source": str(leaving.source),
            "why": [{"path": one.path, "why": one.why} for one in stays.why],
        }
    )


def _error(wanted: Request, done: _Done) -> ImgdataError | None:
    """Return what kept the command from its end, with what to type to go on."""
    from imgdata.workflows.push import summary_error  # noqa: PLC0415 - keeps --help fast

    if done.unrecorded:
        return done.unrecorded[0].error
    lines = [f"{bad.path}: {bad.why}" for one in done.staying for bad in one.why]
    if error := summary_error(done.sent):
        kept = [f"{one.leaving.source} stays" for one in done.staying]
        kept += [f"{len(lines)} files have too few copies"] if len(lines) > 1 else lines
        cause = "\n".join(filter(None, [error.cause, *kept]))
        remedy = "\n".join(filter(None, [error.remedy, f"then: {wanted.command}"]))
        return type(error)(error.problem, cause=cause, remedy=remedy)
    if lines:
        problem = f"{count(len(done.staying), 'source')} not deleted: too few checked copies"
        remedy = (
            f"imgdata push {wanted.level}, or imgdata verify {wanted.level} for old checks\n"
            f"then: {wanted.command}"
        )
        return PartlyDoneError(problem, cause=first_lines(lines, SHOWN), remedy=remedy)
    left = [f"{one.leaving.source}/{bad.path}: {bad.why}" for one in done.gone
            for bad in one.unsettled]  # fmt: skip
    if left:
        problem = f"{count(len(left), 'file')} not deleted at the source"
        return PartlyDoneError(problem, cause=first_lines(left, SHOWN), remedy=wanted.command)
    return None
