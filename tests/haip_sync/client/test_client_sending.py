"""What a client sends, with the credit and the pauses that hold it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.live import Start, listen, settled, types
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ChannelPaused,
    ConfigError,
    CreditGranted,
    CreditRequested,
    FlowControlConfig,
    FlowControlError,
    FlowControlTimeout,
    HAIPError,
    PartialSendError,
    SendAdmitted,
    UnsupportedByPeerError,
    WarningRaised,
)
from haip_sync.testing import Generous, Never, OnRequest

# ---- Credit -------------------------------------------------------------------------------------------------------------------


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


def test_who_only_waits_is_told_of_no_sending(start: Start) -> None:
    """wait_for_credits has nothing to send, and however it ends nothing is said of what was sent."""
    _, client = start(policy=Never(), initial_credits=2)
    told: list[HAIPError] = []

    def note(timeout: float | None) -> None:
        try:
            client.wait_for_credits("USER", messages=3, timeout=timeout)
        except HAIPError as exc:
            told.append(exc)

    note(0)
    note(0.01)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(note, PATIENCE_S)
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        client.close()
        waiting.result(PATIENCE_S)
    note(0)
    texts = [str(each) for each in told]
    assert len(texts) == 4
    assert not [text for text in texts if "sent" in text]
    assert texts[0].startswith("FLOW_CONTROL: wait_for_credits would have to wait: USER needs 3 messages of credit")
    assert texts[0].endswith(". Give it a timeout to wait in line")
    assert texts[1].startswith("FLOW_CONTROL: wait_for_credits waited 0.0 s, alone in line: USER needs 3 messages of credit")
    assert texts[2] == texts[3] == "wait_for_credits on USER: the client was closed"


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


# ---- Pausing ------------------------------------------------------------------------------------------------------------------


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


def test_who_has_asked_for_credit_is_not_told_to_ask(start: Start) -> None:
    """Until the peer grants again, what helps is no longer to ask it: a request stands already, and since when is told."""
    server, client = start(policy=Never(), initial_credits=3)
    client.send_text_message("USER", "hello", timeout=PATIENCE_S)
    with pytest.raises(FlowControlError, match=r"request_credits asks it"):
        client.send_text_message("USER", "more", timeout=0)
    client.request_credits("USER", messages=5)
    with pytest.raises(
        FlowControlError, match=r"The peer was asked for more \d+\.\d s ago, and has granted nothing since"
    ) as told:
        client.send_text_message("USER", "more", timeout=0)
    assert "request_credits" not in str(told.value)
    server.grant("USER", messages=1)
    until(lambda: client.connection_state().channels["USER"].credits == 1)
    with pytest.raises(FlowControlError, match=r"request_credits asks the peer for more"):
        client.send_text_message("USER", "more", timeout=0)
