"""The waiting layer in every order of its threads: whatever the schedule, whatever interrupt, the same things are true.

What must be true after every schedule is in `support.rig_checks`; who runs when is `support.scheduler`'s to choose.
"""

from __future__ import annotations

import itertools
import math
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from support.choices import ViolationError
from support.interleavings import (
    TALLY,
    awaits,
    cancels,
    clears,
    closes,
    enqueues,
    explore,
    grants,
    grants_and_writes,
    makes_room,
    opens_epoch,
    pauses,
    queues_and_cancels,
    queues_and_waits,
    renews_at_half,
    sends,
)
from support.rig import Program, Rig, Scenario
from support.scheduled_parking import ScheduledParking
from support.scheduler import PLACES, Explorer, Scheduler
from support.turnstiles import Bench, CountingParking, Sender

from haip_sync import FlowControlConfig
from haip_sync.flow.parking import Condition

LONG_WAITERS = (sends("a", 2, timeout_s=5), sends("a", steps=3, timeout_s=5))
LONG_OTHER = sends("b", 2, timeout_s=3)
WAITERS = (
    sends("a"),
    sends("a", 3),
    *LONG_WAITERS,
    sends("a", timeout_s=0),
    sends("a", steps=2),
    awaits("a", 2),
    enqueues("a", 2),
    queues_and_cancels("a"),
    queues_and_waits("a", 2, 5),
)
OTHERS = (
    sends("b"),
    LONG_OTHER,
    sends("b", timeout_s=0),
    sends("b", steps=2),
    awaits("b", 1),
    enqueues("b"),
    queues_and_cancels("b", 3),
    grants(1, 2),
    pauses(by_us=True),
    pauses(by_us=False),
    closes(),
    clears(),
    opens_epoch(2),
)
SMALL_OUTBOX = FlowControlConfig(queue_max_messages=1)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    """Return a scheduler whose threads end with the test."""
    with Scheduler(3) as scheduler:
        yield scheduler


def _tell(what: str, schedules: int) -> None:
    sys.stdout.write(f"{schedules:7} schedules: {what}\n")
    TALLY.append(schedules)


# ---- The scheduler itself --------------------------------------------------------------------------------------------------


def _orders(scheduler: Scheduler, points: tuple[int, ...], preemptions: int | None) -> tuple[int, set[str]]:
    """Return how many schedules there were of threads with so many points each, and the orders of their steps."""
    orders = set()
    explorer = Explorer(scheduler, preemptions=preemptions)
    for _ in explorer.every():
        steps: list[str] = []

        def program(name: str, count: int, steps: list[str] = steps) -> None:
            for _ in range(count):
                scheduler.point()
                steps.append(name)

        programs: list[tuple[str, Callable[[], object]]] = []
        for name, count in zip("abc", points, strict=False):
            programs.append((name, lambda name=name, count=count, program=program: program(name, count)))
        scheduler.run(programs, bool)
        orders.add("".join(steps))
    return explorer.schedules, orders


@pytest.mark.parametrize("points", [(1, 1), (3, 2), (4, 4), (2, 2, 2)])
def test_the_scheduler_tries_every_order(scheduler: Scheduler, points: tuple[int, ...]) -> None:
    """Threads with so many steps each run in exactly as many different orders as there are."""
    schedules, orders = _orders(scheduler, points, None)
    expected = math.factorial(sum(points)) // math.prod(map(math.factorial, points))
    assert (schedules, len(orders)) == (expected, expected)


def test_the_scheduler_counts_preemptions(scheduler: Scheduler) -> None:
    """With at most two preemptions, exactly those orders are tried in which a thread is taken off twice at most."""

    def preemptions(order: str) -> int:
        return sum(a != b and a in order[at + 1 :] for at, (a, b) in enumerate(itertools.pairwise(order)))

    _, every = _orders(scheduler, (3, 3, 2), None)
    for most in (0, 1, 2):
        schedules, orders = _orders(scheduler, (3, 3, 2), most)
        assert orders == {order for order in every if preemptions(order) <= most}
        assert schedules == len(orders)


def _sleep_for_ever(parking: ScheduledParking) -> None:
    with parking.lock:
        parking.wait(parking.new_condition(), None)


