"""Progress of long work, reported to whoever asked for it."""

from typing import Protocol


class Progress(Protocol):
    """Is told how far long work has come; the library itself never prints."""

    def start(self, label: str, *, items: int, size: int) -> None:
        """Begin one piece of work of so many items and bytes (0: not known)."""

    def advance(self, *, items: int = 0, size: int = 0) -> None:
        """Add finished items and bytes. May be called from several threads."""

    def finish(self) -> None:
        """End the piece of work that was started last."""


class _Silent:
    """Tells nobody."""

    def start(self, label: str, *, items: int, size: int) -> None:
        """Ignore the start."""

    def advance(self, *, items: int = 0, size: int = 0) -> None:
        """Ignore the advance."""

    def finish(self) -> None:
        """Ignore the end."""


SILENT: Progress = _Silent()
