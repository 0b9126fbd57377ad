"""Check images from Python: levels of a project, or any file or folder.

```python
from imgdata import checks

for report in checks.check(checks.Request(targets=("data/raw",))):
    print(report.root, report.worst())
```
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs
from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.dvc_files.config import read_config
from imgdata.errors import NoProjectError, UsageError
from imgdata.images.readers import ImageReaders
from imgdata.model.findings import CheckReport, FileCheck, Severity
from imgdata.model.rembi import BY_NAME, Completeness
from imgdata.project.answers import rembi_answers
from imgdata.project.config import Config
from imgdata.project.loader import CONFIG_NAME, load_config
from imgdata.reports.check_json import as_json
from imgdata.system.files import write_text
from imgdata.system.folder_tree import FolderTree
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows import check_project, check_recorded, describe_project
from imgdata.workflows.check import MASKS, CheckOptions, Pixels, check_files
from imgdata.workflows.fingerprint_files import (
    Fingerprints,
    Print,
    fingerprint_files,
    keep,
    same_images,
)

DVC_FOLDER = ".dvc"
__all__ = [
    "Description",
    "Request",
    "as_json",
    "check",
    "check_paths",
    "describe",
    "description_json",
    "fails",
    "fingerprint",
    "fingerprint_json",
    "write_report",
]


class Request(Struct, frozen=True):
    """What to check.

    Attributes:
        start: Folder the search for imgdata.yaml begins in, as `--project` names it.
        targets: Levels, files or folders; without any, all levels, or the folder itself.
        level: The level alone, or what the targets are judged as.
        deep: Decode the pixels of every file.
        pixels: Overrides whose pixels are decoded; `Pixels.NONE` reads headers only.
        cache: Folder that remembers readings; None uses the project's or the user's.
        records: Compare with what DVC recorded; needless right after recording it.
        config: What imgdata.yaml in `start` says, where it was read already.
    """

    start: Path = field(default_factory=Path)
    targets: tuple[str, ...] = ()
    level: str | None = None
    deep: bool = False
    pixels: Pixels | None = None
    cache: Path | None = None
    records: bool = True
    config: Config | None = None


def check(request: Request, *, progress: Progress = SILENT) -> tuple[CheckReport, ...]:
    """Check what was asked for; one report a target. Works without a project.

    Raises:
        NothingFoundError: A path does not exist.
        UsageError: A level does not exist.
        InvalidProjectError: imgdata.yaml is not valid.
    """
    root, config = _project(request)
    pixels = request.pixels or (Pixels.ALL if request.deep else Pixels.SAMPLE)
    cache = request.cache or cache_folder(root)
    reports = []
    chosen = check_project.choose_targets(config, root, request.targets, request.level)
    for target in chosen:
        options = check_project.options_for(target, config, root, pixels=pixels, cache=cache)
        options = replace(
            options,
            recorded=_recorded(target, config, root) if request.records else {},
            below=_below(target, config, root, cache),
        )
        reports.append(
            check_files(
                [target.path], ImageReaders(), root=target.root, options=options, progress=progress
            )
        )
    return tuple(reports)


def _recorded(
    target: check_project.Target, config: Config | None, root: Path | None
) -> dict[str, str]:
    """Return recorded hashes of files below the target that differ or are missing."""
    level = target.level
    if config is None or root is None or level is None or not (root / DVC_FOLDER).is_dir():
        return {}
    found = check_recorded.differing(root, config, read_config(root / DVC_FOLDER), level)
    inside = os.path.relpath(target.path.absolute(), target.root.absolute())
    if inside == ".":
        return found
    return {name: md5 for name, md5 in found.items() if (name + "/").startswith(f"{inside}/")}


def _below(
    target: check_project.Target, config: Config | None, root: Path | None, cache: Path
) -> tuple[FileCheck, ...]:
    """Return the headers of the images that a level of masks is made from."""
    if config is None or root is None or target.judged_as != MASKS or target.level is None:
        return ()
    found: list[FileCheck] = []
    for source in target.level.sources:
        folder = root / config.levels[source.level].path
        if folder.is_dir():
            options = CheckOptions(level=source.level, pixels=Pixels.NONE, cache=cache)
            found += check_files([folder], ImageReaders(), root=folder, options=options).files
    return tuple(found)


def check_paths(
    paths: Sequence[Path],
    *,
    root: Path,
    options: CheckOptions | None = None,
    progress: Progress = SILENT,
) -> CheckReport:
    """Check files with all readers and given rules; what `imgdata add` calls."""
    return check_files(paths, ImageReaders(), root=root, options=options, progress=progress)


def _project(request: Request) -> tuple[Path | None, Config | None]:
    """Return the project of the folder asked from, else of the first path, else none."""
    if request.config is not None:
        return request.start.absolute(), request.config
    starts = [request.start.absolute()]
    starts += [Path(t).absolute() for t in request.targets if Path(t).exists()]
    for start in starts:
        for folder in (start, *start.parents):
            if (folder / CONFIG_NAME).is_file():
                return folder, load_config(folder / CONFIG_NAME)
    return None, None


def cache_folder(root: Path | None) -> Path:
    """Return the folder that remembers readings: the project's, or the user's without one."""
    if root is not None and (root / DVC_FOLDER).is_dir():
        return root / DVC_FOLDER / "tmp" / "imgdata"
    return Path(platformdirs.user_cache_dir("imgdata"))


class Description(Struct, frozen=True):
    """How complete the description of a project's images is, and the file that was written."""

    state: Completeness
    written: Path | None


