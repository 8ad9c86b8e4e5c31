"""Listeners: in order, bounded, and harmless."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import PATIENCE_S, Clock, until

from haip_sync import ChannelEvent, ConfigError, CreditChanged, Event, Message, PongReceived, WarningRaised
from haip_sync.runtime import dispatch
from haip_sync.runtime.dispatch import Dispatcher
from haip_sync.runtime.pace import Pace

Make = Callable[..., Dispatcher]


@pytest.fixture
def make() -> Iterator[Make]:
    """Return a function that makes a running dispatcher; all are stopped at the end."""
    made: list[Dispatcher] = []

    def make_one(*, keeps_messages: bool = False, after: Callable[[Message], None] = lambda _: None) -> Dispatcher:
        made.append(Dispatcher("test", keeps_messages=keeps_messages, after_message=after))
        return made[-1]

    yield make_one
    for dispatcher in made:
        dispatcher.finish()
        dispatcher.join(PATIENCE_S)


def pong(number: float) -> PongReceived:
    """Return an event with a number on it."""
    return PongReceived(time_s=0.0, round_trip_s=number)


def credit(channel: str, balance: int) -> CreditChanged:
    """Return a gauge."""
    return CreditChanged(time_s=0.0, channel=channel, credits=balance, byte_credits=0, set_aside=0, set_aside_bytes=0)


def message(number: int) -> Message:
    """Return a frame with a number on it."""
    return Message(time_s=0.0, channel="USER", type="X", payload={}, id=str(number), session="s", seq=str(number))


def test_events_come_in_order_on_one_thread(make: Make) -> None:
    """What is put in order is heard in order, on the dispatcher's own thread."""
    dispatcher, seen = make(), []
    dispatcher.subscribe(lambda event: seen.append((event.round_trip_s, dispatcher.is_current())), (PongReceived,))
    dispatcher.start()
    for number in range(200):
        dispatcher.put(pong(number))
    until(lambda: len(seen) == 200)
    assert seen == [(number, True) for number in range(200)]


def test_frames_that_wait_are_bounded_by_their_bytes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large frames that a slow listener has not heard yet are dropped and counted beyond a limit; one is always taken in."""
    monkeypatch.setattr(dispatch, "MOST_WAITING_BYTES", 1_000)
    dispatcher, seen = make(), []
    dispatcher.subscribe(seen.append, ())
    for size in (5_000, 10, 10):
        dispatcher.put(msgspec.structs.replace(message(size), wire_bytes=size))
    dispatcher.put(pong(1))
    dispatcher.start()
    until(lambda: len(seen) == 3)
    assert [getattr(event, "wire_bytes", None) for event in seen[:2]] == [5_000, None]
    assert isinstance(seen[2], WarningRaised)
    assert seen[2].missed == 2
    dispatcher.put(msgspec.structs.replace(message(3), wire_bytes=900))
    until(lambda: len(seen) == 4)


def test_silence_is_free(make: Make) -> None:
    """Nobody wants what nobody subscribed to; a base class stands for all of its kinds."""
    dispatcher = make()
    assert not dispatcher.wants(PongReceived)
    subscription = dispatcher.subscribe(print, (ChannelEvent,))
    assert dispatcher.wants(CreditChanged)
    assert not dispatcher.wants(PongReceived)
    subscription.close()
    assert not dispatcher.wants(CreditChanged)
    dispatcher.subscribe(print, ())
    assert dispatcher.wants(PongReceived)


@pytest.mark.parametrize(("listener", "kinds"), [(5, ()), (print, (int,)), (print, ("message",))])
def test_what_is_no_listener_or_no_event_is_refused(make: Make, listener: Any, kinds: tuple[Any, ...]) -> None:
    """A wrong subscription is a ConfigError."""
    with pytest.raises(ConfigError):
        make().subscribe(listener, kinds)


def test_a_flood_is_bounded_and_said(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound data events are counted as missed, and gauges come through as their latest."""
    monkeypatch.setattr(dispatch, "MOST_WAITING", 5)
    dispatcher, gate, seen = make(), threading.Event(), []

    def slow(event: Event) -> None:
        gate.wait(PATIENCE_S)
        seen.append(event)

    dispatcher.subscribe(slow, ())
    for number in range(5):
        dispatcher.put(pong(number))
    for number in range(30):
        dispatcher.put(pong(100 + number))
        dispatcher.put(credit("USER", number))
        dispatcher.put(credit("AGENT", -number))
    dispatcher.start()
    gate.set()
    until(lambda: any(isinstance(event, WarningRaised) for event in seen))
    assert [event.round_trip_s for event in seen if isinstance(event, PongReceived)] == [0, 1, 2, 3, 4]
    assert [(event.channel, event.credits) for event in seen if isinstance(event, CreditChanged)] == [
        ("USER", 29),
        ("AGENT", -29),
    ]
    assert seen[-1].missed == 30


