"""A server of the transaction dialect, a client of it, and threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from support.in_transactions import Start
from support.transaction_peer import TransactionPeer

from haip_sync import HAIPClient


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server and a client connected to it; both are closed at the end."""
    with ExitStack() as stack:

        def start_both(client: dict[str, Any] | None = None, **server: Any) -> tuple[TransactionPeer, HAIPClient]:
            running = stack.enter_context(TransactionPeer(**server))
            return running, stack.enter_context(HAIPClient(running.url, **(client or {})))

        yield start_both


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Return threads for what blocks."""
    with ThreadPoolExecutor(4) as threads:
        yield threads
