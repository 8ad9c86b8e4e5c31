"""The page's integration test with each reading of its two figures, 2 messages and 1024 bytes.

The peer's HAI sets our balance, so the server is given the figures; where its HAI names none, ours count. A text of the page's is
three envelopes of some 820 bytes together: two of them need six credits where each envelope costs one, and never fit 1024 bytes.
"""

from __future__ import annotations

from typing import Any

import pytest

from haip_sync import FlowControlConfig, FlowControlError, FlowControlTimeout, SendReceipt
from seed_page.stage import MIB, PATIENCE_S, Stage, amounts, bytes_of, stage

LIMITS: dict[str, Any] = {"initial_credits": 2, "initial_credit_bytes": 1024}
UNNAMED: dict[str, Any] = {"initial_credits": None}
"""A server whose HAI names no credit: it counts what arrives, but cannot know what the client has."""


def send(s: Stage, number: int, **options: Any) -> SendReceipt:
    """Send a text of the page's."""
    return s.client.send_text_message("USER", f"Message {number}", "user", "run-1", **options)


def check_spent(s: Stage, *, frames: int, messages: int) -> None:
    """Check that the server got so many frames, and that the client took as many bytes and `messages` for them."""
    s.session.wait_for(lambda session: session.books("USER").from_client.spent >= frames, PATIENCE_S)
    books, ours = s.session.books("USER"), s.channel()
    assert (books.from_client.spent, books.from_client.spent_bytes, books.breaches) == (frames, ours.sent_bytes, 0)
    assert (ours.sent_messages, ours.granted) == (messages, messages + ours.credits)


def test_two_single_envelopes_at_the_pages_figures() -> None:
    """At 2 messages and 1024 bytes two frames pass, and the third raises FLOW_CONTROL."""
    with stage(server=LIMITS, flow_control=FlowControlConfig(**LIMITS)) as s:
        for number in (1, 2):
            s.client.send("USER", "TOOL_CALL", {"call_id": f"call-{number}", "tool": "clock"}, timeout=0)
        with pytest.raises(FlowControlError, match="FLOW_CONTROL") as caught:
            s.client.send("USER", "TOOL_CALL", {"call_id": "call-3", "tool": "clock"}, timeout=0)
        assert caught.value.cause == "messages"
        state = s.settled()
        assert (state.credits, state.byte_credits) == (0, 1024 - state.sent_bytes)


def test_two_texts_with_a_credit_for_each_message() -> None:
    """Where a credit pays a whole text exactly two pass, as the page reads, and the third raises FLOW_CONTROL."""
    config = FlowControlConfig(initial_credits=2, initial_credit_bytes=bytes_of("Message 1", "Message 2"), credit_unit="message")
    with stage(server=UNNAMED, flow_control=config) as s:
        for number in (1, 2):
            send(s, number)
        with pytest.raises(FlowControlError, match="FLOW_CONTROL") as caught:
            send(s, 3, timeout=0)
        assert caught.value.cause == "messages"
        assert amounts([s.channel()]) == [(0, 0, 0, 0)]
        assert s.texts(2) == ["Message 1", "Message 2"]
        check_spent(s, frames=6, messages=2)


def test_bytes_are_a_limit_of_their_own() -> None:
    """Of 1024 bytes one text is paid; the second raises FLOW_CONTROL for bytes, though a message credit is left."""
    with stage(server=UNNAMED, flow_control=FlowControlConfig(**LIMITS, credit_unit="message")) as s:
        send(s, 1)
        with pytest.raises(FlowControlError, match="FLOW_CONTROL") as caught:
            send(s, 2, timeout=0)
        assert caught.value.cause == "bytes"
        assert (s.channel().credits, s.channel().byte_credits) == (1, 1024 - bytes_of("Message 1"))
        check_spent(s, frames=3, messages=1)


def test_our_own_figures_count_where_the_peer_names_none() -> None:
    """Every channel begins with our settings, which are also what the peer gets; what it names itself goes before them."""
    config = FlowControlConfig(**LIMITS)
    with stage(server=UNNAMED, flow_control=config) as s:
        assert set(s.client.connection_state().credits.values()) == {2}
        assert set(s.client.connection_state().byte_credits.values()) == {1024}
        books = s.session.books("USER")
        assert not books.metered
        assert (books.to_client.granted, books.to_client.granted_bytes) == (2, 1024)
    with stage(server={"initial_credits": 6}, flow_control=config) as s:
        assert (s.channel().credits, s.channel().byte_credits) == (6, MIB)


def test_the_third_message_may_wait_with_a_deadline() -> None:
    """Given time, the third waits; past its deadline it raises FLOW_CONTROL as a TimeoutError, and is never sent later."""
    with stage(server={"initial_credits": 6}) as s:
        for number in (1, 2):
            send(s, number)
        with pytest.raises(FlowControlTimeout, match=r"FLOW_CONTROL.*Nothing was sent") as caught:
            send(s, 3, timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        s.server.grant("USER", 6)
        send(s, 4)
        assert s.texts(3) == ["Message 1", "Message 2", "Message 4"]
        assert s.settled().credits == 3


def test_the_third_message_may_be_queued() -> None:
    """Queued, the third returns at once and leaves when the server gives credit."""
    with stage(server={"initial_credits": 6}) as s:
        handles = [s.client.enqueue_text_message("USER", f"Message {number}", "user", "run-1") for number in (1, 2, 3)]
        assert s.client.queue_length("USER") == 1
        s.server.grant("USER", 3)
        assert {handle.result(PATIENCE_S).outcome for handle in handles} <= {"sent", "acknowledged"}
        assert s.texts(3) == ["Message 1", "Message 2", "Message 3"]
        assert s.settled().credits == 0
