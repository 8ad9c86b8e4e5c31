"""Writing: in order, batched, interruptible, and never in the way of the rest."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.lines import ONE_LINE
from support.turnstiles import PATIENCE_S, until
from support.writing import Desk

from haip_sync import ConnectionClosedError, FlowControlTimeout, HAIPClient, HeartbeatPolicy
from haip_sync.runtime import writer
from haip_sync.runtime.outgoing import ROOM_BYTES
from haip_sync.state import Fate
from haip_sync.testing import DevServer, Generous


class FakeLine:
    """Takes what is sent in small pieces, as a full socket would."""

    def __init__(self, most: int = 7) -> None:
        self.taken = bytearray()
        self._most = most

    def _send(self, piece: memoryview) -> int:
        size = min(self._most, len(piece))
        self.taken += piece[:size]
        return size

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        sent.extend(map(self._send, (piece,)))


def test_partial_writes_are_gone_on_with() -> None:
    """Whatever the operating system takes at a time, the bytes leave in order and once."""
    line = FakeLine()
    desk = Desk(line)
    ends = [desk.commit(bytes([65 + n]) * 20) for n in range(5)]
    desk.writer.write_through(ends[2])
    assert bytes(line.taken).startswith(b"A" * 20 + b"B" * 20 + b"C" * 20)
    desk.writer.write_through(ends[4])
    assert bytes(line.taken) == b"".join(bytes([65 + n]) * 20 for n in range(5))
    assert desk.outgoing.is_empty


def test_an_interrupt_anywhere_in_a_write_loses_and_repeats_nothing() -> None:
    """Wherever an interrupt strikes a write, the next to write goes on in the right place."""
    data = [b"a" * 9, b"b" * 20, b"c" * 5]

    def run(place: int) -> bool:
        line = FakeLine()
        desk = Desk(line)
        ends = [desk.commit(piece) for piece in data]
        fired, _ = interrupted_at(place, lambda: desk.writer.write_through(ends[-1]))
        done = threading.Event()
        thread = threading.Thread(target=lambda: (desk.writer.write_through(desk.commit(b"end")), done.set()))
        thread.start()
        assert done.wait(PATIENCE_S), "the pen was not put down"
        thread.join(PATIENCE_S)
        assert bytes(line.taken) == b"".join(data) + b"end"
        return fired

    assert len(list(every_interrupt(run))) > 40


class GatedLine(FakeLine):
    """Takes one piece for each permit that the test gives."""

    def __init__(self) -> None:
        super().__init__(most=1_000_000)
        self.asked = 0
        self.permits = threading.Semaphore(0)

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        self.asked += 1
        assert self.permits.acquire(timeout=PATIENCE_S)
        super().send_some(piece, sent, blocking=blocking)


def test_a_send_returns_once_its_own_frames_are_written() -> None:
    """A sender whose frames another wrote returns, although that other is now stuck in the socket with more."""
    line = GatedLine()
    desk = Desk(line)
    mine = desk.commit(b"mine")
    others = desk.commit(b"x" * 70_000)  # more than a batch: it goes with the next write
    writing = threading.Thread(target=desk.writer.write_through, args=(others,))
    waiting = threading.Thread(target=desk.writer.write_through, args=(mine,))
    writing.start()
    until(lambda: line.asked == 1)
    waiting.start()
    until(lambda: len(desk.writer._standing_by) == 1)
    line.permits.release()
    until(lambda: line.asked == 2)
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive(), "it waits for the pen of a writer that is stuck"
    assert writing.is_alive()
    line.permits.release()
    writing.join(PATIENCE_S)
    assert desk.outgoing.is_empty


def test_whoever_stands_by_takes_the_pen_next() -> None:
    """Senders that found the pen taken write for themselves once it is put down; nothing is left and nothing is torn."""
    line = GatedLine()
    desk = Desk(line)
    threads = [threading.Thread(target=desk.writer.write_through, args=(desk.commit(b"a"),))]
    threads[0].start()
    until(lambda: line.asked == 1)
    for place, data in enumerate((b"b", b"c", b"d"), 1):
        threads.append(threading.Thread(target=desk.writer.write_through, args=(desk.commit(data * 70_000),)))
        threads[place].start()
        until(lambda expected=place: len(desk.writer._standing_by) == expected)
    for _ in threads:
        line.permits.release()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert bytes(line.taken) == b"a" + b"b" * 70_000 + b"c" * 70_000 + b"d" * 70_000


class LateQueue(SimpleQueue[None]):
    """Where a deadline passes in the very moment in which its holder is woken."""

    def get(self, block: bool = True, timeout: float | None = None) -> None:
        super().get(block, None if timeout is None else PATIENCE_S)
        if timeout is not None:
            raise Empty


def test_who_is_called_to_the_pen_at_its_deadline_leaves_it_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender whose time is over as it is woken takes no pen: the service thread looks, and those behind are written."""
    monkeypatch.setattr(writer, "SimpleQueue", LateQueue)
    line = FakeLine(most=1_000_000)
    desk = Desk(line)
    first, behind = desk.commit(b"first"), desk.commit(b"behind")
    threads = [
        threading.Thread(target=desk.writer.write_through, args=(first, time.monotonic())),
        threading.Thread(target=desk.writer.write_through, args=(behind,)),
    ]
    with desk.writer._pen:
        for place, thread in enumerate(threads, 1):
            thread.start()
            until(lambda expected=place: len(desk.writer._standing_by) == expected)
    desk.writer._hand_on_pen()
    threads[0].join(PATIENCE_S)
    assert desk.pokes == 1
    desk.writer.write_pending(float("inf"))
    threads[1].join(PATIENCE_S)
    assert not threads[1].is_alive()
    assert bytes(line.taken) == b"firstbehind"


