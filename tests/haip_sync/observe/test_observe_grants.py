"""Grants that come thick: the program stops telling them one by one, and the monitor works them out from the snapshots."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.observed import CONNECTED, IDLE, StandIn
from support.states import make_grant

from haip_sync import CreditGranted, CreditRequested
from haip_sync.observe.feed import EVENTS_A_ROUND, GRANTS_A_ROUND, LONGEST_THICK_S, THICK_S, Feed
from haip_sync.observe.grants import Grants
from haip_sync.observe.messages import Happened, Snapshot
from haip_sync.observe.watched import Offset, Watched
from haip_sync.state import ConnectionState


def grant(messages: int, time_s: float = 1.0, channel: str = "USER", byte_credits: int = 0) -> CreditGranted:
    """Return a grant of the peer's."""
    return make_grant(time_s, messages, byte_credits, channel=channel)


def snapshot(granted: int, *, age_s: float = 0.0, epoch: int = 1, granted_bytes: int = 0) -> ConnectionState:
    """Return a client to which so much was granted, the last of it so long ago."""
    channel = msgspec.structs.replace(IDLE, granted=granted, granted_bytes=granted_bytes, last_grant_age=age_s)
    return msgspec.structs.replace(CONNECTED, epoch=epoch, channels={"USER": channel})


@dataclass(frozen=True)
class Round:
    """What happens between two snapshots: grants, how many of the first are told at once, and how many late; the rest never."""

    grants: list[int]
    told: int
    late: int


ROUNDS = st.lists(
    st.builds(Round, grants=st.lists(st.integers(1, 9), max_size=6), told=st.integers(0, 6), late=st.integers(0, 6)), max_size=12
)


@given(first=st.integers(0, 50), rounds=ROUNDS)
def test_every_grant_is_told_once_or_made_up_for(first: int, rounds: list[Round]) -> None:
    """Whichever grants are told, at once or a round late, in the end what was told and made up is what was granted."""
    grants, granted, heard = Grants(), first, 0
    grants.catch_up(snapshot(first), 0.0)
    late: list[int] = []
    for one in [*rounds, *[Round([], 0, 0)] * 2]:
        told = late + one.grants[: one.told]
        late = one.grants[one.told : one.told + one.late]
        granted += sum(one.grants)
        for amount in told:
            grants.tell(grant(amount))
        heard += sum(told) + sum(event.add_messages for event in grants.catch_up(snapshot(granted), 1.0))
    assert heard == granted - first


def test_what_is_made_up_has_the_time_of_the_last_grant() -> None:
    """Messages and bytes apart, one event for each channel, on the monitor's own clock."""
    watched, offset = Watched(every_event=False), Offset()
    offset.s = 100.0
    for now_s, state in (
        (1.0, snapshot(10)),
        (2.0, snapshot(17, age_s=0.25, granted_bytes=500)),
        (3.0, snapshot(17, age_s=1.25)),
    ):
        watched.take_in(Snapshot(client="c", now_s=now_s, state=state), offset)
    (event,) = watched.drain(9).events
    assert isinstance(event, CreditGranted)
    assert (event.time_s, event.channel, event.add_messages, event.add_bytes) == (101.75, "USER", 7, 500)


def test_what_was_told_is_not_made_up_for() -> None:
    """A grant that is told before the snapshot after the next comes once."""
    watched, offset = Watched(every_event=False), Offset()
    watched.take_in(Snapshot(client="c", now_s=1.0, state=snapshot(10)), offset)
    watched.take_in(Snapshot(client="c", now_s=2.0, state=snapshot(15)), offset)
    watched.take_in(Happened(client="c", events=(grant(5, 1.9),), dropped=0), offset)
    for now_s in (3.0, 4.0):
        watched.take_in(Snapshot(client="c", now_s=now_s, state=snapshot(15)), offset)
    assert watched.drain(9).events == [grant(5, 1.9)]


def test_a_new_epoch_begins_with_what_it_has() -> None:
    """The first balance is no grant, whatever the last epoch had."""
    grants = Grants()
    for epoch, granted in ((1, 50), (2, 10), (2, 10), (3, 99), (3, 99)):
        assert grants.catch_up(snapshot(granted, epoch=epoch), 1.0) == []


def test_thick_grants_are_not_listened_to_for_a_while() -> None:
    """More than a few in a round, and the client tells none for five seconds; requests are told all the time."""
    client, feed = StandIn(), Feed()
    feed.follow(client, every_event=False)

    def round_at(now_s: float, count: int) -> int:
        client.emit(*(grant(1) for _ in range(count)))
        client.emit(CreditRequested(time_s=now_s, channel="USER", add_messages=1, add_bytes=0, gives_back=False))
        batch = feed.take()
        feed.spare(client, batch, now_s)
        assert len(client.listening) == 1
        return len(batch.events)

    assert round_at(0.0, GRANTS_A_ROUND) == GRANTS_A_ROUND + 1
    assert round_at(0.1, GRANTS_A_ROUND + 1) == GRANTS_A_ROUND + 2
    assert round_at(0.2, 50) == 1
    assert round_at(0.1 + THICK_S, 50) == 1
    assert round_at(0.2 + THICK_S, 50) == 51
    feed.leave()
    feed.spare(client, feed.take(), 99.0)
    assert client.listening == []


def test_grants_that_stay_thick_are_tried_less_and_less_often() -> None:
    """Each time in vain the pause doubles, up to a bound; grants that came thin for a round begin at the shortest again."""
    client, feed = StandIn(), Feed()
    feed.follow(client, every_event=False)
    now_s, pauses = 0.0, []

    def goes_round(count: int) -> bool:
        client.emit(*(grant(1) for _ in range(count)))
        feed.spare(client, feed.take(), now_s)
        return CreditGranted in client.listening[0].kinds

    for count in [50] * 6 + [1, 50]:
        if goes_round(count):
            continue
        since_s = now_s
        while not goes_round(50):
            now_s += THICK_S / 2
        pauses.append(now_s - since_s)
    assert pauses == [THICK_S, 2 * THICK_S, 4 * THICK_S, 8 * THICK_S, LONGEST_THICK_S, LONGEST_THICK_S, THICK_S]


def test_a_longer_round_has_room_for_more() -> None:
    """Grants are thick by what comes in a second, and so is a flood, however long a round takes."""
    client, feed = StandIn(), Feed(most_events=EVENTS_A_ROUND)
    feed.follow(client, every_event=False)
    client.emit(*(grant(1) for _ in range(2 * GRANTS_A_ROUND)))
    feed.spare(client, feed.take(2.0), 1.0)
    assert CreditGranted in client.listening[0].kinds
    for rounds, room in ((1.0, EVENTS_A_ROUND), (2.0, EVENTS_A_ROUND), (0.5, EVENTS_A_ROUND), (1.0, EVENTS_A_ROUND // 2)):
        client.emit(*(grant(number) for number in range(2 * EVENTS_A_ROUND)))
        assert len(feed.take(rounds).events) == room


def test_who_wants_every_event_hears_every_grant() -> None:
    """However thick they come."""
    client, feed = StandIn(), Feed()
    feed.follow(client, every_event=True)
    for now_s in (1.0, 2.0, 3.0):
        client.emit(*(grant(1) for _ in range(GRANTS_A_ROUND + 1)))
        batch = feed.take()
        assert len(batch.events) == GRANTS_A_ROUND + 1
        feed.spare(client, batch, now_s)
