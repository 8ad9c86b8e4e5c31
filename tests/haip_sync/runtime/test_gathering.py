"""Where messages come thick and fast they gather, and leave in one write; nobody waits for what stands there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from support.gathered import gathered, gathering_client, let_gather
from support.peers_in_turn import Told, cut, peers_in_turn
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, Clock, in_thread, until
from support.writing import Desk

from haip_sync import HAIPClient, HAIPError, HAIPTimeout, ReconnectPolicy, SendUnconfirmed
from haip_sync.runtime.gathering import GATHER_BYTES, GATHER_S, MOST_BYTES, Gathering


def _fast(clock: Clock, gap_s: float = 0.00002) -> Gathering:
    """Return one that has seen messages come in such gaps, and a write just now."""
    gathering = Gathering(lambda: clock.now_s)
    for _ in range(100):
        clock.now_s += gap_s
        if not gathering.may_wait(300, is_writing=False):
            gathering.wrote()
    gathering.wrote()
    return gathering


def test_who_sends_now_and_then_never_waits() -> None:
    """At 2,500 messages a second each is written at once."""
    gathering = _fast(Clock(), 1 / 2_500)
    assert not gathering.may_wait(300, is_writing=False)


def test_a_fast_sender_waits_for_company_but_not_long_and_not_for_much() -> None:
    """A frame may wait until a millisecond after the latest write, and until 32 KB stand there; 128 KB while one writes."""
    clock = Clock()
    gathering = _fast(clock)
    assert gathering.may_wait(GATHER_BYTES, is_writing=False)
    assert not gathering.may_wait(GATHER_BYTES + 1, is_writing=False)
    assert gathering.may_wait(MOST_BYTES, is_writing=True)
    assert not gathering.may_wait(MOST_BYTES + 1, is_writing=True)
    clock.now_s += 1.01 * GATHER_S
    assert not gathering.may_wait(300, is_writing=False)


def test_a_pause_ends_the_gathering() -> None:
    """The first messages after a pause are written at once, however fast those before it came, and the pause makes none slow."""
    clock = Clock()
    gathering = _fast(clock)
    assert gathering.may_wait(300, is_writing=False)
    clock.now_s += 10.0
    waits = []
    for _ in range(20):
        waits.append(gathering.may_wait(300, is_writing=False))
        gathering.wrote()
        clock.now_s += 0.00002
    assert waits == [False] * 15 + [True] * 5


def test_a_long_write_is_no_pause() -> None:
    """Senders that go on gather behind a write that takes long; who comes after a pause does not, however long it takes."""
    clock = Clock()
    gathering = _fast(clock)
    for _ in range(100):
        clock.now_s += 0.0001
        assert gathering.may_wait(300, is_writing=True)
    clock.now_s += 10.0
    assert not gathering.may_wait(300, is_writing=True)


# ---- The writer ------------------------------------------------------------------------------------------------------------


class Writes:
    """A line that keeps each write, and can be held up in one."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        self.began.set()
        assert self.go.wait(PATIENCE_S)
        self.writes.append(bytes(piece))
        sent.append(len(piece))


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Writes:
    """Return a line whose frames gather."""
    let_gather(monkeypatch)
    return Writes()


def test_what_gathers_leaves_in_one_write_and_calls_for_a_look_once(line: Writes) -> None:
    """Frames that were handed over stand there, the service thread is called once, and whoever lets them out writes them all."""
    desk = Desk(line)
    for data in (b"a", b"b", b"c"):
        desk.writer.hand_over(desk.commit(data))
    assert (line.writes, desk.pokes, desk.writer.is_watched) == ([], 1, True)
    desk.writer.let_out()
    assert line.writes == [b"abc"]
    desk.writer.let_out()
    assert (line.writes, desk.outgoing.is_gathering, desk.pokes) == ([b"abc"], False, 1)


def test_what_nobody_writes_is_written_after_the_next_look(line: Writes) -> None:
    """A look that finds something written since the last leaves it alone; the next one calls the service thread to write."""
    desk = Desk(line)
    desk.writer.hand_over(desk.commit(b"a"))
    desk.writer.let_out()
    desk.writer.hand_over(desk.commit(b"b"))
    desk.writer.look()
    assert (desk.pokes, desk.writer.is_watched) == (1, True)
    desk.writer.look()
    assert (desk.pokes, desk.writer.is_watched) == (2, False)
    assert desk.writer.write_pending(float("inf"))
    assert line.writes == [b"a", b"b"]


def test_who_comes_after_the_last_look_calls_again(line: Writes) -> None:
    """Once nobody looks any more, the next frame calls the service thread as the first did."""
    desk = Desk(line)
    desk.writer.hand_over(desk.commit(b"a"))
    desk.writer.let_out()
    desk.writer.look()
    desk.writer.look()
    assert (desk.pokes, desk.writer.is_watched) == (1, False)
    desk.writer.hand_over(desk.commit(b"b"))
    assert (desk.pokes, desk.writer.is_watched) == (2, True)


