"""The installed `imgdata` and `dvc`, each run in a fork of a process that has already loaded it.

Loading the modules takes most of the time of a small command. A fork is a process like any other:
exit status, output, environment, working folder and everything it changes in memory are its own.
What only a new process has is not for tests through here: which modules a command loads, and a
hash seed unlike that of the command before.

The fork leaves the waiting loop at the end of this module and goes on as the program itself, so
that Python ends it as it ends any program.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

PROGRAMS = Path(sys.executable).parent
ENTRIES = {"imgdata": "imgdata.cli.main", "dvc": "dvc.cli"}
"""The programs and the modules with their `main`, as their entry points say."""
LOADED_BY_IMGDATA = ("jsonschema", "rich.console", "imgdata.images.readers", "imgdata.images.tiff")
LEFT_OUT = ("imgdata.images.", "imgdata.testing", "imgdata.templates", "imgdata.__main__")
"""Reading pixels needs numpy, which starts a thread as it is loaded: a fork would lack it."""
LOADED_BY_DVC = (
    *("configobj", "dulwich.index", "dulwich.worktree", "fsspec.implementations.memory"),
    *("dvc.cachemgr", "dvc.cli.parser", "dvc.data_cloud", "dvc.dirs", "dvc.lock", "dvc.rwlock"),
    *("dvc.repo.artifacts", "dvc.repo.brancher", "dvc.repo.datasets", "dvc.repo.graph"),
    *("dvc.repo.index", "dvc.repo.metrics.show", "dvc.repo.open_repo", "dvc.repo.params.show"),
    *("dvc.repo.plots", "dvc.repo.stage", "dvc.repo.trie", "dvc.repo.worktree", "dvc.scm"),
    *("dvc.stage.loader", "dvc.utils.strictyaml", "dvc_data.hashfile.status"),
    *("dvc_data.hashfile.db.index", "dvc_data.hashfile.db.local", "dvc_data.index.checkout"),
    *("dvc_data.index.fetch", "dvc_data.index.push", "networkx", "pyparsing", "rich.progress"),
    *("ruamel.yaml", "rich.traceback"),
)
"""What its commands import as they run; a name that a later DVC lacks fails at once."""
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_")
"""What begins the names of variables that the interpreter reads only as it starts."""
CAN_FORK = sys.platform == "linux"

_waiting: dict[tuple[object, ...], tuple[subprocess.Popen[bytes], socket.socket]] = {}


def run(
    program: str, *words: str | Path, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run an installed program without standard input; return its status and what it printed."""
    line = [str(PROGRAMS / program), *(os.fspath(word) for word in words)]
    if not CAN_FORK or program not in ENTRIES:
        return subprocess.run(
            line, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        Path(os.devnull).open("rb") as nothing,
    ):
        streams = (nothing.fileno(), out.fileno(), err.fileno())
        request = {"line": line, "cwd": os.fspath(cwd), "env": dict(env)}
        status = _ask(_waiting_process(program, env), request, streams)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(line, status, out.read(), err.read())


def kill_after(
    folder: Path,
    seconds: float,
    words: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
) -> bool:
    """Run imgdata as a new process and kill it and what it started; tell whether it still ran."""
    with subprocess.Popen(
        [PROGRAMS / "imgdata", *words],
        cwd=folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
    return False


def _waiting_process(program: str, env: Mapping[str, str]) -> socket.socket:
    """Return the socket of the process that has loaded a program; start it when there is none."""
    at_start = {name: value for name, value in env.items() if name.startswith(READ_AT_START)}
    key = (os.getpid(), program, *sorted(at_start.items()))
    if key not in _waiting:
        if not _waiting:
            atexit.register(_end_all)
        ours, theirs = socket.socketpair()
        others = {n: v for n, v in os.environ.items() if not n.startswith(READ_AT_START)}
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, program, str(theirs.fileno())],
                env={**others, **at_start},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        _waiting[key] = (process, ours)
    return _waiting[key][1]


def _end_all() -> None:
    """Close the sockets, at which the waiting processes end; forks that still run go on."""
    for process, connection in _waiting.values():
        connection.close()
        process.wait()


def _ask(waiting: socket.socket, request: object, streams: Sequence[int]) -> int:
    """Have the program run with these streams; return its exit status."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            socket.send_fds(waiting, [b"1"], [theirs.fileno(), *streams])
        ours.sendall(json.dumps(request).encode())
        ours.shutdown(socket.SHUT_WR)
        with ours.makefile("r") as answers:
            process = answers.readline()
            try:
                status = answers.readline()
            except BaseException:
                os.kill(int(process), signal.SIGKILL)
                raise
    assert status, f"the process that has loaded the program ended: {request}"
    return int(status)


def _load(program: str) -> None:
    """Import what the commands of a program import."""
    names = [ENTRIES[program]]
    if program == "imgdata":
        package = importlib.import_module("imgdata")
        found = (module.name for module in pkgutil.walk_packages(package.__path__, "imgdata."))
        names += [name for name in found if not name.startswith(LEFT_OUT)] + [*LOADED_BY_IMGDATA]
    else:
        names += LOADED_BY_DVC
    for name in names:
        importlib.import_module(name)
    threads = os.listdir("/proc/self/task")  # noqa: PTH208 - a folder of the kernel
    assert len(threads) == 1, f"loading {program} started a thread: a fork would lack it"


def _wait(waiting: socket.socket) -> None:
    """Fork for every request; return in each fork, which is the program from then on."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        sent, descriptors, _, _ = socket.recv_fds(waiting, 1, 4)
        _bury_the_dead()
        if not sent:
            os._exit(0)
        if os.fork():
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        waiting.close()
        signal.signal(signal.SIGINT, interrupted)
        asking, *streams = descriptors
        with socket.socket(fileno=asking) as connection:
            request = json.loads(connection.makefile("rb").read())
            process = os.fork()
            if process:
                _tell_end(process, connection)
        _become(request, streams)
        return


def _bury_the_dead() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _tell_end(process: int, connection: socket.socket) -> NoReturn:
    connection.sendall(f"{process}\n".encode())
    _, ended = os.waitpid(process, 0)
    with connection:
        connection.sendall(f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, object], streams: Sequence[int]) -> None:
    """Take over everything that a new process would have been given."""
    line, env = request["line"], request["env"]
    assert isinstance(line, list)
    assert isinstance(env, dict)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv[:] = line


if __name__ == "__main__":
    sys.path[0] = str(PROGRAMS)
    _program, _socket = sys.argv[1:]
    _load(_program)
    gc.freeze()
    _wait(socket.socket(fileno=int(_socket)))
    sys.exit(importlib.import_module(ENTRIES[_program]).main())
