"""Payloads that stay as they came: what can be read later can be read, and nobody pays for what nobody looks at."""

from __future__ import annotations

import json
import pickle
import threading
import tracemalloc
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.benches import frame_costs

from haip_sync import Message, ProtocolError
from haip_sync.protocol.envelope import Envelope, decode_envelope, media_bytes
from haip_sync.protocol.payloads import check_incoming, unknown_member
from haip_sync.protocol.unread import is_sparse, one_long_string, text_member

_FILLER = ",".join(["[]"] * 60)
"""Enough to leave a payload unread."""


def dense(payload: str, frame_type: str = "NEWS") -> bytes:
    """Return a frame with this payload and so many small values beside it that it stays unread."""
    return f'{{"id":"a","channel":"USER","type":"{frame_type}","beside":[{_FILLER}],"payload":{payload}}}'.encode()


def message(payload: Any, **members: Any) -> Message:
    """Return a message with this payload."""
    return Message(time_s=0.0, channel="USER", type="NEWS", payload=payload, id="i", session="s", seq="1", **members)


_PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a"', b'"b":', b"\\u", b"d800", b"dc00", b"0041", b"\\", b"\\n"),
    *(b"1", b"-", b".", b"e", b"E", b"+", b"0", b"999", b"9" * 250, b"1e308", b"1e309", b"-1E+400", b"1e-400", b"25e99"),
    *(b"true", b"null", b" ", b"\n", b"\x00", b"\xc3\xa4", b"\xed\xa0\x80", b"\xff", b"\xf0\x9f\x98\x80"),
]
_SEED = b'{"a":"\\ud83d\\ude00 x","b":[1,2.5e3,-0.0,true,null,"\xc3\xa4"],"c":{"a":{}}}'


@settings(max_examples=2_000, deadline=None)
@given(st.randoms(use_true_random=True))
def test_what_is_taken_in_unread_can_be_read(rng: Random) -> None:
    """A payload that stays unread is refused on arrival exactly where decoding it would have failed: UTF-8, escapes, numbers."""
    payload = bytearray(_SEED if rng.random() < 0.7 else b"")
    for _ in range(rng.randint(0, 4)):
        at = rng.randint(0, len(payload))
        payload[at : at + rng.randint(0, 2)] = rng.choice(_PIECES)
    first, last = dense("0").split(b'"payload":0')
    try:
        expected = msgspec.json.decode(first + b'"payload":' + bytes(payload) + last)["payload"]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        with pytest.raises(ProtocolError):
            decode_envelope(first + b'"payload":' + bytes(payload) + last)
        return
    if expected is not None:
        unread = decode_envelope(first + b'"payload":' + bytes(payload) + last).payload
        assert isinstance(unread, msgspec.Raw)
        assert message(unread).payload == expected


@pytest.mark.parametrize(
    "payload",
    [
        "null",
        "1e999",
        "9" * 400 + ".5",
        "9" * 5_000,
        "[[1e309]]",
        '"\\ud800"',
        "[" * 70 + "]" * 70,
        "[1,]",
        '{"a":1',
        '{"a":nul}',
    ],
)
def test_what_cannot_be_read_is_refused_on_arrival(payload: str) -> None:
    """Null, huge numbers, half of a surrogate, deep nesting and no JSON at all are no envelope, unread as well."""
    with pytest.raises(ProtocolError):
        decode_envelope(dense(payload))


@pytest.mark.parametrize("payload", ["1e308", "9" * 400, '"1e999"', '{"a":1,"a":2}', '"text"', "[1e-999]"])
def test_what_can_be_read_is_not(payload: str) -> None:
    """Large numbers, digits in texts and members that come twice are taken in and read as ever."""
    assert message(decode_envelope(dense(payload)).payload).payload == msgspec.json.decode(payload)


def test_bad_utf8_is_refused_on_arrival() -> None:
    """Bytes that are no UTF-8 make no envelope, also where nobody reads them."""
    with pytest.raises(ProtocolError):
        decode_envelope(dense('{"a":"?"}').replace(b"?", b"\xff"))


