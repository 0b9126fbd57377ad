"""The md5 of DVC before version 3: of text, it is that of the text with CR LF turned into LF.

Source: dvc_data.hashfile.hash (`md5-dos2unix`) and .istextfile of DVC 2 and 3.
"""

import hashlib
from pathlib import Path

CHUNK = 1 << 20
SAMPLE = 512
TEXT_BYTES = bytes(range(32, 127)) + b"\n\r\t\f\b"
NOT_TEXT_SHARE = 0.30


class LegacyMd5:
    """Hashes content as DVC 2 did, chunk by chunk."""

    def __init__(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)
        self._is_text: bool | None = None
        self._held = b""

    def update(self, chunk: bytes) -> None:
        """Take the next bytes in."""
        if self._is_text is None and chunk:
            self._is_text = is_text(chunk[:SAMPLE])
        if not self._is_text:
            self._digest.update(chunk)
            return
        data = self._held + chunk
        self._held = b"\r" if data.endswith(b"\r") else b""  # its LF may come next
        self._digest.update(data[: len(data) - len(self._held)].replace(b"\r\n", b"\n"))

    def hexdigest(self) -> str:
        """Return the md5 of all that was taken in."""
        whole = self._digest.copy()
        whole.update(self._held)
        return whole.hexdigest()


def is_text(sample: bytes) -> bool:
    """Tell whether DVC takes content that begins so for text."""
    if not sample:
        return True
    if b"\0" in sample:
        return False
    return len(sample.translate(None, TEXT_BYTES)) / len(sample) <= NOT_TEXT_SHARE


def legacy_md5(path: Path | str) -> str:
    """Return the md5 DVC 2 gave a file."""
    digest = LegacyMd5()
    with open(path, "rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
