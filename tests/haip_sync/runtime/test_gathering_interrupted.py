"""Interrupts while frames gather: everything that has its place leaves, and nobody waits for a pen that was put down."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest
from support.gathered import gathering_client, let_gather
from support.interrupts import every_interrupt, interrupted_at
from support.peers_in_turn import Told
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, in_thread, until
from support.writing import Busy

from haip_sync import HAIPClient, HeartbeatPolicy, Message, SendUnconfirmed
from haip_sync.flow.parking import Parking
from haip_sync.flow.turnstile import Turnstile
from haip_sync.runtime import service
from haip_sync.runtime.mailbox import Mailbox


def test_an_interrupt_while_what_gathers_is_let_out_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who found the pen taken meanwhile is woken, or the service thread is called to write for it."""
    let_gather(monkeypatch)
    late = b"late" * 20_000

    def run(place: int) -> bool:
        line = Busy(late)
        desk = line.desk
        desk.writer.hand_over(desk.commit(b"gathers"))
        desk.writer.look()  # the last one: nobody watches from here on
        pokes = desk.pokes
        fired, _ = interrupted_at(place, desk.writer.let_out)
        until(lambda: desk.pokes > pokes or line.sender is None or line.sender.done())
        line.is_full = False
        desk.writer.write_pending(float("inf"))
        if line.sender is not None:
            line.sender.result(PATIENCE_S)
        assert bytes(line.taken) == b"gathers" + (b"" if line.sender is None else late)
        return fired

    assert len(list(every_interrupt(run))) > 20


def _hears_all(told: Told) -> Callable[[Peer], None]:
    def script(talk: Peer) -> None:
        talk.greets(messages=100_000, accept_events=[*TYPES, "TOOL_LIST"])
        while True:
            frame = talk.hears_any()
            if frame["type"] in ("TOOL_LIST", "MESSAGE_END"):
                told.put(frame["payload"].get("message_id") or frame["payload"].get("n"))

    return script


def test_an_interrupt_anywhere_in_a_send_that_gathers_sends_it_once_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the interrupt's note says holds: it is sent, without anybody's doing, or nothing was; and credit was taken once."""
    told = Told()

    def run(place: int) -> bool:
        before = client.connection_state().channels["USER"].sent_messages
        fired, raised = interrupted_at(
            place, lambda: client.send("USER", "TOOL_LIST", {"tools": [], "n": place}, timeout=PATIENCE_S)
        )
        assert isinstance(raised, KeyboardInterrupt) if fired else raised is None, raised
        is_sent = client.connection_state().channels["USER"].sent_messages - before
        assert is_sent in (0, 1)
        notes = "".join(getattr(raised, "__notes__", ()))
        assert is_sent or not notes or "nothing was sent" in notes
        if is_sent and not notes:  # it was left to gather before the interrupt struck, if one did
            client._connection.writer.let_out()
        if is_sent:
            assert not notes or "it is sent" in notes
            assert told.get() == place  # noted, nobody writes it but the service thread
        assert not client._connection.writer.is_writing_here()
        return fired

    with peer(_hears_all(told)) as url, gathering_client(monkeypatch, url) as client:
        told.get()
        assert len(list(every_interrupt(run))) > 100
        assert client._connection.rooms.outgoing.is_empty


class _Granter:
    """Tells how much the peer is to grant, and knows what it has granted in all."""

    def __init__(self, granted: int) -> None:
        self.granted = granted
        self._talk: Peer | None = None
        self.heard = Told()

    def script(self, talk: Peer) -> None:
        self._talk = talk  # first: once it greets, the test may want it
        talk.greets(messages=self.granted, accept_events=[*TYPES, "TOOL_LIST"])
        while True:
            self.heard.put(talk.hears("TOOL_LIST")["n"])

    def grant(self) -> None:
        """Have the peer grant one message."""
        assert self._talk is not None
        self.granted += 1
        self._talk.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 1})

    def grant_once_it_waits(self, client: HAIPClient, is_over: threading.Event) -> None:
        """Grant as soon as a sender stands in line, or not at all."""
        until(lambda: is_over.is_set() or client.connection_state().channels["USER"].waiting == 1)
        if not is_over.is_set():
            self.grant()


def test_an_interrupt_anywhere_in_a_send_that_waits_alone_sends_it_once_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where it is admitted by the thread that brings credit, which writes while it wakes: nothing stays behind."""
    peers = _Granter(3)

    def books_are_even() -> bool:
        user = client.connection_state().channels["USER"]
        return user.credits + user.sent_messages == peers.granted

    def run(place: int) -> bool:
        until(books_are_even)
        if not client.connection_state().channels["USER"].credits:
            peers.grant()
            until(books_are_even)
        client.send("USER", "TOOL_LIST", {"tools": [], "n": -1}, timeout=PATIENCE_S)
        before, is_over = client.connection_state().channels["USER"].sent_messages, threading.Event()
        granting = in_thread(lambda: peers.grant_once_it_waits(client, is_over))
        fired, raised = interrupted_at(
            place, lambda: client.send("USER", "TOOL_LIST", {"tools": [], "n": place}, timeout=PATIENCE_S)
        )
        is_over.set()
        granting.result(PATIENCE_S)
        until(books_are_even)
        assert isinstance(raised, KeyboardInterrupt) if fired else raised is None, raised
        is_sent = client.connection_state().channels["USER"].sent_messages - before
        notes = "".join(getattr(raised, "__notes__", ()))
        assert is_sent in (0, 1)
        assert not notes or ("it is sent" if is_sent else "nothing was sent") in notes
        if not notes:
            client._connection.writer.let_out()
        if is_sent:
            while (number := peers.heard.get()) == -1:
                pass
            assert number == place  # noted, nobody writes it but the service thread
        return fired

    with peer(peers.script) as url, gathering_client(monkeypatch, url) as client:
        assert len(list(every_interrupt(run))) > 100
        client.flush(timeout=PATIENCE_S)


