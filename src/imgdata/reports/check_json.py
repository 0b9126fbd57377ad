"""The check report as the JSON of `imgdata check --json` (PRODUCT.md section 10)."""

from collections import Counter
from collections.abc import Mapping

from imgdata.model.facts import Fact
from imgdata.model.findings import CheckReport, FileCheck, Finding, Layout

Json = dict[str, object]


def as_json(report: CheckReport) -> Json:
    """Return the report as one JSON-ready result with `files`, `findings` and `summary`."""
    return {
        "path": report.root,
        "level": report.level or None,
        "deep": report.deep,
        "files": [_file(one) for one in report.files],
        "findings": [_finding(one) for one in report.findings],
        "summary": _summary(report),
    }


def _file(one: FileCheck) -> Json:
    reading = one.reading
    found: Json = {
        "path": one.path,
        "size": one.size,
        "format": reading.format,
        "reader": reading.reader,
        "checked": reading.checked,
        "compression": str(reading.compression.packing) if reading.compression else "unknown",
        "facts": {name: _fact(fact) for name, fact in sorted(reading.facts.items())},
    }
    if reading.compression is not None:
        found["compression_reason"] = reading.compression.reason
    if reading.flavour:
        found["flavour"] = reading.flavour
    return found


def _fact(fact: Fact) -> Json:
    value = list(fact.value) if isinstance(fact.value, tuple) else fact.value
    return {"value": value, "unit": fact.unit, "source": str(fact.source), "detail": fact.detail}


def _finding(one: Finding) -> Json:
    found: Json = {
        "id": one.id,
        "severity": str(one.severity),
        "expected": one.expected,
        "found": one.found,
        "message": one.message,
        "remedy": one.remedy,
        "source": one.source,
    }
    found |= {"path": one.paths[0]} if len(one.paths) == 1 else {"paths": list(one.paths)}
    if one.reason:
        found["reason"] = one.reason
    return found


def _summary(report: CheckReport) -> Json:
    packing = Counter(
        str(f.reading.compression.packing) if f.reading.compression else "unknown"
        for f in report.files
    )
    return {
        "files": len(report.files),
        "other_files": report.others,
        "not_checked": sum(1 for f in report.files if not f.reading.checked),
        "bytes": sum(f.size for f in report.files),
        "findings": dict(Counter(str(f.severity) for f in report.findings)),
        "by_id": dict(sorted(Counter(f.id for f in report.findings).items())),
        "formats": dict(sorted(Counter(f.reading.format for f in report.files).items())),
        "compression": dict(sorted(packing.items())),
        "facts": agreement(report),
        "layouts": [_layout(one) for one in report.layouts],
        "verdict": str(report.worst() or "clean"),
    }


def agreement(report: CheckReport) -> Mapping[str, Json]:
    """Return for each fact how many files have it, lack it, and which value most of them give."""
    names = sorted({name for one in report.files for name in one.reading.facts})
    found: dict[str, Json] = {}
    for name in names:
        facts = [f.reading.facts[name] for f in report.files if name in f.reading.facts]
        usual, count = Counter((f.value, f.unit, f.source) for f in facts).most_common(1)[0]
        value = list(usual[0]) if isinstance(usual[0], tuple) else usual[0]
        found[name] = {
            "value": value,
            "unit": usual[1],
            "source": str(usual[2]),
            "agree": count,
            "have": len(facts),
            "missing": len(report.files) - len(facts),
            "values": len({f.value for f in facts}),
        }
    return found


def _layout(one: Layout) -> Json:
    return {
        "key": one.pattern,
        "guessed": one.guessed,
        "explanation": list(one.explanation),
        "matched": one.matched,
        "values": {name: list(values) for name, values in one.values.items()},
        "wells": [
            {
                "plate": w.plate,
                "well": w.well,
                "images": w.images,
                "missing": w.missing,
                "worst": str(w.worst) if w.worst else None,
            }
            for w in one.wells
        ],
    }
