"""What tests of several rooms share."""

import pytest

# Checks that tests share say what differs, as those in the tests themselves do.
pytest.register_assert_rewrite("support.books", "support.arrivals", "support.soak")
