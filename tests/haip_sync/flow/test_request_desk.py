"""Which requests go out, which are held back, and what becomes of those that nobody answers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync.errors import ConfigError
from haip_sync.flow.request_desk import MAX_CHANNELS, ExpiredRequest, OutstandingRequest, RequestDesk
from haip_sync.flow.strategies import CreditRequest

TEN = CreditRequest("USER", 10, 0)
KIB = CreditRequest("USER", 0, 1_024)
BOTH = CreditRequest("USER", 10, 1_024)


def test_a_request_goes_once_while_it_is_outstanding() -> None:
    """What was asked for and not answered is not asked for again."""
    desk = RequestDesk()
    assert desk.admit([TEN], 0.0) == [TEN]
    assert desk.admit([TEN], 2.0) == []
    assert desk.outstanding() == [OutstandingRequest("USER", 10, 0, 0.0)]


def test_requests_for_one_channel_become_one() -> None:
    """Of several for one channel the larger amounts count; other channels go beside it."""
    other = CreditRequest("AGENT", 1, 1)
    assert RequestDesk().admit([TEN, KIB, CreditRequest("USER", 7, 0), other], 0.0) == [BOTH, other]


def test_the_other_resource_may_go_meanwhile() -> None:
    """With messages outstanding, bytes may be asked for, once the channel's interval is over."""
    desk = RequestDesk()
    desk.admit([TEN], 0.0)
    assert desk.admit([BOTH], 0.5) == []
    assert desk.next_s() == 1.0
    assert desk.admit([BOTH], 1.0) == [KIB]
    assert [request.asked_s for request in desk.outstanding()] == [0.0, 1.0]


def test_who_answers_at_once_is_asked_as_often_as_it_is_needed() -> None:
    """After an answer the next request may follow at once; without one it keeps its distance."""
    desk = RequestDesk()
    desk.admit([TEN], 0.0)
    assert desk.granted("USER", 3, 0, 0.01) == 0.01
    assert desk.outstanding() == []
    assert desk.next_s() is None
    assert desk.admit([TEN], 0.04) == []
    assert desk.next_s() == 0.05
    assert desk.admit([TEN], 0.05) == [TEN]
    assert desk.admit([KIB], 0.5) == [], "the messages are not answered yet"
    assert desk.admit([KIB], 1.05) == [KIB]


def test_what_the_peer_has_passed_over_may_be_asked_for_again() -> None:
    """It is outstanding no longer, and may go again after the shortest time; what is not ours is nothing to the desk."""
    desk = RequestDesk()
    desk.admit([BOTH], 0.0)
    assert desk.dropped("USER", 7, 0) is None
    assert desk.dropped("AGENT", 10, 0) is None
    assert desk.dropped("USER", 10, 1_024) == BOTH
    assert desk.dropped("USER", 10, 1_024) is None
    assert desk.outstanding() == []
    assert desk.admit([BOTH], 0.9) == []
    assert desk.next_s() == 1.0
    assert desk.admit([BOTH], 1.0) == [BOTH]
    assert desk.expired(5.9) == []


def test_a_grant_answers_only_what_it_brings() -> None:
    """A grant of messages leaves the bytes outstanding; a grant that nobody asked for answers nothing."""
    desk = RequestDesk()
    assert desk.granted("USER", 10, 10, 0.0) is None
    desk.admit([BOTH], 1.0)
    assert desk.granted("AGENT", 10, 0, 1.5) is None
    assert desk.granted("USER", 10, 0, 2.0) == 1.0
    assert desk.outstanding() == [OutstandingRequest("USER", 0, 1_024, 1.0)]
    assert desk.granted("USER", 10, 0, 2.5) is None
    assert desk.granted("USER", 0, 10, 3.0) == 2.0


def test_an_unanswered_request_expires_once() -> None:
    """After the expiry it is told of, once, with what no grant came for."""
    desk = RequestDesk()
    desk.admit([BOTH], 10.0)
    desk.granted("USER", 1, 0, 11.0)
    assert desk.next_s() == 15.0
    assert desk.expired(14.9) == []
    assert desk.expired(15.0) == [ExpiredRequest("USER", 0, 1_024, 5.0)]
    assert desk.expired(16.0) == []
    assert (desk.outstanding(), desk.next_s()) == ([], None)


def test_messages_and_bytes_of_one_request_expire_together() -> None:
    """One request is told of as one."""
    desk = RequestDesk(expiry_s=2.0)
    desk.admit([BOTH], 0.0)
    assert desk.expired(2.5) == [ExpiredRequest("USER", 10, 1_024, 2.5)]


def test_an_expired_request_is_told_of_even_when_it_is_made_again_first() -> None:
    """Repeating a request does not hide that the one before was not answered."""
    desk = RequestDesk()
    desk.admit([TEN], 0.0)
    assert desk.admit([TEN], 5.0) == [TEN]
    assert desk.expired(5.0) == [ExpiredRequest("USER", 10, 0, 5.0)]


def asking_times(desk: RequestDesk, until_s: float) -> list[float]:
    """Return when `desk` lets a request through that is wanted all the time, going by nothing but `next_s`."""
    now_s, times = 0.0, []
    while now_s <= until_s:
        desk.expired(now_s)
        times += [now_s for _ in desk.admit([TEN], now_s)]
        next_s = desk.next_s()
        assert next_s is not None
        assert next_s > now_s
        now_s = next_s
    return times


def test_the_gaps_grow_while_nobody_answers() -> None:
    """Unanswered, the time to the next request doubles from the expiry up to the bound."""
    assert asking_times(RequestDesk(), 130.0) == [0.0, 5.0, 15.0, 35.0, 65.0, 95.0, 125.0]


