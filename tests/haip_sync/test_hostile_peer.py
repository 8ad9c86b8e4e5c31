"""A peer that breaks rules, floods or keeps silent: bounded cost, a clear word, and everything else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from support.lines import ONE_LINE
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    DeadlockError,
    ErrorReported,
    FlowControlConfig,
    HAIPClient,
    HAIPTimeout,
    HandshakeError,
    HeartbeatPolicy,
    Limits,
    VersionError,
    WindowOverrun,
)
from haip_sync.testing import DevServer, Never


def test_no_major_in_common_is_told_at_once() -> None:
    """A peer of another MAJOR ends connect with VersionError, and is told VERSION_INCOMPATIBLE."""
    heard: list[Any] = []

    def script(speaker: Peer) -> None:
        speaker.greets(accept_major=[2])
        heard.append(speaker.hears("ERROR"))
        speaker.stays()

    with peer(script) as url, pytest.raises(VersionError, match=r"accepts HAIP MAJOR \[2\], we speak 1"):
        HAIPClient(url).connect(PATIENCE_S)
    assert heard[0]["code"] == "VERSION_INCOMPATIBLE"


def test_a_hai_that_cannot_be_read_is_told_at_once() -> None:
    """A malformed HAI is a HandshakeError that says what is wrong with it, not a timeout."""

    def script(speaker: Peer) -> None:
        speaker.greets(capabilities={"flow_control": None})
        speaker.stays()

    with peer(script) as url, pytest.raises(HandshakeError, match=r"HAI cannot be read: .*flow_control"):
        HAIPClient(url).connect(PATIENCE_S)


@pytest.mark.parametrize(
    ("say", "match"),
    [
        (
            lambda speaker: speaker.connection.send("hello"),
            r"sent no HAI within .*instead: PROTOCOL_VIOLATION: .*no HAIP envelope",
        ),
        (lambda speaker: speaker.says("ERROR", {"code": "BUSY", "message": "later"}), "instead: ERROR BUSY: later"),
        (lambda _: None, r"sent no HAI within 1\.5 s$"),
    ],
)
def test_what_came_in_place_of_a_hai_is_in_the_error(say: Callable[[Peer], object], match: str) -> None:
    """A handshake that times out says what the peer sent instead."""

    def script(speaker: Peer) -> None:
        say(speaker)
        speaker.stays()

    with peer(script) as url, pytest.raises(HAIPTimeout, match=match):
        HAIPClient(url).connect(1.5)


def test_channels_are_bounded() -> None:
    """A peer that names ever new channels costs a bounded number of them, and known ones go on."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        for number in range(400):
            speaker.says("FLOW_UPDATE", {"channel": f"c{number}", "add_messages": 1})
        speaker.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 5})
        speaker.stays()

    with (
        peer(script) as url,
        HAIPClient(url, flow_control=FlowControlConfig(max_credits=1_000), limits=Limits(max_channels=200)) as client,
    ):
        until(lambda: client.connection_state().credits["USER"] == 105)
        assert len(client.connection_state().channels) == 200
        assert client.send_text_message("USER", "x", timeout=PATIENCE_S).outcome == "sent"


def test_answers_that_nobody_reads_are_bounded() -> None:
    """A peer that asks for ever more PONGs and reads none is given up, for that reason."""
    go_on = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.hears("MESSAGE_END")
        while not go_on.is_set():
            speaker.says("PING", {"nonce": "n" * 10_000})

    # Closed whatever happens: the peer hangs in its write for as long as our full socket is open, and would hide what failed.
    with (
        peer(script) as url,
        closing(HAIPClient(url, reconnect=ONE_LINE, limits=Limits(max_unwritten_answers_bytes=200_000))) as client,
    ):
        client.connect(PATIENCE_S)
        client.send_text_message("USER", "begin", timeout=PATIENCE_S)
        until(lambda: not client.connection_state().connected)
        go_on.set()
        assert "does not read the answers that it asks for" in str(client.connection_state().last_error)


def test_what_overruns_the_window_is_reported_and_bounded() -> None:
    """Frames beyond our grants are counted, answered with FLOW_CONTROL_VIOLATION, and kept only while there is room."""
    heard: list[Any] = []
    sent = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets()
        for number in range(10):
            speaker.says("MESSAGE_START", {"message_id": str(number)}, channel="AGENT")
        sent.set()
        heard.extend(speaker.hears("ERROR") for _ in range(6))
        speaker.stays()

    with peer(script) as url, HAIPClient(url, flow_control=FlowControlConfig(initial_credits=4)) as client:
        errors: list[ErrorReported] = []
        client.subscribe(errors.append, ErrorReported)
        assert sent.wait(PATIENCE_S)
        until(lambda: len(heard) == 6)
        assert {error["code"] for error in heard} == {"FLOW_CONTROL_VIOLATION"}
        state = client.connection_state().channels["AGENT"]
        assert (state.received_messages, state.receive_window, state.receive_breaches) == (4, 0, 6)
        assert [client.receive(PATIENCE_S).payload["message_id"] for _ in range(4)] == ["0", "1", "2", "3"]
        with pytest.raises(HAIPTimeout):
            client.receive(0)


