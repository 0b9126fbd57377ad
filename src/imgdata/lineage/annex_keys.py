"""git-annex's keys: `SHA256E-s1024--<checksum>.tif` names content by backend, size, checksum.

Source: git-annex's documentation, "internals/key_format" and "backends".
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from imgdata.lineage.answer import Out

POINTER_SIZE = 32768
_FORM = r"[A-Z0-9_]+(?:-[a-zA-Z]\d+)*--"
_OBJECT = re.compile(rf"(?:^|/)annex/objects/(?:[^\n]*/)?({_FORM}[^/\n]+?)\s*(?:\n|$)")
_KEY = re.compile(r"(?P<backend>[A-Z0-9_]+)(?:-s(?P<size>\d+)|-[a-zA-Z]\d+)*--(?P<name>.+)")


class Checksum(Protocol):
    """A checksum that content is fed to."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""

    def hexdigest(self) -> str:
        """Return the checksum of all bytes so far."""


_CHECKSUMS: Final[Mapping[str, Callable[[], Checksum]]] = {
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA224": hashlib.sha224,
    "SHA256": hashlib.sha256,
    "SHA384": hashlib.sha384,
    "SHA512": hashlib.sha512,
    "SHA3_224": hashlib.sha3_224,
    "SHA3_256": hashlib.sha3_256,
    "SHA3_384": hashlib.sha3_384,
    "SHA3_512": hashlib.sha3_512,
    "BLAKE2B160": lambda: hashlib.blake2b(digest_size=20),
    "BLAKE2B224": lambda: hashlib.blake2b(digest_size=28),
    "BLAKE2B256": lambda: hashlib.blake2b(digest_size=32),
    "BLAKE2B384": lambda: hashlib.blake2b(digest_size=48),
    "BLAKE2B512": lambda: hashlib.blake2b(digest_size=64),
    "BLAKE2S160": lambda: hashlib.blake2s(digest_size=20),
    "BLAKE2S224": lambda: hashlib.blake2s(digest_size=28),
    "BLAKE2S256": lambda: hashlib.blake2s(digest_size=32),
}


def key_of(data: bytes) -> str | None:
    """Return git-annex's key in the text of a link or of an unlocked file's pointer, or None."""
    if len(data) > POINTER_SIZE or b"annex/objects/" not in data:
        return None
    first = data.split(b"\n", 1)[0].decode("utf-8", "surrogateescape")
    found = _OBJECT.search(first)
    return None if found is None else found[1]


def is_key(text: str) -> bool:
    """Tell whether a recorded identity of content is a key of git-annex."""
    return _KEY.fullmatch(text) is not None


def annex_out(path: str, key: str) -> Out:
    """Return what a key says about content: backend, checksum where it is an md5, size."""
    found = _KEY.fullmatch(key)
    if found is None:
        return Out(path)
    is_md5 = found["backend"] in {"MD5", "MD5E"}
    return Out(path, found["backend"], checksum_of(key) if is_md5 else None, size_of(key))


def size_of(key: str) -> int | None:
    """Return the bytes of the content, where the key says it."""
    found = _KEY.fullmatch(key)
    return None if found is None or found["size"] is None else int(found["size"])


def checksum_of(key: str) -> str:
    """Return the checksum in a key; for a backend without one, what stands in its place."""
    found = _KEY.fullmatch(key)
    return key if found is None else found["name"].split(".")[0]


def new_checksum(key: str) -> Checksum | None:
    """Return an empty checksum of the key's kind to feed content to; None for WORM, URL, ..."""
    found = _KEY.fullmatch(key)
    backend = "" if found is None else found["backend"]
    make = _CHECKSUMS.get(backend) or _CHECKSUMS.get(backend.removesuffix("E"))
    return None if make is None else make()
