"""Sound, out and in: a binary frame or base64, at the same price."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConfigError, ErrorReported, HAIPClient, MessageTooLargeError, ProtocolError, UnsupportedByPeerError
from haip_sync.config import FlowControlConfig
from haip_sync.events import Message

AUDIO_TYPES = [*TYPES, "AUDIO_CHUNK"]
SOUND = bytes(range(256))


def capabilities(*, binary: bool) -> dict[str, Any]:
    """Return what a peer's HAI says of itself."""
    credit = {"initial_credit_messages": 10, "initial_credit_bytes": 1_000}
    return {"binary_frames": binary, "flow_control": credit}


@pytest.mark.parametrize("binary", [True, False])
def test_a_chunk_travels_as_the_peer_takes_it(binary: bool) -> None:
    """Binary where the peer has binary_frames, base64 where not; either way it costs one message and its own bytes."""
    heard: list[Any] = []

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=AUDIO_TYPES, capabilities=capabilities(binary=binary))
        frame = json.loads(speaker.connection.recv(PATIENCE_S))
        while frame["type"] != "AUDIO_CHUNK":
            frame = json.loads(speaker.connection.recv(PATIENCE_S))
        heard.append(frame)
        if binary:
            heard.append(speaker.connection.recv(PATIENCE_S))
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        receipt = client.send_audio_chunk("AUDIO_IN", "m1", "audio/pcm", SOUND, duration_ms=12.5, run_id="r")
        assert receipt.message_id == "m1"
        until(lambda: len(heard) == (2 if binary else 1))
        state = client.connection_state().channels["AUDIO_IN"]
        assert (state.sent_messages, state.sent_bytes) == (1, len(SOUND))
    named = {"message_id": "m1", "mime": "audio/pcm", "duration_ms": 12.5}
    if binary:
        assert (heard[0]["payload"], heard[0]["bin_len"], heard[0]["bin_mime"]) == (named, len(SOUND), "audio/pcm")
        assert heard[1] == SOUND
    else:
        assert heard[0]["payload"] == named | {"data": base64.b64encode(SOUND).decode()}
        assert "bin_len" not in heard[0]
    assert heard[0]["run_id"] == "r"


def test_what_comes_in_is_bytes_either_way() -> None:
    """Message.audio has the sound of a binary frame and of base64; other frames have none."""

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=AUDIO_TYPES)
        named = {"message_id": "m", "mime": "audio/pcm"}
        speaker.says("AUDIO_CHUNK", named, "AUDIO_OUT", bin_len=len(SOUND), bin_mime="audio/pcm")
        speaker.connection.send(SOUND)
        speaker.says("AUDIO_CHUNK", named | {"data": base64.b64encode(SOUND).decode()}, "AUDIO_OUT")
        speaker.says("MESSAGE_START", {"message_id": "t", "data": "AAAA"}, "AUDIO_OUT")
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client:
        messages = [client.receive(PATIENCE_S) for _ in range(3)]
    assert [message.audio for message in messages] == [SOUND, SOUND, None]
    assert [message.frame_bytes for message in messages[:2]] == [len(SOUND), len(SOUND)]


def test_base64_that_is_none_is_a_bad_payload() -> None:
    """It is answered with an ERROR, reported, and not delivered; what comes after it is."""
    heard: list[Any] = []

    def script(speaker: Peer) -> None:
        speaker.greets(accept_events=AUDIO_TYPES)
        speaker.hears("MESSAGE_END")
        speaker.says("AUDIO_CHUNK", {"message_id": "m", "mime": "x", "data": "not base64!"}, "AUDIO_OUT")
        speaker.says("AUDIO_CHUNK", {"message_id": "m", "mime": "x", "data": "AAAA"}, "AUDIO_OUT")
        heard.append(speaker.hears("ERROR"))
        speaker.stays()

    errors: list[ErrorReported] = []
    with peer(script) as url, HAIPClient(url) as client:
        client.on("error", errors.append)
        client.send_text_message("USER", "go")
        assert client.receive(PATIENCE_S).audio == b"\0\0\0"
        until(lambda: bool(errors and heard))
    assert "AUDIO_CHUNK has a bad payload" in heard[0]["message"]
    assert errors[0].reported_by == "us"
    made = Message(time_s=0, channel="A", type="AUDIO_CHUNK", payload={"data": "not base64!"}, id="1", session="s", seq="1")
    with pytest.raises(ProtocolError, match="no base64"):
        _ = made.audio


def test_wrong_arguments_are_told_before_anything_leaves() -> None:
    """Sound is bytes, names are texts, a duration is a number that makes sense."""
    script_types = {"accept_events": AUDIO_TYPES}

    def script(speaker: Peer) -> None:
        speaker.greets(**script_types)
        speaker.stays()

    with peer(script) as url, HAIPClient(url, flow_control=FlowControlConfig(max_credit_bytes=100)) as client:
        good: dict[str, Any] = {"channel": "AUDIO_IN", "message_id": "m", "mime": "audio/pcm", "data": b"x"}
        for wrong in (
            {"data": "text"},
            {"data": bytearray(b"x")},
            {"message_id": ""},
            {"mime": None},
            {"duration_ms": -1},
            {"duration_ms": float("nan")},
            {"duration_ms": "10"},
            {"duration_ms": True},
        ):
            with pytest.raises(ConfigError):
                client.send_audio_chunk(**(good | wrong))
        with pytest.raises(MessageTooLargeError, match="a frame of 101 bytes can never be sent"):
            client.send_audio_chunk(**(good | {"data": bytes(101)}))
        assert client.connection_state().channels["AUDIO_IN"].sent_messages == 0


def test_a_peer_that_takes_no_sound_is_sent_none() -> None:
    """AUDIO_CHUNK is only sent where the peer accepts it."""

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.stays()

    with peer(script) as url, HAIPClient(url) as client, pytest.raises(UnsupportedByPeerError, match="AUDIO_CHUNK"):
        client.send_audio_chunk("AUDIO_IN", "m", "audio/pcm", b"x")
