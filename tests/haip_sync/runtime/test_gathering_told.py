"""A send that has returned and will never be written is told of: once, and in the same words wherever one looks."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest
from support.gathered import gathered, gathering_client
from support.interrupts import every_interrupt, interrupted_at
from support.peers_in_turn import cut, peers_in_turn
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, in_thread, until
from support.writing import Desk

from haip_sync import ConnectionClosedError, HAIPClient, ReconnectPolicy, SendUnconfirmed
from haip_sync.runtime import life
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.runtime.resumption import Resumption
from haip_sync.runtime.writer import Writer
from haip_sync.state import Fate

_OVER = ConnectionClosedError("the client was closed")
_WITH_TRANSACTIONS = [*TYPES, "TRANSACTION_START", "TRANSACTION_END", "MESSAGE"]


def _stays(talk: Peer) -> None:
    talk.greets()
    talk.stays()


def _closed(client: HAIPClient) -> None:
    """Close the client with no time for anything; it must not be the thread that has the pen."""
    in_thread(lambda: client.close(0.0)).result(PATIENCE_S)


def test_a_text_whose_pieces_gather_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pieces of a text could not leave before the close, one event tells of it."""
    unconfirmed: list[SendUnconfirmed] = []

    def write(client: HAIPClient) -> str:
        with client.text_stream("USER") as text:
            for piece in ("one", "two", "three"):
                text.write(piece)
        return text.message_id

    with peer(_stays) as url, gathering_client(monkeypatch, url) as client:
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        with client._connection.writer._pen:
            message_id = in_thread(lambda: write(client)).result(PATIENCE_S)
            assert gathered(client) == 5
            with client._connection._lock:
                assert client._connection.rooms.outgoing.accepted_messages() == 1
            _closed(client)
        until(lambda: unconfirmed)  # a close without time may be back before the listener has run
        assert [event.message_id for event in unconfirmed] == [message_id]


def test_what_gathers_behind_a_write_leaves_before_a_client_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed with no time while another thread writes: what a send has returned for has a moment to leave all the same."""
    monkeypatch.setattr(life, "_LEFT_S", PATIENCE_S)
    unconfirmed: list[SendUnconfirmed] = []
    with peer(_stays) as url, gathering_client(monkeypatch, url) as client:
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        connection = client._connection
        with connection.writer._pen:
            receipt = in_thread(lambda: client.send_text_message("USER", "second", timeout=PATIENCE_S)).result(PATIENCE_S)
            closing = in_thread(lambda: client.close(0.0))
            until(lambda: connection._waiting == 1)
        connection.writer._hand_on_pen()
        closing.result(PATIENCE_S)
        assert (receipt.outcome, unconfirmed) == ("sent", [])


def test_what_is_in_anothers_hand_leaves_before_a_client_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose send returned while another thread wrote its frame has the same moment, though nothing gathers behind that."""
    monkeypatch.setattr(life, "_LEFT_S", PATIENCE_S)
    unconfirmed: list[SendUnconfirmed] = []
    with peer(_stays) as url, gathering_client(monkeypatch, url) as client:
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        connection = client._connection
        line = connection.writer.line
        assert line is not None
        is_in_hand, go_on, send_some, hand_over = threading.Event(), threading.Event(), line.send_some, Writer.hand_over

        def held_up(*args: Any, **kwargs: Any) -> None:
            is_in_hand.set()
            assert go_on.wait(PATIENCE_S)
            send_some(*args, **kwargs)

        def late(writer: Writer, entry: Entry) -> None:
            writing.append(in_thread(writer.write_at_once))
            assert is_in_hand.wait(PATIENCE_S)
            hand_over(writer, entry)

        writing: list[Future[None]] = []
        monkeypatch.setattr(line, "send_some", held_up)
        monkeypatch.setattr(Writer, "hand_over", late)
        receipt = in_thread(lambda: client.send_text_message("USER", "second", timeout=PATIENCE_S)).result(PATIENCE_S)
        closing = in_thread(lambda: client.close(0.0))
        until(lambda: connection._waiting == 1 or closing.done())
        go_on.set()
        closing.result(PATIENCE_S)
        writing[0].result(PATIENCE_S)
        assert (receipt.outcome, unconfirmed) == ("sent", [])


