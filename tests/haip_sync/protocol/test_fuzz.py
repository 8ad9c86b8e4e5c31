"""Whatever arrives: events or a ProtocolError, never anything else, and no credit from a frame that is bad."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from haip_sync import ProtocolError
from haip_sync.protocol.envelope import Envelope, decode_envelope
from haip_sync.protocol.happenings import Granted, Greeted, PauseAsked, ResumeAsked, SendRefusedByPeer, Violated
from haip_sync.protocol.names import ACCEPTED_TYPES, CONTROL_TYPES
from haip_sync.protocol.payloads import KINDS
from haip_sync.protocol.received import Received
from haip_sync.protocol.session import Session

OURS = "11111111-1111-4111-8111-111111111111"
_CHANGES = (Granted, Greeted, PauseAsked, ResumeAsked, SendRefusedByPeer)

_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e300, 2**53, 2**70, "", "x", "0", "US ER", "\ud800", "ä\x00", [], [None], {}, {"": {}},
    [[]], {"channel": "USER"}, "9" * 30, "x" * 300, OURS,
]  # fmt: skip
_TYPES = [*KINDS, "MESSAGE", "TELEPATHY", ""]
_SEQS = ["1", "2", "3", "7", "0", "x", "", "18446744073709551616"]
_MEMBERS = {
    "channel": "USER",
    "message_id": "m",
    "call_id": "c",
    "tool": "t",
    "text": "x",
    "status": "OK",
    "add_messages": 3,
    "add_bytes": 9,
    "code": "FLOW_CONTROL_VIOLATION",
    "mime": "audio/x",
    "data": "QUJD",
    "progress": 5,
    "tools": [],
    "accept_major": [1],
    "accept_events": ["ERROR"],
    "nonce": "n",
    "from_seq": "1",
    "last_rx_seq": "1",
}


def envelope_of_chance(rng: Random) -> bytes:
    """Return an envelope that is nearly right: some members replaced by anything, some left out, some new."""
    payload: Any = {name: _MEMBERS[name] for name in _MEMBERS if rng.random() < 0.8}
    while rng.random() < 0.3:
        payload[rng.choice(list(_MEMBERS))] = rng.choice(_VALUES)
    frame: dict[str, Any] = {
        "id": rng.choice(["a", "b", "c", OURS]),
        "session": rng.choice(["theirs", "theirs", OURS]),
        "seq": rng.choice(_SEQS),
        "ts": "1",
        "channel": rng.choice(["USER", "SYSTEM", "c1"]),
        "type": rng.choice(_TYPES),
        "payload": payload if rng.random() < 0.9 else rng.choice(_VALUES),
        "pv": 1,
        "ack": rng.choice(_SEQS),
        "crit": rng.random() < 0.2,
    }
    while rng.random() < 0.3:
        frame[rng.choice([*frame, "bin_len", "run_id", "new"])] = rng.choice(_VALUES)
    if rng.random() < 0.1:
        del frame[rng.choice(list(frame))]
    return json.dumps(frame, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def session() -> Session:
    """Return a session after its handshake."""
    made = Session(OURS)
    made.last_seq = 3
    payload = {"accept_events": list(ACCEPTED_TYPES)}
    made.receive(Envelope(id="hai", channel="SYSTEM", type="HAI", payload=payload, session="theirs", seq="1"), 100)
    return made


def take(made: Session, data: bytes, now_s: float = 0.0) -> list[Received]:
    """Return what a text frame comes to, and the time that has passed, as the reader and the clock would have it."""
    try:
        envelope = decode_envelope(data)
    except ProtocolError as exc:
        assert exc.blame == "remote"  # noqa: PT017 - either outcome is right, and this is one of them
        return [*made.unreadable(exc), *made.due(now_s)]
    return [*made.receive(envelope, len(data), now_s), *made.due(now_s)]


def check(received: Received) -> None:
    """Check what holds for every frame: one that is bad changes nothing, and what is answered can be sent."""
    if any(isinstance(happening, Violated) and not _is_about_ack(happening) for happening in received.happenings):
        assert not received.deliver
        assert not any(isinstance(happening, _CHANGES) for happening in received.happenings)
    if received.is_echo:
        assert not any(isinstance(happening, _CHANGES) for happening in received.happenings)
        assert not received.replies
    assert (received.cost_messages, received.cost_bytes) >= (0, 0)
    for reply in received.replies:
        assert reply.type in CONTROL_TYPES
        json.loads(reply.render(4, 1, 1_700_000_000_000))


def _is_about_ack(happening: Violated) -> bool:
    return happening.error.code == "SEQ_VIOLATION"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes(frames: list[bytes]) -> None:
    """Bytes of chance are events or a ProtocolError."""
    made = session()
    for data in frames:
        for received in take(made, data):
            check(received)


@settings(max_examples=1_000, deadline=None)
@given(st.randoms(use_true_random=True))
def test_nearly_right_envelopes(rng: Random) -> None:
    """Envelopes with a member or two changed are understood or refused, and refused ones change nothing."""
    made = session()
    for number in range(8):
        for received in take(made, envelope_of_chance(rng), number * rng.choice((0.0, 0.3))):
            check(received)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=True))
def test_nearly_right_envelopes_before_the_handshake(rng: Random) -> None:
    """The same before the peer's HAI: nothing but a HAI opens the connection, and nothing is granted before."""
    made = Session(OURS)
    for _ in range(8):
        was_greeted = made.peer is not None
        for received in take(made, envelope_of_chance(rng)):
            check(received)
            if not was_greeted:
                assert not any(isinstance(happening, (Granted, PauseAsked, ResumeAsked)) for happening in received.happenings)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=True))
def test_nearly_right_envelopes_over_several_lines(rng: Random) -> None:
    """The same over one line after another, with time passing: what was held comes out once in a count, or not at all."""
    made, now_s, out, seq, count = session(), 0.0, list[tuple[int, str, str]](), 1, 0
    for _ in range(30):
        if rng.random() < 0.1:
            made.begin_line()
            made.hello(1, 1)
            made.last_seq += 1
        inbound = made.inbound
        top, waited = inbound._top, inbound._awaits_hello
        now_s += rng.choice((0.0, 0.1, 0.6))
        seq += rng.choice((1, 1, 1, 1, 2, 3, -1))
        numbered = json.loads(envelope_of_chance(rng)) | {"session": "theirs", "seq": str(seq), "id": f"id{seq}"}
        data = envelope_of_chance(rng) if rng.random() < 0.03 else json.dumps(numbered).encode("utf-8", "surrogatepass")
        for received in take(made, data, now_s):
            check(received)
            assert not (received.is_held and received.deliver)
            if received.was_held and received.incoming is not None:
                out.append((count, received.incoming.envelope.id, received.incoming.envelope.seq))
        # A peer whose HAI does not rise above what has come counts anew: the same number is another frame then.
        count += not top or (waited and not inbound._awaits_hello and inbound._top <= top)
        assert made.next_due_s > now_s
    for received in made.end():
        check(received)
    assert made.end() == []
    assert len(out) == len(set(out))
