"""Audio over real sockets, both ways and in both forms."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from haip_sync.errors import ConfigError
from haip_sync.testing import DevServer, Session

PATIENCE_S = 20.0
Dial = Callable[[str], Any]
ACCEPT = ["HAI", "PING", "PONG", "ERROR", "FLOW_UPDATE", "AUDIO_CHUNK"]


def serve(**options: Any) -> DevServer:
    """Return a server that says and grants nothing by itself."""
    return DevServer(policy="never", agent=False, **options)


def meet(running: DevServer, dial: Dial, *, binary_frames: bool = True, messages: int = 50) -> tuple[Any, Session]:
    """Connect a client that accepts audio; return it with its session."""
    client = dial(running.url)
    flow = {"initial_credit_messages": messages, "initial_credit_bytes": 50_000}
    client.greet(accept_events=ACCEPT, capabilities={"binary_frames": binary_frames, "flow_control": flow})
    return client, running.wait_for_session(timeout=PATIENCE_S)


def chunk(client: Any, message_id: str, sound: bytes, channel: str = "AUDIO_IN") -> None:
    """Send one chunk as a binary frame."""
    client.send("AUDIO_CHUNK", {"message_id": message_id, "mime": "audio/pcm"}, channel, bin_len=len(sound))
    client.socket.send(sound)


def encoded(sound: bytes) -> str:
    """Return sound as base64."""
    return base64.b64encode(sound).decode()


def test_sound_arrives_in_both_forms(dial: Dial) -> None:
    """In order, by channel and by message; it costs what it weighs decoded."""
    with serve() as running:
        client, session = meet(running, dial)
        chunk(client, "a", b"one")
        client.send("AUDIO_CHUNK", {"message_id": "b", "mime": "audio/pcm", "data": encoded(b"\x00\xfftwo")}, "AUDIO_IN")
        chunk(client, "a", b"three")
        chunk(client, "a", b"elsewhere", "SIDE")
        session.wait_for(lambda s: s.received_count == 5, timeout=PATIENCE_S)
        assert session.audio("AUDIO_IN") == b"one\x00\xfftwothree"
        assert session.audio("AUDIO_IN", "a") == b"onethree"
        assert session.audio("SIDE") == b"elsewhere"
        assert session.audio("SILENT") == b""
        tally = session.books("AUDIO_IN").from_client
        assert (tally.spent, tally.spent_bytes) == (3, 3 + 5 + 5)
        with pytest.raises(ConfigError):
            session.audio("no spaces")


@pytest.mark.parametrize("payload", [{}, {"data": "not base64"}, {"data": "QQ"}, {"data": "QUJD$"}, {"data": 7}])
def test_a_chunk_without_sound_is_a_violation(dial: Dial, payload: dict[str, Any]) -> None:
    """It was sent and is paid for as any data frame, in full."""
    with serve() as running:
        client, session = meet(running, dial)
        frame_id, size = client.send("AUDIO_CHUNK", {"message_id": "a", "mime": "x"} | payload, "AUDIO_IN")
        error = client.expect("ERROR")["payload"]
        assert (error["code"], error["related_id"]) == ("PROTOCOL_VIOLATION", frame_id)
        tally = session.books("AUDIO_IN").from_client
        assert (tally.spent, tally.spent_bytes, session.audio("AUDIO_IN")) == (1, size, b"")


def test_binary_frames_may_be_left_unannounced(dial: Dial) -> None:
    """One that comes all the same is paid for and not taken; base64 is."""
    with serve(binary_frames=False) as running:
        client, session = meet(running, dial)
        assert client.seen[0]["payload"]["capabilities"]["binary_frames"] is False
        chunk(client, "a", b"123")
        assert client.expect("ERROR")["payload"]["code"] == "PROTOCOL_VIOLATION"
        client.send("AUDIO_CHUNK", {"message_id": "a", "mime": "x", "data": encoded(b"45")}, "AUDIO_IN")
        session.wait_for(lambda s: s.received_count == 2, timeout=PATIENCE_S)
        assert session.audio("AUDIO_IN") == b"45"
        assert session.books("AUDIO_IN").from_client.spent_bytes == 5


def test_the_server_plays_as_the_client_hears(dial: Dial) -> None:
    """A binary frame with its type, or base64; both cost the sound's own length."""
    with serve() as running:
        client, session = meet(running, dial)
        running.send_audio("AUDIO_OUT", b"123", "audio/opus", message_id="a", session=session)
        frame = client.expect("AUDIO_CHUNK")
        assert (frame["bin_len"], frame["bin_mime"]) == (3, "audio/opus")
        assert frame["payload"] == {"message_id": "a", "mime": "audio/opus"}
        assert client.socket.recv(PATIENCE_S) == b"123"
        assert session.books("AUDIO_OUT").to_client.spent_bytes == 3
    with serve() as running:
        client, session = meet(running, dial, binary_frames=False)
        running.send_audio("AUDIO_OUT", b"1234")
        payload = client.expect("AUDIO_CHUNK")["payload"]
        assert (payload["data"], payload["mime"]) == (encoded(b"1234"), "audio/pcm")
        assert session.books("AUDIO_OUT").to_client.spent_bytes == 4


def test_sound_of_the_servers_waits_for_credit(dial: Dial) -> None:
    """Chunks leave in order as grants come."""
    with serve() as running:
        client, session = meet(running, dial, messages=0)
        for sound in (b"1", b"2"):
            running.send_audio("AUDIO_OUT", sound)
        assert session.pending_texts("AUDIO_OUT") == 2
        client.send("FLOW_UPDATE", {"channel": "AUDIO_OUT", "add_messages": 2})
        heard = []
        for _ in range(2):
            client.expect("AUDIO_CHUNK")
            heard.append(client.socket.recv(PATIENCE_S))
        assert heard == [b"1", b"2"]
