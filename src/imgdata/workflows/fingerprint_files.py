"""Fingerprint images, find the same image in two files, and keep the result of a level."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from imgdata.errors import DamagedError
from imgdata.system.files import write_text
from imgdata.system.progress import SILENT, Progress
from imgdata.workflows.check_walk import find, is_thumb

FOLDER = ".imgdata/fingerprints"


class Print(Struct, frozen=True):
    """One file's fingerprint; the hash is empty and the error says why where there is none."""

    path: str
    hash: str
    planes: int = 0
    shape: tuple[int, ...] = ()
    dtype: str = ""
    error: str = ""


class Fingerprints(Struct, frozen=True):
    """All fingerprints, the groups of files that show the same image, and where they were kept."""

    files: tuple[Print, ...]
    same: tuple[tuple[str, ...], ...]
    written: Path | None = None


Take = Callable[[Path], Print | None]
"""Returns a file's fingerprint, or None for a file that is no image; may raise `DamagedError`."""


def fingerprint_files(
    paths: Iterable[Path], root: Path, take: Take, *, progress: Progress = SILENT
) -> Fingerprints:
    """Fingerprint every image below some paths; decodes every pixel, a plane at a time."""
    candidates = [c for c in find(paths, root) if not is_thumb(c.name)]
    progress.start("fingerprints", items=len(candidates), size=0)
    found: list[Print] = []
    for candidate in candidates:
        try:
            one = take(candidate.path)
        except DamagedError as error:
            one = Print("", "", error=error.problem)
        progress.advance(items=1)
        if one is not None:
            found.append(
                Print(candidate.name, one.hash, one.planes, one.shape, one.dtype, one.error)
            )
    progress.finish()
    return Fingerprints(tuple(found), same_images(found))


def same_images(found: Sequence[Print]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of paths with one fingerprint, sorted."""
    groups: dict[str, list[str]] = defaultdict(list)
    for one in found:
        if one.hash:
            groups[one.hash].append(one.path)
    return tuple(sorted(tuple(sorted(paths)) for paths in groups.values() if len(paths) > 1))


def keep(found: Fingerprints, project: Path, level: str) -> Path:
    """Write a level's fingerprints, one line a file, sorted: the same images give the same file."""
    lines = [
        json.dumps(
            {
                "path": o.path,
                "hash": o.hash,
                "planes": o.planes,
                "shape": o.shape,
                "dtype": o.dtype,
            },
            sort_keys=True,
        )
        for o in sorted(found.files, key=lambda o: o.path)
        if o.hash
    ]
    path = project / FOLDER / f"{level}.jsonl"
    write_text(path, "".join(f"{line}\n" for line in lines))
    return path
