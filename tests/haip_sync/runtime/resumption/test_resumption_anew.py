"""A peer that begins a session anew: what became of each send is told, and what did not leave goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest
from support.lines import AT_ONCE
from support.peers_in_turn import Script, Told, cut, greets_and_cuts, greets_and_stays, peers_in_turn
from support.resuming import MANY, greets_many, hears_text, resumes
from support.scripted_peer import TYPES, Peer
from support.turnstiles import PATIENCE_S, in_thread, until

from haip_sync import (
    ConnectionClosedError,
    HAIPClient,
    IncompleteTextError,
    NotSentError,
    PartialSendError,
    PendingSend,
    SendUnconfirmed,
    TransactionEndedError,
    UnsupportedByPeerError,
)
from haip_sync.flow.turnstile import Turnstile
from haip_sync.runtime.writer import Writer

OTHER_DIALECT = ["HAI", "PING", "PONG", "ERROR", "TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END"]


def forgetful(told: Told, heard: Callable[[Peer], Any]) -> tuple[Script, Script]:
    """Return two scripts: the first tells what it heard and breaks the line, the second knows nothing of it."""

    def first(talk: Peer) -> None:
        greets_many(talk)
        told.put(heard(talk))
        cut(talk)

    def second(talk: Peer) -> None:
        talk.greets(accept_events=MANY)
        told.put(hears_text(talk))
        talk.stays()

    return first, second


@contextmanager
def held_up(second: Script) -> Iterator[tuple[HAIPClient, Future[Any], PendingSend]]:
    """Yield a client whose sender and whose queued text had their turn while nobody could write, after the line broke."""
    cut_now = threading.Event()

    def first(talk: Peer) -> None:
        greets_many(talk)
        assert cut_now.wait(PATIENCE_S)
        cut(talk)

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        connection = client._connection
        with connection.writer._pen:
            sending = in_thread(lambda: client.send_text_message("USER", "held up", timeout=PATIENCE_S))
            until(lambda: connection.rooms.session.last_seq == 4)
            queueing = in_thread(lambda: client.enqueue_text_message("USER", "held up too"))
            until(lambda: connection.rooms.session.last_seq == 7)
            cut_now.set()
            until(lambda: connection.writer.line is None)
        yield client, sending, queueing.result(PATIENCE_S)


def test_what_may_or_may_not_have_arrived_is_reported_message_by_message() -> None:
    """Sends that were not acknowledged get the outcome indeterminate, an event each and a log line; nothing is sent twice."""
    told = Told()
    with peers_in_turn(*forgetful(told, lambda talk: [hears_text(talk) for _ in range(2)])) as url:
        client = HAIPClient(url, reconnect=AT_ONCE)
        reports: list[Any] = []
        client.on("unconfirmed", reports.append)
        with client:
            receipts = [client.send_text_message("USER", f"text {number}", timeout=PATIENCE_S) for number in range(2)]
            until(lambda: client.connection_state().epoch == 2)
            assert [receipt.outcome for receipt in receipts] == ["indeterminate", "indeterminate"]
            until(lambda: len(reports) == 2)
            assert [(report.message_id, report.seq, report.channel) for report in reports] == [
                (receipt.message_id, receipt.seq, "USER") for receipt in receipts
            ]
            told.get()
            later = client.send_text_message("USER", "later", timeout=PATIENCE_S)
            assert [frame["payload"].get("text") for frame in told.get()] == [None, "later", None]
            assert later.outcome == "sent"
    assert all(isinstance(report, SendUnconfirmed) for report in reports)


@pytest.mark.parametrize(("acknowledges", "lines"), [(False, 1), (True, 3)])
def test_the_log_says_once_what_a_peer_that_never_acknowledges_leaves_open(
    caplog: pytest.LogCaptureFixture, *, acknowledges: bool, lines: int
) -> None:
    """Where nothing was ever acknowledged, one line counts what is not known, and events name each; else each has its line."""

    def first(talk: Peer) -> None:
        greets_many(talk)
        talk.hears("TOOL_LIST")
        if acknowledges:
            talk.says("PING", {"nonce": "n"}, ack="2")
        told.get()
        cut(talk)

    told = Told()
    with peers_in_turn(first, greets_and_stays) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        reports: list[Any] = []
        client.on("unconfirmed", reports.append)
        first_one = client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)
        until(lambda: first_one.outcome == ("acknowledged" if acknowledges else "sent"))
        for _ in range(3):
            client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)
        told.put("cut")
        until(lambda: len(reports) == (3 if acknowledges else 4))
    said = [record.message for record in caplog.records if "is not known" in record.message]
    assert len(said) == lines
    assert ("the latest 4 messages" in said[0]) is not acknowledges


def test_an_ack_before_the_hai_of_a_peer_that_does_not_go_on_acknowledges_nothing_of_earlier_lines() -> None:
    """A peer that refuses to resume may count from our HAI on, and say so at once: what was lost before is still reported."""

    def first(talk: Peer) -> None:
        greets_many(talk)
        talk.hears("TOOL_LIST")
        cut(talk)

    def second(talk: Peer) -> None:
        hello = talk.hears_frame("HAI")
        refusal = {"code": "RESUME_FAILED", "message": "who are you", "related_id": hello["id"]}
        talk.says("ERROR", refusal, ack=hello["seq"])
        talk.greets(accept_events=MANY)
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        receipt = client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)
        until(lambda: client.connection_state().epoch == 2)
        assert receipt.outcome == "indeterminate"


def test_a_call_is_told_that_nobody_knows_of_it_any_more() -> None:
    """Without the session a tool call cannot end: it raises, and the client goes on."""
    told = Told()
    first, second = forgetful(told, lambda talk: talk.hears("TOOL_CALL"))
    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        call = client.call_tool("AGENT", "sum", timeout=PATIENCE_S)
        with pytest.raises(ConnectionClosedError, match=r"its outcome is not known.*does not go on with the session"):
            call.result(PATIENCE_S)
        client.send_text_message("USER", "still here", timeout=PATIENCE_S)


def test_a_half_read_text_is_told_that_it_stays_half() -> None:
    """Without the session a text of the peer's has no END; the subscription goes on with those of the next line."""

    def first(talk: Peer) -> None:
        greets_many(talk)
        talk.says("MESSAGE_START", {"message_id": "m"}, channel="AGENT")
        talk.says("MESSAGE_PART", {"message_id": "m", "text": "one "}, channel="AGENT")
        cut(talk)

    def second(talk: Peer) -> None:
        greets_many(talk)
        talk.says("MESSAGE_START", {"message_id": "n"}, channel="AGENT")
        talk.says("MESSAGE_END", {"message_id": "n"}, channel="AGENT")
        talk.stays()

    with peers_in_turn(first, second) as url:
        client = HAIPClient(url, reconnect=AT_ONCE)
        with client.texts("AGENT") as texts, client:
            with pytest.raises(IncompleteTextError, match="does not go on with the session") as caught:
                texts.receive(PATIENCE_S).text(PATIENCE_S)
            assert caught.value.text == "one "
            assert texts.receive(PATIENCE_S).text(PATIENCE_S) == ""


