"""Measure imgdata against plain dvc, and rclone where it does the same, on loopback S3.

Runs alternate, medians are told, and a run counts only when it ends with status 0 and what it had
to make was counted. Every push goes to a prefix nobody has used, bytecode is compiled, and deletes
are flushed before the clock starts. Afterwards plain dvc must agree with what imgdata made.

    python -m benchmarks.run --rounds 3 --scale 1.0
"""

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imgdata.testing.servers import S3Server, program, rclone_s3_server
from imgdata.testing.small_project import PROGRAMS

HERE = Path(__file__).resolve().parent
WORKLOADS = {"5000 x 50 KB": (5_000, 50_000), "80 x 5 MB": (80, 5_000_000)}
IMGDATA, DVC = str(PROGRAMS / "imgdata"), str(PROGRAMS / "dvc")
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True, slots=True)
class Case:
    """One tool at one job.

    Attributes:
        tool: Its name.
        prepare: Makes what a run needs; returns the folder to run in and the command.
        check: Tells whether the run in that folder made what it had to.
    """

    tool: str
    prepare: Callable[[], tuple[Path, list[str]]]
    check: Callable[[Path], bool]


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of a tool's runs; seconds of wall clock and of processor, in its process tree."""

    workload: str
    job: str
    tool: str
    wall_s: float
    cpu_s: float


def timed(command: list[str], folder: Path) -> tuple[float, float, int]:
    """Run a command; return wall and processor seconds and its exit status."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, **QUIET)  # type: ignore[call-overload] # a mapping of options
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, process.returncode


def compare(workload: str, job: str, cases: list[Case], rounds: int) -> Iterator[Figure]:
    """Run the cases in turn, round by round; yield one figure a tool, none for an invalid one."""
    runs: dict[str, list[tuple[float, float]]] = {case.tool: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            folder, command = case.prepare()
            os.sync()
            wall, cpu, status = timed(command, folder)
            if status or not case.check(folder):
                print(f"{workload}: {job}: {case.tool} ended with {status}, or its output is wrong")
                continue
            runs[case.tool].append((wall, cpu))
    for tool, some in runs.items():
        if len(some) == rounds:
            wall, cpu = (statistics.median(one[at] for one in some) for at in (0, 1))
            print(f"{workload}: {job}: {tool:<8} wall {wall:7.2f} s   cpu {cpu:7.2f} s", flush=True)
            yield Figure(workload, job, tool, round(wall, 3), round(cpu, 3))


class Bench:
    """One workload: its data, a project template, and the jobs."""

    def __init__(self, folder: Path, server: S3Server, files: int, size: int) -> None:
        self.folder = folder
        self.server = server
        self.files = files
        self.source = folder / "P1"
        self._number = 0
        chance = random.Random(1)  # noqa: S311 - test data
        self.source.mkdir(parents=True)
        for number in range(files):
            (self.source / f"{number:05}.tif").write_bytes(chance.randbytes(size))
        self.empty = folder / "empty"
        self._do(folder, IMGDATA, "init", self.empty, "--template", "minimal")
        self.url = self.point(self.empty)
        self.added = self.copy(self.empty)
        self._do(self.added, IMGDATA, "add", "raw", self.source)
        self._do(self.added, "git", "add", "--all")
        self._do(self.added, "git", "-c", "user.name=b", "-c", "user.email=b", "commit", "-qmx")

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
            shutil.rmtree(old, ignore_errors=True)
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
        """Return adding the plate with imgdata, and with dvc from where it lies already."""

        def here() -> tuple[Path, list[str]]:
            return self.copy(self.empty), [IMGDATA, "add", "raw", str(self.source)]

        def there() -> tuple[Path, list[str]]:
            project = self.copy(self.empty)
            shutil.copytree(self.source, project / "data" / "raw" / "P1")
            return project, [DVC, "add", "-q", "data/raw/P1"]

        def whole(project: Path) -> bool:
            objects = (project / ".dvc" / "cache" / "files" / "md5").glob("??/*")
            return sum(1 for _ in objects) == self.files + 1

        return [Case("dvc", there, whole), Case("imgdata", here, whole)]

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

        def landed(_: Path) -> bool:
            return self.landed()

        return [
            Case("dvc", to(lambda: [DVC, "push", "-q", "data/raw/P1.dvc"]), landed),
            Case("rclone", to(rclone), landed),
            Case("imgdata", to(lambda: [IMGDATA, "push", "raw"]), landed),
        ]

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


def measure(name: str, folder: Path, server: S3Server, options: argparse.Namespace) -> list[Figure]:
    """Return the figures of one workload."""
    files, size = WORKLOADS[name]
    bench = Bench(folder, server, max(10, int(files * options.scale)), size)
    found: list[Figure] = []
    for job, cases in (
        ("add", bench.add_cases()),
        ("push", bench.push_cases()),
        ("push, nothing new", bench.still_cases(["push", "-q"], ["push"])),
        ("pull", bench.pull_cases()),
        ("status", bench.still_cases(["status", "-q"], ["status"])),
        ("help", bench.still_cases(["--help"], ["--help"])),
    ):
        found += compare(name, job, cases, options.rounds)
    if not bench.dvc_agrees():
        sys.exit(1)
    return found


def ratios(figures: list[Figure]) -> dict[str, dict[str, float]]:
    """Return how many times as much wall clock and processor dvc takes, by workload and job."""
    found: dict[str, dict[str, float]] = {}
    for one in figures:
        peer = [two for two in figures if (two.workload, two.job) == (one.workload, one.job)]
        dvc = next((two for two in peer if two.tool == "dvc"), None)
        if one.tool == "imgdata" and dvc is not None:
            found[f"{one.workload}: {one.job}"] = {
                "wall": round(dvc.wall_s / one.wall_s, 2),
                "cpu": round(dvc.cpu_s / one.cpu_s, 2),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the files to use")
    parser.add_argument("--workload", choices=WORKLOADS, action="append")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ |= {"DVC_NO_ANALYTICS": "1", "AWS_DEFAULT_REGION": "us-east-1"}
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as text:
        top = Path(text)
        os.environ |= {"XDG_CACHE_HOME": str(top / "home"), "DVC_GLOBAL_CONFIG_DIR": str(top)}
        with rclone_s3_server(top) as server:
            os.environ |= server.environment
            for number, name in enumerate(options.workload or WORKLOADS):
                figures += measure(name, top / str(number), server, options)
    summary = {"scale": options.scale, "rounds": options.rounds, "dvc / imgdata": ratios(figures)}
    (HERE / "results.json").write_text(json.dumps(summary, indent=2) + "\n")
    with (HERE / "results.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["workload", "job", "tool", "wall_s", "cpu_s"])
        writer.writerows(
            [one.workload, one.job, one.tool, one.wall_s, one.cpu_s] for one in figures
        )


if __name__ == "__main__":
    main()
