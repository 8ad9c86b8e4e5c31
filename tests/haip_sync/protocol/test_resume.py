"""A session that goes on over a new line."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.happenings import (
    FramesMissing,
    Greeted,
    Happening,
    NotResumed,
    PeerReported,
    Resumed,
    ResumeRefused,
    SendRefusedByPeer,
    Violated,
)
from haip_sync.protocol.names import ACCEPTED_TYPES
from haip_sync.protocol.received import Received
from haip_sync.protocol.session import Session

OURS = "11111111-1111-4111-8111-111111111111"


class Line:
    """One session and what its peer says."""

    def __init__(self) -> None:
        self.session = Session(OURS)
        self.hello()

    def hello(self) -> dict[str, Any]:
        """Send our HAI; return its payload."""
        frame = self.session.hello(10, 1000)
        self.session.last_seq += 1
        self.session.sent.note(frame.id)
        self.hello_id = frame.id
        payload: dict[str, Any] = json.loads(frame.render(self.session.last_seq, 0, 0))["payload"]
        return payload

    def says(self, seq: int, frame_type: str, payload: Any, **members: Any) -> list[Happening]:
        """Return what comes of a frame of the peer's."""
        fields = {"id": f"id{seq}", "session": "theirs", "seq": str(seq), "channel": "SYSTEM"} | members
        received = self.session.receive(Envelope(type=frame_type, payload=payload, **fields), 200)
        return [happening for one in received for happening in one.happenings]

    def greets(self, seq: int, **members: Any) -> list[Happening]:
        """Return what comes of the peer's HAI, without the greeting itself."""
        hello = {"accept_events": list(ACCEPTED_TYPES), **members}
        found = self.says(seq, "HAI", hello, id=f"hai {seq} of {self.session.last_seq}", ack=str(self.session.last_seq))
        assert any(isinstance(happening, Greeted) for happening in found)
        return [happening for happening in found if not isinstance(happening, Greeted)]


@pytest.fixture
def line() -> Line:
    """Return a session on its second line, before the peer's HAI: 5 frames of the peer's and 9 of ours went over the first."""
    made = Line()
    assert made.greets(1) == []
    for seq in range(2, 6):
        made.says(seq, "PING", {})
    made.session.last_seq = 9
    made.session.begin_line()
    return made


def test_a_first_hello_names_nothing_received() -> None:
    """A session that has received nothing has nothing to resume, on whatever line."""
    session = Line()
    session.session.begin_line()
    assert "last_rx_seq" not in session.hello()


def test_our_hello_names_what_was_received(line: Line) -> None:
    """The HAI of a later line says up to which number the peer's frames have come, and takes the next number of ours."""
    assert line.hello()["last_rx_seq"] == "5"
    assert line.session.last_seq == 10
    assert line.session.ack == 0


def test_what_belongs_to_a_line_is_forgotten(line: Line) -> None:
    """Peer, dialect and what it accepts are known anew with its next HAI."""
    assert line.session.peer is None
    assert line.session.dialect is None
    assert not line.session.accepts("PING")


@pytest.mark.parametrize("named", ["7", 7, "0", "10"])
def test_a_peer_that_resumes_says_what_it_has(line: Line, named: Any) -> None:
    """Its HAI's last_rx_seq is what it has of ours, and counts as acknowledged."""
    line.hello()
    assert line.greets(6, last_rx_seq=named) == [Resumed(int(named))]
    assert line.session.resume_from == int(named)
    assert line.session.acknowledged == max(1, int(named))  # its first HAI acknowledged ours
    assert line.session.ack == 6


def test_a_peer_that_names_nothing_does_not_resume(line: Line) -> None:
    """Then nothing of the earlier lines is acknowledged, whatever the ack of its HAI says; its numbers begin anew."""
    line.hello()
    assert line.greets(1) == [NotResumed()]
    assert line.session.resume_from is None
    assert line.session.acknowledged == 1
    assert line.session.ack == 1


@pytest.mark.parametrize("named", ["11", "", [7], -1, "07", True, 1.0])
def test_a_resume_point_that_cannot_be_is_told(line: Line, named: Any) -> None:
    """A number that we never used, or that is none, is reported and resumes nothing."""
    line.hello()
    unresumed, violated = line.greets(6, last_rx_seq=named)
    assert unresumed == NotResumed()
    assert isinstance(violated, Violated)
    assert violated.error.code == "SEQ_VIOLATION"
    assert line.session.resume_from is None


