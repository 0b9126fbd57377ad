"""A connection to an SSH server that several threads share.

asyncssh is asynchronous: one event loop in a thread of its own serves all connections of the
process, and every call waits for its answer there.
"""

import asyncio
import atexit
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

import asyncssh

Answer = TypeVar("Answer")
Connect = Callable[[], Coroutine[Any, Any, asyncssh.SSHClientConnection]]
Operation = Callable[[asyncssh.SFTPClient], Coroutine[Any, Any, Answer]]

TRIES = 3
PAUSE_S = 0.5
END_S = 2.0
LOST = (
    asyncssh.ConnectionLost,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    ConnectionResetError,
    BrokenPipeError,
)


class SftpSession:
    """Connects when it is first used, and again when the connection was lost."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._open: tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient] | None = None

    def call(self, operation: Operation[Answer], *, again: bool = True) -> Answer:
        """Run one operation on the server and return its answer.

        Args:
            operation: What to do; may be done twice when the connection breaks.
            again: Whether it may be done twice.
        """
        for left in reversed(range(TRIES if again else 1)):
            client = self.client()
            try:
                return wait_for(operation(client))
            except LOST:
                self._forget(client)
                if not left:
                    raise
        raise AssertionError

    def client(self) -> asyncssh.SFTPClient:
        """Return the open connection's SFTP client; a server that is busy is asked again."""
        with self._lock:
            if self._open is None:
                self._open = wait_for(self._opened())
            return self._open[1]

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            wait_for(_closed(opened[0]))

    async def _opened(self) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
        for pause in (PAUSE_S, 2 * PAUSE_S):
            with contextlib.suppress(*LOST):
                return await self._start()
            await asyncio.sleep(pause)
        return await self._start()

    async def _start(self) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
        connection = await self._connect()
        return connection, await connection.start_sftp_client()

    def _forget(self, client: asyncssh.SFTPClient) -> None:
        with self._lock:
            if self._open is not None and self._open[1] is client:
                connection, self._open = self._open[0], None
                connection.abort()


def wait_for(work: Awaitable[Answer]) -> Answer:
    """Run a coroutine on the shared loop and wait for its answer."""

    async def awaited() -> Answer:
        return await work

    return asyncio.run_coroutine_threadsafe(awaited(), _loop()).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="imgdata-ssh", daemon=True)
    thread.start()

    def stop() -> None:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(END_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(END_S)

    atexit.register(stop)
    return loop


async def _cancel_all() -> None:
    """End what connections still wait for, so that the interpreter has nothing to complain of."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _closed(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    await connection.wait_closed()
