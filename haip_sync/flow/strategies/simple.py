"""The two ends of the scale: asking for nothing, and asking for everything at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from haip_sync.config import check_channel, check_count, told
from haip_sync.errors import ConfigError
from haip_sync.flow.strategies.base import ChannelView, CreditRequest, Strategy, clipped

_MESSAGES: Final = 100
_BYTES: Final = 10 << 20


@dataclass(frozen=True, eq=False)
class ManualStrategy(Strategy):
    """Never asks: credit comes when the peer gives it, or when the program calls `request_credits`."""

    name: ClassVar[str] = "manual"


@dataclass(frozen=True, eq=False)
class AggressiveStrategy(Strategy):
    """Asks for the most at once, as soon as it may: once per channel and epoch, and never again before the next.

    A channel that comes up later is asked for when it is first seen. Raises `ConfigError` naming a wrong setting.
    """

    name: ClassVar[str] = "aggressive"
    messages: int = _MESSAGES
    """How many messages to ask for; each request is clipped to the channel's caps."""
    byte_credits: int = _BYTES
    """How many bytes."""
    channels: Iterable[str] | None = None
    """The channels that it asks for; None: all."""
    _asked: set[str] = field(init=False, repr=False, default_factory=set)

    def __post_init__(self) -> None:
        check_count("messages", self.messages)
        check_count("byte_credits", self.byte_credits)
        if not self.messages and not self.byte_credits:
            raise ConfigError("ask for at least 1 message or 1 byte of credit: messages and byte_credits are both 0")
        object.__setattr__(self, "channels", _check_channels(self.channels))

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        """Ask for every channel."""
        self._asked.clear()
        return self.look(views, now_s)

    def look(
        self, views: Mapping[str, ChannelView], now_s: float, *, round_trip_s: float | None = None
    ) -> Sequence[CreditRequest]:
        """Ask for the channels that were not there before."""
        del now_s, round_trip_s
        new = [view for view in views.values() if view.channel not in self._asked and self._means(view.channel)]
        self._asked.update(view.channel for view in new)
        return [request for view in new if (request := clipped(view, self.messages, self.byte_credits)) is not None]

    def _means(self, channel: str) -> bool:
        return self.channels is None or channel in self.channels


def _check_channels(channels: object) -> frozenset[str] | None:
    if channels is None:
        return None
    # A string is an iterable of strings too, and each letter of it a legal name.
    if isinstance(channels, str) or not isinstance(channels, Iterable):
        raise ConfigError(f"channels must be a collection of channel names or None, not {told(channels)}")
    return frozenset(check_channel(channel) for channel in channels)
