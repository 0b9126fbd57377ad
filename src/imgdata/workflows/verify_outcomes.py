"""What `imgdata verify` found, place by place, and the error it adds up to."""

from collections.abc import Sequence

from msgspec import Struct

from imgdata.errors import DamagedError, ImgdataError
from imgdata.model.excerpts import first_lines
from imgdata.transfer.move import DEFAULT_JOBS
from imgdata.workflows.history import Version

SHOWN = 20


class VerifyOptions(Struct, frozen=True):
    """How to verify.

    Attributes:
        on: Storages and repositories to read, and `cache`; all storages and the cache without one.
        budget: Bytes to read at most; no limit without one.
        jobs: Reads at once.
        repair: Put a good copy in the place of what is damaged or missing.
    """

    on: tuple[str, ...] = ()
    budget: int | None = None
    jobs: int = DEFAULT_JOBS
    repair: bool = False


class Bad(Struct, frozen=True):
    """Files whose bytes at a place are not right: how, and whether they are now."""

    names: tuple[str, ...]
    how: str
    repaired_from: str = ""


class Verified(Struct, frozen=True):
    """One version at one place after reading it back.

    Attributes:
        storage: The storage's name, or `cache`.
        place: Where that is.
        checked: Objects that are right, and `size` their bytes.
        left: Objects that the budget left for the next time.
        bad: What is not right.
        why: What the place says of what it lacks, one sentence each.
        is_deposit: Whether the place is a published deposit.
    """

    version: Version
    storage: str
    place: str
    checked: int
    size: int
    left: int
    bad: tuple[Bad, ...]
    why: tuple[str, ...] = ()
    is_deposit: bool = False

    @property
    def still_bad(self) -> tuple[Bad, ...]:
        """What is not right and was not repaired."""
        return tuple(one for one in self.bad if not one.repaired_from)


class NotVerified(Struct, frozen=True):
    """A storage that could not be read.

    Attributes:
        is_drawer: It is a drive in a drawer, which is only told of.
        is_expected: It should have something of what was asked for; else it is only told of too.
    """

    storage: str
    error: ImgdataError
    is_drawer: bool
    is_expected: bool = True


class Extra(Struct, frozen=True):
    """Objects on a storage that no recorded version of this clone's history has."""

    storage: str
    count: int
    size: int
    examples: tuple[str, ...]


class NotListed(Struct, frozen=True):
    """A storage whose objects were read, and that did not say which others it has."""

    storage: str
    error: ImgdataError


VerifyOutcome = Verified | NotVerified | Extra | NotListed


def summary_error(outcomes: Sequence[VerifyOutcome]) -> ImgdataError | None:
    """Return what a verification found, or what kept it from reading, or None."""
    bad = [(one, file) for one in outcomes if isinstance(one, Verified) for file in one.still_bad]
    if bad:
        told = (f"{file.names[0]} on {one.storage}: {file.how}" for one, file in bad)
        lines = list(dict.fromkeys(told))  # several versions may lack the same
        why = dict.fromkeys(why for one, _ in bad for why in one.why)
        count = "one file is" if len(bad) == 1 else f"{len(bad)} files are"
        problem = f"{count} damaged or missing"
        cause = "\n".join([*why, first_lines(lines, SHOWN)])
        return FoundBadError(problem, cause=cause, remedy=_remedy(bad[0][0]))
    away = (one for one in outcomes if isinstance(one, NotVerified) and one.is_expected)
    return next((one.error for one in away if not one.is_drawer), None)


def _remedy(one: Verified) -> str:
    level = one.version.level
    if one.is_deposit:
        return f"a published record does not mend: imgdata push {level} makes another copy"
    return f"imgdata verify {level} --repair"


class FoundBadError(DamagedError):
    """A verification found damage: findings, exit 1."""

    kind = "found-damage"
    exit_status = ImgdataError.exit_status
