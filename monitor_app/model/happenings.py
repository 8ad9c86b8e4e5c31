"""What each event means: a mark on the axis, and a change in what a channel does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from haip_sync import (
    ChannelPaused,
    ChannelResumed,
    Connected,
    CreditGranted,
    CreditRequested,
    Disconnected,
    ErrorReported,
    Event,
    Reconnecting,
    RequestExpired,
    SendBlocked,
)
from haip_sync.observe import WaitsEnded
from monitor_app.model.audit import AuditEntry, sentence_of
from monitor_app.model.marks import MarkKind, Marks
from monitor_app.model.source import Notice
from monitor_app.model.tracker import ChannelTracker
from monitor_app.model.units import format_credit, format_duration
from monitor_app.model.wording import cause_of


class Happenings:
    """Hands events on to the marks and to the channels that they are about."""

    def __init__(self, marks: Marks, trackers: Mapping[str, ChannelTracker]) -> None:
        self._marks = marks
        self._trackers = trackers

    def take(self, event: Event) -> None:
        """Take one event."""
        if type(event) is CreditGranted:  # first, as a flood is made of them
            self._granted(event)
            return
        match event:
            case SendBlocked() | WaitsEnded():
                self._with_tracker(event.channel, partial(_wait, event))
            case CreditRequested():
                self._requested(event)
            case ChannelPaused():
                self._paused(event)
            case ChannelResumed():
                by_us = event.by == "us"
                self._with_tracker(event.channel, lambda tracker: tracker.activity.resume(event.time_s, by_us=by_us))
            case Connected() | Disconnected():
                self._connection(event)
            case Reconnecting():
                self._marks.add(MarkKind.RECONNECT, None, event.time_s, partial(_attempt, event))
            case RequestExpired():
                self._marks.add(MarkKind.ERROR, event.channel, event.time_s, partial(_expired, event))
            case ErrorReported():
                self._marks.add(MarkKind.ERROR, event.channel, event.time_s, lambda: f"{event.code}: {event.message}")

    def take_notice(self, notice: Notice, entry: AuditEntry | None) -> None:
        """Mark what an operator did: when it was done, with who, why and what came of it where the audit trail has it."""
        if entry is not None:
            self._marks.add(MarkKind.ACTION, entry.channel, entry.time_s, partial(sentence_of, entry))
        elif notice.channel is not None:
            self._marks.add(MarkKind.ACTION, notice.channel, notice.time_s, lambda: f"{notice.action}: {notice.result}")

    def _granted(self, event: CreditGranted) -> None:
        self._marks.add(MarkKind.GRANT, event.channel, event.time_s, partial(format_credit, event.add_messages, event.add_bytes))
        tracker = self._trackers.get(event.channel)
        if tracker is not None:
            tracker.grant(event)

    def _requested(self, event: CreditRequested) -> None:
        if not event.gives_back:
            asked = partial(format_credit, event.add_messages, event.add_bytes)
            self._marks.add(MarkKind.REQUEST, event.channel, event.time_s, asked)
        self._with_tracker(event.channel, lambda tracker: tracker.request(event))

    def _paused(self, event: ChannelPaused) -> None:
        by_us = event.by == "us"
        kind = MarkKind.PAUSE_BY_US if by_us else MarkKind.PAUSE_BY_PEER
        self._marks.add(kind, event.channel, event.time_s, lambda: event.reason or "")
        tracker = self._trackers.get(event.channel)
        if tracker is not None:
            tracker.pause_reason = event.reason
            tracker.activity.pause(event.time_s, by_us=by_us)

    def _connection(self, event: Connected | Disconnected) -> None:
        up = isinstance(event, Connected)
        words = (
            (lambda: f"connected to {event.address}")
            if isinstance(event, Connected)
            else (lambda: f"lost: {cause_of(event.reason)}")
        )
        self._marks.add(MarkKind.RECONNECT, None, event.time_s, words)
        for tracker in self._trackers.values():
            tracker.activity.connection(event.time_s, connected=up)

    def _with_tracker(self, channel: str, act: Callable[[ChannelTracker], None]) -> None:
        tracker = self._trackers.get(channel)
        if tracker is not None:
            act(tracker)


def _wait(event: SendBlocked | WaitsEnded, tracker: ChannelTracker) -> None:
    if isinstance(event, SendBlocked):
        tracker.activity.block(event.cause, event.time_s)
    else:  # like a grant: the next snapshot or the next wait tells whether it was the end of the lack
        tracker.activity.grant(event.time_s)


def _attempt(event: Reconnecting) -> str:
    return f"attempt {event.attempt} in {format_duration(event.delay_s)}: {cause_of(event.reason)}"


def _expired(event: RequestExpired) -> str:
    asked = format_credit(event.add_messages, event.add_bytes)
    return f"request of {asked} unanswered for {format_duration(event.age_s)}"
