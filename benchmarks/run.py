"""Measure imgdata against dvc, and s5cmd and rclone where they do the same, on loopback S3.

Runs alternate, medians are told, and a run counts only when it ends with status 0 and what it had
to make was counted. Every push goes to a prefix nobody has used, bytecode is compiled, and no file
is deleted between the runs. Afterwards plain dvc must agree with what imgdata made.

    python -m benchmarks.run --rounds 3 --scale 1.0
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from benchmarks.jobs import Bench, Case
from imgdata.testing.servers import S3Server, rclone_s3_server

HERE = Path(__file__).resolve().parent
WORKLOADS = {"5000 x 50 KB": (5_000, 50_000), "80 x 5 MB": (80, 5_000_000)}
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Figure(Struct, frozen=True):
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


def measure(name: str, folder: Path, server: S3Server, options: argparse.Namespace) -> list[Figure]:
    """Return the figures of one workload."""
    files, size = WORKLOADS[name]
    bench = Bench(folder, server, max(10, int(files * options.scale)), size)
    found: list[Figure] = []
    for job, cases in (
        ("add, from a folder outside", bench.add_cases()),
        ("add, in place", bench.add_in_place_cases()),
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
    """Return how many times as much wall clock and processor the others take, job by job."""
    found: dict[str, dict[str, float]] = {}
    for one in figures:
        own = [two for two in figures if (two.workload, two.job) == (one.workload, one.job)]
        imgdata = next((two for two in own if two.tool == "imgdata"), None)
        if one.tool != "imgdata" and imgdata is not None:
            found.setdefault(f"{one.workload}: {one.job}", {}).update(
                {
                    f"{one.tool}, wall": round(one.wall_s / imgdata.wall_s, 2),
                    f"{one.tool}, cpu": round(one.cpu_s / imgdata.cpu_s, 2),
                }
            )
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
    summary = {
        "scale": options.scale,
        "rounds": options.rounds,
        "others / imgdata": ratios(figures),
    }
    (HERE / "results.json").write_text(json.dumps(summary, indent=2) + "\n")
    with (HERE / "results.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["workload", "job", "tool", "wall_s", "cpu_s"])
        writer.writerows(
            [one.workload, one.job, one.tool, one.wall_s, one.cpu_s] for one in figures
        )


if __name__ == "__main__":
    main()
