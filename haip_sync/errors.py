"""Every exception of haip_sync. Each says what the caller may assume: whether anything was sent.

```
HAIPError
├── ConfigError (ValueError)              a wrong setting or argument; raised before anything leaves
├── HAIPTimeout (TimeoutError)            a deadline passed
├── ConnectError                          no WebSocket came about; nothing was sent
├── HandshakeError                        the WebSocket opened, the two HAIs did not meet
│   ├── AuthError                         the peer refused the token
│   └── VersionError                      no protocol MAJOR in common
├── ConnectionClosedError                 not open yet, closed, or lost
│   └── TransactionEndedError             the transaction is over; the connection may well stand
├── ProtocolError                         a rule of HAIP was broken: by us (local) or by the peer (remote)
├── UnsupportedByPeerError                the peer does not accept this type; nothing was sent
├── DeadlockError                         a blocking call from a listener, which could never be answered
├── ForkedError                           a call in a forked child; nothing was done, and the parent's client goes on
├── FlowControlError                      no credit, and the caller did not want to wait; nothing was sent
│   ├── FlowControlTimeout (HAIPTimeout)  no credit within the deadline; nothing was sent
│   ├── MessageTooLargeError              a frame that no credit could ever cover; nothing was sent
│   └── QueueFullError                    the outbox is full; nothing was queued
├── PartialSendError                      a text stopped in mid-stream; says what was sent
├── AttachError                           a monitor and a running program do not, or no longer, understand each other
│   └── CommandError                      the program would not, or could not, do what the monitor asked for
├── NotSentError                          a queued message that will never be sent; nothing of it was
├── ToolError                             a tool that was called failed
│   └── ToolCancelled                     it was cancelled
└── IncompleteTextError                   a text of the peer's that will not be completed; says how much came
```
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal


class HAIPError(Exception):
    """The root of everything that haip_sync raises on purpose. It crosses from one process to another with all that it says."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by the constructor, which wants what the text was made of: a process pool whose worker's error cannot be made again
        # breaks, or waits for ever.
        return _made_again, (type(self), self.args), self.__dict__


def _made_again(kind: type[HAIPError], args: tuple[Any, ...]) -> HAIPError:
    error = kind.__new__(kind, *args)
    error.args = args  # those that are a TimeoutError, an OSError, leave them to the constructor
    return error


class ConfigError(HAIPError, ValueError):
    """A setting or an argument is of the wrong type or out of range. Nothing was sent."""


class HAIPTimeout(HAIPError, TimeoutError):
    """A deadline passed. Where sending was concerned, nothing was sent."""


class ConnectError(HAIPError):
    """No WebSocket connection came about: unreachable, refused, not trusted, not a WebSocket server. Nothing was sent."""


class HandshakeError(HAIPError):
    """The WebSocket opened, but the exchange of HAIs failed. No message of the caller's was sent."""


class AuthError(HandshakeError):
    """The peer refused the token (it closed with code 1008, or answered 401 or 403). Nothing but the HAI was sent."""


class VersionError(HandshakeError):
    """The peer speaks no MAJOR version that we speak (HAIP 1.1.2: `VERSION_INCOMPATIBLE`)."""

    code = "VERSION_INCOMPATIBLE"


class ConnectionClosedError(HAIPError):
    """The connection is not open: never opened, closed, or lost.

    The text says whether the call's frames were sent; `__cause__` carries the first failure where there was one.
    """


class TransactionEndedError(ConnectionClosedError):
    """The transaction is over, ended by the peer or by us, while the connection may well stand. The call sent nothing."""


class ProtocolError(HAIPError):
    """A frame or a call broke a rule of HAIP.

    `blame` is `"remote"` when the peer broke it and `"local"` when we would have; `code` is the wire's error code.
    """

    def __init__(self, message: str, *, code: str = "PROTOCOL_VIOLATION", blame: Literal["local", "remote"]) -> None:
        super().__init__(message)
        self.code = code
        self.blame = blame


class UnsupportedByPeerError(HAIPError):
    """The peer's `accept_events` does not name this type (HAIP 1.1.2: such a type is never sent). Nothing was sent."""

    code = "UNSUPPORTED_TYPE"


class DeadlockError(HAIPError):
    """A listener made a call that waits for what only later events can bring. Nothing was sent."""


class ForkedError(HAIPError):
    """A call in a child process that was forked from the client's. Nothing was done; the parent's client goes on as before.

    A forked child has none of the client's threads, and shares its socket. Make a client of its own there, or start it by spawn.
    """


