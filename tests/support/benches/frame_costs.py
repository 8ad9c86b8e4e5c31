"""What a frame that arrives costs: time to understand it and to look at it, memory while nobody does.

`PYTHONPATH=tests .venv/bin/python -m support.benches.frame_costs` prints a line for each kind of frame.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
import tracemalloc
from typing import Any, Final

from haip_sync.events import Message
from haip_sync.protocol.envelope import decode_envelope
from haip_sync.protocol.names import ACCEPTED_TYPES
from haip_sync.protocol.session import Session

_MIB: Final = 1 << 20
_WORDS: Final = "A message credit pays for one frame; bytes are counted exactly, as the peer counts them. "
_ROUNDS: Final = 9


def frame(frame_type: str, payload: str) -> bytes:
    """Return a frame of the peer's with this payload, JSON already."""
    members = {"id": "11111111-2222-4333-8444-555555555555", "session": "s" * 36, "seq": "x", "ts": "1700000000000"}
    head = json.dumps(members | {"channel": "AGENT", "type": frame_type, "pv": 1}, separators=(",", ":"))
    return f'{head[:-1]},"payload":{payload}}}'.encode()


def text(size: int, word: str = _WORDS) -> bytes:
    """Return a frame of about `size` bytes, most of it text."""
    said = (word * (size // len(word) + 1))[: max(0, size - 230)]
    return frame("MESSAGE_PART", json.dumps({"message_id": "m" * 36, "text": said}, ensure_ascii=False))


def filled(piece: str, size: int, *, frame_type: str = "NEWS", member: str = "many") -> bytes:
    """Return a frame of about `size` bytes that repeats `piece` in an array."""
    return frame(frame_type, f'{{"call_id":"c","status":"OK","{member}":[{",".join([piece] * (size // (len(piece) + 1)))}]}}')


KINDS: Final[dict[str, bytes]] = {
    "250 B of text": text(250),
    "64 KB of text": text(64_000),
    "64 KB of text, not ASCII": text(64_000, _WORDS.replace("e", "ë")),
    "64 KB of results": filled('{"name":"value","number":12.5,"list":[1,2,3]}', 64_000, frame_type="TOOL_DONE", member="result"),
    "4 MB of [],[]": filled("[]", 4 * _MIB - 300),
    '4 MB of {"a":1}': filled('{"a":1}', 4 * _MIB - 300),
    '4 MB of {"a":1} as a result': filled('{"a":1}', 4 * _MIB - 300, frame_type="TOOL_DONE", member="result"),
    "4 MB of -6,-6": filled("-6", 4 * _MIB - 300),
}


def understand(session: Session, data: bytes) -> Message:
    """Do what a frame that arrives has done to it, but for credit and locks."""
    envelope = decode_envelope(data)
    received = session.receive(envelope, len(data))[-1]
    assert received.deliver, received.happenings
    return Message(
        time_s=0.0,
        channel=envelope.channel,
        type=envelope.type,
        payload=envelope.payload,
        id=envelope.id,
        session=envelope.session,
        seq=envelope.seq,
        wire_bytes=len(data),
    )


def greeted() -> Session:
    """Return a session that has shaken hands."""
    session = Session("ours")
    session.receive(decode_envelope(frame("HAI", json.dumps({"accept_events": list(ACCEPTED_TYPES)}))), 100)
    return session


def seconds(what: Any, size: int) -> float:
    """Return the processor time of a call: the best of some rounds."""
    number = max(1, 2_000_000 // (size + 200))
    return min(timeit.repeat(what, timer=time.process_time, number=number, repeat=_ROUNDS)) / number


def kept_and_peak(session: Session, data: bytes) -> tuple[float, float]:
    """Return the memory of a frame that waits and the most on the way there, over the frame's own bytes."""
    tracemalloc.start()
    copy = bytes(bytearray(data))
    message = understand(session, copy)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert message.wire_bytes == len(copy)
    return kept / len(data), peak / len(data)


def main() -> None:
    """Print the table."""
    session = greeted()
    line = "{:<30} {:>12} {:>14} {:>10} {:>10}\n"
    sys.stdout.write(line.format("frame", "arrives us", "and looked at", "kept x", "peak x"))
    for name, data in KINDS.items():
        arrives_s = seconds(lambda data=data: understand(session, data), len(data))
        looked_at_s = seconds(lambda data=data: understand(session, data).payload, len(data))
        kept, peak = kept_and_peak(session, data)
        figures = (f"{arrives_s * 1e6:.1f}", f"{looked_at_s * 1e6:.1f}", f"{kept:.1f}", f"{peak:.1f}")
        sys.stdout.write(line.format(name, *figures))


if __name__ == "__main__":
    main()
