"""A client that asks for credit by itself, and counts what came of it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Event
from typing import Any, ClassVar

import pytest
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    AdaptiveStrategy,
    AggressiveStrategy,
    ChannelView,
    ConfigError,
    CreditRequest,
    FlowControlTimeout,
    HAIPClient,
    ManualStrategy,
    Strategy,
    ThresholdStrategy,
    WarningRaised,
)
from haip_sync.testing import DevServer, Never, OnRequest

Start = Callable[..., tuple[DevServer, HAIPClient]]

HAS_LEFT = ("sent", "acknowledged")
"""The outcomes of what was written: the answer to it, or a grant, may come before a test looks."""


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server that grants on request, and a client with these settings."""
    with ExitStack() as stack:

        def start_both(*, first: int = 6, policy: Any = None, **client: Any) -> tuple[DevServer, HAIPClient]:
            server = stack.enter_context(DevServer(policy=policy or OnRequest(), initial_credits=first, agent=False))
            connected = stack.enter_context(HAIPClient(server.url, **client))
            server.wait_for_session(timeout=PATIENCE_S)  # else a grant may come before the server knows of anybody
            return server, connected

        yield start_both


def requests(server: DevServer, channel: str = "USER") -> list[dict[str, Any]]:
    """Return the FLOW_UPDATEs that the server received for a channel, in order."""
    frames = server.wait_for_session().received
    return [frame.payload for frame in frames if frame.type == "FLOW_UPDATE" and frame.payload["channel"] == channel]


def test_threshold_asks_before_credit_runs_out(start: Start) -> None:
    """Below five messages the client asks for ten by itself, and texts go on without anybody asking."""
    server, client = start(strategy=ThresholdStrategy())
    for number in range(3):
        client.send_text_message("USER", str(number), timeout=PATIENCE_S)
    until(lambda: client.connection_state().credits["USER"] >= 5)
    assert requests(server)[0]["add_messages"] >= 10
    assert client.metrics().channels["USER"].credit_requests >= 1


def test_without_a_strategy_nobody_asks(start: Start) -> None:
    """Manual is the default: a starved client waits, and ThresholdStrategy switched in lets it go."""
    server, client = start(first=0)
    with pytest.raises(FlowControlTimeout):
        client.send_text_message("USER", "x", timeout=0.05)
    assert requests(server) == []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.send_text_message, "USER", "y")
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        client.set_strategy(ThresholdStrategy())
        waiting.result(PATIENCE_S)
    client.set_strategy(ManualStrategy())
    client.set_strategy(None)


def test_aggressive_asks_at_connect(start: Start) -> None:
    """100 messages on every channel are asked for as the epoch begins."""
    server, client = start(strategy=AggressiveStrategy())
    until(lambda: client.connection_state().channels["AGENT"].granted == 106)
    assert [request["add_messages"] for request in requests(server, "AGENT")] == [100]


def test_adaptive_serves_who_waits(start: Start) -> None:
    """A sender that waits is asked for, whatever the rate was before."""
    _, client = start(first=0, strategy=AdaptiveStrategy(period_s=0.05, min_interval_s=0.05))
    assert client.send_text_message("USER", "x", timeout=PATIENCE_S).outcome in HAS_LEFT


def test_a_request_that_nobody_answers_is_not_repeated_fast(start: Start) -> None:
    """A peer that never grants is asked once, not at every look."""
    server, client = start(first=0, policy=Never(), strategy=ThresholdStrategy())
    until(lambda: len(requests(server)) == 1)
    for _ in range(5):
        with pytest.raises(FlowControlTimeout):
            client.send_text_message("USER", "x", timeout=0.01)
    client.send("USER", "PING", {"nonce": "n"})
    assert len(requests(server)) == 1


class Broken(Strategy):
    """Raises at its first look."""

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        raise RuntimeError("my own fault")


class Leaving(Strategy):
    """Ends the thread that it runs on."""

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        sys.exit("my own fault")


class _Whole(int):
    """A number with comparisons of its own, which fail."""

    def __gt__(self, other: int) -> bool:
        raise RuntimeError("my own fault")

    __lt__ = __le__ = __ge__ = __gt__


class _Seconds(float):
    """The same of seconds."""

    def __gt__(self, other: float) -> bool:
        raise RuntimeError("my own fault")

    __lt__ = __le__ = __ge__ = __gt__


class Held(ThresholdStrategy):
    """Takes its time over its first turn: until `go`."""

    entered: ClassVar[Event] = Event()
    go: ClassVar[Event] = Event()

    def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
        self.entered.set()
        self.go.wait(PATIENCE_S)
        return super().connected(views, now_s)


def send_at_once(client: HAIPClient) -> None:
    """Send without waiting."""
    client.send("USER", "TOOL_CALL", {"call_id": "1", "tool": "t"}, timeout=0)


def enqueue(client: HAIPClient) -> None:
    """Put a message into the outbox."""
    client.enqueue_text_message("USER", "x")


