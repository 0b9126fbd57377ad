"""`imgdata import`: bring public data in, pinned to a version, verified, cited."""

import fnmatch
import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.config import require_cache
from imgdata.errors import MachineError, NothingFoundError, RefusedError, UsageError
from imgdata.levels.units import Unit
from imgdata.model.events import Json
from imgdata.model.excerpts import first_lines
from imgdata.model.keys import read_name
from imgdata.model.public_data import Fetched, FetchOutcome, PublicFile, PublicRecord
from imgdata.model.selection import Selection
from imgdata.model.sizes import format_size
from imgdata.ports import PublicSource
from imgdata.project.config import Level
from imgdata.system.files import can_reflink
from imgdata.system.locks import hold
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.fetch import PART, fetch_all
from imgdata.workflows.add_plan import check_unit_name, level_to_add_to, refuse_ignored
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone
from imgdata.workflows.import_names import SHOWN, checked_names, refuse_case_clash
from imgdata.workflows.imported import Imported, imports_of

_LONGEST_SLUG = 60
FILE = "file"


class ImportPlan(Struct, frozen=True):
    """What an import would bring.

    Attributes:
        record: What the reference names, pinned.
        level: The level it goes to.
        unit: The name of the unit it becomes or extends; empty for a level without units.
        files: The files to bring, sorted by name.
        already: Selected files that an earlier import of this version brought.
        extends: The unit's version before; None for a new unit.
        folder: Where the files arrive before they are added.
    """

    record: PublicRecord
    level: Level
    unit: str
    files: tuple[PublicFile, ...]
    already: tuple[PublicFile, ...]
    extends: str | None
    folder: Path

    @property
    def size(self) -> int:
        """Bytes to bring, as far as the source says."""
        return sum(file.size or 0 for file in self.files)

    @property
    def title(self) -> str:
        """Level and unit as messages name them."""
        return f"{self.level.name} {self.unit}".strip()


def plan_import(
    clone: Clone, record: PublicRecord, level_name: str, select: Selection, unit: str
) -> ImportPlan:
    """Decide which files to bring, and into which unit. Reads no file.

    `--select` takes key fields of the level, and `file=GLOB` for names.

    Raises:
        RefusedError: A name is not safe to write, or the unit holds something else.
        NothingFoundError: The record has no files.
        UsageError: Nothing is selected, or level or unit do not fit.
    """
    level = level_to_add_to(clone, level_name or next(iter(clone.config.levels)))
    named = checked_names(record)
    record = replace(record, remarks=(*record.remarks, *named.remarks))
    if not named.files:
        msg = f"{record.reference} has no files"
        raise NothingFoundError(msg, cause="\n".join(record.remarks), remedy=record.source)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "_", record.reference).strip("._-")[:_LONGEST_SLUG]
    name = "" if level.unit is None else unit or slug or "record"
    files = _selected_files(named.files, level, name, select)
    if name:
        check_unit_name(name, f"{level.path}/{name}", has_format=False)
    refuse_ignored(clone, f"{level.path}/{name}".rstrip("/"))
    before = clone.units.find(level.name, name or None)
    earlier = _earlier(clone, record, level, name, before)
    already = _already(earlier, files) if earlier else frozenset()
    # What was begun of another listing of the same place is not continued.
    folder = f"{hashlib.sha256(record.listing.encode()).hexdigest()[:16]}-{slug}"
    return ImportPlan(
        record=record,
        level=level,
        unit=name,
        files=tuple(file for file in files if file.name not in already),
        already=tuple(file for file in files if file.name in already),
        extends=None if before is None else before.version,
        folder=clone.root / PRIVATE_FOLDER / "import" / folder,
    )


def _earlier(
    clone: Clone, record: PublicRecord, level: Level, name: str, before: Unit | None
) -> Imported | None:
    """Return the import a unit came from; refuse to mix it with anything else.

    Raises:
        RefusedError: The unit was not imported, or from something else.
    """
    title = f"{level.name} {name}".strip()
    earlier = imports_of(clone.events).get((level.name, name))
    other = "import it as a unit of its own: --unit NAME"
    if level.unit is None:
        other = "import it into a level of its own: --level NAME"
    if before is None or before.version is None:
        return None
    if earlier is None:
        # An own unit that took on a public origin would lose its restriction.
        msg = f"{title} exists and was not imported"
        raise RefusedError(msg, remedy=other)
    if earlier.reference != record.reference:
        msg = f"{title} holds {earlier.reference}, this is {record.reference}"
        raise RefusedError(msg, cause="a unit holds one version of one record", remedy=other)
    return earlier


def _already(earlier: Imported, files: Sequence[PublicFile]) -> frozenset[str]:
    """Return the names of files the unit has.

    Raises:
        RefusedError: The source has another content under one of these names now.
    """
    known = [file for file in files if file.name in earlier.files]
    changed = [file.name for file in known if earlier.files[file.name].differs_from(file)]
    if changed:
        msg = f"{len(changed)} files changed at {earlier.reference} since they were imported"
        raise RefusedError(
            msg,
            cause=first_lines(changed, SHOWN),
            remedy="import what is there now as a unit of its own: --unit NAME",
        )
    return frozenset(file.name for file in known)


