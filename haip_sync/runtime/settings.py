"""What a connection is to be, checked: every argument of `HAIPClient` that is not credit's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haip_sync.config import FlowControlConfig, HeartbeatPolicy, Limits
from haip_sync.runtime.line import Address


@dataclass(frozen=True)
class Settings:
    """Immutable. Token and `hello_auth` are kept out of `repr`, as they are out of every log, error and event."""

    address: Address
    token: str | None
    hello_auth: Mapping[str, Any] | None
    session_id: str
    flow_control: FlowControlConfig
    heartbeat: HeartbeatPolicy
    dialect: str
    keeps_inbox: bool
    stall_warning_s: float | None
    headers: Mapping[str, str]
    name: str
    limits: Limits

    def __repr__(self) -> str:
        return f"Settings({self.address.text}, name={self.name!r})"
