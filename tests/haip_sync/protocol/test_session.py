"""The session as a pure state machine: envelopes in, happenings and frames out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from haip_sync import ProtocolError
from haip_sync.protocol.envelope import Envelope, decode_envelope
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import (
    Granted,
    Greeted,
    PauseAsked,
    PeerReported,
    Ponged,
    ResumeAsked,
    SequencingStopped,
    VersionRefused,
    Violated,
)
from haip_sync.protocol.names import ACCEPTED_TYPES
from haip_sync.protocol.payloads import MOST_CREDIT
from haip_sync.protocol.received import Received
from haip_sync.protocol.session import Session

OURS = "11111111-1111-4111-8111-111111111111"
THEIRS = "22222222-2222-4222-8222-222222222222"


class Peer:
    """Makes the peer's envelopes, numbered as they should be."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._seq = 0

    def says(self, frame_type: str, payload: Any, *, channel: str = "SYSTEM", **members: Any) -> Received:
        self._seq += 1
        fields = {"id": f"id{self._seq}", "session": THEIRS, "seq": str(self._seq)} | members
        (received,) = self.session.receive(Envelope(channel=channel, type=frame_type, payload=payload, **fields), 200)
        return received

    def greets(self, **changes: Any) -> Received:
        hello = {"haip_version": "1.1.2", "accept_major": [1], "accept_events": list(ACCEPTED_TYPES)} | changes
        return self.says("HAI", hello)


@pytest.fixture
def session() -> Session:
    """Return a session before its handshake."""
    return Session(OURS)


@pytest.fixture
def peer(session: Session) -> Peer:
    """Return the peer of a session that has shaken hands."""
    peer = Peer(session)
    peer.greets()
    return peer


def members(frame: Frame) -> Any:
    """Return a frame of ours as the peer would read it."""
    return json.loads(frame.render(1, 0, 1_700_000_000_000))


def test_our_hai_says_what_the_specification_asks(session: Session) -> None:
    """HAI carries version, MAJORs, accepted events and the credit that we grant."""
    hai = members(session.hello(10, 1_000))
    assert (hai["type"], hai["channel"], hai["session"]) == ("HAI", "SYSTEM", OURS)
    payload = hai["payload"]
    assert (payload["haip_version"], payload["accept_major"]) == ("1.1.2", [1])
    assert payload["capabilities"]["flow_control"] == {"initial_credit_messages": 10, "initial_credit_bytes": 1_000}
    assert "FLOW_UPDATE" in payload["accept_events"]


@pytest.mark.parametrize(
    ("accepted", "choice", "dialect"),
    [
        (["MESSAGE_START", "MESSAGE_PART", "MESSAGE_END", "TEXT_MESSAGE_START"], "auto", "message"),
        (["TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END", "MESSAGE"], "auto", "text"),
        (list(ACCEPTED_TYPES), "auto", "message"),
        (list(ACCEPTED_TYPES), "text", "text"),
        (["MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"], "text", None),
        (["TRANSACTION_START", "MESSAGE"], "auto", None),
        ([], "auto", None),
    ],
)
def test_the_dialect_is_what_the_peer_accepts(accepted: list[str], choice: str, dialect: str | None) -> None:
    """All three types of a dialect must be accepted; where both fit, message comes before text."""
    session = Session(OURS, dialect_choice=choice)
    [greeted] = Peer(session).greets(accept_events=accepted).happenings
    assert isinstance(greeted, Greeted)
    assert (session.dialect.name if session.dialect else None) == dialect
    assert session.peer_session_id == THEIRS


def test_a_hai_without_credit_names_none(session: Session) -> None:
    """What the peer's HAI leaves out is None, so that our own settings can stand in."""
    [greeted] = Peer(session).greets().happenings
    assert isinstance(greeted, Greeted)
    assert greeted.hello.capabilities.flow_control.initial_credit_messages is None


def test_no_major_in_common_is_refused(session: Session) -> None:
    """VERSION_INCOMPATIBLE is the answer, and the handshake does not happen."""
    received = Peer(session).greets(accept_major=[2, 3])
    assert received.happenings == (VersionRefused((2, 3)),)
    assert members(received.replies[0])["payload"]["code"] == "VERSION_INCOMPATIBLE"
    assert session.peer is None


def test_what_comes_before_the_hai_means_nothing(session: Session) -> None:
    """A grant before the handshake changes nothing and is reported; a PING is answered."""
    peer = Peer(session)
    [violated] = peer.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 5}).happenings
    assert isinstance(violated, Violated)
    assert peer.says("PING", {"nonce": "n"}).replies
    assert peer.greets().happenings


def test_a_second_hai_is_a_violation(peer: Peer) -> None:
    """Credit epochs are the connection's, not the peer's to renew."""
    [violated] = peer.greets().happenings
    assert isinstance(violated, Violated)


@pytest.mark.parametrize(
    ("frame_type", "payload", "happening"),
    [
        ("FLOW_UPDATE", {"channel": "USER", "add_messages": 3, "add_bytes": 9}, Granted("USER", 3, 9)),
        ("FLOW_UPDATE", {"channel": "USER", "add_bytes": 9}, Granted("USER", 0, 9)),
        ("FLOW_UPDATE", {"channel": "USER", "action": "grant_credits", "credits": 4}, Granted("USER", 4, 0)),
        ("PAUSE_CHANNEL", {"channel": "AGENT"}, PauseAsked("AGENT")),
        ("RESUME_CHANNEL", {"channel": "AGENT"}, ResumeAsked("AGENT")),
        ("PONG", {"nonce": "n"}, Ponged("n")),
        ("PONG", {}, Ponged(None)),
    ],
)
def test_control_frames_mean_what_they_say(peer: Peer, frame_type: str, payload: Any, happening: Any) -> None:
    """Each control frame is one happening; none costs credit."""
    received = peer.says(frame_type, payload)
    assert received.happenings == (happening,)
    assert not received.is_data
    assert received.deliver


