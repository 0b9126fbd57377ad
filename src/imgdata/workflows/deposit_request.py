"""What a project says about a deposit: files, sources, description, how it was made."""

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from imgdata.dvc_files.lock import LOCK_NAME
from imgdata.dvc_files.relocation import named_vars
from imgdata.dvc_files.yaml12 import read_yaml
from imgdata.errors import UsageError
from imgdata.levels.raw_units import RawUnits
from imgdata.levels.units import Unit, choose_levels
from imgdata.lineage.run_events import canonical_hash
from imgdata.model.deposits import (
    Access,
    Creator,
    DepositLimits,
    DepositMetadata,
    LevelFile,
    Packing,
    Related,
)
from imgdata.model.keys import Fields
from imgdata.model.makings import Making, WorkflowFile
from imgdata.model.objects import object_key
from imgdata.model.selection import Selection
from imgdata.policy.licenses import spdx_id
from imgdata.policy.restrictions import Restricted, Source, Verdict
from imgdata.project.config import Config, Origin
from imgdata.transfer.pack_zip import ZARR_JSON
from imgdata.workflows.clone import Clone
from imgdata.workflows.deposit_fetch import absent, places_of
from imgdata.workflows.deposit_layout import zarr_root
from imgdata.workflows.deposit_plan import DepositRequest
from imgdata.workflows.leaving import Gate
from imgdata.workflows.objects import content_of, fields_of
from imgdata.workflows.push_plan import may_be_selected

LARGEST_SOURCE = 5 * 2**20
_WORKFLOW = ("dvc.yaml", "dvc.lock", "params.yaml", "imgdata.yaml", "pyproject.toml", "uv.lock")
_ENVIRONMENT = ("requirements.txt", "environment.yml", "pixi.lock", "conda-lock.yml")
_ENVIRONMENTS = ".imgdata/environments"
_PLATE_MAPS = "metadata/"


class Wish(Struct, frozen=True):
    """What was asked for on the command line.

    Attributes:
        levels: In the order asked for.
        repository: Its name in imgdata.yaml.
        select: A part of the levels.
        access: Who may read the files.
        version: Of the data, or empty.
    """

    levels: tuple[str, ...]
    repository: str
    select: Selection
    access: Access
    version: str = ""


def request_of(
    clone: Clone,
    wish: Wish,
    gate: Gate,
    limits: DepositLimits,
    answers: Mapping[str, str],
) -> DepositRequest:
    """Gather what a plan needs. Reads DVC's files, folder lists and file sizes; asks nobody.

    Raises:
        UsageError: A level is unknown, has no recorded unit, or nothing fits the selection.
        DamagedError: Data that may go are neither here nor remembered on a storage.
    """
    today = clone.clock.now().date()
    units = units_of(clone, wish.levels)
    raw = RawUnits(clone.index, clone.units)
    sources = {
        (unit.level, unit.name or ""): tuple(
            Source(up.title.replace(" ", "/"), up.origin or "") for up in raw.of(unit)
        )
        for unit in units
    }
    used = {source.origin for group in sources.values() for source in group}
    verdicts = {(unit.level, unit.name or ""): _verdict(clone, gate, unit) for unit in units}
    withheld = {
        place: verdict.reasons
        for place, verdict in verdicts.items()
        if isinstance(verdict, Restricted)
    }
    files = tuple(file for unit in units for file in _files(clone, unit, wish.select))
    going = {(f.level, f.unit) for f in files if not f.local} - withheld.keys()
    if wish.select and not files:
        raise wish.select.nothing_matched(_fields(clone, units))
    chosen = [clone.config.levels[name] for name in wish.levels]
    return DepositRequest(
        repository=wish.repository,
        levels=wish.levels,
        files=files,
        sources=sources,
        rules=gate.rules.origins,
        withheld=withheld,
        places={
            (unit.level, unit.name or ""): places_of(clone, unit)
            for unit in units
            if (unit.level, unit.name or "") in going
        },
        unlisted=frozenset(
            (unit.level, unit.name or "") for unit in units if not clone.has_list(unit)
        ),
        metadata=_metadata(clone.config, wish, today, used, answers),
        access=wish.access,
        limits=limits,
        today=today,
        pack={level.name: Packing(level.pack) for level in chosen if level.pack},
        zarrs=_zarrs(files),
    )


def _zarrs(files: Iterable[LevelFile]) -> Mapping[str, str]:
    """Return the version of OME-Zarr of the folders that say one; reads their root's zarr.json."""
    found: dict[str, str] = {}
    for file in files:
        root = zarr_root(file.path)
        if root and file.path == f"{root}/{ZARR_JSON}" and file.size <= LARGEST_SOURCE:
            try:
                told = json.loads(Path(file.local).read_bytes())
                found[root] = str(told["attributes"]["ome"]["version"])
            except (ValueError, KeyError, TypeError, OSError):
                continue
    return found