def test_the_scheduler_tells_of_a_deadlock(scheduler: Scheduler) -> None:
    """A sleeper whom nobody will wake fails the schedule, with the whole story in the text."""
    for _ in Explorer(scheduler).every():
        parking = ScheduledParking(scheduler)
        with pytest.raises(ViolationError, match=r"deadlock: nothing will ever wake one(\n.*)+one sleeps\n.*nobody can go on"):
            scheduler.run([("one", lambda parking=parking: _sleep_for_ever(parking))], bool)


def test_a_hang_outside_of_the_scheduler_has_a_deadline() -> None:
    """A thread that blocks on something that the scheduler does not know fails the schedule after a while."""
    blocked = threading.Lock()
    with Scheduler(1, patience_s=0.1) as scheduler, blocked:
        for _ in Explorer(scheduler).every():
            with pytest.raises(ViolationError, match="hangs outside of the scheduler"):
                scheduler.run([("one", blocked.acquire)], bool)
            break


def test_a_wait_can_be_notified_time_out_or_lose_its_wake_up(scheduler: Scheduler) -> None:
    """Both ends of a wait with a deadline are tried, and a notification that comes too late is lost as in CPython."""
    ends = set()
    for _ in Explorer(scheduler).every():
        parking = ScheduledParking(scheduler)
        condition: Condition = parking.new_condition()
        woke: list[bool] = []

        def wait(parking: ScheduledParking = parking, condition: Condition = condition, woke: list[bool] = woke) -> None:
            with parking.lock:
                woke.append(condition.wait(5.0))

        def notify(parking: ScheduledParking = parking, condition: Condition = condition) -> None:
            with parking.lock:
                condition.notify()

        scheduler.run([("waiter", wait), ("notifier", notify)], bool)
        ends.add((woke[0], scheduler.clock.now_s))
    assert {(True, 1_000.0), (False, 1_005.0), (True, 1_005.0)} == ends


# ---- Two threads, every interleaving -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gathers", [False, True], ids=["", "gathers"])
@pytest.mark.parametrize("waiter", WAITERS, ids=lambda program: program.name)
def test_two_threads_in_every_order(scheduler: Scheduler, waiter: Program, *, gathers: bool) -> None:
    """One who waits and one other, with no credit and with one message's: every interleaving keeps every rule.

    The same where a sender lets go of the lock before it sleeps, because it has something to write first. Two senders with
    deadlines have 39,000 interleavings there, a minute of them: of these, those with at most four preemptions.
    """
    total = 0
    for other in OTHERS:
        preemptions = 4 if gathers and other is LONG_OTHER and waiter in LONG_WAITERS else None
        for messages in (0, 1):
            scenario = Scenario((waiter, other), messages=messages, gathers=gathers)
            schedules = explore(scheduler, scenario, preemptions=preemptions).schedules
            _tell(scenario.name, schedules)
            assert schedules >= 3, scenario.name
            total += schedules
    _tell(f"{waiter.name}, with every other", total)
    assert total >= 150


@pytest.mark.parametrize("gathers", [False, True], ids=["", "gathers"])
@pytest.mark.parametrize(
    "senders",
    [
        (sends("a"),),
        (sends("a", 2, timeout_s=5),),
        (sends("a", steps=3),),
        (sends("a", 2), sends("b")),
        (sends("a"), enqueues("b")),
    ],
    ids=lambda programs: ", ".join(program.name for program in programs),
)
def test_a_reader_that_writes_in_every_order(scheduler: Scheduler, senders: tuple[Program, ...], *, gathers: bool) -> None:
    """Whether it writes what a grant lets go, or leaves that to a sender that gathers: every order keeps every rule."""
    for messages in (0, 1):
        scenario = Scenario((*senders, grants_and_writes(1, 6)), messages=messages, gathers=gathers)
        schedules = explore(scheduler, scenario, preemptions=2 if len(senders) > 1 else None).schedules
        _tell(f"{scenario.name}{', it gathers' if gathers else ''}", schedules)
        assert schedules >= 3, scenario.name


def test_deadlines_are_tried_on_both_sides(scheduler: Scheduler) -> None:
    """Among the interleavings of a deadline and a grant there are some that send and some that do not."""
    seen = explore(scheduler, Scenario((sends("a", 2, timeout_s=5), grants(1, 2))))
    assert seen.outcomes == {"a: returned", "a: FlowControlTimeout"}


