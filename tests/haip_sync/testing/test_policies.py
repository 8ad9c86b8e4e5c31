"""Each policy is arithmetic over frames, requests and a clock: tested here without waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haip_sync.errors import ConfigError
from haip_sync.testing.books import NOTHING, ChannelLedger, Credit
from haip_sync.testing.policies import (
    Bursty,
    ChannelPolicy,
    CreditPolicy,
    Generous,
    Never,
    OnRequest,
    Paced,
    RenewAtHalf,
    Stingy,
)
from haip_sync.testing.policy_names import POLICY_NAMES, check_policy, parse_policy

GIVING_BACK = [Generous(), RenewAtHalf(), Paced(3.7), Paced(1000), Bursty(), Stingy()]


class Bench:
    """One channel with a ledger, a policy and a clock of its own; keeps every grant with its time."""

    def __init__(self, policy: CreditPolicy, messages: int = 4, byte_credits: int = 4000) -> None:
        window = Credit(messages, byte_credits)
        self.ledger = ChannelLedger("USER", window=window, to_client=NOTHING, metered=True)
        self.state = policy.start(window)
        self.now = 1000.0
        self.grants: list[tuple[float, Credit]] = []

    @property
    def balance(self) -> int:
        """Messages left."""
        return self.ledger.from_client.balance

    def frame(self, size: int = 100) -> Credit:
        """Spend one message; return what is granted for it."""
        assert self.ledger.take(Credit(1, size))
        return self._give(self.state.after_frame(self.ledger.owed(), self.now))

    def request(self, messages: int, byte_credits: int) -> Credit:
        """Ask for credit; return what is granted."""
        return self._give(self.state.after_request(Credit(messages, byte_credits), self.ledger.owed(), self.now))

    def tick(self, after: float) -> Credit:
        """Move the clock and call `tick`; return what is granted."""
        self.now += after
        return self._give(self.state.tick(self.ledger.owed(), self.now))

    def next_tick(self) -> Credit:
        """Go to the time that the policy waits for, and tick."""
        due = self.state.due()
        assert due is not None
        return self.tick(max(0.0, due - self.now))

    def _give(self, credit: Credit) -> Credit:
        if credit:
            self.ledger.from_client.grant(credit)
            self.grants.append((self.now, credit))
        return credit


def test_generous_gives_each_frame_back_at_once() -> None:
    """After every frame the window is whole."""
    bench = Bench(Generous())
    assert bench.frame(70) == Credit(1, 70)
    assert bench.balance == 4
    assert bench.state.due() is None


def test_on_request_gives_exactly_what_is_asked() -> None:
    """A request is granted to the letter, above the window too; frames alone bring nothing."""
    bench = Bench(OnRequest())
    assert bench.frame() == NOTHING
    assert bench.request(9, 0) == Credit(9, 0)
    assert bench.request(0, 5) == Credit(0, 5)
    assert bench.balance == 12


@pytest.mark.parametrize("policy", [Generous(), RenewAtHalf(), Paced(), Bursty(), Stingy(), Never()])
def test_other_policies_answer_no_request(policy: CreditPolicy) -> None:
    """Asking for credit changes nothing unless the policy is on-request."""
    assert Bench(policy).request(5, 500) == NOTHING


def test_renewing_waits_for_half_of_the_messages() -> None:
    """One of four frames brings nothing, the second brings both back."""
    bench = Bench(RenewAtHalf())
    assert bench.frame(10) == NOTHING
    assert bench.frame(20) == Credit(2, 30)
    assert bench.state.due() is None


def test_renewing_counts_bytes_as_well() -> None:
    """Half of the byte window renews after a single frame."""
    assert Bench(RenewAtHalf()).frame(2000) == Credit(1, 2000)


def test_renewing_gives_a_quiet_channel_the_rest() -> None:
    """Less than half spent comes back once nothing has come for `idle` seconds, counted from the last frame."""
    bench = Bench(RenewAtHalf(idle=0.5), messages=10)
    bench.frame()
    bench.now += 0.4
    bench.frame()
    assert bench.tick(0.2) == NOTHING
    assert bench.tick(0.3) == Credit(2, 200)


def test_paced_gives_one_at_a_time_at_its_pace() -> None:
    """Two a second: one after half a second, the next after another half, then nothing is owed."""
    bench = Bench(Paced(2))
    bench.frame(100)
    bench.frame(300)
    assert bench.tick(0.49) == NOTHING
    assert bench.tick(0.01) == Credit(1, 200)
    assert bench.next_tick() == Credit(1, 200)
    assert bench.now == 1001.0
    assert bench.state.due() is None


def test_paced_makes_no_burst_of_a_late_tick() -> None:
    """A timer that comes ten seconds late still brings one step, not ten seconds' worth."""
    bench = Bench(Paced(2))
    for _ in range(4):
        bench.frame()
    assert bench.tick(10.0).messages == 1
    assert bench.state.due() == bench.now + 0.5