def test_what_is_left_when_the_pen_is_put_down_is_told() -> None:
    """A sender writes one batch more than its own, and pokes the service thread to write what of others it leaves behind."""
    desk = Desk(FakeLine(most=1_000_000))
    mine = desk.commit(b"a" * 70_000)
    more = desk.commit(b"b" * 70_000)
    left = desk.commit(b"left behind")
    desk.writer.write_through(mine)
    assert (more.is_written, left.is_written) == (True, False)
    assert desk.pokes == 1
    desk.writer.write_pending(float("inf"))
    assert desk.outgoing.is_empty


def test_room_is_bounded_but_for_one_larger_frame() -> None:
    """Between admission and the operating system stand 256 KiB at most, or a single larger frame."""
    desk = Desk(FakeLine())
    with desk.parking.lock:
        assert desk.outgoing.has_room(10 * ROOM_BYTES)
        desk.outgoing.commit(desk.outgoing.plan_raw(b"x" * (ROOM_BYTES - 10)))
        assert desk.outgoing.has_room(10)
        assert not desk.outgoing.has_room(11)


def test_a_commit_done_twice_is_done_once() -> None:
    """What an interrupt makes the next thread repeat changes nothing."""
    desk = Desk(FakeLine())
    frame = desk.session.control_frame("PING", {})
    with desk.parking.lock:
        entry = desk.outgoing.plan((frame,))
        for _ in range(2):
            desk.outgoing.commit(entry)
        assert desk.session.last_seq == 1
        assert desk.outgoing.first(1) == [entry]
        for _ in range(2):
            desk.outgoing.written(entry.end)
        assert desk.outgoing.is_empty


@pytest.fixture
def deaf_server() -> Iterator[Callable[[], tuple[str, threading.Event]]]:
    """Return a function that starts a server which shakes hands and then reads nothing until it is told to."""
    listeners: list[tuple[socket.socket, threading.Thread, threading.Event]] = []

    def start() -> tuple[str, threading.Event]:
        from websockets.sync.server import serve  # noqa: PLC0415 - only these two tests need a server without manners

        hear = threading.Event()

        def handler(connection: Any) -> None:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.send(HAI)
            hear.wait(PATIENCE_S)

        server = serve(handler, "127.0.0.1", 0, compression=None, max_queue=1, ping_interval=None, close_timeout=0.1)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        listeners.append((server.socket, thread, hear))
        stop.append(server.shutdown)
        return f"ws://127.0.0.1:{server.socket.getsockname()[1]}", hear

    stop: list[Callable[[], None]] = []
    yield start
    for (_, thread, hear), shutdown in zip(listeners, stop, strict=True):
        hear.set()
        shutdown()
        thread.join(PATIENCE_S)


HAI = (
    '{"id":"1","session":"s","seq":"1","ts":"1","channel":"SYSTEM","type":"HAI","pv":1,"payload":{"haip_version":"1.1.2",'
    '"accept_major":[1],"accept_events":["MESSAGE_START","MESSAGE_PART","MESSAGE_END","PING","FLOW_UPDATE"],'
    '"capabilities":{"flow_control":{"initial_credit_messages":1000000,"initial_credit_bytes":9000000000}}}}'
)


def test_a_peer_that_does_not_read_hangs_neither_close_nor_others(
    deaf_server: Callable[[], tuple[str, threading.Event]],
) -> None:
    """With a sender stuck in the socket others get FlowControlTimeout with cause socket, and close comes back in time."""
    url, _ = deaf_server()
    client = HAIPClient(url)
    client.connect(PATIENCE_S)
    raised: list[BaseException] = []

    def flood() -> None:
        try:
            for _ in range(2_000):
                client.send_text_message("USER", "x" * 100_000)
        except Exception as exc:
            raised.append(exc)

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for thread in threads:
        thread.start()
    # Until the operating system's buffers are full.
    until(lambda: client.connection_state().channels["USER"].oldest_wait > 0.5)
    assert client.connection_state().channels["USER"].waiting_for == "socket"
    with pytest.raises(FlowControlTimeout, match="the peer does not read") as caught:
        client.send_text_message("AGENT", "y" * 100_000, timeout=0.1)
    assert caught.value.cause == "socket"
    client.request_credits("USER", messages=1)  # what waits for nothing comes back at once
    assert client.connection_state().connected
    client.close(0.2)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert len(raised) == 3