def test_messages_that_listeners_take_are_never_dropped(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the inbox of listeners every message is delivered, however slow they are, and is taken afterwards."""
    monkeypatch.setattr(dispatch, "MOST_WAITING", 5)
    taken: list[str] = []
    heard: list[str] = []
    dispatcher = make(keeps_messages=True, after=lambda m: taken.append(m.id))
    dispatcher.subscribe(lambda m: heard.append(m.id), (Message,))
    for number in range(50):
        dispatcher.put(message(number))
    dispatcher.start()
    until(lambda: len(taken) == 50)
    assert heard == taken == [str(number) for number in range(50)]


def test_control_frames_are_dropped_in_a_flood(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that floods with PINGs, which cost it nothing, costs bounded memory where listeners take the messages too."""
    monkeypatch.setattr(dispatch, "MOST_WAITING", 5)
    dispatcher, seen = make(keeps_messages=True), []
    dispatcher.subscribe(seen.append, (Message, WarningRaised))
    for number in range(50):
        dispatcher.put(msgspec.structs.replace(message(number), type="PING"))
    dispatcher.start()
    until(lambda: any(isinstance(event, WarningRaised) for event in seen))
    assert [len(seen), seen[-1].missed] == [6, 45]


def test_what_waits_is_delivered_before_the_end(make: Make) -> None:
    """stop() lets listeners hear what came before it."""
    dispatcher, seen = make(), []
    dispatcher.subscribe(seen.append, ())
    dispatcher.start()
    for number in range(100):
        dispatcher.put(pong(number))
    dispatcher.finish()
    dispatcher.join(PATIENCE_S)
    assert len(seen) == 100


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, ValueError])
def test_nothing_that_a_listener_raises_ends_the_thread(make: Make, raised: type[BaseException]) -> None:
    """A listener may raise what it likes, and have no repr either: the others go on hearing."""
    dispatcher, seen = make(), []

    class Broken:
        def __call__(self, _event: Event) -> None:
            raise raised

        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    dispatcher.subscribe(Broken(), (PongReceived,))
    dispatcher.subscribe(seen.append, (PongReceived,))
    dispatcher.start()
    dispatcher.put(pong(1))
    dispatcher.put(pong(2))
    until(lambda: len(seen) == 2)


