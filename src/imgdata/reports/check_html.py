"""The check report as one self-contained page: what is wrong, where on the plate, how it looks.

No script, no font and no image is loaded from elsewhere; the page can be mailed and archived.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from imgdata.model.findings import CheckReport, Finding, WellState
from imgdata.model.sizes import format_size
from imgdata.policy.check_rules import BY_ID
from imgdata.policy.judging import grouped
from imgdata.policy.plate_rules import with_severities
from imgdata.reports.check_json import agreement

TEMPLATE = "check.html.j2"
MAX_THUMBS = 12
MAX_FILES = 3000
MAX_PATHS = 200
SHARED = 0.9
PLATES = ((8, 12), (16, 24), (32, 48))
_WORDS = {"error": "errors", "warning": "warnings", "note": "notes"}
_SHOWN_FACTS = (
    "manufacturer",
    "model",
    "serial",
    "objective",
    "objective_magnification",
    "objective_na",
    "pixel_size_x",
    "pixel_size_y",
    "pixel_size_z",
    "channels",
    "exposure",
    "binning",
    "camera",
    "size_x",
    "size_y",
    "size_z",
    "size_c",
    "size_t",
    "dtype",
    "acquired",
    "software",
)
Thumbnail = Callable[[Path], bytes | None]
"""Returns a small PNG of a file, or None where it cannot be shown."""


class Cause(Struct, frozen=True):
    """One line of the list of causes."""

    finding: Finding
    title: str
    message: str
    why: str
    paths: tuple[str, ...]
    more: int


class Plate(Struct, frozen=True):
    """One plate as a grid: rows of (label, cells), a cell a (class, tooltip)."""

    name: str
    columns: tuple[int, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    missing: int


class Shown(Struct, frozen=True):
    """One thumbnail with what was found about its file."""

    path: str
    image: str
    severity: str
    messages: tuple[str, ...]


def as_html(reports: Sequence[CheckReport], thumbnail: Thumbnail) -> str:
    """Return the page; the same reports give the same page."""
    import jinja2  # noqa: PLC0415 - only a report needs it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        parts=[_part(report, thumbnail) for report in reports]
    )


def _part(report: CheckReport, thumbnail: Thumbnail) -> Mapping[str, object]:
    worst = report.worst()
    by_path: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        for path in finding.paths:
            by_path[path].append(finding)
    counts = Counter(str(f.severity) for f in report.findings)
    return {
        "report": report,
        "size": format_size(sum(f.size for f in report.files)),
        "verdict": str(worst) if worst else "clean",
        "headline": _headline(report, counts),
        "counts": [(w, _WORDS[w], counts[w]) for w in ("error", "warning", "note") if counts[w]],
        "formats": _tally(f.reading.format for f in report.files),
        "packings": _tally(
            str(f.reading.compression.packing) if f.reading.compression else "unknown"
            for f in report.files
        ),
        "unread": [f.path for f in report.files if not f.reading.checked],
        "causes": [_cause(finding) for finding, _ in grouped(report.findings)],
        "plates": _plates(report),
        "thumbs": _thumbs(report, by_path, thumbnail),
        "facts": _facts(report),
        "files": [
            (f, sorted({x.id for x in by_path.get(f.path, [])}), _worst(by_path.get(f.path, [])))
            for f in report.files[:MAX_FILES]
        ],
        "hidden_files": max(0, len(report.files) - MAX_FILES),
    }


def _tally(words: object) -> str:
    counts = Counter(words)  # type: ignore[call-overload]  # any iterable of texts
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


def _headline(report: CheckReport, counts: Mapping[str, int]) -> str:
    if not report.files:
        return "No image was found here."
    if counts.get("error"):
        return "Some files are not safe to archive as originals."
    if counts.get("warning"):
        return "The files are whole; something about them needs a decision."
    if any(not f.reading.checked for f in report.files):
        return "What could be read is in order; some files were not checked."
    return "Every file is whole, lossless and described."


def _worst(findings: Sequence[Finding]) -> str:
    found = max((f.severity for f in findings), key=lambda s: s.rank, default=None)
    return str(found) if found else "clean"


def _cause(finding: Finding) -> Cause:
    rule = BY_ID[finding.id]
    shown = finding.paths[:MAX_PATHS]
    message = finding.message.removeprefix(f"{rule.title}: ")
    message = f"{message[:1].upper()}{message[1:]}."
    return Cause(finding, rule.title, message, rule.why, shown, len(finding.paths) - len(shown))


def _plates(report: CheckReport) -> list[Plate]:
    """Return the plates coloured by what tells wells apart: what all images share is left out."""
    concerned: dict[str, set[str]] = defaultdict(set)
    for finding in report.findings:
        concerned[finding.id].update(finding.paths)
    shared = {i for i, paths in concerned.items() if len(paths) >= SHARED * len(report.files)}
    telling = [f for f in report.findings if f.id not in shared or str(f.severity) == "error"]
    wells: dict[str, list[WellState]] = defaultdict(list)
    for layout in with_severities(report.layouts, telling):
        for well in layout.wells:
            wells[well.plate].append(well)
    return [_plate(name, found) for name, found in sorted(wells.items())]


def _place(well: str) -> tuple[int, int] | None:
    letters = well.rstrip("0123456789")
    digits = well[len(letters) :]
    if not letters.isalpha() or not digits:
        return None
    row = 0
    for letter in letters.upper():
        row = row * 26 + ord(letter) - 64
    return row, int(digits)


def _plate(name: str, wells: Sequence[WellState]) -> Plate:
    placed = {place: w for w in wells if (place := _place(w.well)) is not None}
    height = max((row for row, _ in placed), default=1)
    width = max((column for _, column in placed), default=1)
    rows, columns = next(((r, c) for r, c in PLATES if height <= r and width <= c), (height, width))
    grid = tuple(
        (_letter(row), tuple(_cell(placed.get((row, column))) for column in range(1, columns + 1)))
        for row in range(1, rows + 1)
    )
    return Plate(name, tuple(range(1, columns + 1)), grid, sum(w.missing for w in wells))


def _letter(row: int) -> str:
    above, below = divmod(row - 1, 26)
    return (chr(64 + above) if above else "") + chr(65 + below)


def _cell(well: WellState | None) -> tuple[str, str]:
    if well is None:
        return "empty", ""
    kind = str(well.worst) if well.worst else "clean"
    text = f"{well.well}: {well.images} images"
    if well.missing:
        kind = "lacking"
        text += f", {well.missing} missing"
    return kind, text + (f", {well.worst}" if well.worst else "")


def _thumbs(
    report: CheckReport, by_path: Mapping[str, Sequence[Finding]], thumbnail: Thumbnail
) -> list[Shown]:
    """Return small pictures of the worst files: different causes first, then the rest."""
    ranked = sorted(
        (f.path for f in report.files if f.path in by_path and f.reading.checked),
        key=lambda p: (-max(f.severity.rank for f in by_path[p]), p),
    )
    seen: set[tuple[str, ...]] = set()
    first: list[str] = []
    rest: list[str] = []
    for path in ranked:
        causes = tuple(sorted(f.id for f in by_path[path]))
        (rest if causes in seen else first).append(path)
        seen.add(causes)
    shown: list[Shown] = []
    for path in [*first, *rest]:
        if len(shown) >= MAX_THUMBS:
            break
        data = thumbnail(Path(report.root) / path)
        if data is not None:
            image = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
            told = tuple(f"{f.id} {f.message}" for f in by_path[path])
            shown.append(Shown(path, image, _worst(by_path[path]), told))
    return shown


def _facts(report: CheckReport) -> list[tuple[str, str, str, str]]:
    said = agreement(report)
    rows = []
    for name in _SHOWN_FACTS:
        if name not in said:
            continue
        fact = said[name]
        value = fact["value"]
        text = ", ".join(map(str, value)) if isinstance(value, list) else _number(value)
        have, agree = fact["have"], fact["agree"]
        count = f"{have} of {len(report.files)}"
        if agree != have:
            count += f", {agree} agree"
        rows.append(
            (name.replace("_", " "), f"{text} {fact['unit']}".strip(), str(fact["source"]), count)
        )
    return rows


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
