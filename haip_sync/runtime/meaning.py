"""What the peer's frames mean: from what the session understood to credit, pauses, fates and events."""

from __future__ import annotations

import time
from typing import Final, Protocol

from haip_sync.config import FlowControlConfig
from haip_sync.errors import HAIPError, ProtocolError, VersionError
from haip_sync.events import ErrorReported, FramesLost, HandshakeCompleted, PongReceived, SendRefused, WarningRaised
from haip_sync.flow.explain import amount
from haip_sync.flow.ledger import Cost
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
from haip_sync.protocol.names import FLOW_UPDATE
from haip_sync.protocol.payloads import PeerError
from haip_sync.protocol.transactions import (
    TransactionEnded,
    TransactionHappening,
    TransactionOpened,
    TransactionRefused,
    TransactionUnasked,
)
from haip_sync.runtime.heartbeat import Heartbeat
from haip_sync.runtime.peer_log import PeerLog
from haip_sync.runtime.replaying import Replaying
from haip_sync.runtime.rooms import Rooms

_LONGEST_SAID: Final = 10_000


class Host(Protocol):
    """What is asked of the connection. Every method requires the lock."""

    @property
    def heartbeat(self) -> Heartbeat:
        """The heartbeat of the line."""

    def greeted(self) -> bool:
        """Note that both HAIs were exchanged; return whether the peer goes on with the session of an earlier line."""

    def online(self) -> None:
        """Let go who waits: the last step of a handshake."""

    def resume_refused(self, why: str) -> None:
        """Note that the peer will not send again what we lack of it."""

    def ponged(self) -> None:
        """Note that the peer has answered our last PING."""

    def complain(self, text: str) -> None:
        """Note what came in place of the peer's HAI, for the error of a handshake that fails."""

    def refuse(self, failure: HAIPError) -> None:
        """End the connection for this reason, once what is posted has left."""

    def take_back(self, lost: UpdateLost) -> None:
        """Undo a FLOW_UPDATE that came too late for its transaction."""

    def hear_of_transaction(self, happening: TransactionHappening) -> None:
        """Carry out what happened to a transaction."""

    def send_flow_update(self, channel: str, amount: Cost, *, gives_back: bool) -> None:
        """Grant (and ask for) `amount` on `channel`."""

    @property
    def replaying(self) -> Replaying:
        """What the peer asked for again."""


