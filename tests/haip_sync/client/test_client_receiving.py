"""What a client receives and tells its listeners, and the credit that goes back for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.lines import ONE_LINE
from support.live import Start, listen, settled
from support.turnstiles import PATIENCE_S, until

import haip_sync
from haip_sync import (
    ConfigError,
    ConnectionClosedError,
    CreditGranted,
    DeadlockError,
    Disconnected,
    FlowControlConfig,
    HAIPClient,
    HAIPTimeout,
    HandshakeCompleted,
    HeartbeatPolicy,
    Message,
    PongReceived,
    WarningRaised,
)
from haip_sync.testing import DevServer, Never

# ---- Receiving ----------------------------------------------------------------------------------------------------------------


def test_messages_are_received_in_order_and_credit_goes_back(start: Start) -> None:
    """What receive() takes is granted again; a text far larger than our window comes through whole."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits=4)})
    text = "word " * 2_000
    server.send_text("AGENT", text, session=server.wait_for_session())
    parts = []
    while (message := client.receive(PATIENCE_S)).type != "MESSAGE_END":
        assert isinstance(message, Message)
        assert message.channel == "AGENT"
        parts.append(message.payload.get("text", ""))
    assert "".join(parts) == text
    session = settled(server, lambda s: s.books("AGENT").to_client.balance == 4)
    state = client.connection_state().channels["AGENT"]
    assert (state.receive_window, state.receive_window_bytes) == (4, session.books("AGENT").to_client.balance_bytes)


def test_what_is_not_taken_is_not_granted_again(start: Start) -> None:
    """A client that does not receive holds the peer within its window."""
    server, client = start({"flow_control": FlowControlConfig(initial_credits=4)})
    session = server.wait_for_session()
    for n in range(5):
        server.send_text("AGENT", f"t{n}", session=session)
    until(lambda: client.connection_state().channels["AGENT"].receive_window <= 1)
    assert session.books("AGENT").to_client.granted == 4
    for _ in range(15):
        client.receive(PATIENCE_S)
    session.wait_for(lambda s: s.books("AGENT").to_client.balance == 4, timeout=PATIENCE_S)


def test_listeners_take_messages_and_give_credit_back(start: Start) -> None:
    """With inbox="listeners" a message is taken when its listeners have run."""
    server, client = start({"inbox": "listeners", "flow_control": FlowControlConfig(initial_credits=3)})
    seen = listen(client, Message)
    text = "x" * 5_000
    server.send_text("AGENT", text, session=server.wait_for_session())
    until(lambda: any(message.type == "MESSAGE_END" for message in seen))
    assert "".join(m.payload.get("text", "") for m in seen if m.type == "MESSAGE_PART") == text
    settled(server, lambda s: s.books("AGENT").to_client.balance == 3)
    with pytest.raises(ConfigError, match="listeners"):
        client.receive(0)


def test_listeners_mode_without_a_listener_takes_all_the_same(start: Start) -> None:
    """With inbox="listeners" and nobody listening the peer is not held up."""
    server, _ = start({"inbox": "listeners", "flow_control": FlowControlConfig(initial_credits=3)})
    server.send_text("AGENT", "x" * 5_000, session=server.wait_for_session())
    settled(server, lambda s: s.pending_texts("AGENT") == 0 and s.books("AGENT").to_client.balance == 3)


def test_receive_times_out(start: Start) -> None:
    """Nothing to receive within the timeout is HAIPTimeout, which is a TimeoutError."""
    _, client = start()
    with pytest.raises(HAIPTimeout, match=r"no message arrived within 0\.05 s"):
        client.receive(0.05)
    with pytest.raises(TimeoutError):
        client.receive(0)


def test_messages_end_with_a_close_in_good_order(start: Start) -> None:
    """messages() yields what came before the close, then ends."""
    server, client = start()
    session = server.wait_for_session()
    server.send_frame("TOOL_LIST", {"tools": []}, channel="AGENT", session=session)
    until(lambda: client.connection_state().channels["AGENT"].received_messages == 1)
    client.close()
    assert [message.type for message in client.messages()] == ["TOOL_LIST"]
    with pytest.raises(ConnectionClosedError, match="nothing more will arrive: the client was closed"):
        client.receive(0)