def test_a_text_that_was_being_written_stops() -> None:
    """Without the session the writer of an open text gets `PartialSendError`, and the next text of the channel goes."""
    told = Told()
    first, second = forgetful(told, lambda talk: talk.hears("MESSAGE_PART"))
    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        stream = client.text_stream("USER", timeout=PATIENCE_S)
        stream.write("half of it", timeout=PATIENCE_S)
        until(lambda: client.connection_state().epoch == 2)
        with pytest.raises(PartialSendError, match="does not go on with the session"):
            stream.write("the other half", timeout=PATIENCE_S)
        client.send_text_message("USER", "next", timeout=PATIENCE_S)
        told.get()
        assert told.get()[1]["payload"]["text"] == "next"


def test_what_had_its_turn_and_did_not_leave_is_told_that_nothing_was_sent() -> None:
    """Of a message that was admitted while nobody could write, it is known that the peer cannot have it."""

    def second(talk: Peer) -> None:
        talk.greets(messages=2)
        talk.stays()

    with held_up(second) as (client, sending, queued):
        with pytest.raises(ConnectionClosedError, match="Nothing of it was sent"):
            sending.result(PATIENCE_S)
        with pytest.raises(NotSentError, match="Nothing of it was sent") as caught:
            queued.result(PATIENCE_S)
        assert caught.value.reason == "lost"
        assert client.connection_state().credits["USER"] == 2