def test_a_peer_that_reads_no_flow_update_is_not_accused() -> None:
    """A peer that never hears of more credit may send on: nothing is answered with ERROR, and nothing is lost."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=["HAI", "PING", "PONG", "ERROR"])
        for number in range(50):
            speaker.says("MESSAGE_START", {"message_id": str(number)}, channel="AGENT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url, flow_control=FlowControlConfig(initial_credits=2)) as client:
        errors: list[ErrorReported] = []
        client.subscribe(errors.append, ErrorReported)
        until(lambda: client.connection_state().channels["AGENT"].received_messages == 50)
        assert [client.receive(PATIENCE_S).payload["message_id"] for _ in range(50)] == [str(n) for n in range(50)]
        assert (errors, client.connection_state().channels["AGENT"].receive_breaches) == ([], 0)


def test_a_peer_that_accepts_no_ping_costs_nothing() -> None:
    """Without PING in accept_events the service thread sleeps on instead of spinning."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=["MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"])
        speaker.stays()

    with peer(script) as url, HAIPClient(url, heartbeat=HeartbeatPolicy(interval=0.05)) as client:
        heartbeat = client._connection.heartbeat
        first = heartbeat.next_s()
        until(lambda: heartbeat.next_s() > first)
        assert client.connection_state().connected


def test_per_channel_windows_are_granted_once_and_kept_open() -> None:
    """What FLOW_UPDATE grants beyond the HAI is no debt: the window stays what the settings say, and nothing negative is sent."""
    updates: list[Any] = []

    def script(speaker: Peer) -> None:
        speaker.greets()
        updates.append(speaker.hears("FLOW_UPDATE"))
        for number in range(3):
            speaker.says("MESSAGE_START", {"message_id": str(number)}, channel="USER")
            updates.append(speaker.hears("FLOW_UPDATE"))
        speaker.stays()

    with peer(script) as url, HAIPClient(url, flow_control=FlowControlConfig(initial_credits={"USER": 50})) as client:
        for _ in range(3):
            client.receive(PATIENCE_S)
        until(lambda: len(updates) == 4)
        assert updates[0] == {"channel": "USER", "add_messages": 40}
        assert [update["add_messages"] for update in updates[1:]] == [1, 1, 1]
        assert client.connection_state().channels["USER"].receive_window == 50


def test_a_call_from_a_signal_handler_in_mid_work_is_refused() -> None:
    """A send that interrupts another send of the same thread in its critical part raises, and the books stay right."""
    with DevServer(policy=Never(), initial_credits=100, agent=False) as server, HAIPClient(server.url) as client:
        with client._connection.rooms.parking.lock, pytest.raises(DeadlockError, match="signal handler"):
            client.send_text_message("USER", "nested")
        with client._connection.rooms.parking.lock:
            assert client.connection_state().connected
        client.send_text_message("USER", "outside", timeout=PATIENCE_S)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.texts("USER"), timeout=PATIENCE_S)
        assert [text.text for text in session.texts("USER")] == ["outside"]


@pytest.mark.parametrize("is_told_of_credit", [True, False])
@pytest.mark.parametrize("media", [{}, {"bin_len": 0}])
def test_what_nobody_takes_is_bounded_on_all_channels_together(media: dict[str, int], *, is_told_of_credit: bool) -> None:
    """Frames on ever new channels, or such as cost nothing, fill no more memory than allowed; what is taken makes room."""
    taken = threading.Event()

    def say(speaker: Peer, number: int) -> None:
        payload = {"message_id": "m", "mime": "audio/pcm", "more": "x" * 1_000}
        speaker.says("AUDIO_CHUNK" if media else "NEWS", payload, channel=f"c{number}", **media)
        if media:
            speaker.connection.send(b"")

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=[name for name in TYPES if is_told_of_credit or name != "FLOW_UPDATE"])
        for number in range(20):
            say(speaker, number)
        taken.wait(PATIENCE_S)
        say(speaker, 20)
        speaker.stays()

    with peer(script) as url:
        client = HAIPClient(url, limits=Limits(max_untaken_bytes=10_000))
        overruns: list[WindowOverrun] = []
        client.subscribe(overruns.append, WindowOverrun)
        with client:
            until(lambda: any(overrun.channel == "c19" for overrun in overruns))
            kept = [client.receive(PATIENCE_S) for _ in range(20 - len(overruns))]
            assert 8_000 < sum(message.wire_bytes for message in kept) <= 10_000
            assert not any(overrun.kept for overrun in overruns)
            taken.set()
            assert client.receive(PATIENCE_S).channel == "c20"
