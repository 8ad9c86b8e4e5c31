"""What had its turn on a line that broke, and did not leave: it goes on the next, or its sender is told that nothing was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest
from support.lines import AT_ONCE
from support.peers_in_turn import Script, Told, cut, peers_in_turn
from support.resuming import MANY, greets_many, hears_text, resumes
from support.scripted_peer import Peer
from support.turnstiles import PATIENCE_S, in_thread, until

from haip_sync import ConnectionClosedError, HAIPClient, NotSentError, PendingSend, UnsupportedByPeerError
from haip_sync.flow.turnstile import Turnstile
from haip_sync.runtime.writer import Writer

OTHER_DIALECT = ["HAI", "PING", "PONG", "ERROR", "TEXT_MESSAGE_START", "TEXT_MESSAGE_PART", "TEXT_MESSAGE_END"]


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
