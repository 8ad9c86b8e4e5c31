"""What a session knows of its peer, and the frames that it makes for it. Pure; see `session`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from haip_sync.protocol.dialects import CONTINUATION_TYPES, TRANSACTION_DIALECT, TextDialect
from haip_sync.protocol.envelope import encode_json
from haip_sync.protocol.frames import Frame, FrameMaker
from haip_sync.protocol.gaps import Numbers
from haip_sync.protocol.happenings import UpdateLost
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.names import ACCEPTED_TYPES, ERROR, FLOW_UPDATE, HAI, HAIP_VERSION, MAJOR, REPLAY_REQUEST, SYSTEM
from haip_sync.protocol.payloads import Hello
from haip_sync.protocol.received import Incoming
from haip_sync.protocol.sent_ids import SentIds
from haip_sync.protocol.sequencing import InboundSequence
from haip_sync.protocol.transactions import TransactionBook

_ASKINGS_REMEMBERED = 1_024
"""FLOW_UPDATEs whose refusal is still understood."""
_REQUESTS_REMEMBERED = 64
_LONGEST_ID = 128


class PeerView(msgspec.Struct, frozen=True):
    """What the latest peer's HAI says of sending: kept while a line is broken, for what is made meanwhile."""

    hello: Hello
    dialect: TextDialect | None
    needs_transaction: bool

    def accepts(self, frame_type: str) -> bool:
        """Return whether its HAI names `frame_type`."""
        return frame_type in self.hello.accept_events


