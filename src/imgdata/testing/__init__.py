"""Contract suites and stand-ins for tests, also for backends that others write; synthetic plates.

`imgdata.testing.plate` needs numpy but not pytest: the demo uses it without the tests' tools.
"""

import sys

if "pytest" in sys.modules:
    import pytest

    # A failed assertion of a shipped suite is told with its values, like one of one's own tests.
    pytest.register_assert_rewrite("imgdata.testing.storage", "imgdata.testing.depository")
