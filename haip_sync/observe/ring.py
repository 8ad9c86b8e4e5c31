"""What a program remembers of a client: a sample a second, bounded in time and in bytes. For one thread."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from haip_sync.observe.messages import ChannelSample, Sample
from haip_sync.state import ChannelState, ConnectionState

SPAN_S: Final = 600.0
"""How far it goes back."""
MOST_BYTES: Final = 256 << 10
"""What it takes at most; with many channels it goes back less far."""
_LARGEST: Final = (1 << 63) - 1

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Sample)


class Ring:
    """Samples, oldest first. They are kept as bytes: a fifth of what the objects would take, and nothing for the collector."""

    def __init__(self, span_s: float = SPAN_S, most_bytes: int = MOST_BYTES) -> None:
        self._span_s = span_s
        self._most_bytes = most_bytes
        self._kept: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def add(self, time_s: float, state: ConnectionState) -> None:
        """Remember `state`, and forget what is too old or too much."""
        body = _ENCODER.encode(sample_of(time_s, state))
        self._kept.append((time_s, body))
        self._bytes += len(body)
        while self._kept and (self._kept[0][0] < time_s - self._span_s or self._bytes > self._most_bytes):
            self._bytes -= len(self._kept.popleft()[1])

    def samples(self) -> tuple[Sample, ...]:
        """Return what is remembered."""
        return tuple(_DECODER.decode(body) for _, body in self._kept)


def sample_of(time_s: float, state: ConnectionState) -> Sample:
    """Return what is remembered of a snapshot."""
    channels = {name: _of_channel(channel) for name, channel in state.channels.items()}
    return Sample(time_s, state.connected, channels)


def _of_channel(channel: ChannelState) -> ChannelSample:
    return ChannelSample(
        min(channel.credits, _LARGEST),
        min(channel.byte_credits, _LARGEST),
        channel.backlog,
        channel.oldest_wait,
        channel.waiting_for,
        channel.paused_by_us,
        channel.paused_by_peer,
        min(channel.sent_messages, _LARGEST),
        min(channel.sent_bytes, _LARGEST),
    )
