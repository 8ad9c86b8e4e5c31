"""A connection in figures alone: those of its snapshots, at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.turnstiles import PATIENCE_S, until

from haip_sync import FlowControlTimeout, HAIPClient
from haip_sync.runtime.account import Balance
from haip_sync.testing import DevServer, OnRequest


@pytest.fixture
def client() -> Iterator[HAIPClient]:
    """Yield a client that has sent all that it may on USER, and waited, and holds AGENT."""
    with DevServer(agent=False, initial_credits=3, policy=OnRequest()) as server, HAIPClient(server.url) as client:
        client.request_credits("AGENT", messages=7)
        client.wait_for_credits("AGENT", messages=7, timeout=PATIENCE_S)
        client.pause_channel("AGENT")
        client.send_text_message("USER", "x", timeout=PATIENCE_S)
        with pytest.raises(FlowControlTimeout):
            client.wait_for_credits("USER", messages=5, timeout=0.01)
        yield client


def agrees(client: HAIPClient) -> None:
    """Compare what the account has with what the snapshots have."""
    account, state, metrics = client.account(), client.connection_state(), client.metrics()
    assert (account.connected, account.epoch) == (state.connected, state.epoch)
    assert list(account.balances) == list(state.channels)
    for channel, balance in account.balances.items():
        for field in set(Balance.__struct_fields__) - {"oldest_wait"}:
            assert getattr(balance, field) == getattr(state.channels[channel], field), (channel, field)
    assert account.figures.keys() == metrics.channels.keys()
    for channel, figures in account.figures.items():
        counted = metrics.channels[channel]
        assert (figures.requests, figures.received) == (counted.credit_requests, counted.credit_received)
        assert figures.received_bytes == counted.credit_received_bytes
        assert {cause.value: (each.count, each.total_s, tuple(each.reached())) for cause, each in figures.waits.items()} == {
            cause: (each.count, each.total_s, each.reached) for cause, each in counted.waits.items()
        }


def test_it_says_what_the_snapshots_say(client: HAIPClient) -> None:
    """Balances, caps, holds, what was asked, granted and waited for; also after the end."""
    assert client.account().balances["AGENT"].paused
    assert client.account().figures["USER"].waits
    agrees(client)
    client.close()
    agrees(client)


def test_it_says_who_stands_in_line(client: HAIPClient) -> None:
    """How many, and since when the first of them has."""
    waiting = threading.Thread(target=lambda: client.wait_for_credits("USER", messages=5, timeout=PATIENCE_S))
    waiting.start()
    until(lambda: client.account().balances["USER"].oldest_wait > 0)
    assert (client.account().balances["USER"].backlog, client.account().balances["USER"].waiting) == (1, 1)
    agrees(client)
    client.request_credits("USER", messages=5)
    waiting.join(PATIENCE_S)
    assert client.account().balances["USER"].oldest_wait == 0


def test_what_was_taken_counts_no_further(client: HAIPClient) -> None:
    """It is of one moment, as a snapshot is."""
    account, before = client.account(), client.metrics().channels["AGENT"]
    client.request_credits("AGENT", messages=1)
    until(lambda: client.metrics().channels["AGENT"].credit_received > before.credit_received)
    assert (account.figures["AGENT"].requests, account.figures["AGENT"].received) == (1, before.credit_received)


def test_it_is_told_in_the_middle_of_another_call(client: HAIPClient) -> None:
    """To a signal handler that has interrupted its own thread, which holds the lock: what is half done is left to it."""
    turnstile, before = client._connection.rooms.turnstile, client.account()
    with client._connection.rooms.parking.lock:
        gates = tuple(turnstile.gates)
        turnstile._unserved.update(gates)
        assert client.account().balances == before.balances
        assert set(turnstile._unserved) == set(gates)
    client.account()
    assert not turnstile._unserved
