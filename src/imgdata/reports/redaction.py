"""Leave out of a text what is nobody's business: e-mails, hosts, homes, storages, unit names."""

import re
import socket
from collections.abc import Iterable
from pathlib import Path

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
# `user@host:path`; a stage of DVC, `segment@P1: `, is followed by a blank.
_ACCOUNT = re.compile(r"\b[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:(?=[^\s])\S*")
_HOME = re.compile(
    r"""(?:/(?:home|Users)/[^/\s"':,;)]+|/root(?=[/\s"':,;)]|$)|[A-Za-z]:\\+Users\\+[^\\\s"']+)"""
)
_PLACES = "azure|drive|file|gs|rclone|s3|sftp|smb|ssh|webdavs?"
_STORAGE = re.compile(rf"\b(?:{_PLACES})(?:://|:(?=[A-Za-z0-9_-]+[:/]))[^\s\"',;)\]}}]+")
_LOCAL_URL = re.compile(
    r"\bhttps?://(?:localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)[^\s\"',;)\]}]*"
)
_CREDENTIAL_URL = re.compile(r"\bhttps?://[^\s/@\"']+@[^\s\"',;)\]}]*")
_SHORTEST_HOST = 3


class Redaction:
    """Leaves the same things out of every text of one deposit.

    Args:
        units: Names of restricted units; each becomes `restricted-N`, so that a text which
            uses them as keys stays well formed.
        hosts: Further names of machines; this one's is known.
    """

    def __init__(self, units: Iterable[str] = (), hosts: Iterable[str] = ()) -> None:
        names = sorted({name for name in units if name})
        self._units = [
            (_word(name), f"restricted-{number}") for number, name in enumerate(names, start=1)
        ]
        machines = {socket.gethostname(), socket.gethostname().partition(".")[0], *hosts}
        self._hosts = [
            _word(host)
            for host in sorted(machines)
            if len(host) >= _SHORTEST_HOST and host != "localhost"
        ]
        self._home = str(Path.home())

    def text(self, text: str) -> str:
        """Return the text without them."""
        for pattern, word in (
            (_CREDENTIAL_URL, "<address left out>"),
            (_EMAIL, "<e-mail left out>"),
            (_ACCOUNT, "<host left out>"),
            (_STORAGE, "<storage left out>"),
            (_LOCAL_URL, "<address left out>"),
        ):
            text = pattern.sub(word, text)
        if self._home not in {"", "/"}:
            text = text.replace(self._home, "<home>")
        text = _HOME.sub("<home>", text)
        for host in self._hosts:
            text = host.sub("<host left out>", text)
        for pattern, word in self._units:
            text = pattern.sub(word, text)
        return text

    def data(self, data: bytes) -> bytes | None:
        """Return a text file's bytes without them; None for what is not text."""
        try:
            return self.text(data.decode()).encode()
        except UnicodeDecodeError:
            return None


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
