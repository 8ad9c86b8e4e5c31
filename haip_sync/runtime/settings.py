"""What a connection is to be, checked: every argument of `HAIPClient` that is not credit's."""

from __future__ import annotations

import msgspec

from haip_sync.config import DEFAULT_MAX_FRAME_BYTES, FlowControlConfig, HeartbeatPolicy, Limits, ReconnectPolicy
from haip_sync.runtime.address import Address
from haip_sync.runtime.route import Route


class Settings(msgspec.Struct, frozen=True, eq=False):
    """Immutable. What may be secret is in `route`, which keeps it out of `repr`, as it is out of every log, error and event."""

    route: Route
    session_id: str
    flow_control: FlowControlConfig
    reconnect: ReconnectPolicy
    heartbeat: HeartbeatPolicy
    dialect: str
    keeps_inbox: bool
    stall_warning_s: float | None
    name: str
    limits: Limits

    @property
    def address(self) -> Address:
        """Where the server is."""
        return self.route.address

    @property
    def max_frame_bytes(self) -> int:
        """The largest frame to take in: the limit; where that is the default, no less than what we grant a channel at first."""
        limit = self.limits.max_frame_bytes
        if limit != DEFAULT_MAX_FRAME_BYTES:
            return limit
        return max(limit, *(self.flow_control.initial_for(channel)[1] for channel in self.flow_control.named_channels()))

    def __repr__(self) -> str:
        return f"Settings({self.address.text}, name={self.name!r})"
