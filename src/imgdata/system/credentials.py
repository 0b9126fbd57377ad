"""Tokens: from the environment, else from the keyring; never from a file, never shown."""

import os
import re
from dataclasses import dataclass, field
from typing import Any

from imgdata.errors import CredentialsError, MachineError, UsageError

KEYRING_SERVICE = "imgdata"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Token:
    """A secret and the name it was found by; only the name is ever shown."""

    name: str
    secret: str = field(repr=False)

    def hide_in(self, text: str) -> str:
        """Return the text with the secret replaced, should a server have echoed it."""
        return text.replace(self.secret, "***") if self.secret else text


def variable(name: str) -> str:
    """Return the environment variable of a storage or repository: `IMGDATA_<NAME>_TOKEN`."""
    return f"IMGDATA_{name.upper().replace('-', '_')}_TOKEN"


def find_password(name: str, known: str | None = None) -> str | None:
    """Return a storage's password: that of the environment, else one known, else the keyring's."""
    return os.environ.get(variable(name)) or known or _from_keyring(name) or None


def find_token(name: str) -> Token | None:
    """Return the token of a storage or repository, or None when there is none."""
    found = (find_password(name) or "").strip()
    if not found:
        return None
    if not found.isascii() or not found.isprintable() or " " in found:
        msg = f"the token for '{name}' holds characters no token has"
        raise CredentialsError(msg, remedy=f"copy it again into {variable(name)}")
    return Token(name, found)


def need_token(name: str) -> Token:
    """Return the token of a storage or repository.

    Raises:
        CredentialsError: There is none.
    """
    token = find_token(name)
    if token is None:
        msg = f"there is no token for '{name}'"
        raise CredentialsError(
            msg,
            cause=f"neither the variable {variable(name)} nor the keyring has one",
            remedy=f"imgdata storage login {name}",
        )
    return token


def keep_token(name: str, secret: str) -> None:
    """Store a token in the system's keyring.

    Raises:
        UsageError: The name is not one of imgdata.yaml.
        MachineError: This machine has no keyring.
    """
    if not _NAME.fullmatch(name):
        msg = f"'{name}' is not the name of a storage or repository"
        raise UsageError(msg)
    keyring, errors = _keyring()
    if keyring is None:
        raise _no_keyring(name)
    try:
        keyring.set_password(KEYRING_SERVICE, name, secret.strip())
    except errors.KeyringError as error:
        raise _no_keyring(name) from error


def _no_keyring(name: str) -> MachineError:
    return MachineError(
        "this machine has no keyring to keep a token in",
        remedy=f"set {variable(name)} in the environment, or install the extra imgdata[deposits]",
    )


def _from_keyring(name: str) -> str:
    keyring, errors = _keyring()
    if keyring is None:
        return ""
    try:
        return keyring.get_password(KEYRING_SERVICE, name) or ""
    except errors.KeyringError:
        # A locked or absent keyring holds no token for us; the caller says what to do.
        return ""


def _keyring() -> tuple[Any, Any]:
    """Return the keyring library and its errors, or two Nones."""
    try:
        import keyring  # noqa: PLC0415 - slow, and an optional extra
        from keyring import errors  # noqa: PLC0415 - as above
    except ImportError:
        return None, None
    return keyring, errors
