"""Transactions as a pure state machine: what is asked for, answered, refused, ended, and what nobody has asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from haip_sync.protocol.dialects import speaks_in_transactions, takes_transactions
from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import PeerReported, UpdateLost, Violated
from haip_sync.protocol.names import TRANSACTION_END
from haip_sync.protocol.received import Received
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import (
    REMEMBERED,
    Stage,
    TransactionEnded,
    TransactionOpened,
    TransactionRefused,
    TransactionState,
    TransactionUnasked,
)

OURS = "11111111-1111-4111-8111-111111111111"
TYPES = ["HAI", "ERROR", "FLOW_UPDATE", "TRANSACTION_START", "TRANSACTION_END", "TRANSACTION_JOIN", "MESSAGE"]
MESSAGES = ["MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"]


class Peer:
    """Makes the peer's envelopes."""

    def __init__(self, *, accept_events: list[str] = TYPES, choice: str = "auto") -> None:
        self.session = Session(OURS, dialect_choice=choice)
        self._seq = 0
        self.says("HAI", {"accept_events": accept_events})

    def says(self, frame_type: str, payload: Any, transaction: str | None = None, **members: Any) -> Received:
        self._seq += 1
        fields = {"id": f"id{self._seq}", "session": "s", "seq": str(self._seq), "channel": "SYSTEM"} | members
        (received,) = self.session.receive(Envelope(type=frame_type, payload=payload, transaction=transaction, **fields), 200)
        return received

    def answers(self, reference: str | None, transaction: str | None) -> Received:
        return self.says("TRANSACTION_START", {"referenceId": reference}, transaction)

    def asked(self, reference: str = "temporary", *, joins: bool = False) -> TransactionState:
        """Have us ask for a transaction; return its state."""
        state = TransactionState(reference, f"frame of {reference}", tool=None if joins else "tool", joins=joins)
        self.session.transactions.ask(state)
        state.stage = Stage.ASKED
        return state

    def opened(self, transaction: str, reference: str = "temporary") -> TransactionState:
        """Open a transaction."""
        state = self.asked(reference)
        self.answers(reference, transaction)
        return state


def members(frame: Frame) -> Any:
    """Return a frame of ours as the peer would read it."""
    return json.loads(frame.render(1, 0, 1_700_000_000_000))


@pytest.mark.parametrize(
    ("accepted", "choice", "is_needed", "name"),
    [
        (TYPES, "auto", True, "transaction"),
        (TYPES, "transaction", True, "transaction"),
        (TYPES, "message", True, None),
        ([*TYPES, *MESSAGES], "auto", False, "message"),
        ([*TYPES, *MESSAGES], "transaction", True, "transaction"),
        (MESSAGES, "transaction", False, None),
        (["TRANSACTION_START", "TRANSACTION_END"], "auto", False, None),
        ([], "auto", False, None),
    ],
)
def test_transactions_are_the_last_choice(accepted: list[str], choice: str, is_needed: bool, name: str | None) -> None:
    """The transaction dialect is spoken where it is chosen, or where the peer accepts texts in no other way."""
    session = Peer(accept_events=accepted, choice=choice).session
    assert speaks_in_transactions(accepted, choice) is session.needs_transaction is is_needed
    assert session.dialect_name == name
    assert takes_transactions(accepted) is ({"TRANSACTION_START", "TRANSACTION_END", "MESSAGE"} <= set(accepted))


def test_the_answer_opens_it_under_the_real_id() -> None:
    """A START that refers to ours opens the transaction under the id in its envelope."""
    peer = Peer()
    state = peer.asked()
    received = peer.answers("temporary", "real")
    assert received.happenings == (TransactionOpened(state),)
    assert (received.replies, received.is_data) == ((), False)
    assert (state.stage, state.id, state.is_open) == (Stage.OPEN, "real", True)
    assert peer.session.transactions.find("real") is state
    assert peer.session.transactions.find("temporary") is None


def test_an_answer_that_nobody_waits_for_is_ended() -> None:
    """Where who asked has given up, the answer is met with TRANSACTION_END in the transaction that it opened."""
    peer = Peer()
    state = peer.asked()
    state.is_left = True
    received = peer.answers("temporary", "real")
    assert received.happenings == ()
    [end] = received.replies
    assert (end.type, members(end)["transaction"], members(end)["payload"]) == (TRANSACTION_END, "real", {})
    assert peer.session.transactions.find("real") is None
    assert peer.session.transactions.was_ended_by_us("real")


def test_a_start_answered_twice_leaves_one_transaction() -> None:
    """The same answer again changes nothing; one with another id is ended, and told."""
    peer = Peer()
    state = peer.opened("real")
    assert peer.answers("temporary", "real").happenings == ()
    received = peer.answers("temporary", "other")
    [unasked] = received.happenings
    assert isinstance(unasked, TransactionUnasked)
    assert [members(frame)["transaction"] for frame in received.replies] == ["other"]
    assert state.is_open
    assert peer.session.transactions.find("other") is None


