"""A blocking, thread-safe HAIP client whose senders wait for credit. Everything public is named here.

A name is imported when it is first asked for: who only catches an error or reads a setting need not import the whole client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from haip_sync.auth import Auth, BearerToken, HelloAuth, QueryToken, SubprotocolToken
    from haip_sync.client import HAIPClient, connect
    from haip_sync.config import FlowControlConfig, HeartbeatPolicy, Limits, ReconnectPolicy
    from haip_sync.errors import (
        AttachError,
        AuthError,
        CommandError,
        ConfigError,
        ConnectError,
        ConnectionClosedError,
        DeadlockError,
        FlowControlError,
        FlowControlTimeout,
        ForkedError,
        HAIPError,
        HAIPTimeout,
        HandshakeError,
        IncompleteTextError,
        MessageTooLargeError,
        NotSentError,
        PartialSendError,
        ProtocolError,
        QueueFullError,
        ToolCancelled,
        ToolError,
        TransactionEndedError,
        UnsupportedByPeerError,
        VersionError,
        WaitCause,
    )
    from haip_sync.events import (
        BacklogChanged,
        ChannelEvent,
        ChannelPaused,
        ChannelResumed,
        ChannelStalled,
        Connected,
        CreditChanged,
        CreditGranted,
        CreditRequested,
        Disconnected,
        ErrorReported,
        Event,
        FramesLost,
        HandshakeCompleted,
        Message,
        MessageDequeued,
        MessageDropped,
        MessageQueued,
        PongReceived,
        Reconnecting,
        RequestExpired,
        SendAdmitted,
        SendBlocked,
        SendRefused,
        SendUnconfirmed,
        Subscription,
        WarningRaised,
        WindowOverrun,
    )
    from haip_sync.flow.metrics import WAIT_EDGES_S, ChannelMetrics, FlowControlMetrics, WaitStatistics
    from haip_sync.flow.pending import PendingSend
    from haip_sync.flow.strategies import (
        AdaptiveStrategy,
        AggressiveStrategy,
        ChannelView,
        ConservativeStrategy,
        CreditRequest,
        ManualStrategy,
        Strategy,
        ThresholdStrategy,
        clipped,
    )
    from haip_sync.runtime.conversation.incoming_text import IncomingText
    from haip_sync.runtime.conversation.incoming_texts import IncomingTexts
    from haip_sync.runtime.conversation.run import Run
    from haip_sync.runtime.conversation.tool_call import ToolCall, ToolUpdate
    from haip_sync.runtime.text_stream import TextStream
    from haip_sync.runtime.transaction import Transaction
    from haip_sync.state import ChannelState, ConnectionState, Explanation, SendReceipt, Waited

__all__ = [
    "WAIT_EDGES_S",
    "AdaptiveStrategy",
    "AggressiveStrategy",
    "AttachError",
    "Auth",
    "AuthError",
    "BacklogChanged",
    "BearerToken",
    "ChannelEvent",
    "ChannelMetrics",
    "ChannelPaused",
    "ChannelResumed",
    "ChannelStalled",
    "ChannelState",
    "ChannelView",
    "CommandError",
    "ConfigError",
    "ConnectError",
    "Connected",
    "ConnectionClosedError",
    "ConnectionState",
    "ConservativeStrategy",
    "CreditChanged",
    "CreditGranted",
    "CreditRequest",
    "CreditRequested",
    "DeadlockError",
    "Disconnected",
    "ErrorReported",
    "Event",
    "Explanation",
    "FlowControlConfig",
    "FlowControlError",
    "FlowControlMetrics",
    "FlowControlTimeout",
    "ForkedError",
    "FramesLost",
    "HAIPClient",
    "HAIPError",
    "HAIPTimeout",
    "HandshakeCompleted",
    "HandshakeError",
    "HeartbeatPolicy",
    "HelloAuth",
    "IncomingText",
    "IncomingTexts",
    "IncompleteTextError",
    "Limits",
    "ManualStrategy",
    "Message",
    "MessageDequeued",
    "MessageDropped",
    "MessageQueued",
    "MessageTooLargeError",
    "NotSentError",
    "PartialSendError",
    "PendingSend",
    "PongReceived",
    "ProtocolError",
    "QueryToken",
    "QueueFullError",
    "ReconnectPolicy",
    "Reconnecting",
    "RequestExpired",
    "Run",
    "SendAdmitted",
    "SendBlocked",
    "SendReceipt",
    "SendRefused",
    "SendUnconfirmed",
    "Strategy",
    "SubprotocolToken",
    "Subscription",
    "TextStream",
    "ThresholdStrategy",
    "ToolCall",
    "ToolCancelled",
    "ToolError",
    "ToolUpdate",
    "Transaction",
    "TransactionEndedError",
    "UnsupportedByPeerError",
    "VersionError",
    "WaitCause",
    "WaitStatistics",
    "Waited",
    "WarningRaised",
    "WindowOverrun",
    "clipped",
    "connect",
]

_ROOMS: Final = (
    "haip_sync.errors",
    "haip_sync.config",
    "haip_sync.events",
    "haip_sync.state",
    "haip_sync.auth",
    "haip_sync.flow.metrics",
    "haip_sync.flow.pending",
    "haip_sync.flow.strategies",
    "haip_sync.runtime.conversation.incoming_text",
    "haip_sync.runtime.conversation.incoming_texts",
    "haip_sync.runtime.conversation.run",
    "haip_sync.runtime.conversation.tool_call",
    "haip_sync.runtime.text_stream",
    "haip_sync.runtime.transaction",
    "haip_sync.client",
)
"""Where the public names are at home, the cheap ones first."""


if not TYPE_CHECKING:  # to a type checker every name would be there

    def __getattr__(name: str) -> object:
        """Import a public name from where it is at home."""
        if name in __all__:
            for room in _ROOMS:
                module = import_module(room)
                if hasattr(module, name):
                    return globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})