def test_the_latest_state_is_the_last_to_be_heard(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a gauge has overflowed, newer values follow it there: an older one is never delivered after them."""
    monkeypatch.setattr(dispatch, "MOST_WAITING", 1)
    dispatcher, seen = make(), []
    dispatcher.subscribe(lambda event: seen.append(event.credits), (CreditChanged,))
    for balance in (3, 5):  # the second overflows
        dispatcher.put(credit("USER", balance))
    monkeypatch.setattr(dispatch, "MOST_WAITING", 100)
    dispatcher.put(credit("USER", 7))
    dispatcher.start()
    until(lambda: 7 in seen)
    dispatcher.finish()
    dispatcher.join(PATIENCE_S)
    assert seen == [3, 7]


def test_log_lines_are_written_on_the_dispatch_thread(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A handler of the user's runs where listeners do, never in the thread that found something to say."""
    dispatcher = make()
    threads: list[str] = []
    logger = logging.getLogger("haip_sync.test")

    class Where(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            threads.append(record.threadName or "")

    handler = Where()
    logger.addHandler(handler)
    try:
        dispatcher.start()
        dispatcher.log(logger, logging.WARNING, "something")
        until(lambda: len(threads) == 1)
    finally:
        logger.removeHandler(handler)
    assert threads == ["test-dispatch"]


@pytest.mark.parametrize("is_closing", [False, True])
def test_what_a_signal_handler_changes_in_the_middle_of_a_change_stays(make: Make, *, is_closing: bool) -> None:
    """Wherever it comes while a listener is added or taken out: its own are there afterwards, and those it closed are not."""

    def run(place: int) -> bool:
        dispatcher = make()
        before, doomed = (dispatcher.subscribe(print, (kind,)) for kind in (PongReceived, WarningRaised))
        made = [before]

        def handler() -> None:
            made.append(dispatcher.subscribe(print, (CreditChanged,)))
            doomed.close()

        def change() -> None:
            before.close() if is_closing else made.append(dispatcher.subscribe(print, (Message,)))

        was_reached, raised = interrupted_at(place, change, handler)
        assert raised is None
        if was_reached:
            assert set(dispatcher._subscriptions) == set(made) - ({before} if is_closing else set())
            kinds = {CreditChanged} | (set() if is_closing else {PongReceived, Message})
            assert dispatcher.wanted == dispatcher._listeners.keys() == kinds
        return was_reached

    assert sum(1 for _ in every_interrupt(run)) > 10


def test_a_listener_may_leave_in_the_middle_of_another_subscription(make: Make) -> None:
    """A signal handler or a destructor that comes in the middle of subscribing may unsubscribe: it waits for nobody."""
    dispatcher = make()
    subscription = dispatcher.subscribe(lambda _: None, (PongReceived,))

    def interrupted() -> None:
        with dispatcher._lock:
            subscription.close()

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert not dispatcher.wants(PongReceived)


def came(pace: Pace, clock: Clock, events: int, *, within_s: float, at_a_time: int) -> list[bool]:
    """Let events come in batches, evenly; return what the pace said whenever none was left."""
    said = []
    for _ in range(events // at_a_time):
        clock.now_s += within_s * at_a_time / events
        pace.delivered += at_a_time
        said.append(pace.is_fast())
    return said


def test_only_events_that_come_thick_and_fast_gather() -> None:
    """One at a time at 5,000 a second they never gather; at 20,000 they do, until fewer come."""
    clock = Clock()
    pace = Pace(clock)
    came(pace, clock, 32, within_s=0.0064, at_a_time=1)
    assert not any(came(pace, clock, 320, within_s=0.064, at_a_time=1))
    assert any(came(pace, clock, 64, within_s=0.0032, at_a_time=1))
    assert all(came(pace, clock, 200, within_s=0.01, at_a_time=20))
    assert came(pace, clock, 2, within_s=0.001, at_a_time=2) == [False]


@pytest.mark.parametrize(("keeps_messages", "longest_s"), [(False, 0.005), (True, 0.001)])
def test_events_gather_no_longer_where_credit_waits_for_them(
    make: Make, monkeypatch: pytest.MonkeyPatch, *, keeps_messages: bool, longest_s: float
) -> None:
    """In a flood events gather for five milliseconds, and for one where the peer waits for what listeners have not taken."""
    slept_s: list[float] = []
    # A clock that stands still: all events come at once.
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=slept_s.append))
    dispatcher, heard = make(keeps_messages=keeps_messages), []
    dispatcher.subscribe(heard.append, (PongReceived,))
    for number in range(100):
        dispatcher.put(pong(number))
    dispatcher.start()
    until(lambda: bool(slept_s))
    assert len(heard) == 100
    assert slept_s == [longest_s]


def test_what_is_called_late_runs_on_the_thread_or_once_that_has_ended_here(make: Make) -> None:
    """A late callback is run by the dispatch thread while there is one, then by its caller; never twice, never not at all."""
    dispatcher, ran = make(), []

    def call() -> None:
        ran.append(threading.current_thread().name)

    dispatcher.start()
    dispatcher.call_late(call)
    until(lambda: ran == ["test-dispatch"])
    dispatcher.finish()
    dispatcher.join(PATIENCE_S)
    dispatcher.call_late(call)
    assert ran == ["test-dispatch", threading.current_thread().name]


def test_what_is_called_while_the_thread_ends_is_not_left_behind(make: Make) -> None:
    """What is put behind the sign to end is still run by the thread."""
    dispatcher, ran = make(), []
    dispatcher.finish()
    dispatcher.call_soon(lambda: ran.append(threading.current_thread().name))
    dispatcher.start()
    dispatcher.join(PATIENCE_S)
    assert ran == ["test-dispatch"]


def test_an_interrupt_in_a_callback_that_runs_with_its_caller_is_the_callers(make: Make) -> None:
    """Ctrl-C in a late callback comes out of the call; an error of the callback is logged, and does not."""
    dispatcher = make()
    dispatcher.start()
    dispatcher.finish()
    dispatcher.join(PATIENCE_S)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dispatcher.call_late(interrupted)
    dispatcher.call_late(lambda: 1 / 0)


def test_a_state_that_overflows_as_the_thread_falls_asleep_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds that states have overflowed may come to put his there when all is delivered: the thread is woken for it."""
    monkeypatch.setattr(dispatch, "MOST_WAITING", 1)
    dispatcher, seen, hold = make(), list[int](), threading.Event()

    def slow(event: CreditChanged) -> None:
        hold.wait(PATIENCE_S)
        seen.append(event.credits)

    dispatcher.subscribe(slow, (CreditChanged,))
    dispatcher.start()
    dispatcher.put(credit("USER", 1))
    until(dispatcher._queue.empty)
    dispatcher.put(credit("USER", 2))
    dispatcher.put(credit("USER", 3))  # overflows
    store = dispatcher._overflow

    def late(event: Event) -> None:
        hold.set()
        until(lambda: len(seen) == 3)
        store(event)

    monkeypatch.setattr(dispatcher, "_overflow", late)
    dispatcher.put(credit("USER", 4))
    until(lambda: len(seen) == 4)
    assert seen == [1, 2, 3, 4]
