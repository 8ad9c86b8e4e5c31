"""What a peer may do with WebSocket frames, and what it may make us remember."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from support.lines import ONE_LINE
from support.raw_websocket import RawPeer, frame, raw_peer
from support.turnstiles import PATIENCE_S, until
from websocket import WebSocket

from haip_sync import ConnectionClosedError, HAIPClient, Limits, ProtocolError
from haip_sync.protocol.names import ACCEPTED_TYPES
from haip_sync.protocol.websocket_frames import BrokenStreamError
from haip_sync.runtime.frame_limit import guard

LIMIT = 1_000


def hai(frame_type: str = "HAI") -> bytes:
    """Return the peer's HAI as a WebSocket frame."""
    payload = {"accept_major": [1], "accept_events": ACCEPTED_TYPES}
    envelope = {"id": "1", "session": "s", "seq": "1", "ts": "1", "channel": "SYSTEM", "type": frame_type, "payload": payload}
    return frame(json.dumps(envelope).encode())


class Wire:
    """A WebSocket of websocket-client that reads these bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.web_socket = WebSocket(skip_utf8_validation=True)
        self.web_socket.frame_buffer.recv = self._recv
        guard(self.web_socket, LIMIT)

    def _recv(self, most: int) -> bytes:
        piece = self._data[self._at : self._at + most]
        if not piece:
            raise EOFError
        self._at += len(piece)
        return piece

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Yield messages until the bytes end."""
        try:
            while True:
                opcode, data = self.web_socket.recv_data()
                yield opcode, bytes(data)
        except EOFError:
            return


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (frame(b"", announced=LIMIT + 1), 1009, "announced a message of 1001 bytes, and max_frame_bytes is 1000"),
        (frame(b"", announced=1 << 40), 1009, "announced a message of 1099511627776 bytes"),
        (frame(b"", announced=(1 << 64) - 1), 1009, "announced a message of"),
        (frame(b"x" * 600, fin=False) + frame(b"y" * 600, opcode=0), 1009, "announced a message of 1200 bytes"),
        (frame(b"x" * 600, fin=False, opcode=2) + frame(b"", opcode=10) + frame(b"y" * 600, opcode=0, fin=False), 1009, "1200"),
        (frame(b"x", rsv=4), 1002, "reserved bits"),
        (frame(b"x", rsv=1), 1002, "reserved bits"),
        (frame(b"x", opcode=3), 1002, "unknown opcode 3"),
        (frame(b"x", opcode=11), 1002, "unknown opcode 11"),
        (b"\x81\x81key!x", 1002, "masks its WebSocket frames"),
        (frame(b"x" * 126, opcode=9), 1002, "control frame"),
        (frame(b"x" * 126, opcode=10), 1002, "control frame"),
        (frame(b"x" * 126, opcode=8), 1002, "control frame"),
        (frame(b"x", opcode=9, fin=False), 1002, "control frame"),
        (frame(b"x", opcode=10, fin=False), 1002, "control frame"),
        (frame(b"\x03\xe8", opcode=8, fin=False), 1002, "control frame"),
        (frame(b"x", opcode=8), 1002, "is none"),
        (frame(b"\x00\x01", opcode=8), 1002, "is none"),
        (frame(b"x", opcode=0), 1002, "out of order"),
        (frame(b"x", fin=False) + frame(b"y"), 1002, "out of order"),
        (frame(b"x", fin=False) + frame(b"y", opcode=2), 1002, "out of order"),
    ],
)
def test_a_frame_that_breaks_a_rule_ends_the_stream(data: bytes, code: int, says: str) -> None:
    """Too big in all, reserved bits, opcodes, masks, control frames, order: a ProtocolError of the peer's with its close code."""
    with pytest.raises(BrokenStreamError, match=says) as caught:
        list(Wire(data).messages())
    assert (caught.value.close_code, caught.value.blame, caught.value.code) == (code, "remote", "PROTOCOL_VIOLATION")


