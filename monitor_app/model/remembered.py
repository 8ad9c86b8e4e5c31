"""What a program remembers of a client, as snapshots: what it does not remember is as it is now."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from haip_sync import ChannelState, ConnectionState
from haip_sync.observe import ChannelSample, Sample


def states_of(samples: Iterable[Sample], now: ConnectionState) -> list[tuple[float, ConnectionState]]:
    """Return each sample's time with the client as it was then; caps, peaks and what came from the peer are those of `now`."""
    return [(sample.time_s, _state_then(sample, now)) for sample in samples]


def _state_then(sample: Sample, now: ConnectionState) -> ConnectionState:
    channels = {name: _channel_then(then, now.channels[name]) for name, then in sample.channels.items() if name in now.channels}
    return msgspec.structs.replace(now, connected=sample.connected, channels=channels)


def _channel_then(then: ChannelSample, now: ChannelState) -> ChannelState:
    known = {name: getattr(then, name) for name in then.__struct_fields__}
    # What was granted is spent, left over, set aside or forfeited; of the last two we know only what they are now.
    known["granted"] = then.sent_messages + then.credits + now.set_aside + now.forfeited
    known["granted_bytes"] = then.sent_bytes + then.byte_credits + now.set_aside_bytes + now.forfeited_bytes
    return msgspec.structs.replace(now, **known, waiting=then.backlog, queued=0, queued_bytes=0, missing=0, last_grant_age=None)
