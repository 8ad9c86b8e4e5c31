"""The event log: a bounded list of rows, and the sentence that stands for each event.

A row is little more than its event; the sentence is made when somebody first looks at it. In a flood most come and go unread.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import msgspec

from haip_sync import (
    ChannelPaused,
    ChannelResumed,
    ChannelStalled,
    Connected,
    CreditGranted,
    CreditRequested,
    Disconnected,
    ErrorReported,
    Event,
    HandshakeCompleted,
    Message,
    Reconnecting,
    SendAdmitted,
    WarningRaised,
)
from haip_sync.observe import WaitsBegan, WaitsEnded
from monitor_app.model.audit import AuditEntry, Outcome, sentence_of
from monitor_app.model.cutting import cut, one_line
from monitor_app.model.source import Notice
from monitor_app.model.units import (
    format_apart,
    format_bytes,
    format_count,
    format_credit,
    format_duration,
    format_messages,
    short_session,
)
from monitor_app.model.wording import cause_first, cause_of, for_operators

MAX_ROWS: Final = 100_000
_PREVIEW: Final = 160
"""Characters of a message that stand in its row."""
_MAX_KINDS: Final = 100
_TOLD_OTHERWISE: Final = frozenset({"FLOW_UPDATE", "PAUSE_CHANNEL", "RESUME_CHANNEL", "HAI", "ERROR", "PING", "PONG"})
"""Frames that are events of their own, or no news."""
_LATEST_S: Final = 1.0
"""What is told so late and later has its own time in the log, though the times go back there: it was no matter of order."""
_SHORT_WAIT_S: Final = 0.05
"""Waits below this read as none."""
_CAUSES: Final = {
    "messages": "no credit in messages",
    "bytes": "no credit in bytes",
    "paused_by_us": "paused by us",
    "paused_by_peer": "paused by the peer",
    "offline": "no connection",
    "socket": "the peer does not read",
    "behind_others": "behind others",
}


class Tone(Enum):
    """How a row looks: its sign and colour."""

    RECEIVED = "received"
    SENT = "sent"
    OURS = "ours"
    STARVED = "starved"
    PAUSE_BY_US = "pause by us"
    PAUSE_BY_PEER = "pause by peer"
    GOOD = "good"
    TROUBLE = "trouble"
    PLAIN = "plain"

    __hash__ = object.__hash__  # members are single things; Enum's own hash runs Python code


class LogRow(msgspec.Struct, gc=False):
    """One line of the log. Made for every event of a flood: a structure that the garbage collector need not walk."""

    time_s: float
    """On the monotonic clock."""
    channel: str | None
    """None for what concerns the whole connection."""
    kind: str
    """What it is, in a word: FLOW_UPDATE, STARVED, request."""
    words: str | Callable[[Any], str]
    """One sentence, or what makes it of `detail`."""
    tone: Tone
    detail: object = None
    """What stands behind it, for the inspector: an event, an action, a notice, or plain data that is cut to size."""
    told_s: float = 0.0
    """What the column of times shows, set by the log: `time_s`, or that of the row before where it is told a little late."""

    @property
    def text(self) -> str:
        """The sentence; made once."""
        if not isinstance(self.words, str):
            self.words = self.words(self.detail)
        return self.words


class EventLog:
    """The newest rows, numbered for ever so that a view can tell what came and what went.

    A sum of several moments is told when they are over, a script's threads tell in turn, and what was done here is known before a
    script tells what came of it: rows come a little late. The column of times does not go back for that, so that whoever reads
    down it need not wonder; the row's own time, which plots, inspector and exports have, is never changed.

    Attributes:
        rows: Oldest first.
        first: The number of `rows[0]`; how many rows were dropped so far.
        kinds: Every kind that has occurred, for a filter to offer.
    """

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self.rows: deque[LogRow] = deque()
        self.first = 0
        self.kinds: set[str] = set()
        self._max_rows = max_rows
        self._told_s = -math.inf

    @property
    def end(self) -> int:
        """The number that the next row will have."""
        return self.first + len(self.rows)

    def add(self, row: LogRow) -> None:
        """Append a row; the oldest goes when there are too many."""
        if not 0.0 < self._told_s - row.time_s < _LATEST_S:
            self._told_s = row.time_s
        row.told_s = self._told_s
        self.rows.append(row)
        if len(self.kinds) < _MAX_KINDS:  # a peer chooses the codes of its errors
            self.kinds.add(row.kind)
        if len(self.rows) > self._max_rows:
            self.rows.popleft()
            self.first += 1


def row_of_event(event: Event) -> LogRow | None:
    """Return the row that stands for `event`; None for events that the log leaves out."""
    if type(event) is CreditGranted:  # first, as a flood is made of them
        return LogRow(event.time_s, event.channel, "FLOW_UPDATE", _granted, Tone.RECEIVED, event)
    match event:
        case Message() | SendAdmitted():
            return _row_of_message(event)
        case CreditRequested() | WaitsBegan() | WaitsEnded():
            return _row_of_credit(event)
        case ChannelPaused():
            return _paused(event)
        case ChannelResumed():
            return _resumed(event)
        case _:
            return _row_of_connection_event(event)


def _row_of_credit(event: CreditRequested | WaitsBegan | WaitsEnded) -> LogRow | None:
    match event:
        case CreditRequested(gives_back=False):
            return LogRow(event.time_s, event.channel, "FLOW_UPDATE", _asked, Tone.OURS, event)
        case WaitsBegan():
            return LogRow(event.time_s, event.channel, "BLOCKED", _blocked, Tone.STARVED, event)
        case WaitsEnded():
            return LogRow(event.time_s, event.channel, "ADMITTED", _went_on, Tone.SENT, event)
        case _:
            return None


def _row_of_connection_event(event: Event) -> LogRow | None:
    match event:
        case Connected() | Disconnected() | Reconnecting():
            return _row_of_line(event)
        case HandshakeCompleted():
            return LogRow(event.time_s, None, "HAI", _handshake(event), Tone.GOOD, event)
        case ErrorReported():
            text = f"{'from the peer' if event.reported_by == 'peer' else 'found here'}: {event.message}"
            return LogRow(event.time_s, event.channel, event.code, text, Tone.TROUBLE, event)
        case WarningRaised():
            kind = "STALLED" if isinstance(event, ChannelStalled) else "WARNING"
            text = for_operators(event.text).removeprefix(f"{event.channel} ")
            return LogRow(event.time_s, event.channel, kind, text, Tone.TROUBLE, event)
        case _:
            return None


def _row_of_line(event: Connected | Disconnected | Reconnecting) -> LogRow:
    if isinstance(event, Connected):
        return LogRow(event.time_s, None, "CONNECT", f"connected to {event.address}", Tone.PLAIN, event)
    if isinstance(event, Reconnecting):
        text = f"{cause_of(event.reason)}; attempt {event.attempt} in {format_duration(event.delay_s)}"
        return LogRow(event.time_s, None, "RECONNECT", text, Tone.TROUBLE, event)
    tone = Tone.PLAIN if event.in_good_order else Tone.TROUBLE
    code = "" if event.code is None or str(event.code) in event.reason else f" (code {event.code})"
    return LogRow(event.time_s, None, "DISCONNECT", f"{cause_first(event.reason)}{code}", tone, event)


def _granted(event: CreditGranted) -> str:
    aside = format_credit(event.set_aside_messages, event.set_aside_bytes)
    kept = "" if aside == "nothing" else f"; {aside} set aside above the cap"
    balance = f"{format_count(event.credits)} messages, {format_bytes(event.byte_credits)}"
    return f"grant {format_credit(event.add_messages, event.add_bytes)}; balance {balance}{kept}"


def _asked(event: CreditRequested) -> str:
    return f"our request: {format_credit(event.add_messages, event.add_bytes)}"


def _blocked(event: WaitsBegan) -> str:
    """Return how many sends began to wait, and for what; several of a moment are one row."""
    sends = "1 send" if event.times == 1 else f"{format_count(event.times)} sends"
    needs = ""
    if event.messages_needed or event.bytes_needed:
        needed, has = format_apart(event.bytes_needed, event.byte_credits)
        if event.cause == "messages":
            needed, has = format_messages(event.messages_needed), str(event.credits)
        needs = f"; the first needs {needed}, has {has}"
    stand = f"; {format_count(event.waiting)} stand now" if event.waiting and event.waiting != event.times else ""
    return f"{sends} had to wait: {_CAUSES.get(event.cause, event.cause)}{needs}{stand}"


def _went_on(event: WaitsEnded) -> str:
    together = "" if event.times == 1 else " together"
    waited = "less than 0.1 s" if event.total_s < _SHORT_WAIT_S else format_duration(event.total_s)
    sends = "1 send" if event.times == 1 else f"{format_count(event.times)} sends"
    return f"{sends} went on after {waited}{together}: {_CAUSES.get(event.cause, event.cause)}"


def _paused(event: ChannelPaused) -> LogRow:
    by_us = event.by == "us"
    reason = f": “{event.reason}”" if event.reason else ""
    told = "" if event.peer_told else "; the peer does not accept PAUSE_CHANNEL and was not told"
    text = f"paused by {'us' if by_us else 'the peer'}{reason}{told}"
    tone = Tone.PAUSE_BY_US if by_us else Tone.PAUSE_BY_PEER
    return LogRow(event.time_s, event.channel, "PAUSE_CHANNEL", text, tone, event)


def _resumed(event: ChannelResumed) -> LogRow:
    by_us = event.by == "us"
    still = f"; {'the peer' if by_us else 'our pause'} still holds it" if event.still_paused else ""
    text = f"resumed by {'us' if by_us else 'the peer'}{still}"
    return LogRow(event.time_s, event.channel, "RESUME_CHANNEL", text, Tone.OURS if by_us else Tone.RECEIVED, event)


def _handshake(event: HandshakeCompleted) -> str:
    first = f"first credit {format_count(event.initial_credits)} messages, {format_bytes(event.initial_byte_credits)}"
    session = f"session {short_session(event.session_id)} epoch {event.epoch}"
    return f"HAIP {event.haip_version}, dialect {event.dialect}, {session}; {first}"


def _row_of_message(event: Message | SendAdmitted) -> LogRow | None:
    """Return the row of one message. It keeps what is worth showing of the payload, and not the payload."""
    if isinstance(event, SendAdmitted):
        return LogRow(event.time_s, event.channel, event.event_type, _admitted, Tone.SENT, event)
    if event.type in _TOLD_OTHERWISE:
        return None
    detail = {"event": "Message", **cut(msgspec.structs.asdict(event))}
    text = event.payload if isinstance(event.payload, str) else msgspec.json.encode(detail["payload"]).decode()
    return LogRow(event.time_s, event.channel, event.type, one_line(text, _PREVIEW), Tone.RECEIVED, detail)


def _admitted(event: SendAdmitted) -> str:
    of_what = f"; id {event.message_id}" if event.message_id else ""
    frames = "1 frame" if event.frames == 1 else f"{format_count(event.frames)} frames"
    waited = f" after {format_duration(event.wait_s)}" if event.wait_s >= _SHORT_WAIT_S else ""
    return f"sent {frames}{waited}; spent {format_messages(event.messages)}, {format_bytes(event.byte_credits)}{of_what}"


def row_of_notice(notice: Notice, entry: AuditEntry | None = None) -> LogRow:
    """Return the row that stands for the result of a command; with the operator's action that it answers, who and why."""
    tone = Tone.OURS if notice.ok or notice.is_ours else Tone.TROUBLE
    if entry is None:
        return LogRow(notice.time_s, notice.channel, notice.action, notice.result, tone, notice)
    why = f": “{entry.reason}”" if entry.reason and entry.reason not in notice.result else ""
    return LogRow(
        notice.time_s, notice.channel, notice.action, f"{notice.result.removesuffix('.')} (by {entry.who}{why})", tone, entry
    )


def row_of_action(entry: AuditEntry) -> LogRow:
    """Return an action of the audit trail as a row, for the inspector."""
    tone = Tone.TROUBLE if entry.outcome in {Outcome.FAILED, Outcome.REFUSED} else Tone.OURS
    return LogRow(entry.time_s, entry.channel, entry.action, sentence_of(entry), tone, entry)
