"""Fixtures for tests of programs that use haip_sync. pytest finds them by itself once haip_sync is installed.

```python
def test_my_program_says_hello(haip_server, haip_client):
    my_program(haip_client)
    session = haip_server.wait_for_session()
    session.wait_for(lambda s: s.text_count == 1, what="a text")
```

* `haip_server`: a `DevServer` with its defaults, running, a new one for each test.
* `haip_server_factory`: starts servers with options of your own: `haip_server_factory(policy="paced:50", token="secret")`.
* `haip_client`: a `HAIPClient` connected to `haip_server`.
* `haip_fault_proxy_factory`: starts a `FaultProxy` in front of a server: `haip_fault_proxy_factory(haip_server.url, seed=1)`.
* `mock_flow_control`: a `MockFlowControl` with its defaults: credit without a server.

Servers and proxies are stopped and clients closed at the end of the test, however it ends. A fixture of the same
name in your conftest takes the place of one here; `-p no:haip_sync.testing.pytest_plugin` switches all of them off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

# pytest imports this module in every run of every project that has haip_sync installed. What costs time is therefore reached
# through these two names, when a fixture is asked for, and not imported here: `testing.DevServer` loads websockets.
import haip_sync
from haip_sync import testing
from haip_sync.testing.mock_flow_control import MockFlowControl

if TYPE_CHECKING:
    from haip_sync.client import HAIPClient
    from haip_sync.testing.dev_server import DevServer
    from haip_sync.testing.fault_proxy import FaultProxy


@pytest.fixture
def haip_server_factory() -> Iterator[Callable[..., DevServer]]:
    """Start a `DevServer` with the options that its constructor takes; all are stopped at the end of the test."""
    with ExitStack() as stack:

        def start(*args: Any, **options: Any) -> DevServer:
            server: DevServer = stack.enter_context(testing.DevServer(*args, **options))
            return server

        yield start


@pytest.fixture
def haip_server(haip_server_factory: Callable[..., DevServer]) -> DevServer:
    """Return a running `DevServer` of this test's own; `haip_server.url` is where clients find it."""
    return haip_server_factory()


@pytest.fixture
def haip_client(haip_server: DevServer) -> Iterator[HAIPClient]:
    """Return a `HAIPClient` connected to `haip_server`, which knows its session; it is closed at the end of the test."""
    with haip_sync.HAIPClient(haip_server.url) as client:
        # A client is through its handshake a moment before the server is.
        haip_server.wait_for_session()
        yield client


@pytest.fixture
def haip_fault_proxy_factory() -> Iterator[Callable[..., FaultProxy]]:
    """Start a `FaultProxy` with the arguments that its constructor takes; all are stopped at the end of the test."""
    with ExitStack() as stack:

        def start(target_url: str, **options: Any) -> FaultProxy:
            return stack.enter_context(testing.FaultProxy(target_url, **options))

        yield start


@pytest.fixture
def mock_flow_control() -> MockFlowControl:
    """Return a `MockFlowControl` in which every channel has 10 messages and 1 MiB of credit."""
    return MockFlowControl()
