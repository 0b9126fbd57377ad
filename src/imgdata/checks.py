"""Check images from Python: levels of a project, or any file or folder.

```python
from imgdata import checks

for report in checks.check(checks.Request(targets=("data/raw",))):
    print(report.root, report.worst())
```
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from imgdata.errors import UsageError
from imgdata.images.readers import ImageReaders
from imgdata.model.findings import CheckReport, Severity
from imgdata.project.config import Config
from imgdata.project.loader import CONFIG_NAME, load_config
from imgdata.reports.check_json import as_json
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows import check_project
from imgdata.workflows.check import CheckOptions, Pixels, check_files

__all__ = ["Request", "as_json", "check", "check_paths", "fails", "write_report"]


@dataclass(frozen=True, slots=True)
class Request:
    """What to check.

    Attributes:
        start: Folder the search for imgdata.yaml begins in, as `--project` names it.
        targets: Levels, files or folders; without any, all levels, or the folder itself.
        level: The level alone, or what the targets are judged as.
        deep: Decode the pixels of every file.
        pixels: Overrides whose pixels are decoded; `Pixels.NONE` reads headers only.
        cache: Folder that remembers readings; None uses the project's or the user's.
    """

    start: Path = field(default_factory=Path)
    targets: tuple[str, ...] = ()
    level: str | None = None
    deep: bool = False
    pixels: Pixels | None = None
    cache: Path | None = None


def check(request: Request, *, progress: Progress = SILENT) -> tuple[CheckReport, ...]:
    """Check what was asked for; one report a target. Works without a project.

    Raises:
        NothingFoundError: A path does not exist.
        UsageError: A level does not exist.
        InvalidProjectError: imgdata.yaml is not valid.
    """
    root, config = _project(request)
    pixels = request.pixels or (Pixels.ALL if request.deep else Pixels.SAMPLE)
    cache = request.cache or _cache_folder(root)
    reports = []
    chosen = check_project.choose_targets(config, root, request.targets, request.level)
    for target in chosen:
        options = check_project.options_for(target, config, root, pixels=pixels, cache=cache)
        reports.append(
            check_files(
                [target.path], ImageReaders(), root=target.root, options=options, progress=progress
            )
        )
    return tuple(reports)


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
    starts = [request.start.absolute()]
    starts += [Path(t).absolute() for t in request.targets if Path(t).exists()]
    for start in starts:
        for folder in (start, *start.parents):
            if (folder / CONFIG_NAME).is_file():
                return folder, load_config(folder / CONFIG_NAME)
    return None, None


def _cache_folder(root: Path | None) -> Path:
    if root is not None and (root / ".dvc").is_dir():
        return root / ".dvc" / "tmp" / "imgdata"
    return Path(platformdirs.user_cache_dir("imgdata"))


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
        from imgdata.reports.check_html import as_html  # noqa: PLC0415 - jinja2 is heavy

        text = as_html(reports, ImageReaders())
    path.write_text(text + "\n", encoding="utf-8")