def describe(start: Path, given: tuple[str, ...] = ()) -> Description:
    """Note answers (`FIELD=TEXT`) and return what is answered and what is open.

    Without answers nothing is written.

    Raises:
        NoProjectError: There is no project.
        UsageError: A field does not exist.
        InvalidProjectError: An answer is not of its field's form.
    """
    root, config = _project(Request(start))
    if root is None or config is None:
        problem = f"no {CONFIG_NAME} in {start.absolute()} or a folder above it"
        raise NoProjectError(problem, remedy="imgdata init")
    written = _note_answers(root, given) if given else None
    files = _raw_files(root, config)
    return Description(describe_project.completeness(root, config, files), written)


def _note_answers(root: Path, given: tuple[str, ...]) -> Path:
    answers = rembi_answers(FolderTree(root))
    for one in given:
        name, separator, text = one.partition("=")
        if not separator or name not in BY_NAME:
            problem = f"an answer is FIELD=TEXT, not '{one}'"
            raise UsageError(problem, cause=f"fields: {', '.join(BY_NAME)}")
        answers[name] = text.strip()
    schema = root / describe_project.SCHEMA
    write_text(schema, json.dumps(describe_project.schema(), indent=2) + "\n")
    return describe_project.write_answers(root, answers)


def _raw_files(root: Path, config: Config) -> tuple[FileCheck, ...]:
    """Return the images of the first levels: those that are made from no other."""
    first = [level for level in config.levels.values() if not level.sources]
    names = tuple(level.name for level in first if (root / level.path).is_dir())
    if not names:
        return ()
    reports = check(Request(root, names, pixels=Pixels.NONE))
    return tuple(file for report in reports for file in report.files)


def description_json(description: Description) -> dict[str, object]:
    """Return a description as one JSON-ready result."""
    state = description.state
    return {
        "ready": state.ready,
        "total": state.total,
        "sentence": state.sentence(),
        "answers": {
            a.field.name: {"value": a.value, "source": str(a.source), "detail": a.detail}
            for a in state.answers
        },
        "questions": [{"field": q.name, "question": q.question} for q in state.questions],
        "problems": list(state.problems),
    }


def fingerprint(request: Request, *, progress: Progress = SILENT) -> Fingerprints:
    """Fingerprint the images of levels or paths; those of a level are kept in `.imgdata`.

    Decodes every pixel, one plane at a time.
    """
    root, config = _project(request)
    files: list[Print] = []
    written = None
    targets = check_project.choose_targets(config, root, request.targets, request.level)
    for target in targets:
        found = fingerprint_files([target.path], target.root, _take, progress=progress)
        files += found.files
        if root is not None and target.level is not None and target.path == target.root:
            written = keep(found, root, target.level.name)
    return Fingerprints(tuple(files), same_images(files), written)


def _take(path: Path) -> Print | None:
    from imgdata.images import fingerprint as prints  # noqa: PLC0415 - numpy is heavy

    found = prints.fingerprint(path)
    if found is None:
        return None
    return Print(str(path), found.hash, found.planes, found.shape, found.dtype)


def fingerprint_json(one: Print) -> dict[str, object]:
    """Return a fingerprint as one JSON-ready result."""
    return {
        "path": one.path,
        "fingerprint": one.hash or None,
        "planes": one.planes,
        "shape": list(one.shape),
        "dtype": one.dtype,
        "error": one.error or None,
    }


def fails(report: CheckReport, fail_on: str) -> bool:
    """Tell whether a report has a finding of this severity or a higher one."""
    return any(f.severity.at_least(Severity(fail_on)) for f in report.findings)


def write_report(reports: Sequence[CheckReport], path: Path) -> None:
    """Write reports to a file: HTML, or JSON for a name that ends in `.json`.

    Raises:
        UsageError: The name ends in neither.
    """
    suffix = path.suffix.lower()
    if suffix not in {".html", ".htm", ".json"}:
        problem = f"a report is FILE.html or FILE.json, not {path.name}"
        raise UsageError(problem)
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".json":
        text = json.dumps([as_json(one) for one in reports], indent=2, ensure_ascii=False)
    else:
        from imgdata.images.thumbnails import thumbnail  # noqa: PLC0415 - decoders are heavy
        from imgdata.reports.check_html import as_html  # noqa: PLC0415 - jinja2 is heavy

        text = as_html(reports, thumbnail)
    path.write_text(text + "\n", encoding="utf-8")
