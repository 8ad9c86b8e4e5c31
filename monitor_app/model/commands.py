"""The operator's hand: every command passes here on its way to the source, and is written down first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from monitor_app.model.addresses import without_secrets
from monitor_app.model.audit import AuditEntry, AuditTrail
from monitor_app.model.clock import Clock
from monitor_app.model.source import Notice, Source
from monitor_app.model.strategy_plan import StrategyPlan
from monitor_app.model.units import format_bytes, format_credit, format_messages

READ_ONLY: Final = "The monitor is read-only: Channel, Read-only lets you steer again."
OFFLINE: Final = "There is no connection."
NOTHING: Final = "Nothing to ask for: enter at least 1 message or 1 KiB."


class Commands:
    """What an operator may do to a source. Belongs to the GUI thread; results come as notices of the source.

    Attributes:
        read_only: Whether the operator wants to look only. Commands are then refused, and written down as refused.
    """

    def __init__(self, source: Source, audit: AuditTrail, clock: Clock) -> None:
        self.read_only = False
        self._source = source
        self._audit = audit
        self._clock = clock
        self._refusals: deque[tuple[Notice, AuditEntry]] = deque()

    @property
    def locked(self) -> str:
        """Why nothing can be steered, in a sentence, whatever the connection does; empty when it can."""
        return READ_ONLY if self.read_only else (self._source.steering_refused or "")

    def why_not(self, *, connected: bool) -> str:
        """Return why nothing can be done now, for the tooltips of what is disabled; empty when it can."""
        return self.locked or ("" if connected else OFFLINE)

    def pause(self, channel: str, reason: str | None) -> None:
        """Pause `channel`; the peer is told the reason."""
        self._do("pause", channel, lambda: self._source.pause(channel, reason), reason=reason)

    def resume(self, channel: str, reason: str | None = None) -> None:
        """Resume `channel`; the reason is for the audit trail."""
        self._do("resume", channel, lambda: self._source.resume(channel), reason=reason)

    def request(self, channel: str, messages: int, byte_credits: int) -> None:
        """Ask the peer for credit; to ask for none of either is refused here, in words for an operator."""
        details, wrong = format_credit(messages, byte_credits), "" if messages or byte_credits else NOTHING
        self._do("request", channel, lambda: self._source.request(channel, messages, byte_credits), details=details, wrong=wrong)

    def send_test_message(self, channel: str, text: str) -> None:
        """Send `text` in line."""
        details = f"{len(text)} characters"
        self._do("test message", channel, lambda: self._source.send_test_message(channel, text), details=details)

    def clear_queue(self, channel: str, reason: str | None, *, messages: int, byte_count: int) -> None:
        """Take back what is queued in `channel`; `messages` and `byte_count` are what the operator saw when confirming."""
        details = f"{format_messages(messages)}, {format_bytes(byte_count)}"
        self._do("clear queue", channel, lambda: self._source.clear_queue(channel, reason), details=details, reason=reason)

    def use_strategy(self, plan: StrategyPlan) -> None:
        """Let a strategy ask for credit, on every channel of the connection."""
        self._do("strategy", None, lambda: self._source.use_strategy(plan.name, plan.settings(), None), details=str(plan))

    def connect_to(self, url: str, token: str | None) -> None:
        """Connect the monitor's own client elsewhere. That steers nobody, so it is allowed in read-only mode too."""
        if not self._may_connect:
            return
        self._audit.begin("connect", None, details=f"to {without_secrets(url)}")
        self._source.connect_to(url, token)

    def reconnect(self) -> None:
        """Try the last address again."""
        if not self._may_connect:
            return
        self._audit.begin("connect", None, details=f"again to {self._source.address}")
        self._source.reconnect()

    def cancel_connect(self) -> None:
        """End the attempt to connect that is under way; the answer to that attempt says so."""
        if self._source.can_reconnect and self._source.connecting:
            self._source.cancel_connect()

    @property
    def _may_connect(self) -> bool:
        """Whether the source will answer: one that is at it already, or never does, ignores the call."""
        return self._source.can_reconnect and not self._source.connecting

    def take_refusals(self) -> Sequence[tuple[Notice, AuditEntry]]:
        """Take what was refused here since the last call: a notice for the log, and the entry that it answers."""
        taken = tuple(self._refusals)
        self._refusals.clear()
        return taken

    def _do(
        self,
        action: str,
        channel: str | None,
        call: Callable[[], None],
        *,
        details: str = "",
        reason: str | None = None,
        wrong: str = "",
    ) -> None:
        """Write a command down and give it, or refuse it: because nothing may be steered, or for what is `wrong` with it."""
        entry = self._audit.begin(action, channel, details=details, reason=reason)
        why_not = self.locked or wrong
        if not why_not:
            call()
            return
        refused = self._audit.refuse(entry, why_not)
        notice = Notice(time_s=self._clock.now_s(), channel=channel, action=action, result=why_not, ok=False)
        self._refusals.append((notice, refused))
