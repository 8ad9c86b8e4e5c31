"""Our side without sockets, threads or clock: the session, and the books where a conversation looks at them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from haip_sync import FlowControlConfig, FlowControlError, HAIPTimeout, MessageTooLargeError, UnsupportedByPeerError, WaitCause
from haip_sync.errors import ProtocolError
from haip_sync.flow.ledger import Cost, Ledger
from haip_sync.flow.receive_window import ReceiveWindow
from haip_sync.protocol.envelope import Envelope, decode_envelope, encode_json, media_bytes
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import (
    AskingRefused,
    FramesMissing,
    Granted,
    Greeted,
    Happening,
    MajorChanged,
    PauseAsked,
    PeerReported,
    ReplayAsked,
    ResumeAsked,
    SendRefusedByPeer,
    SequencingStopped,
    VersionRefused,
    Violated,
)
from haip_sync.protocol.names import MESSAGE
from haip_sync.protocol.payloads import check_outgoing
from haip_sync.protocol.received import Received
from haip_sync.protocol.replay import ReplayWindow, TooOld
from haip_sync.protocol.session import Session
from haip_sync.protocol.transactions import TransactionOpened, TransactionUnasked, transaction_of
from haip_sync.runtime.fates import Fates
from haip_sync.runtime.meaning import least_window
from haip_sync.state import Fate
from support.conversations import OURS, Conversation
from support.transactions_alone import TransactionsAlone

_TS_MS = 1_700_000_000_000


@dataclass
class _Channel:
    ledger: Ledger
    window: ReceiveWindow
    paused: set[str] = field(default_factory=set)


class Alone:
    """The session with a ledger and a window for each channel."""

    def __init__(self, conversation: Conversation) -> None:
        self._config = FlowControlConfig(**conversation.settings)
        is_one = self._config.credit_unit == "message"
        self._session = Session(OURS, dialect_choice=conversation.dialect, text_is_one_message=is_one)
        self._first: tuple[int | None, int | None] = (None, None)
        self._channels: dict[str, _Channel] = {}
        self._said: list[dict[str, Any]] = []
        self._told: list[str] = []
        self._inbox: list[tuple[Envelope, Cost, bool]] = []
        self._fates = Fates(self._session.sent)
        self._awaiting: tuple[Envelope, int] | None = None
        self._ended: str | None = None
        self._now_s = 0.0
        self._replay_window = ReplayWindow()
        self._transactions = TransactionsAlone(self._session, self._send)
        self._send(self._session.hello(*least_window(self._config)))

    # ---- What the peer says ------------------------------------------------------------------------------------------------

    def hear(self, data: bytes | str) -> None:
        raw = data.encode() if isinstance(data, str) else data
        awaiting, self._awaiting = self._awaiting, None
        if awaiting is not None:
            broken = ProtocolError("a binary frame was announced, and a text frame came", blame="remote")
            self._apply(self._session.receive_broken(awaiting[0], broken, self._now_s))
        try:
            envelope = decode_envelope(raw)
        except ProtocolError as exc:
            self._apply(self._session.unreadable(exc))
            return
        if envelope.bin_len is None:
            self._apply(self._session.receive(envelope, len(raw), self._now_s))
        else:
            self._awaiting = (envelope, len(raw))

    def hear_binary(self, data: bytes) -> None:
        awaiting, self._awaiting = self._awaiting, None
        wrong = ProtocolError("this binary frame was not announced", blame="remote")
        if awaiting is None:
            self._apply(self._session.unreadable(wrong))
        elif awaiting[0].bin_len != len(data):
            self._apply(self._session.receive_broken(awaiting[0], wrong, self._now_s))
        else:
            self._apply(self._session.receive(*awaiting, self._now_s, binary=data))

    def _apply(self, all_received: list[Received]) -> None:
        if self._session.next_due_s <= self._now_s:
            all_received = [*all_received, *self._session.due(self._now_s)]
        for received in all_received:
            for reply in received.replies:
                self._send(reply)
            for happening in received.happenings:
                self._happen(happening)
            if received.incoming is not None and received.is_data and self._session.peer is not None:
                self._take(received.incoming.envelope, received)

    def _take(self, envelope: Envelope, received: Received) -> None:
        cost, window = Cost(received.cost_messages, received.cost_bytes), self._channel(envelope.channel).window
        if received.is_held:
            if self._admits(envelope, window, cost):
                window.receive(cost)
            else:
                self._session.drop_held(envelope)
        elif received.was_held and not received.deliver:
            window.waiting, window.frames_waiting, window.books = window.after_taking(cost)
            self._give_back(envelope.channel)
        elif not received.deliver:
            window.refund(cost)
            self._give_back(envelope.channel)
        elif received.was_held or self._admits(envelope, window, cost):
            if not received.was_held:
                window.receive(cost)
            if self._session.transactions.was_ended_by_us(transaction_of(envelope)):
                window.waiting, window.frames_waiting, window.books = window.after_taking(cost)
                self._give_back(envelope.channel)
                return
            self._inbox.append((envelope, cost, received.is_echo))

    def _admits(self, envelope: Envelope, window: ReceiveWindow, cost: Cost) -> bool:
        if not self._session.accepts("FLOW_UPDATE") or window.covers(cost):
            return True
        self._told.append("us:FLOW_CONTROL_VIOLATION")
        if self._session.accepts("ERROR"):
            self._send(self._session.error("FLOW_CONTROL_VIOLATION", "no credit", envelope.id))
        return window.holds(cost)

    def _happen(self, happening: Happening) -> None:
        match happening:
            case Granted(channel, messages, byte_credits):
                self._channel(channel).ledger = self._channel(channel).ledger.grant(Cost(messages, byte_credits))
            case PauseAsked(channel):
                self._channel(channel).paused.add("peer")
            case ResumeAsked(channel):
                self._channel(channel).paused.discard("peer")
            case ReplayAsked(first, last, request_id):
                self._replay(first, last, request_id)
            case Greeted(hello):
                credit = hello.capabilities.flow_control
                self._first = (credit.initial_credit_messages, credit.initial_credit_bytes)
                self._channels.clear()
            case TransactionOpened():
                for channel in self._channels:
                    self._give_back(channel)
            case VersionRefused():
                self._ended = "VersionError"
            case _:
                self._told += _report(happening)
                if isinstance(happening, SendRefusedByPeer):
                    self._forfeit(happening.error.related_id)

    def _replay(self, first: int, last: int, request_id: str) -> None:
        found = self._replay_window.slice(first, last)
        if isinstance(found, TooOld):
            self._send(self._session.error("REPLAY_TOO_OLD", "gone", request_id))
            return
        for resend in found:
            again = self._session.control_frame("PONG", {}) if resend.frame is None else resend.frame
            self._said.append(json.loads(again.render(resend.seq, resend.ack, _TS_MS)))

    def _forfeit(self, related_id: str | None) -> None:
        fate = self._fates.of(related_id)
        channel = self._fates.only_channel() if fate is None else fate.channel
        if channel is not None:
            self._channel(channel).ledger = self._channel(channel).ledger.forfeit_messages()

    def wait(self, seconds: float) -> None:
        self._now_s += seconds
        self._apply([])

    # ---- What the application does -----------------------------------------------------------------------------------------

    def do(self, command: list[Any]) -> None:
        match command:
            case ["send", channel, frame_type, payload]:
                check_outgoing(frame_type, payload)
                self._pay_and_send(channel, [(frame_type, payload)])
            case ["text", channel, text]:
                dialect = self._session.dialect
                if dialect is None:
                    raise UnsupportedByPeerError("no dialect")
                parts = [(dialect.part, {"message_id": "m", "text": text})] if text else []
                ends = [(dialect.start, {"message_id": "m"}), *parts, (dialect.end, {"message_id": "m"})]
                self._pay_and_send(channel, ends)
            case ["request", channel, messages, byte_credits]:
                if not self._session.may_update_flow():
                    raise UnsupportedByPeerError("FLOW_UPDATE")
                window = self._channel(channel).window
                window.books = window.extended(Cost(messages, byte_credits))
                self._send(self._session.flow_update(channel, messages, byte_credits))
            case ["pause" | "resume" as verb, channel]:
                (self._channel(channel).paused.add if verb == "pause" else self._channel(channel).paused.discard)("us")
                frame_type = f"{verb.upper()}_CHANNEL"
                if self._session.accepts(frame_type):
                    self._send(self._session.control_frame(frame_type, {"channel": channel}))
                else:
                    self._told.append("warning")
            case _:
                self._do_in_transaction(command)

    def _do_in_transaction(self, command: list[Any]) -> None:
        match command:
            case ["begin", tool]:
                self._transactions.begin(tool)
            case ["begin and give up", tool]:
                self._transactions.begin(tool)
                self._transactions.give_up()
                raise HAIPTimeout("nobody waits")
            case ["join", transaction]:
                self._transactions.join(transaction)
            case ["say", channel, text]:
                self._pay_and_send(channel, [(MESSAGE, text)], self._transactions.id_to_send_in())
            case ["end"]:
                self._transactions.end()
            case _:
                raise ValueError(command)

    def _pay_and_send(self, channel: str, wanted: list[tuple[str, Any]], transaction: str | None = None) -> None:
        session = self._session
        for frame_type, _ in wanted:
            if not session.accepts(frame_type):
                raise UnsupportedByPeerError(frame_type)
        frames = [
            session.frames.make(
                channel, name, encode_json(payload), media=media_bytes(name, payload, None), transaction=transaction
            )
            for name, payload in wanted
        ]
        first, place = session.last_seq + 1, self._channel(channel)
        messages = sum(session.message_cost(frame.type) for frame in frames)
        cost = Cost(messages, sum(frame.cost(first + i, session.ack) for i, frame in enumerate(frames)))
        if len(frames) == 1 and cost.byte_credits > self._config.caps_for(channel)[1]:
            raise MessageTooLargeError(channel, frame_bytes=cost.byte_credits, max_credit_bytes=0)
        if place.paused or not place.ledger.covers(cost):
            raise FlowControlError("no credit", cause=WaitCause.MESSAGES, channel=channel)
        place.ledger = place.ledger.spend(cost)
        for frame in frames:
            self._send(frame, Fate(channel, "m"))

    def _send(self, frame: Frame, fate: Fate | None = None) -> None:
        ack = self._session.ack
        self._session.last_seq += 1
        self._fates.note(fate, [frame], 0)
        self._replay_window.keep([frame], self._session.last_seq, self._now_s, ack=ack)
        self._said.append(json.loads(frame.render(self._session.last_seq, ack, _TS_MS)))

    def _give_back(self, channel: str) -> None:
        window = self._channel(channel).window
        due = window.due()
        if any(due) and self._session.may_update_flow():
            window.books = window.given_back(due)
            self._send(self._session.flow_update(channel, *due))

    # ---- What there is to see ----------------------------------------------------------------------------------------------

    def settle(self, *, greeted: bool, ends: str | None) -> None:
        assert self._ended == ends

    def said(self) -> list[dict[str, Any]]:
        said, self._said = self._said, []
        return said

    def told(self) -> list[str]:
        told, self._told = self._told, []
        return told

    def delivered(self) -> list[dict[str, Any]]:
        inbox, self._inbox = self._inbox, []
        for envelope, cost, _ in inbox:
            window = self._channel(envelope.channel).window
            window.waiting, window.frames_waiting, window.books = window.after_taking(cost)
            self._give_back(envelope.channel)
        return [
            {"type": e.type, "channel": e.channel, "payload": _read(e.payload), "id": e.id, "seq": e.seq, "is_echo": is_echo}
            | {"messages": cost.messages, "bytes": cost.byte_credits}
            for e, cost, is_echo in inbox
        ]

    def credit(self, channel: str) -> dict[str, int]:
        ledger = self._channel(channel).ledger
        return {
            "messages": ledger.spendable.messages,
            "bytes": ledger.spendable.byte_credits,
            "aside": ledger.set_aside.messages,
        }

    def paused(self, channel: str) -> list[str]:
        return sorted(self._channel(channel).paused)

    def window(self, channel: str) -> dict[str, int]:
        remaining = self._channel(channel).window.remaining
        return {"messages": remaining.messages, "bytes": remaining.byte_credits}

    def _channel(self, name: str) -> _Channel:
        if name not in self._channels:
            ours = Cost(*self._config.initial_for(name))
            first = Cost(*(own if theirs is None else theirs for own, theirs in zip(ours, self._first, strict=True)))
            window = least_window(self._config)
            ledger = Ledger.opened(first, Cost(*self._config.caps_for(name)))
            self._channels[name] = _Channel(ledger, ReceiveWindow(window, granted=window))
        return self._channels[name]


def _report(happening: Happening) -> list[str]:
    """Return what the application is told of a happening."""
    match happening:
        case Violated(error):
            return [f"us:{error.code}"]
        case PeerReported(said) | SendRefusedByPeer(said):
            return [f"peer:{said.code}"]
        case AskingRefused() | SequencingStopped() | MajorChanged() | FramesMissing() | TransactionUnasked():
            return ["warning"]
    return []


def _read(payload: Any) -> Any:
    """Return a payload as `Message` hands it out."""
    return msgspec.json.decode(payload) if isinstance(payload, msgspec.Raw) else payload
