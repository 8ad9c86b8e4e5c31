"""Frames are found in any stream, whatever pieces it comes in, and the right one is changed in the right way."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode
from websockets.streams import StreamReader

from haip_sync.errors import ConfigError
from haip_sync.testing import Faults, FrameFault
from haip_sync.testing.fault_editor import FrameEditor
from haip_sync.testing.fault_frames import Frame, FrameBounds, NoFrameError, Upgrade
from haip_sync.testing.fault_rules import FrameRules

REQUEST = b"GET /haip HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
KEY = b"\x01\x80\xff\x3c"
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 70_000)


def written(payload: bytes, *, opcode: int = 1, fin: bool = True, rsv: int = 0, key: bytes = b"") -> bytes:
    """Return a frame, written out byte by byte, without the code that is tested."""
    size = len(payload)
    mask = 0x80 if key else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([mask | size])
    elif size < 65_536:
        head += bytes([mask | 126, size >> 8, size & 0xFF])
    else:
        head += bytes([mask | 127]) + bytes(size >> shift & 0xFF for shift in range(56, -8, -8))
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if key else payload
    return head + key + body


def read(data: bytes, *, masked: bool) -> list[tuple[int, bytes]]:
    """Return the frames in `data` as the library of the server reads them, as (opcode, payload). Raises its `ProtocolError`."""
    reader, found = StreamReader(), []
    reader.feed_data(data)
    reader.feed_eof()
    while len(reader.buffer):
        parsing = LibraryFrame.parse(reader.read_exact, mask=masked)
        try:
            while True:
                next(parsing)
        except StopIteration as parsed:
            found.append((int(parsed.value.opcode), bytes(parsed.value.data)))
    return found


def dice(seed: int) -> Random:
    """Return chance that repeats itself."""
    return Random(seed)  # noqa: S311


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return `data` cut at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def editor(*faults: FrameFault, seed: int = 1, is_answer: bool = False) -> FrameEditor:
    """Return an editor behind the HTTP upgrade; what a test raises is an error here."""
    made = FrameEditor(rules(*faults), dice(seed), is_answer=is_answer)
    head = ANSWER if is_answer else REQUEST
    assert made.feed(head) == head
    return made


def rules(*faults: FrameFault) -> FrameRules:
    """Return rules that raise what a test raises."""

    def fail(failure: Exception) -> None:
        raise failure

    return FrameRules(faults, fail)


def edited(*faults: FrameFault, frames: Iterable[bytes], **options: Any) -> bytes:
    """Return what becomes of these frames."""
    made = editor(*faults, **options)
    return b"".join(map(made.feed, frames)) + made.finish()


streams = st.lists(
    st.builds(
        written,
        st.binary(max_size=40) | st.sampled_from(SIZES).map(bytes),
        opcode=st.sampled_from([0, 1, 2, 8, 9, 10]),
        fin=st.booleans(),
        rsv=st.integers(0, 7),
        key=st.just(b"") | st.binary(min_size=4, max_size=4),
    ),
    max_size=8,
)
places = st.lists(st.integers(0, 400_000), max_size=30)


@settings(deadline=None)
@given(streams, places)
def test_any_pieces_give_the_same_frames(frames: list[bytes], cuts: list[int]) -> None:
    """Where frames end does not depend on how the stream was cut."""
    bounds, before, found = FrameBounds(), 0, []
    for piece in pieces(b"".join(frames), cuts):
        found += [before + end for end in bounds.ends(piece)]
        before += len(piece)
    assert found == [sum(map(len, frames[: count + 1])) for count in range(len(frames))]
    assert bounds.between_frames


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20).map(written), max_size=5))
def test_bytes_one_by_one_give_the_same_frames(frames: list[bytes]) -> None:
    """A piece may be a single byte, so that every header is cut everywhere."""
    bounds = FrameBounds()
    assert sum(len(bounds.ends(bytes([byte]))) for byte in b"".join(frames)) == len(frames)


@settings(deadline=None)
@given(streams, places, st.booleans())
def test_without_rules_every_byte_passes_at_once(frames: list[bytes], cuts: list[int], is_answer: bool) -> None:
    """Nothing is held back or changed, and the frames are counted."""
    made = FrameEditor(rules(), dice(1), is_answer=is_answer)
    for piece in pieces((ANSWER if is_answer else REQUEST) + b"".join(frames), cuts):
        assert made.feed(piece) == piece
    assert (made.frames, made.finish()) == (len(frames), b"")


@settings(deadline=None)
@given(streams, places, st.integers(1, 9))
def test_the_nth_frame_is_dropped_whatever_the_pieces(frames: list[bytes], cuts: list[int], number: int) -> None:
    """All others pass as they are, the upgrade as well."""
    made = FrameEditor(rules(FrameFault(action="drop", number=number)), dice(1), is_answer=False)
    out = b"".join(made.feed(piece) for piece in pieces(REQUEST + b"".join(frames), cuts)) + made.finish()
    assert out == REQUEST + b"".join(frames[: number - 1] + frames[number:])


@settings(deadline=None)
@given(streams, places, st.data())
def test_rules_may_come_and_go_anywhere(frames: list[bytes], cuts: list[int], data: st.DataObject) -> None:
    """Rules that change nothing lose and move no byte, though they come or go in the middle of a frame."""
    harmless, none = rules(FrameFault(action="drop", number=1_000)), rules()
    made, out = editor(), b""
    for piece in pieces(b"".join(frames), cuts):
        out += made.use(data.draw(st.sampled_from([harmless, none]))) + made.feed(piece)
    assert out + made.finish() == b"".join(frames)
    assert made.frames == len(frames)


def test_a_frame_that_has_begun_before_the_rules_passes_as_it_is() -> None:
    """Its beginning has left, so the rules begin with the next one."""
    first, second, third = (written(text) for text in (b"first", b"second", b"third"))
    made = editor()
    assert made.feed(first[:3]) == first[:3]
    assert made.use(rules(FrameFault(action="drop"))) == b""
    assert made.feed(first[3:] + second) == first[3:]
    assert made.feed(third[:4]) == b""
    assert made.use(rules()) == third[:4]
    assert made.use(rules(FrameFault(action="drop"))) == b""
    assert made.feed(third[4:] + second) == third[4:]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", [b"", KEY])
def test_a_payload_is_read_behind_any_header(size: int, key: bytes) -> None:
    """Three forms of the size, with a mask and without."""
    payload = bytes(at % 251 for at in range(size))
    frame = Frame(written(payload, opcode=2, key=key))
    assert frame.payload == payload
    assert frame.text is None


@pytest.mark.parametrize("key", [b"", KEY])
def test_only_a_whole_plain_text_frame_has_a_text(key: bytes) -> None:
    """A binary one, a fragment and a compressed one have none."""
    assert Frame(written("Grüße".encode(), key=key)).text == "Grüße"
    assert Frame(written(b"x", opcode=2, key=key)).text is None
    assert Frame(written(b"x", fin=False, key=key)).text is None
    assert Frame(written(b"x", opcode=0, key=key)).text is None
    assert Frame(written(b"x", rsv=4, key=key)).text is None


@pytest.mark.parametrize("key", [b"", KEY])
@settings(deadline=None)
@given(text=st.text(min_size=1, max_size=300), seed=st.integers(0, 99))
def test_a_garbled_text_is_another_text_in_a_good_frame(key: bytes, text: str, seed: int) -> None:
    """The peer can read the frame, it is UTF-8, as long as before, and different; what is not ASCII is not touched."""
    out = Frame(written(text.encode(), key=key)).garbled(dice(seed))
    ((opcode, payload),) = read(out, masked=bool(key))
    assert opcode == Opcode.TEXT
    assert len(payload) == len(text.encode())
    assert [byte for byte in payload if byte > 127] == [byte for byte in text.encode() if byte > 127]
    payload.decode()
    assert (payload != text.encode()) == any(character < "\x80" for character in text)


@pytest.mark.parametrize("key", [b"", KEY])
@pytest.mark.parametrize("size", [1, 125, 126, 200, 253, 131_073])
def test_what_the_peer_reads_of_a_frame_that_is_changed(key: bytes, size: int) -> None:
    """No UTF-8 any more; half of the payload in a good frame; a header that lies; reserved bits."""
    payload = b"a" * size
    data = written(payload, key=key)
    frame = Frame(data)
    ((_, no_text),) = read(frame.garbled_encoding(dice(1)), masked=bool(key))
    with pytest.raises(UnicodeDecodeError):
        no_text.decode()
    assert read(frame.shortened(), masked=bool(key)) == [(1, payload[: size // 2])]
    cut = frame.truncated()
    assert data.startswith(cut)
    assert len(data) - len(cut) == size - size // 2
    with pytest.raises(ProtocolError):
        read(frame.garbled_header(), masked=bool(key))
    assert frame.garbled_header()[1:] == data[1:]


def test_an_empty_frame_stays_as_it_is_where_only_its_payload_can_be_changed() -> None:
    """There is no bit to flip and no half to leave out."""
    data = written(b"", key=KEY)
    frame = Frame(data)
    assert [frame.garbled(dice(1)), frame.garbled_encoding(dice(1)), frame.shortened(), frame.truncated()] == [data] * 4


A, B, C, D = (written(text, key=KEY) for text in (b'{"n":1}', b'{"n":2}', b'{"n":3}', b'{"n":4}'))


@pytest.mark.parametrize(
    ("faults", "arrives"),
    [
        ([FrameFault(action="drop", number=2)], A + C + D),
        ([FrameFault(action="duplicate", number=2)], A + B + B + C + D),
        ([FrameFault(action="swap", number=2)], A + C + B + D),
        ([FrameFault(action="swap", number=4)], A + B + C + D),
        ([FrameFault(action="swap")], B + A + D + C),
        ([FrameFault(action="swap", number=1), FrameFault(action="drop", number=2)], A + C + D),
        ([FrameFault(action="drop", number=2), FrameFault(action="duplicate", number=2)], A + C + D),
        ([FrameFault(action="drop", when=lambda text: '"n":3' in text)], A + B + D),
        ([FrameFault(action="drop", number=2, when=lambda text: '"n":3' in text)], A + B + C + D),
        ([FrameFault(action="drop", times=2)], C + D),
        ([FrameFault(action="drop", probability=0)], A + B + C + D),
        ([FrameFault(action="cut", number=3)], A + B),
        ([FrameFault(action="reset", number=1)], b""),
        ([FrameFault(action="swap", number=1), FrameFault(action="cut", number=2)], A),
        ([FrameFault(action="truncate", number=2)], A + B[: 6 + 3] + C + D),
    ],
)
def test_what_arrives_of_four_frames(faults: list[FrameFault], arrives: bytes) -> None:
    """The frames that a fault means are dropped, doubled, swapped, cut off; the first fault that means one happens."""
    assert edited(*faults, frames=[A + B + C + D]) == arrives
    assert edited(*faults, frames=[bytes([byte]) for byte in A + B + C + D]) == arrives


@pytest.mark.parametrize(("action", "cut"), [("cut", "cut"), ("reset", "reset"), ("drop", None)])
def test_a_cut_is_told_and_lets_nothing_more_through(action: Any, cut: str | None) -> None:
    """Whoever owns the sockets learns how to end them, and whatever comes later is forgotten."""
    made = editor(FrameFault(action=action, number=2))
    made.feed(A + B)
    assert made.cut == cut
    assert made.feed(C) == (C if cut is None else b"")


def test_times_are_counted_over_all_connections() -> None:
    """A fault that is to happen once happens to one connection's frame, though all share its number."""
    shared = rules(FrameFault(action="drop", number=1, times=1))
    first, second = (FrameEditor(shared, dice(1), is_answer=False) for _ in range(2))
    assert (first.feed(REQUEST + A), second.feed(REQUEST + A)) == (REQUEST, REQUEST + A)


