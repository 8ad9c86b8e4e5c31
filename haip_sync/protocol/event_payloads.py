"""The payloads of data frames, typed: runs, texts, audio and tools, as HAIP 1.1.2 lists them.

A member without a default is required. An optional one may be absent or null. Members that are not listed here are ignored,
unless the frame is marked `crit` (WIRE.md, point 19).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from haip_sync.config import MOST_EXACT

SeqText = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,19}\Z")]
"""A `seq`: a decimal string."""
DecimalText = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_EXACT)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Outcome = Literal["OK", "CANCELLED", "ERROR"]
"""How a run or a tool call ended."""
Stage = Literal["QUEUED", "RUNNING", "CANCELLING"]
"""Where a tool call stands."""


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What the payloads have in common: they are immutable, and made by keyword."""


class RunStarted(Payload, frozen=True, kw_only=True):
    """RUN_STARTED. The run may be named here or in the envelope."""

    run_id: str | None = None
    thread_id: str | None = None
    metadata: Any = None


class RunFinished(Payload, frozen=True, kw_only=True):
    """RUN_FINISHED."""

    status: Outcome
    summary: str | None = None


class RunCancel(Payload, frozen=True, kw_only=True):
    """RUN_CANCEL."""

    run_id: str


class RunError(Payload, frozen=True, kw_only=True):
    """RUN_ERROR."""

    run_id: str | None = None
    code: str | None = None
    message: str | None = None


class ReplayRequest(Payload, frozen=True, kw_only=True):
    """REPLAY_REQUEST: the frames from `from_seq` on, up to `to_seq` where that is named."""

    from_seq: SeqText
    to_seq: SeqText | None = None


class TextStart(Payload, frozen=True, kw_only=True):
    """MESSAGE_START and TEXT_MESSAGE_START. `text`: the first piece, for peers that put one here."""

    message_id: str
    author: str | None = None
    text: str | None = None


class TextPart(Payload, frozen=True, kw_only=True):
    """MESSAGE_PART and TEXT_MESSAGE_PART."""

    message_id: str
    text: str


class TextEnd(Payload, frozen=True, kw_only=True):
    """MESSAGE_END and TEXT_MESSAGE_END. `tokens`: how many; published peers write numbers and decimal strings."""

    message_id: str
    tokens: Count | DecimalText | None = None


class AudioChunk(Payload, frozen=True, kw_only=True):
    """AUDIO_CHUNK. `data` is base64; without it the audio is the binary frame that follows."""

    message_id: str
    mime: str
    data: str | None = None
    duration_ms: Annotated[float, msgspec.Meta(ge=0)] | DecimalText | None = None


class ToolCall(Payload, frozen=True, kw_only=True):
    """TOOL_CALL."""

    call_id: str
    tool: str
    params: Any = None


class ToolUpdate(Payload, frozen=True, kw_only=True):
    """TOOL_UPDATE. `progress`: 0 to 100."""

    call_id: str
    status: Stage
    progress: Percent | None = None
    partial: Any = None


class ToolDone(Payload, frozen=True, kw_only=True):
    """TOOL_DONE."""

    call_id: str
    status: Outcome
    result: Any = None


class ToolCancel(Payload, frozen=True, kw_only=True):
    """TOOL_CANCEL."""

    call_id: str
    reason: str | None = None


class Tool(Payload, frozen=True, kw_only=True):
    """One entry of TOOL_LIST."""

    name: str
    description: str | None = None


class ToolList(Payload, frozen=True, kw_only=True):
    """TOOL_LIST."""

    tools: tuple[Tool, ...]


class ToolSchema(Payload, frozen=True, kw_only=True):
    """TOOL_SCHEMA. `schema` is a JSON Schema, taken as it is."""

    tool: str
    schema: Any
