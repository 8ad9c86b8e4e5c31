"""Who asks the peer for credit, when, and for how much. Pure: no thread, lock, socket or clock."""

from haip_sync.flow.strategies.adaptive import AdaptiveStrategy
from haip_sync.flow.strategies.base import ChannelView, CreditRequest, Strategy, clipped
from haip_sync.flow.strategies.conservative import ConservativeStrategy
from haip_sync.flow.strategies.simple import AggressiveStrategy, ManualStrategy
from haip_sync.flow.strategies.threshold import ThresholdStrategy

__all__ = [
    "AdaptiveStrategy",
    "AggressiveStrategy",
    "ChannelView",
    "ConservativeStrategy",
    "CreditRequest",
    "ManualStrategy",
    "Strategy",
    "ThresholdStrategy",
    "clipped",
]
