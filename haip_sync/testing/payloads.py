"""The payloads that this server reads, typed and checked (HAIP 1.1.2). No state, no thread."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from haip_sync.testing.wire import ChannelName, Decimal, FromOne, FromZero, WireError

PayloadT = TypeVar("PayloadT")


class FlowFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a HAI says about the first credit; None where it says nothing."""

    initial_credit_messages: FromZero | None = None
    initial_credit_bytes: FromZero | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a HAI's capabilities that concerns us."""

    flow_control: FlowFields = FlowFields()


class HaiPayload(msgspec.Struct, frozen=True, kw_only=True):
    """The client's HAI."""

    haip_version: str
    accept_major: list[FromZero]
    accept_events: list[str]
    capabilities: Capabilities = Capabilities()


class FlowPayload(msgspec.Struct, frozen=True, kw_only=True):
    """FLOW_UPDATE, in the specification's form and in that of a published example (`action` and `credits`)."""

    channel: ChannelName
    add_messages: FromOne | None = None
    add_bytes: FromOne | None = None
    action: Literal["request_credits", "grant_credits", "reduce_credits"] | None = None
    credits: FromOne | None = None


class ChannelPayload(msgspec.Struct, frozen=True, kw_only=True):
    """PAUSE_CHANNEL and RESUME_CHANNEL."""

    channel: ChannelName


class ReplayPayload(msgspec.Struct, frozen=True, kw_only=True):
    """REPLAY_REQUEST: both ends belong to it."""

    from_seq: Decimal
    to_seq: Decimal | None = None


class TextPayload(msgspec.Struct, frozen=True, kw_only=True):
    """START, PART and END of a text, in either dialect."""

    message_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    author: str | None = None
    text: str = ""


def read_payload(payload: Any, kind: type[PayloadT]) -> PayloadT:
    """Return `payload` as `kind`. Raises `WireError`, saying why."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise WireError(f"bad payload: {error}") from error
