"""A scheduler for threads that run one at a time, in every order; `support.scheduled_parking` puts it in the place of `Parking`.

The threads are real, but only the one that holds the baton runs. At each *point* (before a lock is taken, after it is let go,
at a park, at whatever a test calls `point` for) the scheduler chooses who goes on; a deadline that passes and an interrupt that
strikes a sleeper are choices as well. `Explorer` runs a program again and again from the beginning, each time with the next
list of choices, until every list was tried: all interleavings, or all with at most so many preemptions. Time stands still but
for deadlines that pass. Nothing here depends on a real clock, so that a schedule can be run again from its choices.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final

from support.choices import Choices, ViolationError
from support.turnstiles import PATIENCE_S, Clock

MOST_STEPS = 50_000
"""More in one schedule means that somebody goes round and round."""

_FREE: Final = "goes on"
LOCK: Final = "takes the lock"
PARKED: Final = "is parked"
_DONE: Final = "is done"

BEFORE_LOCK: Final = "before the lock is taken"
AFTER_RELEASE: Final = "after the lock is let go"
BEFORE_SLEEP: Final = "in a wait, before the lock is let go"
LET_GO: Final = "in a wait, between letting go and falling asleep"
ASLEEP: Final = "asleep"
AWAKE: Final = "in a wait, after the lock is taken again"
PLACES: Final = frozenset({BEFORE_LOCK, AFTER_RELEASE, BEFORE_SLEEP, LET_GO, ASLEEP, AWAKE})
"""Where CPython can deliver an interrupt in a call to the lock or to a condition over it."""


def _nothing() -> bool:
    return False


class Unwound(BaseException):
    """Ends a thread of a schedule that is given up."""


class Waiter:
    """One call of `wait`."""

    __slots__ = ("deadline_s", "interrupted", "notified", "worker")

    def __init__(self, worker: Worker, deadline_s: float | None) -> None:
        self.worker = worker
        self.deadline_s = deadline_s
        self.notified = False
        self.interrupted = False


class Worker:
    """One thread, used again for each schedule."""

    def __init__(self, number: int, scheduler: Scheduler) -> None:
        self.number = number
        self.name = ""
        self.wakes = 0
        self.state: str = _DONE
        self.waiter: Waiter | None = None
        self.program: Callable[[], object] | None = None
        self.baton = _thread.allocate_lock()
        self.baton.acquire()
        self.thread = threading.Thread(target=scheduler.work, args=(self,), name=f"worker-{number}", daemon=True)


class ScheduledLock:
    """A re-entrant lock whose outermost calls are points."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.owner: Worker | None = None
        self.depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        scheduler = self._scheduler
        me = scheduler.running
        if self.depth and self.owner is me:
            self.depth += 1
            return True
        if me is None or scheduler.aborting:  # the test itself, between two steps of the threads
            if self.depth and not scheduler.aborting:
                raise ViolationError(f"the lock is still held by {self.owner and self.owner.name}")
        else:
            scheduler.step(me, LOCK)
            scheduler.place(me, BEFORE_LOCK)
        self.owner, self.depth = me, 1
        return True

    def release(self) -> None:
        self._let_go(is_place=True)

    def _is_owned(self) -> bool:
        return bool(self.depth) and self.owner is self._scheduler.running

    def _release_save(self) -> int:
        """Let go of it whatever the depth, as a wait does: no interrupt comes between."""
        depth, self.depth, self.owner = self.depth, 0, None
        self._scheduler.on_release()
        return depth

    def _acquire_restore(self, state: Any) -> None:
        """Take it again as a wait does: no interrupt comes between. `state` is ours or that of an `RLock`."""
        me = self._scheduler.running
        if me is not None:
            self._scheduler.step(me, LOCK)
        self.owner, self.depth = me, state if isinstance(state, int) else state[0]

    def _let_go(self, *, is_place: bool) -> None:
        scheduler = self._scheduler
        me = scheduler.running
        if scheduler.aborting:
            return
        if not self.depth or self.owner is not me:
            raise RuntimeError("cannot release un-acquired lock")
        self.depth -= 1
        if self.depth:
            return
        self.owner = None
        if me is not None:
            scheduler.on_release()
            scheduler.step(me, _FREE)
            if is_place:
                scheduler.place(me, AFTER_RELEASE)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        # CPython looks for signals after the call of __exit__ at the end of a block, not on an exception's way out.
        self._let_go(is_place=exc_type is None)