def units_of(clone: Clone, levels: Sequence[str]) -> tuple[Unit, ...]:
    """Return the recorded units of the levels.

    Raises:
        UsageError: There are none.
    """
    chosen = choose_levels(clone.config, levels)
    units = tuple(
        unit for unit in clone.units.of(level.name for level in chosen) if unit.version is not None
    )
    if not units:
        msg = f"nothing is recorded yet on {', '.join(levels)}"
        raise UsageError(msg, remedy="imgdata run makes it, imgdata add takes raw data in")
    return units


def _verdict(clone: Clone, gate: Gate, unit: Unit) -> Verdict:
    """Judge a unit; by records alone where its list of files is not here to be compared yet."""
    return gate.verdict(unit) if clone.has_list(unit) else gate.verdict_as_recorded(unit)


def _files(clone: Clone, unit: Unit, select: Selection) -> Iterable[LevelFile]:
    """Yield a unit's files as recorded; the bytes are read from cache or workspace.

    Those that are not here have no place yet, and their share of the unit's bytes as size.
    """
    level = clone.config.levels[unit.level]
    if not clone.has_list(unit):
        yield from _unnamed(unit, select)
        return
    content = content_of(unit, clone.folder_list(unit)).selected(select, level)
    lacking = absent(clone, content)
    share = unit.size // max(1, unit.nfiles)
    for relpath, md5 in sorted(content.files.items()):
        path = f"{unit.path}/{relpath}" if relpath else unit.path
        places = [clone.dvc.cache_dir / object_key(md5)]
        places += [clone.root / path] if clone.tree is None else []
        local = next((place for place in places if place.is_file()), None)
        if local is None or relpath in lacking:
            yield LevelFile(unit.level, unit.name or "", path, "", share, md5)
        else:
            size = local.stat().st_size
            yield LevelFile(unit.level, unit.name or "", path, str(local), size, md5)


def _unnamed(unit: Unit, select: Selection) -> Iterable[LevelFile]:
    """Yield as many files as a unit has whose list is not here; of a selection, at most so many."""
    if not may_be_selected(unit, select):
        return
    share, rest = divmod(unit.size, max(1, unit.nfiles))
    for number in range(unit.nfiles):
        path = f"{unit.path}/not-named-yet-{number + 1}"
        yield LevelFile(unit.level, unit.name or "", path, "", share + (number < rest), "")


def _fields(clone: Clone, units: Iterable[Unit]) -> Iterable[Fields]:
    """Yield what the names of all files say, for the error of a selection that fits none."""
    for unit in (one for one in units if clone.has_list(one)):
        files = content_of(unit, clone.folder_list(unit)).files
        yield from fields_of(unit, clone.config.levels[unit.level], files).values()


def _listed(text: str) -> tuple[str, ...]:
    """Return an answer that is a list, as it is written: with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _metadata(
    config: Config, wish: Wish, today: date, origins: Iterable[str], answers: Mapping[str, str]
) -> DepositMetadata:
    known = [config.origins[name] for name in sorted(origins) if name in config.origins]
    return DepositMetadata(
        title=config.title,
        creators=tuple(_creator(c.name, c.orcid, c.affiliation) for c in config.creators),
        description=answers.get("study.description", "") or config.description or "",
        license=spdx_id(config.license or "") or config.license or "",
        published=today,
        publisher="Zenodo",
        keywords=config.keywords or _listed(answers.get("study.keywords", "")),
        version=wish.version,
        related=tuple(related for origin in known for related in _related(origin)),
        answers=tuple(sorted({**_contact(config), **answers}.items())),
    )


def _contact(config: Config) -> dict[str, str]:
    """Return institution and e-mail of the first creator who states them.

    They are for repositories whose curators write back; no metadata file of a deposit has them.
    """
    mails = [one.email for one in config.creators if one.email]
    places = [one.affiliation for one in config.creators if one.affiliation]
    found = {"creators.email": mails[:1], "creators.affiliation": places[:1]}
    return {name: values[0] for name, values in found.items() if values}


def _creator(name: str, orcid: str | None, affiliation: str | None) -> Creator:
    """Return a creator; `Ada Lovelace` is written as `Lovelace, Ada`."""
    if "," not in name and " " in name.strip():
        given, _, family = name.strip().rpartition(" ")
        name = f"{family}, {given}"
    short = (orcid or "").rstrip("/").rpartition("/")[2]
    return Creator(name.strip(), short, affiliation or "", is_person=True)


def _related(origin: Origin) -> Iterable[Related]:
    """Yield where an origin's data came from, when that is public."""
    source = (origin.source or "").strip()
    for prefix in ("https://doi.org/", "http://doi.org/", "doi:"):
        if source.lower().startswith(prefix):
            yield Related(source[len(prefix) :], "IsDerivedFrom")
            return
    if source.startswith("10.") or (source.startswith("https://") and origin.kind == "public"):
        yield Related(source, "IsDerivedFrom")


