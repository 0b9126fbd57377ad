"""The environment a stage runs in: the stage's own, not imgdata's."""

import hashlib
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from imgdata.system.process import CommandError, run

EnvironmentSource = Literal["path-python", "lockfile", "container", "unknown"]
LOCKED_RUNNERS = {
    "uv": ("uv.lock",),
    "pixi": ("pixi.lock",),
    "poetry": ("poetry.lock",),
    "pipenv": ("Pipfile.lock",),
    "conda": ("conda-lock.yml", "environment.yml", "environment.yaml"),
    "mamba": ("conda-lock.yml", "environment.yml", "environment.yaml"),
    "micromamba": ("conda-lock.yml", "environment.yml", "environment.yaml"),
}
CONTAINERS = ("docker", "podman", "singularity", "apptainer")
LIST_PACKAGES = (
    "import platform, sys\n"
    "from importlib.metadata import distributions\n"
    "print('python', platform.python_version(), sys.platform, platform.machine())\n"
    "found = {(d.metadata['Name'] or '', d.version) for d in distributions()}\n"
    "print('\\n'.join(f'{n}=={v}' for n, v in sorted(found, key=lambda x: (x[0].lower(), x[1]))))\n"
)


class Environment(Struct, frozen=True):
    """What a stage's programs are.

    Attributes:
        source: Where the text comes from; `unknown` where it could not be established.
        text: The package list, lock file or image reference; empty if unknown.
    """

    source: EnvironmentSource
    text: str

    @property
    def hash(self) -> str | None:
        """The sha256 of the text, or None where the environment is unknown."""
        return hashlib.sha256(self.text.encode()).hexdigest() if self.text else None


UNKNOWN = Environment("unknown", "")


class EnvironmentFinder:
    """Finds the environment of commands; a python is asked for its packages once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._listed: dict[str, Environment] = {}

    def of(self, command: str | Sequence[str], folder: Path) -> Environment:
        """Return the environment of a stage's command that runs in a folder."""
        text = command if isinstance(command, str) else "\n".join(command)
        words = _words(text)
        if not words:
            return UNKNOWN
        first = os.path.basename(words[0])  # noqa: PTH119 - a word, not a path
        if first in CONTAINERS:
            return Environment("container", _image_of(words))
        if first in LOCKED_RUNNERS and (lock := _find_lock(folder, LOCKED_RUNNERS[first])):
            return Environment("lockfile", lock.read_text("utf-8", "replace"))
        python = self._python_of(words[0], folder)
        return UNKNOWN if python is None else self._packages(python)

    def _python_of(self, program: str, folder: Path) -> str | None:
        """Return the interpreter that a program is or runs under, or None."""
        found = shutil.which(program, path=self._path)
        if found is None and (folder / program).is_file():
            found = str(folder / program)
        if found is None:
            return None
        if os.path.basename(program).startswith(("python", "pypy")):  # noqa: PTH119 - a word
            return found
        try:
            with Path(found).open("rb") as stream:
                line = stream.readline(512)
        except OSError:
            return None
        if not line.startswith(b"#!") or b"python" not in line:
            return None
        shebang = line[2:].decode("utf-8", "replace").split()
        interpreter = shebang[1] if shebang[0].endswith("/env") and len(shebang) > 1 else shebang[0]
        return shutil.which(interpreter, path=self._path)

    def _packages(self, python: str) -> Environment:
        if python not in self._listed:
            try:
                listed = run((python, "-c", LIST_PACKAGES), cwd=Path("/"))
                self._listed[python] = Environment("path-python", listed.text)
            except CommandError:
                self._listed[python] = UNKNOWN
        return self._listed[python]


def _words(text: str) -> list[str]:
    """Return the words of the first command that is not a variable assignment or `cd`."""
    try:
        words = shlex.split(text.replace("\n", " ; "), comments=True)
    except ValueError:
        return []
    while words and ("=" in words[0].split("/", 1)[0] or words[0] in {"env", "exec", "time"}):
        words = words[1:]
    return words


def _image_of(words: list[str]) -> str:
    """Return the words that name a container image: all but what the container runs is unclear."""
    return " ".join(words[: next((i for i, w in enumerate(words) if w == "--"), len(words))])


def _find_lock(folder: Path, names: Sequence[str]) -> Path | None:
    for place in (folder, *folder.parents):
        for name in names:
            if (place / name).is_file():
                return place / name
        if (place / ".git").exists():
            return None
    return None