def test_what_had_its_turn_and_did_not_leave_goes_at_once_where_the_new_line_has_credit_for_it() -> None:
    """Without the session too: nothing of it had left, so that it is sent under new numbers, and nobody is told of a loss."""
    told = Told()

    def second(talk: Peer) -> None:
        greets_many(talk)
        told.put(hears_text(talk) + hears_text(talk))
        talk.stays()

    with held_up(second) as (client, sending, queued):
        assert (sending.result(PATIENCE_S).seq, queued.result(PATIENCE_S).seq) == (11, 14)
        assert [frame["seq"] for frame in told.get()] == ["9", "10", "11", "12", "13", "14"]
        assert {sending.result().outcome, queued.result().outcome} == {"sent"}
        assert client.connection_state().channels["USER"].sent_messages == 6


def test_what_had_its_turn_and_did_not_leave_goes_with_a_session_that_goes_on() -> None:
    """Where the peer resumes, the sender waits through the outage, and returns once it is sent under the number that it had."""
    told = Told()

    def second(talk: Peer) -> None:
        resumes(talk, 1)
        told.put(hears_text(talk) + hears_text(talk))
        talk.stays()

    with held_up(second) as (_, sending, queued):
        assert (sending.result(PATIENCE_S).seq, queued.result(PATIENCE_S).seq) == (4, 7)
        assert [frame["seq"] for frame in told.get()] == ["2", "3", "4", "5", "6", "7"]


def test_a_call_that_had_its_turn_and_did_not_leave_is_made_on_the_new_line() -> None:
    """A tool call of which nothing had left goes to the new peer, and its handle waits for that peer's answer."""
    cut_now = threading.Event()

    def first(talk: Peer) -> None:
        greets_many(talk)
        assert cut_now.wait(PATIENCE_S)
        cut(talk)

    def second(talk: Peer) -> None:
        greets_many(talk)
        call = talk.hears("TOOL_CALL")
        talk.says("TOOL_DONE", {"call_id": call["call_id"], "status": "OK", "result": 42}, channel="AGENT")
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        with client._connection.writer._pen:
            calling = in_thread(lambda: client.call_tool("AGENT", "sum", timeout=PATIENCE_S))
            until(lambda: client._connection.rooms.session.last_seq == 2)
            cut_now.set()
            until(lambda: client._connection.writer.line is None)
        assert calling.result(PATIENCE_S).result(PATIENCE_S) == 42