def makings_of(clone: Clone, levels: Sequence[str]) -> tuple[Making, ...]:
    """Return how each recorded unit of the levels was made, and what made its inputs."""
    runs = {
        event.text("entry"): (event.text("start"), event.text("end"))
        for event in clone.events
        if event.event == "run" and event.details.get("rc") == 0
    }
    made = [unit for unit in units_of(clone, levels) if unit.stage.kind == "stage"]
    entries = _entry_hashes(clone, {unit.stage.file for unit in made})
    return tuple(
        _making(unit, runs.get(entries.get((unit.stage.file, unit.stage.name), ""), ("", "")))
        for unit in made
    )


def _entry_hashes(clone: Clone, files: Iterable[str]) -> Mapping[tuple[str, str], str]:
    """Return what run records name lock entries by, for each pipeline file and stage."""
    found: dict[tuple[str, str], str] = {}
    for file in files:
        data = clone.files.read(PurePosixPath(file).with_name(LOCK_NAME).as_posix())
        lock: Any = read_yaml(data) if data else {}
        for name, entry in ((lock or {}).get("stages") or {}).items():
            found[file, str(name)] = canonical_hash(entry)
    return found


def _making(unit: Unit, run: tuple[str, str]) -> Making:
    stage = unit.stage
    command = stage.cmd or stage.defined_cmd
    lines = command if isinstance(command, str) else "\n".join(command)
    started, ended = run
    inputs = tuple(
        (dep.path, dep.recorded.hash.value if dep.recorded and dep.recorded.hash else "")
        for dep in stage.deps
    )
    return Making(
        unit.level, unit.name or "", stage.name, lines, inputs, str(unit.version), started, ended
    )


def workflow_files(clone: Clone) -> tuple[WorkflowFile, ...]:
    """Return the recipe: dvc.yaml, dvc.lock, params, scripts, lists of packages.

    Left out: plate maps, what is too large to be a recipe, and links.
    """
    data = {out.path for stage in clone.index.stages for out in stage.outs}
    wanted = {*_WORKFLOW, *_ENVIRONMENT}
    for stage in clone.index.stages:
        if stage.kind == "stage":
            wanted.add(stage.file)
            wanted |= {dep.path for dep in stage.deps if dep.is_inside} - data
            folder = f"{stage.wdir}/" if stage.wdir else ""
            wanted |= {f"{folder}{name}" for name in stage.defined_params}
    for file in {stage.file for stage in clone.index.stages if stage.kind == "stage"}:
        wanted |= _variables_of(clone, file)
    wanted |= {path for path in clone.files.files(_ENVIRONMENTS) if path.endswith(".txt")}
    return tuple(file for path in sorted(wanted) for file in _recipe_files(clone, path))


def _variables_of(clone: Clone, pipeline: str) -> set[str]:
    """Return the files a dvc.yaml takes its variables from, such as a list of plates."""
    named = named_vars((clone.files.read(pipeline) or b"").decode("utf-8", "replace"))
    folder = posixpath.dirname(pipeline)
    paths = (posixpath.normpath(posixpath.join(folder, one.partition(":")[0])) for one in named)
    return {path for path in paths if not path.startswith(("/", ".."))}


def _recipe_files(clone: Clone, path: str) -> Iterable[WorkflowFile]:
    """Yield a file, or the files of a folder of scripts."""
    found = clone.files.files(path) if clone.files.is_folder(path) else [path]
    for name in found:
        hidden = name.startswith(_PLATE_MAPS) or "__pycache__" in name
        if hidden or not _tracked_here(clone, name) or _is_no_recipe(clone, name):
            continue
        data = clone.files.read(name)
        if data is not None and len(data) <= LARGEST_SOURCE:
            yield WorkflowFile(name, data)


def _is_no_recipe(clone: Clone, name: str) -> bool:
    """Tell whether a file of the working folder is a link, or too large to be looked into."""
    place = clone.root / name
    if clone.tree is not None:
        return False
    return place.is_symlink() or (place.is_file() and place.stat().st_size > LARGEST_SOURCE)


def _tracked_here(clone: Clone, name: str) -> bool:
    """Data of a level is never part of the recipe."""
    return not any(
        name == level.path or name.startswith(f"{level.path}/")
        for level in clone.config.levels.values()
    )
