"""What the peer's frames mean, one by one, whatever their numbers. Pure; see `session`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from haip_sync.errors import ProtocolError
from haip_sync.protocol.dialects import choose_dialect, speaks_in_transactions
from haip_sync.protocol.envelope import Envelope, FlawedEnvelope, media_bytes
from haip_sync.protocol.event_payloads import ReplayRequest
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.gaps import Numbers
from haip_sync.protocol.happenings import (
    AskingRefused,
    Granted,
    Greeted,
    Happening,
    NotResumed,
    PauseAsked,
    PeerReported,
    Ponged,
    ReplayAsked,
    ResumeAsked,
    Resumed,
    ResumeRefused,
    SendRefusedByPeer,
    VersionRefused,
    Violated,
)
from haip_sync.protocol.identifiers import MOST_SEQ, is_seq, shown
from haip_sync.protocol.names import (
    AUDIO_CHUNK,
    ERROR,
    FLOW_UPDATE,
    HAI,
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
    check_incoming,
    is_known,
    read_payload,
    unknown_member,
)
from haip_sync.protocol.speaker import PeerView, Speaker
from haip_sync.protocol.transactions import Heard
from haip_sync.protocol.unread import text_member

_HOLDS_REMEMBERED = 1_024
_Meaning = tuple[tuple[Happening, ...], tuple[Frame, ...]]
_NOTHING: _Meaning = ((), ())


def _check_critical(envelope: Envelope) -> None:
    """Raise `ProtocolError` where `crit` forbids us to ignore what we do not know: a member, or the type itself."""
    flaw = envelope.flaw if isinstance(envelope, FlawedEnvelope) else ""
    if not is_known(envelope.type):
        flaw = "we do not know this type"
    elif not flaw and (member := unknown_member(envelope.type, envelope.payload)) is not None:
        flaw = f"its payload has the member {shown(repr(member))}, which we do not know"
    if flaw:
        raise ProtocolError(f"{shown(envelope.type)} is marked crit: {flaw}", code=UNSUPPORTED_TYPE, blame="remote")


class Understanding(Speaker):
    """A session as far as it understands. Not thread-safe."""

    def _understand(self, envelope: Envelope, *, was_held: bool) -> _Meaning:
        """Return what the frame means and what it is answered with. Raises `ProtocolError`.

        `was_held`: it came earlier, perhaps on a line that is over, and was not to be read before.
        """
        if envelope.crit:
            _check_critical(envelope)
        if self.peer is None and not was_held and envelope.type not in (HAI, ERROR, PING):
            raise ProtocolError(f"{shown(envelope.type)} came before the peer's HAI", blame="remote")
        reader = self._READERS.get(envelope.type)
        if reader:
            return reader(self, envelope)
        check_incoming(envelope.type, envelope.payload)
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
            text = f"the peer accepts MAJOR {list(hello.accept_major)!s:.200}, we speak {MAJOR}"
            answers = (self.error("VERSION_INCOMPATIBLE", text, envelope.id),) if ERROR in hello.accept_events else ()
            return (VersionRefused(hello.accept_major),), answers
        self.peer = hello
        self._hello_number = int(envelope.seq) if is_seq(envelope.seq) and not self._is_first_line else 0
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
            named = self.discreet(shown(repr(hello.last_rx_seq)))
            text = f"the peer's HAI says that it has {named} of ours, and we have sent 1 to {self.last_seq}"
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

    def _hear_error(self, envelope: Envelope) -> _Meaning:
        error = read_payload(PeerError, ERROR, envelope.payload)
        if error.code in (RESUME_FAILED, REPLAY_TOO_OLD):
            return (PeerReported(error), *self._hear_no_replay(error)), ()
        refused = self.transactions.hear_error(error, envelope).happenings
        if refused:
            return (PeerReported(error), *refused), ()
        if error.code in REFUSAL_CODES and self.peer is not None:
            return (SendRefusedByPeer(error, self._is_past(envelope)),), ()
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
            self.inbound.expire(asked)
            return ()
        if self._resuming_hello is None or error.related_id not in (None, self._resuming_hello):
            return ()
        self._resuming_hello = None
        self.inbound.expire(Numbers(1, MOST_SEQ))
        return (ResumeRefused(error.code, error.message),)

    def _take_grant(self, envelope: Envelope) -> _Meaning:
        update = read_payload(FlowUpdate, FLOW_UPDATE, envelope.payload)
        messages = update.messages
        if not messages and not update.add_bytes:
            return _NOTHING  # a request or a reduction in the published example's form grants nothing
        if self._is_past(envelope):
            return _NOTHING
        return (Granted(update.channel, messages, update.add_bytes),), ()

    def _hear_pause(self, envelope: Envelope) -> _Meaning:
        channel = read_payload(ChannelName, PAUSE_CHANNEL, envelope.payload).channel
        return ((PauseAsked(channel),), ()) if self._is_latest_hold(channel, envelope) else _NOTHING

    def _hear_resume(self, envelope: Envelope) -> _Meaning:
        channel = read_payload(ChannelName, RESUME_CHANNEL, envelope.payload).channel
        return ((ResumeAsked(channel),), ()) if self._is_latest_hold(channel, envelope) else _NOTHING

    def _is_past(self, envelope: Envelope) -> bool:
        """Return whether a peer that resumes says again what it said on an earlier line: of those books nothing is left."""
        return self._hello_number > 0 and self.inbound.active and int(envelope.seq) < self._hello_number

    def _is_latest_hold(self, channel: str, envelope: Envelope) -> bool:
        """Return whether no later PAUSE_CHANNEL or RESUME_CHANNEL has acted before this one, which was missing, came."""
        if not self.inbound.active:
            return True
        if self._is_past(envelope):
            return False
        number = int(envelope.seq)
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
        has_data = envelope.bin_len is None and text_member(envelope.payload, "data") is not None
        if has_data and media_bytes(AUDIO_CHUNK, envelope.payload, None) is None:
            raise ProtocolError(f"{AUDIO_CHUNK} has a bad payload: its data is no base64", blame="remote")
        return _NOTHING

    _READERS: ClassVar[dict[str, Callable[[Understanding, Envelope], _Meaning]]] = {
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