class Meaning:
    """Carries out what happened. Every method requires the lock."""

    def __init__(self, host: Host, rooms: Rooms, config: FlowControlConfig, log: PeerLog) -> None:
        self._host = host
        self._rooms = rooms
        self._config = config
        self._log = log.warn

    def apply(self, happening: Happening) -> None:
        """Carry out one happening."""
        turnstile = self._rooms.turnstile
        if type(happening) is Granted and turnstile.has_place_for(happening.channel):  # most are
            turnstile.grant(happening.channel, Cost(happening.messages, happening.byte_credits))
            return
        match happening:
            case Granted(channel) | PauseAsked(channel) | ResumeAsked(channel):
                self._apply_to_channel(happening, channel)
            case PeerReported() | Violated() | SequencingStopped() | MajorChanged() | FramesMissing():
                self._report(happening, time.monotonic())
            case SendRefusedByPeer(error, is_past):
                self._refused(error, time.monotonic(), forfeits=not is_past)
                self._rooms.routes.refused(error, for_credit=True)
            case TransactionOpened() | TransactionEnded() | TransactionRefused() | TransactionUnasked():
                self._host.hear_of_transaction(happening)
            case UpdateLost(channel):
                self._host.take_back(happening)
                self._warn(f"a FLOW_UPDATE for {channel} came too late for its transaction; what it gave back is still owed")
            case AskingRefused():
                self._warn("the peer takes no FLOW_UPDATE: nothing more is asked for on this connection, and nothing given back")
            case Resumed() | NotResumed() | ResumeRefused():
                self._hear_of_resuming(happening)
            case ReplayAsked():
                self._host.replaying.ask(happening)
            case _:
                self._apply_to_connection(happening, time.monotonic())

    def _hear_of_resuming(self, happening: Resumed | NotResumed | ResumeRefused) -> None:
        """Take in what the peer does not send again. What it has of ours the session knew when it was greeted."""
        if isinstance(happening, ResumeRefused):
            said = f"{happening.code}: {happening.message}"
            self._host.resume_refused(f"the peer does not send again what was lost of its side: {said}")

    def _apply_to_channel(self, happening: Granted | PauseAsked | ResumeAsked, channel: str) -> None:
        turnstile = self._rooms.turnstile
        if not turnstile.has_place_for(channel):
            error = ProtocolError(f"{channel} would be one channel too many", blame="remote")
            self._report(Violated(error, None), time.monotonic())
            return
        match happening:
            case PauseAsked():
                turnstile.pause(channel, by_us=False, peer_told=True)
            case ResumeAsked():
                turnstile.resume(channel, by_us=False)

    def _apply_to_connection(self, happening: Ponged | Greeted | VersionRefused | HelloEchoed, now_s: float) -> None:
        match happening:
            case Ponged(nonce):
                round_trip_s = self._host.heartbeat.ponged(nonce, now_s)
                self._host.ponged()
                if round_trip_s is None:
                    round_trip_s = self._rooms.routes.answered(nonce, now_s)
                if round_trip_s is not None:
                    self._host.heartbeat.round_trip_s = round_trip_s  # whoever asked: it is the same way there and back
                    self._rooms.put(PongReceived(time_s=now_s, round_trip_s=round_trip_s))
            case Greeted():
                self._greet(happening)
            case HelloEchoed():
                self._host.complain("our own HAI came back, as from a server that only echoes")
            case VersionRefused(majors):
                self._host.refuse(VersionError(f"the peer accepts HAIP MAJOR {list(majors)!s:.200}, we speak 1"))

    def _refused(self, error: PeerError, now_s: float, *, forfeits: bool) -> None:
        """Settle the send that the peer refused (WIRE.md, point 17). `forfeits`: give up the balance that its books lack."""
        fates = self._rooms.outgoing.fates
        fate = fates.of(error.related_id)
        if fate is not None:
            fate.outcome = "refused"
        channel = fates.only_channel() if fate is None else fate.channel
        forfeited = self._rooms.turnstile.forfeit(channel) if channel is not None and forfeits else 0
        named = fate is not None and fate.message_id
        what = f"{named} was refused" if named else "a message was refused and lost; the peer does not say which"
        given_up = "" if channel is None or not forfeits else f"; {forfeited} messages of credit on {channel} are forfeited"
        text = f"{what}{given_up}. The peer says {error.code}: {error.message}"
        self._log(text)
        self._rooms.put(
            SendRefused(
                time_s=now_s,
                channel=channel,
                code=error.code,
                message=text,
                reported_by="peer",
                related_id=error.related_id,
                message_id=None if fate is None else fate.message_id,
                forfeited=forfeited,
            )
        )

    def _greet(self, greeted: Greeted) -> None:
        """Begin a credit epoch: what the peer's HAI grants us, and the rest of what we grant the peer."""
        rooms, first = self._rooms, greeted.hello.capabilities.flow_control
        rooms.turnstile.open_epoch(first.initial_credit_messages, first.initial_credit_bytes)
        least = least_window(self._config)
        rooms.inbox.open_epoch(least, rooms.turnstile.epoch)
        is_resumed = self._host.greeted()
        spendable = rooms.turnstile.gate("USER").ledger
        rooms.put(
            HandshakeCompleted(
                time_s=time.monotonic(),
                session_id=rooms.session.session_id,
                peer_session_id=greeted.peer_session_id,
                haip_version=greeted.hello.haip_version,
                dialect=rooms.session.dialect_name or "none",
                epoch=rooms.turnstile.epoch,
                initial_credits=spendable.messages.granted,
                initial_byte_credits=spendable.byte_credits.granted,
                resumed=is_resumed,
            )
        )
        self._grant_the_rest(least)
        self._host.online()

    def _grant_the_rest(self, least: Cost) -> None:
        """Grant each channel what its own setting has above the HAI's; where the peer reads no FLOW_UPDATE the HAI stands."""
        if self._rooms.session.accepts(FLOW_UPDATE):
            for channel in sorted(self._config.named_channels()):
                initial = Cost(*self._config.initial_for(channel))
                rest = Cost(initial.messages - least.messages, initial.byte_credits - least.byte_credits)
                if any(rest):
                    self._rooms.inbox.set_window(channel, initial)
                    self._host.send_flow_update(channel, rest, gives_back=False)

    def _report(
        self, happening: PeerReported | Violated | SequencingStopped | MajorChanged | FramesMissing, now_s: float
    ) -> None:
        if self._rooms.session.peer is None and isinstance(happening, (PeerReported, Violated)):
            said = happening.error
            self._host.complain(
                f"{said.code}: {said}" if isinstance(said, ProtocolError) else f"ERROR {said.code}: {said.message}"
            )
        match happening:
            case PeerReported(error):
                self._peer_reported(error, now_s)
            case Violated(violation, related_id):
                self._violated(violation, related_id, now_s)
            case SequencingStopped(seq):
                self._rooms.outgoing.replay.clear()
                which = "s leap" if seq is None else f" {seq!r:.60} does not keep to HAIP"
                self._warn(f"the peer's seq{which}: nothing is acknowledged on this connection")
            case FramesMissing(first, last):
                self._frames_missing(first, last, now_s)
            case MajorChanged(pv):
                self._warn(f"a frame of the peer's says MAJOR {pv}, and we agreed on 1: such frames are read as MAJOR 1")

    def _peer_reported(self, error: PeerError, now_s: float) -> None:
        self._log(f"the peer reports {error.code}: {error.message}")
        event = ErrorReported(
            time_s=now_s,
            code=error.code,
            message=error.message[:_LONGEST_SAID],
            reported_by="peer",
            related_id=error.related_id,
        )
        self._rooms.put(event)
        self._rooms.routes.refused(error, for_credit=False)

    def _violated(self, violation: ProtocolError, related_id: str | None, now_s: float) -> None:
        self._log(f"{violation.code}: {violation}")
        self._rooms.put(
            ErrorReported(
                time_s=now_s,
                code=violation.code,
                message=str(violation),
                reported_by="us",
                related_id=related_id,
            )
        )

    def _frames_missing(self, first: int, last: int, now_s: float) -> None:
        lost = amount(last - first + 1, "frame")
        text = f"{lost} of the peer's lost, seq {first} to {last}: nothing has brought what is missing"
        self._rooms.routes.missed(f"{lost} of the peer's, seq {first} to {last}")
        self._log(text)
        self._rooms.put(FramesLost(time_s=now_s, text=text, first_seq=first, last_seq=last))

    def _warn(self, text: str) -> None:
        self._log(text)
        self._rooms.put(WarningRaised(time_s=time.monotonic(), text=text))


def least_window(config: FlowControlConfig) -> Cost:
    """Return what our HAI grants on every channel: the smallest of the per-channel values."""
    initial = [config.initial_for(channel) for channel in config.named_channels()]
    return Cost(min(messages for messages, _ in initial), min(size for _, size in initial))
