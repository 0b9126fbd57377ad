"""Which files of a folder that is to be added can be taken, and which not."""

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.ignoring import DVC_DEFAULTS, IgnoreRules
from imgdata.system.folder_tree import FolderTree
from imgdata.transfer.take_in import SourceFile

IGNORED = "named in .dvcignore"


class LeftOut(Struct, frozen=True):
    """A path of the source that is not taken, and why; the source still has it."""

    path: str
    why: str


def list_source(root: Path, source: Path, target: str) -> tuple[list[SourceFile], list[LeftOut]]:
    """List the files of a source folder; links are followed, loops and odd things left out."""
    rules = IgnoreRules(FolderTree(root).read, DVC_DEFAULTS, ".dvcignore", "")
    rules.enter_all_above(target)
    files: list[SourceFile] = []
    left_out: list[LeftOut] = []
    for entry, relpath in _walk(str(source), "", (os.path.realpath(source),), left_out):
        try:
            relpath.encode("utf-8")
        except UnicodeEncodeError:
            shown = os.fsencode(relpath).decode("utf-8", "backslashreplace")
            left_out.append(LeftOut(shown, "its name is not UTF-8; rename it"))
            continue
        if entry.name == ".dvcignore":
            left_out.append(LeftOut(relpath, "dvc refuses it inside tracked data; rename it"))
            continue
        folder, _, _ = f"{target}/{relpath}".rpartition("/")
        if rules.enter(folder, ())(f"{target}/{relpath}", is_folder=False):
            left_out.append(LeftOut(relpath, IGNORED))
        elif entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110 - once a file
            left_out.append(LeftOut(relpath, "a link to nothing"))
        elif not entry.is_file():
            left_out.append(LeftOut(relpath, "not a regular file"))
        else:
            files.append(SourceFile(entry.path, relpath))
    return sorted(files, key=lambda file: file.relpath), left_out


def _walk(
    folder: str, below: str, above: tuple[str, ...], left_out: list[LeftOut]
) -> Iterator[tuple[os.DirEntry[str], str]]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        left_out.append(LeftOut(below or ".", error.strerror or str(error)))
        return
    for entry in entries:
        relpath = f"{below}{entry.name}"
        try:
            is_folder = entry.is_dir()
        except OSError as error:
            left_out.append(LeftOut(relpath, error.strerror or str(error)))
            continue
        if not is_folder:
            yield entry, relpath
            continue
        real = os.path.realpath(entry.path)
        if real in above:
            left_out.append(LeftOut(relpath, "a link back to a folder it lies in"))
        else:
            yield from _walk(entry.path, f"{relpath}/", (*above, real), left_out)
