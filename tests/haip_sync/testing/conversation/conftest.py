"""A conversation without a socket."""

from __future__ import annotations

from typing import Any

import pytest
from support.server_line import Line


@pytest.fixture
def line(pen: Any) -> Line:
    """Return a conversation past its handshake that never grants."""
    return Line(pen)
