"""Standard output and error that outlive their reader: `imgdata pull | head -1` still pulls all.

A command that stopped where `head` has read enough would leave the rest undone, and could not say
so: its exit status would be that of a command which went well.
"""

import io
import sys
from typing import TextIO


class _Unheard(io.FileIO):
    """Writes to a descriptor; drops what nobody reads any more."""

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type] # the buffer that BufferedWriter gives
        try:
            return super().write(view)
        except BrokenPipeError:
            return view.nbytes


def go_on_unheard() -> None:
    """Let both streams of this process take what is written, also once their reader has gone."""
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        sys.stdout = _outliving(sys.stdout)
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _outliving(sys.stderr)


def _outliving(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = _Unheard(stream.fileno(), "w", closefd=False)
    # The buffer in between would hold back what PYTHONUNBUFFERED wants written through: a line
    # at a time then, so that a question never comes before what it is about.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or stream.write_through,
        write_through=stream.write_through,
    )
