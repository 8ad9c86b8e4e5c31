"""Which commands of which monitor are carried out, and on which thread. For the service's thread only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from haip_sync.observe.command_messages import ExplainChannel, ReadMetrics, SendTestMessage
from haip_sync.observe.commands import Job, Worker
from haip_sync.observe.messages import Answer, Ask
from haip_sync.observe.offer import Offer
from haip_sync.observe.visitor import Visitor

_MOST_ASKS: Final = 16
_READ_ONLY: Final = (
    "this client may be watched only: start the script with HAIP_SYNC_MONITOR=steer, "
    'or make the client with monitor="steer", to allow commands. Nothing was done'
)
_BUSY: Final = "too many commands wait in this script already. Nothing was done"


class Errands:
    """What monitors have asked for. `done` is called on this thread with each answer; `later` has that done, from any."""

    def __init__(self, *, later: Callable[[Callable[[], None]], None], done: Callable[[Visitor, Answer], None]) -> None:
        self._later = later
        self._done = done
        self._worker = Worker("commands")
        # Test messages wait for credit, a second each: what would bring it must not stand behind them.
        self._sender = Worker("test-messages")

    def take(self, visitor: Visitor, ask: Ask, offer: Offer | None) -> Answer | None:
        """Have a command carried out; return why it is not. `offer`: the client's; None: there is none of that name."""
        reads_only = isinstance(ask.command, (ExplainChannel, ReadMetrics))
        if offer is not None and not offer.may_steer and not reads_only:
            return Answer(number=ask.number, ok=False, refused=True, text=_READ_ONLY)
        worker = self._sender if isinstance(ask.command, SendTestMessage) else self._worker
        client = None if offer is None else offer.client
        job = Job(ask, client, visitor.peer, visitor.monitor, partial(self._answer_later, visitor))
        if visitor.open_asks >= _MOST_ASKS or not worker.submit(job):
            return Answer(number=ask.number, ok=False, refused=True, text=_BUSY)
        visitor.open_asks += 1
        return None

    def finish(self) -> None:
        """Have the threads end once what waits is done."""
        self._worker.finish()
        self._sender.finish()

    def _answer_later(self, visitor: Visitor, answer: Answer) -> None:
        """Have an answer said. Called by a worker."""
        self._later(partial(self._answered, visitor, answer))

    def _answered(self, visitor: Visitor, answer: Answer) -> None:
        visitor.open_asks -= 1
        self._done(visitor, answer)