def test_an_interrupt_anywhere_at_the_end_of_a_text_leaves_nothing_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once END has its place it leaves, without anybody's doing, though nobody watched before."""
    told = Told()

    def run(place: int) -> bool:
        text, connection = client.text_stream("USER"), client._connection
        until(lambda: connection.rooms.outgoing.is_empty and not connection.writer.is_watched)
        fired, _ = interrupted_at(place, text.close)
        if text._ticket.settled:
            assert told.get() == text.message_id
        text.abandon()
        return fired

    never = HeartbeatPolicy(interval=3_600.0)
    with peer(_hears_all(told)) as url, gathering_client(monkeypatch, url, heartbeat=never, stall_warning=None) as client:
        told.get()
        monkeypatch.setattr(service, "LOOK_S", 0.001)
        client._connection.poke()
        assert len(list(every_interrupt(run))) > 40


def test_a_send_that_was_interrupted_once_admitted_and_never_left_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its note says that it is sent; where the client is closed before, an event takes that back."""
    unconfirmed: list[SendUnconfirmed] = []
    pass_through = Turnstile.pass_through

    def interrupted(*args: Any) -> None:
        pass_through(*args)
        raise KeyboardInterrupt

    def send() -> None:
        with pytest.raises(KeyboardInterrupt):
            client.send("USER", "TOOL_LIST", {"tools": []}, timeout=PATIENCE_S)

    with peer(_hears_all(Told())) as url, gathering_client(monkeypatch, url) as client:
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        monkeypatch.setattr(Turnstile, "pass_through", interrupted)
        with client._connection.writer._pen:
            in_thread(send).result(PATIENCE_S)
            in_thread(lambda: client.close(0.0)).result(PATIENCE_S)
        assert len(unconfirmed) == 1


def test_a_send_that_was_interrupted_once_admitted_leaves_before_the_client_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a `with` block closes it at once because of Ctrl-C: its note holds though the service thread comes too late."""
    told = Told()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with peer(_hears_all(told)) as url, gathering_client(monkeypatch, url) as client:
        told.get()
        with monkeypatch.context() as patch:
            patch.setattr(client._connection._service, "poke", lambda: None)
            patch.setattr(client._connection.writer, "hand_over", interrupted)
            with pytest.raises(KeyboardInterrupt) as raised:
                client.send("USER", "TOOL_LIST", {"tools": [], "n": 7}, timeout=PATIENCE_S)
            client.close(0.0)
        client._connection.poke()  # for its end
        assert told.get() == 7
        assert "it is sent" in "".join(raised.value.__notes__)


class _Shared(deque[Message]):
    """Messages of which another thread takes the last one as soon as somebody has seen that there is one."""

    def __bool__(self) -> bool:
        is_here = len(self) > 0
        self.clear()
        return is_here


def test_whether_a_message_is_here_may_be_asked_while_another_takes_it() -> None:
    """Two threads that receive do not get in each other's way before either has the lock."""
    box = Mailbox(Parking())
    box._messages = _Shared([cast("Message", "the last")])
    assert not box.is_empty
    assert box.is_empty
