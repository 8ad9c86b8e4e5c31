"""A connection in figures alone, for who reads many clients at each scrape: in a third of the time that its snapshots take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from haip_sync.flow.gates import Gate
from haip_sync.flow.metrics import Figures
from haip_sync.runtime.connection import Connection
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.inbox import Inbox
from haip_sync.runtime.snapshot import glance


class Balance(msgspec.Struct, frozen=True, gc=False):
    """One channel at one moment. Members that have the name of one of `ChannelState` are the same."""

    credits: int
    byte_credits: int
    max_credits: int
    max_credit_bytes: int
    backlog: int
    waiting: int
    oldest_wait: float
    paused: bool
    sent_messages: int
    received_messages: int
    receive_breaches: int


class Account(NamedTuple):
    """A client at one moment, consistent over all channels."""

    connected: bool
    epoch: int
    balances: Mapping[str, Balance]
    """By channel."""
    figures: Mapping[str, Figures]
    """By channel: what was counted since the client was made, or `reset_metrics`. A copy, which counts no further."""


def account(connection: Connection, now_s: float) -> Account:
    """Return the connection at this moment. Any thread, without the lock."""
    return glance(connection, lambda: _account(connection, now_s))


def _account(connection: Connection, now_s: float) -> Account:
    rooms = connection.rooms
    balances = {gate.channel: _balance(gate, rooms.inbox, now_s) for gate in rooms.turnstile.gates}
    return Account(connection.is_open, rooms.turnstile.epoch, balances, connection.watch.metrics.copy().channels)


def _balance(gate: Gate[Entry], inbox: Inbox, now_s: float) -> Balance:
    messages, size, window = gate.ledger.messages, gate.ledger.byte_credits, inbox.window(gate.channel)
    backlog, waiting, first = (gate.in_line(), gate.waiting(), gate.first()) if gate.queue else (0, 0, None)
    return Balance(  # in the order of its members: to name them takes as long as all the rest
        messages.spendable,
        size.spendable,
        messages.cap,
        size.cap,
        backlog,
        waiting,
        0.0 if first is None else max(0.0, now_s - first.since_s),
        gate.paused_by_us or gate.paused_by_peer,
        messages.spent,
        window.received.messages,
        window.breaches,
    )
