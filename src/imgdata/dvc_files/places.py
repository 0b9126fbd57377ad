r"""Where a path written in a DVC file points to, seen from the root of the tree.

DVC writes paths relative to a stage's wdir. People write `./x`, `x/`, `a//b`, `..\x` and
absolute paths; all forms of one file come out as one path here.
"""

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import Enum

from msgspec import Struct

from imgdata.dvc_files.recorded import is_url

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class Where(Enum):
    """Whether a path lies in the tree."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    """It leaves the root by `..`, or is absolute and not below the root."""
    URL = "url"


class Place(Struct, frozen=True):
    """A resolved path.

    Attributes:
        path: Inside: relative to the tree's root, `/` between parts, `.` for the root itself.
            Outside: normalised, beginning with `..` or absolute. A url: as written.
        where: Which of the three.
    """

    path: str
    where: Where


def resolve(written: str, wdir: str, home: str = "") -> Place:
    """Return the place of a path written relative to a folder.

    Args:
        written: The path as it stands in the file.
        wdir: The folder it is relative to, seen from the tree's root; empty for the root. It may
            itself lie outside.
        home: Absolute path of the tree's root, if it has one: absolute paths below it are inside.
    """
    if is_url(written):
        return Place(written, Where.URL)
    text = written.replace("\\", "/") if "\\" in written else written
    if text.startswith("/") or _DRIVE.match(text):
        return _absolute(text, home)
    path = posixpath.normpath(f"{wdir}/{text}" if wdir else text)
    if path == ".." or path.startswith("../"):
        return _climbed(path, home)
    return Place(path, Where.OUTSIDE if path.startswith("/") else Where.INSIDE)


def _absolute(text: str, home: str) -> Place:
    path = posixpath.normpath(text)
    path = path[1:] if path.startswith("//") else path
    if home and path == home:
        return Place(".", Where.INSIDE)
    if home and path.startswith(home.rstrip("/") + "/"):
        return Place(path[len(home.rstrip("/")) + 1 :], Where.INSIDE)
    return Place(path, Where.OUTSIDE)


def _climbed(path: str, home: str) -> Place:
    """Return the place of a path above the root; it may come back by the root's own name."""
    if not home:
        return Place(path, Where.OUTSIDE)
    found = _absolute(posixpath.normpath(f"{home}/{path}"), home)
    return found if found.where is Where.INSIDE else Place(path, Where.OUTSIDE)


def touches(one: str, other: str) -> bool:
    """Tell whether two paths of the tree are one, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def folder_of(path: str) -> str:
    """Return the folder a file lies in, empty for the root."""
    return posixpath.dirname(path)


def join(folder: str, name: str) -> str:
    """Return a path below a folder, where the empty folder is the root."""
    return f"{folder}/{name}" if folder else name


def folders_above(path: str) -> Iterator[str]:
    """Yield the folders a path lies in, the nearest first, the root left out."""
    while path := folder_of(path):
        yield path


def paths_below(paths: Sequence[str], folder: str) -> Iterator[str]:
    """Yield those of sorted paths that lie below a folder; found by halving, not by looking."""
    prefix = f"{folder}/" if folder else ""
    for at in range(bisect_left(paths, prefix), len(paths)):
        if not paths[at].startswith(prefix):
            return
        yield paths[at]
