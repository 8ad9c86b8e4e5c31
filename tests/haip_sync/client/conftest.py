"""A server and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.live import Start

from haip_sync import HAIPClient
from haip_sync.testing import DevServer


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server and a client connected to it; both are closed at the end."""
    with ExitStack() as stack:

        def start_both(client: dict[str, Any] | None = None, **server: Any) -> tuple[DevServer, HAIPClient]:
            running = stack.enter_context(DevServer(**({"agent": False} | server)))
            return running, stack.enter_context(HAIPClient(running.url, **(client or {})))

        yield start_both
