"""A program that stays open and answers one question after the other."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from imgdata.errors import MachineError
from imgdata.system.process import machine_environment


class Dialogue:
    """A child process that is asked on its standard input and answers on its standard output.

    The program must answer every question before it is asked the next one, or the caller must
    keep the questions in flight well below the size of a pipe (64 KiB).
    """

    def __init__(
        self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the program.

        Raises:
            MachineError: The program is not installed.
        """
        self._name = args[0]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
                list(args),
                cwd=cwd,
                env=machine_environment(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            msg = f"'{args[0]}' is not installed or not on PATH"
            raise MachineError(msg, remedy=f"install {args[0]} and try again") from error

    def ask(self, question: bytes) -> None:
        """Send the bytes to the program at once."""
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(question)
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error

    def line(self) -> bytes:
        """Return the next line of the answer, without its end."""
        if self._process.stdout is None:
            return b""
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._ended()
        return line[:-1]

    def take(self, size: int) -> bytes:
        """Return exactly so many bytes of the answer."""
        if self._process.stdout is None:
            return b""
        data = self._process.stdout.read(size)
        if len(data) != size:
            raise self._ended()
        return data

    def _ended(self) -> MachineError:
        return MachineError(
            f"'{self._name}' ended in the middle of an answer",
            remedy="run the command again; if it fails again, check the repository: git fsck",
        )

    def close(self) -> None:
        """End the program; it is no error when it has ended already."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                # The program ended first: there is nobody left to tell.
                self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()

    def __enter__(self) -> Self:
        """Return the running dialogue."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the program."""
        self.close()
