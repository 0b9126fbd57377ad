"""What a project remembers of its deposits, and the desk where one is made."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from imgdata.errors import NothingFoundError
from imgdata.model.deposits import DepositRecord, DepositState
from imgdata.ports import DepositLog, Depository
from imgdata.system.progress import SILENT, Progress

OPEN_STATES = frozenset({DepositState.DRAFT, DepositState.VERIFIED, DepositState.PUBLISHING})


class Desk(Struct, frozen=True):
    """Where a deposit is made: the service, its name in imgdata.yaml, and the memory."""

    repository: str
    depository: Depository
    log: DepositLog
    progress: Progress = SILENT


def latest(
    records: Iterable[DepositRecord], repository: str, address: str, levels: Sequence[str]
) -> DepositRecord | None:
    """Return the last event about the newest deposit of these levels at this service.

    What was discarded or taken away does not hide the version before it.
    """
    wanted = sorted(levels)
    found = None
    for record in open_deposits(records):
        same = (record.repository, record.address) == (repository, address)
        if same and sorted(record.levels) == wanted:
            found = record
    return found


def latest_at(desk: Desk, levels: Sequence[str]) -> DepositRecord | None:
    """Return the last event about the newest deposit of these levels at a desk."""
    return latest(desk.log.deposits(), desk.repository, desk.depository.address, levels)


def open_deposits(records: Iterable[DepositRecord]) -> tuple[DepositRecord, ...]:
    """Return the last event of every deposit, discarded ones left out; for `--list`."""
    last: dict[tuple[str, str, str], DepositRecord] = {}
    for record in records:
        last.pop((record.repository, record.address, record.marker), None)
        key = (record.repository, record.address, record.identifier or record.marker)
        last[key] = record
    over = {DepositState.DISCARDED, DepositState.REMOVED}
    return tuple(record for record in last.values() if record.state not in over)


def remembered_draft(
    records: Iterable[DepositRecord], repository: str, address: str, levels: Sequence[str]
) -> DepositRecord:
    """Return the draft of these levels that is ready to be published, or is already.

    Raises:
        NothingFoundError: There is none.
    """
    last = latest(records, repository, address, levels)
    ready = {DepositState.VERIFIED, DepositState.PUBLISHING, DepositState.PUBLISHED}
    if last is None or last.state not in ready:
        shown = ", ".join(levels)
        msg = f"there is no verified draft of {shown} on '{repository}'"
        raise NothingFoundError(msg, remedy=f"imgdata publish {' '.join(levels)} --to {repository}")
    return last