def test_who_had_its_turn_sleeps_until_the_peer_has_greeted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new line changes nothing for a sender before its peer has said what it lacks: it sleeps, and does not spin."""
    heard, greet, looks = threading.Event(), threading.Event(), SimpleQueue[None]()
    stand_by = Writer._stand_by

    def counted(writer: Writer, *args: Any) -> None:
        looks.put(None)
        stand_by(writer, *args)

    monkeypatch.setattr(Writer, "_stand_by", counted)

    def second(talk: Peer) -> None:
        talk.hears("HAI")
        heard.set()
        assert greet.wait(PATIENCE_S)
        talk.greets(messages=0)
        talk.stays()

    with held_up(second) as (client, sending, _):
        writer = client._connection.writer
        assert heard.wait(PATIENCE_S)
        until(lambda: writer.line is not None and not writer._outgoing.entries)
        for _ in range(100):  # as long as a few turns of all threads take
            client.connection_state()
            until(lambda: bool(writer._standing_by))
        assert looks.qsize() < 10
        greet.set()
        with pytest.raises(ConnectionClosedError, match="Nothing of it was sent"):
            sending.result(PATIENCE_S)


def test_a_peer_that_does_not_go_on_cannot_ask_for_what_was_given_up() -> None:
    """Old numbers of a session that is over are refused: their sends were reported, or go out under new ones, and never twice."""
    told = Told()

    def second(talk: Peer) -> None:
        greets_many(talk)
        told.put(hears_text(talk) + hears_text(talk))
        talk.says("REPLAY_REQUEST", {"from_seq": "2", "to_seq": "7"})
        told.put(talk.hears_any())
        talk.says("REPLAY_REQUEST", {"from_seq": "8", "to_seq": "9"})
        told.put([talk.hears_any(), talk.hears_any()])
        talk.stays()

    with held_up(second):
        assert [frame["seq"] for frame in told.get()] == ["9", "10", "11", "12", "13", "14"]
        assert told.get()["payload"]["code"] == "REPLAY_TOO_OLD"
        assert [(frame["seq"], frame["type"]) for frame in told.get()] == [("8", "PONG"), ("9", "MESSAGE_START")]


def test_a_transaction_ends_with_its_line() -> None:
    """Whoever holds one is told so, before and after the next line; another can be opened there."""
    types = [*TYPES, "TRANSACTION_START", "TRANSACTION_END", "MESSAGE"]

    def opens(talk: Peer) -> None:
        talk.greets(accept_events=types)
        frame = talk.hears_frame("TRANSACTION_START")
        talk.says("TRANSACTION_START", {"referenceId": frame["transaction"]}, transaction="real")

    def first(talk: Peer) -> None:
        opens(talk)
        talk.hears("MESSAGE")
        cut(talk)

    def second(talk: Peer) -> None:
        opens(talk)
        talk.hears("MESSAGE")
        talk.says("TOOL_LIST", {"tools": []}, channel="AGENT")
        talk.stays()

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        with client.transaction("echo") as tx:
            tx.send_text_message("USER", "in the first", timeout=PATIENCE_S)
            with pytest.raises(ConnectionClosedError, match="has ended with its line"):
                tx.receive(PATIENCE_S)
            until(lambda: client.connection_state().epoch == 2)
            with pytest.raises(TransactionEndedError, match="Nothing was sent"):
                tx.send_text_message("USER", "too late", timeout=PATIENCE_S)
        with client.transaction("echo") as tx:
            tx.send_text_message("USER", "in the second", timeout=PATIENCE_S)
            assert client.receive(PATIENCE_S).type == "TOOL_LIST"


def test_a_queued_text_is_said_in_the_dialect_of_the_new_line() -> None:
    """A text that was queued for one dialect leaves in that of the next peer; what has no word there is refused by name."""
    told = Told()

    def second(talk: Peer) -> None:
        talk.greets(accept_events=OTHER_DIALECT)
        told.put(hears_text(talk))
        talk.stays()

    def first(talk: Peer) -> None:
        talk.greets(accept_events=MANY, messages=0)
        talk.hears("PAUSE_CHANNEL")
        cut(talk)

    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        text = client.enqueue_text_message("USER", "in any dialect")
        refused = in_thread(lambda: client.send("AGENT", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S))
        until(lambda: client.connection_state().channels["AGENT"].waiting == 1)
        client.pause_channel("AUDIO_IN")
        assert [frame["type"] for frame in told.get()] == OTHER_DIALECT[4:]
        assert text.result(PATIENCE_S).message_id == text.message_id
        with pytest.raises(UnsupportedByPeerError, match=r"does not accept TOOL_LIST\. Nothing was sent"):
            refused.result(PATIENCE_S)


def test_what_was_made_for_the_last_peer_and_comes_to_the_next_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send that began on one line and comes to the turnstile on the next is refused where that peer does not accept it."""
    began, go_on = threading.Event(), threading.Event()
    pass_through = Turnstile.pass_through

    def late(turnstile: Any, *args: Any) -> Any:
        began.set()
        assert go_on.wait(PATIENCE_S)
        return pass_through(turnstile, *args)

    def first(talk: Peer) -> None:
        greets_many(talk)
        assert began.wait(PATIENCE_S)
        cut(talk)

    def second(talk: Peer) -> None:
        talk.greets()
        talk.stays()

    monkeypatch.setattr(Turnstile, "pass_through", late)
    with peers_in_turn(first, second) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        sending = in_thread(lambda: client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S))
        until(lambda: client.connection_state().epoch == 2)
        go_on.set()
        with pytest.raises(UnsupportedByPeerError, match=r"does not accept TOOL_LIST\. Nothing was sent"):
            sending.result(PATIENCE_S)


def test_greeting_twice_as_often_costs_no_credit_and_no_seq() -> None:
    """Our `seq` runs on from line to line: each HAI takes the next number."""
    told = Told()

    def tells(talk: Peer) -> None:
        talk.greets()
        told.put(talk.hears_frame("HAI")["seq"])
        cut(talk)

    with peers_in_turn(greets_and_cuts, tells, tells, tells) as url, HAIPClient(url, reconnect=AT_ONCE):
        assert [told.get() for _ in range(3)] == ["2", "3", "4"]