@pytest.mark.parametrize("action", ["request_credits", "reduce_credits"])
def test_other_actions_grant_nothing(peer: Peer, action: str) -> None:
    """The published example's requests and reductions are understood and change no balance."""
    assert peer.says("FLOW_UPDATE", {"channel": "USER", "action": action, "credits": 4}).happenings == ()


@pytest.mark.parametrize(
    ("frame_type", "payload"),
    [
        ("FLOW_UPDATE", {"add_messages": 1}),
        ("FLOW_UPDATE", {"channel": "US ER", "add_messages": 1}),
        ("FLOW_UPDATE", {"channel": "USER", "add_messages": -1}),
        ("FLOW_UPDATE", {"channel": "USER", "add_messages": "1"}),
        ("FLOW_UPDATE", {"channel": "USER", "add_messages": 1.5}),
        ("FLOW_UPDATE", {"channel": "USER", "add_messages": True}),
        ("FLOW_UPDATE", {"channel": "USER", "add_messages": MOST_CREDIT + 1}),
        ("FLOW_UPDATE", "USER"),
        ("PAUSE_CHANNEL", {}),
        ("RESUME_CHANNEL", []),
        ("PING", "x"),
        ("PONG", 7),
    ],
)
def test_a_bad_payload_changes_nothing_and_is_answered(peer: Peer, frame_type: str, payload: Any) -> None:
    """A good envelope with a bad payload is received, reported and answered with ERROR, and grants nothing."""
    received = peer.says(frame_type, payload)
    [violated] = received.happenings
    assert isinstance(violated, Violated)
    assert frame_type in str(violated.error)
    error = members(received.replies[0])["payload"]
    assert (error["code"], error["related_id"]) == ("PROTOCOL_VIOLATION", violated.related_id)


def test_an_error_is_never_answered_with_an_error(peer: Peer) -> None:
    """A malformed ERROR is reported and left at that: two peers that disagree would go on for ever."""
    received = peer.says("ERROR", {"no": "code"})
    assert received.replies == ()
    assert isinstance(received.happenings[0], Violated)


def test_the_peers_error_is_reported(peer: Peer) -> None:
    """ERROR is a happening with its code, text and related id."""
    [reported] = peer.says("ERROR", {"code": "X", "message": "m", "related_id": "r"}).happenings
    assert isinstance(reported, PeerReported)
    assert (reported.error.code, reported.error.related_id) == ("X", "r")


def test_a_ping_is_answered_with_its_nonce(peer: Peer) -> None:
    """PONG carries the PING's nonce."""
    [pong] = peer.says("PING", {"nonce": "abc"}).replies
    assert (pong.type, members(pong)["payload"]) == ("PONG", {"nonce": "abc"})


def test_data_frames_cost_what_they_weigh(peer: Peer) -> None:
    """A data frame costs its bytes, a media frame its media; unknown types are data too."""
    assert peer.says("MESSAGE_START", {"message_id": "m"}, channel="AGENT").cost_bytes == 200
    assert peer.says("AUDIO_CHUNK", {"message_id": "m", "mime": "audio/x", "data": "QUJD"}, channel="AUDIO_OUT").cost_bytes == 3
    assert peer.says("TOOL_DONE", {"call_id": "c", "status": "OK"}, bin_len=7).cost_bytes == 7
    assert peer.says("SOMETHING_NEW", {}).is_data


def test_duplicates_are_dropped_without_a_word(peer: Peer, session: Session) -> None:
    """The same seq with the same id is delivered once and grants once."""
    again = peer.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 5}, id="same", seq="2")
    assert again.happenings
    twice = peer.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 5}, id="same", seq="2")
    assert twice == Received(incoming=twice.incoming)
    assert session.ack == 2


def test_a_peer_that_does_not_sequence_is_heard_all_the_same(peer: Peer, session: Session) -> None:
    """A seq that is not decimal is reported once; frames are delivered, nothing is acknowledged."""
    received = peer.says("MESSAGE_START", {"message_id": "m"}, seq="1700000000000abc")
    assert received.happenings == (SequencingStopped("1700000000000abc"),)
    assert received.deliver
    assert session.ack == 0
    assert peer.says("MESSAGE_END", {"message_id": "m"}, seq="1700000000000abc").happenings == ()


def test_a_frame_that_cannot_be_read_is_answered(peer: Peer, session: Session) -> None:
    """Text in place of JSON is reported and answered, and costs nobody anything."""
    with pytest.raises(ProtocolError) as caught:
        decode_envelope(b"hello")
    (received,) = session.unreadable(caught.value)
    assert isinstance(received.happenings[0], Violated)
    assert members(received.replies[0])["payload"]["code"] == "PROTOCOL_VIOLATION"
    assert not received.deliver


def test_only_accepted_types_are_answered_with() -> None:
    """A peer that accepts no ERROR is sent none."""
    session = Session(OURS)
    peer = Peer(session)
    peer.greets(accept_events=["PING"])
    assert not session.accepts("ERROR")
    assert peer.says("FLOW_UPDATE", {}).replies == ()
