"""What stands at the turnstile: parcels to let through, the tickets of those who wait, a gate per channel.

A *parcel* is one thing a caller wants sent: a frame, a text, or nothing at all (who only waits for credit). It knows its costs;
the turnstile knows order, credit and waiting. A parcel goes through in one *step* or, a text that streams, in several.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from haip_sync.errors import HAIPError, WaitCause
from haip_sync.events import Event
from haip_sync.flow.ledger import Cost, Ledger
from haip_sync.flow.parking import Bell
from haip_sync.flow.pending import PendingSend

C = TypeVar("C")
"""The cargo of a step: what the outlet is given to send."""
C_contra = TypeVar("C_contra", contravariant=True)


class Progress(msgspec.Struct, frozen=True):
    """How far a parcel has come."""

    frames: int = 0
    """Frames that have their place in the write order."""
    parts: int = 0
    """How many of them carry a piece of the text."""
    offset: int = 0
    """Bytes of the escaped text in them."""


class Step(msgspec.Struct, Generic[C], frozen=True):
    """What of a parcel may go now. To let it go is one step: debit, seq, ack and the place in the write order."""

    cost: Cost
    cargo: C | None
    """None: nothing leaves."""
    wire_bytes: int
    """What the cargo puts before the socket."""
    after: Progress
    """The parcel's progress once the step is done: absolute, so that doing it twice changes nothing."""
    last: bool


class Shortage(msgspec.Struct, frozen=True):
    """Why nothing of a parcel may go now."""

    cause: WaitCause
    needed: Cost
    """What the next step takes; its part that is missing is the ledger's to say."""
    in_all: Cost | None = None
    """What all takes that is left of it, where it goes in steps; None: as much."""


class Parcel(Protocol[C]):
    """One thing to let through."""

    progress: Progress

    @property
    def event_type(self) -> str:
        """The type of the first frame, for events and messages."""

    @property
    def message_id(self) -> str | None:
        """The id of the text, where it is one."""

    @property
    def only_waits(self) -> bool:
        """Whether it stands in line for credit and has nothing to send: what its caller is told then speaks of no sending."""

    def refusal(self) -> HAIPError | None:
        """Return why it may not be sent any more; None: it may. Called under the connection's lock."""

    def renew(self) -> None:
        """Fit it to a new peer's HAI: what has not begun to leave may have to be said otherwise, or be refused. Twice is once."""

    def indivisible_bytes(self) -> int:
        """Return the byte cost of its largest frame that cannot be cut smaller."""

    def next_step(self, ledger: Ledger) -> Step[C] | Shortage:
        """Return what may go with the credit in `ledger`. Changes nothing; called under the connection's lock."""

    @property
    def may_stream_early(self) -> bool:
        """Whether it waits for its whole and could go in pieces instead."""

    def stream_early(self) -> None:
        """Wait for the whole no longer: `may_stream_early` is False from now on. Twice is once."""


class Outlet(Protocol[C_contra]):
    """Where admitted cargo goes. Called under the connection's lock; does no I/O."""

    @property
    def is_gathering(self) -> bool:
        """Whether something stands there that nobody is about to write: it waits for company."""

    @property
    def is_thick(self) -> bool:
        """Whether messages come so fast that what a sender puts there may wait for what it sends next."""

    def has_room(self, wire_bytes: int) -> bool:
        """Return whether so much more may stand between admission and the operating system."""

    def commit(self, cargo: C_contra) -> None:
        """Give `cargo` its seq and its place in the write order. Doing it twice changes nothing."""

    def wake_once_over(self, cargo: C_contra, ticket: Ticket[Any]) -> None:
        """Wake the holder of `ticket` once `cargo`, which is committed, is written or never will be."""


