"""`imgdata import`: bring public data in, pinned to a version, verified, cited."""

import fnmatch
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgdata.errors import MachineError, NothingFoundError, RefusedError, UsageError
from imgdata.model.events import Event, Json, time_text
from imgdata.model.keys import read_name
from imgdata.model.public_data import Fetched, FetchOutcome, PublicFile, PublicRecord
from imgdata.model.selection import Selection
from imgdata.model.sizes import format_size
from imgdata.ports import PublicSource
from imgdata.project.config import Level
from imgdata.system.progress import SILENT, Progress
from imgdata.transfer.fetch import PART, fetch_all
from imgdata.transfer.packing import is_safe_name
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone

KIND = "imported"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would bring.

    Attributes:
        record: What the reference names, pinned.
        files: The files to bring, sorted by name.
        folder: Where they arrive before they are added.
        unit: The name of the unit they become.
    """

    record: PublicRecord
    files: tuple[PublicFile, ...]
    folder: Path
    unit: str

    @property
    def size(self) -> int:
        """Bytes, as far as the source says."""
        return sum(file.size or 0 for file in self.files)


def plan_import(
    clone: Clone, record: PublicRecord, level: Level, select: Selection, unit: str
) -> ImportPlan:
    """Decide which files to bring. Reads nothing.

    `--select` takes key fields of the level, and `file=GLOB` for names.

    Raises:
        RefusedError: A name would leave the folder, or two names are one.
        NothingFoundError: The record has no file that is selected.
    """
    _refuse_malicious(record)
    files = tuple(file for file in record.files if _selected(file, level, select))
    if not files:
        known = "\n".join(file.name for file in record.files[:_SHOWN])
        msg = f"{record.reference} has no file that fits --select"
        raise NothingFoundError(msg, cause=f"it has {len(record.files)} files, as\n{known}")
    slug = re.sub(r"[^A-Za-z0-9._-]+", "_", record.reference).strip("._")
    folder = clone.root / PRIVATE_FOLDER / "import" / (slug or "record")
    return ImportPlan(record, files, folder, unit or slug)


def _refuse_malicious(record: PublicRecord) -> None:
    bad = [file.name for file in record.files if not is_safe_name(file.name)]
    names = [file.name for file in record.files]
    twice = sorted({name for name in names if names.count(name) > 1}) if _has_twice(names) else []
    folders = {
        name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)
    }
    clash = sorted(folders.intersection(names))
    if not bad and not twice and not clash:
        return
    shown = [repr(name) for name in (*bad, *twice, *clash)[:_SHOWN]]
    msg = f"{record.reference} has file names that are not safe to write"
    raise RefusedError(
        msg,
        cause="\n".join(shown),
        remedy="nothing was fetched; tell whoever published the record",
    )


def _has_twice(names: Sequence[str]) -> bool:
    return len(set(names)) != len(names)


def _selected(file: PublicFile, level: Level, select: Selection) -> bool:
    globs = select.wanted.get("file", ())
    if globs and not any(fnmatch.fnmatchcase(file.name, glob) for glob in globs):
        return False
    fields = Selection({name: v for name, v in select.wanted.items() if name != "file"})
    if not fields:
        return True
    found = read_name(level.keys, file.name.rpartition("/")[2], None)
    found = found or read_name(level.keys, file.name, None)
    return found is not None and fields.fits(found)


def fetch(
    source: PublicSource, plan: ImportPlan, *, jobs: int = 4, progress: Progress = SILENT
) -> Iterator[FetchOutcome]:
    """Bring the planned files; the same plan goes on where it stopped.

    Raises:
        MachineError: They do not fit on the disk.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    here = sum(path.stat().st_size for path in plan.folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(plan.folder).free
    if plan.size - here > free:
        msg = f"{format_size(plan.size - here)} do not fit, {format_size(free)} are free"
        raise MachineError(msg, remedy="import a part with --select")
    _drop_others(plan)
    progress.start(f"fetch {plan.record.reference}", items=len(plan.files), size=plan.size)
    try:
        yield from fetch_all(source, plan.files, plan.folder, jobs=jobs, progress=progress)
    finally:
        progress.finish()


def _drop_others(plan: ImportPlan) -> None:
    """Remove what an earlier import of another selection left in the folder."""
    wanted = {file.name for file in plan.files}
    for path in sorted(plan.folder.rglob("*")):
        name = path.relative_to(plan.folder).as_posix()
        if path.is_file() and name.removesuffix(PART) not in wanted:
            path.unlink()


def imported_event(
    plan: ImportPlan, level: str, origin: str, retrieved: str, fetched: Sequence[Fetched]
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
        "level": level,
        "unit": plan.unit,
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


def imports_of(events: Sequence[Event]) -> tuple[Event, ...]:
    """Return the last `imported` event of each level and unit."""
    last: dict[tuple[str, str], Event] = {}
    for event in events:
        if event.event == KIND:
            last[event.text("level"), event.text("unit")] = event
    return tuple(last.values())


def raw_level(clone: Clone, name: str) -> Level:
    """Return the level imported files go to: the named one, else the first.

    Raises:
        UsageError: There is no such level.
    """
    levels = clone.config.levels
    if not name:
        return next(iter(levels.values()))
    if name not in levels:
        msg = f"'{name}' is not a level of this project"
        raise UsageError(msg, cause=f"levels: {', '.join(levels)}")
    return levels[name]


def now_text(clone: Clone) -> str:
    """Return the present time as events hold it."""
    return time_text(clone.clock.now())
