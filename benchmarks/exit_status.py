"""Do `imgdata push` to S3 and `imgdata pull` from it end with exit status 0, every time?

Runs each many times, counts every end that is not 0, and counts the files each had to make.
Asynchronous use of the library below them aborts at exit in some 5 % of runs.

    python -m benchmarks.exit_status --runs 300
"""

import argparse
import collections
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.jobs import Bench, Case
from benchmarks.run import timed
from imgdata.testing.servers import rclone_s3_server

FILES, SIZE = 48, 20_000


def exit_statuses(case: Case, runs: int) -> collections.Counter[str]:
    """Return how often each exit status came, and how often the files were not there."""
    found: collections.Counter[str] = collections.Counter()
    for _ in range(runs):
        folder, command = case.prepare()
        _, _, status = timed(command, folder)
        found["0" if status == 0 and case.check(folder) else f"{status}, or files missing"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    failed = False
    with tempfile.TemporaryDirectory() as text, rclone_s3_server(Path(text)) as server:
        os.environ |= server.environment | {"XDG_CACHE_HOME": text}
        bench = Bench(Path(text) / "bench", server, FILES, SIZE)
        for name, cases in (("push", bench.push_cases()), ("pull", bench.pull_cases())):
            start = time.monotonic()
            case = next(one for one in cases if one.tool == "imgdata")
            found = exit_statuses(case, runs)
            seconds = time.monotonic() - start
            print(f"{name}: {found['0']} of {runs} ended with exit status 0 ({seconds:.0f} s)")
            for status in found.keys() - {"0"}:
                print(f"  exit status {status}: {found[status]}")
            failed |= found["0"] != runs
    sys.exit(failed)


if __name__ == "__main__":
    main()
