"""Contract suites and stand-ins for tests, also for backends that others write."""

import pytest

# A failed assertion of a shipped suite is told with its values, like one of a test of one's own.
pytest.register_assert_rewrite("imgdata.testing.storage")
