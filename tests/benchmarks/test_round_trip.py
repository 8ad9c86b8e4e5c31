"""One credit at a time: each message waits for the grant that the one before it brings."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
import websocket
from support.benches.rows import COST, Row
from support.benches.sending import CHANNEL, PATIENCE_S, PAYLOAD, TYPE, MinimalClient, our_client
from support.benches.table import Table

pytestmark = pytest.mark.timeout(600)

_NAME = "one credit at a time, round trip"
_MINIMAL = "the same, minimal client of two threads"
_ONE_THREAD = "websocket-client, one thread"
_MESSAGES = 100
ROWS = (Row(_NAME, COST, _ONE_THREAD, "<= 1.35", "1.1"), Row(_MINIMAL, COST, _ONE_THREAD))


class _Granted(msgspec.Struct):
    type: str
    payload: dict[str, Any]


class _OneThread(MinimalClient):
    """Sends, and reads until the grant has come, in one thread: no lock, no waking."""

    def __init__(self, url: str) -> None:
        super().__init__(url, CHANNEL)
        self.close()
        self._websocket = websocket.create_connection(url, skip_utf8_validation=True)
        self._decode = msgspec.json.Decoder(_Granted).decode
        self._websocket.recv_data()  # the server's HAI

    def round_trip(self) -> None:
        """Send a fresh frame and wait for the grant that it brings."""
        self._websocket.send(self.ready(TYPE, PAYLOAD))
        while self._decode(self._websocket.recv_data()[1]).type != "FLOW_UPDATE":
            pass


def _time_s(send: Any) -> float:
    begin_s = time.perf_counter()
    for _ in range(_MESSAGES):
        send()
    return (time.perf_counter() - begin_s) / _MESSAGES


def test_one_credit_at_a_time(benchmark: Any, table: Table, server: str) -> None:
    """The window is one message: what counts is how soon a grant lets the next go.

    The minimal client shows what of it is the price of a second thread, whatever that does.
    """
    url = f"{server}/1/1"

    def floor() -> dict[str, float]:
        return dict.fromkeys((_NAME, _MINIMAL), _time_s(one.round_trip))

    def ours() -> dict[str, float]:
        return {
            _NAME: _time_s(lambda: client.send(CHANNEL, TYPE, PAYLOAD, timeout=PATIENCE_S)),
            _MINIMAL: _time_s(lambda: minimal.send(TYPE, PAYLOAD)),
        }

    one, minimal = _OneThread(url), MinimalClient(url, CHANNEL)
    with our_client(url, window=1) as client:
        table.measure(benchmark, floor, ours, rounds=61)
    one.close()
    minimal.close()
