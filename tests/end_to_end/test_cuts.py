"""A conversation whose second line is cut after every so many bytes: in the upgrade, the HAIs, what is sent again, new data."""

from __future__ import annotations

import os
from collections import Counter
from itertools import count

import pytest
from support.lines import AT_ONCE
from support.turnstiles import PATIENCE_S, until

from haip_sync import HAIPClient
from haip_sync.testing import DevServer, FaultProxy
from haip_sync.testing.fault_rules import Direction

_SOUND = bytes(range(200))
STRIDE = int(os.environ.get("HAIP_SYNC_CUT_STRIDE", "17"))
"""Bytes from one place of the cut to the next."""


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_wherever_a_line_is_cut_each_text_arrives_once(direction: Direction, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line breaks, and the one that follows is cut after n bytes; on the third all that was sent has come, and once.

    Afterwards the books agree; the fixtures look for threads and descriptors.
    """
    monkeypatch.setenv("HAIP_SYNC_DEBUG", "1")
    with DevServer(initial_credits=6, agent=False, resume_wait=PATIENCE_S) as server, FaultProxy(server.url) as proxy:
        for n_bytes in count(0, STRIDE):
            if not _converse(server, proxy, n_bytes, direction):
                break
    assert n_bytes > 20 * STRIDE


def _converse(server: DevServer, proxy: FaultProxy, n_bytes: int, direction: Direction) -> bool:
    """Hold one conversation; return whether it was long enough to be cut there."""
    expected = [f"{number} of the texts" for number in range(6)]
    lines_before = len(proxy.connections)
    with HAIPClient(proxy.url, reconnect=AT_ONCE) as client:
        session_id = client.connection_state().session_id
        client.send_text_message("USER", expected[0], timeout=PATIENCE_S)
        proxy.cut_after(n_bytes, direction)
        proxy.cut()
        queued = client.enqueue_text_message("USER", expected[1])
        receipts = [client.send_text_message("USER", text, timeout=PATIENCE_S) for text in expected[2:]]
        receipts.append(queued.result(PATIENCE_S))
        receipts.append(client.send_audio_chunk("AUDIO_IN", "sound", "audio/opus", _SOUND, timeout=PATIENCE_S))
        until(lambda: sum(_arrived(server, session_id).values()) >= len(expected))
        until(lambda: _sound(server, session_id))
        until(lambda: _books_agree(client, server))
        state = client.connection_state()
        was_cut = len(proxy.connections) - lines_before > 2
    assert _arrived(server, session_id) == Counter(expected), f"cut after {n_bytes} bytes {direction}"
    assert _sound(server, session_id) == _SOUND
    assert {receipt.outcome for receipt in receipts} <= {"sent", "acknowledged"}
    assert all(channel.is_conserved for channel in state.channels.values())
    return was_cut


def _arrived(server: DevServer, session_id: str) -> Counter[str]:
    """Return the texts that have arrived, over all of a client's lines."""
    mine = [session for session in server.sessions[-4:] if session.id == session_id]
    assert not any(session.breaches for session in mine)
    return Counter(text.text for session in mine for text in session.texts("USER"))


def _sound(server: DevServer, session_id: str) -> bytes:
    """Return the sound that has arrived, over all of a client's lines."""
    return b"".join(session.audio("AUDIO_IN") for session in server.sessions[-4:] if session.id == session_id)


def _books_agree(client: HAIPClient, server: DevServer) -> bool:
    """Return whether both sides of the line that stands now know of the same credit, both ways. A grant may be under way."""
    live = [session for session in server.sessions[-4:] if session.connected]  # they are listed as their HAIs were read
    if len(live) != 1:
        return False
    session, channels = live[0], client.connection_state().channels
    for name in ("USER", "AUDIO_IN"):
        ours, books = channels[name], session.books(name)
        sent, received = books.from_client, books.to_client
        if (ours.credits + ours.set_aside, ours.byte_credits + ours.set_aside_bytes) != (sent.balance, sent.balance_bytes):
            return False
        if (ours.receive_window, ours.receive_window_bytes) != (received.balance, received.balance_bytes):
            return False
    return True