def _committed(desk: Desk, message_id: str) -> Entry:
    entry = desk.commit(b"frame")
    entry.fate = Fate("USER", message_id)
    return entry


class _Said:
    """The rooms of a resumption that only tells, and what it has told."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self.told: list[str | None] = []
        self.lines: list[str] = []

    def put(self, event: Any) -> None:
        self.told.append(event.message_id)

    def warn(self, text: str) -> None:
        self.lines.append(text)

    def resumption(self) -> Resumption:
        return Resumption(self, self)  # type: ignore[arg-type]


def test_who_leaves_a_frame_behind_as_it_is_given_up_is_told() -> None:
    """Whoever returned before it could see the failure finds the outcome in its receipt, as the event says."""
    desk = Desk(None)
    entry = _committed(desk, "m")
    desk.outgoing.abandon(_OVER)
    entry.is_left = True
    said = _Said(desk.outgoing)
    said.resumption().report_unwritten()
    assert said.told == ["m"]
    assert entry.receipt("m").outcome == "indeterminate"


def test_an_end_that_is_told_anew_after_an_interrupt_tells_of_each_send_once_more_at_most() -> None:
    """What was told before the interrupt struck is not told again; one that was being told may be."""

    def run(place: int) -> bool:
        desk = Desk(None)
        for message_id in "abc":
            _committed(desk, message_id).is_left = True
        desk.outgoing.abandon(_OVER)
        said = _Said(desk.outgoing)
        fired, _ = interrupted_at(place, said.resumption().report_unwritten)
        said.resumption().report_unwritten()
        assert sorted(set(said.told)) == ["a", "b", "c"]
        assert len(said.told) <= 4
        return fired

    assert len(list(every_interrupt(run))) > 10


def test_an_error_and_an_event_for_the_same_send_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given up as its sender leaves it behind a send raises, and says that nobody knows, as the event does."""
    is_left, go_on = threading.Event(), threading.Event()
    hand_over = Writer.hand_over

    def slowly(writer: Writer, entry: Entry) -> None:
        hand_over(writer, entry)
        is_left.set()
        assert go_on.wait(PATIENCE_S)

    unconfirmed: list[SendUnconfirmed] = []
    with peer(_stays) as url, gathering_client(monkeypatch, url) as client:
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        monkeypatch.setattr(Writer, "hand_over", slowly)
        with client._connection.writer._pen:
            sending = in_thread(lambda: client.send_text_message("USER", "second", timeout=PATIENCE_S))
            assert is_left.wait(PATIENCE_S)
            _closed(client)
            go_on.set()
            with pytest.raises(ConnectionClosedError, match="whether the peer has it is not known"):
                sending.result(PATIENCE_S)
        until(lambda: unconfirmed)
        assert len(unconfirmed) == 1


def test_what_gathered_in_a_transaction_whose_line_breaks_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be sent again though the session goes on: its transaction ended with the line."""
    cut_now = threading.Event()

    def first(talk: Peer) -> None:
        talk.greets(accept_events=_WITH_TRANSACTIONS)
        frame = talk.hears_frame("TRANSACTION_START")
        talk.says("TRANSACTION_START", {"referenceId": frame["transaction"]}, transaction="real")
        assert cut_now.wait(PATIENCE_S)
        cut(talk)

    def second(talk: Peer) -> None:
        talk.hears_frame("HAI")
        talk.greets(accept_events=_WITH_TRANSACTIONS, last_rx_seq="5")
        talk.stays()

    unconfirmed: list[SendUnconfirmed] = []
    at_once = ReconnectPolicy(initial_delay=0.0)
    with peers_in_turn(first, second) as url, gathering_client(monkeypatch, url, reconnect=at_once) as client:
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        transaction = client.transaction("echo", timeout=PATIENCE_S)
        with client._connection.writer._pen:
            sending = in_thread(lambda: transaction.send_text_message("USER", "second", timeout=PATIENCE_S))
            receipt = sending.result(PATIENCE_S)
            assert (gathered(client), receipt.seq) == (1, 6)
            cut_now.set()
            until(lambda: client._connection.writer.line is None)
        until(lambda: client.connection_state().epoch == 2)
        until(lambda: [event.message_id for event in unconfirmed] == [receipt.message_id])
        assert receipt.outcome == "indeterminate"
