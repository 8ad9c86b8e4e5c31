"""One session's ledgers and policies, channel by channel: who has what, and what is to be given now. Arithmetic only.

Not thread-safe; the session that owns it holds its lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from haip_sync.config import DEFAULT_INITIAL_CREDIT_BYTES, DEFAULT_INITIAL_CREDITS
from haip_sync.testing.books import NOTHING, ChannelLedger, Credit
from haip_sync.testing.payloads import FlowFields
from haip_sync.testing.policies import ChannelPolicy, CreditPolicy
from haip_sync.testing.wire import MAX_CHANNELS


class CreditDesk:
    """Ledgers and policies of one session."""

    def __init__(self, initial: Credit | None, policy: CreditPolicy, by_channel: Mapping[str, CreditPolicy]) -> None:
        self._initial = initial
        self._window = initial or NOTHING
        self._to_client = NOTHING
        self._policy = policy
        self._by_channel = dict(by_channel)
        self._ledgers: dict[str, ChannelLedger] = {}
        self._states: dict[str, ChannelPolicy] = {}
        # Channels whose policy waits for the clock, so that a frame need not look at all of them.
        self._dues: dict[str, float] = {}

    def open(self, hai: FlowFields) -> None:
        """Take the first credits from the client's HAI; what either side leaves open, the other side's word settles."""
        ours = self._initial or Credit(DEFAULT_INITIAL_CREDITS, DEFAULT_INITIAL_CREDIT_BYTES)
        messages, byte_credits = hai.initial_credit_messages, hai.initial_credit_bytes
        self._to_client = Credit(
            ours.messages if messages is None else messages,
            ours.byte_credits if byte_credits is None else byte_credits,
        )
        self._window = self._to_client if self._initial is None else self._initial

    def channels(self) -> tuple[str, ...]:
        """Return every channel seen so far, in order of appearance."""
        return tuple(self._ledgers)

    def ledger(self, channel: str) -> ChannelLedger | None:
        """Return the channel's ledger, made on first use; None when there are too many channels already."""
        if channel not in self._ledgers:
            if len(self._ledgers) >= MAX_CHANNELS:
                return None
            self._ledgers[channel] = self.unused_ledger(channel)
            self._states[channel] = self._by_channel.get(channel, self._policy).start(self._window)
        return self._ledgers[channel]

    def unused_ledger(self, channel: str) -> ChannelLedger:
        """Return what the ledger of a channel looks like before its first use, without opening it."""
        metered = self._initial is not None
        return ChannelLedger(channel, window=self._window, to_client=self._to_client, metered=metered)

    def known(self, channel: str) -> ChannelLedger:
        """Return the channel's ledger, or what it would be, without opening it."""
        return self._ledgers.get(channel) or self.unused_ledger(channel)

    def set_policy(self, policy: CreditPolicy, channel: str | None, now: float) -> Iterable[tuple[str, Credit]]:
        """Change the policy of one channel, or of every channel present and to come; return what is to be given at once."""
        if channel is None:
            self._policy = policy
            self._by_channel.clear()
            affected = self.channels()
        else:
            self._by_channel[channel] = policy
            affected = (channel,) if channel in self._ledgers else ()
        for name in affected:
            self._states[name] = policy.start(self._window)
        return [(name, self.after_frame(name, now)) for name in affected]

    def ask_again(self, now: float) -> Iterable[tuple[str, Credit]]:
        """Ask every policy anew: what it would have given lately could not be sent."""
        return [(name, self.after_frame(name, now)) for name in self.channels()]

    def after_frame(self, channel: str, now: float) -> Credit:
        """Ask the policy what to give after a data frame."""
        given = self._states[channel].after_frame(self._ledgers[channel].owed(), now)
        self._note_due(channel)
        return given

    def after_request(self, channel: str, asked: Credit, now: float) -> Credit:
        """Ask the policy what to give after a FLOW_UPDATE, read as a request."""
        given = self._states[channel].after_request(asked, self._ledgers[channel].owed(), now)
        self._note_due(channel)
        return given

    def tick(self, now: float) -> Iterable[tuple[str, Credit]]:
        """Ask every policy that waits for the clock; return what is to be given."""
        given = []
        for channel in [name for name, due in self._dues.items() if due <= now]:
            given.append((channel, self._states[channel].tick(self._ledgers[channel].owed(), now)))
            self._note_due(channel)
        return given

    def due(self) -> float | None:
        """Return when `tick` is wanted next; None: not before the next event."""
        return min(self._dues.values(), default=None)

    def _note_due(self, channel: str) -> None:
        due = self._states[channel].due()
        if due is None:
            self._dues.pop(channel, None)
        else:
            self._dues[channel] = due
