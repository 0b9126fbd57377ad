"""A published deposit as a copy in the ledger."""

from imgdata.model.deposits import DepositRecord
from imgdata.model.events import Json
from imgdata.transfer.move import Item
from imgdata.workflows.clone import Clone
from imgdata.workflows.history import History
from imgdata.workflows.objects import version_event


def copy_events(clone: Clone, record: DepositRecord) -> list[tuple[str, dict[str, Json]]]:
    """Return the events that note a published deposit as a copy of the versions it holds whole.

    The evidence is the repository's own checksum of every file, which was compared before it was
    published; a pack's checksum vouches for its members, whose checksums were computed when it was
    packed. Versions that are noted already, and those that no commit knows, are left out.
    """
    found: list[tuple[str, dict[str, Json]]] = []
    wanted = set(record.contents) - _noted(clone, record)
    for version in History(clone).ever if wanted else ():
        if (version.level, version.unit or "", version.version) not in wanted:
            continue
        item = Item(version.version, (version.title,))
        details = version_event(
            version, record.repository, "checksum", [item], whole=True, size=version.size
        )
        found.append(("verified", {**details, "n": version.nfiles, "deposit": record.page}))
    return found


def _noted(clone: Clone, record: DepositRecord) -> set[tuple[str, str, str]]:
    """Return the contents that were noted as copies when this very record became public."""
    return {
        (event.text("level"), event.text("unit"), event.text("version"))
        for event in clone.events
        if event.event == "verified"
        and event.text("storage") == record.repository
        and event.text("deposit") == record.page
    }
