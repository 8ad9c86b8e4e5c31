"""A line that loses, repeats and reorders frames, between a client and the development server."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from support.lines import AT_ONCE, ONE_LINE
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import Disconnected, ErrorReported, Event, FlowControlConfig, FramesLost, HAIPClient, HAIPError
from haip_sync.testing import DevServer, FaultProxy, Faults, FrameFault
from haip_sync.testing.fault_rules import DIRECTIONS, Direction, FrameAction

DATA = ('"type":"MESSAGE_START"', '"type":"MESSAGE_PART"', '"type":"MESSAGE_END"')


def is_data(text: str) -> bool:
    """Return whether a frame is a part of a text: what is lost of credit does not come again."""
    return any(name in text for name in DATA)


def each_once() -> Callable[[str], bool]:
    """Return what picks parts of texts, each of them once.

    A gap is asked for once and then given up: what is said again must come, however long the whole takes on a busy machine.
    """
    seen: set[str] = set()

    def is_new(text: str) -> bool:
        frame_id = json.loads(text)["id"]
        is_new = is_data(text) and frame_id not in seen
        seen.add(frame_id)
        return is_new

    return is_new


def wait_for_texts(client: HAIPClient, count: int) -> list[str]:
    """Return so many whole texts of the server's, as they come."""
    parts: list[str] = []
    found: list[str] = []
    while len(found) < count:
        message = client.receive(PATIENCE_S)
        if message.type == "MESSAGE_START":
            parts = []
        elif message.type == "MESSAGE_PART":
            parts.append(message.payload["text"])
        else:
            found.append("".join(parts))
    return found


@pytest.mark.parametrize("action", ["drop", "duplicate", "swap"])
def test_everything_comes_once_and_in_order(action: str) -> None:
    """Whatever happens to the frames of texts on their way: both sides have each text once, in order, and the books agree."""
    fault = FrameFault(action=action, when=each_once(), probability=0.25)  # type: ignore[arg-type]
    texts = [f"text {number}" for number in range(12)]
    with (
        DevServer(agent=False, initial_credits=60) as server,
        FaultProxy(server.url, seed=5) as proxy,
        HAIPClient(proxy.url) as client,
    ):
        lost: list[FramesLost] = []
        client.subscribe(lost.append, FramesLost)
        session = server.wait_for_session(timeout=PATIENCE_S)
        proxy.set(to_server=Faults(frames=(fault,)), to_client=Faults(frames=(fault,)))
        for text in texts:
            client.send_text_message("USER", text, timeout=PATIENCE_S)
            server.send_text("AGENT", text)
        proxy.set(to_server=Faults(), to_client=Faults())
        # What follows shows each side what it lacks at the end.
        client.send_text_message("USER", "the last", timeout=PATIENCE_S)
        server.send_text("AGENT", "the last")
        assert wait_for_texts(client, 13) == [*texts, "the last"]
        session.wait_for(lambda s: s.text_count == 13, timeout=PATIENCE_S, what="all texts")
        assert [text.text for text in session.texts("USER")] == [*texts, "the last"]
        assert (session.lost, session.breaches, lost) == ((), (), [])
        until(lambda: client.connection_state().channels["USER"].credits == session.books("USER").from_client.balance)
        until(lambda: client.connection_state().channels["AGENT"].receive_window == session.books("AGENT").to_client.balance)
        assert session.books("USER").from_client.spent == 39


def test_nothing_is_lost_or_doubled_where_a_client_goes_on() -> None:
    """Over a line that is cut again and again, with texts on their way in both directions, each comes once and in order."""
    texts = [f"text {number}" for number in range(30)]
    with (
        DevServer(agent=False, initial_credits=20) as server,
        FaultProxy(server.url, seed=5) as proxy,
        HAIPClient(proxy.url, reconnect=AT_ONCE) as client,
    ):
        lost: list[FramesLost] = []
        client.subscribe(lost.append, FramesLost)
        server.wait_for_session(timeout=PATIENCE_S)
        found: list[str] = []
        reading = threading.Thread(target=lambda: found.extend(wait_for_texts(client, len(texts))))
        reading.start()
        for number, text in enumerate(texts):
            client.enqueue_text_message("USER", text)
            until(lambda text=text: server.send_text("AGENT", text) == 1)  # type: ignore[misc]
            if number % 7 == 3:
                proxy.cut()
        reading.join(PATIENCE_S)
        assert found == texts
        until(lambda: len(server.client().texts("USER")) == len(texts))
        history = server.client()
        assert [text.text for text in history.texts("USER")] == texts
        assert (history.lost, lost) == ((), [])
        assert all(session.resumed for session in history.connections[1:])
        assert len(history.connections) > 1
        books = history.connections[-1].books
        until(lambda: client.connection_state().channels["USER"].credits == books("USER").from_client.balance)
        until(lambda: client.connection_state().channels["AGENT"].receive_window == books("AGENT").to_client.balance)


