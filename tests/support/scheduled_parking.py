"""`Parking` over the scheduler: every park is a point where others may go on."""

from __future__ import annotations

from haip_sync.flow.parking import Bell, Condition, Parking
from support.choices import ViolationError
from support.scheduler import AWAKE, BEFORE_SLEEP, LET_GO, LOCK, PARKED, ScheduledLock, Scheduler, Unwound, Waiter


class ScheduledCondition:
    """A condition over a scheduled lock: as `threading.Condition` over an `RLock`, whose every park is a point."""

    def __init__(self, scheduler: Scheduler, lock: ScheduledLock) -> None:
        self._scheduler = scheduler
        self._lock = lock
        self._waiters: list[Waiter] = []

    def notify(self, n: int = 1) -> None:
        scheduler = self._scheduler
        if self._lock.owner is not scheduler.running and not scheduler.aborting:
            raise RuntimeError("cannot notify on un-acquired lock")
        # A waiter whose deadline has passed, or that was interrupted, stands here until it has the lock again. It may take the
        # notification of another along, as in CPython.
        for waiter in self._waiters[:n]:
            waiter.notified = True
            if waiter.worker.waiter is waiter and waiter.worker.state is PARKED:
                waiter.worker.state = LOCK
        del self._waiters[:n]

    def notify_all(self) -> None:
        self.notify(len(self._waiters))

    def wait(self, timeout: float | None = None) -> bool:
        scheduler, lock = self._scheduler, self._lock
        me = scheduler.running
        if scheduler.aborting:
            raise Unwound
        if me is None:
            raise ViolationError("who must not have to wait has to wait")
        if lock.owner is not me:
            raise RuntimeError("cannot wait on un-acquired lock")
        scheduler.place(me, BEFORE_SLEEP)
        waiter = Waiter(me, None if timeout is None else scheduler.clock.now_s + timeout)
        self._waiters.append(waiter)
        depth = lock._release_save()
        scheduler.place(me, LET_GO)
        me.waiter = waiter
        scheduler.tell(f"sleeps{'' if timeout is None else f' for {timeout:g} s'}")
        scheduler.step(me, PARKED)
        me.waiter = None
        lock.owner, lock.depth = me, depth
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if waiter.interrupted:
            raise KeyboardInterrupt
        me.wakes += waiter.notified
        scheduler.place(me, AWAKE)
        return waiter.notified


class ScheduledParking(Parking):
    """`Parking` over the scheduler; what it does round a wait is its own."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self.lock = scheduler.lock
        self._probe = self.new_condition()

    def new_condition(self) -> Condition:
        return ScheduledCondition(self._scheduler, self._scheduler.lock)

    def new_bell(self) -> Bell:
        return self.new_condition()

    def deadline(self, timeout_s: float | None) -> float | None:
        return None if timeout_s is None else self._scheduler.clock.now_s + timeout_s

    def left(self, deadline_s: float | None) -> float | None:
        return None if deadline_s is None else deadline_s - self._scheduler.clock.now_s
