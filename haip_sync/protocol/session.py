"""One HAIP session as a pure state machine: envelopes in; happenings and frames to send out.

The session decides what a frame *means*. It holds no credit (that is the ledger's), waits for nothing and writes nothing: the
runtime applies each happening under the connection's lock and sends each reply. Not thread-safe.

Before the peer's HAI only HAI, ERROR and PING mean anything; afterwards everything does, but a second HAI. A frame of our own
that the peer sends back never means anything: it is delivered as an echo, and that is all (WIRE.md, point 20).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from haip_sync.errors import ProtocolError
from haip_sync.protocol.dialects import (
    CONTINUATION_TYPES,
    TRANSACTION_DIALECT,
    TextDialect,
    choose_dialect,
    speaks_in_transactions,
)
from haip_sync.protocol.envelope import Envelope, FlawedEnvelope, Frame, FrameMaker, encode_json, media_bytes
from haip_sync.protocol.event_payloads import ReplayRequest
from haip_sync.protocol.gaps import Numbers
from haip_sync.protocol.happenings import (
    AskingRefused,
    FramesMissing,
    Granted,
    Greeted,
    Happening,
    HelloEchoed,
    MajorChanged,
    NotResumed,
    PauseAsked,
    PeerReported,
    Ponged,
    ReplayAsked,
    ResumeAsked,
    Resumed,
    ResumeRefused,
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
    REPLAY_REQUEST,
    REPLAY_TOO_OLD,
    RESUME_CHANNEL,
    RESUME_FAILED,
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
from haip_sync.protocol.received import Incoming, Received
from haip_sync.protocol.sent_ids import SentIds
from haip_sync.protocol.sequencing import MOST_SEQ, Arrival, Due, InboundSequence, Seen, Verdict, is_seq
from haip_sync.protocol.transactions import Heard, TransactionBook

_ASKINGS_REMEMBERED = 1_024
"""FLOW_UPDATEs whose refusal is still understood."""
_REQUESTS_REMEMBERED = 64
_HOLDS_REMEMBERED = 1_024
_LONGEST_ID = 128
_AT_ONCE: Final = frozenset({HAI, PING, PONG, ERROR, FLOW_UPDATE, PAUSE_CHANNEL, RESUME_CHANNEL, REPLAY_REQUEST})
"""Types that do not wait for what is missing before them: who waits for credit or for a sign of life would wait as well."""


class PeerView(NamedTuple):
    """What the latest peer's HAI says of sending: kept while a line is broken, for what is made meanwhile."""

    hello: Hello
    dialect: TextDialect | None
    needs_transaction: bool

    def accepts(self, frame_type: str) -> bool:
        """Return whether its HAI names `frame_type`."""
        return frame_type in self.hello.accept_events


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
    """Our side of one session's conversation, on one line after another.

    Attributes:
        last_seq: The highest number that a frame of ours has taken; assigned by the runtime, under its lock.
        peer: The peer's HAI, None before it came.
        dialect: How texts travel outside of transactions; None before the peer's HAI and where no dialect of ours fits.
        needs_transaction: Whether texts and FLOW_UPDATE travel inside a transaction only.
        transactions: Those of this connection.
        acknowledged: The highest of our numbers that the peer has acknowledged.
        latest: The latest peer as its HAI described it, on this line or an earlier one; None before the first.
        resume_from: What the peer's HAI says it has of ours, as `last_rx_seq`; None: it does not resume, or this is a first line.
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
        self._inbound: InboundSequence[Incoming] = InboundSequence()
        self._sent = SentIds()
        self._told_of_ack = False
        self._told_of_major = False
        self._refused_types: set[str] = set()
        self._askings: OrderedDict[str, UpdateLost] = OrderedDict()
        self.latest: PeerView | None = None
        self.resume_from: int | None = None
        self._is_first_line = True
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
        self._requests.clear()
        self._holds.clear()
        self._inbound.begin_line()

    @property
    def peer_sequences(self) -> bool:
        """Whether the peer's numbers are believed; before its first frame they are."""
        return self._inbound.active

    @property
    def ack(self) -> int:
        """What our next frame acknowledges; 0: leave it out."""
        return self._inbound.ack

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
        last_rx_seq = self._inbound.last_rx_seq
        if last_rx_seq:
            payload["last_rx_seq"] = str(last_rx_seq)
        frame = self.control_frame(HAI, payload)
        self._resuming_hello = frame.id if last_rx_seq else None
        return frame

    def error(self, code: str, message: str, related_id: str | None) -> Frame:
        """Return an ERROR frame; a `related_id` that is much longer than a UUID is not sent back."""
        related = {"related_id": related_id} if related_id and len(related_id) <= _LONGEST_ID else {}
        return self.control_frame(ERROR, {"code": code, "message": message, **related})

    def note_sent(self, frame_id: str) -> None:
        """Remember a frame of ours that takes its place in the write order. Doing it twice changes nothing."""
        self._sent.note(frame_id)

    def receive(self, envelope: Envelope, frame_bytes: int, now_s: float = 0.0, *, binary: bytes | None = None) -> list[Received]:
        """Take one frame of the peer's in; return what it comes to, and what was held and comes after it, in order.

        `frame_bytes`: the text frame's bytes as they came. `now_s`: the time on any clock that `due` is given as well.
        """
        incoming = Incoming(envelope, frame_bytes, binary)
        is_echo = self._is_echo(envelope)
        greeted = self._greet_sequence(envelope, now_s) if envelope.type == HAI and not is_echo else []
        item = None if envelope.type in _AT_ONCE else incoming
        arrival = Arrival(
            envelope.seq,
            envelope.id,
            is_echo=is_echo,
            is_filler=envelope.type == PONG and not envelope.payload,
            item=item,
            size=incoming.wire_bytes,
        )
        seen = self._inbound.observe(arrival, now_s)
        match seen.verdict:
            case Verdict.DUPLICATE:
                return [Received(incoming=incoming)]
            case Verdict.LATE:
                return [self._received(incoming, (), (), deliver=False)]
            case Verdict.HELD:
                noticed = self._notice(envelope)
                held = self._received(incoming, noticed, (), deliver=False)._replace(is_held=True)
                return [held, *self._let_out(seen.lost, seen.released)]
            case Verdict.STOPPED:
                stopped = (SequencingStopped(envelope.seq),)
                return [*greeted, *self._let_out(seen.lost, seen.released), self._take(incoming, stopped, is_echo=is_echo)]
        taken = self._take(incoming, (), is_echo=is_echo)
        return [*greeted, taken, *self._let_out(seen.lost, seen.released)] if greeted or seen.lost or seen.released else [taken]

    def receive_broken(self, envelope: Envelope, exc: ProtocolError, now_s: float = 0.0) -> list[Received]:
        """Take in an envelope whose binary frame did not come: it counts as received, and cost the peer what it announced."""
        seen = self._inbound.observe(Arrival(envelope.seq, envelope.id, is_echo=self._is_echo(envelope)), now_s)
        stopped = (SequencingStopped(envelope.seq),) if seen.verdict is Verdict.STOPPED else ()
        broken = self._violation(Incoming(envelope, envelope.bin_len or 0), exc, stopped)
        return [broken, *self._let_out(seen.lost, seen.released)]

    def due(self, now_s: float) -> list[Received]:
        """Return what the time has come for: frames to send, losses to report, held frames that wait no longer."""
        due = self._inbound.due(now_s, may_request=self.accepts(REPLAY_REQUEST))
        requests = [self._request(numbers) for numbers in due.to_request]
        return [*([Received(replies=requests)] if requests else []), *self._after(due)]

    @property
    def next_due_s(self) -> float:
        """When to call `due`; infinite while nothing is missing. Any thread may look."""
        return self._inbound.next_due_s

    def drop_held(self, envelope: Envelope) -> None:
        """Forget a frame that is held: there is no room for it."""
        self._inbound.drop(envelope.seq)

    def _request(self, numbers: Numbers) -> Frame:
        frame = self.control_frame(REPLAY_REQUEST, {"from_seq": str(numbers.first), "to_seq": str(numbers.last)})
        self._requests[frame.id] = numbers
        while len(self._requests) > _REQUESTS_REMEMBERED:
            self._requests.popitem(last=False)
        return frame

    def _after(self, due: Due[Incoming]) -> list[Received]:
        """Return what follows from gaps that were given up."""
        stopped = [Received((SequencingStopped(None),))] if due.is_stopped else []
        return [*self._let_out(due.lost, due.released), *stopped]

    def _let_out(self, lost: Sequence[Numbers], released: Sequence[Incoming]) -> list[Received]:
        """Return what was held and waits no longer, behind the report of what is lost before it."""
        told = [Received((FramesMissing(numbers.first, numbers.last),)) for numbers in lost]
        return [*told, *(self._act(incoming, ())._replace(was_held=True) for incoming in released)]

    def _greet_sequence(self, envelope: Envelope, now_s: float) -> list[Received]:
        """Say whether the numbers of the peer's HAI run on from the line before; return what is not to be waited for."""
        payload = envelope.payload
        resumes = isinstance(payload, dict) and self._resume_point(payload.get("last_rx_seq")) is not None
        seen: Seen[Incoming] = self._inbound.greet(envelope.seq, resumes=resumes, now_s=now_s)
        return self._let_out(seen.lost, seen.released)

    def _take(self, incoming: Incoming, noticed: tuple[Happening, ...], *, is_echo: bool) -> Received:
        if is_echo:
            return self._take_echo(incoming, noticed)
        return self._act(incoming, noticed + self._notice(incoming.envelope))

    def _notice(self, envelope: Envelope) -> tuple[Happening, ...]:
        """Take in what an envelope says whether or not its frame can act already."""
        return self._hear_ack(envelope) + self._look_at_major(envelope)

    def _act(self, incoming: Incoming, noticed: tuple[Happening, ...]) -> Received:
        try:
            happenings, replies = self._understand(incoming.envelope)
        except ProtocolError as exc:
            return self._violation(incoming, exc, noticed)
        return self._received(incoming, noticed + happenings, replies, deliver=True)

    def _is_echo(self, envelope: Envelope) -> bool:
        return envelope.session == self.session_id or envelope.id in self._sent

    def _take_echo(self, incoming: Incoming, noticed: tuple[Happening, ...]) -> Received:
        """Deliver what we said ourselves, as what it is: it grants, pauses, greets, refuses, acknowledges and asks nothing."""
        early = () if self.peer else (HelloEchoed(),)
        return self._received(incoming, (*noticed, *early), (), deliver=self.peer is not None)._replace(is_echo=True)

    def _received(
        self, incoming: Incoming, happenings: Sequence[Happening], replies: Sequence[Frame], *, deliver: bool
    ) -> Received:
        envelope = incoming.envelope
        if envelope.type in CONTROL_TYPES:
            return Received(happenings, replies, deliver, incoming=incoming)
        media = media_bytes(envelope.type, envelope.payload, envelope.bin_len)
        return Received(
            happenings,
            replies,
            deliver,
            is_data=True,
            cost_messages=self.message_cost(envelope.type),
            cost_bytes=incoming.frame_bytes if media is None else media,
            incoming=incoming,
        )

    def unreadable(self, exc: ProtocolError) -> list[Received]:
        """Answer a frame that is no envelope: it is reported, and costs nobody anything."""
        replies = (self.error(exc.code, str(exc), None),) if self.accepts(ERROR) else ()
        return [Received((Violated(exc, None),), replies)]

    def _violation(self, incoming: Incoming, exc: ProtocolError, noticed: tuple[Happening, ...]) -> Received:
        envelope = incoming.envelope
        # Never an ERROR about an ERROR: two peers that disagree would go on for ever.
        answer = self.accepts(ERROR) and envelope.type != ERROR
        replies = (self.error(exc.code, str(exc), envelope.id),) if answer else ()
        return self._received(incoming, (*noticed, Violated(exc, envelope.id)), replies, deliver=False)

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
        self.peer_session_id = envelope.session
        self.dialect = choose_dialect(hello.accept_events, self._choice)
        self.needs_transaction = speaks_in_transactions(hello.accept_events, self._choice)
        self.latest = PeerView(hello, self.dialect, self.needs_transaction)
        return (Greeted(hello, envelope.session), *self._hear_resume_point(hello, envelope.id)), ()

    def _hear_resume_point(self, hello: Hello, hello_id: str) -> tuple[Happening, ...]:
        """Return what the HAI of a later line says of the earlier ones. A number that we never used says nothing."""
        if self._is_first_line:
            return ()
        if hello.last_rx_seq is None:
            return (NotResumed(),)
        self.resume_from = self._resume_point(hello.last_rx_seq)
        if self.resume_from is None:
            text = f"the peer's HAI says that it has {hello.last_rx_seq!r:.60} of ours, and we have sent 1 to {self.last_seq}"
            error = ProtocolError(f"{text}: it is taken as one that does not resume", code=SEQ_VIOLATION, blame="remote")
            return NotResumed(), Violated(error, hello_id)
        self.acknowledged = max(self.acknowledged, self.resume_from)
        return (Resumed(self.resume_from),)

    def _resume_point(self, named: Any) -> int | None:
        """Return the number of ours that a HAI's `last_rx_seq` says the peer has; None: it says nothing that can be."""
        if type(named) not in (str, int) or not (str(named) == "0" or is_seq(str(named))):
            return None
        return int(named) if int(named) <= self.last_seq else None

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
        if envelope.type == HAI and not self._is_first_line:
            return ()  # whether it counts what earlier lines carried, its last_rx_seq says
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
        if error.code in (RESUME_FAILED, REPLAY_TOO_OLD):
            return (PeerReported(error), *self._hear_no_replay(error)), ()
        refused = self.transactions.hear_error(error, envelope).happenings
        if refused:
            return (PeerReported(error), *refused), ()
        if error.code in REFUSAL_CODES and self.peer is not None:
            return (SendRefusedByPeer(error),), ()
        if error.code == TRANSACTION_NOT_FOUND and error.related_id is not None and error.related_id in self._askings:
            return (PeerReported(error), self._askings.pop(error.related_id)), ()
        if error.code == UNSUPPORTED_TYPE and error.related_id in self._askings and self.accepts(FLOW_UPDATE):
            self._refused_types.add(FLOW_UPDATE)
            return (PeerReported(error), AskingRefused()), ()
        return (PeerReported(error),), ()

    def _hear_no_replay(self, error: PeerError) -> tuple[Happening, ...]:
        """Take in that the peer will not send again what we asked for, with a REPLAY_REQUEST or with our HAI."""
        asked = self._requests.pop(error.related_id or "", None)
        if asked is not None:
            self._inbound.expire(asked)
            return ()
        if self._resuming_hello is None or error.related_id not in (None, self._resuming_hello):
            return ()
        self._resuming_hello = None
        self._inbound.expire(Numbers(1, MOST_SEQ))
        return (ResumeRefused(error.code, error.message),)

    def _take_grant(self, envelope: Envelope) -> _Meaning:
        update = read_payload(FlowUpdate, FLOW_UPDATE, envelope.payload)
        if not update.messages and not update.add_bytes:
            return _NOTHING  # a request or a reduction in the published example's form grants nothing
        return (Granted(update.channel, update.messages, update.add_bytes),), ()

    def _hear_pause(self, envelope: Envelope) -> _Meaning:
        channel = read_payload(ChannelName, PAUSE_CHANNEL, envelope.payload).channel
        return ((PauseAsked(channel),), ()) if self._is_latest_hold(channel, envelope.seq) else _NOTHING

    def _hear_resume(self, envelope: Envelope) -> _Meaning:
        channel = read_payload(ChannelName, RESUME_CHANNEL, envelope.payload).channel
        return ((ResumeAsked(channel),), ()) if self._is_latest_hold(channel, envelope.seq) else _NOTHING

    def _is_latest_hold(self, channel: str, seq: str) -> bool:
        """Return whether no later PAUSE_CHANNEL or RESUME_CHANNEL has acted before this one, which was missing, came."""
        if not self._inbound.active:
            return True
        number = int(seq)
        if number < self._holds.get(channel, 0):
            return False
        self._holds[channel] = number
        while len(self._holds) > _HOLDS_REMEMBERED:
            self._holds.popitem(last=False)
        return True

    def _hear_replay_request(self, envelope: Envelope) -> _Meaning:
        asked = read_payload(ReplayRequest, REPLAY_REQUEST, envelope.payload)
        first, last = int(asked.from_seq), self.last_seq if asked.to_seq is None else int(asked.to_seq)
        if first > self.last_seq or last < first:
            text = f"{REPLAY_REQUEST} asks for {first} to {asked.to_seq or 'the last'}, and we have sent 1 to {self.last_seq}"
            raise ProtocolError(text, blame="remote")
        return (ReplayAsked(first, min(last, self.last_seq), envelope.id),), ()

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
        REPLAY_REQUEST: _hear_replay_request,
        AUDIO_CHUNK: _check_audio,
        TRANSACTION_START: _hear_transaction,
        TRANSACTION_END: _hear_transaction,
        TRANSACTION_JOIN: _hear_transaction,
    }
