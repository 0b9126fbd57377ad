"""What the log remembers of imports: which record a unit came from, and which of its files."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from imgdata.model.events import Event
from imgdata.model.public_data import ChangedThere, Newest, PublicFile, PublicRecord

KIND = "imported"
SHOWN = 10


class KnownFile(Struct, frozen=True):
    """A file as it was when it was imported."""

    size: int | None
    md5: str
    sha256: str
    stamp: str

    def differs_from(self, file: PublicFile) -> bool:
        """Tell whether the source now says something that this file is not."""
        if file.size is not None and self.size is not None and file.size != self.size:
            return True
        algorithm, _, digest = file.checksum.lower().partition(":")
        mine = {"md5": self.md5, "sha256": self.sha256}.get(algorithm, "")
        if mine and digest:
            return mine != digest
        return bool(self.stamp and file.stamp and self.stamp != file.stamp)


class Imported(Struct, frozen=True):
    """All imports of one record into one unit, together.

    Attributes:
        level: The level.
        unit: The unit; empty for a level without units.
        reference: The pinned reference.
        version: Of the record, as its source calls it.
        listing: Digest of all the record listed when it was last imported.
        files: What was brought, by name.
    """

    level: str
    unit: str
    reference: str
    version: str
    listing: str
    files: Mapping[str, KnownFile] = field(default_factory=dict)


def imports_of(events: Sequence[Event]) -> dict[tuple[str, str], Imported]:
    """Return what is imported by level and unit; another record in a unit replaces the former."""
    found: dict[tuple[str, str], Imported] = {}
    for event in events:
        if event.event != KIND:
            continue
        key = (event.text("level"), event.text("unit"))
        before = found.get(key)
        reference = event.text("reference")
        same = before is not None and before.reference == reference
        earlier = before.files if before is not None and same else {}
        found[key] = Imported(
            level=key[0],
            unit=key[1],
            reference=reference,
            version=event.text("version"),
            listing=event.text("listing"),
            files={**earlier, **_files(event)},
        )
    return found


def _files(event: Event) -> dict[str, KnownFile]:
    listed = event.details.get("files")
    return {
        str(entry.get("name")): KnownFile(
            size=size if isinstance(size := entry.get("size"), int) else None,
            md5=str(entry.get("md5") or ""),
            sha256=str(entry.get("sha256") or ""),
            stamp=str(entry.get("stamp") or ""),
        )
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, dict)
    }


def compared(known: Imported, record: PublicRecord) -> Newest | ChangedThere:
    """Compare what a place without versions lists now with what was imported."""
    there = {file.name: file for file in record.files}
    gone = sorted(known.files.keys() - there.keys())
    changed = sorted(
        name
        for name, file in known.files.items()
        if name in there and file.differs_from(there[name])
    )
    lines = [f"changed there: {name}" for name in changed]
    lines += [f"no longer there: {name}" for name in gone]
    if not lines and known.listing == record.listing:
        return Newest(known.level, known.unit, known.reference)
    if not lines:
        lines = ["it lists other files than when it was imported; none of yours changed"]
    return ChangedThere(known.level, known.unit, known.reference, tuple(lines))
