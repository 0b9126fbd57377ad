"""List the images that pass the limits in params.yaml and that nobody excluded.

python scripts/select_images.py qc/P1.csv metadata/excluded/P1.csv qc/P1.pass.csv
    qc/P1.left_out.csv qc/P1.json

metadata/excluded/P1.csv, which `imgdata exclude` writes, has a line a file of the plate: level,
file (its name in the plate's folder), reason, by and at. A raw image is left out with all channels
of its well and site, because a cell is measured in all of them. What is excluded of a later level
goes to qc/P1.left_out.csv: nobody measures it, and what was made before it stays as it is.
"""

import json
import sys
from pathlib import Path

from images import read_table, settings, stop, write_table

COLUMNS = ("file", "well", "site", "channel")
TABLES = {"single_cell_profiles", "bulk_profiles"}  # one file a plate: nothing to leave out of it


def reason(image: dict[str, str], limits: dict, excluded: set[str]) -> str:
    """Return why an image is left out; nothing if it passes."""
    if image["file"] in excluded:
        return "excluded"
    if float(image["focus"]) < limits["min_focus"]:
        return "blurred"
    if float(image["saturated"]) > limits["max_saturated"]:
        return "saturated"
    if float(image["mean"]) < limits["min_mean"]:
        return "dark"
    return ""


def main(table: Path, decisions: Path, passed: Path, left_out: Path, summary: Path) -> None:
    limits = settings("params.yaml", "qc")
    plate = table.stem
    rows = [(row["level"], row["file"]) for row in read_table(decisions)]
    if tables := sorted(TABLES & {level for level, _ in rows}):
        stop(
            f"{decisions} leaves out {tables[0]}, which no script here can: leave out images, "
            "masks or crops, or take the plate out of plates.yaml"
        )
    excluded = {file for level, file in rows if level == "raw"}
    images = read_table(table)
    reasons = {image["file"]: reason(image, limits, excluded) for image in images}
    for file in sorted(excluded - reasons.keys()):
        print(f"{decisions}: plate {plate} has no raw image {file}")
    failed = {(image["well"], image["site"]) for image in images if reasons[image["file"]]}
    kept = [image for image in images if (image["well"], image["site"]) not in failed]
    if not kept:
        stop(
            f"no image of plate {plate} is left: see {table} and {decisions}. "
            "To leave out a whole plate take it out of plates.yaml"
        )
    write_table(passed, COLUMNS, ([image[name] for name in COLUMNS] for image in kept))
    later = sorted({(level, file) for level, file in rows if level not in {"raw", "level"}})
    write_table(left_out, ("level", "file"), later)
    counts = {
        name: list(reasons.values()).count(name)
        for name in ("blurred", "saturated", "dark", "excluded")
    }
    report = {"images": len(images), "passed": len(kept), **counts}
    summary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{len(kept)} of {len(images)} images pass")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
