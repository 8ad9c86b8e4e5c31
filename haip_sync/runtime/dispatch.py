"""Listeners and the one thread that runs them: in order, bounded, and never under a lock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from haip_sync.config import check_choice, told
from haip_sync.errors import ConfigError
from haip_sync.events import (
    ALL_EVENTS,
    EVENTS_BY_NAME,
    BacklogChanged,
    ChannelPaused,
    ChannelResumed,
    Connected,
    CreditChanged,
    Disconnected,
    Event,
    HandshakeCompleted,
    Listener,
    Message,
    Reconnecting,
    WarningRaised,
)
from haip_sync.flow.forking import Home
from haip_sync.flow.reporting import OF_EACH_SEND, OF_GRANTS, OF_WAITS
from haip_sync.protocol.names import CONTROL_TYPES
from haip_sync.runtime.pace import Pace

logger = logging.getLogger("haip_sync.dispatch")

MOST_WAITING: Final = 10_000
"""Events that may wait for slow listeners; beyond it data events are dropped and counted, state changes coalesced."""

_GATHER_S: Final = 0.005
"""For how long events gather where they come thick and fast: see `Pace`."""
_GATHER_CREDIT_S: Final = 0.001
"""The same where the peer waits for credit until listeners have its frames."""
MOST_WAITING_BYTES: Final = 64 << 20
"""What frames that wait for slow listeners may have taken on the wire: those that cost no credit are bounded by nothing else."""

_STATE_KEYS: Final[dict[type[Event], str]] = {
    ChannelPaused: "pause",
    ChannelResumed: "pause",
    CreditChanged: "credit",
    BacklogChanged: "backlog",
    Connected: "connection",
    Disconnected: "connection",
    Reconnecting: "connection",
    HandshakeCompleted: "connection",
}


class _Subscription:
    """One listener. Closing it is one store."""

    __slots__ = ("_owner", "kinds", "listener")

    def __init__(self, owner: Dispatcher, listener: Listener, kinds: frozenset[type[Event]]) -> None:
        self._owner = owner
        self.listener = listener
        self.kinds = kinds

    def close(self) -> None:
        """Stop listening. Idempotent, any thread."""
        self._owner.unsubscribe(self)


class Dispatcher:
    """Takes events from any thread, hands them to listeners on its own. Thread-safe.

    `keeps_messages`: the application takes messages by listening, so that none may be dropped; their number is bounded by what we
    grant the peer, because `after_message` gives credit back only once the listeners have run.

    Attributes:
        wanted: The kinds that somebody listens for. Replaced, never changed: anybody may look.
        heeds_sends: Whether what each send tells is among them: a monitor that is attached listens, and must not cost the sends.
        heeds_waits: The same of what each wait tells.
        heeds_grants: The same of what each grant tells.
        ident: The thread's number, 0 before it runs.
    """

    def __init__(self, name: str, *, keeps_messages: bool, after_message: Callable[[Message], None]) -> None:
        self._keeps_messages = keeps_messages
        self._after_message = after_message
        # Guards the subscriptions and what overflowed; held for bookkeeping only. Re-entrant because a signal handler, or a
        # destructor that closes its subscription, may come in the middle of it.
        self._lock = threading.RLock()
        self._home = Home()
        self._subscriptions: tuple[_Subscription, ...] = ()
        # The same by kind. Replaced, never changed.
        self._listeners: dict[type[Event], tuple[_Subscription, ...]] = {}
        self.wanted: frozenset[type[Event]] = frozenset()
        self.heeds_sends = self.heeds_waits = self.heeds_grants = False
        self._missed = 0
        self._latest: dict[tuple[str, str, str], Event] = {}
        # Of frames. The first is written by who puts, under the connection's lock, the second by the dispatch thread.
        self._put_bytes = 0
        self._delivered_bytes = 0
        self._queue: SimpleQueue[Event | Callable[[], object] | None] = SimpleQueue()
        self._pace = Pace(time.monotonic)
        self._gather_s = _GATHER_CREDIT_S if keeps_messages else _GATHER_S
        self.ident = 0  # the thread's own store; no thread has this number
        self._is_over = False  # the thread's too: it takes nothing more that is put from now on
        self._thread = threading.Thread(target=self._run, name=f"{name}-dispatch", daemon=True)

    def start(self) -> None:
        """Start the thread. Idempotent before `stop`."""
        if self._thread.ident is None:
            self._thread.start()

    def finish(self) -> None:
        """Have the thread end once what waits is delivered. Idempotent; one C call, which no interrupt can split."""
        self._queue.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end, for `timeout_s` at most; not on the thread itself."""
        if self._thread.ident is not None and not self.is_current():
            self._thread.join(timeout_s)

    def is_current(self) -> bool:
        """Return whether the calling thread is the one that runs listeners."""
        return threading.get_ident() == self.ident

    # ---- Subscribing ----------------------------------------------------------------------------------------------------------

    def subscribe(self, listener: Listener, kinds: tuple[type[Event], ...]) -> _Subscription:
        """Run `listener` for events of these kinds (none: all). Raises `ConfigError` for what is no listener or no event."""
        if not callable(listener):
            raise ConfigError(f"a listener must be callable with one event, {told(listener)} is not")
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Event)):
                raise ConfigError(f"{told(kind)} is no event type of haip_sync")
        wanted = frozenset(known for known in ALL_EVENTS if not kinds or issubclass(known, kinds))
        self._home.check()
        subscription = _Subscription(self, listener, wanted)
        with self._lock:
            self._replace(lambda subscriptions: (*subscriptions, subscription))
        return subscription

    def subscribe_by_name(self, name: str, handler: Listener) -> _Subscription:
        """Run `handler` for the events that `name` stands for."""
        check_choice("the event name", name, tuple(EVENTS_BY_NAME))
        return self.subscribe(handler, EVENTS_BY_NAME[name])

    def unsubscribe(self, subscription: _Subscription) -> None:
        """Stop running a listener. Idempotent."""
        self._home.check()
        with self._lock:
            self._replace(lambda subscriptions: tuple(s for s in subscriptions if s is not subscription))

    def _replace(self, change: Callable[[tuple[_Subscription, ...]], tuple[_Subscription, ...]]) -> None:
        """Change the subscriptions. Requires the lock."""
        while True:
            before = self._subscriptions
            subscriptions = change(before)
            wanted: frozenset[type[Event]] = frozenset().union(*(s.kinds for s in subscriptions))
            listeners = {kind: tuple(s for s in subscriptions if kind in s.kinds) for kind in wanted}
            sends, waits, grants = (not wanted.isdisjoint(kinds) for kinds in (OF_EACH_SEND, OF_WAITS, OF_GRANTS))
            # Changed in between by a signal handler, or by a destructor, which may come anywhere: begun anew.
            if self._subscriptions is before:
                # Plain stores and no call: no interrupt can come between, and leave kinds that are wanted and not heeded.
                self._subscriptions, self.wanted, self._listeners = subscriptions, wanted, listeners
                self.heeds_sends, self.heeds_waits, self.heeds_grants = sends, waits, grants
                return

    # ---- Handing over ---------------------------------------------------------------------------------------------------------

    def wants(self, kind: type[Event]) -> bool:
        """Return whether an event of this kind has a use: silence is free."""
        return kind in self.wanted or (self._keeps_messages and kind is Message)

    def put(self, event: Event) -> None:
        """Hand over one event; never blocks. Called under the connection's lock, so that the order is the ledger's."""
        if type(event) is not Message and not self._latest and self._queue.qsize() < MOST_WAITING:  # nearly always
            self._queue.put(event)
            return
        # Only what costs the peer of our grants until listeners have it is bounded by them.
        must_keep = self._keeps_messages and isinstance(event, Message) and not _is_free(event)
        # Once a state has overflowed, later ones follow it there: the latest must be the last to be delivered.
        follows = bool(self._latest) and type(event) in _STATE_KEYS
        size = event.wire_bytes if isinstance(event, Message) else 0
        if must_keep or (self._has_room_for(size) and not follows):
            self._queue.put(event)
            self._put_bytes += size
        else:
            self._overflow(event)

    def _has_room_for(self, size: int) -> bool:
        waiting_bytes = self._put_bytes - self._delivered_bytes
        is_light = not size or waiting_bytes <= 0 or waiting_bytes + size <= MOST_WAITING_BYTES
        return is_light and self._queue.qsize() < MOST_WAITING

    def log(self, logger: logging.Logger, level: int, text: str) -> None:
        """Have a line logged on this thread: a handler is the user's code, and must run under no lock. Never blocks."""
        if logger.isEnabledFor(level) and self._queue.qsize() < MOST_WAITING:
            self._queue.put(partial(logger.log, level, "%s", text))

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Run a callback of the user's on this thread, in turn. Never dropped: there is one for each that was asked for."""
        self._queue.put(callback)

    def tell_here(self, event: Event) -> None:
        """Deliver an event now, behind those that overflowed. For a callback that `call_soon` runs."""
        self._deliver_overflow()
        self._deliver(event)

    def call_late(self, callback: Callable[[], object]) -> None:
        """Run a callback on this thread, in turn; here and now where the thread has ended. Without a lock."""
        self._queue.put(callback)
        if self._is_over:
            self._drain()

    def _overflow(self, event: Event) -> None:
        key = _STATE_KEYS.get(type(event))
        with self._lock:
            if key is None:
                self._missed += 1
            else:
                place = (key, getattr(event, "channel", ""), getattr(event, "by", ""))
                self._latest.pop(place, None)
                self._latest[place] = event
        # The thread looks here once its queue is empty: it may have done so, and sleep, since we found that there is no room.
        if self._queue.empty():
            self._queue.put(_nothing)

    # ---- The thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self.ident = threading.get_ident()
        queue, pace = self._queue, self._pace
        while (event := queue.get()) is not None:
            pace.delivered += 1
            if isinstance(event, Event):
                self._deliver(event)
            else:
                self._run_callback(event)
            if queue.empty():
                if self._missed or self._latest:
                    self._deliver_overflow()
                if pace.is_fast():
                    time.sleep(self._gather_s)
        self._deliver_overflow()
        # In this order: what is put before the store is taken here, and who puts later sees it and takes it himself.
        self._is_over = True
        self._drain()
        self.ident = 0  # another thread may get the number

    def _drain(self) -> None:
        """Do what still waits, once the thread takes nothing more. Whoever calls this."""
        while True:
            try:
                event = self._queue.get_nowait()
            except Empty:
                return
            if isinstance(event, Event):
                self._deliver(event)
            elif event is not None:
                self._run_callback(event)

    def _deliver_overflow(self) -> None:
        with self._lock:
            latest, self._latest = tuple(self._latest.values()), {}
            missed, self._missed = self._missed, 0
        for event in latest:
            self._deliver(event)
        if missed:
            self._warn(f"listeners were too slow and missed {missed} events", missed=missed)

    def _deliver(self, event: Event) -> None:
        for subscription in self._listeners.get(type(event), ()):
            # Whatever a listener raises must harm nobody else.
            try:
                subscription.listener(event)
            except BaseException:  # noqa: BLE001 - SystemExit too: it would end this thread, and with it every other listener
                self._tell_of_failure(subscription, event)
        if isinstance(event, Message):
            self._delivered_bytes += event.wire_bytes
            self._after_message(event)

    def _run_callback(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except BaseException as exc:
            if not self.is_current() and not isinstance(exc, Exception):
                raise  # Ctrl-C in the thread of a caller, who has to hear of it
            logger.exception("a callback raised")
            self._warn("a callback raised; the log has the traceback")

    def _tell_of_failure(self, subscription: _Subscription, event: Event) -> None:
        """Log what a listener raised. Called while it is handled."""
        logger.exception("a listener raised on %s; it stays subscribed", type(event).__name__)
        if not isinstance(event, WarningRaised):
            what = _name_of(subscription.listener)
            self._warn(f"the listener {what} raised on {type(event).__name__}; the log has the traceback")

    def _warn(self, text: str, *, missed: int = 0) -> None:
        logger.warning("%s", text)
        self._deliver(WarningRaised(time_s=time.monotonic(), text=text, missed=missed))


def _nothing() -> None:
    """Do nothing: what it takes to wake the thread."""


def _is_free(message: Message) -> bool:
    """Return whether the peer has its credit for a frame whatever the listeners do: a control frame, or a handle's."""
    return message.is_routed or message.type in CONTROL_TYPES


def _name_of(listener: object) -> str:
    """Return what to call a listener; its own `repr` may raise as well."""
    return str(getattr(listener, "__qualname__", type(listener).__name__))