@pytest.mark.parametrize("code", ["RESUME_FAILED", "REPLAY_TOO_OLD"])
def test_an_error_refuses_the_resume_once(line: Line, code: str) -> None:
    """The ERROR that answers our HAI refuses; a second one is an ERROR like any other."""
    line.hello()
    _, refused = line.says(6, "ERROR", {"code": code, "message": "no", "related_id": line.hello_id})
    assert refused == ResumeRefused(code, "no")
    (reported,) = line.says(7, "ERROR", {"code": code})
    assert isinstance(reported, PeerReported)


def test_an_error_about_another_frame_refuses_no_resume(line: Line) -> None:
    """REPLAY_TOO_OLD may answer a REPLAY_REQUEST as well."""
    line.hello()
    (reported,) = line.says(6, "ERROR", {"code": "REPLAY_TOO_OLD", "related_id": "another"})
    assert isinstance(reported, PeerReported)


def test_a_peer_that_did_not_sequence_is_not_resumed() -> None:
    """What came without numbers cannot be named, and the next line is believed anew."""
    line = Line()
    line.greets(1)
    line.says(0, "PING", {})
    assert not line.session.peer_sequences
    line.session.begin_line()
    assert "last_rx_seq" not in line.hello()
    assert line.session.peer_sequences


# ---- The peer's numbers, from one line to the next -----------------------------------------------------------------------------


def say_data(line: Line, seq: int, **members: Any) -> tuple[list[str], list[Happening]]:
    """Have the peer send a data frame; return what is delivered now, and what is told."""
    members = {"id": f"id{seq}", "session": "theirs", "channel": "AGENT"} | members
    received = line.session.receive(Envelope(seq=str(seq), type="MESSAGE", payload=f"{seq}", **members), 200, 100.0)
    delivered = [one.incoming.envelope.payload for one in received if one.incoming is not None and one.deliver]
    return delivered, [happening for one in received for happening in one.happenings]


def delivered_by(received: list[Received]) -> list[Any]:
    """Return the payloads of the data frames among these that are delivered."""
    frames = [one.incoming.envelope for one in received if one.incoming is not None and one.deliver and one.is_data]
    return [envelope.payload for envelope in frames]


def greet_after(line: Line, seq: int, **members: Any) -> list[Received]:
    """Have the peer greet on the new line; return all that comes of it."""
    payload = {"accept_events": list(ACCEPTED_TYPES), **members}
    hai = Envelope(id=f"hai{seq}", channel="SYSTEM", type="HAI", payload=payload, session="theirs", seq=str(seq))
    return line.session.receive(hai, 200, 100.0)


@pytest.fixture
def torn() -> Line:
    """Return a session on its second line: of the peer's frames 1, 2 and 4 came over the first, and 4 is held."""
    made = Line()
    made.greets(1)
    assert say_data(made, 2)[0] == ["2"]
    assert say_data(made, 4)[0] == []
    made.session.begin_line()
    assert made.hello()["last_rx_seq"] == "2"
    return made


def test_what_the_peer_sends_again_is_delivered_once_and_in_order(torn: Line) -> None:
    """A peer that resumes sends all that we have not got in one piece; what was held comes once more, and is paid once more."""
    greet_after(torn, 6, last_rx_seq="1")
    assert torn.session.ack == 2
    assert [say_data(torn, seq)[0] for seq in (3, 4)] == [["3"], ["4"]]
    assert torn.session.ack == 4
    assert say_data(torn, 7)[0] == []
    assert say_data(torn, 5)[0] == ["5", "7"]


def test_a_peer_that_resumes_may_be_slow(torn: Line) -> None:
    """While nothing waits for what it owes, nothing is asked for and nothing given up: it may lack our credit."""
    greet_after(torn, 6, last_rx_seq="1")
    assert torn.session.due(1e9) == []
    assert torn.session.next_due_s == math.inf
    say_data(torn, 7)
    assert torn.session.next_due_s == 100.5


def test_a_peer_that_does_not_resume_lets_out_what_was_held(torn: Line) -> None:
    """What was missing on the old line is lost, and told; the count runs on, and what lies between is asked for."""
    received = greet_after(torn, 6)
    assert delivered_by(received) == ["4"]
    assert FramesMissing(3, 3) in [happening for one in received for happening in one.happenings]
    ((request,),) = [one.replies for one in torn.session.due(100.5)]
    assert b'"from_seq":"5","to_seq":"5"' in request.render(1, 0, 0)


