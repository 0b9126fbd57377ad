"""How fast copies are read back: `imgdata verify` against `md5sum` and `git annex fsck`.

Run it as `python -m benchmarks.verify_speed --files 2000 --size 500000`. All three read and hash
the same bytes from the same disk, one after the other in each round, so that what else the machine
does falls on all of them; the first round warms the page cache and does not count. Told are the
medians of wall time, CPU time and bytes a second.
"""

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

CONFIG = """\
version: 1
id: "0123456789abcdef0123456789abcdef"
title: How fast copies are read back
commit: never
origins:
  own: {kind: own, access: open}
storages:
  archive: {url: "../archive"}
levels:
  raw:
    path: data/raw
    origin: own
    key: "{plate}/{name}.bin"
    storage: archive
"""
PROGRAMS = Path(sys.executable).parent
MEGABYTE = 1e6


class Run(Struct, frozen=True):
    """One reading: seconds of wall and of CPU, children included."""

    wall: float
    cpu: float


def call(words: Sequence[str | Path], cwd: Path) -> None:
    """Run a program quietly; it must end well."""
    environment = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
                   "HOME": str(cwd.parent / "home"), "NO_COLOR": "1"}  # fmt: skip
    subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def prepare(base: Path, files: int, size: int) -> None:
    """Make random files, a project that archived them, and an annex that holds them."""
    chance = random.Random(1)  # noqa: S311 - test data
    plate = base / "microscope" / "P1"
    for folder in (
        plate,
        base / "home",
        base / "archive",
        base / "project" / ".dvc",
        base / "annex",
    ):
        folder.mkdir(parents=True)
    (base / "home" / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@lab.example\n")
    for number in range(files):
        (plate / f"{number:06d}.bin").write_bytes(chance.randbytes(size))
    project = base / "project"
    call(["git", "init", "--quiet"], project)
    (project / "imgdata.yaml").write_text(CONFIG)
    (project / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    call(["imgdata", "storage", "apply", "--yes"], project)
    call(["imgdata", "add", "raw", plate], project)
    call(["imgdata", "push"], project)
    annex = base / "annex"
    call(["git", "init", "--quiet"], annex)
    call(["git", "annex", "init", "--quiet"], annex)
    call(["git", "config", "annex.backend", "MD5"], annex)
    shutil.copytree(plate, annex / "P1")
    call(["git", "annex", "add", "--quiet", "--jobs=2", "P1"], annex)
    call(["git", "commit", "--quiet", "-m", "Plate"], annex)


def jobs(base: Path) -> Mapping[str, Callable[[], None]]:
    """Return what is measured, by name."""
    objects = sorted((base / "archive" / "files" / "md5").glob("??/*"))
    listed = base / "objects.txt"
    listed.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in objects))
    many = ["xargs", "-0", "-a", listed, "-n", "64"]
    return {
        "md5sum": lambda: call([*many, "md5sum"], base),
        "md5sum, 2 at once": lambda: call([*many, "-P", "2", "md5sum"], base),
        "git annex fsck": lambda: call(["git", "annex", "fsck", "--quiet"], base / "annex"),
        "git annex fsck --jobs=2": lambda: call(
            ["git", "annex", "fsck", "--quiet", "--jobs=2"], base / "annex"
        ),
        "imgdata verify": lambda: call(["imgdata", "verify", "--on", "archive"], base / "project"),
    }


def measured(job: Callable[[], None]) -> Run:
    """Run one job and return what it took."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    job()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu)


def measure(base: Path, rounds: int) -> dict[str, list[Run]]:
    """Run all jobs in turn, a round to warm up and then those that count."""
    todo = jobs(base)
    found: dict[str, list[Run]] = {name: [] for name in todo}
    for number in range(rounds + 1):
        for name, job in todo.items():
            run = measured(job)
            if number:
                found[name].append(run)
    return found


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--size", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imgdata-verify-") as folder:
        base = Path(folder)
        prepare(base, asked.files, asked.size)
        found = measure(base, asked.rounds)
        subprocess.run(["chmod", "-R", "u+w", base], check=True)
    size = asked.files * asked.size
    rows = [
        {
            "job": name,
            "wall_s": round(statistics.median(run.wall for run in runs), 2),
            "cpu_s": round(statistics.median(run.cpu for run in runs), 2),
            "mb_a_second": round(size / MEGABYTE / statistics.median(run.wall for run in runs)),
        }
        for name, runs in found.items()
    ]
    if asked.json:
        print(json.dumps({"files": asked.files, "size": asked.size, "rows": rows}, indent=1))
        return
    print(f"{asked.files:,} files of {asked.size:,} bytes, medians of {asked.rounds} rounds")
    for row in rows:
        print(f"{row['job']:<26}{row['wall_s']:>8} s wall {row['cpu_s']:>8} s CPU "
              f"{row['mb_a_second']:>8} MB/s")  # fmt: skip


if __name__ == "__main__":
    main()
