"""Who asks the peer for credit, when, and for how much. Pure: no thread, lock, socket or clock.

A strategy is imported when it is first asked for: most programs have one, or none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from haip_sync.flow.strategies.base import ChannelView, CreditRequest, Strategy, clipped

if TYPE_CHECKING:
    from haip_sync.flow.strategies.adaptive import AdaptiveStrategy
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

_HOMES: Final = {
    "AdaptiveStrategy": "adaptive",
    "AggressiveStrategy": "simple",
    "ConservativeStrategy": "conservative",
    "ManualStrategy": "simple",
    "ThresholdStrategy": "threshold",
}

if not TYPE_CHECKING:  # to a type checker every name would be there

    def __getattr__(name: str) -> object:
        """Import a strategy from where it is at home."""
        if name in _HOMES:
            return globals().setdefault(name, getattr(import_module(f"{__name__}.{_HOMES[name]}"), name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
