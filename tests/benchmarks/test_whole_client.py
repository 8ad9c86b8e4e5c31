"""What TLS, a listener and the import cost, against the same without."""

from __future__ import annotations

from itertools import count
from typing import Any, Final

import pytest
from support.benches.rows import RATE, TIME, Row
from support.benches.sending import CHANNEL, PATIENCE_S, our_client, rate_and_cpu, sends
from support.benches.server_process import run_python
from support.benches.table import Table
from support.certificates import client_context

from haip_sync import HAIPClient, SendAdmitted

pytestmark = pytest.mark.timeout(600)

_MESSAGES: Final = 1_000
_TLS: Final = "over TLS, window 1,000: rate"
_LISTENER: Final = "one listener that counts: rate"
_ALL: Final = "one listener to everything: rate"
_IMPORT: Final = "import haip_sync: CPU"
_CLIENT: Final = "from haip_sync import HAIPClient: CPU"
_DEPENDENCIES: Final = "import websocket, msgspec"
ROWS = (
    Row(_TLS, RATE, "over TCP", ">= 0.6", "0.8"),
    Row(_LISTENER, RATE, "none", ">= 0.9", "0.97"),
    Row(_ALL, RATE, "none"),
    Row(_IMPORT, TIME, _DEPENDENCIES, "<= 1.4", "1.15"),
    Row(_CLIENT, TIME, _DEPENDENCIES, "<= 1.4", "1.15"),
)
_CPU_OF: Final = "import time; begin_s = time.process_time(); {}; print(time.process_time() - begin_s)"


def _rate(client: HAIPClient) -> float:
    client.wait_for_credits(CHANNEL, messages=1_000, timeout=PATIENCE_S)
    return rate_and_cpu(sends(client), _MESSAGES, client.flush)[0]


def test_tls(benchmark: Any, table: Table, server: str, tls_server: str) -> None:
    """The same client with and without TLS."""
    with (
        our_client(f"{server}/1000/500", window=1_000) as plain,
        our_client(f"{tls_server}/1000/500", window=1_000, ssl=client_context()) as secure,
    ):
        table.measure(benchmark, lambda: {_TLS: _rate(plain)}, lambda: {_TLS: _rate(secure)}, rounds=61)


@pytest.mark.parametrize(("name", "kinds"), [(_LISTENER, (SendAdmitted,)), (_ALL, ())])
def test_listener(benchmark: Any, table: Table, server: str, name: str, kinds: tuple[type[SendAdmitted], ...]) -> None:
    """A listener counts every send, or everything that there is to hear."""
    url, heard = f"{server}/1000/500", count()
    with our_client(url, window=1_000) as silent, our_client(url, window=1_000) as heard_client:
        heard_client.subscribe(lambda _event: next(heard), *kinds)
        table.measure(benchmark, lambda: {name: _rate(silent)}, lambda: {name: _rate(heard_client)}, rounds=61)
    assert next(heard) > 0


@pytest.mark.parametrize(("name", "code"), [(_IMPORT, "import haip_sync"), (_CLIENT, "from haip_sync import HAIPClient")])
def test_import(benchmark: Any, table: Table, name: str, code: str) -> None:
    """A fresh interpreter imports us, another what we depend on."""
    run_python(code)  # compiles what is not
    table.measure(
        benchmark,
        lambda: {name: float(run_python(_CPU_OF.format(_DEPENDENCIES)))},
        lambda: {name: float(run_python(_CPU_OF.format(code)))},
        rounds=11,
    )
