"""The client against a real server, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.turnstiles import PATIENCE_S, until

import haip_sync
from haip_sync import (
    AuthError,
    ChannelPaused,
    ConfigError,
    ConnectionClosedError,
    CreditGranted,
    CreditRequested,
    DeadlockError,
    Disconnected,
    ErrorReported,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    HAIPClient,
    HAIPTimeout,
    HandshakeCompleted,
    HeartbeatPolicy,
    Message,
    PartialSendError,
    PongReceived,
    SendAdmitted,
    UnsupportedByPeerError,
    WarningRaised,
)
from haip_sync.testing import DevServer, Generous, Never, OnRequest, Session

Start = Callable[..., tuple[DevServer, HAIPClient]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server and a client connected to it; both are closed at the end."""
    with ExitStack() as stack:

        def start_both(client: dict[str, Any] | None = None, **server: Any) -> tuple[DevServer, HAIPClient]:
            running = stack.enter_context(DevServer(**({"agent": False} | server)))
            return running, stack.enter_context(HAIPClient(running.url, **(client or {})))

        yield start_both


def listen(client: HAIPClient, *kinds: type[haip_sync.Event]) -> list[Any]:
    """Return a list that fills with the client's events of these kinds."""
    seen: list[Any] = []
    client.subscribe(seen.append, *kinds)
    return seen


def settled(server: DevServer, condition: Callable[[Session], object]) -> Session:
    """Return the first session once `condition` holds for it."""
    session = server.wait_for_session()
    session.wait_for(condition, timeout=PATIENCE_S)
    return session


def types(session: Session) -> list[str]:
    """Return the types of what the server received, in order."""
    return [frame.type for frame in session.received]


# ---- Handshake --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["message", "text"])
def test_a_text_arrives_in_the_peers_dialect(start: Start, dialect: str) -> None:
    """A text travels as START, PART and END of the dialect that the peer accepts, with decimal seq and cumulative ack."""
    server, client = start(dialect=dialect)
    receipt = client.send_text_message("USER", 'grüß dich\n"😀"', author="me", run_id="run-1", thread_id="t")
    session = settled(server, lambda s: s.texts())
    [text] = session.texts("USER")
    assert (text.text, text.author, text.message_id) == ('grüß dich\n"😀"', "me", receipt.message_id)
    data = [frame for frame in session.received if frame.channel == "USER"]
    prefix = "" if dialect == "message" else "TEXT_"
    assert [frame.type for frame in data] == [f"{prefix}MESSAGE_{end}" for end in ("START", "PART", "END")]
    assert [frame.seq for frame in session.received] == [str(n + 1) for n in range(len(session.received))]
    assert {(frame.run_id, frame.thread_id, frame.ack) for frame in data} == {("run-1", "t", "1")}
    assert receipt.seq == int(data[-1].seq)
    assert receipt.outcome in ("sent", "acknowledged")
    state = client.connection_state()
    assert (state.dialect, state.connected, state.epoch) == (dialect, True, 1)
    assert state.session_id == session.id
    assert state.peer_session_id == session.server_id


def test_the_first_balance_is_the_peers(start: Start) -> None:
    """The peer's HAI sets the balance of every channel, a grant above the cap set aside."""
    _, client = start({"flow_control": FlowControlConfig(max_credits=5)}, initial_credits=7, initial_credit_bytes=123)
    for channel in client.connection_state().channels.values():
        assert (channel.credits, channel.set_aside, channel.byte_credits) == (5, 2, 123)


def test_our_own_settings_stand_in_where_the_peer_names_none(start: Start) -> None:
    """Without initial credit in the peer's HAI our initial values are our own balance."""
    _, client = start({"flow_control": FlowControlConfig(initial_credits={"USER": 3})}, initial_credits=None)
    assert client.connection_state().credits["USER"] == 3
    assert client.connection_state().credits["AGENT"] == 10


