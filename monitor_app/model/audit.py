"""The audit trail: every action of the operator's, with who, when, on what, why, and what came of it."""

from __future__ import annotations

import getpass
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from monitor_app.model.clock import Clock
from monitor_app.model.source import Notice

MAX_ENTRIES: Final = 10_000


class Outcome(Enum):
    """What came of an action; the value is the word that people read."""

    WAITING = "no answer yet"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One action."""

    number: int
    """Counts the actions of this session from 1."""
    time_s: float
    """When, on the monotonic clock."""
    who: str
    """The system user."""
    channel: str | None
    """None for what concerns the whole connection."""
    action: str
    """pause, resume, request, strategy, clear queue, test message or connect."""
    details: str
    """What exactly, in a few words."""
    reason: str
    """Why, as the operator gave it; empty for none."""
    outcome: Outcome
    result: str
    """What came of it, in a sentence; empty while nothing did."""


class ActionMark(NamedTuple):
    """An action as a mark on the time axis."""

    time_s: float
    kind: str
    """The action, as in `AuditEntry`."""
    text: str
    """Who did what, for a tooltip."""


def system_user() -> str:
    """Return the name of the user of this process, or the number where the system knows no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # Python 3.13 raises OSError, earlier ones KeyError
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown user"


class AuditTrail:
    """The actions of this session, oldest first; it outlives connections and is bounded. Belongs to the GUI thread.

    Attributes:
        who: The system user.
        keep: Told of every entry when it is written down, and again when it is known what came of it.
        dropped: How many of the oldest entries are gone.
        version: Grows with every change, so that a view can tell whether there is one.
    """

    def __init__(self, clock: Clock, who: str | None = None, max_entries: int = MAX_ENTRIES) -> None:
        self.who = system_user() if who is None else who
        self.keep: Callable[[AuditEntry], None] | None = None
        self.dropped = 0
        self.version = 0
        self._clock = clock
        self._count = 0
        self._max_entries = max_entries
        self._entries: deque[AuditEntry] = deque()

    @property
    def entries(self) -> tuple[AuditEntry, ...]:
        """Every entry that is kept, oldest first."""
        return tuple(self._entries)

    def begin(self, action: str, channel: str | None, *, details: str = "", reason: str | None = None) -> AuditEntry:
        """Write down an action before it is done, so that none goes without an entry."""
        self._count += 1
        entry = AuditEntry(
            number=self._count,
            time_s=self._clock.now_s(),
            who=self.who,
            channel=channel,
            action=action,
            details=details,
            reason=reason or "",
            outcome=Outcome.WAITING,
            result="",
        )
        if self.keep is not None:
            self.keep(entry)
        self._entries.append(entry)
        if len(self._entries) > self._max_entries:
            self._entries.popleft()
            self.dropped += 1
        self.version += 1
        return entry

    def refuse(self, entry: AuditEntry, result: str) -> AuditEntry:
        """Write down that the monitor itself did not let an action through; return the entry as it is now."""
        return self._settle(entry, Outcome.REFUSED, result)

    def answer(self, notice: Notice) -> AuditEntry | None:
        """Write down what came of an action; return its entry. None for what nobody did here.

        A source answers the commands of one kind on one channel in the order in which they were given.
        """
        for entry in self._entries:
            if (entry.outcome, entry.action, entry.channel) == (Outcome.WAITING, notice.action, notice.channel):
                return self._settle(entry, Outcome.DONE if notice.ok else Outcome.FAILED, notice.result)
        return None

    def marks_since(self, channel: str | None, from_s: float) -> list[ActionMark]:
        """Return the actions on `channel` (None: on the whole connection) since a time, as marks, oldest first."""
        return [
            ActionMark(entry.time_s, entry.action, sentence_of(entry))
            for entry in self._entries
            if entry.channel == channel and entry.time_s >= from_s
        ]

    def _settle(self, entry: AuditEntry, outcome: Outcome, result: str) -> AuditEntry:
        settled = replace(entry, outcome=outcome, result=result)
        for place, kept in enumerate(self._entries):
            if kept.number == entry.number:
                self._entries[place] = settled
        if self.keep is not None:
            self.keep(settled)
        self.version += 1
        return settled


def sentence_of(entry: AuditEntry) -> str:
    """Return an entry as one sentence: `mara: request +10 messages on USER (“drill”): done`."""
    details = f" {entry.details}" if entry.details else ""
    on = f" on {entry.channel}" if entry.channel is not None else ""
    why = f" (“{entry.reason}”)" if entry.reason else ""
    return f"{entry.who}: {entry.action}{details}{on}{why}: {entry.result or entry.outcome.value}"


def record_of(entry: AuditEntry, clock: Clock) -> Mapping[str, object]:
    """Return an entry as it is exported: members in the order of the columns."""
    return {
        "time": clock.iso(entry.time_s),
        "who": entry.who,
        "channel": entry.channel,
        "action": entry.action,
        "details": entry.details,
        "reason": entry.reason,
        "outcome": entry.outcome.value,
        "result": entry.result,
    }
