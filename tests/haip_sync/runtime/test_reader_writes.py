"""The thread that brings credit writes for those it admits, and never waits for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from weakref import ref

import pytest
from support.certificates import client_context, server_context
from support.scripted_peer import TYPES, Peer, peer
from support.turnstiles import PATIENCE_S, until
from support.writing import Desk, Taking

from haip_sync import ConnectionClosedError, FlowControlConfig, HAIPClient
from haip_sync.flow.gates import Ticket
from haip_sync.runtime import reception, writer
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.socket_in_place import SocketInPlace
from haip_sync.runtime.stream import PlainStream, Stream
from haip_sync.runtime.tls import TlsStream

PAYLOAD = {"call_id": "c", "status": "RUNNING"}


class Holder:
    """A parcel, as far as it refers to what was made of it."""

    def __init__(self, entry: Entry) -> None:
        self.last_entry = entry


class Reluctant:
    """Takes so many bytes of whoever does not wait, then none; whoever waits gets rid of everything."""

    def __init__(self, most: int) -> None:
        self.taken = bytearray()
        self._left = most

    def _send(self, piece: memoryview, most: int) -> int:
        self.taken += piece[:most]
        return min(most, len(piece))

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        if not blocking and not self._left:
            raise BlockingIOError
        sent.extend(map(self._send, (piece,), (len(piece) if blocking else self._left,)))
        self._left = 0


def test_a_write_that_would_wait_is_left_to_others_and_gone_on_with_in_order() -> None:
    """What does not go at once is told to the service thread; whoever writes next begins where the reader stopped."""
    line = Reluctant(7)
    desk = Desk(line)
    first, second = desk.commit(b"0123456789"), desk.commit(b"abcdefghij")
    desk.writer.write_at_once()
    assert (bytes(line.taken), first.is_written, desk.pokes) == (b"0123456", False, 1)
    desk.writer.write_at_once()
    assert (bytes(line.taken), desk.pokes) == (b"0123456", 2)
    desk.writer.write_through(second)
    assert bytes(line.taken) == b"0123456789abcdefghij"
    assert desk.outgoing.is_empty


def test_much_is_left_to_others() -> None:
    """The reader masks no more than a batch: it has the peer to listen to."""
    line = Reluctant(1_000_000)
    desk = Desk(line)
    desk.commit(b"x" * 70_000)
    desk.writer.write_at_once()
    assert (bytes(line.taken), desk.pokes) == (b"", 1)


@contextmanager
def full_socket(*, is_tls: bool) -> Iterator[tuple[Stream, Any]]:
    """Return a stream with a small buffer, and the other end of it."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    stream: Stream = PlainStream(ours)
    if is_tls:
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(server_context().wrap_socket, theirs, server_side=True)
            tls = TlsStream(PlainStream(ours), client_context(), server_name="localhost")
            tls.handshake()
            stream, theirs = tls, accepted.result(PATIENCE_S)
    theirs.settimeout(PATIENCE_S)
    stream.run(lambda: None)
    yield stream, theirs
    theirs.close()
    stream.close()


@pytest.mark.parametrize("is_tls", [False, True])
def test_the_reader_never_waits_for_a_peer_that_does_not_read(*, is_tls: bool) -> None:
    """With the socket full it comes back at once, over TLS too; once the peer reads, all arrives in order and once."""
    with full_socket(is_tls=is_tls) as (stream, theirs):
        desk = Desk(stream)
        pieces: list[bytes] = []
        while not desk.outgoing.entries:
            pieces.append(bytes([len(pieces) % 256]) * 10_000)
            desk.commit(pieces[-1])
            desk.writer.write_at_once()
        pieces.append(b"behind")
        last = desk.commit(pieces[-1])
        desk.writer.write_at_once()
        assert not last.is_over
        writing = threading.Thread(target=desk.writer.write_through, args=(last,))
        writing.start()
        expected, arrived = b"".join(pieces), bytearray()
        while len(arrived) < len(expected):
            arrived += theirs.recv(65_536)
        writing.join(PATIENCE_S)
        assert not writing.is_alive()
        assert bytes(arrived) == expected


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_stuck_sender_keeps_no_grant_from_being_heard(*, is_tls: bool) -> None:
    """While a sender is stuck in the socket with the pen in hand, the reader takes grants and messages in."""
    say = threading.Event()
    over = threading.Event()

    def script(server: Peer) -> None:
        server.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        server.greets(messages=2, byte_credits=1 << 40, accept_events=[*TYPES, "TOOL_UPDATE"])
        assert say.wait(PATIENCE_S)
        server.says("FLOW_UPDATE", {"channel": "AGENT", "add_messages": 5})
        server.says("MESSAGE_START", {"message_id": "m"}, "AGENT")
        over.wait(PATIENCE_S)

    raised: list[BaseException] = []

    def send(channel: str, size: int) -> None:
        try:
            for _ in range(3):
                client.send(channel, "TOOL_UPDATE", PAYLOAD | {"partial": "x" * size})
        except ConnectionClosedError as exc:
            raised.append(exc)

    roomy = FlowControlConfig(max_credit_bytes=1 << 40)
    context = {"ssl": client_context()} if is_tls else {}
    with (
        peer(script, max_queue=1, max_size=None, **({"ssl": server_context()} if is_tls else {})) as url,
        HAIPClient(url.replace("127.0.0.1", "localhost"), flow_control=roomy, **context) as client,
    ):
        threads = [threading.Thread(target=send, args=("AGENT", 1)), threading.Thread(target=send, args=("USER", 12_000_000))]
        threads[0].start()
        until(lambda: client.connection_state().channels["AGENT"].waiting == 1)
        threads[1].start()
        until(lambda: bool((batch := client._connection.writer._in_hand) and len(batch.data) > 12_000_000))
        say.set()
        assert client.receive(timeout=PATIENCE_S).payload == {"message_id": "m"}
        client.close(0.1)
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        over.set()
    assert raised


