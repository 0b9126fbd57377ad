"""The list of units that the pipeline runs over: `plates.yaml`, or a list in params.yaml.

`plates.yaml` holds one line a unit inside brackets, so that git's union merge keeps the lines of
two people who each added one.
"""

import json
from pathlib import Path

from imgdata.project.editor import dump_edited, load_editable
from imgdata.project.yaml_lines import load_with_lines
from imgdata.system.files import write_text


def list_file(unit_kind: str) -> str:
    """Return the name of the file that lists the units of a kind: `plates.yaml`."""
    return f"{unit_kind}s.yaml"


def add_to_unit_list(root: Path, unit_kind: str, name: str) -> Path | None:
    """Add a unit to the list the pipeline runs over; return the file if it changed.

    A project without such a list has a pipeline that names its units itself, or none.
    """
    key = f"{unit_kind}s"
    for path in (root / list_file(unit_kind), root / "params.yaml"):
        if not path.is_file():
            continue
        text = path.read_text("utf-8")
        value = load_with_lines(text)[0]
        units = value.get(key) if isinstance(value, dict) else None
        if not isinstance(units, list):
            continue
        if name in [str(unit) for unit in units]:
            return None
        write_text(path, _with_line(text, name) or _with_item(text, key, name))
        return path
    return None


def example_lists(root: Path, unit_kind: str) -> dict[str, bytes]:
    """Return the list's file as it would be with one unit, where it is empty now."""
    key = f"{unit_kind}s"
    for name in (list_file(unit_kind), "params.yaml"):
        path = root / name
        text = path.read_text("utf-8") if path.is_file() else ""
        value = load_with_lines(text)[0]
        if isinstance(value, dict) and value.get(key) == []:
            return {name: (_with_line(text, "unit") or _with_item(text, key, "unit")).encode()}
    return {}


def _with_line(text: str, name: str) -> str | None:
    """Insert a line before the closing bracket of a list that has one line a unit."""
    lines = text.splitlines()
    closing = [number for number, line in enumerate(lines) if line.strip() == "]"]
    if len(closing) != 1:
        return None
    before = lines[: closing[0]]
    if before and not before[-1].rstrip().endswith(("[", ",")):
        before[-1] += ","
    return (
        "\n".join([*before, f"  {json.dumps(name, ensure_ascii=False)},", *lines[closing[0] :]])
        + "\n"
    )


def _with_item(text: str, key: str, name: str) -> str:
    """Append to an ordinary YAML list, keeping comments and order."""
    value = load_editable(text)
    units = value[key]
    if not units:
        units.fa.set_block_style()
    units.append(name)
    return dump_edited(value, text)