def test_room_at_the_socket_in_every_order(scheduler: Scheduler) -> None:
    """Who waits for the socket and not for credit goes on when it takes more, whatever the order."""

    def fill(rig: Rig) -> None:
        rig.outlet.room = 0

    for waiter in (sends("a"), sends("a", timeout_s=5), sends("a", steps=3), queues_and_waits("a")):
        scenario = Scenario((waiter, makes_room()), messages=5, setup=fill)
        schedules = explore(scheduler, scenario).schedules
        _tell(f"{scenario.name}, the socket is full", schedules)
        assert schedules >= 4


# ---- Three threads, two preemptions ------------------------------------------------------------------------------------------

TRIPLES = (
    (sends("a", 3), sends("b"), grants(1, 2)),
    (sends("a", 3, timeout_s=5), sends("b"), grants(1, 2)),
    (sends("a", 3, timeout_s=5), sends("b", timeout_s=3), grants(1)),
    (sends("a", 2), sends("b", timeout_s=0), grants(1, 2)),
    (sends("a", 2), sends("b", 2, timeout_s=3), closes()),
    (sends("a", 2, timeout_s=5), pauses(by_us=True), pauses(by_us=False)),
    (sends("a"), pauses(by_us=True), grants(1, 2)),
    (sends("a", 2, timeout_s=5), pauses(by_us=False), closes()),
    (sends("a", 3, timeout_s=5), grants(1, 2), opens_epoch(2)),
    (sends("a", steps=3), sends("b", steps=2), grants(1, 2)),
    (sends("a", steps=3, timeout_s=5), sends("b"), grants(1, 2)),
    (sends("a", steps=2), sends("b"), closes()),
    (awaits("a", 2, 5), sends("b"), grants(1, 2)),
    (awaits("a", 2), queues_and_cancels("b"), grants(1, 2)),
    (queues_and_cancels("a", 3), sends("b"), grants(1)),
    (queues_and_cancels("a", 3), queues_and_waits("b", 1, 5), grants(1)),
    (queues_and_waits("a", 3, 5), sends("b"), clears()),
    (queues_and_waits("a", 2), sends("b", 2, timeout_s=3), clears()),
    (enqueues("a", 2), sends("b"), closes()),
)


@pytest.mark.parametrize("programs", TRIPLES, ids=lambda programs: ", ".join(program.name for program in programs))
def test_three_threads_with_two_preemptions(scheduler: Scheduler, programs: tuple[Program, ...]) -> None:
    """Three threads, each of which may be taken off anywhere, twice in all: every such schedule keeps every rule."""
    scenario = Scenario(programs, messages=1)
    schedules = explore(scheduler, scenario, preemptions=2).schedules
    _tell(scenario.name, schedules)
    assert schedules >= 40


@pytest.mark.parametrize(
    "programs",
    [
        (enqueues("a"), grants(1, 2)),
        (enqueues("a"), cancels("full")),
        (enqueues("a"), closes()),
        (enqueues("a"), enqueues("b"), grants(1, 2)),
        (enqueues("a"), enqueues("b"), cancels("full")),
        (enqueues("a"), queues_and_cancels("b"), clears()),
        (enqueues("a"), queues_and_cancels("b"), closes()),
    ],
    ids=lambda programs: ", ".join(program.name for program in programs),
)
def test_who_waits_for_room_in_the_outbox(scheduler: Scheduler, programs: tuple[Program, ...]) -> None:
    """Callers whom a full outbox holds get in one after the other, each woken once, and nobody sleeps beside free room."""
    scenario = Scenario(programs, settings=SMALL_OUTBOX, setup=lambda rig: rig.enqueue("full", 2))
    schedules = explore(scheduler, scenario, preemptions=2).schedules
    _tell(f"{scenario.name}, the outbox is full", schedules)
    assert schedules >= 5


# ---- Interrupts --------------------------------------------------------------------------------------------------------------

VICTIMS = (
    sends("a", 2),
    sends("a", 2, timeout_s=5),
    sends("a", steps=3),
    sends("a", timeout_s=0),
    awaits("a", 2),
    queues_and_waits("a", 2),
    queues_and_cancels("a", 2),
)


