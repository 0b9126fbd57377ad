"""Find the files a check looks at; a folder named `*.zarr` is one file."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from imgdata.errors import NothingFoundError

SKIPPED = frozenset(
    {".git", ".dvc", ".datalad", ".imgdata", "__pycache__", ".venv", "node_modules"}
)
ZARR = ".zarr"


class Candidate(Struct, frozen=True):
    """One file that may be an image, and its stat.

    Attributes:
        full: Where it is.
        name: Its path below the checked folder, `/` between parts.
        size: Bytes; of a zarr folder, those of its metadata.
        mtime_ns: Time of its last change.
        inode: What tells it from a copy put in its place.
        closed: Why nobody can look into it, where it is a folder; None for a file.
    """

    full: str
    name: str
    size: int
    mtime_ns: int
    inode: int
    closed: OSError | None = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.full)


def is_thumb(name: str) -> bool:
    """Tell thumbnails that microscopes, and `._` companions that macOS, write beside images."""
    stem = name.rsplit("/", 1)[-1].lower()
    return "_thumb" in stem or stem.startswith(("thumb.", "thumbs.db", "._"))


def find(paths: Iterable[Path], root: Path, ignore: Iterable[str] = ()) -> Iterator[Candidate]:
    """Yield the files below some paths, sorted, each once; names are relative to `root`.

    Raises:
        NothingFoundError: A path does not exist.
    """
    is_ignored = _matcher(ignore)
    start = f"{root}{os.sep}"
    seen: set[str] = set()
    for path in paths:
        if not path.exists():
            msg = f"{path} does not exist"
            raise NothingFoundError(msg, remedy="imgdata check FOLDER")
        found = _below(path) if path.is_dir() and path.suffix.lower() != ZARR else _one(path)
        for full, status, closed in found:
            below = full[len(start) :] if full.startswith(start) else os.path.relpath(full, root)
            name = below.replace(os.sep, "/")
            if name in seen or (is_ignored and is_ignored(name)):
                continue
            seen.add(name)
            stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
            yield Candidate(full, name, *stamp, closed)


def _matcher(lines: Iterable[str]) -> Callable[[str], bool] | None:
    if not (some := list(lines)):
        return None
    from pathspec import PathSpec  # noqa: PLC0415 - few levels leave files out

    return PathSpec.from_lines("gitignore", some).match_file


_Found = tuple[str, os.stat_result, OSError | None]


def _one(path: Path) -> Iterator[_Found]:
    yield str(path), _zarr_status(path) if path.is_dir() else path.stat(), None


def _below(folder: Path) -> Iterator[_Found]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield str(folder), folder.stat(), error
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name in SKIPPED:
                continue
            path = Path(entry.path)
            if path.suffix.lower() == ZARR:
                yield entry.path, _zarr_status(path), None
            else:
                yield from _below(path)
        elif entry.is_file():
            yield entry.path, entry.stat(), None


def _zarr_status(path: Path) -> os.stat_result:
    """Return the newest stat of the folder and the metadata on its top, to notice a change."""
    newest = path.stat()
    for name in (".zattrs", ".zgroup", ".zarray", "zarr.json"):
        file = path / name
        if file.is_file() and file.stat().st_mtime_ns > newest.st_mtime_ns:
            newest = file.stat()
    return newest
