"""What must be true of a turnstile and its outbox in every schedule: as threads run, when nobody can go on, and at the end."""

from __future__ import annotations

from collections import Counter

from haip_sync import (
    ConnectionClosedError,
    FlowControlError,
    FlowControlTimeout,
    HAIPError,
    NotSentError,
    PartialSendError,
    QueueFullError,
)
from haip_sync.flow.gates import Shortage
from haip_sync.flow.ledger import Cost
from haip_sync.flow.pending import PendingSend
from haip_sync.state import SendReceipt
from support.choices import ViolationError
from support.rig import BYTES, PLENTY, RETURNED, Rig
from support.turnstiles import Parcel

_NOTHING_SENT = (FlowControlTimeout, FlowControlError, NotSentError, ConnectionClosedError, QueueFullError)


class Checks:
    """Looks at one rig. Raises `ViolationError`, or has the scheduler give the schedule up with one."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._finale_played = False

    def books(self) -> None:
        """Check, whenever the lock is let go, that the books balance and that what was spent is what left."""
        if not self._rig.gate.ledger.is_conserved():
            self._rig.scheduler.fail(f"the books do not balance: {self._rig.gate.ledger}")
        if self._rig.turnstile._redo is not None:
            return  # an interrupt struck in the middle of a step; whoever takes the lock next carries it out
        spent = [self._rig.costs[cargo.label] for cargo in self._rig.outlet.of_epoch(self._rig.turnstile.epoch)]
        messages, byte_credits = self._rig.gate.ledger.messages.spent, self._rig.gate.ledger.byte_credits.spent
        if (messages, byte_credits) != (sum(cost.messages for cost in spent), sum(cost.byte_credits for cost in spent)):
            self._rig.scheduler.fail(
                f"{messages} messages and {byte_credits} bytes were spent, {len(spent)} frames left: {spent}"
            )

    def quiet(self) -> bool:
        """Check what must be true while nobody can go on; play the service thread, the peer, the end: whether it helped."""
        if self._rig.parking.lock.depth:
            raise ViolationError("somebody sleeps with the lock")
        if self._rig.pokes:
            self._rig.pokes = 0
            with self._rig.parking.lock:
                self._rig.turnstile.mend()
                self._rig.turnstile.serve_all()
            if self._rig.scheduler.anybody_can_run():
                return True
        self._check_standing()
        if self._rig.scenario.peer is not None:
            return self._rig.scenario.peer(self._rig)
        if not self._finale_played:
            self._finale_played = True
            self._rig.outlet.room = None
            for by_us in (True, False):
                self._rig.resume(by_us=by_us)
            self._rig.grant(PLENTY.messages)
            return True
        return False

    def _check_standing(self) -> None:
        if self._rig.turnstile.closed is not None:
            raise ViolationError(f"{', '.join(self._rig.scheduler.parked())} still sleeps though the turnstile is closed")
        standing = list(self._rig.gate.queue)
        if standing and standing[0].is_over:
            raise ViolationError(f"{standing[0].parcel.event_type} is over and still stands at the head of the queue")
        if standing and not isinstance(self._rig.turnstile._next_step(self._rig.gate, standing[0]), Shortage):
            raise ViolationError(f"{standing[0].parcel.event_type} is left waiting though it could go")
        threads = [ticket.parcel.event_type for ticket in standing if ticket.pending is None and not ticket.abandoned]
        if len(threads) > len(self._rig.scheduler.parked()):
            raise ViolationError(f"{threads} stand in the queue, and only {self._rig.scheduler.parked()} sleep")
        if self._rig.gate.room and self._rig.turnstile.has_queue_room(self._rig.gate, BYTES):
            raise ViolationError("somebody waits for room in the outbox though there is some")

    def end(self) -> None:
        """Check, once all threads are done, what came of everything, and that the next sender enters."""
        self.books()
        left = [ticket.parcel.event_type for ticket in self._rig.gate.queue if ticket.pending is None and not ticket.abandoned]
        if left:
            raise ViolationError(f"{left} still stand in the queue, and their threads are gone")
        self._check_next_sender()
        self.books()
        sent = Counter(self._rig.outlet.labels)
        for label, outcome in self._rig.outcomes.items():
            if label in self._rig.frames:
                self._check_outcome(label, outcome, sent[label])
        for label, pending in self._rig.pendings.items():
            self._check_pending(label, pending, sent[label])
        self._check_order()

    def _check_next_sender(self) -> None:
        self._rig.scheduler.tell("looks whether the next sender enters")
        self._play_end()
        try:
            self._rig.turnstile.pass_through("USER", Parcel(self._rig.outlet, "next", 1, BYTES), 0)
        except ConnectionClosedError:
            if self._rig.turnstile.closed is None:
                raise
        except (HAIPError, RuntimeError) as exc:
            raise ViolationError(f"the next sender does not enter: {exc}") from exc
        else:
            if self._rig.outlet.labels[-1] != "next":
                raise ViolationError("the next sender was let in and did not leave")
        if self._rig.gate.standing() or self._rig.gate.room:
            raise ViolationError(
                f"{len(self._rig.gate.standing())} still stand in the queue, {len(self._rig.gate.room)} wait for room"
            )

    def _play_end(self) -> None:
        """Take every hold away and give one message's credit, and no more than what those need who are queued."""
        self._rig.outlet.room = None
        self._rig.costs["next"], self._rig.frames["next"] = Cost(1, BYTES), 1
        for by_us in (True, False):
            self._rig.resume(by_us=by_us)
        self._rig.grant(1 + sum(self._rig.costs[ticket.parcel.event_type].messages for ticket in self._rig.gate.queue))

    def _check_outcome(self, label: str, outcome: BaseException | str, sent: int) -> None:
        whole = self._rig.frames[label]
        if outcome == RETURNED:
            if sent != whole:
                raise ViolationError(f"{label} returned and {sent} of its {whole} frames left")
        elif isinstance(outcome, PartialSendError):
            if sent != outcome.parts_sent + 1 or sent == whole:
                raise ViolationError(f"{label} was told of START and {outcome.parts_sent} parts, and {sent} frames left")
        elif isinstance(outcome, KeyboardInterrupt):
            self._check_interrupted(label, outcome, sent)
        elif isinstance(outcome, _NOTHING_SENT) and sent:
            raise ViolationError(f"{label} was told that nothing was sent ({type(outcome).__name__}), and {sent} frames left")

    def _check_interrupted(self, label: str, outcome: BaseException, sent: int) -> None:
        """Check that what was interrupted is sent whole or not at all (but for a text that streams), and its note true."""
        whole = self._rig.frames[label]
        if sent > whole or (whole == 1 and sent not in (0, 1)):
            raise ViolationError(f"{label} was interrupted, and {sent} of its {whole} frames left")
        notes = getattr(outcome, "__notes__", [])
        if not notes or not whole:
            return  # struck before it could be said, or it takes nothing
        expected = {0: "nothing was sent.", whole: "it is sent."}.get(sent, f"its START and {sent - 1} part(s) were sent")
        if expected not in notes[0]:
            raise ViolationError(f"of the frames of {label} {sent} left, and its interrupt says: {notes[0]}")

    def _check_pending(self, label: str, pending: PendingSend, sent: int) -> None:
        outcome = pending._outcome
        if isinstance(outcome, SendReceipt) != (sent == 1):
            raise ViolationError(f"{label} was queued, left {sent} times, and its handle says {outcome!r}")
        if label in self._rig.cancelled and not isinstance(outcome, NotSentError):
            raise ViolationError(f"{label} was cancelled in time, and its handle says {outcome!r}")
        if outcome is None and self._rig.outcomes.get(f"enqueue {label}") == RETURNED:
            raise ViolationError(f"the handle of {label} never says anything")

    def _check_order(self) -> None:
        committed = self._rig.outlet.committed
        if [cargo.seq for cargo in committed] != list(range(1, len(committed) + 1)):
            raise ViolationError(f"seq has a hole or a double: {[(cargo.label, cargo.seq) for cargo in committed]}")
        labels = [cargo.label for cargo in committed]
        texts = [label for at, label in enumerate(labels) if not at or labels[at - 1] != label]
        if len(texts) != len(set(texts)):
            raise ViolationError(f"frames of one text stand in another, or a send left twice: {labels}")
        in_line = [label for label in texts if label in self._rig.arrivals.labels]
        if in_line != [label for label in self._rig.arrivals.labels if label in texts]:
            raise ViolationError(f"arrived as {self._rig.arrivals.labels}, left as {texts}")