@pytest.mark.parametrize(
    ("strikes", "others", "least"),
    [(1, (grants(1, 2), sends("b"), clears(), closes(), pauses(by_us=True)), 5_000), (2, (grants(1, 2), sends("b")), 4_000)],
    ids=["one interrupt", "two interrupts"],
)
def test_an_interrupt_at_every_call_of_lock_and_wait(
    scheduler: Scheduler, strikes: int, others: tuple[Program, ...], least: int
) -> None:
    """One interrupt, or two, at every call to the lock and to a wait: sent whole or not at all, and the queue goes on."""
    total = 0
    for victim in VICTIMS:
        for other in others:
            scenario = Scenario((victim, other), messages=1)
            schedules = explore(scheduler, scenario, victim=victim.name, strikes=strikes).schedules
            _tell(f"{scenario.name}, {strikes} interrupts of the first", schedules)
            assert schedules >= 20
            total += schedules
    assert scheduler.struck == PLACES
    _tell(f"with {strikes} interrupts in all", total)
    assert total >= least


def test_an_interrupt_between_a_place_in_line_and_the_sleep(scheduler: Scheduler) -> None:
    """Who lets out what gathers has let go of the lock with a place in line: an interrupt there, or before, keeps every rule."""
    for victim in (sends("a", 2), awaits("a", 2)):
        for other in (grants(1, 2), grants_and_writes(1, 6), sends("b"), closes()):
            scenario = Scenario((victim, other), messages=1, gathers=True)
            schedules = explore(scheduler, scenario, victim=victim.name, strikes=1).schedules
            _tell(f"{scenario.name}, it gathers, an interrupt of the first", schedules)
            assert schedules >= 20


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda program: program.name)
def test_an_interrupt_beside_two_others(scheduler: Scheduler, victim: Program) -> None:
    """An interrupt at every call, beside a sender and a grant that may each be preempted once, keeps every rule."""
    scenario = Scenario((victim, sends("b"), grants(1, 2)), messages=1)
    schedules = explore(scheduler, scenario, preemptions=1, victim=victim.name, strikes=1).schedules
    _tell(f"{scenario.name}, an interrupt of the first", schedules)
    assert schedules >= 50


@pytest.mark.parametrize("actor", [grants(1, 2), pauses(by_us=True), clears(), closes()], ids=lambda program: program.name)
def test_an_interrupt_of_who_lets_others_go(scheduler: Scheduler, actor: Program) -> None:
    """An interrupt of a thread that grants, resumes, clears or closes leaves the lock free and nobody asleep who could go."""
    scenario = Scenario((actor, sends("a", 2)), messages=1)
    schedules = explore(scheduler, scenario, victim=actor.name, strikes=1).schedules
    _tell(f"{scenario.name}, an interrupt of the first", schedules)
    assert schedules >= 6


@pytest.mark.parametrize("other", [grants(1, 2), cancels("full"), closes()], ids=lambda program: program.name)
def test_an_interrupt_of_who_waits_for_room(scheduler: Scheduler, other: Program) -> None:
    """An interrupted wait for room in the outbox queues nothing by halves and lets the next in line have the room."""
    victim = enqueues("a")
    scenario = Scenario(
        (victim, enqueues("b"), other), settings=SMALL_OUTBOX, setup=lambda rig: rig.enqueue("full", 2), most_wakes=4
    )
    schedules = explore(scheduler, scenario, preemptions=1, victim=victim.name, strikes=1).schedules
    _tell(f"{scenario.name}, the outbox is full, an interrupt of the first", schedules)
    assert schedules >= 50


# ---- Many ----------------------------------------------------------------------------------------------------------------------


def test_three_hundred_waiters_are_woken_three_hundred_times() -> None:
    """However small the grants, each of three hundred waiters is woken once."""
    parking = CountingParking()
    bench = Bench(messages=0, byte_credits=10_000, parking=parking)
    senders = [Sender(bench, f"s{i}").begin(waits_as=i + 1) for i in range(300)]
    for _ in range(300):
        bench.grant(1)
    assert [sender.finish() for sender in senders] == [None] * 300
    assert len(parking.woken) == 300
    assert bench.outlet.labels == [f"s{i}" for i in range(300)]


def test_a_cap_below_the_peers_window_keeps_both_sides_going(scheduler: Scheduler) -> None:
    """A peer that renews at half of a window of 1,000, and a cap of 100: every message leaves, none waits for ever."""

    def send_all(rig: Rig) -> None:
        for number in range(2_500):
            rig.send(f"m{number}")

    scenario = Scenario((Program("a sends 2,500", send_all),), byte_credits=0, peer=renews_at_half(1_000))
    assert explore(scheduler, scenario).schedules == 1
