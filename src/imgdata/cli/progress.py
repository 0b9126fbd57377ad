"""A progress bar with bytes, rate and time on a terminal; silence where nobody watches."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress


class BarProgress:
    """Shows one piece of work after the other; safe to call from several threads."""

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, label: str, *, items: int, size: int) -> None:
        """Show a bar of bytes where they are known, of items elsewhere."""
        if not items:
            return
        columns = (DownloadColumn(), TransferSpeedColumn()) if size else (MofNCompleteColumn(),)
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bars.add_task(label, total=size or items)
        self._by_size = bool(size)
        self._bars.start()

    def advance(self, *, items: int = 0, size: int = 0) -> None:
        """Move the bar on."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, size if self._by_size else items)

    def finish(self) -> None:
        """Take the bar away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