def test_a_websocket_ping_is_answered_while_a_strategy_thinks() -> None:
    """The reader writes the answers of WebSocket itself: pongs, and the one to a close frame, wait for no strategy."""
    answered: list[bool] = []
    Held.entered.clear()
    Held.go.clear()

    def script(server: Peer) -> None:
        server.greets()
        assert Held.entered.wait(PATIENCE_S)
        answered.append(server.connection.ping().wait(PATIENCE_S / 4))
        Held.go.set()

    with peer(script) as url, HAIPClient(url, strategy=Held()):
        until(lambda: bool(answered))
    assert answered == [True]


@pytest.mark.parametrize("say", [send_at_once, enqueue])
def test_what_is_spent_during_the_first_turn_is_asked_for(start: Start, say: Callable[[HAIPClient], object]) -> None:
    """A strategy that still thinks over how the epoch began learns of what was sent meanwhile, though no thread waits."""
    _, client = start(first=12)
    Held.entered.clear()
    Held.go.clear()
    client.set_strategy(Held())
    assert Held.entered.wait(PATIENCE_S)
    for _ in range(10):
        say(client)
    Held.go.set()
    until(lambda: client.connection_state().credits["USER"] >= 5)


def test_queued_messages_are_asked_for_without_a_threshold(start: Start) -> None:
    """A strategy that asks only where somebody lacks credit asks for a queued message, which has no thread to say so."""
    _, client = start(strategy=ThresholdStrategy(message_threshold=0, byte_threshold=0))
    queued = [client.enqueue_text_message("USER", str(number)) for number in range(12)]
    assert all(message.result(PATIENCE_S).outcome in HAS_LEFT for message in queued)


def send_whole(client: HAIPClient) -> None:
    """Send a text that is larger than any balance so far."""
    client.send_text_message("USER", "x" * 3_000, timeout=PATIENCE_S)


def send_in_pieces(client: HAIPClient) -> None:
    """Write the same piece by piece."""
    with client.text_stream("USER", timeout=PATIENCE_S) as text:
        for _ in range(2):
            text.write("x" * 1_500, timeout=PATIENCE_S)


@pytest.mark.parametrize("say", [send_whole, send_in_pieces])
def test_all_that_is_left_of_a_text_is_asked_for_at_once(say: Callable[[HAIPClient], object]) -> None:
    """A strategy that asks for what is lacking and no more asks for the rest of the text, not for one character after another."""
    least = ThresholdStrategy(message_threshold=0, byte_threshold=0, request_messages=1, request_bytes=1)
    with (
        DevServer(policy=OnRequest(), initial_credits=3, initial_credit_bytes=1_000, agent=False) as server,
        HAIPClient(server.url, strategy=least) as client,
    ):
        session = server.wait_for_session(timeout=PATIENCE_S)
        say(client)
        session.wait_for(lambda s: s.text_count == 1, timeout=PATIENCE_S)
        assert sum(frame.type == "MESSAGE_PART" for frame in session.received) <= 4
        assert len(requests(server)) <= 5


def test_whoever_comes_to_stand_first_is_asked_for(start: Start) -> None:
    """Behind a pause nobody lacks credit; of two who go on, the second does, and the strategy asks for it."""
    server, client = start(first=3, strategy=ThresholdStrategy(message_threshold=0, byte_threshold=0))
    client.pause_channel("USER")
    queued = [client.enqueue_text_message("USER", str(number)) for number in range(2)]
    assert requests(server) == []
    client.resume_channel("USER")
    assert all(message.result(PATIENCE_S).outcome in HAS_LEFT for message in queued)


def told_of(client: HAIPClient, strategy: Strategy) -> str:
    """Give a client this strategy, and return the warning that comes of it."""
    warnings: list[WarningRaised] = []
    client.subscribe(warnings.append, WarningRaised)
    client.set_strategy(strategy)
    until(lambda: warnings)
    return warnings[0].text


@pytest.mark.parametrize("name", ["wake_below", "due_s"])
@pytest.mark.parametrize("nonsense", ["soon", 5j, (1,), ("a", "b"), math.nan, (math.nan, 1)], ids=repr)
def test_a_strategy_that_answers_nonsense_is_switched_off(
    start: Start, caplog: pytest.LogCaptureFixture, name: str, nonsense: object
) -> None:
    """What it returned is named in the log; senders, who would compare with it, hear nothing of that."""
    _, client = start()
    told = told_of(client, type("Odd", (Strategy,), {name: lambda *_: nonsense})())
    assert "Odd raised ConfigError and is switched off" in told
    assert f"{nonsense!r}" in caplog.text
    assert client.send_text_message("USER", "x", timeout=PATIENCE_S).outcome in HAS_LEFT


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("wake_below", (math.inf, -math.inf)),
        ("wake_below", (10**400, 0.0)),
        ("wake_below", [_Whole(5), _Whole(5)]),
        ("due_s", _Seconds(5)),
    ],
)
def test_any_number_that_a_strategy_answers_is_compared_with(start: Start, name: str, answer: object) -> None:
    """However large it is: and neither senders nor the service thread run a comparison of the strategy's own."""
    _, client = start()
    asked, heard = Event(), Event()

    def answers(*_: object) -> object:
        asked.set()
        return answer

    def granted(*_: object) -> Sequence[CreditRequest]:
        heard.set()
        return ()

    client.set_strategy(type("Numerous", (Strategy,), {name: answers, "granted": granted})())
    assert asked.wait(PATIENCE_S)
    assert client.send_text_message("USER", "x", timeout=PATIENCE_S).outcome in HAS_LEFT
    client.request_credits("USER", messages=3)
    assert heard.wait(PATIENCE_S)  # it is not switched off
    assert client.send_text_message("USER", "y", timeout=PATIENCE_S).outcome in HAS_LEFT