def test_messages_raise_when_the_line_breaks(start: Start) -> None:
    """messages() raises the first cause after a loss, in every thread that waits."""
    server, client = start({"reconnect": ONE_LINE})
    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(list, client.messages()) for _ in range(2)]
        server.drop(session=server.wait_for_session())
        for future in reading:
            with pytest.raises(ConnectionClosedError, match="was lost"):
                future.result(PATIENCE_S)


# ---- Listening ----------------------------------------------------------------------------------------------------------------


def test_every_frame_is_a_message_to_those_who_ask(start: Start) -> None:
    """on("message") sees control frames too; on("flow_update") sees grants, closed subscriptions see nothing."""
    server, client = start(policy=Never())
    frames: list[Message] = []
    updates: list[CreditGranted] = []
    client.on("message", frames.append)
    subscription = client.on("flow_update", updates.append)
    session = server.wait_for_session()
    server.grant("USER", 1, session=session)
    until(lambda: len(frames) == 1 and len(updates) == 1)
    assert (frames[0].type, frames[0].payload) == ("FLOW_UPDATE", {"channel": "USER", "add_messages": 1})
    subscription.close()
    subscription.close()
    server.grant("USER", 1, session=session)
    until(lambda: len(frames) == 2)
    assert len(updates) == 1
    with pytest.raises(ConfigError, match="must be one of 'connect'"):
        client.on("flow-update", updates.append)


def test_a_listener_that_raises_harms_nobody(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The exception is logged and told, the listener stays, the others and the senders go on."""
    server, client = start(policy=Never())
    calls: list[object] = []

    def broken(event: object) -> None:
        calls.append(event)
        raise RuntimeError("my own fault")

    client.subscribe(broken, CreditGranted)
    warnings = listen(client, WarningRaised)
    fine = listen(client, CreditGranted)
    session = server.wait_for_session()
    for _ in range(2):
        server.grant("USER", 1, session=session)
    until(lambda: len(calls) == len(fine) == len(warnings) == 2)
    assert "raised on CreditGranted" in warnings[0].text
    assert "my own fault" in caplog.text


def test_a_blocking_send_from_a_listener_is_an_error(start: Start) -> None:
    """A listener that would wait for credit gets DeadlockError; with timeout 0 it may send."""
    server, client = start(policy=Never())
    results: list[object] = []

    def listener(_event: object) -> None:
        for timeout in (None, 0):
            try:
                results.append(client.send_text_message("USER", "x", timeout=timeout).outcome)
            except DeadlockError as exc:
                results.append(type(exc))

    client.subscribe(listener, CreditGranted)
    server.grant("USER", 1, session=server.wait_for_session())
    until(lambda: len(results) == 2)
    assert results == [DeadlockError, "sent"]


def test_a_handshake_is_told_with_its_first_credit() -> None:
    """Listeners that were there before connect hear connect, handshake and disconnect, in order."""
    with DevServer(initial_credits=12) as server:
        client = HAIPClient(server.url)
        seen = listen(client, haip_sync.Connected, HandshakeCompleted, Disconnected)
        client.connect()
        client.close()
    assert [type(event).__name__ for event in seen] == ["Connected", "HandshakeCompleted", "Disconnected"]
    assert (seen[1].initial_credits, seen[1].epoch, seen[1].haip_version) == (12, 1, "1.1.2")
    assert seen[2].in_good_order


def test_the_heartbeat_measures_the_round_trip() -> None:
    """PING goes out by itself, and its PONG gives the round trip."""
    with DevServer() as server, HAIPClient(server.url, heartbeat=HeartbeatPolicy(interval=0.02)) as client:
        seen = listen(client, PongReceived)
        until(lambda: seen)
        assert seen[0].round_trip_s > 0
        until(lambda: client.connection_state().round_trip is not None)