def test_our_hai_grants_the_smallest_and_flow_updates_the_rest(start: Start) -> None:
    """Per-channel initial values reach the peer: the smallest in HAI, the rest by FLOW_UPDATE."""
    config = FlowControlConfig(initial_credits={"USER": 3, "AGENT": 20}, initial_credit_bytes={"AGENT": 2_000_000})
    server, _ = start({"flow_control": config})
    session = settled(server, lambda s: s.books("AGENT").to_client.balance == 20)
    assert session.books("AGENT").to_client.balance_bytes == 2_000_000
    assert session.books("USER").to_client.balance == 3
    assert session.books("SYSTEM").to_client.balance == 10


def test_a_wrong_token_is_an_auth_error_and_shows_no_token() -> None:
    """A refused token raises AuthError that names code 1008 and neither the token given nor any part of the URL's query."""
    with DevServer(token="right") as server:
        client = HAIPClient(server.url, token="wrong-secret")
        with pytest.raises(AuthError, match=r"refused the token.*1008") as caught:
            client.connect(PATIENCE_S)
        assert "secret" not in repr(caught.value) + repr(client)
        with HAIPClient(server.url, token="right") as good:
            assert good.connection_state().connected
        with HAIPClient(f"{server.url}?token=right") as also:
            assert also.connection_state().connected


def test_sending_before_connecting_says_so() -> None:
    """Before the first HAI every send raises ConnectionClosedError, and nothing was opened."""
    client = HAIPClient("ws://127.0.0.1:9")
    for call in (
        lambda: client.send_text_message("USER", "x"),
        lambda: client.request_credits("USER", messages=1),
        lambda: client.pause_channel("USER"),
        lambda: client.wait_for_credits("USER"),
    ):
        with pytest.raises(ConnectionClosedError, match="not connected yet"):
            call()
    assert client.connection_state().credits["USER"] == 0
    client.close()


def test_a_client_connects_once(start: Start) -> None:
    """A second connect is refused in words."""
    _, client = start()
    with pytest.raises(ConnectionClosedError, match="connects once"):
        client.connect()


def test_connect_returns_a_connected_client() -> None:
    """`haip_sync.connect` is the constructor and `connect` in one."""
    with DevServer() as server:
        client = haip_sync.connect(server.url, timeout=PATIENCE_S, name="mine")
        assert client.connection_state().connected
        assert client.name == "mine"
        client.close()


# ---- Credit -----------------------------------------------------------------------------------------------------------------


def test_a_sender_waits_for_credit_and_a_grant_lets_it_go(start: Start) -> None:
    """A blocked send returns once the peer has granted what it lacks, and the events tell it in order."""
    server, client = start(policy=Never(), initial_credits=9)
    session = server.wait_for_session()
    for number in range(3):
        client.send_text_message("USER", str(number))
    seen = listen(client, CreditGranted, SendAdmitted)
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(client.send_text_message, "USER", "two")
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        state = client.connection_state().channels["USER"]
        assert (state.waiting_for, state.missing, state.backlog) == ("messages", 3, 1)
        server.grant("USER", 2, session=session)
        until(lambda: client.connection_state().channels["USER"].missing == 1)
        assert not blocked.done()
        server.grant("USER", 1, session=session)
        blocked.result(PATIENCE_S)
    until(lambda: len(seen) == 3)
    assert [type(event) for event in seen] == [CreditGranted, CreditGranted, SendAdmitted]
    settled(server, lambda s: len(s.texts("USER")) == 4)


def test_timeout_zero_raises_flow_control(start: Start) -> None:
    """The third message of two credits fails at once with FLOW_CONTROL, and nothing of it is sent."""
    server, client = start({"flow_control": FlowControlConfig(credit_unit="message")}, policy=Never(), initial_credits=2)
    client.send("USER", "TOOL_CALL", {"call_id": "1", "tool": "t"}, timeout=0)
    client.send("USER", "TOOL_CALL", {"call_id": "2", "tool": "t"}, timeout=0)
    with pytest.raises(FlowControlError, match="FLOW_CONTROL"):
        client.send("USER", "TOOL_CALL", {"call_id": "3", "tool": "t"}, timeout=0)
    session = settled(server, lambda s: s.books("USER").from_client.spent == 2)
    assert session.books("USER").breaches == 0


