"""What is sent again to a peer that asks for it: bounded, whoever asks how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from haip_sync.protocol.envelope import Envelope
from haip_sync.protocol.frames import Frame
from haip_sync.protocol.happenings import ReplayAsked
from haip_sync.protocol.names import ACCEPTED_TYPES
from haip_sync.protocol.session import Session
from haip_sync.runtime.entry import Entry
from haip_sync.runtime.outgoing import Outgoing
from haip_sync.runtime.replaying import Replaying
from haip_sync.runtime.rooms import Rooms

OURS = "11111111-1111-4111-8111-111111111111"


class Bench:
    """A write order with 200 data frames behind it, and what goes into it."""

    def __init__(self, *, max_replay_bytes: int = 1 << 20, refuses: tuple[str, ...] = ()) -> None:
        self.session = Session(OURS)
        accepts = [name for name in ACCEPTED_TYPES if name not in refuses]
        hai = {"accept_events": accepts}
        self.session.receive(Envelope(id="hai", channel="SYSTEM", type="HAI", payload=hai, session="theirs", seq="1"), 100)
        self.outgoing = Outgoing(self.session, clock=lambda: 0.0, max_replay_bytes=max_replay_bytes)
        self.replaying = Replaying(self, cast(Rooms, SimpleNamespace(session=self.session, outgoing=self.outgoing)))
        self.again: list[int] = []
        self.posted: list[Frame] = []
        self.frames = [self.session.frames.make("USER", "MESSAGE", b'"%b"' % (b"x" * 5_000)) for _ in range(200)]
        for frame in self.frames:
            self.outgoing.commit(self.outgoing.plan((frame,)))
        self.write_all()

    def post(self, frame: Frame) -> Entry:
        self.posted.append(frame)
        entry = self.outgoing.plan((frame,))
        self.outgoing.commit(entry)
        return entry

    def post_again(self, entry: Entry) -> None:
        self.again.append(entry.first_seq)
        self.outgoing.commit(entry)

    def asks(self, first: int, last: int) -> None:
        self.replaying.ask(ReplayAsked(first, last, "request"))

    def write_all(self) -> None:
        for entry in self.outgoing.first(1 << 30)[-1:]:
            self.outgoing.written(entry.end)


def test_a_long_replay_goes_out_piece_by_piece() -> None:
    """No more than a piece stands in the write order at a time; all of it comes, in order, under the old numbers."""
    bench = Bench()
    bench.asks(1, 200)
    pieces = 0
    while not bench.outgoing.is_empty:
        assert bench.outgoing.pending_bytes < 80_000
        pieces += 1
        bench.write_all()
        bench.replaying.go_on()
    assert bench.again == list(range(1, 201))
    assert pieces > 10
    assert bench.replaying.under_way is None
    assert bench.session.last_seq == 200, "nothing new was numbered"


def test_asking_again_and_again_costs_two_replays() -> None:
    """What is asked for while a replay is under way is answered once, after it."""
    bench = Bench()
    for _ in range(500):
        bench.asks(1, 200)
        assert bench.outgoing.pending_bytes < 80_000
    bench.asks(50, 60)
    while not bench.outgoing.is_empty:
        bench.write_all()
        bench.replaying.go_on()
    assert bench.again == [*range(1, 201), *range(1, 201)]


def test_what_is_sent_again_is_what_was_sent() -> None:
    """The same frame under the same seq and with the same ack: it weighs what was paid for it."""
    bench = Bench()
    for seq in range(2, 8):
        ping = Envelope(id=f"id{seq}", channel="SYSTEM", type="PONG", payload={}, session="theirs", seq=str(seq))
        bench.session.receive(ping, 100)
    bench.asks(3, 3)
    (entry,) = bench.outgoing.first(1 << 20)
    assert (entry.first_seq, entry.frames, entry.ack) == (3, (bench.frames[2],), 1)


def test_what_is_not_kept_any_more_is_too_old() -> None:
    """The ERROR names the request; nothing is sent again."""
    bench = Bench(max_replay_bytes=20_000)
    bench.asks(1, 200)
    (error,) = bench.posted
    payload: Any = error.render(1, 0, 0)
    assert b'"code":"REPLAY_TOO_OLD"' in payload
    assert b'"related_id":"request"' in payload
    assert bench.again == []


def test_a_hole_stays_where_the_peer_takes_no_pong() -> None:
    """Nothing is sent that the peer does not accept; it will give the hole up."""
    bench = Bench(refuses=("PONG",))
    ping = bench.session.control_frame("PING", {})
    bench.post(ping)
    bench.write_all()
    bench.asks(200, 201)
    assert bench.again == [200]


def test_what_was_asked_for_on_another_line_is_forgotten() -> None:
    """A new line begins with HAI, and the peer says then what it has."""
    bench = Bench()
    bench.asks(1, 200)
    bench.replaying.begin_line()
    bench.write_all()
    already = len(bench.again)
    bench.replaying.go_on()
    assert len(bench.again) == already
    assert bench.replaying.under_way is None


def test_committing_a_repeat_twice_changes_nothing() -> None:
    """An interrupted commit is done again: the numbers stay, and the entry stands there once."""
    bench = Bench()
    (resend,) = bench.outgoing.replay.walk(7, 7)
    entry = bench.outgoing.plan_again(resend)
    assert entry is not None
    bench.outgoing.commit(entry)
    bench.outgoing.commit(entry)
    assert bench.outgoing.first(1 << 20) == [entry]
    assert bench.session.last_seq == 200