class EventSink(Protocol):
    """Where events go; never blocks, and runs no listener in the caller's thread."""

    @property
    def heeds_sends(self) -> bool:
        """Whether somebody listens for what each send tells: it looks here before it calls anything."""

    @property
    def heeds_waits(self) -> bool:
        """The same of what each wait tells."""

    @property
    def heeds_grants(self) -> bool:
        """The same of what each grant tells."""

    @property
    def wanted(self) -> Collection[type[Event]]:
        """The kinds that somebody listens for: everybody looks here before an event is made. Silence is free."""

    def put(self, event: Event) -> None:
        """Hand over one event."""


class Watcher(Protocol):
    """Who is told what happens at the gates, besides those who listen for events. Every method requires the lock.

    Attributes:
        heeds_spending: Whether `spent` is to be called: every send looks here before it calls anything.
    """

    heeds_spending: bool

    def begin_epoch(self, gates: Iterable[Gate[Any]]) -> None:
        """Note a new credit epoch, of which nothing is spent yet."""

    def granted(self, gate: Gate[Any], amount: Cost) -> None:
        """Note a grant of the peer's."""

    def spent(self, gate: Gate[Any]) -> None:
        """Note that a balance fell."""

    def blocked(self, gate: Gate[Any]) -> None:
        """Note somebody who has to wait, or that the first in line has come to lack credit."""

    def waited(self, gate: Gate[Any], cause: WaitCause, wait_s: float) -> None:
        """Note a wait that is over, and what it was for when it began."""


class Unwatched:
    """The watcher of gates that nobody watches."""

    heeds_spending = False

    def begin_epoch(self, gates: Iterable[Gate[Any]]) -> None:
        """Ignore it."""

    def granted(self, gate: Gate[Any], amount: Cost) -> None:
        """Ignore it."""

    def spent(self, gate: Gate[Any]) -> None:
        """Ignore it."""

    def blocked(self, gate: Gate[Any]) -> None:
        """Ignore it."""

    def waited(self, gate: Gate[Any], cause: WaitCause, wait_s: float) -> None:
        """Ignore it."""


class Ticket(msgspec.Struct, Generic[C], eq=False):
    """A place in a channel's queue. Guarded by the connection's lock, but for `abandoned`.

    Attributes:
        settled: All of the parcel has gone through.
        failure: Why it never will.
        abandoned: Its holder is leaving (deadline or interrupt). Written by the holder without the lock: it is one store, which
            no second interrupt can undo, and whoever takes the lock next clears the place.
        pending: The handle of a queued message; None: a thread stands here.
        condition: Waits for `settled` or `failure`; None while nobody waits on it.
        joined: It was put into a queue; one that never was need not be looked for there.
        admitted_s: When it was admitted by a thread that writes, and its holder was woken, or left to the outlet to wake; None:
            whoever serves the queue wakes it, or it never stood.
    """

    # A struct is made in C: every send makes a ticket, and most never stand anywhere.
    parcel: Parcel[C]
    since_s: float
    pending: PendingSend | None = None
    settled: bool = False
    failure: HAIPError | None = None
    abandoned: bool = False
    condition: Bell | None = None
    joined: bool = False
    admitted_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.settled or self.abandoned or self.failure is not None

    @property
    def has_stood(self) -> bool:
        """Whether it stood in the queue at all: a queued message, or a thread that had to wait."""
        return self.condition is not None or self.pending is not None

    def wake(self) -> None:
        """Tell its holder: wake the thread, or settle the handle of what failed. Twice is once. Requires the lock.

        The handle of what was admitted is settled when it is written.
        """
        if self.condition is not None:
            self.condition.notify()
        if self.pending is not None and self.failure is not None:
            self.pending.settle(self.failure)


class RoomPlace:
    """A caller whom a full outbox holds. Guarded by the connection's lock.

    Attributes:
        parcel: Its message.
        size: What that counts there, in bytes.
        condition: Waits for room, or for the end; None: it does not have to.
        called: It was woken because there is room: once is enough.
    """

    __slots__ = ("called", "condition", "parcel", "size")

    def __init__(self, parcel: Parcel[Any], size: int) -> None:
        self.parcel = parcel
        self.size = size
        self.condition: Bell | None = None
        self.called = False

    def wake(self) -> None:
        """Wake the caller. Requires the lock."""
        if self.condition is not None:
            self.condition.notify()