class Speaker:
    """Our side of one session, on one line after another, as far as it speaks. Not thread-safe.

    Attributes:
        last_seq: The highest number that a frame of ours has taken; assigned by the runtime, under its lock.
        peer: The peer's HAI, None before it came.
        dialect: How texts travel outside of transactions; None before the peer's HAI and where no dialect of ours fits.
        needs_transaction: Whether texts and FLOW_UPDATE travel inside a transaction only.
        transactions: Those of this connection.
        acknowledged: The highest of our numbers that the peer has acknowledged.
        latest: The latest peer as its HAI described it, on this line or an earlier one; None before the first.
        inbound: The peer's numbers. Every send and every grant asks it directly, others by the properties here.
        sent: Frames of ours that have their place in the write order; entered by the runtime, under its lock.
        resume_from: What the peer's HAI says it has of ours, as `last_rx_seq`; None: it does not resume, or this is a first line.
        discreet: Strikes out of a sentence what the peer must not have repeated to anybody.
    """

    def __init__(self, session_id: str, *, dialect_choice: str = "auto", text_is_one_message: bool = False) -> None:
        self.session_id = session_id
        self.discreet: Callable[[str], str] = str
        self.frames = FrameMaker(session_id, new_id)
        self.last_seq = 0
        self.peer: Hello | None = None
        self.peer_session_id: str | None = None
        self.dialect: TextDialect | None = None
        self.needs_transaction = False
        self.transactions = TransactionBook()
        self._choice = dialect_choice
        self._text_is_one_message = text_is_one_message
        self.acknowledged = 0
        self.inbound: InboundSequence[Incoming] = InboundSequence()
        self.sent = SentIds()
        self._told_of_ack = False
        self._told_of_major = False
        self._refused_types: set[str] = set()
        self._askings: OrderedDict[str, UpdateLost] = OrderedDict()
        self.latest: PeerView | None = None
        self.resume_from: int | None = None
        self._is_first_line = True
        # The number of the peer's HAI on a line after the first: what comes below it was said on an earlier one.
        self._hello_number = 0
        # Our number before our HAI on this line: an ack above it says that the peer has heard that.
        self._before_hello = 0
        # The id of our HAI while an ERROR may still refuse what it asks for: that the peer goes on where we stopped to hear.
        self._resuming_hello: str | None = None
        # Our latest REPLAY_REQUESTs, by id.
        self._requests: OrderedDict[str, Numbers] = OrderedDict()
        # The number of the latest PAUSE_CHANNEL or RESUME_CHANNEL that has acted, by channel: one below it comes too late.
        self._holds: OrderedDict[str, int] = OrderedDict()

    def begin_line(self) -> None:
        """Begin a new line of the same session: what belongs to a line is forgotten, our numbers run on."""
        self.peer = self.peer_session_id = self.dialect = None
        self.needs_transaction = False
        self.transactions.clear()
        self._told_of_ack = self._told_of_major = False
        self._refused_types = set()
        self._askings = OrderedDict()
        self.resume_from = self._resuming_hello = None
        self._is_first_line = False
        self._before_hello = self.last_seq
        self._hello_number = 0
        self._requests.clear()
        self._holds.clear()
        self.inbound.begin_line()

    @property
    def peer_sequences(self) -> bool:
        """Whether the peer's numbers are believed; before its first frame they are."""
        return self.inbound.active

    @property
    def ack(self) -> int:
        """What our next frame acknowledges; 0: leave it out."""
        return self.inbound.ack

    def accepts(self, frame_type: str) -> bool:
        """Return whether the peer's HAI names `frame_type`, and no answer of its has taken that back."""
        return self.peer is not None and frame_type in self.peer.accept_events and frame_type not in self._refused_types

    @property
    def dialect_name(self) -> str | None:
        """The dialect, as users know it."""
        if self.dialect is not None:
            return self.dialect.name
        return TRANSACTION_DIALECT if self.needs_transaction and self._choice in ("auto", TRANSACTION_DIALECT) else None

    def may_update_flow(self) -> bool:
        """Return whether a FLOW_UPDATE can be sent now: some peers take it inside a transaction only."""
        return self.accepts(FLOW_UPDATE) and (not self.needs_transaction or self.transactions.carrier() is not None)

    def flow_update(
        self, channel: str, messages: int, byte_credits: int, *, within: str | None = None, gives_back: bool = False
    ) -> Frame:
        """Return a FLOW_UPDATE; a zero is left out. It travels in the transaction `within`, or else in one that can carry it."""
        named = {"add_messages": messages, "add_bytes": byte_credits}
        payload = {"channel": channel, **{name: number for name, number in named.items() if number}}
        if within is None and self.needs_transaction:
            carrier = self.transactions.carrier(channel)
            within = None if carrier is None else carrier.id
        frame = self.control_frame(FLOW_UPDATE, payload, transaction=within)
        self._askings[frame.id] = UpdateLost(channel, messages, byte_credits, gives_back, within)
        if len(self._askings) > _ASKINGS_REMEMBERED:
            self._askings.popitem(last=False)
        return frame

    def message_cost(self, frame_type: str) -> int:
        """Return the message credit of one data frame: 1, but for what follows the START of a text that counts as one message."""
        return 0 if self._text_is_one_message and frame_type in CONTINUATION_TYPES else 1

    def control_frame(self, frame_type: str, payload: Mapping[str, Any], *, transaction: str | None = None) -> Frame:
        """Return a frame on SYSTEM, to be sent without waiting for credit."""
        return self.frames.make(SYSTEM, frame_type, encode_json(payload), transaction=transaction)

    def hello(self, initial_messages: int, initial_bytes: int, *, auth: Mapping[str, Any] | None = None) -> Frame:
        """Return our HAI, which grants the peer these amounts on every channel. `auth` says who we are; it is for no eye.

        It names `last_rx_seq` where an earlier line has brought something from a peer that sequences.
        """
        credit = {"initial_credit_messages": initial_messages, "initial_credit_bytes": initial_bytes}
        payload: dict[str, Any] = {
            "haip_version": HAIP_VERSION,
            "accept_major": [MAJOR],
            "accept_events": ACCEPTED_TYPES,
            "capabilities": {"binary_frames": True, "flow_control": credit},
        }
        if auth is not None:
            payload["auth"] = dict(auth)
        last_rx_seq = self.inbound.last_rx_seq
        if last_rx_seq:
            payload["last_rx_seq"] = str(last_rx_seq)
        frame = self.control_frame(HAI, payload)
        self._resuming_hello = frame.id if last_rx_seq else None
        return frame

    def error(self, code: str, message: str, related_id: str | None) -> Frame:
        """Return an ERROR frame; a `related_id` that is much longer than a UUID is not sent back."""
        related = {"related_id": related_id} if related_id and len(related_id) <= _LONGEST_ID else {}
        return self.control_frame(ERROR, {"code": code, "message": message, **related})

    def _request(self, numbers: Numbers) -> Frame:
        """Return a REPLAY_REQUEST, whose refusal will be understood."""
        frame = self.control_frame(REPLAY_REQUEST, {"from_seq": str(numbers.first), "to_seq": str(numbers.last)})
        self._requests[frame.id] = numbers
        while len(self._requests) > _REQUESTS_REMEMBERED:
            self._requests.popitem(last=False)
        return frame
