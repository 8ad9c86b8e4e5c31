"""The server's books: what each side was granted and has spent, per channel. Arithmetic only.

No thread, no lock, no clock, and on purpose nothing of the client's own ledger: two independent implementations that agree
to the message and to the byte are the proof that either is right. Nothing here is thread-safe; the session that owns a
ledger holds its lock. Credits are messages and bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec


@dataclass(frozen=True, slots=True)
class Credit:
    """An amount of credit, or the cost of a frame: messages and bytes, each from 0."""

    messages: int = 0
    byte_credits: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return self.messages > 0 or self.byte_credits > 0

    def share(self, messages: int) -> Credit:
        """Return `messages` of these messages with their share of the bytes, rounded up; the last one takes all that is left.

        Where no message is left but bytes are, all of the bytes: they must never be held back for ever.
        """
        if messages >= self.messages:
            return self
        return Credit(messages, -(-self.byte_credits * messages // self.messages))


NOTHING: Final = Credit()
"""No credit at all."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of one channel at one moment; always `balance == granted - spent`, and the same in bytes."""

    granted: int
    """Messages granted since the handshake, the first credit included."""
    granted_bytes: int
    """The same in bytes."""
    spent: int
    """Messages that data frames have cost, and control frames where the server counts them."""
    spent_bytes: int
    """The same in bytes."""
    balance: int
    """Messages that may still be sent."""
    balance_bytes: int
    """The same in bytes."""


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of one session at one moment, as the server counts. It never changes afterwards."""

    channel: str
    from_client: Tally
    """What we granted the client, and what its frames have cost."""
    to_client: Tally
    """What the client granted us, and what our frames have cost. `send_frame` may bring its balance below zero."""
    breaches: int
    """Data frames that came without credit for them. They were refused, not delivered, and debited nothing."""
    breach_bytes: int
    """What those frames would have cost in bytes."""
    paused_by_server: bool
    """We sent PAUSE_CHANNEL and not yet RESUME_CHANNEL."""
    paused_by_client: bool
    """The client sent PAUSE_CHANNEL and not yet RESUME_CHANNEL."""
    window: int
    """The first message credit: a policy never lifts the client's balance above it (explicit and requested grants may)."""
    window_bytes: int
    """The same in bytes."""
    metered: bool
    """False when our HAI named no first credit: the client's real balance is not known then, so nothing is a breach."""


class Account:
    """One direction of one channel. A grant and a cost are exact; the balance is their difference."""

    def __init__(self, first: Credit) -> None:
        self._granted = first.messages
        self._granted_bytes = first.byte_credits
        self._spent = 0
        self._spent_bytes = 0

    @property
    def balance(self) -> int:
        """Messages that may still be sent."""
        return self._granted - self._spent

    @property
    def balance_bytes(self) -> int:
        """Bytes that may still be sent."""
        return self._granted_bytes - self._spent_bytes

    def grant(self, credit: Credit) -> None:
        """Enlarge the balance."""
        self._granted += credit.messages
        self._granted_bytes += credit.byte_credits

    def withdraw(self, credit: Credit) -> None:
        """Take back what is still unspent, at most `credit`: the balance never falls below zero by it."""
        self._granted -= max(0, min(credit.messages, self.balance))
        self._granted_bytes -= max(0, min(credit.byte_credits, self.balance_bytes))

    def covers(self, cost: Credit) -> bool:
        """Whether the balance pays for `cost`, messages and bytes together."""
        # A frame that needs none of a resource passes also where that one is overdrawn.
        return cost.messages <= max(0, self.balance) and cost.byte_credits <= max(0, self.balance_bytes)

    def spend(self, cost: Credit) -> None:
        """Debit `cost`, covered or not: whoever must not overdraw asks `covers` first."""
        self._spent += cost.messages
        self._spent_bytes += cost.byte_credits

    def lose(self, cost: Credit) -> Credit:
        """Debit as much of `cost` as the balance pays for, floor zero, and return how much that was."""
        lost = Credit(max(0, min(cost.messages, self.balance)), max(0, min(cost.byte_credits, self.balance_bytes)))
        self.spend(lost)
        return lost

    def tally(self) -> Tally:
        """Return a frozen copy."""
        return Tally(
            granted=self._granted,
            granted_bytes=self._granted_bytes,
            spent=self._spent,
            spent_bytes=self._spent_bytes,
            balance=self.balance,
            balance_bytes=self.balance_bytes,
        )


class ChannelLedger:
    """Both directions of one channel, its pause flags and its breaches."""

    def __init__(self, channel: str, *, window: Credit, to_client: Credit, metered: bool) -> None:
        self.channel = channel
        self.window = window
        self.metered = metered
        self.from_client = Account(window)
        self.to_client = Account(to_client)
        self.breaches = 0
        self.breach_bytes = 0
        self.paused_by_server = False
        self.paused_by_client = False

    @property
    def paused(self) -> bool:
        """Whether either side holds the channel: pausing is both ways, so we send nothing then."""
        return self.paused_by_server or self.paused_by_client

    def take(self, cost: Credit) -> bool:
        """Debit a data frame of the client's and return True; without credit for it count a breach and debit nothing."""
        if self.metered and not self.from_client.covers(cost):
            self.breaches += 1
            self.breach_bytes += cost.byte_credits
            return False
        self.from_client.spend(cost)
        return True

    def owed(self) -> Credit:
        """Return what the client's balance lacks to the window, in messages and in bytes: all that a policy may give."""
        return Credit(
            max(0, self.window.messages - self.from_client.balance),
            max(0, self.window.byte_credits - self.from_client.balance_bytes),
        )

    def books(self) -> Books:
        """Return a frozen copy of everything."""
        return Books(
            channel=self.channel,
            from_client=self.from_client.tally(),
            to_client=self.to_client.tally(),
            breaches=self.breaches,
            breach_bytes=self.breach_bytes,
            paused_by_server=self.paused_by_server,
            paused_by_client=self.paused_by_client,
            window=self.window.messages,
            window_bytes=self.window.byte_credits,
            metered=self.metered,
        )
