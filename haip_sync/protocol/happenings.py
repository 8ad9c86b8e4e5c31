"""What a frame of the peer's can mean: said by the session, carried out by the runtime.

Structs: a named tuple takes ten times as long to define, and whoever imports the client pays for all of them.
"""

from __future__ import annotations

import msgspec

from haip_sync.errors import ProtocolError
from haip_sync.protocol.payloads import Hello, PeerError
from haip_sync.protocol.transactions import TransactionHappening


class Greeted(msgspec.Struct, frozen=True):
    """The peer's HAI: credit of a new epoch begins."""

    hello: Hello
    peer_session_id: str


class Resumed(msgspec.Struct, frozen=True):
    """The peer's HAI resumes our session: it has everything of ours up to this number. Follows `Greeted`; not on a first line."""

    last_rx_seq: int


class NotResumed(msgspec.Struct, frozen=True):
    """The peer's HAI does not say what it has of ours: what it has not acknowledged is lost.

    Follows `Greeted`; not on a first line.
    """


class ResumeRefused(msgspec.Struct, frozen=True):
    """ERROR RESUME_FAILED or REPLAY_TOO_OLD for our HAI: the peer will not send again what we lack.

    Comes at most once a line, before or after the peer's HAI, which says with `Resumed` or `NotResumed` what it has of ours.
    """

    code: str
    message: str


class VersionRefused(msgspec.Struct, frozen=True):
    """No MAJOR in common; the connection cannot go on."""

    accept_major: tuple[int, ...]


class Granted(msgspec.Struct, frozen=True, gc=False):
    """FLOW_UPDATE."""

    channel: str
    messages: int
    byte_credits: int


class PauseAsked(msgspec.Struct, frozen=True):
    """PAUSE_CHANNEL."""

    channel: str


class ResumeAsked(msgspec.Struct, frozen=True):
    """RESUME_CHANNEL."""

    channel: str


class Ponged(msgspec.Struct, frozen=True):
    """PONG with the nonce of a PING of ours."""

    nonce: str | int | None


class PeerReported(msgspec.Struct, frozen=True):
    """ERROR from the peer."""

    error: PeerError


class SendRefusedByPeer(msgspec.Struct, frozen=True):
    """ERROR from the peer: by its books we had no credit for what we sent (WIRE.md, point 17)."""

    error: PeerError
    is_past: bool = False
    """It was said on an earlier line, of whose books nothing is left: nothing is to be forfeited."""


class AskingRefused(msgspec.Struct, frozen=True):
    """ERROR from the peer: it takes no FLOW_UPDATE, whatever its HAI said. Comes once."""


class UpdateLost(msgspec.Struct, frozen=True):
    """ERROR from the peer: the transaction that this FLOW_UPDATE of ours travelled in was over when it came."""

    channel: str
    messages: int
    byte_credits: int
    gave_back: bool
    transaction: str | None


class Violated(msgspec.Struct, frozen=True):
    """The peer broke a rule; the frame changes nothing, the connection goes on."""

    error: ProtocolError
    related_id: str | None


class SequencingStopped(msgspec.Struct, frozen=True):
    """The peer's `seq` cannot be believed."""

    seq: str | None
    """The one that says so; None: they leap, again and again, and nothing ever fills the gaps."""


class FramesMissing(msgspec.Struct, frozen=True):
    """These numbers of the peer's were waited for and asked for in vain: they are given up. Comes once for each gap."""

    first_seq: int
    last_seq: int


class ReplayAsked(msgspec.Struct, frozen=True):
    """REPLAY_REQUEST for numbers of ours that we have used."""

    first_seq: int
    last_seq: int
    request_id: str


class MajorChanged(msgspec.Struct, frozen=True):
    """A frame of the peer's carries another MAJOR than ours. It is read as ours; told once per connection."""

    pv: int


class HelloEchoed(msgspec.Struct, frozen=True):
    """Our own frame came back before the peer's HAI: perhaps nobody is there but an echo."""


Happening = (
    Greeted
    | Resumed
    | NotResumed
    | ResumeRefused
    | VersionRefused
    | Granted
    | PauseAsked
    | ResumeAsked
    | Ponged
    | PeerReported
    | SendRefusedByPeer
    | AskingRefused
    | UpdateLost
    | Violated
    | SequencingStopped
    | FramesMissing
    | ReplayAsked
    | MajorChanged
    | HelloEchoed
    | TransactionHappening
)
