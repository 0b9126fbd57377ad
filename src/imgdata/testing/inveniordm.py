"""A real InvenioRDM on loopback, in an environment of its own: for contract tests and the demo.

What starts it (`serve.py` and `requirements.txt`) lies outside this package; without it there is
nothing to start.
"""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import platformdirs
from msgspec import Struct

START_SECONDS = 120
PYTHON = "3.11"
CACHE = Path(platformdirs.user_cache_dir("imgdata-tests")) / "inveniordm"
"""Found when this is imported: tests have homes of their own later."""


class RealInvenio(Struct, frozen=True):
    """A running server: its address without `/api`, and a token of its one account."""

    address: str
    token: str


def make_environment(requirements: Path, uv: str) -> Path:
    """Return the Python of an environment with InvenioRDM, made once and kept in the cache."""
    folder = CACHE
    python = folder / "venv" / "bin" / "python"
    stamp = folder / "requirements.txt"
    if python.exists() and stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _run(uv, "venv", "-q", str(folder / "venv"), "--python", PYTHON)
    _run(uv, "pip", "install", "-q", "--python", str(python), "-r", str(requirements))
    stamp.write_bytes(requirements.read_bytes())
    return python


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serve_inveniordm(tool: Path, instance: Path, uv: str, *options: str) -> Iterator[RealInvenio]:
    """Serve until the block ends; answers after some seconds, the first time after a minute.

    Args:
        tool: The folder with `serve.py` and `requirements.txt`.
        instance: A scratch folder.
        uv: The program that makes the environment.
        options: Further words for `serve.py`.
    """
    python = make_environment(tool / "requirements.txt", uv)
    instance.mkdir(parents=True, exist_ok=True)
    words = [
        *(str(python), str(tool / "serve.py"), "--port", str(free_port())),
        *("--instance", str(instance / "i"), *options),
    ]
    with (instance / "log").open("wb") as log:
        server = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=log, cwd=gettempdir(), text=True
        )
        watchdog = threading.Timer(START_SECONDS, server.kill)
        watchdog.start()
        try:
            assert server.stdout is not None, "asked for"
            line = server.stdout.readline()
            watchdog.cancel()
            assert line, (instance / "log").read_text()[-3000:]
            said = json.loads(line)
            yield RealInvenio(said["api"].removesuffix("/api"), said["token"])
        finally:
            watchdog.cancel()
            server.terminate()
            server.wait(20)
            if server.stdout is not None:
                server.stdout.close()
