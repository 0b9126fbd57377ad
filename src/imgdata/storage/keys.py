"""What a key may look like: the one place that decides it, for every storage."""

import re

from imgdata.errors import InvalidProjectError
from imgdata.system.files import TEMPORARY, is_temporary

# S3 takes 1024 bytes for prefix and key together, file systems 255 bytes for one part.
MAX_KEY_BYTES = 900
MAX_PART_BYTES = 255
_PLAIN = re.compile(r"files/md5/[0-9a-f]{2}/[0-9a-f]{30}(?:\.dir)?")
"""What DVC calls its objects, and nearly all keys; they need no closer look."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_key(key: str) -> str:
    """Return the key if it is safe below any storage's prefix.

    Raises:
        InvalidProjectError: It could lead outside the prefix, or some storage cannot keep it.
    """
    reason = "" if _PLAIN.fullmatch(key) else key_fault(key)
    if reason:
        msg = f"{key!r} cannot be the key of a stored object: {reason}"
        raise InvalidProjectError(
            msg, remedy="correct the path in imgdata.yaml or in the DVC file it comes from"
        )
    return key


def check_folder(under: str) -> str:
    """Return the folder of a listing without a slash at its end; the whole storage is empty."""
    folder = under.rstrip("/") if under.strip("/") else under
    return check_key(folder) if folder else ""


def key_fault(key: str) -> str:
    """Say in a few words why the key is refused; empty when it is good."""
    if not key:
        return "it is empty"
    if key.startswith("/"):
        return "it is absolute"
    return _character_fault(key) or _part_fault(key.split("/"))


def _character_fault(key: str) -> str:
    if "\\" in key:
        return "it has a backslash, which is a separator on Windows"
    if _CONTROL.search(key):
        return "it has a control character"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return f"it is longer than {MAX_KEY_BYTES} bytes" if size > MAX_KEY_BYTES else ""


def _part_fault(parts: list[str]) -> str:
    if "" in parts:
        return "it has an empty part"
    if "." in parts or ".." in parts:
        return "it has a part that is '.' or '..'"
    if any(is_temporary(part) for part in parts):
        return f"names that begin with {TEMPORARY} are kept for unfinished writes"
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"a part of it is longer than {MAX_PART_BYTES} bytes"
    return ""
