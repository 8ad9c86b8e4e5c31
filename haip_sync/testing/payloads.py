"""The payloads that this server reads, typed and checked (HAIP 1.1.2). No state, no thread."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from haip_sync.testing.wire import ChannelName, Decimal, FromOne, FromZero, WireError

PayloadT = TypeVar("PayloadT")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class FlowFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a HAI says about the first credit; None where it says nothing."""

    initial_credit_messages: FromZero | None = None
    initial_credit_bytes: FromZero | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a HAI's capabilities that concerns us."""

    binary_frames: bool = False
    flow_control: FlowFields = FlowFields()


class HaiPayload(msgspec.Struct, frozen=True, kw_only=True):
    """The client's HAI."""

    haip_version: str
    accept_major: list[FromZero]
    accept_events: list[str]
    capabilities: Capabilities = Capabilities()
    auth: Any = None
    """Who the client is, in the transaction dialect."""
    last_rx_seq: Decimal | None = None
    """What it has of ours, where it resumes."""


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

    message_id: Name
    author: str | None = None
    text: str = ""


class AudioPayload(msgspec.Struct, frozen=True, kw_only=True):
    """AUDIO_CHUNK, and AUDIO."""

    message_id: Name
    mime: str
    data: str | None = None


class TransactionPayload(msgspec.Struct, frozen=True, kw_only=True):
    """TRANSACTION_START; the name is spelled as it is on the wire."""

    toolName: str | None = None  # noqa: N815
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class ToolCallPayload(msgspec.Struct, frozen=True, kw_only=True):
    """TOOL_CALL."""

    call_id: Name
    tool: str
    params: Any = msgspec.field(default_factory=dict)


class ToolCancelPayload(msgspec.Struct, frozen=True, kw_only=True):
    """TOOL_CANCEL."""

    call_id: Name
    reason: str | None = None


class ToolSchemaPayload(msgspec.Struct, frozen=True, kw_only=True):
    """TOOL_SCHEMA, as a request."""

    tool: str


class RunStartedPayload(msgspec.Struct, frozen=True, kw_only=True):
    """RUN_STARTED; the id may stand in the envelope instead."""

    run_id: Name | None = None
    thread_id: Name | None = None
    metadata: dict[str, Any] | None = None


class RunFinishedPayload(msgspec.Struct, frozen=True, kw_only=True):
    """RUN_FINISHED."""

    run_id: Name | None = None
    status: Literal["OK", "CANCELLED", "ERROR"] = "OK"
    summary: str | None = None


class RunCancelPayload(msgspec.Struct, frozen=True, kw_only=True):
    """RUN_CANCEL."""

    run_id: Name | None = None


class RunErrorPayload(msgspec.Struct, frozen=True, kw_only=True):
    """RUN_ERROR."""

    run_id: Name | None = None
    code: str
    message: str = ""


def read_payload(payload: Any, kind: type[PayloadT]) -> PayloadT:
    """Return `payload` as `kind`. Raises `WireError`, saying why."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise WireError(f"bad payload: {error}") from error