def test_who_writes_goes_on_for_who_wants_it_written(line: Writes) -> None:
    """What gathers behind a write is written by the same thread where somebody is about to sleep, and waits where nobody is."""
    desk = Desk(line)
    desk.writer.hand_over(desk.commit(b"a"))
    for wants, expected in ((False, [b"a"]), (True, [b"a", b"bc", b"d"])):
        line.go.clear()
        line.began.clear()
        writing = threading.Thread(target=desk.writer.let_out)
        writing.start()
        assert line.began.wait(PATIENCE_S)
        desk.writer.hand_over(desk.commit(b"d" if wants else b"b"))
        if wants:
            desk.writer.let_out()
        line.go.set()
        writing.join(PATIENCE_S)
        assert not writing.is_alive()
        if not wants:
            assert line.writes == expected
            desk.writer.hand_over(desk.commit(b"c"))
    assert line.writes == expected


def test_who_finds_much_gathered_behind_a_write_stands_by(line: Writes) -> None:
    """More than so much does not gather: whoever comes then returns once its frame is written."""
    desk = Desk(line)
    line.go.clear()
    writing = threading.Thread(target=desk.writer.write_through, args=(desk.commit(b"a"),))
    writing.start()
    assert line.began.wait(PATIENCE_S)
    desk.writer.hand_over(desk.commit(b"b" * (MOST_BYTES - 1)))
    last = desk.commit(b"c")
    behind = threading.Thread(target=desk.writer.hand_over, args=(last,))
    behind.start()
    until(lambda: bool(desk.writer._standing_by))
    line.go.set()
    for thread in (writing, behind):
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert last.is_written
    assert not last.is_left
    assert b"".join(line.writes) == b"a" + b"b" * (MOST_BYTES - 1) + b"c"


def test_who_finds_its_frame_in_anothers_hand_leaves_it_there(line: Writes) -> None:
    """It returns while that is written, and nobody else is called: whoever writes sees to what does not go at once."""
    desk = Desk(line)
    line.go.clear()
    entry = desk.commit(b"a")
    writing = threading.Thread(target=desk.writer.write_at_once)
    writing.start()
    assert line.began.wait(PATIENCE_S)
    desk.writer.hand_over(entry)
    assert (entry.is_left, entry.is_written, desk.pokes, desk.writer.is_watched) == (True, False, 0, False)
    line.go.set()
    writing.join(PATIENCE_S)
    assert not writing.is_alive()
    assert (entry.is_written, line.writes) == (True, [b"a"])


def test_who_comes_behind_a_write_and_who_stands_by_for_it_gathers(line: Writes) -> None:
    """A frame that comes later does not make its sender stand by as well, and leaves with those before it or at the next look."""
    desk = Desk(line)
    line.go.clear()
    threads = [threading.Thread(target=desk.writer.write_through, args=(desk.commit(data),)) for data in (b"a", b"b")]
    threads[0].start()
    assert line.began.wait(PATIENCE_S)
    threads[1].start()
    until(lambda: bool(desk.writer._standing_by))
    last = desk.commit(b"c")
    desk.writer.hand_over(last)
    assert (line.writes, last.is_left, desk.writer.is_watched) == ([], True, True)
    line.go.set()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    desk.writer.let_out()
    assert b"".join(line.writes) == b"abc"


# ---- A client: what stands there leaves before anybody sleeps ------------------------------------------------------------------


def _hears_texts(count: int, heard: threading.Event, **greeting: Any) -> Callable[[Peer], None]:
    def script(server: Peer) -> None:
        server.greets(**greeting)
        for _ in range(count):
            server.hears("MESSAGE_END")
        heard.set()
        server.stays()

    return script


def _expects_a_timeout(wait: Callable[[], object]) -> None:
    with pytest.raises(HAIPTimeout):
        wait()


_LONG = "x" * 3_000
"""More than there is credit for, where there is for another short text."""
_SLEEPS: dict[str, Callable[[HAIPClient], object]] = {
    "receive": lambda client: _expects_a_timeout(lambda: client.receive(timeout=PATIENCE_S)),
    "a send that lacks credit": lambda client: _expects_a_timeout(
        lambda: client.send_text_message("USER", _LONG, timeout=PATIENCE_S)
    ),
    "wait_for_credits": lambda client: _expects_a_timeout(
        lambda: client.wait_for_credits("USER", messages=99, timeout=PATIENCE_S)
    ),
    "a queued message's result": lambda client: _expects_a_timeout(
        lambda: client.enqueue_text_message("USER", _LONG).result(PATIENCE_S)
    ),
    "a call's result": lambda client: _expects_a_timeout(lambda: client.call_tool("AGENT", "t").result(PATIENCE_S)),
    "flush": lambda client: client.flush(timeout=PATIENCE_S),
}


