"""A keyring in memory, in place of the system's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import keyring
from keyring.backend import KeyringBackend


class _MemoryKeyring(KeyringBackend):  # type: ignore[misc] # it ships no types
    priority = 1

    def __init__(self, kept: Mapping[str, str]) -> None:
        super().__init__()
        self._kept = kept

    def get_password(self, service: str, username: str) -> str | None:
        return self._kept.get(username) if service == "imgdata" else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@contextmanager
def keyring_with(kept: Mapping[str, str]) -> Iterator[None]:
    """Let the system's keyring hold these passwords, by the names of storages."""
    before = keyring.get_keyring()
    keyring.set_keyring(_MemoryKeyring(kept))
    try:
        yield
    finally:
        keyring.set_keyring(before)
