"""What a frame costs, in both directions, and what comes of credit when the two sides' books differ."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from msgspec.structs import replace
from support.lines import ONE_LINE
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ChannelStalled,
    ConnectionClosedError,
    CreditChanged,
    ErrorReported,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    HAIPClient,
    SendRefused,
    UnsupportedByPeerError,
    WarningRaised,
    WindowOverrun,
)
from haip_sync.testing import DevServer, Generous, Never


def same_books(server: DevServer, client: HAIPClient, channel: str) -> bool:
    """Return whether both sides count the same, in both directions."""
    state, books = client.connection_state().channels[channel], server.wait_for_session().books(channel)
    ours = (state.granted, state.granted_bytes, state.sent_messages, state.sent_bytes)
    theirs = (books.from_client.granted, books.from_client.granted_bytes, books.from_client.spent, books.from_client.spent_bytes)
    received = (state.received_messages, state.received_bytes, state.receive_window, state.receive_window_bytes)
    sent = (books.to_client.spent, books.to_client.spent_bytes, books.to_client.balance, books.to_client.balance_bytes)
    return ours == theirs and received == sent


@pytest.mark.parametrize("unit", ["envelope", "message"])
def test_both_directions_count_in_the_same_unit(unit: Any) -> None:
    """Texts of several parts, sent and received, leave equal books on both sides, to the message and to the byte."""
    settings = FlowControlConfig(initial_credits=20, credit_unit=unit)
    with (
        DevServer(credit_unit=unit, policy=Generous(), initial_credits=12) as server,
        HAIPClient(server.url, flow_control=settings) as client,
    ):
        for number in range(3):
            client.send_text_message("USER", f"text {number} " + "é" * 70, timeout=PATIENCE_S)
        answers = 0
        while answers < 3:
            answers += client.receive(PATIENCE_S).type.endswith("_END")
        until(lambda: same_books(server, client, "USER") and same_books(server, client, "AGENT"))
        state = client.connection_state().channels
        assert state["USER"].sent_messages == (3 if unit == "message" else 9)
        assert state["AGENT"].received_messages == 3 if unit == "message" else state["AGENT"].received_messages > 9
        assert server.wait_for_session().books("USER").breaches == 0
        assert all(channel.is_conserved for channel in state.values())


def test_two_messages_of_two_credits() -> None:
    """With a message as the unit, two credits carry two whole texts, and the third is refused with FLOW_CONTROL."""
    settings = FlowControlConfig(credit_unit="message")
    with (
        DevServer(credit_unit="message", policy=Never(), initial_credits=2) as server,
        HAIPClient(server.url, flow_control=settings) as client,
    ):
        for number in (1, 2):
            client.send_text_message("USER", f"Message {number}", "user", timeout=0)
        with pytest.raises(FlowControlError, match="FLOW_CONTROL") as caught:
            client.send_text_message("USER", "Message 3", "user", timeout=0)
        assert caught.value.cause == "messages"
        assert "Nothing was sent" in str(caught.value)
        server.wait_for_session().wait_for(lambda s: s.text_count == 2)


def test_control_frames_that_count_are_counted() -> None:
    """Where the peer debits control frames, our SYSTEM balance falls with each of ours, and nothing waits for it."""
    settings = FlowControlConfig(count_control_frames=True)
    with (
        DevServer(count_control_frames=True, policy=Never(), initial_credits=4) as server,
        HAIPClient(server.url, flow_control=settings) as client,
    ):
        for _ in range(6):
            client.request_credits("USER", messages=1)
        session = server.wait_for_session()
        session.wait_for(lambda s: sum(frame.type == "FLOW_UPDATE" for frame in s.received) == 6)
        until(lambda: client.connection_state().credits["SYSTEM"] == session.books("SYSTEM").from_client.balance == 0)
        state = client.connection_state().channels["SYSTEM"]
        assert state.sent_messages == 4, "the floor is zero"
        assert state.is_conserved


def test_what_nobody_will_take_is_given_back() -> None:
    """A frame whose binary half is wrong gives its credit back, one that is repeated costs nothing: the window stays whole."""
    granted: list[Any] = []

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.hears("HAI")
        speaker.says("AUDIO_CHUNK", {"message_id": "a", "mime": "audio/wav"}, "AUDIO_IN", bin_len=50)
        speaker.connection.send(b"only this")
        granted.append(speaker.hears("FLOW_UPDATE"))
        for _ in range(2):
            speaker.says("MESSAGE_START", {"message_id": "b"}, "AGENT", id="again", seq="3")
        granted.append(speaker.hears("FLOW_UPDATE"))
        speaker.stays()

    errors: list[ErrorReported] = []
    with peer(script) as url:
        client = HAIPClient(url, flow_control=FlowControlConfig(initial_credits=2, initial_credit_bytes=1_000))
        client.subscribe(errors.append, ErrorReported)
        with client:
            assert client.receive(PATIENCE_S).payload == {"message_id": "b"}, "the first of the two is delivered"
            until(lambda: len(granted) == 2)
            assert granted[0] == {"channel": "AUDIO_IN", "add_messages": 1, "add_bytes": 50}
            assert (granted[1]["channel"], granted[1]["add_messages"]) == ("AGENT", 1)
            state = client.connection_state().channels
            assert (state["AUDIO_IN"].receive_window, state["AUDIO_IN"].receive_window_bytes) == (2, 1_000)
            assert state["AUDIO_IN"].received_bytes == 50
            until(lambda: client.connection_state().channels["AGENT"].receive_window == 2)
    assert [error.code for error in errors] == ["PROTOCOL_VIOLATION"]
    assert "announced 50 bytes, 9 came" in errors[0].message


@pytest.mark.parametrize("code", ["INSUFFICIENT_CREDITS", "FLOW_CONTROL_VIOLATION"])
def test_a_refused_message_forfeits_the_balance(code: str) -> None:
    """The send that the refusal names is settled as refused, what was left is forfeited, and a new grant lets the next go."""
    may_grant = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets(messages=9, byte_credits=100_000)
        frame = speaker.hears_frame("MESSAGE_PART")
        speaker.says("ERROR", {"code": code, "message": "no credit", "related_id": frame["id"]})
        may_grant.wait(PATIENCE_S)
        speaker.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 3})
        speaker.stays()

    refusals: list[SendRefused] = []
    with peer(script) as url:
        client = HAIPClient(url)
        client.subscribe(refusals.append, SendRefused)
        with client:
            receipt = client.send_text_message("USER", "lost", timeout=PATIENCE_S)
            until(lambda: len(refusals) == 1)
            assert (receipt.outcome, refusals[0].message_id, refusals[0].code) == ("refused", receipt.message_id, code)
            assert (refusals[0].channel, refusals[0].forfeited) == ("USER", 6)
            state = client.connection_state().channels["USER"]
            assert (state.credits, state.set_aside, state.forfeited, state.is_conserved) == (0, 0, 6, True)
            with pytest.raises(FlowControlError, match="peer refused a message"):
                client.send_text_message("USER", "next", timeout=0)
            may_grant.set()
            assert client.send_text_message("USER", "next", timeout=PATIENCE_S).outcome == "sent"


def test_a_refusal_that_names_nothing_says_that_one_was_lost() -> None:
    """Without a frame of ours in it, the event says that nobody knows which message was lost; the one channel in use forfeits."""

    def script(speaker: Peer) -> None:
        speaker.greets(messages=9)
        speaker.hears("MESSAGE_END")
        speaker.says("ERROR", {"code": "INSUFFICIENT_CREDITS", "message": "no credit"})
        speaker.stays()

    refusals: list[ErrorReported] = []
    with peer(script) as url:
        client = HAIPClient(url)
        client.on("error", refusals.append)
        with client:
            receipt = client.send_text_message("USER", "perhaps lost", timeout=PATIENCE_S)
            until(lambda: len(refusals) == 1)
            assert isinstance(refusals[0], SendRefused)
            assert (refusals[0].message_id, refusals[0].channel, refusals[0].forfeited) == (None, "USER", 6)
            assert "the peer does not say which" in refusals[0].message
            assert receipt.outcome == "sent"


def test_a_peer_that_refuses_to_be_asked_is_asked_no_more() -> None:
    """UNSUPPORTED_TYPE in answer to a FLOW_UPDATE ends the asking on this connection, with a warning."""

    def script(speaker: Peer) -> None:
        speaker.greets(messages=0)
        asked = speaker.hears_frame("FLOW_UPDATE")
        speaker.says("ERROR", {"code": "UNSUPPORTED_TYPE", "message": "what?", "related_id": asked["id"]})
        speaker.stays()

    warnings: list[WarningRaised] = []
    with peer(script) as url:
        client = HAIPClient(url)
        client.on("warning", warnings.append)
        with client:
            client.request_credits("USER", messages=3)
            until(lambda: len(warnings) == 1)
            assert "takes no FLOW_UPDATE" in warnings[0].text
            with pytest.raises(UnsupportedByPeerError, match="FLOW_UPDATE"):
                client.request_credits("USER", messages=3)


def test_an_outcome_follows_what_the_peer_acknowledges() -> None:
    """A receipt says sent, then acknowledged once the peer's ack has reached it; an ack of what was never sent is none."""
    heard = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets()
        last = speaker.hears_frame("MESSAGE_END")
        speaker.says("PING", {}, ack="999")
        speaker.says("PING", {}, ack=str(int(last["seq"]) - 1))
        speaker.hears("PONG")
        speaker.hears("PONG")
        heard.wait(PATIENCE_S)
        speaker.says("PING", {}, ack=last["seq"])
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        receipt = client.send_text_message("USER", "x", timeout=PATIENCE_S)
        assert receipt.outcome == "sent"
        heard.set()
        until(lambda: receipt.outcome == "acknowledged")
        assert repr(receipt) == f"SendReceipt(message_id={receipt.message_id!r}, seq={receipt.seq}, outcome='acknowledged')"


