"""`imgdata run --prove`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import ImgdataError, RefusedError
from imgdata.model.excerpts import first_lines

if TYPE_CHECKING:
    from imgdata.workflows.prove import NotProved, Proved

SHOWN = 20
KNOWN_PROGRAMS = (
    "in dvc.yaml, begin its cmd with python, a container (docker run ...) or a runner with a lock "
    "file (uv run ...), then: imgdata run {stage}, git commit, imgdata run {stage} --prove"
)


class DifferentError(ImgdataError):
    """Something made again is not what was recorded: a finding."""

    kind = "different"


def show_proofs(
    session: Session, names: Sequence[str], sample: int | None, *, dry_run: bool
) -> None:
    """Make stages again, tell the verdicts, and fail when one is different.

    Raises:
        DifferentError: An output is not what was recorded.
        RefusedError: What is committed does not make it.
        NothingFoundError: None of the stages has run yet.
    """
    from imgdata.workflows.prove import (  # noqa: PLC0415 - keeps --help fast
        NotProved,
        Proved,
        stages_to_prove,
    )

    project = session.open(writing=not dry_run)
    if dry_run:
        for stage in stages_to_prove(project.clone, names, sample):
            session.say(f"would make again: {stage.name}")
            session.add({"stage": stage.name})
        return
    different: list[Proved] = []
    failed: list[NotProved] = []
    with session.committing(project, f"Note proofs of {', '.join(names) or 'all stages'}"):
        for outcome in project.prove(names, sample=sample):
            match outcome:
                case Proved():
                    _show(session, outcome)
                    if outcome.verdict == "different":
                        different.append(outcome)
                case NotProved(stage, error):
                    failed.append(outcome)
                    session.say(f"{stage.name}: not proven ({error.problem})")
                    session.add({"stage": stage.name, "not_proven": error.problem})
                case _:
                    assert_never(outcome)
    _fail(different, failed)


def _fail(different: "list[Proved]", failed: "list[NotProved]") -> None:
    if different:
        lines = [line for one in different for line in one.differences]
        problem = f"{len(different)} of the stages did not give the recorded data again"
        raise DifferentError(problem, cause=first_lines(lines, SHOWN))
    if failed:
        one = failed[0].error
        problem = f"{count(len(failed), 'stage')} could not be made again: {one.problem}"
        raise RefusedError(problem, cause=one.cause, remedy=one.remedy)


def _show(session: Session, proved: "Proved") -> None:
    files = count(proved.files, "file")
    session.say(f"{proved.stage.name}: {proved.verdict}, {files}, {proved.seconds:.1f} s")
    for line in proved.differences:
        session.say(f"  {line}")
    if proved.fault:
        session.say(f"  counts for nothing yet: {proved.fault}")
        session.say(f"  -> {KNOWN_PROGRAMS.format(stage=proved.stage.name)}")
    session.add(
        {
            "stage": proved.stage.name,
            "verdict": proved.verdict,
            "files": proved.files,
            "different": list(proved.differences),
            "seconds": proved.seconds,
            "certificate": str(proved.certificate),
            "fault": proved.fault,
        }
    )
