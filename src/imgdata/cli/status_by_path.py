"""`imgdata status` of a DVC repository without imgdata.yaml: a line a tracked path."""

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from imgdata.cli.status import state_words
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.levels.units import Unit
    from imgdata.workflows.status import ProjectStatus, UnitStatus

READABLE = 40
HEAD = ("path", "files", "size", "state", "made by", "remote", "next")


def rows_of(found: "ProjectStatus") -> list[tuple[str, ...]]:
    """Return the table; where there are too many paths to read, alike ones are one line."""
    if len(found.units) <= READABLE:
        return [HEAD, *(_row([one]) for one in found.units)]
    groups: dict[tuple[str, ...], list[UnitStatus]] = {}
    for one in found.units:
        groups.setdefault(_likeness(one), []).append(one)
    return [HEAD, *(_row(some) for some in groups.values())]


def _likeness(one: "UnitStatus") -> tuple[str, ...]:
    return state_words(one), _maker(one), _remote(one), " ".join(one.next_step.split(" ")[:2])


def _row(some: "Sequence[UnitStatus]") -> tuple[str, ...]:
    first = some[0]
    nfiles = sum(one.unit.nfiles for one in some)
    size = sum(one.unit.size for one in some)
    return (
        _title(some),
        f"{nfiles:,}" if nfiles else "",
        format_size(size) if size else "",
        state_words(first),
        _maker(first),
        _remote(first),
        _step(some),
    )


def _title(some: "Sequence[UnitStatus]") -> str:
    """Name one path, or the first and last of a folder, or the folder above all."""
    first, last = some[0].unit.path, some[-1].unit.path
    if len(some) == 1:
        return first
    folder, name = PurePosixPath(first).parent, PurePosixPath(last).name
    if all(PurePosixPath(one.unit.path).parent == folder for one in some):
        return f"{first} ... {name} ({len(some):,})"
    above = _folder_of(some)
    return f"{'' if above == '.' else f'{above}/'}... ({len(some):,})"


def _folder_of(some: "Sequence[UnitStatus]") -> str:
    """Return the deepest folder that holds all of some paths, `.` for the top."""
    parts = [PurePosixPath(one.unit.path).parent.parts for one in some]
    low, high = min(parts), max(parts)
    depth = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return "/".join(low[: min(depth, len(high))]) or "."


def _maker(one: "UnitStatus") -> str:
    return one.made_by.split("@", 1)[0]


def _remote(one: "UnitStatus") -> str:
    """Say where plain DVC keeps a path, and with `--remote` whether it is there."""
    if not one.copies:
        return _why_none(one.unit)
    copy = one.copies[0]
    if copy.present is None:
        return copy.storage
    return f"{copy.storage}: {'all' if copy.is_present else f'{copy.present} of {copy.wanted}'}"


def _why_none(unit: "Unit") -> str:
    flags = unit.out.flags
    if not unit.stage.resolved:
        return "unknown"
    if not flags.cache:
        return "- (cache: false)"
    if not flags.push:
        return "- (push: false)"
    return "- (imported)" if unit.stage.kind == "import" else "-"


def _step(some: "Sequence[UnitStatus]") -> str:
    """Return the next command for one path, or for all of a folder."""
    first = some[0].next_step
    if len(some) == 1 or all(one.next_step == first for one in some):
        return first
    folder = _folder_of(some)
    for verb in ("imgdata pull", "imgdata push"):
        if all(one.next_step.startswith(verb) for one in some):
            return f"{verb} {shlex.quote(folder)}"
    stages = {one.unit.stage.dvc_name.split("@", 1)[0] for one in some}
    if len(stages) == 1 and all(one.next_step.startswith("dvc repro") for one in some):
        return f"dvc repro {shlex.quote(stages.pop())}"
    return f"{first}, ..."