@pytest.mark.parametrize("reference", [None, "nobody's"])
def test_a_start_of_the_peers_own_is_told_and_left_alone(reference: str | None) -> None:
    """A START that refers to nothing of ours is news, not a violation: it is neither answered nor ended."""
    peer = Peer()
    received = peer.answers(reference, "theirs")
    [unasked] = received.happenings
    assert isinstance(unasked, TransactionUnasked)
    assert "theirs" in unasked.text
    assert received.replies == ()
    assert peer.session.transactions.find("theirs") is None


def test_our_own_frames_sent_back_mean_nothing() -> None:
    """A peer that echoes our START or END neither answers nor ends anything."""
    peer = Peer()
    state = peer.asked()
    assert peer.says("TRANSACTION_START", {"toolName": "tool", "params": {}}, "temporary", session=OURS).replies == ()
    assert state.stage is Stage.ASKED
    peer.answers("temporary", "real")
    peer.says("TRANSACTION_END", {}, "real", session=OURS)
    assert state.is_open


@pytest.mark.parametrize("transaction", [None, "null", ""])
def test_an_answer_without_an_id_refuses(transaction: str | None) -> None:
    """A START that refers to ours and names no transaction cannot be used: whoever waits is told."""
    peer = Peer()
    state = peer.asked()
    [refused] = peer.answers("temporary", transaction).happenings
    assert isinstance(refused, TransactionRefused)
    assert refused.state is state
    assert "names no transaction" in refused.why
    assert state.stage is Stage.ENDED


def test_an_id_that_is_open_already_refuses() -> None:
    """Two STARTs answered with one id are one transaction: the second is refused, the first goes on."""
    peer = Peer()
    first = peer.opened("real", "one")
    peer.asked("two")
    [refused] = peer.answers("two", "real").happenings
    assert isinstance(refused, TransactionRefused)
    assert "open already" in refused.why
    assert peer.session.transactions.find("real") is first


@pytest.mark.parametrize(("related", "transaction"), [("frame of temporary", None), ("temporary", None), (None, "temporary")])
def test_an_error_that_names_our_start_refuses(related: str | None, transaction: str | None) -> None:
    """An ERROR whose related_id is our START's (or its temporary id) is the answer: reported, and no transaction."""
    peer = Peer()
    state = peer.asked()
    error = {"code": "INSUFFICIENT_CREDITS", "message": "no", "related_id": related}
    reported, refused = peer.says("ERROR", error, transaction).happenings
    assert isinstance(reported, PeerReported)
    assert refused == TransactionRefused(state, "INSUFFICIENT_CREDITS", "no")


def test_an_error_about_something_else_refuses_nothing() -> None:
    """An ERROR that names another frame leaves the asking as it is."""
    peer = Peer()
    state = peer.asked()
    peer.says("ERROR", {"code": "X", "related_id": "another"})
    peer.says("ERROR", {"code": "X", "related_id": "another"}, "temporary")
    peer.says("ERROR", {"code": "X"})
    assert state.stage is Stage.ASKED


def test_the_peers_end_is_told_once() -> None:
    """TRANSACTION_END of an open one ends it; of any other it is no news: peers answer our own with it."""
    peer = Peer()
    state = peer.opened("real")
    assert peer.says("TRANSACTION_END", {}, "real").happenings == (TransactionEnded(state),)
    assert (state.stage, state.ended_by, state.is_open) == (Stage.ENDED, "peer", False)
    assert peer.says("TRANSACTION_END", {}, "real").happenings == ()
    assert peer.says("TRANSACTION_END", {}).happenings == ()
    assert peer.session.transactions.find("real") is None
    assert not peer.session.transactions.was_ended_by_us("real")


@pytest.mark.parametrize(
    ("frame_type", "payload"),
    [
        ("TRANSACTION_JOIN", {"toolName": "echo"}),
        ("TRANSACTION_START", {"referenceId": "shared"}),
        ("TRANSACTION_START", {}),
        ("MESSAGE", "x"),
    ],
)
def test_any_frame_in_it_answers_a_join(frame_type: str, payload: Any) -> None:
    """We are in the transaction once the peer says anything in it; what says it is delivered."""
    peer = Peer()
    state = peer.asked("shared", joins=True)
    received = peer.says(frame_type, payload, "shared")
    assert received.happenings == (TransactionOpened(state),)
    assert received.deliver
    assert peer.session.transactions.find("shared") is state
    assert state.tool == ("echo" if frame_type == "TRANSACTION_JOIN" else None)


def test_a_join_of_one_that_is_over_is_opened_and_ended() -> None:
    """An END that answers a JOIN is both."""
    peer = Peer()
    state = peer.asked("shared", joins=True)
    assert peer.says("TRANSACTION_END", {}, "shared").happenings == (TransactionOpened(state), TransactionEnded(state))