def test_a_deadline_sends_nothing_ever(start: Start) -> None:
    """A send that timed out is not delivered later, when credit comes."""
    server, client = start(policy=Never(), initial_credits=0)
    with pytest.raises(FlowControlTimeout, match="Nothing was sent") as caught:
        client.send_text_message("USER", "late", timeout=0.05)
    assert caught.value.cause == "messages"
    server.grant("USER", 10, session=server.wait_for_session())
    client.send_text_message("USER", "now", timeout=PATIENCE_S)
    session = settled(server, lambda s: s.texts("USER"))
    assert [text.text for text in session.texts("USER")] == ["now"]


def test_send_timeout_is_the_default_of_sends(start: Start) -> None:
    """A send that names no timeout takes the client's; None waits for ever all the same."""
    server, client = start({"send_timeout": 0.05}, policy=Never(), initial_credits=0)
    with pytest.raises(FlowControlTimeout):
        client.send_text_message("USER", "x")
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(client.send_text_message, "USER", "y", timeout=None)
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        server.grant("USER", 3, session=server.wait_for_session())
        patient.result(PATIENCE_S)


def test_a_long_text_streams_through_a_small_window(start: Start) -> None:
    """A text larger than any balance goes in parts cut to the credit, arrives whole, and breaks no rule."""
    text = "".join(chr(0x4E00 + n % 500) + "\n\\é" for n in range(3_000))
    server, client = start(policy=Generous(), initial_credits=2, initial_credit_bytes=1_500)
    client.send_text_message("USER", text, timeout=PATIENCE_S)
    session = settled(server, lambda s: s.texts("USER"))
    assert session.texts("USER")[0].text == text
    assert session.books("USER").breaches == 0
    parts = [frame for frame in session.received if frame.type == "MESSAGE_PART"]
    assert len(parts) > 10
    assert max(frame.frame_bytes for frame in parts) <= 1_500


def test_a_stream_that_stops_says_how_far_it_came(start: Start) -> None:
    """A deadline in mid-stream raises PartialSendError with what was sent; the next text starts afresh."""
    server, client = start(policy=Never(), initial_credits=2, initial_credit_bytes=100_000)
    with pytest.raises(PartialSendError, match=r"START and 1 part\(s\) were sent") as caught:
        client.send_text_message("USER", "x" * 10, timeout=0.05)
    assert caught.value.parts_sent == 1
    server.grant("USER", 3, session=server.wait_for_session())
    client.send_text_message("USER", "next", timeout=PATIENCE_S)
    session = settled(server, lambda s: s.texts("USER"))
    assert [text.text for text in session.texts("USER")] == ["next"]


def test_an_empty_text_is_a_text(start: Start) -> None:
    """A text without a character is START and END."""
    server, client = start()
    client.send_text_message("USER", "")
    session = settled(server, lambda s: s.texts("USER"))
    assert session.texts("USER")[0].text == ""
    assert types(session)[-2:] == ["MESSAGE_START", "MESSAGE_END"]


def test_waiting_for_credits_takes_nothing(start: Start) -> None:
    """wait_for_credits returns once the credit is there and leaves it there."""
    server, client = start(policy=Never(), initial_credits=2, initial_credit_bytes=1_000)
    client.wait_for_credits("USER", messages=2, byte_credits=1_000)
    with pytest.raises(FlowControlTimeout):
        client.wait_for_credits("USER", messages=3, timeout=0.05)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait_for_credits, "USER", messages=3)
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        server.grant("USER", 1, session=server.wait_for_session())
        waiting.result(PATIENCE_S)
    assert client.connection_state().credits["USER"] == 3
    with pytest.raises(ConfigError, match="at most max_credits of USER, 100"):
        client.wait_for_credits("USER", messages=101)


