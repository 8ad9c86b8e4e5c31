"""Frames that come in, from the socket to who takes them, against websocket-client's `recv_data` without UTF-8 validation."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest
import websocket
from support.benches.rows import RATE, Row
from support.benches.sending import CHANNEL, PATIENCE_S, PAYLOAD, TYPE, MinimalClient, our_client
from support.benches.table import Table

from haip_sync.protocol.envelope import decode_envelope
from haip_sync.runtime.discretion import Discretion
from haip_sync.runtime.line import OPCODE_TEXT, Line, encode
from haip_sync.runtime.route import make_route

pytestmark = pytest.mark.timeout(600)

_MESSAGES: Final = {250: 3_000, 64 << 10: 150}
_NAMES: Final = {250: "250 B", 64 << 10: "64 KB"}
_NEVER: Final = 1_000_000
"""Messages after which the server grants more: what comes back is the flood alone."""
_RECV_DATA: Final = "recv_data"
ROWS = (
    *(Row(f"receive and decode, {name}, per CPU", RATE, _RECV_DATA, ">= 0.6", "2") for name in _NAMES.values()),
    *(Row(f"receive(), whole client, {name}, per CPU", RATE, _RECV_DATA) for name in _NAMES.values()),
)


def flood(count: int, size: int) -> dict[str, Any]:
    """Return the payload that asks the server for so many frames of this size."""
    return PAYLOAD | {"partial": f"flood {count} {size}"}


class _Floor:
    """websocket-client by itself."""

    def __init__(self, url: str, request: bytes) -> None:
        self._websocket = websocket.create_connection(url, skip_utf8_validation=True)
        self._request = request
        self._websocket.recv_data()  # the server's HAI

    def receive(self, count: int) -> float:
        """Return the messages per second of CPU."""
        self._websocket.send(self._request)
        begin_s = time.thread_time()
        for _ in range(count):
            self._websocket.recv_data()
        return time.thread_time() - begin_s

    def close(self) -> None:
        self._websocket.close(timeout=0)


def _line_of_ours(url: str) -> Line:
    route = make_route(url, token=None, auth=None, context=None, proxy="", headers=None)
    line = Line(route, timeout_s=PATIENCE_S, opening=lambda _attempt: None, confide=Discretion)
    line.attach(lambda _data: None, lambda: None)
    line.limit_frames(4 << 20)
    line.receive()
    return line


@contextmanager
def _request(url: str, count: int, size: int) -> Any:
    minimal = MinimalClient(url, CHANNEL)
    try:
        yield minimal.ready(TYPE, flood(count, size))
    finally:
        minimal.close()


def _cpu_of_line(line: Line, request: bytes, count: int) -> float:
    line.send_some(memoryview(encode(OPCODE_TEXT, request)), [], blocking=True)
    begin_s = time.thread_time()
    for _ in range(count):
        decode_envelope(line.receive()[1])
    return time.thread_time() - begin_s


@pytest.mark.parametrize("size", _MESSAGES)
def test_receive_and_decode(benchmark: Any, table: Table, server: str, size: int) -> None:
    """What the reader thread does with each frame: from the socket to a checked envelope. The floor decodes nothing."""
    url, count, name = f"{server}/1000/{_NEVER}", _MESSAGES[size], f"receive and decode, {_NAMES[size]}, per CPU"
    with _request(url, count, size) as request, closing(_Floor(url, request)) as floor:
        line = _line_of_ours(url)
        table.measure(
            benchmark,
            lambda: {name: count / floor.receive(count)},
            lambda: {name: count / _cpu_of_line(line, request, count)},
            rounds=21,
        )
        line.shut()
        line.release()


@pytest.mark.parametrize("size", _MESSAGES)
def test_receive(benchmark: Any, table: Table, server: str, size: int) -> None:
    """All that a frame costs, in all threads: until `receive()` has handed it over and given its credit back."""
    url, count, name = f"{server}/1000/{_NEVER}", _MESSAGES[size], f"receive(), whole client, {_NAMES[size]}, per CPU"

    def cpu_s(receive: Callable[..., object]) -> float:
        client.send(CHANNEL, TYPE, flood(count, size), timeout=PATIENCE_S)
        begin_s = time.process_time()
        for _ in range(count):
            receive(PATIENCE_S)
        return time.process_time() - begin_s

    with _request(url, count, size) as request, closing(_Floor(url, request)) as floor, our_client(url, window=1_000) as client:
        table.measure(
            benchmark, lambda: {name: count / floor.receive(count)}, lambda: {name: count / cpu_s(client.receive)}, rounds=15
        )