def test_an_announced_size_takes_no_memory() -> None:
    """A header that announces a terabyte is refused before anything is allocated for it."""
    wire = Wire(frame(b"", announced=1 << 40))
    tracemalloc.start()
    try:
        with pytest.raises(BrokenStreamError):
            list(wire.messages())
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_messages_up_to_the_limit_are_read() -> None:
    """A message of exactly the limit is taken, whole or in fragments with a ping between, and the next counts from zero."""
    parts = frame(b"a" * 400, fin=False) + frame(b"p", opcode=10) + frame(b"", opcode=0, fin=False) + frame(b"b" * 600, opcode=0)
    whole = frame(b"c" * LIMIT, opcode=2)
    assert list(Wire(parts + whole + frame(b"")).messages()) == [(1, b"a" * 400 + b"b" * 600), (2, b"c" * LIMIT), (1, b"")]


def test_many_fragments_cost_what_their_bytes_cost() -> None:
    """Fragments are added to one buffer: their number does not multiply their bytes."""
    wire = Wire(frame(b"x", fin=False) + frame(b"y", opcode=0, fin=False) + frame(b"z", opcode=0))
    assert list(wire.messages()) == [(1, b"xyz")]
    wire = Wire(frame(b"x", fin=False))
    list(wire.messages())
    assert isinstance(wire.web_socket.cont_frame.cont_data[1], bytearray)


@pytest.mark.parametrize(
    ("bad", "close_code", "says"),
    [
        (frame(b"", announced=1 << 40), 1009, "announced a message of 1099511627776 bytes, and max_frame_bytes is 10000"),
        (frame(b"x", rsv=2), 1002, "reserved bits"),
        (b"\x81\x81key!x", 1002, "masks"),
    ],
)
def test_the_peer_is_told_and_the_caller_too(bad: bytes, close_code: int, says: str) -> None:
    """ERROR and a close frame with the code leave; the connection's error names what was wrong, its cause blames the peer."""
    heard: list[tuple[int, bytes]] = []

    def script(peer: RawPeer) -> None:
        peer.send(hai())
        peer.send(bad)
        heard.extend(peer.hears_all())

    with raw_peer(script) as url:
        client = HAIPClient(url, limits=Limits(max_frame_bytes=10_000), reconnect=ONE_LINE)
        client.connect(PATIENCE_S)
        with pytest.raises(ConnectionClosedError, match=says):
            client.receive(PATIENCE_S)
        failure = client._connection.failure
        assert failure is not None
        assert isinstance(failure.__cause__, ProtocolError)
        assert failure.__cause__.blame == "remote"
        client.close()
    assert [opcode for opcode, _ in heard] == [1, 1, 8]
    error = json.loads(heard[1][1])
    assert (error["type"], error["payload"]["code"]) == ("ERROR", "PROTOCOL_VIOLATION")
    assert says in error["payload"]["message"]
    assert int.from_bytes(heard[2][1][:2], "big") == close_code


def test_a_broken_stream_in_the_handshake_fails_it() -> None:
    """What comes in place of the HAI may be no WebSocket frame: connect says so."""

    def script(peer: RawPeer) -> None:
        peer.send(frame(b"", announced=1 << 30))
        peer.hears_all()

    with raw_peer(script) as url, pytest.raises(ConnectionClosedError, match="announced a message of 1073741824 bytes"):
        HAIPClient(url).connect(PATIENCE_S)


def flood(lines: int) -> Callable[[RawPeer], object]:
    """Return a script that sends so many frames that cannot be read."""

    def script(peer: RawPeer) -> None:
        peer.send(hai())
        for _ in range(lines):
            peer.send(frame(b"no JSON\n\x1b[2J"))
        peer.hears_all()

    return script


def test_a_flood_of_nonsense_is_logged_in_bounds(caplog: pytest.LogCaptureFixture) -> None:
    """Warnings about the peer are bounded per second; how many were left out is logged, and none breaks its line."""
    with raw_peer(flood(500)) as url:
        client = HAIPClient(url, limits=Limits(max_log_lines_per_s=3))
        client.connect(PATIENCE_S)
        until(lambda: client._connection.rooms.session.last_seq >= 501)
        client.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "haip_sync.connection"]
    told = sum("no HAIP envelope" in line for line in lines)
    left_out = sum(int(line.split()[0]) for line in lines if line.endswith("more suppressed"))
    assert told + left_out == 500
    assert told < 100
    assert all(line.isprintable() for line in lines)
