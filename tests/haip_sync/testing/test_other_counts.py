"""Servers that count otherwise, over real sockets: a credit for a whole text, and control frames that cost something."""

from __future__ import annotations

from typing import Any

import pytest
from support.turnstiles import PATIENCE_S, until

from haip_sync import FlowControlConfig, FlowControlError, HAIPClient
from haip_sync.testing import DevServer, Never, OnRequest, RenewAtHalf, Session


def balance(client: HAIPClient, channel: str) -> tuple[int, int]:
    """Return what the client believes it may spend on a channel, what its caps set aside included."""
    state = client.connection_state().channels[channel]
    return state.credits + state.set_aside, state.byte_credits + state.set_aside_bytes


def booked(session: Session, channel: str) -> tuple[int, int]:
    """Return what the server believes that the client may spend."""
    tally = session.books(channel).from_client
    return tally.balance, tally.balance_bytes


def test_a_text_costs_the_client_one_credit_where_both_count_texts() -> None:
    """Three credits carry three texts of three frames each; the fourth has none, and both books say so to the byte."""
    config = FlowControlConfig(credit_unit="message")
    with (
        DevServer(policy=Never(), credit_unit="message", initial_credits=3, agent=False) as server,
        HAIPClient(server.url, flow_control=config) as client,
    ):
        for number in range(3):
            client.send_text_message("USER", f"text {number}", timeout=PATIENCE_S)
        with pytest.raises(FlowControlError, match="message"):
            client.send_text_message("USER", "one too many", timeout=0)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count == 3, timeout=PATIENCE_S)
        assert (session.books("USER").from_client.spent, session.books("USER").breaches) == (3, 0)
        assert balance(client, "USER") == booked(session, "USER")
        assert balance(client, "USER")[0] == 0


def test_texts_in_many_parts_pass_through_a_window_of_one_text() -> None:
    """What does not fit the bytes streams in parts, each of which costs no message; the books agree at the end."""
    config = FlowControlConfig(credit_unit="message")
    with (
        DevServer(
            policy=RenewAtHalf(idle=0.002), credit_unit="message", initial_credits=1, initial_credit_bytes=1000, agent=False
        ) as server,
        HAIPClient(server.url, flow_control=config) as client,
    ):
        for number in range(20):
            client.send_text_message("USER", f"{number}:" + "x" * 2000, timeout=PATIENCE_S)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count == 20, timeout=PATIENCE_S)
        until(lambda: booked(session, "USER") == (1, 1000) == balance(client, "USER"))
        assert session.books("USER").breaches == 0
        assert session.books("USER").from_client.spent == 20
        assert session.received_count > 20 * 5


def test_a_text_costs_one_credit_over_the_wire(dial: Any) -> None:
    """A raw client may send START, PART, END for one message, and is answered within one message of its own."""
    with DevServer(policy=Never(), credit_unit="message", initial_credits=1) as server:
        client = dial(server.url)
        client.greet(capabilities={"flow_control": {"initial_credit_messages": 1, "initial_credit_bytes": 50_000}})
        client.say("hello")
        client.expect("MESSAGE_END")
        session = server.wait_for_session()
        assert (booked(session, "USER")[0], session.books("AGENT").to_client.balance) == (0, 0)
        late, _ = client.send("MESSAGE_START", {"message_id": "m"}, "USER")
        assert client.expect("ERROR")["payload"]["related_id"] == late


def test_both_books_agree_where_control_frames_are_counted() -> None:
    """Requests, pauses and PONGs fall on SYSTEM, its floor included, and nothing waits for it."""
    config = FlowControlConfig(count_control_frames=True)
    with (
        DevServer(policy=Never(), count_control_frames=True, initial_credits=5, agent=False) as server,
        HAIPClient(server.url, flow_control=config) as client,
    ):
        session = server.wait_for_session()
        assert balance(client, "SYSTEM") == booked(session, "SYSTEM") == (5, 1 << 20)
        client.request_credits("USER", messages=1)
        client.pause_channel("AGENT")
        client.resume_channel("AGENT")
        session.wait_for(lambda s: s.received_count == 4, timeout=PATIENCE_S)
        assert balance(client, "SYSTEM") == booked(session, "SYSTEM")
        assert balance(client, "SYSTEM")[0] == 2
        for number in range(4):
            server.send_frame("PING", {"nonce": str(number)}, session=session)
        session.wait_for(lambda s: s.received_count == 8, timeout=PATIENCE_S)
        assert balance(client, "SYSTEM") == booked(session, "SYSTEM")
        assert balance(client, "SYSTEM")[0] == 0


def test_counted_control_frames_come_back_when_they_are_asked_for() -> None:
    """The request costs one of SYSTEM, the grant brings what it asked for: both sides book the two in the same order."""
    config = FlowControlConfig(count_control_frames=True)
    with (
        DevServer(policy=OnRequest(), count_control_frames=True, agent=False) as server,
        HAIPClient(server.url, flow_control=config) as client,
    ):
        session = server.wait_for_session()
        client.request_credits("SYSTEM", messages=7, byte_credits=100)
        until(lambda: booked(session, "SYSTEM")[0] == 16 == balance(client, "SYSTEM")[0])
        assert balance(client, "SYSTEM") == booked(session, "SYSTEM")


def test_a_grant_of_the_servers_is_free_where_control_frames_are_counted(dial: Any) -> None:
    """Only what the client sends is counted."""
    with DevServer(policy=Never(), count_control_frames=True) as server:
        client = dial(server.url)
        client.greet()
        session = server.wait_for_session()
        server.grant("USER", 5)
        client.expect("FLOW_UPDATE")
        client.send("PING", {})
        client.expect("PONG")
        assert session.books("SYSTEM").to_client.spent == 0
        assert session.books("SYSTEM").from_client.spent == 1
