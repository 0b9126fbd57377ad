"""The jobs that are measured: each tool's command, what it needs, and whether it did the job."""

import math
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from msgspec import Struct

from imgdata.testing.programs import PROGRAMS
from imgdata.testing.servers import S3Server, program

IMGDATA, DVC = str(PROGRAMS / "imgdata"), str(PROGRAMS / "dvc")


class Case(Struct, frozen=True):
    """One tool at one job.

    Attributes:
        tool: Its name.
        prepare: Makes what a run needs; returns the folder to run in and the command.
        check: Tells whether the run in that folder made what it had to.
    """

    tool: str
    prepare: Callable[[], tuple[Path, list[str]]]
    check: Callable[[Path], bool]


def _empty(folder: Path) -> None:
    """Free the space of a run that is over, but delete no file.

    When ext4 makes a file it passes one by one over the inodes deleted in the last minutes: the
    next run would pay for thousands of them, a seventh of a pull.
    """
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o600)
            os.truncate(path, 0)


class Bench:
    """One workload: its data, a project template, and the jobs."""

    def __init__(self, folder: Path, server: S3Server, files: int, size: int) -> None:
        self.folder = folder
        self.server = server
        self.files = files
        self.source = folder / "P1"
        self._number = 0
        self._write_images(files, size)
        self.empty = folder / "empty"
        self._do(folder, IMGDATA, "init", self.empty, "--template", "minimal")
        self.url = self.point(self.empty)
        self.added = self.copy(self.empty)
        self._do(self.added, IMGDATA, "add", "raw", self.source)
        self._do(self.added, "git", "add", "--all")
        self._do(self.added, "git", "-c", "user.name=b", "-c", "user.email=b", "commit", "-qmx")

    def _write_images(self, files: int, size: int) -> None:
        """Write square images of noise, 16 bits a pixel: what a check of headers has to parse."""
        chance = np.random.default_rng(1)
        side = math.isqrt(size // 2)
        self.source.mkdir(parents=True)
        for number in range(files):
            pixels = chance.integers(0, 4096, (side, side), dtype=np.uint16)
            tifffile.imwrite(self.source / f"{number:05}.tif", pixels, metadata=None, software="")

    @staticmethod
    def _do(folder: Path, *words: str | Path) -> None:
        done = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"{words}: {(done.stdout + done.stderr).decode(errors='replace')}")

    def copy(self, project: Path) -> Path:
        """Copy a project; its state rows name other files, so both tools start without."""
        self._number += 1
        target = self.folder / f"run-{self._number}"
        shutil.copytree(project, target, symlinks=True)
        old = self.folder / f"run-{self._number - 3}"
        if old != getattr(self, "added", None):
            _empty(old)
        return target

    def point(self, project: Path) -> str:
        """Give a project's one storage a fresh prefix on the server."""
        url = self.server.fresh_url()
        settings = project / "imgdata.yaml"
        lines = settings.read_text().splitlines()
        place = f'  archive: {{url: "{url}", endpoint_url: "{self.server.endpoint}"}}'
        settings.write_text(
            "\n".join(place if line.startswith("  archive: ") else line for line in lines) + "\n"
        )
        shutil.rmtree(project / ".imgdata" / "log", ignore_errors=True)
        self._do(project, IMGDATA, "storage", "apply", "--yes")
        self.url = url
        return url

    def landed(self) -> bool:
        """Whether the server has every object of the plate below the last prefix."""
        if self.server.folder is None:
            return False
        objects = self.server.folder / self.url.rpartition("/")[2] / "files" / "md5"
        return sum(1 for _ in objects.glob("??/*")) == self.files + 1

    def add_cases(self) -> list[Case]:
        """Return bringing the plate into the project and tracking it."""

        def fresh(*command: str) -> Callable[[], tuple[Path, list[str]]]:
            return lambda: (self.copy(self.empty), list(command))

        source = shlex.quote(str(self.source))
        copied = f"mkdir -p data/raw && cp -r {source} data/raw/P1 && exec {DVC} add -q data/raw/P1"
        return [
            Case("dvc", fresh("sh", "-c", copied), self._is_added),
            Case("imgdata", fresh(IMGDATA, "add", "raw", str(self.source)), self._is_added),
        ]

    def add_in_place_cases(self) -> list[Case]:
        """Return tracking the plate where it lies in the project."""

        def there(*command: str) -> Callable[[], tuple[Path, list[str]]]:
            def prepare() -> tuple[Path, list[str]]:
                project = self.copy(self.empty)
                shutil.copytree(self.source, project / "data" / "raw" / "P1")
                return project, list(command)

            return prepare

        return [
            Case("dvc", there(DVC, "add", "-q", "data/raw/P1"), self._is_added),
            Case("imgdata", there(IMGDATA, "add", "raw", "data/raw/P1"), self._is_added),
        ]

    def _is_added(self, project: Path) -> bool:
        objects = (project / ".dvc" / "cache" / "files" / "md5").glob("??/*")
        return sum(1 for _ in objects) == self.files + 1

    def push_cases(self) -> list[Case]:
        """Return pushing everything to an empty prefix."""

        def to(command: Callable[[], list[str]]) -> Callable[[], tuple[Path, list[str]]]:
            def prepare() -> tuple[Path, list[str]]:
                self.point(self.added)
                return self.added, command()

            return prepare

        def rclone() -> list[str]:
            remote = f":s3,provider=Rclone,env_auth=true,endpoint='{self.server.endpoint}'"
            place = self.url.removeprefix("s3://")
            flags = ["--transfers", "16", "--checkers", "16", "--no-traverse"]
            cache = str(self.added / ".dvc" / "cache" / "files")
            return [program("rclone"), "copy", *flags, cache, f"{remote}:{place}/files"]

        def s5cmd() -> list[str]:
            cache = f"{self.added}/.dvc/cache/files/"
            return [*self._s5cmd(), "cp", cache, f"{self.url}/files/"]

        def landed(_: Path) -> bool:
            return self.landed()

        return [
            Case("dvc", to(lambda: [DVC, "push", "-q", "data/raw/P1.dvc"]), landed),
            Case("s5cmd", to(s5cmd), landed),
            Case("rclone", to(rclone), landed),
            Case("imgdata", to(lambda: [IMGDATA, "push", "raw"]), landed),
        ]

    def _s5cmd(self) -> list[str]:
        return [program("s5cmd"), "--numworkers", "32", "--endpoint-url", self.server.endpoint]

    def pull_cases(self) -> list[Case]:
        """Return pulling everything into a fresh clone; imgdata verifies what it brings."""

        def clone(*words: str) -> Callable[[], tuple[Path, list[str]]]:
            def prepare() -> tuple[Path, list[str]]:
                self._number += 1
                target = self.folder / f"clone-{self._number}"
                self._do(self.folder, "git", "clone", "-q", self.added, target)
                for name in ("imgdata.yaml", ".dvc/config", "data/raw/P1.dvc"):
                    shutil.copy(self.added / name, target / name)
                return target, list(words)

            return prepare

        def same(project: Path) -> bool:
            found = subprocess.run(
                ["diff", "-rq", self.source, project / "data" / "raw" / "P1"],
                check=False,
                capture_output=True,
            )
            self.pulled = project
            return found.returncode == 0

        return [
            Case("dvc", clone(DVC, "pull", "-q", "data/raw/P1.dvc"), same),
            Case("imgdata", clone(IMGDATA, "pull", "raw"), same),
        ]

    def still_cases(self, dvc: list[str], imgdata: list[str]) -> list[Case]:
        """Return jobs that find nothing to do in the project that was pushed."""

        def good(_: Path) -> bool:
            return True

        return [
            Case("dvc", lambda: (self.added, [DVC, *dvc]), good),
            Case("imgdata", lambda: (self.added, [IMGDATA, *imgdata]), good),
        ]

    def dvc_agrees(self) -> bool:
        """Whether plain dvc finds the last clone and the server complete."""
        for words in (["pull", "-q"], ["status"], ["status", "-c"]):
            done = subprocess.run(
                [DVC, *words], cwd=self.pulled, check=False, capture_output=True, text=True
            )
            fine = "up to date" in done.stdout or "in sync" in done.stdout or words[0] == "pull"
            if done.returncode or not fine:
                print(f"dvc {' '.join(words)} does not agree: {done.stdout}{done.stderr}")
                return False
        return True
