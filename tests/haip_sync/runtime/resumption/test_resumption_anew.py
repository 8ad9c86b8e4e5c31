"""A peer that begins a session anew: what became of each send is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.lines import AT_ONCE
from support.peers_in_turn import Script, Told, cut, greets_and_cuts, greets_and_stays, peers_in_turn
from support.resuming import MANY, greets_many, hears_text
from support.scripted_peer import TYPES, Peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConnectionClosedError,
    HAIPClient,
    IncompleteTextError,
    PartialSendError,
    SendUnconfirmed,
    TransactionEndedError,
)


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


def test_greeting_twice_as_often_costs_no_credit_and_no_seq() -> None:
    """Our `seq` runs on from line to line: each HAI takes the next number."""
    told = Told()

    def tells(talk: Peer) -> None:
        talk.greets()
        told.put(talk.hears_frame("HAI")["seq"])
        cut(talk)

    with peers_in_turn(greets_and_cuts, tells, tells, tells) as url, HAIPClient(url, reconnect=AT_ONCE):
        assert [told.get() for _ in range(3)] == ["2", "3", "4"]
