"""Errors: one kind and one exit status for each thing a caller would do differently."""

from collections.abc import Iterator

import pytest

from imgdata import errors
from imgdata.errors import Exit, ImgdataError
from imgdata.system.process import CommandError


def every_error() -> Iterator[type[ImgdataError]]:
    todo = [ImgdataError]
    while todo:
        found = todo.pop()
        yield found
        todo += found.__subclasses__()


def test_exit_statuses_are_those_of_the_contract() -> None:
    assert {status.name: int(status) for status in Exit} == {
        "DONE": 0,
        "FINDINGS": 1,
        "USAGE": 2,
        "NO_PROJECT": 3,
        "UNREACHABLE": 4,
        "REFUSED": 5,
        "DAMAGED": 6,
        "STAGE_FAILED": 7,
        "MACHINE": 8,
        "PARTLY": 9,
        "BUG": 70,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NothingFoundError, 1),
        (errors.UsageError, 2),
        (errors.InvalidProjectError, 2),
        (errors.NoProjectError, 3),
        (errors.StorageError, 4),
        (errors.CredentialsError, 4),
        (errors.RefusedError, 5),
        (errors.DamagedError, 6),
        (errors.StageFailedError, 7),
        (errors.MachineError, 8),
        (CommandError, 8),
        (errors.PartlyDoneError, 9),
        (errors.BugError, 70),
        (errors.InterruptedByUserError, 130),
    ],
)
def test_each_error_ends_with_its_status(error: type[ImgdataError], status: int) -> None:
    assert error.exit_status == status


def test_every_failing_status_has_an_error() -> None:
    assert {int(error.exit_status) for error in every_error()} == {
        int(status) for status in Exit if status is not Exit.DONE
    }


def test_kinds_are_unique() -> None:
    named = [error for error in every_error() if error.__module__.startswith("imgdata")]
    kinds = [error.kind for error in named]
    assert len(kinds) == len(set(kinds)), sorted(kinds)


def test_an_error_is_problem_cause_and_remedy() -> None:
    error = errors.UsageError("no such level", cause="levels: raw", remedy="imgdata status")
    assert (str(error), error.problem) == ("no such level", "no such level")
    assert (error.cause, error.remedy) == ("levels: raw", "imgdata status")
    assert (errors.UsageError("x").cause, errors.UsageError("x").remedy) == ("", "")