@pytest.mark.parametrize("sleep", _SLEEPS.values(), ids=_SLEEPS)
def test_what_gathers_leaves_before_somebody_sleeps(
    monkeypatch: pytest.MonkeyPatch, sleep: Callable[[HAIPClient], object]
) -> None:
    """A thread that is about to wait, for whatever the peer may answer, has what gathers written first."""
    heard = threading.Event()
    types = [*TYPES, "TOOL_CALL", "TOOL_UPDATE", "TOOL_DONE"]
    with (
        peer(_hears_texts(3, heard, byte_credits=4_000, accept_events=types)) as url,
        gathering_client(monkeypatch, url, reconnect=ReconnectPolicy(enabled=False)) as client,
    ):
        for text in ("second", "third"):
            client.send_text_message("USER", text, timeout=PATIENCE_S)
        assert gathered(client) == 2
        sleeping = threading.Thread(target=_quietly, args=(sleep, client), daemon=True)
        sleeping.start()
        assert heard.wait(PATIENCE_S)
        client.clear_queue("USER")  # what has no credit would be waited for at the end


def test_who_waited_alone_writes_what_was_admitted_with_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a grant lets go is left to a lone sender that gathers; what takes the last of the credit lets all out at once."""
    heard: list[int] = []

    def script(server: Peer) -> None:
        server.greets(messages=5, accept_events=[*TYPES, "TOOL_UPDATE"])
        heard.extend(server.hears("TOOL_UPDATE")["progress"] for _ in range(2))
        server.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 6})
        heard.extend(server.hears("TOOL_UPDATE")["progress"] for _ in range(3))
        server.stays()

    with peer(script) as url, gathering_client(monkeypatch, url) as client:  # its first text takes three of the five
        standing = []
        for number in range(5):
            update = {"call_id": "c", "status": "RUNNING", "progress": number}
            client.send("USER", "TOOL_UPDATE", update, timeout=PATIENCE_S)
            standing.append(gathered(client))
        assert standing == [1, 0, 1, 2, 3]  # the second takes the last; the third waits, and is left to write its own
        client.flush(timeout=PATIENCE_S)
        until(lambda: len(heard) == 5)
        assert heard == [0, 1, 2, 3, 4]


def _quietly(sleep: Callable[[HAIPClient], object], client: HAIPClient) -> None:
    with suppress(HAIPError):  # the test is over
        sleep(client)


@pytest.mark.parametrize("is_clean", [False, True], ids=["an exception", "a clean exit"])
def test_what_gathers_leaves_before_a_client_is_closed(monkeypatch: pytest.MonkeyPatch, *, is_clean: bool) -> None:
    """Closed at once because of an exception, too: what a send has returned for is given to the operating system."""
    heard = threading.Event()
    with peer(_hears_texts(3, heard)) as url:
        try:
            with gathering_client(monkeypatch, url) as client:
                client.send_text_message("USER", "second", timeout=PATIENCE_S)
                client.send_text_message("USER", "third", timeout=PATIENCE_S)
                assert gathered(client) == 2
                if not is_clean:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert heard.wait(PATIENCE_S)


# ---- Nothing is lost without a word --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credit", [100, 0])
def test_what_gathers_on_a_line_that_breaks_is_sent_on_the_next_or_told_of(monkeypatch: pytest.MonkeyPatch, credit: int) -> None:
    """Where the new line has credit for it it goes there; where it has none its receipt says so, and an event."""
    told, cut_now = Told(), threading.Event()

    def first(talk: Peer) -> None:
        talk.greets()
        talk.hears("MESSAGE_END")
        assert cut_now.wait(PATIENCE_S)
        cut(talk)

    def second(talk: Peer) -> None:
        talk.greets(messages=credit)
        if credit:
            told.put(talk.hears("MESSAGE_PART")["text"])
        talk.stays()

    unconfirmed: list[SendUnconfirmed] = []
    with (
        peers_in_turn(first, second) as url,
        gathering_client(monkeypatch, url, reconnect=ReconnectPolicy(initial_delay=0.0)) as client,
    ):
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        with client._connection.writer._pen:
            receipt = in_thread(lambda: client.send_text_message("USER", "second", timeout=PATIENCE_S)).result(PATIENCE_S)
            assert gathered(client) == 1
            cut_now.set()
            until(lambda: client._connection.writer.line is None)
        until(lambda: client.connection_state().epoch == 2)
        if credit:
            assert told.get() == "second"
            assert receipt.outcome in ("sent", "acknowledged")
        else:
            until(lambda: receipt.outcome == "indeterminate")
            until(lambda: receipt.message_id in [event.message_id for event in unconfirmed])


def test_what_could_not_leave_before_the_close_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send that has returned, and whose frame did not leave because the peer does not read, is told of at the close."""
    unconfirmed: list[SendUnconfirmed] = []
    with peer(_hears_texts(2, threading.Event())) as url, gathering_client(monkeypatch, url) as client:
        client.subscribe(unconfirmed.append, SendUnconfirmed)
        with client._connection.writer._pen:
            receipt = in_thread(lambda: client.send_text_message("USER", "second", timeout=PATIENCE_S)).result(PATIENCE_S)
            closing = threading.Thread(target=client.close, args=(0.0,))
            closing.start()
            closing.join(PATIENCE_S)
            assert not closing.is_alive()
        assert receipt.outcome == "indeterminate"
        assert [event.message_id for event in unconfirmed] == [receipt.message_id]
