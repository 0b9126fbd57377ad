"""Content that git-annex keeps, as far as it is on this machine."""

import hashlib
from pathlib import Path

from imgdata.lineage.annex_keys import (
    POINTER_SIZE,
    checksum_of,
    key_of,
    new_checksum,
    size_of,
)
from imgdata.lineage.answer import Status

CHUNK = 1 << 20
OBJECT_FOLDERS = (".git/annex/objects", "annex/objects")
"""Where git-annex keeps content: below a working tree, and in a bare repository."""
MIXED = "0123456789zqjxkmvwgpfZQJXKMVWGPF"
"""Letters of the folders below a working tree (git-annex's "hashing": hashDirMixed)."""
SMALL = 1 << 22
"""Bytes up to which content is read as a whole: run records are this small."""


def annexed_object(root: Path, key: str) -> Path | None:
    """Return where the content of a key is, in either of the layouts git-annex uses; or None."""
    digest = hashlib.md5(key.encode("utf-8", "surrogateescape"), usedforsecurity=False)
    lower = f"{digest.hexdigest()[:3]}/{digest.hexdigest()[3:6]}"
    word = int.from_bytes(digest.digest()[:4], "little")
    first, second, third, fourth = (MIXED[(word >> (6 * place)) & 31] for place in range(4))
    mixed = f"{second}{first}/{fourth}{third}"
    places = (
        root / folder / hashed / key / key
        for folder in OBJECT_FOLDERS
        for hashed in (mixed, lower)
    )  # fmt: skip
    return next((place for place in places if place.is_file()), None)


def read_annexed(root: Path, key: str) -> bytes | None:
    """Return the content of a key, or None if it is not here or no small file."""
    place = annexed_object(root, key)
    try:
        return None if place is None or place.stat().st_size > SMALL else place.read_bytes()
    except OSError:
        return None


def annexed_matches(root: Path, path: str, key: str) -> bool | None:
    """Hash what is here under a path, or in git-annex's store; None when that says nothing.

    The store is looked at too: the path may have another content by now.
    """
    found = has_content(root / path, key)
    stored = None if found else annexed_object(root, key)
    kept = None if stored is None else has_content(stored, key)
    return found if kept is None else kept


def has_content(place: Path, key: str) -> bool | None:
    """Hash a file and compare it with a key; None where there is no file, or no checksum."""
    checksum = new_checksum(key)
    if checksum is None:
        return None
    try:
        with place.open("rb") as file:
            while chunk := file.read(CHUNK):
                checksum.update(chunk)
    except OSError:
        return None
    return checksum.hexdigest() == checksum_of(key)


def annexed_status(root: Path, path: str, key: str) -> Status:
    """Compare a file of the working tree with its key.

    A link leads to git-annex's read-only store: that it leads somewhere is enough. An unlocked
    file is read, for anybody may have changed it; where its content is not here it holds the
    pointer that git keeps.
    """
    full = root / path
    if not full.is_file() or _is_pointer(full):
        return "missing"
    size = size_of(key)
    if full.is_symlink():
        return "recorded"
    changed = size not in {None, full.stat().st_size} or has_content(full, key) is False
    return "modified" if changed else "recorded"


def _is_pointer(full: Path) -> bool:
    if full.is_symlink() or full.stat().st_size > POINTER_SIZE:
        return False
    return key_of(full.read_bytes()) is not None
