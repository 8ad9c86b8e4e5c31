"""One HAIP session as a pure state machine: envelopes in; happenings and frames to send out.

The session decides what a frame *means*. It holds no credit (that is the ledger's), waits for nothing and writes nothing: the
runtime applies each happening under the connection's lock and sends each reply. Not thread-safe.

Before the peer's HAI only HAI, ERROR and PING mean anything; afterwards everything does, but a second HAI. A frame of our own
that the peer sends back never means anything: it is delivered as an echo, and that is all (WIRE.md, point 20).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from haip_sync.errors import ProtocolError
from haip_sync.protocol.dialects import (
    CONTINUATION_TYPES,
    TRANSACTION_DIALECT,
    TextDialect,
    choose_dialect,
    speaks_in_transactions,
)
from haip_sync.protocol.envelope import Envelope, FlawedEnvelope, Frame, FrameMaker, encode_json, media_bytes
from haip_sync.protocol.happenings import (
    AskingRefused,
    Granted,
    Greeted,
    Happening,
    HelloEchoed,
    MajorChanged,
    PauseAsked,
    PeerReported,
    Ponged,
    ResumeAsked,
    SendRefusedByPeer,
    SequencingStopped,
    UpdateLost,
    VersionRefused,
    Violated,
)
from haip_sync.protocol.identifiers import new_id
from haip_sync.protocol.names import (
    ACCEPTED_TYPES,
    AUDIO_CHUNK,
    CONTROL_TYPES,
    ERROR,
    FLOW_UPDATE,
    HAI,
    HAIP_VERSION,
    MAJOR,
    PAUSE_CHANNEL,
    PING,
    PONG,
    REFUSAL_CODES,
    RESUME_CHANNEL,
    SEQ_VIOLATION,
    SYSTEM,
    TRANSACTION_END,
    TRANSACTION_JOIN,
    TRANSACTION_NOT_FOUND,
    TRANSACTION_START,
    UNSUPPORTED_TYPE,
)
from haip_sync.protocol.payloads import (
    ChannelName,
    FlowUpdate,
    Hello,
    Nonce,
    PeerError,
    is_known,
    read_payload,
    typed,
    unknown_member,
)
from haip_sync.protocol.sequencing import InboundSequence, SentIds, Verdict, is_seq
from haip_sync.protocol.transactions import Heard, TransactionBook

_ASKINGS_REMEMBERED = 1_024
"""FLOW_UPDATEs whose refusal is still understood."""
_LONGEST_ID = 128


class Received(NamedTuple):
    """What one frame of the peer's comes to."""

    happenings: Sequence[Happening]
    replies: Sequence[Frame]
    deliver: bool
    """False for a frame that nobody will be handed: a duplicate, or one that cannot be read."""
    is_data: bool = False
    """Whether it is for the application and costs the peer of our grants."""
    cost_messages: int = 0
    cost_bytes: int = 0
    is_echo: bool = False
    """Whether it is a frame of our own that came back."""


_Meaning = tuple[tuple[Happening, ...], tuple[Frame, ...]]
_NOTHING: _Meaning = ((), ())


def _check_critical(envelope: Envelope) -> None:
    """Raise `ProtocolError` where `crit` forbids us to ignore what we do not know: a member, or the type itself."""
    flaw = envelope.flaw if isinstance(envelope, FlawedEnvelope) else ""
    if not is_known(envelope.type):
        flaw = "we do not know this type"
    elif not flaw and (member := unknown_member(envelope.type, envelope.payload)) is not None:
        flaw = f"its payload has the member {member!r:.60}, which we do not know"
    if flaw:
        raise ProtocolError(f"{envelope.type:.60} is marked crit: {flaw}", code=UNSUPPORTED_TYPE, blame="remote")


