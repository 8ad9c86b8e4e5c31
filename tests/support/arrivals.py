"""What must be true of a server's frames, given what the senders were told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

from haip_sync.testing import ReceivedFrame
from support.soak import CHANNELS, Attempt


def check_arrivals(attempts: Sequence[Attempt], frames: Sequence[ReceivedFrame]) -> None:
    """Check that what was sent arrived once and whole, what was refused not at all, and of the stopped what their errors say."""
    arrived = by_key(frames)
    for attempt in attempts:
        _check_arrival(attempt, arrived.pop(attempt.key, []))
    assert not arrived, f"nobody sent these: {sorted(arrived)}"


def by_key(frames: Sequence[ReceivedFrame]) -> dict[str, list[ReceivedFrame]]:
    """Return the data frames of each attempt."""
    found: defaultdict[str, list[ReceivedFrame]] = defaultdict(list)
    for frame in frames:
        if frame.thread_id is not None:
            found[frame.thread_id].append(frame)
    return found


def _check_arrival(attempt: Attempt, frames: Sequence[ReceivedFrame]) -> None:
    names = [frame.type.removeprefix("MESSAGE_") for frame in frames]
    assert {frame.channel for frame in frames} <= {attempt.channel}, attempt
    match attempt.fate, attempt.kind:
        case "sent", "text" | "queued":
            assert (names[0], names[-1], {*names[1:-1]}) == ("START", "END", {"PART"} if attempt.content else set()), attempt
            assert "".join(frame.payload["text"] for frame in frames[1:-1]) == attempt.content, attempt
        case "sent", "frame":
            assert [frame.payload["params"]["text"] for frame in frames] == [attempt.content], attempt
        case "sent", "binary":
            assert [frame.binary for frame in frames] == [attempt.content.encode()], attempt
        case "partial", "text" | "queued":
            assert names == ["START", *["PART"] * attempt.parts], attempt
            assert attempt.content.startswith("".join(frame.payload["text"] for frame in frames[1:])), attempt
        case fate, _:
            assert fate in ("nothing", "waited"), attempt
            assert not frames, attempt
    if attempt.receipt is not None:
        assert {_identity(frame) for frame in frames} == {attempt.receipt.message_id}, attempt
        assert int(frames[-1].seq) == attempt.receipt.seq, attempt


def _identity(frame: ReceivedFrame) -> str:
    """Return the id of the text, or the frame's own."""
    return str(frame.payload.get("message_id", frame.id))


def check_program_order(attempts: Sequence[Attempt], arrived: Mapping[str, Sequence[ReceivedFrame]]) -> None:
    """Check that what one thread sent arrived in the order of its calls; what it queued, in that order on each channel."""
    last_blocking, last_begun = 0, dict.fromkeys(CHANNELS, 0)
    for attempt in attempts:
        frames = arrived.get(attempt.key)
        if frames:
            begins = int(frames[0].seq)
            assert begins > max(last_blocking, last_begun[attempt.channel]), attempt
            last_begun[attempt.channel] = begins
            if attempt.kind != "queued":
                last_blocking = int(frames[-1].seq)


def check_wire_order(frames: Sequence[ReceivedFrame], admitted: Mapping[str, Sequence[str]]) -> None:
    """Check that seq has no hole, and that each channel's texts came one after another in the order of admission."""
    assert [int(frame.seq) for frame in frames] == list(range(1, len(frames) + 1))
    for channel in CHANNELS:
        data = [frame for frame in frames if frame.channel == channel]
        assert [identity for identity, _ in groupby(data, _identity)] == list(admitted[channel])


def check_pauses(frames: Sequence[ReceivedFrame]) -> None:
    """Check that nothing of ours came on a channel between our PAUSE_CHANNEL and our RESUME_CHANNEL."""
    held: set[str] = set()
    for frame in frames:
        match frame.type:
            case "PAUSE_CHANNEL":
                held.add(frame.payload["channel"])
            case "RESUME_CHANNEL":
                held.discard(frame.payload["channel"])
            case _:
                assert frame.channel not in held, f"{frame.type} {frame.seq} came on {frame.channel} in our own pause"