def _selected_files(
    files: Sequence[PublicFile], level: Level, unit: str, select: Selection
) -> tuple[PublicFile, ...]:
    """Return the selected files, with those that describe the whole.

    Raises:
        UsageError: There is none, with the values that exist.
    """
    globs = select.wanted.get(FILE, ())
    named = [f for f in files if not globs or any(fnmatch.fnmatchcase(f.name, g) for g in globs)]
    if not named:
        msg = f"nothing matches --select {FILE}={','.join(globs)}"
        raise UsageError(msg, cause="its files are\n" + "\n".join(f.name for f in files[:SHOWN]))
    fields = Selection({name: v for name, v in select.wanted.items() if name != FILE})
    if not fields:
        return tuple(named)
    read = {file.name: _fields(file, level, unit) for file in named}
    if not any(fields.fits(read[file.name]) for file in named):
        raise fields.nothing_matched(read.values())
    return tuple(f for f in named if f.describes_all or fields.fits(read[f.name]))


def _fields(file: PublicFile, level: Level, unit: str) -> Mapping[str, str]:
    """Return what a file's name means by the level's key; what the source itself says counts."""
    above, plate = (f"{unit}/", unit) if unit else ("", None)
    found = read_name(level.keys, above + file.name, plate)
    found = found or read_name(level.keys, above + file.name.rpartition("/")[2], plate) or {}
    return {**found, **dict(file.fields)}


def fetch(
    source: PublicSource,
    plan: ImportPlan,
    clone: Clone,
    *,
    jobs: int = 4,
    progress: Progress = SILENT,
) -> Iterator[FetchOutcome]:
    """Bring the planned files; the same plan goes on where it stopped.

    Raises:
        MachineError: They do not fit on the disk, or the same import is under way.
        RefusedError: This disk would make one file of two.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    refuse_case_clash(plan.files, plan.folder)
    lock = plan.folder.with_name(f"{plan.folder.name}.lock")
    with hold(lock, wait_s=0, owner="another import of the same record"):
        _drop_others(plan)
        _refuse_without_space(clone, plan)
        progress.start(f"fetch {plan.record.reference}", items=len(plan.files), size=plan.size)
        try:
            yield from fetch_all(source, plan.files, plan.folder, jobs=jobs, progress=progress)
        finally:
            progress.finish()


def _refuse_without_space(clone: Clone, plan: ImportPlan) -> None:
    here = sum(path.stat().st_size for path in plan.folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(plan.folder).free
    cache = clone.dvc.cache_dir
    require_cache(cache)
    same_disk = cache.stat().st_dev == plan.folder.stat().st_dev
    # They arrive, are hashed into the cache, and leave: for a moment they are here twice.
    again = plan.size if same_disk and not can_reflink(cache) else 0
    needed = plan.size - here + again
    if needed > free:
        msg = f"{format_size(needed)} do not fit, {format_size(free)} are free"
        twice = f"{format_size(plan.size)} arrive and are copied into the cache" if again else ""
        raise MachineError(msg, cause=twice, remedy="import a part with --select")


def _drop_others(plan: ImportPlan) -> None:
    """Remove what an earlier import of another selection left in the folder."""
    wanted = {file.name for file in plan.files}
    for path in sorted(plan.folder.rglob("*")):
        name = path.relative_to(plan.folder).as_posix()
        if path.is_file() and name.removesuffix(PART) not in wanted:
            path.unlink()


def leave(plan: ImportPlan) -> None:
    """Remove the folder the files arrived in."""
    shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.with_name(f"{plan.folder.name}.lock").unlink(missing_ok=True)


def imported_event(
    plan: ImportPlan, origin: str, retrieved: str, version: str, fetched: Sequence[Fetched]
) -> dict[str, Json]:
    """Return the details of the `imported` event: where from, which version, what exactly."""
    record = plan.record
    files: list[Json] = [
        {
            "name": one.file.name,
            "size": one.size,
            "md5": one.md5,
            "sha256": one.sha256,
            "checked": one.checked,
            **({"stamp": one.file.stamp} if one.file.stamp else {}),
        }
        for one in sorted(fetched, key=lambda outcome: outcome.file.name)
    ]
    return {
        "reference": record.reference,
        "source": record.source,
        "doi": record.doi,
        "concept": record.concept,
        "version": record.version,
        "title": record.title,
        "license": record.license,
        "citation": record.citation,
        "retrieved": retrieved,
        "listing": record.listing,
        "level": plan.level.name,
        "unit": plan.unit,
        "unit_version": version,
        "extends": plan.extends,
        "origin": origin,
        "files": files,
    }


def origin_entry(record: PublicRecord) -> dict[str, str]:
    """Return what imgdata.yaml says of a public origin."""
    entry = {"kind": "public", "source": record.source, "access": "open"}
    if record.license:
        entry["license"] = record.license
    if record.citation:
        entry["citation"] = record.citation
    return entry


def origin_name(record: PublicRecord, taken: Mapping[str, object]) -> str:
    """Return a free name for the record's origin that imgdata.yaml allows."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", record.reference.lower()).strip("-_")
    plain = plain if plain[:1].isalpha() else f"public-{plain}"
    name = plain[:32].rstrip("-_")
    number = 2
    while name in taken:
        tail = f"-{number}"
        name = plain[: 32 - len(tail)].rstrip("-_") + tail
        number += 1
    return name