def test_after_a_loss_the_outcome_is_indeterminate() -> None:
    """What was sent and not acknowledged when the line broke is indeterminate; so is a queued message that was admitted."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.hears("MESSAGE_END")
        speaker.connection.socket.close()

    with peer(script) as url, HAIPClient(url, reconnect=ONE_LINE) as client:
        receipt = client.send_text_message("USER", "x", timeout=PATIENCE_S)
        with pytest.raises(ConnectionClosedError):
            client.receive(PATIENCE_S)
        assert receipt.outcome == "indeterminate"


def test_a_breach_is_an_event_of_its_own() -> None:
    """A frame without credit is reported with its channel, size and fate, to those who listen for errors too."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        for number in range(3):
            speaker.says("MESSAGE_START", {"message_id": str(number)}, "AGENT")
        speaker.hears("ERROR")
        speaker.stays()

    errors: list[Any] = []
    with peer(script) as url:
        client = HAIPClient(url, flow_control=FlowControlConfig(initial_credits=1))
        client.on("error", errors.append)
        with client:
            until(lambda: len(errors) == 2)
            assert all(isinstance(event, WindowOverrun) for event in errors)
            assert [(e.channel, e.kept, e.breaches, e.event_type) for e in errors] == [
                ("AGENT", False, 1, "MESSAGE_START"),
                ("AGENT", False, 2, "MESSAGE_START"),
            ]
            assert client.connection_state().channels["AGENT"].receive_breaches == 2


