"""Do S3 transfers end with exit status 0, every time?

Runs a program many times that writes and reads objects through many threads and ends at once, and
counts every end that is not 0. Asynchronous use of the same library aborts in some 5 % of runs.

    python -m benchmarks.exit_status --runs 300
"""

import argparse
import collections
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imgdata.testing.servers import S3Server, rclone_s3_server

TRANSFER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from imgdata.backends import open_storage
url, endpoint = sys.argv[1:]
storage = open_storage("lab", url, {"endpoint_url": endpoint}, Path("/"))
def there_and_back(number):
    data = bytes([number]) * 20_000
    storage.write(f"files/{number}", [data], len(data))
    with storage.read(f"files/{number}") as chunks:
        return b"".join(chunks) == data
with ThreadPoolExecutor(16) as pool:
    assert all(pool.map(there_and_back, range(48)))
assert len(list(storage.list())) == 48
"""


def exit_statuses(server: S3Server, runs: int) -> collections.Counter[int]:
    """Return how often each exit status came."""
    line = [sys.executable, "-c", TRANSFER]
    env = {**os.environ, **server.environment}
    return collections.Counter(
        subprocess.run(
            [*line, server.fresh_url(), server.endpoint], env=env, check=False
        ).returncode
        for _ in range(runs)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, rclone_s3_server(Path(folder)) as server:
        found = exit_statuses(server, runs)
    seconds = time.monotonic() - start
    print(f"{found[0]} of {runs} runs ended with exit status 0 ({seconds:.0f} s)")
    for status, count in sorted(found.items()):
        if status:
            print(f"  exit status {status}: {count}")
    sys.exit(0 if found == {0: runs} else 1)


if __name__ == "__main__":
    main()