def test_chance_is_the_seeds() -> None:
    """The same seed drops the same frames, whatever the pieces; about as many as it should."""
    fault = FrameFault(action="drop", probability=0.25)
    stream = A * 400
    kept = edited(fault, frames=[stream], seed=7)
    assert kept == edited(fault, frames=[stream], seed=7)
    assert 0.6 < len(kept) / len(stream) < 0.9
    garble = FrameFault(action="garble")
    once, again, other = (edited(garble, frames=[stream], seed=seed) for seed in (7, 7, 8))
    assert once == again != other


def test_a_test_that_raises_is_told_and_its_frame_passes() -> None:
    """It must not end the connection, and must not be lost."""
    told: list[Exception] = []
    fault = FrameFault(action="drop", when=lambda text: text.index("x") >= 0)
    made = FrameEditor(FrameRules((fault,), told.append), dice(1), is_answer=False)
    assert made.feed(REQUEST + A) == REQUEST + A
    assert [type(failure) for failure in told] == [ValueError]


def test_a_refused_upgrade_has_no_frames() -> None:
    """What comes behind an answer that is not 101 is no frame, so nothing of it is dropped."""
    made = FrameEditor(rules(FrameFault(action="drop")), dice(1), is_answer=True)
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\n" + b"\x81\x02no"
    assert made.feed(refusal) + made.feed(b"\x81\x02no") == refusal + b"\x81\x02no"
    assert made.frames == 0