_PAYLOADS = [
    ("TOOL_DONE", {"call_id": "c", "status": "OK", "result": {"a": [1, 2]}}),
    ("TOOL_DONE", {"call_id": "c", "result": {}}),
    ("TOOL_SCHEMA", {"tool": "t", "schema": {"type": "object"}}),
    ("TOOL_SCHEMA", {"tool": "t"}),
    ("TOOL_LIST", {"tools": [{"name": "a", "new": 1}]}),
    ("TOOL_LIST", {"tools": [{}]}),
    ("FLOW_UPDATE", {"channel": "US ER"}),
    ("MESSAGE_PART", {"message_id": "m", "text": 5}),
    ("MESSAGE_PART", ["m"]),
    ("ERROR", {"code": "X", "detail": [1], "more": 1}),
    ("NEWS", [1, 2]),
]


@pytest.mark.parametrize(("frame_type", "payload"), _PAYLOADS)
def test_an_unread_payload_is_checked_as_a_read_one(frame_type: str, payload: Any) -> None:
    """What a type wants is found in an unread payload too, and what is wrong is told in the same words."""
    unread = msgspec.Raw(json.dumps(payload).encode())
    assert unknown_member(frame_type, unread) == unknown_member(frame_type, payload)
    for name in ("call_id", "message_id", "tool", "text"):
        assert text_member(unread, name) == text_member(payload, name)
    assert media_bytes("AUDIO", unread, None) == media_bytes("AUDIO", payload, None)
    try:
        check_incoming(frame_type, payload)
    except ProtocolError as exc:
        expected = str(exc)
    else:
        check_incoming(frame_type, unread)
        return
    with pytest.raises(ProtocolError) as caught:
        check_incoming(frame_type, unread)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("piece", "frame_type"), [("[]", "NEWS"), ('{"a":1}', "NEWS"), ('{"a":1}', "TOOL_DONE"), ("-6", "NEWS"), ('"ab"', "MESSAGE")]
)
def test_what_nobody_looks_at_takes_no_more_memory_than_on_the_wire(piece: str, frame_type: str) -> None:
    """Many small values cost some times their bytes while they are taken in, and their bytes once afterwards."""
    many = ",".join([piece] * (1 << 18))
    data = dense(f'{{"call_id":"c","status":"OK","result":[{many}]}}', frame_type)
    tracemalloc.start()
    try:
        envelope = decode_envelope(data)
        check_incoming(envelope.type, envelope.payload)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 0.1 * len(data)  # the frame itself was there before
    assert peak < 3 * len(data)
    assert len(message(envelope.payload).payload["result"]) == 1 << 18


