"""The payloads that the session itself reads, typed and validated (HAIP 1.1.2)."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from haip_sync.config import check_channel
from haip_sync.errors import ConfigError, ProtocolError

MOST_CREDIT = 2**53 - 1
"""The largest amount that every JSON implementation carries exactly; a grant beyond it is a bad payload."""

_Amount = Annotated[int, msgspec.Meta(ge=0, le=MOST_CREDIT)]


class InitialCredit(msgspec.Struct, frozen=True):
    """`capabilities.flow_control` of a HAI."""

    initial_credit_messages: _Amount | None = None
    initial_credit_bytes: _Amount | None = None


class Capabilities(msgspec.Struct, frozen=True):
    """`capabilities` of a HAI; members that we do not use are ignored."""

    binary_frames: bool = False
    flow_control: InitialCredit = InitialCredit()
    max_concurrent_runs: Any = None
    """How many runs the peer allows together; anything but a whole number says nothing."""


class Hello(msgspec.Struct, frozen=True):
    """The payload of HAI. Published servers leave out what they do not care for."""

    haip_version: str = ""
    accept_major: tuple[int, ...] = (1,)
    accept_events: frozenset[str] = frozenset()
    capabilities: Capabilities = Capabilities()


class FlowUpdate(msgspec.Struct, frozen=True):
    """FLOW_UPDATE, in the form of the specification and in that of a published example (`action` and `credits`).

    The specification wants amounts >= 1; a zero is read as left out.
    """

    channel: str
    add_messages: _Amount = 0
    add_bytes: _Amount = 0
    action: str | None = None
    credits: _Amount = 0

    @property
    def messages(self) -> int:
        """Messages granted."""
        return self.add_messages + (self.credits if self.action == "grant_credits" else 0)


class ChannelName(msgspec.Struct, frozen=True):
    """PAUSE_CHANNEL and RESUME_CHANNEL."""

    channel: str


class PeerError(msgspec.Struct, frozen=True):
    """ERROR."""

    code: str
    message: str = ""
    related_id: str | None = None


class Nonce(msgspec.Struct, frozen=True):
    """PING and PONG."""

    nonce: str | int | None = None


_P = TypeVar("_P", Hello, FlowUpdate, ChannelName, PeerError, Nonce)


def read_payload(kind: type[_P], frame_type: str, payload: Any) -> _P:
    """Return `payload` as `kind`. Raises `ProtocolError` (remote) naming the frame type and what is wrong."""
    try:
        read = msgspec.convert(payload, kind)
        if isinstance(read, (FlowUpdate, ChannelName)):
            check_channel(read.channel)
    except (msgspec.ValidationError, ConfigError) as exc:
        raise ProtocolError(f"{frame_type} has a bad payload: {exc}", blame="remote") from exc
    return read