def test_an_answer_ends_the_growing() -> None:
    """Once the peer grants, even late, the gaps begin at the expiry again."""
    desk = RequestDesk()
    assert asking_times(desk, 40.0) == [0.0, 5.0, 15.0, 35.0]
    desk.expired(41.0)
    assert desk.granted("USER", 1, 0, 41.0) is None
    assert desk.admit([TEN], 41.0) == [TEN]
    desk.expired(46.0)
    assert desk.admit([TEN], 46.0) == [TEN]


def test_an_interval_longer_than_the_expiry_holds_too() -> None:
    """The rate is kept to even where requests expire sooner."""
    assert asking_times(RequestDesk(min_interval_s=20.0), 70.0) == [0.0, 20.0, 40.0, 60.0]


def test_a_held_request_that_nobody_wants_any_more_is_forgotten() -> None:
    """What was turned away is not waited for beyond its time."""
    desk = RequestDesk()
    desk.admit([TEN], 0.0)
    desk.granted("USER", 10, 0, 0.01)
    assert desk.admit([TEN], 0.02) == []
    assert desk.next_s() == 0.05
    assert desk.expired(0.05) == []
    assert desk.next_s() is None


def test_after_stop_asking_nothing_goes_until_the_next_epoch() -> None:
    """A peer that knows no FLOW_UPDATE is not asked again on this connection; on the next one it is."""
    desk = RequestDesk()
    desk.admit([TEN], 0.0)
    desk.stop_asking()
    desk.stop_asking()
    assert desk.is_stopped
    assert (desk.admit([TEN], 99.0), desk.outstanding(), desk.next_s(), desk.expired(99.0)) == ([], [], None, [])
    assert desk.granted("USER", 10, 0, 99.0) is None
    desk.reset()
    assert not desk.is_stopped
    assert desk.admit([TEN], 99.0) == [TEN]


def test_a_new_epoch_begins_with_nothing_outstanding() -> None:
    """What was asked on the connection before is neither awaited nor told of, and no interval holds back."""
    desk = RequestDesk()
    desk.admit([TEN], 0.0)
    desk.reset()
    assert desk.expired(9.0) == []
    assert desk.admit([TEN], 0.1) == [TEN]


def test_no_more_than_the_channels_of_a_connection_are_kept() -> None:
    """Requests beyond 1,024 channels are dropped; those before go on."""
    desk = RequestDesk()
    many = [CreditRequest(f"c{number}", 1, 0) for number in range(MAX_CHANNELS + 5)]
    assert len(desk.admit(many, 0.0)) == MAX_CHANNELS
    assert desk.admit([TEN], 1.0) == []
    assert desk.next_s() == 5.0
    assert len(desk.expired(5.0)) == MAX_CHANNELS


def test_a_request_for_nothing_is_dropped() -> None:
    """Who asks for no message and no byte asks for nothing."""
    assert RequestDesk().admit([CreditRequest("USER", 0, 0)], 0.0) == []


@pytest.mark.parametrize("wrong", [("USER", -1, 0), ("USER", 0, 1.5), ("no channel", 1, 0)])
def test_a_wrong_request_admits_nothing(wrong: Any) -> None:
    """A strategy's mistake raises before anything counts as asked."""
    desk = RequestDesk()
    with pytest.raises(ConfigError):
        desk.admit([TEN, CreditRequest(*wrong)], 0.0)
    assert desk.outstanding() == []


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"min_interval_s": -1}, "min_interval_s"),
        ({"expiry_s": 0}, "expiry_s"),
        ({"max_interval_s": math.nan}, "max_interval_s"),
        ({"expiry_s": 40.0}, "max_interval_s must be at least expiry_s, 40"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, float], wrong: str) -> None:
    """A setting out of range raises, and the text names it."""
    with pytest.raises(ConfigError, match=wrong):
        RequestDesk(**settings)


AMOUNTS = st.integers(0, 9)
STEPS = st.tuples(
    st.sampled_from(["ask", "grant", "tick"]), st.sampled_from(["USER", "AGENT"]), AMOUNTS, AMOUNTS, st.floats(0, 7)
)


@given(st.lists(STEPS, max_size=80))
def test_no_resource_is_asked_for_twice_or_too_fast(steps: list[tuple[str, str, int, int, float]]) -> None:
    """Whatever happens: an interval between requests of a channel, and per resource an answer or an expiry between."""
    desk, now_s = RequestDesk(), 0.0
    last_s: dict[str, float] = {}
    open_since_s: dict[tuple[str, int], float] = {}
    for move, channel, messages, byte_credits, elapsed_s in steps:
        now_s += elapsed_s
        if move == "grant":
            desk.granted(channel, messages, byte_credits, now_s)
            for resource, amount in enumerate((messages, byte_credits)):
                if amount:
                    open_since_s.pop((channel, resource), None)
        elif move == "tick":
            desk.expired(now_s)
            next_s = desk.next_s()
            assert next_s is None or next_s > now_s
        for sent in desk.admit([CreditRequest(channel, messages, byte_credits)], now_s) if move == "ask" else []:
            is_answered = all(open_since_s.get((channel, r), 0.0) != last_s.get(channel) for r in (0, 1))
            assert now_s >= last_s.get(channel, -math.inf) + (0.05 if is_answered else 1.0)
            last_s[channel] = now_s
            for resource, amount in enumerate((sent.messages, sent.byte_credits)):
                if amount:
                    assert now_s >= open_since_s.get((channel, resource), -math.inf) + 5.0
                    open_since_s[channel, resource] = now_s