def test_a_fast_pace_takes_steps_of_a_fiftieth_of_a_second() -> None:
    """A thousand a second come twenty at a time."""
    bench = Bench(Paced(1000), messages=50, byte_credits=5000)
    for _ in range(50):
        bench.frame()
    assert bench.next_tick().messages == 20
    assert bench.now == pytest.approx(1000.02)


@given(st.floats(0.5, 2000), st.lists(st.floats(0, 0.7), min_size=1, max_size=60))
def test_paced_never_exceeds_its_pace(per_second: float, waits: list[float]) -> None:
    """However frames and ticks fall, no stretch of time brings more than its share and one step."""
    bench = Bench(Paced(per_second), messages=100, byte_credits=100_000)
    start = bench.now
    for wait in waits:
        while bench.balance:
            bench.frame()
        bench.tick(wait)
    step = max(1, per_second / 50 + 1)
    for since in (start, *(time for time, _ in bench.grants)):
        given_since = sum(credit.messages for time, credit in bench.grants if time > since)
        assert given_since <= per_second * (bench.now - since) + step


def test_bursty_gives_all_at_once_after_its_time() -> None:
    """The time runs from the first frame; what came until then comes back in one grant."""
    bench = Bench(Bursty(2.0))
    bench.frame(10)
    bench.now += 1.5
    bench.frame(20)
    assert bench.tick(0.4) == NOTHING
    assert bench.tick(0.1) == Credit(2, 30)
    assert bench.state.due() is None


def test_stingy_gives_only_to_the_starving() -> None:
    """A frame starts the wait anew; then one message comes for each further wait, until the window is whole."""
    bench = Bench(Stingy(1.0))
    bench.frame(100)
    bench.now += 0.9
    bench.frame(300)
    assert bench.tick(0.9) == NOTHING
    assert bench.tick(0.1) == Credit(1, 200)
    assert bench.next_tick() == Credit(1, 200)
    assert bench.state.due() is None


def test_never_gives_nothing() -> None:
    """The window is all there is."""
    bench = Bench(Never())
    bench.frame()
    assert bench.tick(1e9) == NOTHING
    assert bench.state.due() is None


@pytest.mark.parametrize("policy", GIVING_BACK, ids=repr)
@given(st.integers(3, 12), st.lists(st.tuples(st.integers(1, 3), st.integers(1, 1000)), max_size=30))
def test_three_frames_at_once_always_pass(policy: CreditPolicy, window: int, texts: list[tuple[int, int]]) -> None:
    """A client that sends up to three frames at once or not at all never hangs, and no balance exceeds the window."""
    bench = Bench(policy, window, 3000)
    for frames, size in texts:
        for _ in range(100):
            if bench.ledger.from_client.covers(Credit(frames, frames * size)):
                break
            bench.next_tick()
        for _ in range(frames):
            bench.frame(size)
        assert bench.balance <= window
        assert bench.ledger.from_client.balance_bytes <= 3000


@pytest.mark.parametrize("policy", GIVING_BACK, ids=repr)
def test_bytes_come_back_where_the_messages_did(policy: CreditPolicy) -> None:
    """Messages granted by hand leave bytes owed, and those come back all the same."""
    bench = Bench(policy)
    bench.frame(1000)
    bench.ledger.from_client.grant(Credit(1, 0))
    for _ in range(100):
        if bench.ledger.from_client.balance_bytes == 4000:
            break
        bench.next_tick()
    assert bench.ledger.from_client.balance_bytes == 4000


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_every_name_is_read(name: str) -> None:
    """A name without a value gives the policy with its default."""
    assert parse_policy(name).name == name


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("paced:50", Paced(50)),
        ("bursty:2.5", Bursty(2.5)),
        ("stingy:1", Stingy(1.0)),
        ("renewing:0.3", RenewAtHalf(0.3)),
    ],
)
def test_a_value_is_read(text: str, policy: CreditPolicy) -> None:
    """What stands behind the colon is the policy's number."""
    assert check_policy(text) == policy


@pytest.mark.parametrize("text", ["", "kind", "paced:", "paced:fast", "paced:0", "paced:nan", "never:1", "bursty:-1"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    """A wrong name or value is a `ConfigError`."""
    with pytest.raises(ConfigError):
        parse_policy(text)


@pytest.mark.parametrize("value", [None, 3, Generous, ChannelPolicy()])
def test_only_a_policy_is_a_policy(value: object) -> None:
    """A class, a number or a channel's state is refused with a `ConfigError`."""
    with pytest.raises(ConfigError):
        check_policy(value)


@pytest.mark.parametrize("rate", [True, "3", None, float("inf")])
def test_a_pace_is_a_number(rate: object) -> None:
    """A rate that is no finite positive number is a `ConfigError`."""
    with pytest.raises(ConfigError):
        Paced(rate)  # type: ignore[arg-type]