def test_a_frame_elsewhere_answers_no_join() -> None:
    """What comes outside of it, or in a transaction that was begun by START, answers no JOIN."""
    peer = Peer()
    joins, starts = peer.asked("shared", joins=True), peer.asked("temporary")
    peer.says("MESSAGE", "x")
    peer.says("MESSAGE", "x", "another")
    peer.says("MESSAGE", "x", "temporary")
    assert (joins.stage, starts.stage) == (Stage.ASKED, Stage.ASKED)


@pytest.mark.parametrize("payload", [[], "x", {"referenceId": 7}])
def test_a_bad_start_is_a_violation(payload: Any) -> None:
    """A START whose payload cannot be read is reported and answered with ERROR, as any."""
    [violated] = Peer().says("TRANSACTION_START", payload, "real").happenings
    assert isinstance(violated, Violated)
    assert "TRANSACTION_START has a bad payload" in str(violated.error)


def test_flow_updates_travel_in_the_latest_transaction_of_their_channel() -> None:
    """A FLOW_UPDATE goes in the latest open transaction that has carried its channel, else in the latest; else it may not go."""
    peer = Peer()
    session = peer.session
    assert session.accepts("FLOW_UPDATE")
    assert not session.may_update_flow()
    first, second, third = peer.opened("one", "1"), peer.opened("two", "2"), peer.opened("three", "3")
    assert session.may_update_flow()
    first.channels.add("USER")
    second.channels.add("USER")

    def carrier(channel: str) -> Any:
        return members(session.flow_update(channel, 1, 0)).get("transaction")

    assert (carrier("USER"), carrier("AGENT")) == ("two", "three")
    assert members(session.flow_update("USER", 1, 0, within="one"))["transaction"] == "one"
    second.is_left = True
    assert carrier("USER") == "one"
    first.is_left = third.is_left = True
    assert not session.may_update_flow()


def test_an_update_that_came_too_late_is_taken_back_once() -> None:
    """TRANSACTION_NOT_FOUND for a FLOW_UPDATE of ours names what it carried; any other code, or frame, takes nothing back."""
    peer = Peer()
    peer.opened("real")
    frame = peer.session.flow_update("USER", 2, 3, gives_back=True)
    error = {"code": "TRANSACTION_NOT_FOUND", "message": "m", "related_id": frame.id}
    assert peer.says("ERROR", {**error, "code": "X"}).happenings[1:] == ()
    assert peer.says("ERROR", {**error, "related_id": "another"}).happenings[1:] == ()
    assert peer.says("ERROR", error).happenings[1:] == (UpdateLost("USER", 2, 3, True, "real"),)
    assert peer.says("ERROR", error).happenings[1:] == ()


def test_other_dialects_update_flow_as_ever() -> None:
    """With a peer of another dialect a FLOW_UPDATE needs no transaction, and names none."""
    peer = Peer(accept_events=[*TYPES, *MESSAGES])
    assert peer.session.may_update_flow()
    peer.opened("real")
    assert "transaction" not in members(peer.session.flow_update("USER", 1, 0))


def test_forgetting_is_idempotent_and_takes_the_right_one() -> None:
    """A transaction that is closed late does not take another of the same id along."""
    peer = Peer()
    book = peer.session.transactions
    old = peer.opened("shared")
    old.is_left, old.ended_by, old.stage = True, "us", Stage.ENDED
    book.forget(old)
    book.forget(old)
    assert book.was_ended_by_us("shared")
    new = peer.asked("shared", joins=True)
    peer.says("TRANSACTION_JOIN", {}, "shared")
    assert not book.was_ended_by_us("shared")
    book.forget(old)
    assert book.find("shared") is new


def test_one_of_which_nothing_left_is_forgotten_at_once() -> None:
    """An asking that was interrupted before its frame left leaves no trace."""
    peer = Peer()
    state = TransactionState("temporary", "f", tool="t")
    peer.session.transactions.ask(state)
    assert peer.session.transactions.is_taken("temporary")
    state.is_left = True
    peer.session.transactions.forget(state)
    assert peer.answers("temporary", "real").replies == ()


def test_what_is_remembered_is_bounded() -> None:
    """Of askings that were given up and of transactions that we ended the latest are remembered."""
    peer = Peer()
    for number in range(REMEMBERED + 10):
        peer.asked(str(number)).is_left = True
    peer.asked("live")
    assert peer.answers("0", "zero").replies == ()
    assert peer.answers(str(REMEMBERED), "late").replies
    for number in range(REMEMBERED + 10):
        state = peer.opened(f"id{number}", f"ref{number}")
        state.ended_by = "us"
        peer.session.transactions.forget(state)
    assert not peer.session.transactions.was_ended_by_us("id0")
    assert peer.session.transactions.was_ended_by_us(f"id{REMEMBERED}")


def test_our_hai_carries_auth_only_where_it_is_given() -> None:
    """`auth` is a member of our HAI's payload; without it there is none."""
    session = Session(OURS)
    assert members(session.hello(1, 2, auth={"token": "secret"}))["payload"]["auth"] == {"token": "secret"}
    assert "auth" not in members(session.hello(1, 2))["payload"]