class Session:
    """Our side of one connection's conversation.

    Attributes:
        last_seq: The highest number that a frame of ours has taken; assigned by the runtime, under its lock.
        peer: The peer's HAI, None before it came.
        dialect: How texts travel outside of transactions; None before the peer's HAI and where no dialect of ours fits.
        needs_transaction: Whether texts and FLOW_UPDATE travel inside a transaction only.
        transactions: Those of this connection.
        acknowledged: The highest of our numbers that the peer has acknowledged.
    """

    def __init__(self, session_id: str, *, dialect_choice: str = "auto", text_is_one_message: bool = False) -> None:
        self.session_id = session_id
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
        self._inbound = InboundSequence()
        self._sent = SentIds()
        self._told_of_ack = False
        self._told_of_major = False
        self._accepted: frozenset[str] = frozenset()
        self._askings: OrderedDict[str, UpdateLost] = OrderedDict()

    @property
    def ack(self) -> int:
        """What our next frame acknowledges; 0: leave it out."""
        return self._inbound.ack

    def accepts(self, frame_type: str) -> bool:
        """Return whether the peer's HAI names `frame_type`, and no answer of its has taken that back."""
        return self.peer is not None and frame_type in self._accepted

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
        """Return our HAI, which grants the peer these amounts on every channel. `auth` says who we are; it is for no eye."""
        credit = {"initial_credit_messages": initial_messages, "initial_credit_bytes": initial_bytes}
        payload: dict[str, Any] = {
            "haip_version": HAIP_VERSION,
            "accept_major": [MAJOR],
            "accept_events": ACCEPTED_TYPES,
            "capabilities": {"binary_frames": True, "flow_control": credit},
        }
        if auth is not None:
            payload["auth"] = dict(auth)
        return self.control_frame(HAI, payload)

    def error(self, code: str, message: str, related_id: str | None) -> Frame:
        """Return an ERROR frame; a `related_id` that is much longer than a UUID is not sent back."""
        related = {"related_id": related_id} if related_id and len(related_id) <= _LONGEST_ID else {}
        return self.control_frame(ERROR, {"code": code, "message": message, **related})

    def note_sent(self, frame_id: str) -> None:
        """Remember a frame of ours that takes its place in the write order. Doing it twice changes nothing."""
        self._sent.note(frame_id)

    def receive(self, envelope: Envelope, frame_bytes: int) -> Received:
        """Take one frame of the peer's in. `frame_bytes`: the text frame's bytes as they came."""
        is_echo = self._is_echo(envelope)
        verdict = self._inbound.observe(envelope.seq, envelope.id, is_echo=is_echo)
        if verdict is Verdict.DUPLICATE:
            return self._received(envelope, frame_bytes, (), (), deliver=False)
        noticed: tuple[Happening, ...] = (SequencingStopped(envelope.seq),) if verdict is Verdict.STOPPED else ()
        if is_echo:
            return self._take_echo(envelope, frame_bytes, noticed)
        noticed += self._hear_ack(envelope) + self._look_at_major(envelope)
        try:
            happenings, replies = self._understand(envelope)
        except ProtocolError as exc:
            return self._violation(envelope, frame_bytes, exc, noticed)
        return self._received(envelope, frame_bytes, noticed + happenings, replies, deliver=True)

    def receive_broken(self, envelope: Envelope, exc: ProtocolError) -> Received:
        """Take in an envelope whose binary frame did not come: it counts as received, and cost the peer what it announced."""
        verdict = self._inbound.observe(envelope.seq, envelope.id, is_echo=self._is_echo(envelope))
        stopped = (SequencingStopped(envelope.seq),) if verdict is Verdict.STOPPED else ()
        return self._violation(envelope, envelope.bin_len or 0, exc, stopped)

    def _is_echo(self, envelope: Envelope) -> bool:
        return envelope.session == self.session_id or envelope.id in self._sent

    def _take_echo(self, envelope: Envelope, frame_bytes: int, noticed: tuple[Happening, ...]) -> Received:
        """Deliver what we said ourselves, as what it is: it grants, pauses, greets, refuses, acknowledges and asks nothing."""
        early = () if self.peer else (HelloEchoed(),)
        return self._received(envelope, frame_bytes, (*noticed, *early), (), deliver=self.peer is not None)._replace(is_echo=True)

    def _received(
        self, envelope: Envelope, frame_bytes: int, happenings: Sequence[Happening], replies: Sequence[Frame], *, deliver: bool
    ) -> Received:
        if envelope.type in CONTROL_TYPES:
            return Received(happenings, replies, deliver)
        media = media_bytes(envelope.type, envelope.payload, envelope.bin_len)
        cost_bytes = frame_bytes if media is None else media
        return Received(
            happenings,
            replies,
            deliver,
            is_data=True,
            cost_messages=self.message_cost(envelope.type),
            cost_bytes=cost_bytes,
        )

    def unreadable(self, exc: ProtocolError) -> Received:
        """Answer a frame that is no envelope: it is reported, and costs nobody anything."""
        replies = (self.error(exc.code, str(exc), None),) if self.accepts(ERROR) else ()
        return Received((Violated(exc, None),), replies, deliver=False)

    def _violation(self, envelope: Envelope, frame_bytes: int, exc: ProtocolError, stopped: tuple[Happening, ...]) -> Received:
        # Never an ERROR about an ERROR: two peers that disagree would go on for ever.
        answer = self.accepts(ERROR) and envelope.type != ERROR
        replies = (self.error(exc.code, str(exc), envelope.id),) if answer else ()
        return self._received(envelope, frame_bytes, (*stopped, Violated(exc, envelope.id)), replies, deliver=False)

    def _understand(self, envelope: Envelope) -> _Meaning:
        """Return what the frame means and what it is answered with. Raises `ProtocolError`."""
        if envelope.crit:
            _check_critical(envelope)
        if self.peer is None and envelope.type not in (HAI, ERROR, PING):
            raise ProtocolError(f"{envelope.type:.60} came before the peer's HAI", blame="remote")
        reader = self._READERS.get(envelope.type)
        if reader:
            return reader(self, envelope)
        typed(envelope.type, envelope.payload)
        return self._answer_heard(self.transactions.hear_in(envelope))

    def _answer_heard(self, heard: Heard) -> _Meaning:
        ends = tuple(self.control_frame(TRANSACTION_END, {}, transaction=transaction) for transaction in heard.to_end)
        return heard.happenings, ends

    def _hear_transaction(self, envelope: Envelope) -> _Meaning:
        if envelope.session == self.session_id:
            return _NOTHING  # our own frame, sent back
        hear = {TRANSACTION_START: self.transactions.hear_start, TRANSACTION_END: self.transactions.hear_end}
        return self._answer_heard(hear.get(envelope.type, self.transactions.hear_in)(envelope))

    def _greet(self, envelope: Envelope) -> _Meaning:
        if self.peer is not None:
            raise ProtocolError("a second HAI on one connection", blame="remote")
        hello = read_payload(Hello, HAI, envelope.payload)
        if MAJOR not in hello.accept_major:
            text = f"the peer accepts MAJOR {list(hello.accept_major)}, we speak {MAJOR}"
            return (VersionRefused(hello.accept_major),), (self.error("VERSION_INCOMPATIBLE", text, envelope.id),)
        self.peer = hello
        self._accepted = frozenset(hello.accept_events)
        self.peer_session_id = envelope.session
        self.dialect = choose_dialect(hello.accept_events, self._choice)
        self.needs_transaction = speaks_in_transactions(hello.accept_events, self._choice)
        return (Greeted(hello, envelope.session),), ()

    def _answer_ping(self, envelope: Envelope) -> _Meaning:
        nonce = read_payload(Nonce, PING, envelope.payload).nonce
        if self.peer is not None and not self.accepts(PONG):
            return _NOTHING  # never a type that the peer does not accept, not even as an answer
        return (), (self.control_frame(PONG, {} if nonce is None else {"nonce": nonce}),)

    def _hear_pong(self, envelope: Envelope) -> _Meaning:
        return (Ponged(read_payload(Nonce, PONG, envelope.payload).nonce),), ()

    def _hear_ack(self, envelope: Envelope) -> tuple[Happening, ...]:
        """Take the peer's `ack` in while it keeps to the specification; a number that we never used is told of once."""
        if not (envelope.ack and self._inbound.active and is_seq(envelope.ack)):
            return ()
        ack = int(envelope.ack)
        if ack <= self.last_seq:
            self.acknowledged = max(self.acknowledged, ack)
            return ()
        if self._told_of_ack:
            return ()
        self._told_of_ack = True
        text = f"the peer acknowledges {ack}, and we have sent no more than {self.last_seq}: such an ack is ignored"
        return (Violated(ProtocolError(text, code=SEQ_VIOLATION, blame="remote"), envelope.id),)

    def _look_at_major(self, envelope: Envelope) -> tuple[Happening, ...]:
        if envelope.pv == MAJOR or self.peer is None or self._told_of_major:
            return ()
        self._told_of_major = True
        return (MajorChanged(envelope.pv),)

    def _hear_error(self, envelope: Envelope) -> _Meaning:
        error = read_payload(PeerError, ERROR, envelope.payload)
        refused = self.transactions.hear_error(error, envelope).happenings
        if refused:
            return (PeerReported(error), *refused), ()
        if error.code in REFUSAL_CODES and self.peer is not None:
            return (SendRefusedByPeer(error),), ()
        if error.code == TRANSACTION_NOT_FOUND and error.related_id is not None and error.related_id in self._askings:
            return (PeerReported(error), self._askings.pop(error.related_id)), ()
        if error.code == UNSUPPORTED_TYPE and error.related_id in self._askings and self.accepts(FLOW_UPDATE):
            self._accepted -= {FLOW_UPDATE}
            return (PeerReported(error), AskingRefused()), ()
        return (PeerReported(error),), ()

    def _take_grant(self, envelope: Envelope) -> _Meaning:
        update = read_payload(FlowUpdate, FLOW_UPDATE, envelope.payload)
        if not update.messages and not update.add_bytes:
            return _NOTHING  # a request or a reduction in the published example's form grants nothing
        return (Granted(update.channel, update.messages, update.add_bytes),), ()

    def _hear_pause(self, envelope: Envelope) -> _Meaning:
        return (PauseAsked(read_payload(ChannelName, PAUSE_CHANNEL, envelope.payload).channel),), ()

    def _hear_resume(self, envelope: Envelope) -> _Meaning:
        return (ResumeAsked(read_payload(ChannelName, RESUME_CHANNEL, envelope.payload).channel),), ()

    def _check_audio(self, envelope: Envelope) -> _Meaning:
        """Look whether base64 is base64: what cannot be played is not delivered."""
        data = envelope.payload.get("data") if isinstance(envelope.payload, dict) else None
        if envelope.bin_len is None and isinstance(data, str) and media_bytes(AUDIO_CHUNK, envelope.payload, None) is None:
            raise ProtocolError(f"{AUDIO_CHUNK} has a bad payload: its data is no base64", blame="remote")
        return _NOTHING

    _READERS: ClassVar[dict[str, Callable[[Session, Envelope], _Meaning]]] = {
        HAI: _greet,
        PING: _answer_ping,
        PONG: _hear_pong,
        ERROR: _hear_error,
        FLOW_UPDATE: _take_grant,
        PAUSE_CHANNEL: _hear_pause,
        RESUME_CHANNEL: _hear_resume,
        AUDIO_CHUNK: _check_audio,
        TRANSACTION_START: _hear_transaction,
        TRANSACTION_END: _hear_transaction,
        TRANSACTION_JOIN: _hear_transaction,
    }
