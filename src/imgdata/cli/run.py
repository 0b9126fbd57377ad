"""`imgdata run`."""

import os
import shlex
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from imgdata.cli.options import DryRun, LevelOption, names, session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import ImgdataError

if TYPE_CHECKING:
    from imgdata.api import Project
    from imgdata.workflows.run import RunOutcome, RunPlan


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="[LEVEL|STAGE]...", help="All without one.")
    ] = None,
    *,
    level: LevelOption = None,
    force: Annotated[bool, typer.Option("--force", help="Run the named ones anyway.")] = False,
    prove: Annotated[
        bool, typer.Option("--prove", help="Make them again elsewhere and compare; record it.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="With --prove: only so many stages.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Run what is stale, stage by stage, through DVC; each run is recorded."""
    session = session_of(context)
    if prove:
        from imgdata.cli.prove import show_proofs  # noqa: PLC0415 - keeps --help fast

        show_proofs(session, names(stages, level), sample, dry_run=dry_run)
        return
    project = session.open(writing=not dry_run)
    if not dry_run:
        project.settle_exclusions()
    plan = project.plan_run(names(stages, level), force=force)
    if dry_run or not plan.stages:
        for one in plan.stages:
            session.say(f"{one.stage.name}: {'; '.join(one.reasons)}")
            session.add({"stage": one.stage.name, "reasons": list(one.reasons)})
        if not plan.stages:
            are = "is" if plan.fresh == 1 else "are"
            session.say(f"nothing to do: {count(plan.fresh, 'stage')} {are} up to date")
        return
    message = f"Run {', '.join(names(stages, level)) or 'the pipeline'}"
    outcome: RunOutcome | None = None
    with session.committing(project, message):
        try:
            for outcome in project.run(plan):
                _show(session, plan, outcome)
        except ImgdataError as error:
            _show_failed(session, outcome, error)
            raise
        finally:
            _show_unsaved(session, project, plan)


def _show_failed(session: Session, last: "RunOutcome | None", error: ImgdataError) -> None:
    """Name the stage that had begun when the run ended."""
    from imgdata.workflows.run import Starting  # noqa: PLC0415 - keeps --help fast

    if isinstance(last, Starting):
        session.add({"stage": last.stage.name, "failed": error.problem})


def _show_unsaved(session: Session, project: "Project", plan: "RunPlan") -> None:
    """Name what a commit of the records alone would lack: a colleague could not run it so."""
    from imgdata.workflows.recipe_files import unsaved_recipe  # noqa: PLC0415 - fast --help

    unsaved = unsaved_recipe(project.clone, [one.stage for one in plan.stages])
    if unsaved:
        words = shlex.join(os.path.relpath(path) for path in unsaved)
        session.say(f"the stages read what git does not have yet:  git add {words}")


def _show(session: Session, plan: "RunPlan", outcome: "RunOutcome") -> None:
    from imgdata.workflows.run import Ran, Starting, UpToDate  # noqa: PLC0415 - keeps --help fast

    match outcome:
        case Starting(stage, number, total):
            why = plan.stages[number - 1].reasons
            session.say(f"[{number}/{total}] {stage.name}: {'; '.join(why[:2])}")
        case UpToDate(stage):
            session.say(f"{stage.name}: up to date after all")
            session.add({"stage": stage.name, "ran": False})
        case Ran(stage, reasons, seconds, output):
            session.say(f"        done in {seconds:.1f} s")
            if session.verbose:
                session.say(output)
            ran = {"stage": stage.name, "ran": True, "seconds": seconds, "reasons": list(reasons)}
            session.add(ran)
        case _:
            assert_never(outcome)
