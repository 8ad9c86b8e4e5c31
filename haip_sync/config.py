"""Frozen settings that check themselves: what does not raise `ConfigError` here is usable everywhere.

Times are seconds, credits are messages and bytes. Every object here is immutable and may be shared by threads and clients.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from haip_sync.errors import ConfigError

WELL_KNOWN_CHANNELS: Final = ("USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT")
"""The channels that HAIP 1.1.2 names; any other name of the right form is a channel too."""

DEFAULT_INITIAL_CREDITS: Final = 10
DEFAULT_INITIAL_CREDIT_BYTES: Final = 1 << 20
DEFAULT_MAX_CREDITS: Final = 100
DEFAULT_MAX_CREDIT_BYTES: Final = 10 << 20

DEFAULT_MAX_FRAME_BYTES: Final = 4 << 20
DEFAULT_MAX_NESTING: Final = 64
DEFAULT_MAX_CHANNELS: Final = 1_024
DEFAULT_MAX_UNTAKEN_BYTES: Final = 64 << 20
DEFAULT_MAX_UNWRITTEN_ANSWERS_BYTES: Final = 16 << 20
DEFAULT_MAX_REPLAY_BYTES: Final = 16 << 20
DEFAULT_MAX_LOG_LINES_PER_S: Final = 20
_MOST_NESTING: Final = 500
"""The JSON decoder itself gives up not far above."""

Amounts = int | Mapping[str, int]
"""One number for every channel, or a mapping of channel to number; a channel that it leaves out takes the default."""
CreditUnit = Literal["envelope", "message"]
InboxMode = Literal["queue", "listeners"]
Overflow = Literal["block", "raise", "drop_oldest", "drop_newest"]
DialectChoice = Literal["auto", "message", "text", "transaction"]

MOST_EXACT: Final = 2**53 - 1
"""The largest whole number that every JSON implementation carries exactly."""
_LONGEST_S = 1e9
"""What every clock and lock of the operating system can wait for: 31 years."""
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_brief: Final = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


def told(value: object) -> str:
    """Return what a sentence can say of a wrong argument, whatever it is: a text that was meant for another may be megabytes."""
    try:
        return _brief.repr(value)
    except Exception:  # noqa: BLE001 - its own __repr__, or a number of more digits than Python writes
        return f"something of type {type(value).__name__}"


def plain_text(text: str) -> str:
    """Return `text` as a `str` and nothing else: members of a `StrEnum` and marked-up texts are strings, but not to JSON."""
    return text if type(text) is str else str.__str__(text)


def check_channel(channel: object, setting: str = "") -> str:
    """Return `channel` if it is a legal channel name (HAIP 1.1.2: 1 to 128 of A-Z a-z 0-9 _ -), else raise `ConfigError`.

    `setting`: whose key it is, to be named there.
    """
    if isinstance(channel, str) and _is_channel_name(channel):
        # `plain_text`, without a call: every send and every frame asks.
        return channel if type(channel) is str else plain_text(channel)
    where = f"{setting}: " if setting else ""
    raise ConfigError(f"{where}channel {told(channel)} is not a legal name: 1 to 128 characters out of A-Z a-z 0-9 _ - are")


@lru_cache(maxsize=1_024)
def _is_channel_name(text: str) -> bool:
    return _CHANNEL_NAME.fullmatch(text) is not None


def check_count(name: str, value: object, *, minimum: int = 0) -> int:
    """Return `value` if it is a whole number from `minimum` to `MOST_EXACT`, else raise `ConfigError` naming `name`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be a whole number, not {told(value)} of type {type(value).__name__}")
    if value < minimum:
        raise ConfigError(f"{name} must be at least {minimum}, not {told(value)}")
    if value > MOST_EXACT:  # not written out: so many digits that Python refuses to
        raise ConfigError(f"{name} must be at most {MOST_EXACT}, the largest number that all JSON carries exactly")
    return value


def check_seconds(name: str, value: object, *, positive: bool = False) -> float:
    """Return `value` in seconds if it is a finite number >= 0 (or > 0), else raise `ConfigError` naming `name`."""
    if (type(value) is int or type(value) is float) and 0 < value <= _LONGEST_S:
        return float(value)  # nearly always, and every send asks
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{name} must be a number of seconds, not {told(value)} of type {type(value).__name__}")
    if not 0 <= value <= _LONGEST_S or (positive and value == 0):  # no comparison holds for what is not a number
        least = "above" if positive else "from"
        raise ConfigError(f"{name} must be a finite number of seconds {least} 0 and at most {_LONGEST_S:g}, not {told(value)}")
    return float(value)


