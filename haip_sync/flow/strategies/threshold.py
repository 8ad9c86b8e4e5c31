"""Asks when little is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from haip_sync.config import Amounts, amount_for, check_amounts
from haip_sync.flow.strategies.base import ChannelView, CreditRequest, Strategy, clipped

_MESSAGE_THRESHOLD: Final = 5
_BYTE_THRESHOLD: Final = 512 << 10
_REQUEST_MESSAGES: Final = 10
_REQUEST_BYTES: Final = 1 << 20


@dataclass(frozen=True, eq=False)
class ThresholdStrategy(Strategy):
    """Asks for more as soon as a balance is below its threshold, or the first in line lacks credit.

    It asks for the larger of the usual request, what is missing to the threshold and what the first in line lacks; messages and
    bytes each on its own, clipped to the channel's caps. A threshold above the cap counts as the cap, which a balance can reach.
    Keeps no state: clients may share it. Raises `ConfigError` naming a wrong setting.

    Each setting is one number, or a mapping of channel to number; a channel that a mapping leaves out takes the default.
    """

    name: ClassVar[str] = "threshold"
    message_threshold: Amounts = _MESSAGE_THRESHOLD
    """Below so many messages it asks for messages. 0: only when somebody lacks them."""
    byte_threshold: Amounts = _BYTE_THRESHOLD
    """Below so many bytes it asks for bytes. 0: only when somebody lacks them."""
    request_messages: Amounts = _REQUEST_MESSAGES
    """The fewest messages to ask for at once."""
    request_bytes: Amounts = _REQUEST_BYTES
    """The fewest bytes."""

    def __post_init__(self) -> None:
        for name, minimum in (("message_threshold", 0), ("byte_threshold", 0), ("request_messages", 1), ("request_bytes", 1)):
            object.__setattr__(self, name, check_amounts(name, getattr(self, name), minimum=minimum))

    def wake_below(self, channel: str) -> tuple[int, int]:
        """Return the thresholds."""
        return (
            amount_for(self.message_threshold, channel, _MESSAGE_THRESHOLD),
            amount_for(self.byte_threshold, channel, _BYTE_THRESHOLD),
        )

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        """Ask for the channels that begin with little."""
        return self.look(views, now_s)

    def granted(self, view: ChannelView, messages: int, byte_credits: int, now_s: float) -> Sequence[CreditRequest]:
        """Ask once more where the grant was not enough."""
        del messages, byte_credits
        return self.look({view.channel: view}, now_s)

    def look(
        self, views: Mapping[str, ChannelView], now_s: float, *, round_trip_s: float | None = None
    ) -> Sequence[CreditRequest]:
        """Ask for every channel with little left."""
        del now_s, round_trip_s
        return [request for view in views.values() if (request := self._request(view)) is not None]

    def _request(self, view: ChannelView) -> CreditRequest | None:
        threshold, byte_threshold = self.wake_below(view.channel)
        missing = max(min(threshold, view.max_credits) - view.credits, view.needed_messages)
        missing_bytes = max(min(byte_threshold, view.max_credit_bytes) - view.byte_credits, view.needed_bytes)
        usual = amount_for(self.request_messages, view.channel, _REQUEST_MESSAGES)
        usual_bytes = amount_for(self.request_bytes, view.channel, _REQUEST_BYTES)
        return clipped(
            view,
            max(usual, missing) if missing > 0 else 0,
            max(usual_bytes, missing_bytes) if missing_bytes > 0 else 0,
        )
