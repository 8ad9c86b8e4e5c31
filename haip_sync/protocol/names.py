"""The event types of HAIP 1.1.2, and what they are to credit."""

from __future__ import annotations

from typing import Final

HAIP_VERSION: Final = "1.1.2"
MAJOR: Final = 1

HAI: Final = "HAI"
PING: Final = "PING"
PONG: Final = "PONG"
ERROR: Final = "ERROR"
FLOW_UPDATE: Final = "FLOW_UPDATE"
PAUSE_CHANNEL: Final = "PAUSE_CHANNEL"
RESUME_CHANNEL: Final = "RESUME_CHANNEL"
REPLAY_REQUEST: Final = "REPLAY_REQUEST"
MESSAGE: Final = "MESSAGE"
TRANSACTION_START: Final = "TRANSACTION_START"
TRANSACTION_END: Final = "TRANSACTION_END"
TRANSACTION_JOIN: Final = "TRANSACTION_JOIN"
AUDIO_CHUNK: Final = "AUDIO_CHUNK"
RUN_STARTED: Final = "RUN_STARTED"
RUN_FINISHED: Final = "RUN_FINISHED"
RUN_CANCEL: Final = "RUN_CANCEL"
RUN_ERROR: Final = "RUN_ERROR"
TOOL_CALL: Final = "TOOL_CALL"
TOOL_UPDATE: Final = "TOOL_UPDATE"
TOOL_DONE: Final = "TOOL_DONE"
TOOL_CANCEL: Final = "TOOL_CANCEL"

REFUSAL_CODES: Final = frozenset({"INSUFFICIENT_CREDITS", "FLOW_CONTROL_VIOLATION"})
"""Codes with which peers refuse a frame for want of credit: published servers say the first, the specification the second."""
UNSUPPORTED_TYPE: Final = "UNSUPPORTED_TYPE"
SEQ_VIOLATION: Final = "SEQ_VIOLATION"
RESUME_FAILED: Final = "RESUME_FAILED"
REPLAY_TOO_OLD: Final = "REPLAY_TOO_OLD"
TRANSACTION_NOT_FOUND: Final = "TRANSACTION_NOT_FOUND"

MEDIA_TYPES: Final = frozenset({AUDIO_CHUNK, "AUDIO"})
"""Types whose base64 `data` costs its decoded length; AUDIO is the transaction dialect's."""

SYSTEM: Final = "SYSTEM"
"""The channel of every control frame's envelope; the payload names the channel that is meant (WIRE.md, point 3)."""

CONTROL_TYPES: Final = frozenset(
    {
        HAI,
        PING,
        PONG,
        ERROR,
        FLOW_UPDATE,
        PAUSE_CHANNEL,
        RESUME_CHANNEL,
        REPLAY_REQUEST,
        TRANSACTION_START,
        TRANSACTION_END,
        TRANSACTION_JOIN,
    }
)
"""Types that never wait for credit and cost none: a starved client could not ask for credit otherwise."""

ACCEPTED_TYPES: Final = (
    HAI,
    PING,
    PONG,
    ERROR,
    FLOW_UPDATE,
    PAUSE_CHANNEL,
    RESUME_CHANNEL,
    REPLAY_REQUEST,
    RUN_STARTED,
    RUN_FINISHED,
    RUN_CANCEL,
    RUN_ERROR,
    "MESSAGE_START",
    "MESSAGE_PART",
    "MESSAGE_END",
    "TEXT_MESSAGE_START",
    "TEXT_MESSAGE_PART",
    "TEXT_MESSAGE_END",
    AUDIO_CHUNK,
    TOOL_CALL,
    TOOL_UPDATE,
    TOOL_DONE,
    TOOL_CANCEL,
    "TOOL_LIST",
    "TOOL_SCHEMA",
    TRANSACTION_START,
    TRANSACTION_END,
    TRANSACTION_JOIN,
    MESSAGE,
    "MESSAGE_UPDATE",
    "AUDIO",
    "INFO",
)
"""What our HAI announces: every type that a listener or `receive()` can be handed."""
