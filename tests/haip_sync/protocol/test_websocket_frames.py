"""Our WebSocket frames against websocket-client's: what we write it reads, and what a server writes both read alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.raw_websocket import frame
from websocket import ABNF, WebSocket

from haip_sync.protocol.websocket_frames import masked_frame
from haip_sync.runtime import masking
from haip_sync.runtime.frame_limit import guard
from haip_sync.runtime.masking import fastest_mask, mask_in_python, new_key
from haip_sync.runtime.socket_in_place import SocketInPlace

LIMIT = 70_000
SIZES = st.sampled_from([0, 1, 3, 4, 125, 126, 127, 4_095, 4_096, 4_097, 65_535, 65_536, LIMIT]) | st.integers(0, 300)
OPCODES = st.sampled_from([ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY])


class Pieces:
    """A stream that brings these pieces, and then its end."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        ends = sorted({*(cut for cut in cuts if 0 < cut < len(data)), len(data)})
        self._pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]

    def recv(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def shut(self) -> None:
        return


def read_by(stream: Pieces, *, is_ahead: bool) -> tuple[list[tuple[int, bytes]], type[Exception] | None, list[bytes]]:
    """Return the messages, how the stream ended, and what was answered; `is_ahead`: as `Line` reads, or by the oracle alone."""
    answers: list[bytes] = []
    in_place: Any = SocketInPlace(stream, b"")  # type: ignore[arg-type]
    in_place.divert = lambda data: answers.append(ABNF.mask(bytes(data)[2:6], bytes(data)[6:]))
    oracle = WebSocket(skip_utf8_validation=True)
    oracle.sock, oracle.connected = in_place, True
    guard(oracle, LIMIT)
    messages: list[tuple[int, bytes]] = []
    while True:
        try:
            message = in_place.next_message(LIMIT) if is_ahead else None
            opcode, data = message or oracle.recv_data()
        except Exception as exc:
            return messages, type(exc), answers
        if opcode == ABNF.OPCODE_CLOSE:
            return messages, None, answers
        messages.append((opcode, bytes(data)))


whole = st.builds(lambda opcode, size: frame(b"w" * size, opcode=opcode), OPCODES, SIZES)
fragmented = st.builds(
    lambda opcode, sizes, ping: (
        frame(b"a" * sizes[0], opcode=opcode, fin=False)
        + ping
        + b"".join(frame(b"b" * size, opcode=0, fin=False) for size in sizes[1:])
        + frame(b"c", opcode=0)
    ),
    OPCODES,
    st.lists(st.integers(0, 200), min_size=1, max_size=3),
    st.sampled_from([b"", frame(b"ping", opcode=9)]),
)
control = st.sampled_from([frame(b"ping", opcode=9), frame(b"", opcode=10), frame(b"", opcode=9)])
bad = st.sampled_from(
    [
        frame(b"x", rsv=4),
        frame(b"x", opcode=3),
        frame(b"x", opcode=0),
        b"\x81\x81key!x",
        b"\x81\xfe\x00\x80key!",
        frame(b"x" * 126, opcode=9),
        frame(b"x" * (LIMIT + 1)),
        frame(b"", announced=1 << 62),
        frame(b"\x03\xe8", opcode=8),
        b"\x81",
        b"\x82\x7e\x01",
        b"\x81\x7f\x00\x00\x00",
        frame(b"cut short")[:-3],
    ]
)


@given(
    st.lists(whole | fragmented | control, max_size=6),
    st.none() | bad,
    st.lists(whole, max_size=1),
    st.lists(st.integers(0, 1_000) | st.integers(0, 300_000), max_size=8),
)
def test_what_is_read_ahead_is_what_websocket_client_reads(
    good: list[bytes], wrong: bytes | None, after: list[bytes], cuts: list[int]
) -> None:
    """However the bytes come in pieces, the same messages come out, the same answers leave, and the same end is met."""
    data = b"".join((*good, wrong or b"", *after))
    ahead, alone = (read_by(Pieces(data, cuts), is_ahead=is_ahead) for is_ahead in (True, False))
    assert ahead == alone


@given(
    OPCODES | st.sampled_from([ABNF.OPCODE_CLOSE, ABNF.OPCODE_PONG]),
    SIZES.flatmap(lambda n: st.just(bytes(i & 0xFF for i in range(n)))),
)
def test_what_we_write_websocket_client_reads(opcode: int, payload: bytes) -> None:
    """A frame of ours is byte for byte websocket-client's own with the same key."""
    key = new_key()
    theirs = ABNF.create_frame(payload, opcode)
    theirs.get_mask_key = lambda _size: key
    assert masked_frame(opcode, payload, key, mask_in_python) == bytes(theirs.format())


@given(st.binary(min_size=4, max_size=4), st.integers(0, 5_000) | st.sampled_from([4_095, 4_096, 4_097, 65_536, 100_003]))
def test_masks_agree(key: bytes, size: int) -> None:
    """Python and C mask alike, and masking twice is the data again."""
    data = bytes(i * 7 & 0xFF for i in range(size))
    assert mask_in_python(data, key) == bytes(fastest_mask()(data, key)) == bytes(ABNF.mask(key, data))
    assert mask_in_python(mask_in_python(data, key), key) == data


def test_without_the_accelerator_python_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where websockets is not installed, or has no C, nothing is missing."""

    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(masking, "import_module", missing)
    assert masking.fastest_mask.__wrapped__() is mask_in_python


def test_keys_are_drawn_once() -> None:
    """No key is used twice but by chance, over more of them than are drawn at a time."""
    keys = [new_key() for _ in range(3_000)]
    assert {len(key) for key in keys} == {4}
    assert len(set(keys)) > 2_990