def test_a_request_reaches_the_server_and_its_grant_comes_back(start: Start) -> None:
    """request_credits is a FLOW_UPDATE; a server that grants on request raises our balance, and our window grows as much."""
    server, client = start(policy=OnRequest(), initial_credits=1)
    seen = listen(client, CreditRequested, CreditGranted)
    client.request_credits("USER", messages=20, byte_credits=7)
    until(lambda: client.connection_state().credits["USER"] == 21)
    session = server.wait_for_session()
    assert [f.payload for f in session.received if f.type == "FLOW_UPDATE"] == [
        {"channel": "USER", "add_messages": 20, "add_bytes": 7}
    ]
    assert client.connection_state().channels["USER"].receive_window == 30
    assert session.books("USER").to_client.balance == 30
    client.send_flow_update("USER", 0, 5)
    until(lambda: client.connection_state().byte_credits["USER"] == (1 << 20) + 12)
    until(lambda: len(seen) == 4)
    assert [type(event) for event in seen] == [CreditRequested, CreditGranted] * 2


@pytest.mark.parametrize(
    "amounts", [{}, {"messages": 0}, {"messages": -1}, {"byte_credits": -5}, {"messages": 1.5}, {"messages": True}]
)
def test_a_request_that_is_not_positive_is_refused(start: Start, amounts: dict[str, Any]) -> None:
    """A credit request of nothing, or of less, is a ConfigError, and nothing is sent."""
    server, client = start()
    with pytest.raises(ConfigError):
        client.request_credits("USER", **amounts)
    client.send_text_message("USER", "x")
    assert "FLOW_UPDATE" not in types(settled(server, lambda s: s.texts()))


@pytest.mark.parametrize("channel", ["", "US ER", "x" * 129, None, 5, "käse"])
def test_a_malformed_channel_is_refused(start: Start, channel: Any) -> None:
    """A channel name outside the specification is a ConfigError of every call, before anything leaves."""
    _, client = start()
    for call in (client.send_text_message, client.pause_channel, client.resume_channel):
        with pytest.raises(ConfigError, match="is not a legal name"):
            call(channel, "x") if call == client.send_text_message else call(channel)


def test_wrong_arguments_of_sends_are_named(start: Start) -> None:
    """Wrong types and values are ConfigErrors that name the argument."""
    _, client = start()
    with pytest.raises(ConfigError, match="text must be a string, not bytes"):
        client.send_text_message("USER", b"x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"not valid Unicode|cannot be written"):
        client.send_text_message("USER", "\ud800")
    with pytest.raises(ConfigError, match="author must be"):
        client.send_text_message("USER", "x", 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="timeout must be"):
        client.send_text_message("USER", "x", timeout=-1)
    with pytest.raises(ConfigError, match="thread_id must have at most 128"):
        client.send_text_message("USER", "x", thread_id="t" * 129)
    with pytest.raises(ConfigError, match="must be a mapping"):
        client.send("USER", "TOOL_CALL", "text")
    with pytest.raises(ConfigError, match="is sent by request_credits"):
        client.send("USER", "FLOW_UPDATE", {"channel": "USER"})
    with pytest.raises(ConfigError, match="binary must be bytes"):
        client.send("USER", "AUDIO_CHUNK", {}, binary="x")  # type: ignore[arg-type]


def test_a_type_that_the_peer_does_not_accept_is_never_sent(start: Start) -> None:
    """What accept_events leaves out raises UnsupportedByPeerError before anything leaves."""
    server, client = start(accept_events=["HAI", "PING", "PONG", "ERROR", "TOOL_CALL"])
    for call in (
        lambda: client.send("USER", "TOOL_DONE", {"call_id": "c", "status": "OK"}),
        lambda: client.send_text_message("USER", "x"),
        lambda: client.request_credits("USER", messages=1),
    ):
        with pytest.raises(UnsupportedByPeerError):
            call()
    client.send("USER", "TOOL_CALL", {"call_id": "c", "tool": "t"})
    assert types(settled(server, lambda s: s.received_count >= 2)) == ["HAI", "TOOL_CALL"]


def test_a_binary_frame_follows_its_envelope(start: Start) -> None:
    """Media costs its own bytes and arrives with its envelope."""
    server, client = start()
    client.send("AUDIO_IN", "AUDIO_CHUNK", {"message_id": "m", "mime": "audio/x"}, binary=b"\x00" * 500, binary_mime="audio/x")
    session = settled(server, lambda s: s.books("AUDIO_IN").from_client.spent == 1)
    assert session.books("AUDIO_IN").from_client.spent_bytes == 500
    assert session.received[-1].binary == b"\x00" * 500
    assert client.connection_state().channels["AUDIO_IN"].sent_bytes == 500


# ---- Pausing ----------------------------------------------------------------------------------------------------------------


def test_our_pause_holds_us_and_tells_the_peer(start: Start) -> None:
    """pause_channel stops the channel at once and is PAUSE_CHANNEL on the wire; resume_channel lets it go."""
    server, client = start()
    seen = listen(client, ChannelPaused)
    client.pause_channel("USER", reason="lunch")
    client.pause_channel("USER")  # twice is once
    with pytest.raises(FlowControlError, match="paused by us") as caught:
        client.send_text_message("USER", "x", timeout=0)
    assert caught.value.cause == "paused_by_us"
    client.send_text_message("AGENT", "others go on", timeout=0)
    session = settled(server, lambda s: s.books("USER").paused_by_client)
    assert client.connection_state().paused_channels == {"USER"}
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.send_text_message, "USER", "held")
        until(lambda: client.connection_state().channels["USER"].waiting_for == "paused_by_us")
        client.resume_channel("USER")
        held.result(PATIENCE_S)
    session.wait_for(lambda s: s.texts("USER") and not s.books("USER").paused_by_client)
    assert types(session).count("PAUSE_CHANNEL") == types(session).count("RESUME_CHANNEL") == 1
    until(lambda: len(seen) == 1)
    assert (seen[0].by, seen[0].peer_told, seen[0].reason) == ("us", True, "lunch")