def test_an_ordinary_frame_is_read_at_once() -> None:
    """Texts, long or short, and what has few members for its size are not looked through twice."""
    for size in (10, 1_000, 100_000):
        text = ("A credit pays for one frame, whatever it says. " * (size // 47 + 1))[:size]
        data = json.dumps({"id": "a" * 36, "channel": "USER", "type": "MESSAGE_PART", "payload": {"text": text}}).encode()
        assert is_sparse(data, 64)
        assert decode_envelope(data).payload == {"text": text}


def test_a_message_is_the_same_whether_read_or_not() -> None:
    """Messages compare, hash, pickle, encode and show themselves as if they had been read on arrival; they stay frozen."""
    read, unread = message({"a": [1]}), message(msgspec.Raw(b'{"a": [1]}'))
    assert msgspec.json.decode(msgspec.json.encode(unread)) == msgspec.json.decode(msgspec.json.encode(read))
    assert pickle.loads(pickle.dumps(message(msgspec.Raw(b'{"a": [1]}')))) == read  # noqa: S301 - our own
    assert unread == read
    assert repr(message(msgspec.Raw(b'{"a": [1]}'))) == repr(read)
    assert message(msgspec.Raw(b"[2]")) != read
    assert read != 5
    assert hash(message(msgspec.Raw(b'"text"'))) == hash(message("text"))
    with pytest.raises(AttributeError):
        read.payload = 5  # type: ignore[misc]


def test_a_long_message_shows_its_size() -> None:
    """The repr of a frame with much in it is short, and does not decode it."""
    shown = repr(message(msgspec.Raw(b"[" + b"1," * 50_000 + b"1]"), wire_bytes=100_500, binary=b"x" * 200))
    assert "payload=<100300 bytes>, " in shown
    assert "binary=<200 bytes>, " in shown
    assert len(shown) < 1_000


def test_everybody_who_looks_finds_the_same() -> None:
    """Threads that look at one payload at the same moment all get its value."""
    for _ in range(50):
        looked_at, gate = message(msgspec.Raw(b'{"a": [1, 2, 3]}')), threading.Barrier(4)
        found: list[Any] = []

        def look(message: Message = looked_at, gate: threading.Barrier = gate, found: list[Any] = found) -> None:
            gate.wait(30)
            found.append(message.payload)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [{"a": [1, 2, 3]}] * 4


def test_a_crit_frame_that_is_unread_is_looked_through() -> None:
    """A member that nobody knows is found in an unread frame that is marked crit."""
    envelope = decode_envelope(dense('{"call_id":"c"}').replace(b'"beside"', b'"crit":true,"beside"'))
    assert isinstance(envelope, Envelope)
    assert "beside" in envelope.flaw
    assert isinstance(envelope.payload, msgspec.Raw)


def test_the_command_that_measures_it_works(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`support.benches.frame_costs` prints a line for each kind of frame."""
    monkeypatch.setattr(frame_costs, "KINDS", {"short": frame_costs.text(250), "dense": frame_costs.filled("[]", 5_000)})
    monkeypatch.setattr(frame_costs, "_ROUNDS", 1)
    frame_costs.main()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["frame", "short", "dense"]


LONG_TEXTS = st.sampled_from(["x", "x,", "[{", "é", "\\u0041", '\\"', "\\\\", "\n", "\ud800"])
MEMBERS = st.sampled_from(
    [
        b'"q":1',
        b'"\xff":1',
        b'"note":"\xff"',
        b'"a\\"b":2',
        b'"list":[' + b"0," * 5_000 + b"0]",
        b'"deep":' + b"[" * 200 + b"]" * 200,
        b'"crit":true',
        b'"run_id":"' + b"r" * 9_000 + b'"',
        b'"payload":{"text":"second"}',
    ]
)


@given(
    LONG_TEXTS,
    st.integers(4_000, 30_000),
    st.sampled_from(
        [b'"payload":{"text":"%b"}', b'"payload":["%b"]', b'"payload":"%b"', b'"unknown":"%b","payload":{"text":"y"}']
    ),
    st.lists(MEMBERS, max_size=2),
    st.lists(MEMBERS, max_size=2),
)
def test_a_long_string_changes_nothing_of_what_is_read(
    text: str, times: int, where: bytes, before: list[bytes], after: list[bytes]
) -> None:
    """A frame most of which is one string is read, or refused, as if each byte of it had been looked at."""
    needed = [b'"id":"1"', b'"channel":"USER"', b'"type":"INFO"']
    long = where % (text * times).encode("utf-8", "surrogatepass")
    data = b"{" + b",".join((*needed, *before, long, *after)) + b"}"

    def read() -> object:
        try:
            envelope = decode_envelope(data)
        except ProtocolError:
            return ProtocolError
        members = msgspec.structs.asdict(envelope)
        if isinstance(envelope.payload, msgspec.Raw):  # the commas of a text are no reason to leave it unread
            members["payload"] = msgspec.json.decode(envelope.payload)
        return members

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("haip_sync.protocol.envelope.one_long_string", lambda _data: None)
        carefully = read()
    assert read() == carefully


def test_a_plain_long_string_is_found() -> None:
    """Where it begins and ends is known; one that is not most of the frame, or follows an escape, is not looked for."""
    text = b"x" * 9_000
    data = b'{"a":"b","text":"%b","c":"d"}' % text
    assert one_long_string(data) == (17, 17 + len(text))
    assert one_long_string(b'{"a\\"":"b","text":"%b"}' % text) is None
    assert one_long_string(b'{"text":"%b","more":"%b"}' % (text, text)) is None
    assert one_long_string(b'{"text":"%b"%b}' % (text[:4_500], b" " * 4_400)) is not None
    assert one_long_string(b'{"text":"y"%b,"more":"z"}' % (b" " * 9_000)) is None
    assert one_long_string(b"[%b]" % text) is None