def test_frames_of_those_who_wait_together_leave_in_one_write() -> None:
    """Eight senders wait; one grant for all of them is one system call, made by the thread that brings it."""
    names: list[str] = []
    ready = threading.Event()

    def script(server: Peer) -> None:
        server.greets(messages=0, accept_events=[*TYPES, "TOOL_UPDATE"])
        assert ready.wait(PATIENCE_S)
        server.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 8})
        assert {server.hears("TOOL_UPDATE")["call_id"] for _ in range(8)} == {str(number) for number in range(8)}
        server.says("MESSAGE_START", {"message_id": "all came"}, "AGENT")
        server.stays()

    with peer(script) as url, HAIPClient(url) as client:
        _spy(client, names)
        threads = [
            threading.Thread(target=client.send, args=("USER", "TOOL_UPDATE", PAYLOAD | {"call_id": str(number)}))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        until(lambda: client.connection_state().channels["USER"].waiting == 8)
        names.clear()
        ready.set()
        assert client.receive(timeout=PATIENCE_S).payload == {"message_id": "all came"}
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        # The service thread gives back credit for what was received.
        assert [name.rpartition("-")[2] for name in names if not name.endswith("service")] == ["reader"]


def test_where_a_write_cannot_promise_not_to_wait_the_reader_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without such a write (Windows) whoever is admitted is woken and writes for itself, and answers are the service thread's."""
    monkeypatch.setattr(reception, "CAN_TRY_TO_SEND", False)
    monkeypatch.setattr(writer, "CAN_TRY_TO_SEND", False)
    names: list[str] = []

    def script(server: Peer) -> None:
        server.greets(messages=0, accept_events=[*TYPES, "TOOL_UPDATE"])
        server.says("PING", {"nonce": "n"})
        assert server.hears("PONG") == {"nonce": "n"}
        server.says("FLOW_UPDATE", {"channel": "USER", "add_messages": 1})
        server.hears("TOOL_UPDATE")
        server.stays()

    with peer(script) as url, HAIPClient(url) as client:
        _spy(client, names)
        client.send("USER", "TOOL_UPDATE", PAYLOAD, timeout=PATIENCE_S)
    assert names
    assert not [name for name in names if name.endswith("reader")]


def _spy(client: HAIPClient, names: list[str]) -> None:
    """Note which thread makes each system call that sends."""
    line = client._connection.writer.line
    assert line is not None
    send_some = line.send_some

    def spy(piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        names.append(threading.current_thread().name)
        send_some(piece, sent, blocking=blocking)

    line.send_some = spy


class Pieces:
    """A stream that gives these pieces, one at a time."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def recv(self) -> bytes:
        return self._pieces.pop(0)


def test_what_was_read_ahead_is_taken_in_before_anything_is_written() -> None:
    """Several frames in one buffer are one occasion to write: when more has to be read."""
    frame = b"\x81\x02{}"
    occasions: list[int] = []
    taken: list[object] = []
    in_place = SocketInPlace(Pieces(frame * 3 + frame[:2], frame[2:]), b"")  # type: ignore[arg-type]
    in_place.before_reading = lambda: occasions.append(len(taken))
    taken.extend(in_place.next_message(100) for _ in range(4))
    assert taken == [(1, b"{}")] * 4
    assert occasions == [0, 3]


@pytest.mark.parametrize("is_lost", [False, True])
def test_nothing_of_a_wait_is_left_to_the_garbage_collector(*, is_lost: bool) -> None:
    """An entry that is written, or never will be, refers no more to whom it has woken, whose parcel refers to it."""
    desk = Desk(Taking())
    entry = desk.commit(b"x")
    holder: Any = Holder(entry)
    desk.outgoing.wake_once_over(entry, Ticket(holder, 0.0))
    if is_lost:
        desk.outgoing.abandon(ConnectionClosedError("lost"))
    else:
        desk.writer.write_at_once()
    is_alive = ref(holder)
    del holder
    assert entry.is_over
    assert is_alive() is None
