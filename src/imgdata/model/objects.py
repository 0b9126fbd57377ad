"""Names of stored content, as DVC names it: an md5, with `.dir` when it lists a folder."""

from typing import NewType

from msgspec import Struct

ObjectId = NewType("ObjectId", str)
"""32 lower-case hex digits, followed by `.dir` when the object lists a folder."""

FOLDER_SUFFIX = ".dir"


def is_folder(object_id: str) -> bool:
    """Tell whether the object lists a folder."""
    return object_id.endswith(FOLDER_SUFFIX)


def object_key(object_id: str) -> str:
    """Return where DVC 3 keeps the object below a cache or storage: `files/md5/ab/cdef...`."""
    return f"files/md5/{object_id[:2]}/{object_id[2:]}"


def legacy_key(object_id: str) -> str:
    """Return where DVC before 3 kept the object below a cache or storage: `ab/cdef...`."""
    return f"{object_id[:2]}/{object_id[2:]}"


class StoredObject(Struct, frozen=True):
    """One object as a storage describes it.

    Attributes:
        key: Path below the storage's prefix, `/` between parts.
        size: Bytes.
        md5: The storage's own md5 over the whole object, or None where it keeps none.
        changed_at: When the storage last changed it (Unix time), or None where it does not say.
    """

    key: str
    size: int
    md5: str | None
    changed_at: float | None = None
