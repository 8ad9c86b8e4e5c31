"""Programs over one turnstile and its outbox, run in every order; `support.rig_checks` says what must be true of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from support.choices import ViolationError
from support.rig import Parts, Program, Rig, Scenario
from support.rig_checks import Checks
from support.scheduler import Explorer, Scheduler

TALLY: list[int] = []
"""How many schedules each scenario had, for the end of the run to say."""


@dataclass
class Explored:
    """What an exploration saw."""

    schedules: int = 0
    outcomes: set[str] = field(default_factory=set)


def explore(
    scheduler: Scheduler,
    scenario: Scenario,
    parts: Parts | None = None,
    *,
    preemptions: int | None = None,
    victim: str | None = None,
    strikes: int = 0,
) -> Explored:
    """Run every schedule of a scenario and check each. Raises `ViolationError` with the first schedule that breaks a rule."""
    explorer = Explorer(scheduler, preemptions=preemptions, victim=victim, strikes=strikes)
    seen = Explored()
    for _ in explorer.every():
        rig = Rig(scheduler, parts or Parts(), scenario)
        checks = Checks(rig)
        scheduler.on_release = checks.books
        if scenario.setup is not None:
            scenario.setup(rig)
            rig.pokes = 0  # the service thread has looked
        try:
            scheduler.run([(program.name, partial(rig.act, program)) for program in scenario.programs], checks.quiet)
            _check_end(rig, checks)
        except ViolationError as exc:
            raise ViolationError(f"{scenario.name}, schedule {explorer.schedules + 1}: {exc}") from exc.__cause__
        seen.outcomes.update(f"{label}: {_word(outcome)}" for label, outcome in rig.outcomes.items())
    seen.schedules = explorer.schedules
    return seen


def _check_end(rig: Rig, checks: Checks) -> None:
    try:
        checks.end()
    except ViolationError as exc:
        raise ViolationError(f"{exc}\n{rig.scheduler.story()}") from exc.__cause__


def _word(outcome: BaseException | str) -> str:
    return outcome if isinstance(outcome, str) else type(outcome).__name__


# ---- Programs ------------------------------------------------------------------------------------------------------------------


def sends(label: str, messages: int = 1, *, steps: int = 1, timeout_s: float | None = None) -> Program:
    """Return a sender."""
    how = "" if timeout_s is None else f" within {timeout_s:g} s"
    what = f"{label} sends {messages}" if steps == 1 else f"{label} sends {steps} frames"
    return Program(f"{what}{how}", lambda rig: rig.send(label, messages, steps=steps, timeout_s=timeout_s))


def awaits(label: str, messages: int, timeout_s: float | None = None) -> Program:
    """Return who waits for credit and takes nothing."""
    return Program(f"{label} awaits {messages}", lambda rig: rig.await_credits(label, messages, timeout_s))


def enqueues(label: str, messages: int = 1) -> Program:
    """Return who queues a message and does not wait."""
    return Program(f"{label} is queued", lambda rig: rig.enqueue(label, messages))


def queues_and_waits(label: str, messages: int = 1, timeout_s: float | None = None) -> Program:
    """Return who queues a message and then waits for what comes of it."""

    def run(rig: Rig) -> None:
        if rig.enqueue(label, messages):
            rig.await_result(label, timeout_s)

    return Program(f"{label} is queued and awaited", run)


def queues_and_cancels(label: str, messages: int = 1) -> Program:
    """Return who queues a message and takes it back."""

    def run(rig: Rig) -> None:
        if rig.enqueue(label, messages):
            rig.take_back(label)

    return Program(f"{label} is queued and cancelled", run)


def cancels(label: str) -> Program:
    """Return who takes another's message back."""
    return Program(f"{label} is cancelled", lambda rig: rig.take_back(label))


def clears() -> Program:
    """Return who takes all back."""
    return Program("all is cleared", lambda rig: rig.outbox.clear("USER"))


def grants(*amounts: int) -> Program:
    """Return the peer's grants, one after the other."""
    return Program(f"grants {', then '.join(map(str, amounts))}", lambda rig: rig.grant(*amounts))


def grants_and_writes(*amounts: int) -> Program:
    """Return the peer's grants, brought by a thread that writes what they let go."""
    return Program(f"brings {', then '.join(map(str, amounts))} and writes", lambda rig: rig.grant_and_write(*amounts))


def pauses(*, by_us: bool) -> Program:
    """Return who holds the channel and lets it go again."""

    def run(rig: Rig) -> None:
        rig.pause(by_us=by_us)
        rig.resume(by_us=by_us)

    return Program(f"{'we pause' if by_us else 'the peer pauses'} and resume{'' if by_us else 's'}", run)


def closes() -> Program:
    """Return who ends it all."""
    return Program("closes", Rig.close)


def renews_at_half(window: int) -> Callable[[Rig], bool]:
    """Return a peer that grants `window` messages, and fills it up again once it counts half of it as used."""

    def renew(rig: Rig) -> bool:
        sent = len(rig.outlet.committed)
        balance = rig.granted - sent
        if balance > window // 2:
            return False
        rig.granted += window - balance
        rig.grant(window - balance)
        return True

    return renew


def opens_epoch(messages: int) -> Program:
    """Return a handshake that brings this credit."""
    return Program(f"an epoch opens with {messages}", lambda rig: rig.open_epoch(messages))


def makes_room() -> Program:
    """Return the socket taking what it was given."""
    return Program("the socket takes more", Rig.make_room)
