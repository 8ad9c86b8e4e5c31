"""What became of what was sent."""

from __future__ import annotations

from support.interrupts import every_interrupt, interrupted_at

from haip_sync.protocol.sent_ids import SentIds
from haip_sync.runtime.fates import Fates
from haip_sync.state import Fate


def test_wherever_an_interrupt_strikes_every_lost_send_is_told() -> None:
    """Whoever tells of lost sends and is interrupted finds those that it has not told of when it is done again."""

    def told_of(place: int) -> bool:
        fates, told = Fates(SentIds()), list[int]()
        of_one = [Fate("USER", str(seq)) for seq in range(1, 5)]
        for seq, fate in enumerate(of_one, 1):
            fates.note(fate, (), seq)
        fates.acknowledged(1)

        def tell() -> None:
            for seq, _ in fates.lose([of_one[3]]):
                told.append(seq)

        fired, _ = interrupted_at(place, tell)
        tell()
        assert sorted(set(told)) == [2, 3]
        assert len(told) <= 3, "one at most is told twice"
        assert [fate.outcome for fate in of_one] == ["acknowledged", "indeterminate", "indeterminate", "sent"]
        return fired

    assert len(list(every_interrupt(told_of))) > 5
