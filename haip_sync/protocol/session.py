"""One HAIP session as a pure state machine: envelopes in; happenings and frames to send out.

The session decides what a frame *means*. It holds no credit (that is the ledger's), waits for nothing and writes nothing: the
runtime applies each happening under the connection's lock and sends each reply. Not thread-safe.

Before the peer's HAI only HAI, ERROR and PING mean anything; afterwards everything does, but a second HAI. A frame of our own
that the peer sends back never means anything: it is delivered as an echo, and that is all (WIRE.md, point 20).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from haip_sync.errors import ProtocolError
from haip_sync.protocol.envelope import Envelope, media_bytes
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.gaps import Numbers
from haip_sync.protocol.happenings import FramesMissing, Happening, HelloEchoed, MajorChanged, SequencingStopped, Violated
from haip_sync.protocol.identifiers import number_of
from haip_sync.protocol.names import (
    CONTROL_TYPES,
    ERROR,
    FLOW_UPDATE,
    HAI,
    MAJOR,
    PAUSE_CHANNEL,
    PING,
    PONG,
    REPLAY_REQUEST,
    RESUME_CHANNEL,
    SEQ_VIOLATION,
)
from haip_sync.protocol.received import Incoming, Received
from haip_sync.protocol.sequencing import Arrival, Due, Seen, Verdict
from haip_sync.protocol.understanding import Understanding
from haip_sync.protocol.unread import plain_member

_AT_ONCE: Final = frozenset({HAI, PING, PONG, ERROR, FLOW_UPDATE, PAUSE_CHANNEL, RESUME_CHANNEL, REPLAY_REQUEST})
"""Types that do not wait for what is missing before them: who waits for credit or for a sign of life would wait as well."""


class Session(Understanding):
    """Our side of one session's conversation, on one line after another; `Speaker` lists its attributes."""

    def receive(self, envelope: Envelope, frame_bytes: int, now_s: float = 0.0, *, binary: bytes | None = None) -> list[Received]:
        """Take one frame of the peer's in; return what it comes to, and what was held and comes after it, in order.

        `frame_bytes`: the text frame's bytes as they came. `now_s`: the time on any clock that `due` is given as well.
        """
        incoming = Incoming(envelope, frame_bytes, binary)
        is_echo = self._is_echo(envelope)
        if not is_echo and self.inbound.follows(envelope.seq, envelope.id):
            return [self._act(incoming, self._notice(envelope))]
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
        seen = self.inbound.observe(arrival, now_s)
        match seen.verdict:
            case Verdict.DUPLICATE:
                return [Received(incoming=incoming)]
            case Verdict.LATE:
                return [self._received(incoming, (), (), deliver=False)]
            case Verdict.HELD:
                noticed = self._notice(envelope)
                held = self._received(incoming, noticed, (), deliver=False)
                held.is_held = True
                return [held, *self._let_out(seen.lost, seen.released)]
            case Verdict.STOPPED:
                stopped = (SequencingStopped(envelope.seq),)
                return [*greeted, *self._let_out(seen.lost, seen.released), self._take(incoming, stopped, is_echo=is_echo)]
        taken = self._take(incoming, (), is_echo=is_echo)
        return [*greeted, taken, *self._let_out(seen.lost, seen.released)] if greeted or seen.lost or seen.released else [taken]

    def receive_broken(self, envelope: Envelope, exc: ProtocolError, now_s: float = 0.0) -> list[Received]:
        """Take in an envelope whose binary frame did not come: it counts as received, and cost the peer what it announced."""
        seen = self.inbound.observe(Arrival(envelope.seq, envelope.id, is_echo=self._is_echo(envelope)), now_s)
        if seen.verdict is Verdict.DUPLICATE:
            return [Received(incoming=Incoming(envelope, envelope.bin_len or 0))]
        stopped = (SequencingStopped(envelope.seq),) if seen.verdict is Verdict.STOPPED else ()
        broken = self._violation(Incoming(envelope, envelope.bin_len or 0), exc, stopped)
        return [broken, *self._let_out(seen.lost, seen.released)]

    def due(self, now_s: float) -> list[Received]:
        """Return what the time has come for: frames to send, losses to report, held frames that wait no longer."""
        due = self.inbound.due(now_s, may_request=self.accepts(REPLAY_REQUEST))
        requests = [self._request(numbers) for numbers in due.to_request]
        return [*([Received(replies=requests)] if requests else []), *self._after(due)]

    def end(self) -> list[Received]:
        """Return what is held, behind the report of what it waits for in vain: no other line will follow. Twice is once."""
        seen = self.inbound.end()
        return self._let_out(seen.lost, seen.released)

    @property
    def next_due_s(self) -> float:
        """When to call `due`; infinite while nothing is missing. Any thread may look."""
        return self.inbound.next_due_s

    def drop_held(self, envelope: Envelope) -> None:
        """Forget a frame that is held: there is no room for it."""
        self.inbound.drop(envelope.seq)

    def _after(self, due: Due[Incoming]) -> list[Received]:
        """Return what follows from gaps that were given up."""
        stopped = [Received((SequencingStopped(None),))] if due.is_stopped else []
        return [*self._let_out(due.lost, due.released), *stopped]

    def _let_out(self, lost: Sequence[Numbers], released: Sequence[Incoming]) -> list[Received]:
        """Return what was held and waits no longer, behind the report of what is lost before it."""
        told = [Received((FramesMissing(numbers.first, numbers.last),)) for numbers in lost]
        return [*told, *(self._act(incoming, (), was_held=True) for incoming in released)]

    def _greet_sequence(self, envelope: Envelope, now_s: float) -> list[Received]:
        """Say whether the numbers of the peer's HAI run on from the line before; return what is not to be waited for."""
        resumes = self._resume_point(plain_member(envelope.payload, "last_rx_seq")) is not None
        seen: Seen[Incoming] = self.inbound.greet(envelope.seq, resumes=resumes, now_s=now_s)
        return self._let_out(seen.lost, seen.released)

    def _take(self, incoming: Incoming, noticed: tuple[Happening, ...], *, is_echo: bool) -> Received:
        if is_echo:
            return self._take_echo(incoming, noticed)
        return self._act(incoming, noticed + self._notice(incoming.envelope))

    def _notice(self, envelope: Envelope) -> tuple[Happening, ...]:
        """Take in what an envelope says whether or not its frame can act already."""
        noticed = self._hear_ack(envelope) if envelope.ack else ()
        return noticed if envelope.pv == MAJOR else noticed + self._look_at_major(envelope)

    def _act(self, incoming: Incoming, noticed: tuple[Happening, ...], *, was_held: bool = False) -> Received:
        try:
            happenings, replies = self._understand(incoming.envelope, was_held=was_held)
        except ProtocolError as exc:
            received = self._violation(incoming, exc, noticed)
        else:
            received = self._received(incoming, noticed + happenings, replies, deliver=True)
        received.was_held = was_held
        return received

    def _hear_ack(self, envelope: Envelope) -> tuple[Happening, ...]:
        """Take the peer's `ack` in while it keeps to the specification; a number that we never used is told of once."""
        ack = number_of(envelope.ack or "") if self.inbound.active else 0
        if not ack:
            return ()
        if (envelope.type == HAI or self.peer is None) and not self._is_first_line:
            return ()  # whether it counts what earlier lines carried, the last_rx_seq of its HAI says
        if ack <= self.last_seq:
            self.acknowledged = max(self.acknowledged, ack)
            if ack > self._before_hello:
                self.inbound.heard()
            return ()
        if self._told_of_ack:
            return ()
        self._told_of_ack = True
        text = f"the peer acknowledges {ack}, and we have sent no more than {self.last_seq}: such an ack is ignored"
        return (Violated(ProtocolError(text, code=SEQ_VIOLATION, blame="remote"), envelope.id),)

    def _look_at_major(self, envelope: Envelope) -> tuple[Happening, ...]:
        """Tell once of a MAJOR that is not ours."""
        if self.peer is None or self._told_of_major:
            return ()
        self._told_of_major = True
        return (MajorChanged(envelope.pv),)

    def _is_echo(self, envelope: Envelope) -> bool:
        return envelope.session == self.session_id or envelope.id in self.sent

    def _take_echo(self, incoming: Incoming, noticed: tuple[Happening, ...]) -> Received:
        """Deliver what we said ourselves, as what it is: it grants, pauses, greets, refuses, acknowledges and asks nothing."""
        early = () if self.peer else (HelloEchoed(),)
        received = self._received(incoming, (*noticed, *early), (), deliver=self.peer is not None)
        received.is_echo = True
        return received

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
        exc = self._discreet(exc)
        replies = (self.error(exc.code, str(exc), None),) if self.accepts(ERROR) else ()
        return [Received((Violated(exc, None),), replies)]

    def _discreet(self, exc: ProtocolError) -> ProtocolError:
        """Return the error without secrets, and without what it carries along: it may quote the peer."""
        return ProtocolError(self.discreet(str(exc)), code=exc.code, blame=exc.blame)

    def _violation(self, incoming: Incoming, exc: ProtocolError, noticed: tuple[Happening, ...]) -> Received:
        envelope = incoming.envelope
        exc = self._discreet(exc)
        # Never an ERROR about an ERROR: two peers that disagree would go on for ever.
        answer = self.accepts(ERROR) and envelope.type != ERROR
        replies = (self.error(exc.code, str(exc), envelope.id),) if answer else ()
        return self._received(incoming, (*noticed, Violated(exc, envelope.id)), replies, deliver=False)
