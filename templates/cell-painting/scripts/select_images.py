"""List the images that pass the limits in params.yaml and that nobody excluded.

python scripts/select_images.py qc/P1.csv metadata/exclusions.csv qc/P1.pass.csv qc/P1.json

A well and site is kept or left out with all its channels, because a cell is measured in all of
them. metadata/exclusions.csv has a line a decision: level, unit (the plate), select
(`well=B02,B03 site=1`: commas mean or, spaces mean and), file (a raw or corrected image, or a mask)
and reason. Without select and file the whole plate is left out.
"""

import json
import re
import sys
from pathlib import Path

from images import read_table, settings, stop, well_name, write_table

COLUMNS = ("file", "well", "site", "channel")


def number(well: str) -> tuple[str, int]:
    """Return row and column of a well, to compare and to find what lies between two."""
    found = re.fullmatch(r"([A-Z]{1,2})(\d+)", well_name(well))
    return (found[1].rjust(2), int(found[2])) if found else (well, 0)


def is_value(value: str, wanted: str, field: str) -> bool:
    """Say whether a value is the wanted one; `B02..D04` is the rectangle of wells."""
    first, dots, last = wanted.partition("..")
    if field == "well":
        row, column = number(value)
        (top, left), (bottom, right) = number(first), number(last if dots else first)
        return top <= row <= bottom and left <= column <= right
    if dots and all(text.isdigit() for text in (value, first, last)):
        return int(first) <= int(value) <= int(last)
    if value.isdigit() and wanted.isdigit():
        return int(value) == int(wanted)
    return value == wanted


def excluded(image: dict[str, str], decision: dict[str, str]) -> bool:
    """Say whether one line of exclusions.csv means this image."""
    name = (decision.get("file") or "").strip()
    field = f"{image['well']}_{image['site']}"
    if name and Path(name).name not in {
        Path(image["file"]).name,
        f"{field}_{image['channel']}.tif",
        f"{field}.tif",
    }:
        return False
    for condition in re.split(r"[\s;&]+", (decision.get("select") or "").strip()):
        if not condition:
            continue
        field, equals, wanted = condition.partition("=")
        if not equals or field not in {*COLUMNS, "plate"}:
            stop(f"metadata/exclusions.csv: '{condition}' does not say well=, site= or channel=")
        if field != "plate" and not any(
            is_value(image[field], one, field) for one in wanted.split(",")
        ):
            return False
    return True


def reason(image: dict[str, str], limits: dict, decisions: list[dict[str, str]]) -> str:
    """Return why an image is left out; nothing if it passes."""
    if any(excluded(image, decision) for decision in decisions):
        return "excluded"
    if float(image["focus"]) < limits["min_focus"]:
        return "blurred"
    if float(image["saturated"]) > limits["max_saturated"]:
        return "saturated"
    if float(image["mean"]) < limits["min_mean"]:
        return "dark"
    return ""


def main(table: Path, exclusions: Path, passed: Path, summary: Path) -> None:
    limits = settings("params.yaml", "qc")
    plate = table.stem
    decisions = [row for row in read_table(exclusions) if row.get("unit") in {plate, "", None}]
    images = read_table(table)
    reasons = {image["file"]: reason(image, limits, decisions) for image in images}
    for decision in decisions:
        if not any(excluded(image, decision) for image in images):
            print(f"{exclusions}: no image of {plate} is meant by {list(decision.values())}")
    failed = {(image["well"], image["site"]) for image in images if reasons[image["file"]]}
    kept = [image for image in images if (image["well"], image["site"]) not in failed]
    if not kept:
        stop(f"no image of plate {plate} is left: see {table} and {exclusions}")
    write_table(passed, COLUMNS, ([image[name] for name in COLUMNS] for image in kept))
    counts = {
        name: list(reasons.values()).count(name)
        for name in ("blurred", "saturated", "dark", "excluded")
    }
    report = {"images": len(images), "passed": len(kept), **counts}
    summary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{len(kept)} of {len(images)} images pass")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