class Scheduler:
    """Runs programs in threads of its own, one at a time. Use it as a context manager: the threads end with it.

    Attributes:
        clock: Stands still but for deadlines that pass.
        lock: The lock of the current schedule.
        running: Who holds the baton; None: the test itself.
        aborting: The schedule is given up; its threads are on their way out.
        struck: Where interrupts have struck so far, over all schedules.
    """

    def __init__(self, workers: int = 3, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._pool = [Worker(number, self) for number in range(workers)]
        self._over = _thread.allocate_lock()
        self._over.acquire()
        self._leaving = False
        self._workers: list[Worker] = []
        self._unstarted: list[Worker] = []
        self._begun = False
        self._trace: list[tuple[str, str]] = []
        self._failure: BaseException | None = None
        self._choices = Choices()
        self._preemptions_left: int | None = None
        self._strikes_left = 0
        self._victim: str | None = None
        self._quiet: Callable[[], bool] = _nothing
        self.on_release: Callable[[], object] = _nothing
        self.struck: set[str] = set()
        self.running: Worker | None = None
        self.aborting = False
        self.clock = Clock()
        self.lock = ScheduledLock(self)

    def __enter__(self) -> Scheduler:
        for worker in self._pool:
            worker.thread.start()
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        self._leaving = True
        for worker in self._pool:
            if worker.baton.locked():
                worker.baton.release()
        for worker in self._pool:
            worker.thread.join(PATIENCE_S)

    # ---- For the explorer ------------------------------------------------------------------------------------------------------

    def prepare(self, choices: Choices, *, preemptions: int | None, victim: str | None, strikes: int) -> None:
        """Begin a schedule: a fresh lock and clock. `preemptions` None: any number."""
        self._choices = choices
        self._preemptions_left = preemptions
        self._victim, self._strikes_left = victim, strikes
        self._trace, self._failure, self.aborting = [], None, False
        self.running = None
        self.clock = Clock()
        self.lock = ScheduledLock(self)

    def run(self, programs: Sequence[tuple[str, Callable[[], object]]], quiet: Callable[[], bool]) -> None:
        """Run programs to their ends. `quiet` is called when nobody can go on; it returns whether it helped.

        Raises what went wrong, with the schedule in its text.
        """
        self._quiet = quiet
        self._workers = self._pool[: len(programs)]
        for worker, (name, program) in zip(self._workers, programs, strict=True):
            worker.name, worker.program = name, program
            worker.state, worker.waiter, worker.wakes = _FREE, None, 0
        # Each runs to its first point: what it does before is of no interest to the others.
        self._unstarted, self._begun = list(self._workers), False
        first = self._next_runner(None)
        if first is not None:
            first.baton.release()
            if not self._over.acquire(timeout=self._patience_s):
                raise ViolationError(f"a thread hangs outside of the scheduler\n{self.story()}")
        self.running = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise ViolationError(f"{failure}\n{self.story()}") from failure

    def tell(self, what: str) -> None:
        """Add what the running thread does to the story of the schedule."""
        self._trace.append((self.running.name if self.running else "the test", what))

    def story(self) -> str:
        """Return what happened, in sentences."""
        return "\n".join(["the schedule:", *(f"  {name} {what}" for name, what in self._trace)])

    # ---- For the threads -------------------------------------------------------------------------------------------------------

    def work(self, me: Worker) -> None:
        """Run program after program: a thread's target."""
        while True:
            me.baton.acquire()
            if self._leaving:
                return
            try:
                if not self.aborting and me.program is not None:
                    me.program()
            except Unwound:
                pass
            except BaseException as exc:
                self._give_up(exc)
            me.state = _DONE
            self._trace.append((me.name, _DONE))
            following = self._next_runner(None)
            (self._over if following is None else following.baton).release()

    def point(self) -> None:
        """Let others run, if so chosen. Any code of a test may call it; only the threads of a schedule stop here."""
        me = self.running
        if me is not None and not self.aborting:
            self.step(me, _FREE)

    def fail(self, text: str) -> None:
        """Give the schedule up because of a violation."""
        if self.running is None:
            raise ViolationError(text)
        if not self.aborting:
            self._give_up(ViolationError(text))
            raise Unwound

    def wakes(self) -> int:
        """Return how often the running thread was woken since the last call."""
        me = self.running
        if me is None:
            return 0
        wakes, me.wakes = me.wakes, 0
        return wakes

    def anybody_can_run(self) -> bool:
        """Return whether a thread can go on."""
        return any(self._can_run(worker) for worker in self._workers)

    def parked(self) -> list[str]:
        """Return the names of those who sleep."""
        return [worker.name for worker in self._workers if worker.state is PARKED]

    def step(self, me: Worker, state: str) -> None:
        """Stop here in `state` until it is this thread's turn."""
        if self.aborting:
            if state is PARKED:
                raise Unwound
            return
        me.state = state
        if len(self._trace) > MOST_STEPS:
            self.fail(f"more than {MOST_STEPS} steps: somebody goes round and round")
        following = self._next_runner(me)
        if following is not me:
            if following is None:  # given up: this thread unwinds first
                self.running = me
                raise Unwound
            following.baton.release()
            me.baton.acquire()
            if self.aborting:
                self.running = me
                raise Unwound

    def place(self, me: Worker, place: str) -> None:
        """Strike here, if so chosen."""
        if self._strikes_left and me.name == self._victim and not self.aborting and self._choose(2):
            self._strike(me, place)
            raise KeyboardInterrupt

    # ---- Choosing --------------------------------------------------------------------------------------------------------------

    def _strike(self, worker: Worker, place: str) -> None:
        self._strikes_left -= 1
        self.struck.add(place)
        self._trace.append((worker.name, f"is interrupted {place}"))

    def _choose(self, size: int) -> int:
        try:
            return self._choices.choose(size)
        except ViolationError as exc:
            self._give_up(exc)
            raise Unwound from None

    def _give_up(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        self.aborting = True

    def _can_run(self, worker: Worker) -> bool:
        return worker.state is _FREE or (worker.state is LOCK and not self.lock.depth)

    def _next_runner(self, me: Worker | None) -> Worker | None:
        """Return who goes on: None when all are done, or when `me` has to unwind first."""
        if self._unstarted and not self.aborting:
            self.running = self._unstarted.pop(0)
            return self.running
        current = me if self._begun else None  # the last to reach its first point has no right to go first
        self._begun = True
        while not self.aborting:
            try:
                chosen = self._next_choice(current)
            except (Unwound, ViolationError) as exc:
                if isinstance(exc, ViolationError):
                    self._give_up(exc)
                break
            if chosen is not None:
                self.running = chosen
                self._trace.append((chosen.name, chosen.state))
                return chosen
            if all(worker.state is _DONE for worker in self._workers):
                self.running = None
                return None
        if me is not None:
            return None
        self.running = next((worker for worker in self._workers if worker.state is not _DONE), None)
        return self.running

    def _next_choice(self, me: Worker | None) -> Worker | None:
        """Make one choice. Return who goes on, or None after an event, after which there is another choice to make."""
        can_go_on = me is not None and self._can_run(me)
        if me is not None and can_go_on and self._preemptions_left == 0:
            return me
        runners = [worker for worker in self._workers if worker is not me and self._can_run(worker)]
        if me is not None and can_go_on:
            runners.insert(0, me)
        events = list(self._events())
        if not runners and not events:
            self._nobody_can_go_on()
            return None
        size = len(runners) + len(events)
        chosen = self._choose(size) if size > 1 else 0
        if can_go_on and chosen and self._preemptions_left is not None:
            self._preemptions_left -= 1
        if chosen < len(runners):
            return runners[chosen]
        self._happen(*events[chosen - len(runners)])
        return None

    def _events(self) -> Iterator[tuple[Worker, bool]]:
        """Yield what can happen to sleepers: (who, whether it is an interrupt and not a deadline)."""
        for worker in self._workers:
            if worker.state is PARKED and worker.waiter is not None:
                if worker.waiter.deadline_s is not None:
                    yield worker, False
                if self._strikes_left and worker.name == self._victim:
                    yield worker, True

    def _happen(self, worker: Worker, is_interrupt: bool) -> None:
        waiter = worker.waiter
        if waiter is None:
            return
        if is_interrupt:
            waiter.interrupted = True
            self._strike(worker, ASLEEP)
        else:
            self.clock.now_s = max(self.clock.now_s, waiter.deadline_s or 0.0)
            self._trace.append((worker.name, "has reached its deadline"))
        worker.state = LOCK

    def _nobody_can_go_on(self) -> None:
        if all(worker.state is _DONE for worker in self._workers):
            return
        self.running = None
        self._trace.append(("nobody", "can go on"))
        if not self._quiet():
            raise ViolationError(f"deadlock: nothing will ever wake {', '.join(self.parked()) or 'who waits for the lock'}")


class Explorer:
    """Runs one schedule after the other. `schedules` counts them."""

    def __init__(
        self, scheduler: Scheduler, *, preemptions: int | None = None, victim: str | None = None, strikes: int = 0
    ) -> None:
        self._scheduler = scheduler
        self._preemptions = preemptions
        self._victim = victim
        self._strikes = strikes
        self.schedules = 0

    def every(self) -> Iterator[None]:
        """Prepare each schedule in turn; its programs are run by whoever asks for the next."""
        choices = Choices()
        while True:
            self._scheduler.prepare(choices, preemptions=self._preemptions, victim=self._victim, strikes=self._strikes)
            yield
            self.schedules += 1
            if not choices.next():
                return
