"""A transfer that ends well ends with exit status 0, every time."""

import pytest

from benchmarks.exit_status import exit_statuses
from imgdata.testing.servers import S3Server


@pytest.mark.server
@pytest.mark.slow
def test_forty_transfers_end_with_status_zero(rclone_s3: S3Server) -> None:
    assert exit_statuses(rclone_s3, 40) == {0: 40}
