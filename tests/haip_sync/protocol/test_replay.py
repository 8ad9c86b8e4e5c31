"""Frames of ours that the peer may ask for again."""

from __future__ import annotations

from haip_sync.protocol.frames import Frame, FrameMaker
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.replay import KEPT_MESSAGES, KEPT_S, ReplayWindow, Resend, TooOld

MAKER = FrameMaker("11111111-1111-4111-8111-111111111111", new_id)


def data(payload: bytes = b'"x"') -> Frame:
    """Return a data frame."""
    return MAKER.make("USER", "MESSAGE", payload)


def control() -> Frame:
    """Return a control frame."""
    return MAKER.make("SYSTEM", "PING", b"{}")


def filled(count: int, *, max_bytes: int = 1 << 20, acknowledged: int = 0, step_s: float = 0.0) -> ReplayWindow:
    """Return a window into which `count` data frames were put, one after another, `step_s` apart."""
    window = ReplayWindow(max_bytes)
    for seq in range(1, count + 1):
        window.keep([data()], seq, seq * step_s, acknowledged=acknowledged)
    return window


def test_what_the_peer_lacks_is_given_in_order() -> None:
    """Everything after the number that the peer names comes again, under the same numbers and as the same frames."""
    window, frames = ReplayWindow(), [data(), data(), data(), data()]
    window.keep(frames[:1], 1, 0.0)
    window.keep(frames[1:], 2, 0.0)
    assert window.since(2) == (Resend(3, frames[2]), Resend(4, frames[3]))
    assert window.since(4) == ()
    assert window.slice(1, 2) == (Resend(1, frames[0]), Resend(2, frames[1]))


def test_a_control_frame_leaves_a_hole() -> None:
    """Of a control frame only the number comes again: a FLOW_UPDATE would grant twice."""
    window, frame = ReplayWindow(), data()
    window.keep([control()], 1, 0.0)
    window.keep([frame], 2, 0.0)
    assert window.since(0) == (Resend(1, None), Resend(2, frame))


def test_keeping_twice_is_once() -> None:
    """An interrupted commit is done again, and the frames are there once."""
    window, frames = ReplayWindow(), [data(), data()]
    window.keep(frames, 1, 0.0)
    window.keep(frames, 1, 9.0)
    assert window.since(0) == (Resend(1, frames[0]), Resend(2, frames[1]))


def test_the_latest_thousand_stay_however_old_and_acknowledged() -> None:
    """A thousand messages are kept for as long as no others follow."""
    window = filled(KEPT_MESSAGES, acknowledged=KEPT_MESSAGES, step_s=KEPT_S)
    assert window.oldest_seq == 1


def test_beyond_a_thousand_what_is_acknowledged_goes() -> None:
    """What the peer has need not be kept beyond the thousand."""
    assert filled(KEPT_MESSAGES + 5, acknowledged=3).oldest_seq == 4
    assert filled(KEPT_MESSAGES + 5, acknowledged=KEPT_MESSAGES).oldest_seq == 6


def test_beyond_a_thousand_what_is_old_goes() -> None:
    """What is older than five minutes need not be kept beyond the thousand."""
    window = ReplayWindow()
    for seq in range(1, KEPT_MESSAGES + 1):
        window.keep([data()], seq, 0.0)
    window.keep([data()], KEPT_MESSAGES + 1, KEPT_S)
    assert window.oldest_seq == 1
    window.keep([data()], KEPT_MESSAGES + 2, KEPT_S + 1)
    assert window.since(0) == TooOld(3)


def test_the_bytes_are_bounded_and_the_latest_stays() -> None:
    """The oldest go when the bytes press; the latest stays, though it be larger than the bound."""
    window = ReplayWindow(1_000)
    for seq in range(1, 11):
        window.keep([data(b'"%b"' % (b"x" * 200))], seq, 0.0)
    kept = window.since(window.oldest_seq - 1)
    assert not isinstance(kept, TooOld)
    assert 1 < len(kept) < 5
    window.keep([data(b'"%b"' % (b"x" * 5_000))], 11, 0.0)
    assert window.oldest_seq == 11


def test_what_is_gone_is_too_old() -> None:
    """Asked for what is gone, the window says from which number on it can serve."""
    window = filled(5)
    window.clear()
    assert window.since(2) == TooOld(6)
    assert window.since(5) == ()
    window.keep([data()], 9, 0.0)  # 6 to 8 were never put in
    assert window.since(5) == TooOld(9)
