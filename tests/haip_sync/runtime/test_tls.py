"""TLS that two threads can use, and whom it trusts."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
from support.certificates import client_context, server_context
from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import PATIENCE_S
from support.writing import Desk

from haip_sync.runtime import tls
from haip_sync.runtime.ciphertext import carries_data
from haip_sync.runtime.stream import PlainStream, send_all
from haip_sync.runtime.tls import TlsError, TlsStream


class Narrow(PlainStream):
    """Takes a few bytes at a time, as a socket does that is nearly full."""

    def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
        super().send_some(piece[:50], sent, blocking=blocking)


class Pair:
    """A client's stream and, for the other end, one thread's `SSLSocket`."""

    def __init__(self, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, wrap: type[PlainStream] = PlainStream) -> None:
        ours, theirs = socket.socketpair()
        # The smallest that the system grants: a sender gets stuck soon.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        context = server_context()
        context.maximum_version = version
        self.socket = ours
        self.stream = TlsStream(wrap(ours), client_context(), server_name="localhost")
        self.nudges = 0
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(context.wrap_socket, theirs, server_side=True, suppress_ragged_eofs=False)
            self.stream.handshake()
            self.peer = accepted.result(PATIENCE_S)
        self.peer.settimeout(PATIENCE_S)
        self.stream.run(self._nudge)

    def _nudge(self) -> None:
        self.nudges += 1

    def read(self, size: int) -> bytes:
        """Return so many bytes, as the peer reads them."""
        data = bytearray()
        while len(data) < size:
            piece = self.peer.recv(size - len(data))
            assert piece, "an early end"
            data += piece
        return bytes(data)

    def fill(self) -> bytes:
        """Send until nothing more is taken; return what the peer has to read before the rest of it."""
        view, sent = memoryview(bytes(range(256)) * 40_000), [0]
        while True:
            try:
                self.stream.send_some(view[sum(sent) :], sent, blocking=False)
            except BlockingIOError:
                return bytes(view[: sum(sent)])

    def close(self) -> None:
        """Close both ends."""
        self.stream.shut()
        self.stream.close()
        self.peer.close()


@contextmanager
def pair(**settings: Any) -> Iterator[Pair]:
    """Return two ends that have shaken hands."""
    with closing(Pair(**settings)) as ends:
        yield ends


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Start a thread."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_go_both_ways(version: ssl.TLSVersion) -> None:
    """What is sent arrives, in pieces of every size, with both versions of TLS that are in use."""
    with pair(version=version) as ends:
        for size in (1, 2, 16_384, 16_385, 65_536, 65_537, 300_000):
            data = bytes(n % 251 for n in range(size))
            echo = in_thread(lambda size=size: ends.peer.sendall(ends.read(size)[::-1]))
            send_all(ends.stream, data)
            back = b""
            while len(back) < size:
                back += ends.stream.recv()
            echo.join(PATIENCE_S)
            assert back == data[::-1]


def test_what_comes_with_the_end_of_the_handshake_is_received() -> None:
    """Data that arrives in one piece with the handshake's end is there at the first recv, without another read."""
    ours, theirs = socket.socketpair()
    server = TlsStream(PlainStream(theirs), server_context(), is_server=True)
    client = TlsStream(PlainStream(ours), client_context(), server_name="localhost")
    with closing(client), closing(server):
        done = in_thread(server.handshake)
        client.handshake()
        done.join(PATIENCE_S)
        assert not done.is_alive()
        send_all(server, b"first")  # behind the session tickets, which nobody has read yet
        server.shut()
        assert client.recv() == b"first"
        assert client.recv() == b""
        assert client.recv() == b""