def test_the_peers_pause_holds_us_until_it_resumes(start: Start) -> None:
    """PAUSE_CHANNEL of the peer's holds our sends; only its RESUME_CHANNEL lifts it."""
    server, client = start()
    session = server.wait_for_session()
    server.pause("USER", session=session)
    until(lambda: client.connection_state().channels["USER"].paused_by_peer)
    client.resume_channel("USER")
    with pytest.raises(FlowControlTimeout) as caught:
        client.send_text_message("USER", "x", timeout=0.05)
    assert caught.value.cause == "paused_by_peer"
    server.resume("USER", session=session)
    client.send_text_message("USER", "x", timeout=PATIENCE_S)


def test_a_peer_that_knows_no_pause_is_not_told(start: Start) -> None:
    """Where the peer accepts no PAUSE_CHANNEL our own sends are held all the same, and a warning says so."""
    server, client = start(accept_events=["HAI", "PING", "PONG", "ERROR", "MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"])
    seen = listen(client, ChannelPaused, WarningRaised)
    client.pause_channel("USER")
    with pytest.raises(FlowControlError, match="paused by us"):
        client.send_text_message("USER", "x", timeout=0)
    until(lambda: len(seen) == 2)
    assert seen[0].peer_told is False
    assert "accepts no PAUSE_CHANNEL" in seen[1].text
    client.resume_channel("USER")
    client.send_text_message("USER", "x", timeout=PATIENCE_S)
    assert "PAUSE_CHANNEL" not in types(settled(server, lambda s: s.texts()))


# ---- Receiving --------------------------------------------------------------------------------------------------------------


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


# ---- Listening --------------------------------------------------------------------------------------------------------------


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


# ---- What goes wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", ["hello", "{", '{"id": 1}', "[]", '{"id":"x","channel":"A B","type":"X","payload":{}}'])
def test_text_in_place_of_json_is_reported_and_nothing_stops(start: Start, garbage: str) -> None:
    """A frame that cannot be read is an event and an ERROR to the peer; credit and connection stay."""
    server, client = start()
    seen = listen(client, ErrorReported)
    before = client.connection_state().credits
    session = server.wait_for_session()
    server.send_raw(garbage, session=session)
    session.wait_for(lambda s: "ERROR" in types(s), timeout=PATIENCE_S)
    until(lambda: seen)
    assert (seen[0].code, seen[0].reported_by) == ("PROTOCOL_VIOLATION", "us")
    assert client.connection_state().credits == before
    client.send_text_message("USER", "still here", timeout=PATIENCE_S)
    settled(server, lambda s: s.texts("USER"))