class WaitCause(Enum):
    """What a sender waits for."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and each wait is counted by its cause

    MESSAGES = "messages"
    """Message credit."""
    BYTES = "bytes"
    """Byte credit."""
    PAUSED_BY_US = "paused_by_us"
    """`resume_channel`."""
    PAUSED_BY_PEER = "paused_by_peer"
    """The peer's RESUME_CHANNEL."""
    OFFLINE = "offline"
    """A connection."""
    QUEUE = "queue"
    """Room in the channel's outbox."""
    SOCKET = "socket"
    """The operating system: what is admitted is not written yet."""
    WRITER = "writer"
    """Whoever writes the text that is being streamed: it is open, and nothing more of it is there to send."""
    BEHIND_OTHERS = "behind_others"
    """Senders of the same channel that came first."""


class FlowControlError(HAIPError):
    """The channel cannot take the message now, and the caller asked not to wait. Nothing was sent."""

    code = "FLOW_CONTROL"

    def __init__(self, message: str, *, cause: WaitCause, channel: str) -> None:
        super().__init__(f"{self.code}: {message}")
        self.cause = cause.value
        """One of messages, bytes, paused_by_us, paused_by_peer, offline, socket, behind_others."""
        self.channel = channel


class FlowControlTimeout(FlowControlError, HAIPTimeout):
    """The channel did not take the message within the deadline. Nothing was sent; `cause` says what was missing."""


class MessageTooLargeError(FlowControlError):
    """One frame is larger than `max_credit_bytes` of its channel, so that no grant could ever let it pass. Nothing was sent."""

    def __init__(self, channel: str, *, frame_bytes: int, max_credit_bytes: int) -> None:
        super().__init__(
            f"a frame of {frame_bytes} bytes can never be sent on {channel}: max_credit_bytes there is "
            f"{max_credit_bytes}. Nothing was sent. Raise max_credit_bytes or send less at once",
            cause=WaitCause.BYTES,
            channel=channel,
        )
        self.frame_bytes = frame_bytes
        self.max_credit_bytes = max_credit_bytes


class QueueFullError(FlowControlError):
    """The channel's outbox is full and `overflow` says to raise, or the message alone is larger than it. Nothing was queued."""

    def __init__(self, message: str, *, channel: str) -> None:
        super().__init__(message, cause=WaitCause.QUEUE, channel=channel)


class NotSentError(HAIPError):
    """A queued message that will never be sent, and nothing of it was.

    `reason`: cleared, cancelled or dropped; closed: the client was closed, or the message's transaction ended; lost: its turn had
    come when the line broke, and the session did not go on; refused: after a reconnect the peer takes no such message.
    """

    def __init__(self, message: str, *, reason: Literal["cleared", "cancelled", "dropped", "closed", "lost", "refused"]) -> None:
        super().__init__(message)
        self.reason = reason


class PartialSendError(HAIPError):
    """A text stopped in mid-stream: the peer has its START and `parts_sent` parts, and will see no END."""

    def __init__(self, message: str, *, message_id: str, parts_sent: int) -> None:
        super().__init__(message)
        self.message_id = message_id
        self.parts_sent = parts_sent


class AttachError(HAIPError):
    """A monitor cannot attach to a running program, or has lost it. Says what is known of a command that was under way."""


class CommandError(AttachError):
    """A running program has answered a monitor's command with an error; the text is the program's.

    `refused` is True where it lets this monitor do no such thing, or has too much to do: nothing was done then. False: the client
    raised, and the text says what is known.
    """

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


class ToolError(HAIPError):
    """A tool of the peer's ended with `status`, not with OK. `result` is what it said."""

    status: Literal["ERROR", "CANCELLED"] = "ERROR"

    def __init__(self, message: str, *, tool: str, call_id: str, result: Any) -> None:
        super().__init__(message)
        self.tool = tool
        self.call_id = call_id
        self.result = result


class ToolCancelled(ToolError):
    """A tool call was cancelled, by us or by the peer. `result` is what the tool said all the same."""

    status = "CANCELLED"


class IncompleteTextError(HAIPError):
    """A text of the peer's will never be whole. `parts` of it were read; `text` is what `IncomingText.text` had read of it."""

    def __init__(self, message: str, *, message_id: str, parts: int, text: str) -> None:
        super().__init__(message)
        self.message_id = message_id
        self.parts = parts
        self.text = text