def test_an_interrupt_anywhere_in_a_write_loses_and_repeats_nothing() -> None:
    """Wherever an interrupt strikes a write through TLS, the next to write goes on in the right place."""
    data = [b"a" * 9, b"b" * 200, b"c" * 5]
    expected = b"".join(data) + b"end"
    with pair(wrap=Narrow) as ends:
        desk = Desk(ends.stream)

        def run(place: int) -> bool:
            last = [desk.commit(piece) for piece in data][-1]
            fired, _ = interrupted_at(place, lambda: desk.writer.write_through(last))
            other = in_thread(lambda: desk.writer.write_through(desk.commit(b"end")))
            assert ends.read(len(expected)) == expected
            other.join(PATIENCE_S)
            assert not other.is_alive()
            return fired

        assert len(list(every_interrupt(run))) > 150


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_signal_inside_of_the_encryption_loses_and_repeats_nothing(when: str) -> None:
    """OpenSSL's caller looks for signals once it has encrypted: what it raises then does not say whether that was done."""
    with pair() as ends:
        encrypt = ends.stream._tls.write

        def interrupted(piece: memoryview) -> int:
            ends.stream._tls.write = encrypt  # type: ignore[method-assign]
            if when == "after":
                encrypt(piece)
            raise KeyboardInterrupt

        for number in range(3):
            data, sent = b"%d" % number + b"x" * 1_000, [0]
            ends.stream._tls.write = interrupted  # type: ignore[method-assign, assignment]
            with pytest.raises(KeyboardInterrupt):
                ends.stream.send_some(memoryview(data), sent, blocking=True)
            assert sum(sent) == 0
            ends.peer.sendall(b"meanwhile")
            assert ends.stream.recv() == b"meanwhile"  # who reads sees to what was left, too
            ends.stream.send_some(memoryview(data), sent, blocking=True)
            assert sum(sent) == len(data)
            assert ends.read(len(data)) == data


def test_who_may_not_wait_does_not() -> None:
    """A send that would have to wait raises BlockingIOError, and another may go on where it stopped."""
    with pair() as ends:
        data = bytes(range(256)) * 40_000
        taken = len(ends.fill())
        with pytest.raises(BlockingIOError):
            ends.stream.send_some(memoryview(data)[taken:], [], blocking=False)
        ends.stream.wait_until_writable(0.0)
        sent = [taken]

        def rest() -> None:
            while sum(sent) < len(data):
                try:
                    ends.stream.send_some(memoryview(data)[sum(sent) :], sent, blocking=False)
                except BlockingIOError:
                    ends.stream.wait_until_writable(PATIENCE_S)

        sender = in_thread(rest)
        assert ends.read(len(data)) == data
        sender.join(PATIENCE_S)
        assert not sender.is_alive()


def test_who_receives_never_waits_behind_a_stuck_sender() -> None:
    """While a sender is stuck in the socket, what the peer sends is received; shut ends both."""
    with pair() as ends:
        ends.fill()
        raised: list[BaseException] = []

        def stuck() -> None:
            try:
                send_all(ends.stream, b"x" * 10_000_000)
            except OSError as exc:
                raised.append(exc)

        sender = in_thread(stuck)
        for number in range(50):
            ends.peer.sendall(b"%d" % number)
            assert ends.stream.recv() == b"%d" % number
        assert sender.is_alive()
        receiver = in_thread(ends.stream.recv)
        ends.stream.shut()
        for thread in (sender, receiver):
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert raised


def test_the_end_is_told_and_heard() -> None:
    """Shutting says goodbye as TLS wants it, once; the peer's goodbye, and an end without one, both read as an end."""
    with pair() as ends:
        ends.stream.shut()
        ends.stream.shut()
        assert ends.peer.recv(10) == b""  # an SSLEOFError without the goodbye
    with pair() as ends:
        ends.peer.sendall(b"last words")
        ends.peer.settimeout(0.001)
        with pytest.raises(OSError, match="timed out"):
            ends.peer.unwrap()  # it waits for ours
        received = ends.stream.recv()
        assert received + ends.stream.recv() == b"last words"
        assert ends.stream.recv() == b""
    with pair() as ends:
        theirs = ends.peer.detach()
        ends.socket.shutdown(socket.SHUT_RD)
        assert ends.stream.recv() == b""
        socket.close(theirs)