def test_the_end_lets_out_what_waits_for_what_will_not_come() -> None:
    """A line that ends for good with a gap open: what came above it is received all the same, and the loss is told."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=[*TYPES, "REPLAY_REQUEST"])
        speaker.hears("HAI")
        speaker.says("MESSAGE_START", {"message_id": "b"}, "AGENT", seq="4")

    with peer(script) as url, closing(HAIPClient(url, reconnect=ONE_LINE)) as client:
        lost: list[FramesLost] = []
        client.subscribe(lost.append, FramesLost)
        client.connect(PATIENCE_S)
        assert client.receive(PATIENCE_S).payload == {"message_id": "b"}
        until(lambda: [(event.first_seq, event.last_seq) for event in lost] == [(2, 3)])


def test_what_nothing_brings_is_told_and_the_rest_goes_on() -> None:
    """A peer that leaves a number out, and takes no REPLAY_REQUEST: half a second later the loss is told, and the rest comes."""
    heard = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.hears("HAI")
        speaker.says("MESSAGE_START", {"message_id": "b"}, "AGENT", seq="4")
        heard.wait(PATIENCE_S)

    with peer(script) as url, HAIPClient(url) as client:
        lost: list[FramesLost] = []
        client.subscribe(lost.append, FramesLost)
        assert client.receive(PATIENCE_S).payload == {"message_id": "b"}
        heard.set()
        until(lambda: bool(lost))
        assert (lost[0].first_seq, lost[0].last_seq) == (2, 3)
        assert lost[0].text.startswith("2 frames of the peer's lost, seq 2 to 3")


def test_a_long_replay_does_not_wait_for_anything_else_to_happen() -> None:
    """What a peer asks for again goes out piece after piece, though no PING is open and nobody sends."""
    heard: list[str] = []

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=[*TYPES, "REPLAY_REQUEST"])
        speaker.hears("HAI")
        first_seq = int(speaker.hears_frame("MESSAGE_PART")["seq"])
        for _ in range(49):
            speaker.hears("MESSAGE_PART")
        speaker.says("REPLAY_REQUEST", {"from_seq": str(first_seq)})
        heard.extend(speaker.hears_frame("MESSAGE_PART")["seq"] for _ in range(50))
        assert heard == [str(seq) for seq in range(first_seq, first_seq + 50)]

    # Without a look at channels that stand still, nothing of the client's own comes before the heartbeat, after half a minute.
    with peer(script) as url, HAIPClient(url, reconnect=ONE_LINE, stall_warning=None) as client:
        for _ in range(50):
            client.send("USER", "MESSAGE_PART", {"message_id": "m", "text": "x" * 10_000}, timeout=PATIENCE_S)
        until(lambda: len(heard) == 50)


# Nobody receives: the answers have to come all the same.
_PLENTY = FlowControlConfig(initial_credits=1_000, max_credits=2_000)
SPOILS: dict[Direction, tuple[FrameAction, ...]] = {
    # What breaks RFC 6455 has the server close with a code that nobody comes back after.
    "to_server": ("garble", "shorten"),
    "to_client": ("garble", "shorten", "garble_encoding", "garble_header", "truncate"),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_cannot_be_read_is_told_and_spoils_no_books(direction: Direction) -> None:
    """One frame in ten is spoiled: it is reported, or the line left for another; nothing comes twice, the books are sound."""
    faults = Faults(
        frames=tuple(
            FrameFault(action=action, when=lambda text: '"HAI"' not in text, probability=0.04) for action in SPOILS[direction]
        )
    )
    with (
        DevServer(initial_credits=1_000, agent=True, resume_wait=PATIENCE_S) as server,
        FaultProxy(server.url, seed=7) as proxy,
        HAIPClient(proxy.url, reconnect=AT_ONCE, flow_control=_PLENTY) as client,
    ):
        told: list[Event] = []
        client.subscribe(told.append, ErrorReported, FramesLost, Disconnected)
        proxy.set(to_server=faults) if direction == "to_server" else proxy.set(to_client=faults)
        for number in range(80):
            with suppress(HAIPError):
                client.send_text_message("USER", f"text {number}", timeout=PATIENCE_S)
        until(lambda: bool(told))
        proxy.clear()
        until(lambda: client.connection_state().phase == "open")
        client.send_text_message("USER", "the last", timeout=PATIENCE_S)
        until(lambda: any(text.text == "the last" for text in server.client().texts("USER")))
        state, texts = client.connection_state(), server.client().texts("USER")
        assert state.last_error is None
        assert all(channel.is_conserved for channel in state.channels.values())
        assert max(Counter(text.message_id for text in texts).values()) == 1
        assert all(not session.breaches for session in server.sessions)