_FEW: Final = 1_000
_RETRY_GAP_S: Final = 5.0
"""Who tries again within so many seconds stands in the same stall as before."""


class Gate(Generic[C]):
    """One channel: its ledger, its two pause flags, its queue. Guarded by the connection's lock."""

    def __init__(self, channel: str, ledger: Ledger) -> None:
        self.channel = channel
        self.ledger = ledger
        self.paused_by_us = False
        self.paused_by_peer = False
        # First come first, as keys: whoever leaves, from wherever in the line, leaves in the same time.
        self.queue: OrderedDict[Ticket[C], None] = OrderedDict()
        self.last_grant_s: float | None = None
        # When the peer was asked for credit last; None: it has granted since, or was not asked in this epoch.
        self.asked_s: float | None = None
        self.last_admitted_s = 0.0
        self.stall_told = False
        # Since when somebody stands here, short gaps between one who gave up and the next not counted; when the last gave up.
        self.busy_since_s = 0.0
        self.last_left_s = -math.inf
        # The peer gave nothing while much was left: texts that would wait for their whole are streamed at once.
        self.streams_early = False
        # What the first in line lacked when it was last looked at; None: nobody has looked since somebody left or went on, or a
        # pause ended.
        self.shortage: Shortage | None = None
        self.queued = 0
        self.queued_bytes = 0
        # Callers whom a full outbox holds, first come first.
        self.room: deque[RoomPlace] = deque()

    def add(self, ticket: Ticket[C]) -> None:
        """Put a ticket at the end of the queue. Requires the lock."""
        # Counted first: nothing can interrupt between these lines and the store that follows them.
        ticket.joined = True
        if ticket.pending is not None:
            self.queued += 1
            self.queued_bytes += ticket.pending.queued_bytes
        self.queue[ticket] = None

    def note_busy(self, ticket: Ticket[C]) -> None:
        """Note that `ticket` has to wait. Who tries again soon after giving up waits on. Requires the lock."""
        if len(self.queue) == 1 and ticket.since_s - self.last_left_s > _RETRY_GAP_S:
            self.busy_since_s = ticket.since_s

    def leave(self, ticket: Ticket[C]) -> None:
        """Take a ticket out of the queue. Requires the lock."""
        self.shortage = None
        if ticket.pending is not None:
            self.queued -= 1
            self.queued_bytes -= ticket.pending.queued_bytes
        del self.queue[ticket]

    def standing(self) -> list[Ticket[C]]:
        """Return the tickets that still wait, first come first. Requires the lock."""
        return [ticket for ticket in self.queue if not ticket.is_over]

    def head(self) -> Ticket[C] | None:
        """Return the first ticket in the queue, over or not; None: nobody stands there. Requires the lock."""
        return next(iter(self.queue), None)

    def first(self) -> Ticket[C] | None:
        """Return the first ticket that still waits; None: nobody does. Requires the lock."""
        return next((ticket for ticket in self.queue if not ticket.is_over), None)

    def in_line(self) -> int:
        """Return how many still wait. Of very many nobody looks which ones are just leaving. Requires the lock."""
        return len(self.queue) if len(self.queue) > _FEW else len(self.standing())

    def waiting(self) -> int:
        """Return how many threads still wait. Requires the lock."""
        if len(self.queue) > _FEW:
            return len(self.queue) - self.queued
        return sum(ticket.pending is None for ticket in self.standing())

    def hold(self) -> WaitCause | None:
        """Return which pause flag holds the channel: ours before the peer's. Requires the lock."""
        if self.paused_by_us:
            return WaitCause.PAUSED_BY_US
        return WaitCause.PAUSED_BY_PEER if self.paused_by_peer else None