def test_a_sender_in_the_middle_of_something_is_not_waited_for_with_a_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shutting while half of a record has left sends nothing more: a goodbye in its middle would be a broken record."""
    with pair() as ends:
        send = ends.stream._inner.send_some

        def nearly_full(piece: memoryview, sent: list[int], *, blocking: bool) -> None:
            if len(piece) == 20:  # less than a goodbye would fill
                raise BlockingIOError
            send(piece[:-20], sent, blocking=blocking)

        monkeypatch.setattr(ends.stream._inner, "send_some", nearly_full)
        with pytest.raises(BlockingIOError):
            ends.stream.send_some(memoryview(b"x" * 100), [], blocking=False)
        monkeypatch.undo()
        ends.stream.shut()
        with pytest.raises(ssl.SSLEOFError):
            ends.read(100)


def test_what_is_no_tls_ends_the_line_behind_what_was() -> None:
    """A broken record is an error that says so, once what came whole before it is read."""
    with pair() as ends:
        ends.peer.sendall(b"good")
        raw = socket.socket(fileno=ends.peer.detach())
        with closing(raw):
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"?" * 32)
            assert ends.stream.recv() == b"good"
            with pytest.raises(TlsError, match="TLS failed: decryption failed or bad record mac"):
                ends.stream.recv()
            with pytest.raises(OSError, match="TLS failed"):
                send_all(ends.stream, b"x")


def test_what_tls_answers_goes_before_the_next_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reading makes TLS say is not sent by the thread that reads: it asks for a write, and goes first in it."""
    with pair() as ends:
        taken = bytearray()

        class Taker(PlainStream):
            def send_some(self, piece: memoryview, sent: list[int], *, blocking: bool) -> None:
                taken.extend(piece[:3])
                sent.append(len(piece[:3]))

        read = ends.stream._read_into

        def answering(pieces: list[bytes]) -> None:
            read(pieces)
            ends.stream._outgoing.write(b"answer")

        monkeypatch.setattr(ends.stream, "_inner", Taker(ends.socket))
        monkeypatch.setattr(ends.stream, "_read_into", answering)
        monkeypatch.setattr(ends.stream._tls, "write", lambda _: ends.stream._outgoing.write(b"\x17\x03\x03\x00\x04data"))
        ends.stream._decrypt(b"")
        assert (ends.nudges, bytes(taken)) == (1, b"")
        sent = [0]
        ends.stream.send_some(memoryview(b"plain"), sent, blocking=True)
        assert bytes(taken) == b"answer" + b"\x17\x03\x03\x00\x04data"
        assert sum(sent) == 5
        monkeypatch.setattr(tls, "_MOST_ANSWER_BYTES", 4 * len(b"answer"))
        for _ in range(3):
            ends.stream._decrypt(b"")
        with pytest.raises(ConnectionAbortedError, match="reads none of it"):
            ends.stream._decrypt(b"")


def test_a_sender_waits_while_tls_agrees_on_new_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS 1.2 may take no data for a while: who may wait does, who may not gets BlockingIOError, and the end ends the wait."""
    with pair(version=ssl.TLSVersion.TLSv1_2) as ends:
        encrypt, busy = ends.stream._tls.write, threading.Event()

        def renegotiating(piece: memoryview) -> int:
            if busy.is_set():
                raise ssl.SSLWantReadError
            return encrypt(piece)

        monkeypatch.setattr(ends.stream._tls, "write", renegotiating)
        busy.set()
        sent = [0]
        with pytest.raises(BlockingIOError):
            ends.stream.send_some(memoryview(b"data"), sent, blocking=False)
        ends.stream.wait_until_writable(0.0)
        sender = in_thread(lambda: ends.stream.send_some(memoryview(b"data"), sent, blocking=True))
        busy.clear()
        assert ends.read(4) == b"data"
        sender.join(PATIENCE_S)
        assert sum(sent) == 4
        busy.set()
        ends.stream.shut()
        with pytest.raises(ConnectionAbortedError, match="ended while TLS agreed"):
            ends.stream.send_some(memoryview(b"data"), sent, blocking=True)


def test_records_that_carry_data_are_told_from_others() -> None:
    """Only a record of application data shows that plaintext was encrypted, wherever it stands."""
    handshake, data = b"\x16\x03\x03\x00\x02\x17\x17", b"\x17\x03\x03\x00\x03abc"
    assert not carries_data(b"")
    assert not carries_data(handshake * 3)
    assert carries_data(data)
    assert carries_data(handshake + data)