def check_timeout(name: str, value: object) -> float | None:
    """Return `value` if it is `None` (for ever) or a number of seconds >= 0, else raise `ConfigError` naming `name`."""
    return None if value is None else check_seconds(name, value)


def check_flag(name: str, value: object) -> bool:
    """Return `value` if it is `True` or `False`, else raise `ConfigError` naming `name`."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {told(value)}")
    return value


def check_function(name: str, value: object) -> None:
    """Raise `ConfigError` naming `name` unless `value` can be called."""
    if not callable(value):
        raise ConfigError(f"{name} must be a function, not {told(value)}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`, else raise `ConfigError` naming `name` and the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(map(repr, choices))}, not {told(value)}")
    return value


def check_amounts(name: str, value: object, *, minimum: int = 0) -> Amounts:
    """Return `value` if it is a number or a mapping of channel to number; a mapping is copied. Raises `ConfigError`."""
    if not isinstance(value, Mapping):
        return check_count(name, value, minimum=minimum)
    checked = {
        check_channel(channel, name): check_count(f"{name}[{told(channel)}]", number, minimum=minimum)
        for channel, number in value.items()
    }
    return MappingProxyType(checked)


def amount_for(amounts: Amounts, channel: str, default: int) -> int:
    """Return what `amounts` says of `channel`."""
    return amounts.get(channel, default) if isinstance(amounts, Mapping) else amounts


@dataclass(frozen=True)
class FlowControlConfig:
    """How much credit we give, hold and count.

    Each of the first four is one number for every channel, or a mapping of channel to number; a channel that a mapping
    leaves out takes the default. Raises `ConfigError` naming the field for any wrong value.
    """

    initial_credits: Amounts = DEFAULT_INITIAL_CREDITS
    """Messages that we grant the peer at first, and our own first balance where the peer's HAI names none. Zero is legal."""
    initial_credit_bytes: Amounts = DEFAULT_INITIAL_CREDIT_BYTES
    """The same in bytes. A value above the cap is legal; the excess is set aside."""
    max_credits: Amounts = DEFAULT_MAX_CREDITS
    """Most messages that may be spendable at any moment; a grant above it is set aside and enters as credit is spent."""
    max_credit_bytes: Amounts = DEFAULT_MAX_CREDIT_BYTES
    """The same in bytes. A single frame above it can never be sent and is refused at once."""
    credit_unit: CreditUnit = "envelope"
    """What one message credit pays: every envelope (what servers count), or a whole text message (`"message"`)."""
    count_control_frames: bool = False
    """Mirror servers that debit control frames from SYSTEM: its balance falls, floor zero, and still nothing waits."""

    queue_max_messages: int = 10_000
    """Most messages that may stand in one channel's outbox (`enqueue_text_message`)."""
    queue_max_bytes: int = 64 << 20
    """The same in bytes."""
    overflow: Overflow = "block"
    """What a full outbox does: hold the caller, raise `QueueFullError`, or drop the oldest or the newest and tell its holder."""

    def __post_init__(self) -> None:
        check_count("queue_max_messages", self.queue_max_messages, minimum=1)
        check_count("queue_max_bytes", self.queue_max_bytes, minimum=1)
        check_choice("overflow", self.overflow, get_args(Overflow))
        for name, minimum in (
            ("initial_credits", 0),
            ("initial_credit_bytes", 0),
            ("max_credits", 1),
            ("max_credit_bytes", 1),
        ):
            object.__setattr__(self, name, check_amounts(name, getattr(self, name), minimum=minimum))
        check_choice("credit_unit", self.credit_unit, get_args(CreditUnit))
        check_flag("count_control_frames", self.count_control_frames)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled, for a process of its own, with plain mappings: those that nobody can change cannot be."""
        values = (getattr(self, each.name) for each in fields(self))
        return type(self), tuple(dict(value) if isinstance(value, Mapping) else value for value in values)

    def initial_for(self, channel: str) -> tuple[int, int]:
        """Return the first credit of `channel` as (messages, bytes)."""
        return (
            amount_for(self.initial_credits, channel, DEFAULT_INITIAL_CREDITS),
            amount_for(self.initial_credit_bytes, channel, DEFAULT_INITIAL_CREDIT_BYTES),
        )

    def caps_for(self, channel: str) -> tuple[int, int]:
        """Return the caps of `channel` as (messages, bytes)."""
        return (
            amount_for(self.max_credits, channel, DEFAULT_MAX_CREDITS),
            amount_for(self.max_credit_bytes, channel, DEFAULT_MAX_CREDIT_BYTES),
        )

    def named_channels(self) -> frozenset[str]:
        """Return the well-known channels and every channel that a mapping names."""
        names = set(WELL_KNOWN_CHANNELS)
        for value in (self.initial_credits, self.initial_credit_bytes, self.max_credits, self.max_credit_bytes):
            if isinstance(value, Mapping):
                names.update(value)
        return frozenset(names)


@dataclass(frozen=True)
class ReconnectPolicy:
    """What to do when a line breaks that has stood; `connect` itself tries once. Which ends count: WIRE.md, "Reconnecting"."""

    enabled: bool = True
    """Whether to connect again."""
    initial_delay: float = 0.5
    """Seconds before the first attempt; each further one waits twice as long."""
    max_delay: float = 30.0
    """Most seconds to wait before an attempt."""
    max_attempts: int | None = None
    """How often to try in one outage, which ends with a handshake; None: for ever."""
    jitter: float = 0.2
    """Part of a delay, 0 to 1, that is left to chance, so that clients do not come back all at once."""

    def __post_init__(self) -> None:
        check_flag("reconnect.enabled", self.enabled)
        check_seconds("reconnect.initial_delay", self.initial_delay)
        check_seconds("reconnect.max_delay", self.max_delay)
        if self.max_attempts is not None:
            check_count("reconnect.max_attempts", self.max_attempts, minimum=1)
        if check_seconds("reconnect.jitter", self.jitter) > 1:
            raise ConfigError(f"reconnect.jitter must be at most 1, not {self.jitter}")


@dataclass(frozen=True)
class HeartbeatPolicy:
    """When to look whether the peer is still there: a PING every `interval` seconds, its PONG within `timeout`."""

    interval: float = field(default=30.0)
    """Seconds between PINGs."""
    timeout: float = field(default=10.0)
    """Seconds to wait for a PONG before the connection counts as lost."""

    def __post_init__(self) -> None:
        check_seconds("heartbeat.interval", self.interval, positive=True)
        check_seconds("heartbeat.timeout", self.timeout, positive=True)


@dataclass(frozen=True)
class Limits:
    """What a peer may cost us at most, whatever it does. Raises `ConfigError` naming the field for any wrong value."""

    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    """Largest WebSocket message that is taken in, all fragments together; looked at before any memory is taken for it. A larger
    one ends the connection (WebSocket close code 1009), whatever credit there is for it. While it is taken in, a frame may need
    five times its bytes. JSON of many small values is decoded only when somebody looks at `Message.payload`, and then takes up to
    30 times its bytes: raise this only for a peer that needs it. Left alone it is never less than what we grant a channel at
    first (`initial_credit_bytes`)."""
    max_nesting: int = DEFAULT_MAX_NESTING
    """Levels of arrays and objects in a frame, the envelope being the first; 1 to 500. A deeper one is a frame that cannot be
    read."""
    max_channels: int = DEFAULT_MAX_CHANNELS
    """Channels of a connection, ours and the peer's together. The channels that HAIP or the settings name must fit."""
    max_untaken_bytes: int = DEFAULT_MAX_UNTAKEN_BYTES
    """What may have arrived and wait to be taken, on all channels together, as it came on the wire; a short frame takes 1 KB
    of memory more. A frame beyond is dropped and answered with FLOW_CONTROL_VIOLATION, whatever credit there is for it; a
    single frame is always taken in."""
    max_unwritten_answers_bytes: int = DEFAULT_MAX_UNWRITTEN_ANSWERS_BYTES
    """What may stand unwritten before a peer that asks for answers and reads none is given up."""
    max_replay_bytes: int = DEFAULT_MAX_REPLAY_BYTES
    """What is kept of our own frames for a peer that asks for them again or resumes, or the latest frames, if they are larger.
    They count as they are on the wire; of one long string in a payload no copy is kept, but the string itself."""
    max_log_lines_per_s: int = DEFAULT_MAX_LOG_LINES_PER_S
    """Warnings about the peer that are logged in one second; the rest are counted, and their number logged."""

    def __post_init__(self) -> None:
        for name in (
            "max_frame_bytes",
            "max_nesting",
            "max_channels",
            "max_untaken_bytes",
            "max_unwritten_answers_bytes",
            "max_replay_bytes",
            "max_log_lines_per_s",
        ):
            check_count(f"limits.{name}", getattr(self, name), minimum=1)
        if self.max_nesting > _MOST_NESTING:
            raise ConfigError(f"limits.max_nesting must be at most {_MOST_NESTING}, not {self.max_nesting}")

    def check_channels(self, flow_control: FlowControlConfig) -> None:
        """Raise `ConfigError` where the channels that the settings name are more than may be."""
        named = len(flow_control.named_channels())
        if named > self.max_channels:
            raise ConfigError(f"limits.max_channels is {self.max_channels}, and flow_control names {named} channels")
