"""What becomes of earlier lines once the peer of a new one has said what it has of ours (WIRE.md, "Replay and resume")."""

from __future__ import annotations

import time
from collections.abc import Iterable

from haip_sync.errors import ConnectionClosedError, HAIPError
from haip_sync.events import SendUnconfirmed
from haip_sync.flow.explain import amount
from haip_sync.flow.ledger import Cost
from haip_sync.protocol.replay import Resend
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.peer_log import PeerLog
from haip_sync.runtime.rooms import Rooms
from haip_sync.state import Fate


class Resumption:
    """Sends again what the peer lacks, or says of what nobody knows whether it has it. Every method requires the lock."""

    def __init__(self, rooms: Rooms, log: PeerLog) -> None:
        self._rooms = rooms
        self._log = log.warn

    def settle(self, loss: str | None, *, may_resume: bool) -> bool:
        """Settle what earlier lines have left over, before anybody else sends; return whether the session goes on.

        `loss`: why the latest line broke. `may_resume`: the peer has not refused to send again what we lack.
        """
        rooms = self._rooms
        if rooms.turnstile.epoch <= 1:
            return False
        named = rooms.session.resume_from
        loss = loss or "the line was lost"
        again = None if named is None else rooms.outgoing.repeats_above(named, ConnectionClosedError(loss))
        failure = ConnectionClosedError(f"{loss}; the peer of the new line does not go on with the session")
        anew: set[str] = set()
        if again is None:
            anew = self._give_up(failure)
        else:
            self.report(again.lost, len(again.lost))
            for resend, origin in again.frames:
                self._send_again(resend, origin)
        is_resumed = again is not None and may_resume
        if not is_resumed:
            rooms.routes.lose(failure, anew)
        rooms.turnstile.renew(failure if again is None else None)
        return is_resumed

    def _send_again(self, resend: Resend, origin: Entry | None) -> None:
        """Commit one frame of an earlier line, under its old seq; the peer counts it in the new epoch."""
        rooms, frame = self._rooms, resend.frame
        entry = rooms.outgoing.plan_again(resend)
        if entry is None:
            return  # a hole that this peer lets nobody fill
        entry.repeats = origin
        if frame is None:
            rooms.turnstile.post(entry)
        else:
            cost = Cost(rooms.session.message_cost(frame.type), frame.cost(entry.first_seq, entry.ack))
            rooms.turnstile.repeat(frame.channel, entry, cost)

    def _give_up(self, failure: HAIPError) -> set[str]:
        """Report message by message what the peer may or may not have; return the ids of the frames that are sent anew."""
        lost, unsent = self._rooms.outgoing.give_up_earlier(failure)
        anew: set[str] = set()
        for entry in unsent:
            if self._send_anew(entry):
                anew.update(frame.id for frame in entry.frames)
            else:
                entry.give_up("the line broke", failure)
                if entry.is_left and entry.fate is not None:
                    lost.append((entry.last_seq, entry.fate))
        self.report(lost, len(lost))
        return anew

    def report(self, lost: Iterable[tuple[int, Fate]], number: int) -> None:
        """Say of each of these sends that nobody knows whether the peer has it; `lost` gives their last seq too, `number` counts.

        Of a peer that never acknowledged anything they may have arrived long ago: the log says so in one line.
        """
        is_told = number > 1 and not self._rooms.outgoing.fates.has_acknowledged
        if is_told:
            self._log(
                f"whether the peer has the latest {number} messages that were sent before the line broke is not known: "
                "it acknowledged none, ever; most may have arrived long ago"
            )
        for seq, fate in lost:
            if not is_told:
                named = f"{fate.message_id or 'a message'} on {fate.channel}"
                self._log(f"{named} was sent before the line broke, and whether the peer has it is not known")
            self._tell(seq, fate)

    def report_unwritten(self) -> None:
        """Say of sends that have returned that their last frames did not leave before the client was closed."""
        left = self._rooms.outgoing.left_unwritten()
        if left:
            self._log(f"{amount(len(left), 'message')} could not be written before the client was closed")
        for seq, fate in left:
            self._tell(seq, fate)
            self._rooms.outgoing.told(fate)

    def _tell(self, seq: int, fate: Fate) -> None:
        fate.outcome = "indeterminate"  # it may have been left behind in the very moment in which it was given up
        event = SendUnconfirmed(time_s=time.monotonic(), channel=fate.channel, message_id=fate.message_id, seq=seq)
        self._rooms.put(event)

    def _send_anew(self, unsent: Entry) -> bool:
        """Commit a send of which nothing has left under new numbers, where it could go at once; return whether it could."""
        rooms, channel = self._rooms, unsent.frames[0].channel
        gate = rooms.turnstile.gate(channel)
        is_welcome = all(rooms.session.accepts(frame.type) and not frame.in_transaction for frame in unsent.frames)
        if not is_welcome or gate.paused_by_us:
            return False
        entry = rooms.outgoing.plan_anew(unsent)
        costs = [
            Cost(rooms.session.message_cost(frame.type), frame.cost(seq, entry.ack))
            for seq, frame in enumerate(entry.frames, entry.first_seq)
        ]
        cost = Cost(sum(one.messages for one in costs), sum(one.byte_credits for one in costs))
        if not gate.ledger.covers(cost):
            return False
        unsent.first_seq, unsent.last_seq = entry.first_seq, entry.last_seq  # what its sender is told
        rooms.turnstile.repeat(channel, entry, cost)
        return True

    def forget_theirs(self, failure: HAIPError) -> None:
        """Tell calls, runs and half-read texts that the peer says nothing more of them."""
        self._rooms.routes.lose(failure)
