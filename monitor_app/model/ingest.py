"""From a source to everything that the views read: one `tick` on the GUI thread takes what has arrived, within a time budget."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from haip_sync import ConnectionState, Event
from haip_sync.observe import WaitsBegan, WaitsEnded
from monitor_app.model.audit import AuditEntry, AuditTrail
from monitor_app.model.audit_file import AuditFile
from monitor_app.model.channel_view import ChannelView, in_order
from monitor_app.model.clock import Clock
from monitor_app.model.commands import Commands
from monitor_app.model.event_log import EventLog, LogRow, Tone, row_of_event, row_of_notice
from monitor_app.model.explanations import lacks
from monitor_app.model.happenings import Happenings
from monitor_app.model.history import History
from monitor_app.model.liveness import away_of
from monitor_app.model.marks import MarkKind, Marks
from monitor_app.model.source import Notice, Source
from monitor_app.model.status import STALE, Status
from monitor_app.model.tracker import ChannelTracker
from monitor_app.model.units import format_count, format_duration
from monitor_app.model.visibility import Visibility
from monitor_app.model.wait_rows import WaitRows

BUDGET_S: Final = 0.003
"""How long one tick may take out of the buffer; what is left waits for the next tick, or is counted as dropped."""
_BATCH: Final = 200
_SAME_S: Final = 0.05
"""For so long what the channels are is worked out once: every part of the window asks for it when texts are shown."""
FOLDS_AFTER_S: Final = 60.0
"""How long a channel is idle at least before the plots fold it away."""
REPORT_STARVATION_S: Final = 0.5
"""A starvation is logged once it has lasted this long: shorter ones are the normal breathing of a busy channel."""


class Ingest:
    """Everything known about one source. Belongs to the GUI thread.

    Attributes:
        source: Where it comes from, and where commands go.
        clock: The time.
        history: Gauges, for the plots.
        marks: Moments on the time axis.
        visibility: Which channels the plots show.
        log: Rows of the event log.
        connection: The last snapshot; None before there was a client.
        away: Why nothing new came with the last snapshot, OFFLINE, SILENT or DETACHED; None while there is a connection.
        dropped: Events that the buffer lost so far.
        lag_s: How old the oldest event of the last tick was when it was taken, 0.0 when there was none.
        answered: By channel and action, what came of the last command.
        answered_for_all: By action, what came of the last command that concerns the whole connection.
        audit: What the operator did in this session.
        commands: The way to the source for everything that an operator does.
    """

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        self.source = source
        self.clock = clock or Clock()
        self.dropped = 0
        self.lag_s = 0.0
        self._notices = 0
        self.log = EventLog()
        self._wait_rows = WaitRows()
        self.visibility = Visibility()
        self.audit = AuditTrail(self.clock)
        self.commands = Commands(source, self.audit, self.clock)
        self.reset()

    @property
    def news(self) -> int:
        """Grows with what a person should read at once: what was done and came of it, what became of a program."""
        return self.audit.version + self._notices

    def keep_audit(self, path: Path) -> None:
        """Write the audit trail to a file too, from now on; a file that cannot be written is told in the log."""
        self.audit.keep = AuditFile(path, self.clock, lambda: self.source.address, self._tell_trouble).write

    def _tell_trouble(self, text: str) -> None:
        self.log.add(LogRow(self.clock.now_s(), None, "WARNING", text, Tone.TROUBLE))

    def reset(self) -> None:
        """Forget what belongs to one address; the log and the audit trail stay."""
        self.history = History()
        self.marks = Marks()
        self.connection: ConnectionState | None = None
        self.away: Status | None = None
        self.answered: dict[tuple[str, str], Notice] = {}
        self.answered_for_all: dict[str, Notice] = {}
        self._trackers: dict[str, ChannelTracker] = {}
        # What the channels were, and when that was worked out; None: something has come since.
        self._seen: tuple[float, dict[str, ChannelView]] | None = None
        self._happenings = Happenings(self.marks, self._trackers)
        self._reported_starved: set[str] = set()
        self._past: deque[tuple[float, ConnectionState]] = deque()

    def tick(self) -> None:
        """Take in what has happened since the last tick."""
        now_s = self.clock.now_s()
        if self.connection is None:
            self._past.extend(self.source.take_past())
        self._drain(now_s)
        for event in self._wait_rows.due(now_s):
            self._log(event)
        for notice in self.source.take_notices():
            self._take_notice(notice, self.audit.answer(notice))
        for notice, entry in self.commands.take_refusals():
            self._take_notice(notice, entry)
        snapshot = self.source.snapshot() or self._last_known()
        if snapshot is not None:
            self._take_snapshot(snapshot, now_s)
        self._seen = None

    def channels(self) -> list[ChannelView]:
        """Return every channel as it is now, in a fixed order."""
        return list(self._views().values())

    def channel(self, name: str) -> ChannelView | None:
        """Return one channel as it is now."""
        return self._views().get(name)

    def _views(self) -> dict[str, ChannelView]:
        """Return the channels by name, as they were when first asked for after the last tick, if that is not long ago."""
        now_s = self.clock.now_s()
        if self._seen is None or not 0 <= now_s - self._seen[0] < _SAME_S:
            views = [tracker.view(now_s) for tracker in self._trackers.values()]
            is_over = self.away is Status.OFFLINE and self.source.failure is not None
            self._seen = now_s, {view.name: replace(view, is_over=True) if is_over else view for view in views}
        return self._seen[1]

    def tracker(self, name: str) -> ChannelTracker | None:
        """Return what is remembered of one channel."""
        return self._trackers.get(name)

    def shown(self, chosen: str, since_s: float) -> tuple[list[str], list[str]]:
        """Return the channels that the plots show, and the idle ones that are folded away.

        Idle is where nothing happened since `since_s`, the left edge of what is visible, nor in the last minute: who sends now
        and then does not come and go.
        """
        since_s = min(since_s, self.clock.now_s() - FOLDS_AFTER_S)
        return self.visibility.split(self.history.channels, lambda name: self._is_idle(name, since_s), chosen)

    def _is_idle(self, name: str, since_s: float) -> bool:
        tracker = self._trackers.get(name)
        return tracker is not None and (tracker.active_s is None or tracker.active_s < since_s)

    def _drain(self, now_s: float) -> None:
        self.lag_s = 0.0
        while True:
            drained = self.source.drain(_BATCH)
            self.dropped += drained.dropped
            if drained.oldest_s is not None:
                self.lag_s = max(self.lag_s, now_s - drained.oldest_s)
            for event in drained.events:
                self._take_event(event, now_s)
            if len(drained.events) < _BATCH or self.clock.now_s() - now_s > BUDGET_S:
                return

    def _take_event(self, event: Event, now_s: float) -> None:
        if not isinstance(event, WaitsBegan | WaitsEnded):
            self._log(event)
        elif (told := self._wait_rows.take(event, now_s)) is not None:
            self._log(told)
        if self._past:
            self._recall(event.time_s)
        self._happenings.take(event)

    def _recall(self, until_s: float) -> None:
        """Keep what the source remembers until then: its moments and events in turn, as a channel is told by both."""
        while self._past and self._past[0][0] <= until_s:
            time_s, state = self._past.popleft()
            self._track(state, time_s)

    def _log(self, event: Event) -> None:
        row = row_of_event(event)
        if row is not None:
            self.log.add(row)

    def _take_notice(self, notice: Notice, entry: AuditEntry | None) -> None:
        self._notices += 1
        self.log.add(row_of_notice(notice, entry))
        self._happenings.take_notice(notice, entry)
        if notice.channel is None:
            self.answered_for_all[notice.action] = notice
        else:
            self.answered[notice.channel, notice.action] = notice

    def _take_snapshot(self, snapshot: ConnectionState, now_s: float) -> None:
        if self.connection is None:
            self._past.extend(self.source.take_past())
            self._recall(math.inf)
        self.connection, silent_s = snapshot, self.source.silent_s
        self.away = None if snapshot.connected else away_of(self.source)
        tracked = self._track(snapshot, now_s) if silent_s is None else self._track_silence(snapshot, silent_s, now_s)
        for tracker, changed in tracked:
            self._report_starvation(tracker, now_s, changed=changed)

    def _last_known(self) -> ConnectionState | None:
        """Return what was known last of a source that tells nothing any more; None while it may be about to."""
        if self.connection is None or self.source.connecting or self.source.silent_s is not None:
            return None
        return msgspec.structs.replace(self.connection, connected=False)

    def _track(self, snapshot: ConnectionState, now_s: float) -> list[tuple[ChannelTracker, bool]]:
        """Keep what a snapshot says; return each channel's tracker, and whether its state is another than before."""
        self.history.append(now_s, snapshot)
        tracked = []
        for name in in_order(snapshot.channels):
            state = snapshot.channels[name]
            tracker = self._trackers.get(name)
            if tracker is None:
                tracker = self._trackers[name] = ChannelTracker(name, state, now_s)
            tracked.append((tracker, tracker.update(state, now_s, connected=snapshot.connected, epoch=snapshot.epoch)))
        return tracked

    def _track_silence(self, snapshot: ConnectionState, silent_s: float, now_s: float) -> list[tuple[ChannelTracker, bool]]:
        """Keep that nothing was heard for so long, and the snapshot is old; return what `_track` does."""
        self.history.append(now_s, snapshot)
        away, known = away_of(self.source), snapshot.channels
        heard = [tracker for tracker in self._trackers.values() if tracker.name in known]
        return [(tracker, tracker.hear_nothing(known[tracker.name], silent_s, now_s, away)) for tracker in heard]

    def _report_starvation(self, tracker: ChannelTracker, now_s: float, *, changed: bool) -> None:
        name = tracker.name
        if changed and name in self._reported_starved:
            self._reported_starved.discard(name)
            self.log.add(LogRow(now_s, name, "STARVED", _end_of_starvation(tracker), Tone.PLAIN))
        lasts_s = now_s - tracker.since_s
        if tracker.status is Status.STARVED and lasts_s >= REPORT_STARVATION_S and name not in self._reported_starved:
            self._reported_starved.add(name)
            view = tracker.view(now_s)
            lack = lacks(view)
            self.marks.add(MarkKind.STARVATION, name, now_s - view.status_s, lambda: lack)
            text = f"{lack}; backlog {format_count(view.state.backlog)}, for {format_duration(lasts_s)}"
            self.log.add(LogRow(now_s, name, "STARVED", text, Tone.STARVED))


def _end_of_starvation(tracker: ChannelTracker) -> str:
    lasted = format_duration(tracker.ended_after_s)
    if tracker.status in STALE:
        return f"starved for {lasted} when it was last seen"
    if tracker.status is Status.STARVED:
        return f"starvation over after {lasted}: served, and starved again"
    return f"starvation over after {lasted}: {tracker.status.value}"