@pytest.mark.parametrize(("strategy", "raised"), [(Broken(), "RuntimeError"), (Leaving(), "SystemExit")])
def test_a_strategy_that_raises_is_switched_off(
    start: Start, caplog: pytest.LogCaptureFixture, strategy: Strategy, raised: str
) -> None:
    """What a user's strategy raises stops the asking, is told, and harms nothing else: `sys.exit` ends no thread of ours."""
    _, client = start()
    assert f"{type(strategy).__name__} raised {raised} and is switched off" in told_of(client, strategy)
    assert "my own fault" in caplog.text
    assert client.send_text_message("USER", "x", timeout=PATIENCE_S).outcome in HAS_LEFT
    with pytest.raises(ConfigError, match="strategy must be a Strategy or None, not str"):
        client.set_strategy("threshold")  # type: ignore[arg-type]


def test_metrics_count_requests_grants_and_waits(start: Start) -> None:
    """The page's five figures and its utilisation, per channel and in all; waits by cause; reset begins anew."""
    _, client = start(first=3)
    client.send_text_message("USER", "x")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.send_text_message, "USER", str(number)) for number in range(2)]
        until(lambda: client.connection_state().channels["USER"].waiting == 2)
        client.request_credits("USER", messages=6)
        for future in waiting:
            future.result(PATIENCE_S)
    metrics = client.metrics()
    user = metrics.channels["USER"]
    assert (metrics.credit_requests, metrics.credit_received, metrics.messages_blocked) == (1, 6, 2)
    assert (user.credit_requests, user.credit_received, user.messages_blocked) == (1, 6, 2)
    assert metrics.total_wait_time > 0
    assert metrics.average_wait_time == pytest.approx(metrics.total_wait_time / 2)
    assert metrics.credit_utilization == pytest.approx(100 / 6)
    assert {cause: waits.count for cause, waits in metrics.waits.items()} == {"messages": 1, "behind_others": 1}
    client.reset_metrics()
    assert client.metrics().messages_blocked == 0


def test_explain_says_what_a_person_wants_to_know(start: Start) -> None:
    """Who waits, for what, how much is missing, since when, and what probably helps; or that nobody waits."""
    server, client = start(first=2)
    assert str(client.explain("USER")) == "USER: nobody waits; 2 messages and 1048576 bytes may be sent now."
    with ThreadPoolExecutor(1) as pool, closing(client):  # else who waits would hold up a test that fails
        client.send("USER", "TOOL_CALL", {"call_id": "1", "tool": "t"})
        client.send("USER", "TOOL_CALL", {"call_id": "2", "tool": "t"})
        waiting = pool.submit(client.send, "USER", "TOOL_CALL", {"call_id": "3", "tool": "t"})
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        explanation = client.explain("USER")
        assert (explanation.cause, explanation.missing, explanation.waiting) == ("messages", 1, 1)
        assert explanation.last_grant_age is None
        assert explanation.likely_cause == "peer_grants_nothing"
        assert "USER needs 1 message of credit and has 0 (1 missing); the peer has granted nothing" in str(explanation)
        assert "1 sender waiting, the first for" in str(explanation)
        assert "request_credits asks it" in str(explanation)
        client.pause_channel("USER")
        assert client.explain("USER").cause == "paused_by_us"
        client.resume_channel("USER")
        server.grant("USER", 1)
        waiting.result(PATIENCE_S)
        client.pause_channel("AGENT")
        assert str(client.explain("AGENT")) == "AGENT is paused by us; nobody waits."
        assert client.explain("NEVER-USED").waiting == 0
        with pytest.raises(ConfigError, match="is not a legal name"):
            client.explain("no such name")


def test_explain_names_a_peer_that_renews_at_half(start: Start) -> None:
    """What cannot be split and waits beside half of the window is told as such."""
    _, client = start(first=3, policy=Never())
    client.send("USER", "TOOL_CALL", {"call_id": "1", "tool": "t"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.send_text_message, "USER", "three frames", timeout=0.3)
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        assert "renew only once half of its window is spent" in str(client.explain("USER"))
        with pytest.raises(FlowControlTimeout):
            waiting.result(PATIENCE_S)