def test_a_binary_frame_that_nobody_announced_is_reported(start: Start) -> None:
    """A stray binary frame is a violation of the peer's and changes nothing else."""
    server, client = start()
    seen = listen(client, ErrorReported)
    server.send_raw(b"\x00\x01", session=server.wait_for_session())
    until(lambda: seen)
    assert "no envelope announced" in seen[0].message
    assert client.connection_state().connected


def test_the_peers_error_is_an_event(start: Start) -> None:
    """ERROR from the peer reaches listeners with its code."""
    server, client = start()
    seen = listen(client, ErrorReported)
    server.send_frame("ERROR", {"code": "RUN_LIMIT_EXCEEDED", "message": "too many"}, session=server.wait_for_session())
    until(lambda: seen)
    assert (seen[0].code, seen[0].message, seen[0].reported_by) == ("RUN_LIMIT_EXCEEDED", "too many", "peer")


def test_a_loss_wakes_every_waiter_with_its_cause(start: Start) -> None:
    """When the last line breaks, whoever waits is told why and that nothing was sent."""
    server, client = start({"reconnect": ONE_LINE}, policy=Never(), initial_credits=0)
    seen = listen(client, Disconnected)
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(client.send_text_message, "USER", "x") for _ in range(5)]
        until(lambda: client.connection_state().channels["USER"].waiting == 5)
        server.drop(session=server.wait_for_session())
        for future in waiting:
            with pytest.raises(ConnectionClosedError, match="Nothing was sent"):
                future.result(PATIENCE_S)
    until(lambda: seen)
    assert not seen[0].in_good_order
    state = client.connection_state()
    assert not state.connected
    assert "was lost" in str(state.last_error)
    with pytest.raises(ConnectionClosedError, match="was lost"):
        client.send_text_message("USER", "y")


def test_a_close_by_the_peer_carries_its_code(start: Start) -> None:
    """The peer's close code is in the event and in what later calls raise."""
    server, client = start({"reconnect": ONE_LINE})
    seen = listen(client, Disconnected)
    server.drop(session=server.wait_for_session(), code=1011)
    until(lambda: seen)
    assert (seen[0].code, seen[0].in_good_order) == (1011, False)
    with pytest.raises(ConnectionClosedError, match="code 1011"):
        client.send_text_message("USER", "x")


def test_close_wakes_waiters_and_returns_in_time(start: Start) -> None:
    """close() ends blocked senders with nothing sent, from any thread, and may be called again."""
    _, client = start(policy=Never(), initial_credits=0)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.send_text_message, "USER", "x") for _ in range(3)]
        until(lambda: client.connection_state().channels["USER"].waiting == 3)
        client.close()
        client.close()
        for future in waiting:
            with pytest.raises(ConnectionClosedError, match=r"the client was closed.*Nothing was sent"):
                future.result(PATIENCE_S)
    assert client.connection_state().last_error is None


def test_close_delivers_what_was_admitted() -> None:
    """What a send has returned for arrives, also when close follows at once."""
    with DevServer(policy=Generous()) as server:
        for _ in range(20):
            with HAIPClient(server.url) as client:
                client.send_text_message("USER", "last words")
        session = server.wait_for_session(20)
        for number in range(1, 21):
            session = server.wait_for_session(number)
            session.wait_for(lambda s: s.close_code is not None, timeout=PATIENCE_S)
            assert session.close_code == 1000
            assert [text.text for text in session.texts("USER")] == ["last words"]


def test_an_exception_in_the_with_block_closes_at_once() -> None:
    """The user's exception comes out, and the client is closed behind it."""
    with DevServer() as server:
        with pytest.raises(KeyError), HAIPClient(server.url) as client:
            raise KeyError("mine")
        assert not client.connection_state().connected


def test_close_from_a_listener_does_not_hang(start: Start) -> None:
    """A listener may close the client that it listens to."""
    server, client = start(policy=Never())
    closed = threading.Event()

    def close(_event: object) -> None:
        client.close()
        closed.set()

    client.subscribe(close, CreditGranted)
    server.grant("USER", 1, session=server.wait_for_session())
    assert closed.wait(PATIENCE_S)
