"""Frames as bytes: exact sizes out, checked members in."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync import ConfigError, ProtocolError
from haip_sync.protocol.envelope import decode_envelope, encode_json, media_bytes
from haip_sync.protocol.frames import FrameMaker
from haip_sync.protocol.identifiers import is_uuid, new_id

SESSION = "11111111-2222-4333-8444-555555555555"
TS_MS = 1_700_000_000_000


@given(seq=st.integers(1, 2**64 - 1), ack=st.integers(0, 2**64 - 1), text=st.text())
def test_a_frames_size_is_the_length_of_what_is_sent(seq: int, ack: int, text: str) -> None:
    """Size, to the byte, seq and ack included, is known before the frame is rendered, and the frame decodes to what went in."""
    try:
        payload = encode_json({"text": text})
    except ConfigError:
        return  # a lone surrogate: refused by name
    frame = FrameMaker(SESSION, new_id).make("USER", "MESSAGE_PART", payload, thread_id="t")
    data = frame.render(seq, ack, TS_MS)
    assert len(data) == frame.size(seq, ack) == frame.cost(seq, ack)
    envelope = decode_envelope(data)
    assert envelope.payload == {"text": text}
    assert (envelope.seq, envelope.ack) == (str(seq), str(ack) if ack else None)
    assert (envelope.session, envelope.ts, envelope.pv, envelope.thread_id) == (SESSION, str(TS_MS), 1, "t")
    assert is_uuid(envelope.id)


def test_members_that_are_left_out_are_not_null() -> None:
    """What was not given is absent from the wire."""
    frame = FrameMaker(SESSION, new_id).make("USER", "TOOL_CALL", b"{}")
    members = json.loads(frame.render(1, 0, TS_MS))
    assert set(members) == {"id", "session", "seq", "ts", "channel", "type", "payload", "pv"}


def test_a_media_frame_costs_its_media() -> None:
    """A frame with a binary part costs bin_len; base64 data costs its decoded length; other payloads cost their frame."""
    frame = FrameMaker(SESSION, new_id).make("AUDIO_IN", "AUDIO_CHUNK", b"{}", binary=b"12345", binary_mime="audio/x", media=5)
    assert frame.cost(1, 0) == 5
    assert json.loads(frame.render(1, 0, TS_MS))["bin_len"] == 5
    data = base64.b64encode(b"x" * 100).decode()
    assert media_bytes("AUDIO_CHUNK", {"data": data}, None) == 100
    assert media_bytes("AUDIO_CHUNK", {"data": "not base64!"}, None) is None
    assert media_bytes("AUDIO_CHUNK", {}, None) is None
    assert media_bytes("MESSAGE_PART", {"data": data}, None) is None
    assert media_bytes("TOOL_DONE", {}, 7) == 7


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"",
        b"[]",
        b"7",
        b'{"id":"a"}',
        b'{"id":"a","channel":"USER","type":"X","payload":null}',
        b'{"id":"a","channel":"US ER","type":"X","payload":{}}',
        b'{"id":"a","channel":"","type":"X","payload":{}}',
        b'{"id":1,"channel":"USER","type":"X","payload":{}}',
        b'{"id":"a","channel":"USER","type":"X","payload":{},"seq":5}',
        b'{"id":"a","channel":"USER","type":"X","payload":{},"bin_len":-1}',
        b'{"id":"a","channel":"USER","type":"X","payload":"\xff"}',
        b'{"id":"a","channel":"USER","type":"X","payload":' + b"[" * 100_000,
    ],
)
def test_what_is_no_envelope_is_a_protocol_error_of_the_peers(data: bytes) -> None:
    """Whatever cannot be read raises ProtocolError with remote blame, and nothing else."""
    with pytest.raises(ProtocolError) as caught:
        decode_envelope(data)
    assert (caught.value.blame, caught.value.code) == ("remote", "PROTOCOL_VIOLATION")


@given(st.binary())
def test_any_bytes_are_an_envelope_or_a_protocol_error(data: bytes) -> None:
    """The decoder raises nothing but ProtocolError."""
    try:
        decode_envelope(data)
    except ProtocolError as exc:
        assert exc.blame == "remote"  # noqa: PT017 - either outcome is right, and this is one of them


@pytest.mark.parametrize("spoiled", [b'"s\xffq"', b'"seq":"3","new":"\xff"', b'"seq":"3","new":{"\xff":1}'])
def test_bytes_that_are_no_utf8_hide_nowhere(spoiled: bytes) -> None:
    """A name that is spoiled on its way does not hide its member, and no member that is ignored hides bad UTF-8."""
    members = spoiled if b":" in spoiled else spoiled + b':"3"'
    with pytest.raises(ProtocolError, match="utf-8"):
        decode_envelope(b'{"id":"a","channel":"USER","type":"PING","payload":{},' + members + b"}")


def test_unknown_members_are_ignored() -> None:
    """A member that HAIP 1.1.2 does not know does no harm."""
    assert decode_envelope(b'{"id":"a","channel":"USER","type":"X","payload":"text","new":{"x":1}}').payload == "text"


def test_what_json_cannot_carry_is_a_config_error() -> None:
    """A payload that is no JSON is refused before anything is sent."""
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        encode_json({"x": object()})


def test_ids_are_version_four() -> None:
    """Ids have the form, the version and the variant of UUIDv4, and do not repeat."""
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(is_uuid(text) and text[14] == "4" and text[19] in "89ab" for text in ids)