def test_frames_that_nobody_takes_are_a_stall() -> None:
    """What arrived and is not taken for stall_warning seconds is told once; sending goes on."""
    stalls: list[ChannelStalled] = []
    with DevServer(agent=False) as server:
        client = HAIPClient(server.url, stall_warning=0.05)
        client.subscribe(stalls.append, ChannelStalled)
        with client:
            server.wait_for_session()
            server.send_text("AGENT", "hello")
            until(lambda: len(stalls) == 1)
            assert (stalls[0].channel, stalls[0].cause, stalls[0].waiting) == ("AGENT", "not_taken", 3)
            assert "nobody has taken any" in stalls[0].text
            for _ in range(3):
                client.receive(PATIENCE_S)
            server.send_text("AGENT", "again")
            until(lambda: len(stalls) == 2)


def test_a_deadline_behind_others_says_what_the_first_lacks() -> None:
    """Who waited behind others is told its place in line and what holds up the first of them."""
    with DevServer(policy=Never(), initial_credits=0) as server, HAIPClient(server.url) as client:
        for number in range(2):
            client.enqueue_text_message("USER", str(number))
        with pytest.raises(FlowControlTimeout, match="number 3 of 3 in line: 2 senders of USER came first") as caught:
            client.send_text_message("USER", "third", timeout=0.01)
        assert caught.value.cause == "behind_others"
        assert "USER needs 1 message of credit and has 0 (1 missing)" in str(caught.value)
        assert "granted nothing since the handshake" in str(caught.value)
        assert client.clear_queue("USER") == 2


def test_the_audit_finds_books_that_do_not_balance(monkeypatch: pytest.MonkeyPatch) -> None:
    """With HAIP_SYNC_DEBUG=1 credit out of nothing raises in the call that finds it; without, nothing looks."""
    for switched_on in (True, False):
        monkeypatch.setenv("HAIP_SYNC_DEBUG", "1" if switched_on else "0")
        with DevServer(policy=Never()) as server, HAIPClient(server.url) as client:
            turnstile = client._connection.rooms.turnstile
            gate = turnstile.gate("USER")
            gate.ledger = replace(gate.ledger, messages=replace(gate.ledger.messages, granted=99))
            if switched_on:
                with pytest.raises(AssertionError, match="USER: granted = spent"):
                    client.send_text_message("USER", "x", timeout=0)
            else:
                client.send_text_message("USER", "x", timeout=0)
            assert not client.connection_state().channels["USER"].is_conserved
            assert client.connection_state().channels["AGENT"].is_conserved


def test_a_balance_is_reported_when_it_is_forfeited() -> None:
    """Whoever listens for credit sees the balance fall to nothing at a refusal."""

    def script(speaker: Peer) -> None:
        speaker.greets(messages=9)
        speaker.hears("MESSAGE_END")
        speaker.says("ERROR", {"code": "INSUFFICIENT_CREDITS"})
        speaker.stays()

    seen: list[CreditChanged] = []
    with peer(script) as url:
        client = HAIPClient(url)
        client.on("credit", seen.append)
        with client:
            client.send_text_message("USER", "x", timeout=PATIENCE_S)
            until(lambda: any(event.channel == "USER" and event.credits == 0 for event in seen))