def test_a_count_that_begins_anew_is_taken_as_it_comes(torn: Line) -> None:
    """A HAI whose number is not above all that came begins another count; what was held comes out first."""
    received = greet_after(torn, 1)
    assert delivered_by(received) == ["4"]
    assert torn.session.ack == 1
    assert say_data(torn, 2, id="another")[0] == ["2"]
    assert torn.session.peer_sequences


def test_nothing_is_given_up_before_the_peer_has_spoken(torn: Line) -> None:
    """The patience with the old line's gaps does not end while the new peer may still send again what is missing."""
    assert torn.session.next_due_s == math.inf
    assert torn.session.due(1e9) == []
    greet_after(torn, 5, last_rx_seq="1")
    assert [say_data(torn, seq)[0] for seq in (3, 4)] == [["3"], ["4"]]


def test_what_came_before_the_hai_is_not_missing(torn: Line) -> None:
    """A PING before the HAI has taken its number."""
    torn.says(5, "PING", {})
    greet_after(torn, 6, last_rx_seq="1")
    assert [say_data(torn, seq)[0] for seq in (3, 4)] == [["3"], ["4"]]
    assert torn.session.ack == 6


def test_a_refused_resume_is_not_waited_for(torn: Line) -> None:
    """RESUME_FAILED after a HAI that resumes: what lies between is given up at once."""
    greet_after(torn, 6, last_rx_seq="1")
    torn.says(7, "ERROR", {"code": "REPLAY_TOO_OLD", "related_id": torn.hello_id})
    assert torn.session.next_due_s == -math.inf
    (lost,) = torn.session.due(100.0)
    assert lost.happenings == (FramesMissing(3, 5),)
    assert torn.session.ack == 7


def test_the_end_lets_out_what_is_held(torn: Line) -> None:
    """Where no other line follows, what has come is delivered, and what is missing told, once."""
    received = torn.session.end()
    assert delivered_by(received) == ["4"]
    assert received[0].happenings == (FramesMissing(3, 3),)
    assert torn.session.end() == []


def test_a_count_that_began_anew_is_named_once_the_peer_has_heard_us(line: Line) -> None:
    """Where a line broke before the peer heard our HAI, its new numbers are not named to the session that it still has."""
    line.hello()
    line.says(1, "HAI", {"accept_events": list(ACCEPTED_TYPES)}, id="anew")
    line.session.begin_line()
    assert "last_rx_seq" not in line.hello()


def test_a_count_that_began_anew_is_named_like_any_other(line: Line) -> None:
    """A peer that has acknowledged our HAI under its new numbers is told where they stopped."""
    line.hello()
    line.says(1, "HAI", {"accept_events": list(ACCEPTED_TYPES)}, id="anew")
    line.says(2, "PING", {}, ack=str(line.session.last_seq))
    line.session.begin_line()
    assert line.hello()["last_rx_seq"] == "2"


@pytest.mark.parametrize(
    ("frame_type", "payload"),
    [
        ("FLOW_UPDATE", {"channel": "USER", "add_messages": 5}),
        ("PAUSE_CHANNEL", {"channel": "USER"}),
        ("RESUME_CHANNEL", {"channel": "USER"}),
    ],
)
def test_what_a_peer_says_again_of_books_that_are_gone_does_nothing(line: Line, frame_type: str, payload: Any) -> None:
    """A grant or a pause below the HAI of the new line belongs to the epoch before; the same above it acts."""
    line.hello()
    line.greets(8, last_rx_seq="9")
    assert line.says(6, frame_type, payload) == []
    assert line.says(7, frame_type, payload) == []
    assert len(line.says(9, frame_type, payload)) == 1


def test_a_refusal_that_a_peer_says_again_forfeits_nothing(line: Line) -> None:
    """It settles its send; the balance of the new epoch is another."""
    line.hello()
    line.greets(8, last_rx_seq="9")
    refusal = {"code": "INSUFFICIENT_CREDITS", "message": "no"}
    assert [one.is_past for one in line.says(6, "ERROR", refusal) if isinstance(one, SendRefusedByPeer)] == [True]
    assert [one.is_past for one in line.says(9, "ERROR", refusal) if isinstance(one, SendRefusedByPeer)] == [False]
