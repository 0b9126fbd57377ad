"""A transfer that went well ends with exit status 0: an asynchronous client aborts now and then."""

import os
import subprocess
import sys

import pytest

from imgdata.testing.servers import S3Server

RUNS = 40
THERE_AND_BACK = """
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


@pytest.mark.server
@pytest.mark.slow
def test_s3_transfers_end_with_exit_status_0_every_time(rclone_s3: S3Server) -> None:
    line = [sys.executable, "-c", THERE_AND_BACK]
    env = {**os.environ, **rclone_s3.environment}
    statuses = [
        subprocess.run(
            [*line, rclone_s3.fresh_url(), rclone_s3.endpoint], env=env, check=False
        ).returncode
        for _ in range(RUNS)
    ]
    assert statuses == [0] * RUNS
