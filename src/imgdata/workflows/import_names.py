"""Which names of a public record may be written here: a record is made by strangers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from imgdata.errors import RefusedError
from imgdata.model.excerpts import first_lines
from imgdata.model.public_data import PublicFile, PublicRecord
from imgdata.model.same_but_case import same_but_case
from imgdata.transfer.fetch import PART
from imgdata.transfer.packing import is_safe_name

LONGEST_PART = 255 - len(PART)
SHOWN = 10
# What git, DVC and DataLad act on when they find it.
_TOOLS = frozenset({".git", ".hg", ".svn", ".bzr", ".dvc", ".datalad", ".dvcignore"})
_WINDOWS = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(1, 10))}
)
_WINDOWS_LETTERS = frozenset('<>:"|?*')


class NamedFiles(Struct, frozen=True):
    """The files of a record that may be written, and what a person should know of the others.

    Attributes:
        files: Those that may be written.
        remarks: One sentence each.
    """

    files: tuple[PublicFile, ...]
    remarks: tuple[str, ...]


def checked_names(record: PublicRecord) -> NamedFiles:
    """Judge all names of a record.

    Raises:
        RefusedError: A name would leave its folder or deceive, or two names are one.
    """
    names = [file.name for file in record.files]
    bad = [name for name in names if not _is_writable(name)]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    clash = sorted(_folders(names).intersection(names))
    wrong = [*bad, *twice, *clash]
    if wrong:
        several = f"{len(wrong)} file names that are" if len(wrong) > 1 else "a file name that is"
        msg = f"{record.reference} has {several} not safe to write"
        raise RefusedError(
            msg,
            cause=first_lines((ascii(name)[:200] for name in wrong), SHOWN),
            remedy="nothing was fetched; tell whoever published the record",
        )
    files = tuple(file for file in record.files if not _is_for_tools(file.name))
    left_out = [file.name for file in record.files if _is_for_tools(file.name)]
    return NamedFiles(files, tuple(_remarks(files, left_out)))


def _is_writable(name: str) -> bool:
    return is_safe_name(name) and all(
        len(part.encode("utf-8")) <= LONGEST_PART and not part.endswith(PART)
        for part in name.split("/")
    )


def _folders(names: Iterable[str]) -> set[str]:
    return {name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)}


def _is_for_tools(name: str) -> bool:
    # `.GIT` and `.git ` are `.git` on some systems.
    return any(part.casefold().rstrip(". ") in _TOOLS for part in name.split("/"))


def _remarks(files: Sequence[PublicFile], left_out: Sequence[str]) -> Iterable[str]:
    if left_out:
        yield f"left out, because git or dvc would act on them: {_some(left_out)}"
    same = [f"{one} and {other}" for one, other in same_but_case(file.name for file in files)]
    if same:
        yield f"names that are one on Windows and macOS: {_some(same)}"
    odd = [file.name for file in files if not _fits_windows(file.name)]
    if odd:
        yield f"names that Windows cannot write: {_some(odd)}"


def refuse_case_clash(files: Iterable[PublicFile], folder: Path) -> None:
    """Stop where one file would silently overwrite another.

    Raises:
        RefusedError: Two names differ in case only, and this disk does not tell them apart.
    """
    pairs = same_but_case(file.name for file in files)
    if not pairs:
        return
    probe = folder / "case-Probe"
    probe.touch()
    try:
        is_blind = (folder / "CASE-pROBE").exists()
    finally:
        probe.unlink()
    if is_blind:
        msg = f"{len(pairs)} names differ in case only, and this disk does not tell them apart"
        raise RefusedError(
            msg,
            cause=first_lines((f"{one} and {other}" for one, other in pairs), SHOWN),
            remedy="import one of them with --select file=NAME",
        )


def _fits_windows(name: str) -> bool:
    return all(
        part.partition(".")[0].rstrip(" ").casefold() not in _WINDOWS
        and not part.endswith((".", " "))
        and not _WINDOWS_LETTERS.intersection(part)
        for part in name.split("/")
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - enough to see
    return ", ".join(names[:3]) + more