def test_what_is_no_http_passes() -> None:
    """A head without end is given up, so that nothing is kept of it."""
    upgrade = Upgrade(is_answer=False)
    assert upgrade.take(bytes(70_000)) == 70_000
    assert upgrade.has_failed
    made = FrameEditor(rules(FrameFault(action="drop")), dice(1), is_answer=False)
    assert [len(made.feed(bytes(70_000))) for _ in range(2)] == [70_000, 70_000]


def test_a_size_that_no_frame_has_ends_the_looking() -> None:
    """From there on everything passes, what was held back first."""
    nonsense = b"\x82\x7f" + b"\xff" * 8
    with pytest.raises(NoFrameError):
        FrameBounds().ends(nonsense)
    made = editor(FrameFault(action="drop", number=9))
    assert made.feed(A + B[:3]) == A
    assert made.feed(B[3:]) == B
    assert made.feed(nonsense[:5]) == b""
    assert made.feed(nonsense[5:] + C) == nonsense + C
    assert made.feed(D) == D


def test_a_frame_that_is_too_large_to_be_held_passes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one behind it is looked at again."""
    monkeypatch.setattr("haip_sync.testing.fault_editor._MOST_HELD_BYTES", 1_000)
    large = written(b"x" * 5_000)
    faults = FrameFault(action="drop", number=1), FrameFault(action="drop", number=2)
    assert edited(*faults, frames=pieces(large + A + B, range(0, 6_000, 700))) == large + B


@pytest.mark.parametrize(
    "make",
    [
        lambda: FrameFault(action="explode"),  # type: ignore[arg-type]
        lambda: FrameFault(action="drop", number=0),
        lambda: FrameFault(action="drop", times=0),
        lambda: FrameFault(action="drop", when="text"),  # type: ignore[arg-type]
        lambda: FrameFault(action="drop", probability=1.5),
        lambda: FrameFault(action="drop", probability=float("nan")),
        lambda: FrameFault(action="drop", probability=True),
        lambda: Faults(delay_s=-1),
        lambda: Faults(jitter_s=float("inf")),
        lambda: Faults(bytes_per_s=0),
        lambda: Faults(bytes_per_s=float("inf")),
        lambda: Faults(frames=("drop",)),  # type: ignore[arg-type]
        lambda: Faults(frames=FrameFault),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_setting_is_refused_when_it_is_made(make: Any) -> None:
    """`ConfigError`, so that nothing is half wrong later."""
    with pytest.raises(ConfigError):
        make()


def test_frame_faults_may_be_listed_in_any_way() -> None:
    """A list becomes a tuple, and a single fault is a list of one."""
    fault = FrameFault(action="drop")
    assert Faults(frames=[fault]).frames == Faults(frames=fault).frames == (fault,)  # type: ignore[arg-type]