def test_the_heartbeat_finds_a_peer_that_does_not_read(deaf_server: Callable[[], tuple[str, threading.Event]]) -> None:
    """With a sender stuck in the socket and no PONG the connection is given up."""
    url, _ = deaf_server()
    client = HAIPClient(url, heartbeat=HeartbeatPolicy(interval=0.05, timeout=0.2), reconnect=ONE_LINE)
    client.connect(PATIENCE_S)
    raised: list[BaseException] = []

    def flood() -> None:
        try:
            for _ in range(2_000):
                client.send_text_message("USER", "x" * 100_000)
        except Exception as exc:
            raised.append(exc)

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert "no PONG" in str(client.connection_state().last_error)
    client.close()


def test_threads_that_write_together_keep_every_frame_whole() -> None:
    """Sixteen threads on five channels, small and large: every text arrives whole and no frame is torn."""
    channels = ("USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT")
    with DevServer(policy=Generous(), initial_credits=100, agent=False) as server, HAIPClient(server.url) as client:

        def send(number: int) -> None:
            for n in range(30):
                size = 1 if n % 3 else 40_000
                client.send_text_message(channels[(number + n) % 5], f"{number}." + "y" * size, timeout=PATIENCE_S)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        session = server.wait_for_session()
        session.wait_for(lambda s: s.text_count == 480, timeout=PATIENCE_S)
        assert session.out_of_order == 0
        assert all(session.books(channel).breaches == 0 for channel in channels)


class SlowPen:
    """A pen that does something before whoever retires the writer goes on with it in hand."""

    def __init__(self, pen: Any, retiring: Callable[[], object]) -> None:
        self._pen = pen
        self._retiring = retiring
        self.release = pen.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        taken = bool(self._pen.acquire(blocking, timeout))
        if timeout >= 0:
            self._retiring()
        return taken


def test_who_comes_while_the_writer_retires_is_told() -> None:
    """A sender that found the pen in the hand that leaves the line is told when its frame has gone on the next, or never will."""
    desk = Desk(None)
    entry = desk.commit(b"late")
    late = threading.Thread(target=desk.writer.write_through, args=(entry,))

    def come() -> None:
        late.start()
        until(lambda: bool(desk.writer._standing_by))

    desk.writer._pen = SlowPen(desk.writer._pen, come)
    assert desk.writer.retire(PATIENCE_S)
    assert late.is_alive()
    over = ConnectionClosedError("there is no next line")
    with desk.parking.lock:
        desk.outgoing.abandon(over)
        desk.writer.wake_over()
    late.join(PATIENCE_S)
    assert not late.is_alive()
    assert (entry.failure, entry.is_written) == (over, False)


def test_what_a_lost_line_left_half_written_is_begun_anew_on_the_next() -> None:
    """A new line begins with whole frames: the rest of a batch that was half written is forgotten with its line."""

    class Torn(FakeLine):
        def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
            if self.taken:
                raise ConnectionResetError("torn")
            super().send_some(piece, sent, blocking=blocking)

    torn, whole = Torn(), FakeLine()
    desk = Desk(torn)
    with desk.parking.lock:
        desk.outgoing.commit(entry := desk.outgoing.plan_raw(b"0123456789"))
    thread = threading.Thread(target=desk.writer.write_through, args=(entry,))
    thread.start()
    until(lambda: bool(desk.losses))
    assert (bytes(torn.taken), entry.is_taken, entry.is_over) == (b"0123456", True, False)
    assert desk.writer.retire(PATIENCE_S)
    with desk.parking.lock:
        desk.writer.use(whole)  # type: ignore[arg-type]
    assert desk.writer.write_pending(time.monotonic() + PATIENCE_S)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert (bytes(whole.taken), entry.is_written) == (b"0123456789", True)


def test_a_sender_whose_frames_wait_for_the_next_peer_stands_by() -> None:
    """What a broken line left is in no write order until the new peer has greeted: its senders wait and try nothing."""
    desk = Desk(FakeLine())
    entry = desk.commit(b"admitted on the earlier line")
    entry.fate = Fate("USER", "message-1")
    with desk.parking.lock:
        desk.outgoing.suspend(ConnectionClosedError("the line was lost"))
    tries: list[float | None] = []
    write = desk.writer._write_if_free
    desk.writer._write_if_free = lambda deadline_s: (tries.append(deadline_s), write(deadline_s))[1]  # type: ignore[method-assign]
    sender = threading.Thread(target=desk.writer.write_through, args=(entry,))
    sender.start()
    until(lambda: len(desk.writer._standing_by) == 1)
    assert tries == []
    with desk.parking.lock:
        entry.is_written = True
        desk.writer.wake_over()
    sender.join(PATIENCE_S)
    assert not sender.is_alive()
