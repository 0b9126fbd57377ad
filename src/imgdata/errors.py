"""Every failure a user can meet: problem, cause, remedy and exit status.

One class for each thing a caller would do differently. The exit statuses are the contract of
the command line; `Exit` names all of them, also those that are not errors.
"""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """The exit statuses of every command."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    NO_PROJECT = 3
    UNREACHABLE = 4
    REFUSED = 5
    DAMAGED = 6
    STAGE_FAILED = 7
    MACHINE = 8
    PARTLY = 9
    BUG = 70
    INTERRUPTED = 130


class ImgdataError(Exception):
    """An expected failure, told as a sentence: what went wrong, why, and what to type next.

    Attributes:
        problem: One sentence with numbers, names, found and expected. Never a secret.
        cause: Why, one fact a line; may be empty.
        remedy: What to do, at best a command to paste; may be empty.
    """

    kind: ClassVar[str] = "error"
    exit_status: ClassVar[Exit] = Exit.FINDINGS

    def __init__(self, problem: str, *, cause: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cause = cause
        self.remedy = remedy


class NothingFoundError(ImgdataError):
    """The question has no answer here: no such file, no such row."""

    kind = "nothing-found"
    exit_status = Exit.FINDINGS


class UsageError(ImgdataError):
    """The command line asks for something that does not exist or does not fit together."""

    kind = "usage"
    exit_status = Exit.USAGE


class InvalidProjectError(ImgdataError):
    """imgdata.yaml, a DVC file or a path in one cannot be understood or is not allowed."""

    kind = "invalid-project"
    exit_status = Exit.USAGE


class NoProjectError(ImgdataError):
    """There is no project here."""

    kind = "no-project"
    exit_status = Exit.NO_PROJECT


class StorageError(ImgdataError):
    """A storage, repository or network cannot be reached, or answers with a failure."""

    kind = "storage"
    exit_status = Exit.UNREACHABLE


class NotListableError(StorageError):
    """A storage can be asked for objects one by one only."""

    kind = "not-listable"


class ForbiddenError(StorageError):
    """A storage knows the credentials and does not allow this; it may allow something else."""

    kind = "forbidden"


class CredentialsError(StorageError):
    """A storage or repository refuses the credentials, or none were found."""

    kind = "credentials"


class RefusedError(ImgdataError):
    """The command would lose or leak data; nothing was done."""

    kind = "refused"
    exit_status = Exit.REFUSED


class DamagedError(ImgdataError):
    """Requested data are damaged or missing."""

    kind = "damaged"
    exit_status = Exit.DAMAGED


class StageFailedError(ImgdataError):
    """A stage of the pipeline ended with an error."""

    kind = "stage-failed"
    exit_status = Exit.STAGE_FAILED


class MachineError(ImgdataError):
    """This machine is in the way: disk full, permission, lock held, tool or extra missing."""

    kind = "machine"
    exit_status = Exit.MACHINE


class PartlyDoneError(ImgdataError):
    """Some of the work is done and kept; the same command goes on from there."""

    kind = "partly-done"
    exit_status = Exit.PARTLY


class InterruptedByUserError(ImgdataError):
    """The person stopped the command."""

    kind = "interrupted"
    exit_status = Exit.INTERRUPTED


class BugError(ImgdataError):
    """Something happened that imgdata did not expect."""

    kind = "bug"
    exit_status = Exit.BUG
