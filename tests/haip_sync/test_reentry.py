"""Calls from a signal handler that interrupted another call of the same thread's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from haip_sync import DeadlockError, HAIPClient, PendingSend
from haip_sync.testing import DevServer

CALLS: dict[str, Callable[[HAIPClient], object]] = {
    "pause": lambda client: client.pause_channel("USER"),
    "resume": lambda client: client.resume_channel("USER"),
    "request": lambda client: client.request_credits("USER", messages=1),
    "ping": lambda client: client.ping(0),
    "send": lambda client: client.send_text_message("USER", "hi", timeout=0),
    "tool": lambda client: client.call_tool("USER", "echo", timeout=0),
    "run": lambda client: client.run(timeout=0).__enter__(),
    "texts": lambda client: client.texts().__enter__(),
    "transaction": lambda client: client.transaction("echo", timeout=1),
    "flush": lambda client: client.flush(0),
    "clear": lambda client: client.clear_queue("USER"),
    "wait": lambda client: PendingSend(
        client._connection, client._connection.rooms.parking, channel="USER", message_id="m", queued_bytes=1
    ).result(0),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_in_the_middle_of_another_does_nothing(name: str) -> None:
    """With the connection's state half changed in its own thread's hands a call raises DeadlockError and takes no seq."""
    with DevServer() as server, HAIPClient(server.url) as client:
        rooms = client._connection.rooms
        with rooms.parking.lock:  # as held by the call that the signal has interrupted
            seq = rooms.session.last_seq
            with pytest.raises(DeadlockError):
                CALLS[name](client)
            assert rooms.session.last_seq == seq
