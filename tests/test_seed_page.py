"""The page on flow control that the project began with, told again: each of its listings, in its order, on a real connection.

Where the page names settings they are the page's; where it gives none the defaults stand. "The page" is HAIP's own, written for
its TypeScript SDK.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from seed_page.listeners import ChannelManager, FlowControlMonitor
from seed_page.stage import ADVANCED, CHANNELS, MIB, PATIENCE_S, RUN_ID, TOKEN, Stage, amounts, bytes_of, stage

from haip_sync import (
    AdaptiveStrategy,
    AggressiveStrategy,
    ChannelView,
    ConfigError,
    ConservativeStrategy,
    CreditGranted,
    CreditRequest,
    CreditRequested,
    FlowControlConfig,
    FlowControlError,
    NotSentError,
    ThresholdStrategy,
)
from haip_sync.testing import MockFlowControl

# ---- Flow Control Configuration: Basic Configuration ------------------------------------------------------------------------


def test_basic_configuration() -> None:
    """The page's settings are the defaults; the first two are the peer's window, the other two cap ours, and nothing is lost."""
    config = FlowControlConfig(initial_credits=10, initial_credit_bytes=MIB, max_credits=100, max_credit_bytes=10 * MIB)
    assert config == FlowControlConfig()
    with stage(server={"token": TOKEN}, token=TOKEN, transport="websocket", flow_control=config) as s:
        for channel in CHANNELS:
            window = s.session.books(channel).to_client
            assert (window.granted, window.granted_bytes) == (10, MIB)
        s.server.grant("USER", 200, 20 * MIB)
        s.fill("USER", 3)
        assert amounts([s.settled()]) == [(100, 101, 10 * MIB, 11 * MIB - s.channel().sent_bytes)]
        assert amounts([s.settled("AGENT")]) == [(10, 0, MIB, 0)]


# ---- Advanced Configuration -------------------------------------------------------------------------------------------------


def test_advanced_configuration_reaches_the_peer() -> None:
    """Our HAI carries the smallest values, FLOW_UPDATEs bring each channel to its own, and one not named has the defaults."""
    with stage(flow_control=ADVANCED) as s:
        [hai] = s.control(1, "HAI")
        smallest = {"initial_credit_messages": 5, "initial_credit_bytes": MIB}
        assert hai["capabilities"]["flow_control"] == smallest
        assert sorted(s.control(4, "FLOW_UPDATE"), key=lambda update: str(update["channel"])) == [
            {"channel": "AGENT", "add_messages": 5, "add_bytes": 4 * MIB},
            {"channel": "AUDIO_IN", "add_messages": 5},
            {"channel": "AUDIO_OUT", "add_messages": 5},
            {"channel": "USER", "add_messages": 15, "add_bytes": MIB},
        ]
        windows = {"USER": (20, 2 * MIB), "AGENT": (10, 5 * MIB), "SYSTEM": (5, MIB), "AUDIO_IN": (10, MIB)}
        for channel, window in windows.items():
            ours, theirs = s.channel(channel), s.session.books(channel).to_client
            assert window == (theirs.balance, theirs.balance_bytes) == (ours.receive_window, ours.receive_window_bytes)


# ---- Flow Control State: Checking Current State -----------------------------------------------------------------------------


def test_checking_current_state() -> None:
    """One snapshot has both balances of every channel, is the server's books to the byte, and never changes afterwards."""
    with stage() as s:
        before = s.client.connection_state()
        for count, channel in enumerate(CHANNELS, start=1):
            s.fill(channel, count)
        for channel in CHANNELS:
            s.settled(channel)
        state = s.client.connection_state()
        assert [state.credits[channel] for channel in CHANNELS] == [7, 4, 1]
        for channel in CHANNELS:
            theirs = s.session.books(channel).from_client
            assert (state.credits[channel], state.byte_credits[channel]) == (theirs.balance, theirs.balance_bytes)
            assert (before.credits[channel], before.byte_credits[channel]) == (10, MIB)
        assert state.credits.get("NEVER-USED") is None


# ---- Monitoring Flow Control ------------------------------------------------------------------------------------------------


def test_monitoring_flow_control() -> None:
    """Every grant is heard as the frame and as a typed event without holes, and a look from another thread sees it booked."""
    with stage() as s:
        monitor = FlowControlMonitor(s.client)
        try:
            for channel, messages, byte_credits in (("USER", 5, 0), ("AGENT", 0, 2048), ("SYSTEM", 3, 100)):
                s.server.grant(channel, messages, byte_credits)
            assert [monitor.updates.get(timeout=PATIENCE_S).payload for _ in CHANNELS] == [
                {"channel": "USER", "add_messages": 5},
                {"channel": "AGENT", "add_bytes": 2048},
                {"channel": "SYSTEM", "add_messages": 3, "add_bytes": 100},
            ]
            grants = [monitor.grants.get(timeout=PATIENCE_S) for _ in CHANNELS]
            assert [(grant.channel, grant.add_messages, grant.add_bytes) for grant in grants] == [
                ("USER", 5, 0),
                ("AGENT", 0, 2048),
                ("SYSTEM", 3, 100),
            ]
            assert [(grant.credits, grant.byte_credits) for grant in grants] == [(15, MIB), (10, MIB + 2048), (13, MIB + 100)]
            state = monitor.look()
        finally:
            monitor.close()
        for channel in CHANNELS:
            theirs = s.session.books(channel).from_client
            assert (state.credits[channel], state.byte_credits[channel]) == (theirs.balance, theirs.balance_bytes)


# ---- Sending Flow Updates: Requesting More Credits --------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["send_flow_update", "request_credits"])
def test_requesting_more_credits(spelling: str) -> None:
    """Messages, bytes or both are asked for, a zero left out; what the server grants is ours, and it was granted as much."""
    with stage(server={"policy": "on-request"}) as s:
        if spelling == "send_flow_update":
            s.client.send_flow_update("USER", 10)
            s.client.send_flow_update("USER", 0, MIB)
            s.client.send_flow_update("USER", 10, MIB)
        else:
            s.client.request_credits("USER", messages=10)
            s.client.request_credits("USER", byte_credits=MIB)
            s.client.request_credits("USER", messages=10, byte_credits=MIB)
        with pytest.raises(ConfigError, match="at least 1 message or 1 byte"):
            s.client.send_flow_update("USER")
        assert s.control(3, "FLOW_UPDATE") == [
            {"channel": "USER", "add_messages": 10},
            {"channel": "USER", "add_bytes": MIB},
            {"channel": "USER", "add_messages": 10, "add_bytes": MIB},
        ]
        state, theirs = s.settled(), s.session.books("USER").to_client
        assert (state.credits, state.byte_credits) == (30, 3 * MIB)
        assert (state.receive_window, state.receive_window_bytes) == (theirs.balance, theirs.balance_bytes) == (30, 3 * MIB)


# ---- Automatic Credit Management --------------------------------------------------------------------------------------------


def test_automatic_credit_management_of_messages() -> None:
    """Below five messages ten are asked for, before anybody lacks one."""
    with stage(server={"policy": "on-request"}, strategy=ThresholdStrategy()) as s:
        s.fill("USER", 1)  # leaves seven
        s.fill("USER", 1)  # leaves four
        assert s.control(1, "FLOW_UPDATE") == [{"channel": "USER", "add_messages": 10}]
        assert s.settled().credits == 14
        assert s.client.metrics().messages_blocked == 0


# ---- Channel Control: Pausing and Resuming Channels -------------------------------------------------------------------------


def test_pausing_and_resuming_channels() -> None:
    """A pause holds both sides on its channel at once and nothing else; a resume lets both go on, nothing lost."""
    with stage() as s:
        s.client.pause_channel("USER")
        assert s.control(1, "PAUSE_CHANNEL", "RESUME_CHANNEL") == [{"channel": "USER"}]
        assert s.session.books("USER").paused_by_client
        with pytest.raises(FlowControlError, match=r"FLOW_CONTROL: .* USER is paused by us"):
            s.client.send_text_message("USER", "not now", timeout=0)
        s.fill("AGENT", 1)
        s.server.send_text("USER", "from the server")
        assert s.session.pending_texts("USER") == 1
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(s.client.send_text_message, "USER", "held")
            s.until(lambda: s.channel().waiting == 1)
            assert (s.channel().waiting_for, s.channel().sent_messages) == ("paused_by_us", 0)
            s.client.resume_channel("USER")
            held.result(PATIENCE_S)
        assert [s.client.receive(PATIENCE_S).type for _ in range(3)] == ["MESSAGE_START", "MESSAGE_PART", "MESSAGE_END"]
        assert s.control(2, "PAUSE_CHANNEL", "RESUME_CHANNEL") == [{"channel": "USER"}] * 2
        assert (s.texts(1), s.texts(1, "AGENT")) == (["held"], ["Message 0"])
        assert s.settled().credits == 7


# ---- Channel State Management -----------------------------------------------------------------------------------------------


def test_channel_state_management() -> None:
    """While the peer holds a channel, sends wait and texts queue, in one line; they leave in order at the resume, none before."""
    with stage() as s:
        manager = ChannelManager(s.client)
        s.server.pause("USER")
        assert manager.heard.get(timeout=PATIENCE_S) == ("PAUSE_CHANNEL", "USER")
        assert [manager.is_channel_paused(channel) for channel in CHANNELS] == [True, False, False]
        with ThreadPoolExecutor(1) as pool:
            queued = s.client.enqueue_text_message("USER", "Hello", "user", RUN_ID)
            waiting = pool.submit(s.client.send_text_message, "USER", "World", "user", RUN_ID)
            s.until(lambda: s.channel().waiting == 1)
            assert (s.client.queue_length("USER"), s.channel().backlog, s.channel().sent_messages) == (1, 2, 0)
            s.fill("AGENT", 1)
            assert s.texts(1, "AGENT") == ["Message 0"]
            assert s.session.texts("USER") == ()
            s.server.resume("USER")
            assert manager.heard.get(timeout=PATIENCE_S) == ("RESUME_CHANNEL", "USER")
            assert not manager.is_channel_paused("USER")
            assert (queued.result(PATIENCE_S).outcome, waiting.result(PATIENCE_S).outcome) == ("sent", "sent")
        assert s.texts(2) == ["Hello", "World"]
        assert {frame.run_id for frame in s.session.received if frame.channel == "USER"} == {RUN_ID}
        assert s.settled().credits == 4


# ---- Message Queuing: Credit-Aware Message Queue ----------------------------------------------------------------------------


def test_credit_aware_queue_without_credit() -> None:
    """Queued messages leave one by one as credit comes; what is cleared is told to whoever queued it, the rest all arrives."""
    with stage(server={"initial_credits": 0}) as s:
        first, second = (s.client.enqueue_text_message("USER", f"Message {number}", "user", RUN_ID) for number in (1, 2))
        assert (s.client.queue_length("USER"), s.client.queue_length("AGENT")) == (2, 0)
        s.server.grant("USER", 3)
        first.result(PATIENCE_S)
        assert (s.client.queue_length("USER"), second.done()) == (1, False)
        assert (s.client.clear_queue("USER"), s.client.queue_length("USER")) == (1, 0)
        with pytest.raises(NotSentError, match="Nothing of it was sent") as caught:
            second.result(0)
        assert caught.value.reason == "cleared"
        third = s.client.enqueue_text_message("USER", "Message 3", "user", RUN_ID)
        s.server.grant("USER", 3)
        third.result(PATIENCE_S)
        assert s.texts(2) == ["Message 1", "Message 3"]
        assert s.settled().credits == 0


# ---- Flow Control Strategies ------------------------------------------------------------------------------------------------


def test_conservative_strategy() -> None:
    """A second after a grant, with half of it or less left, as much is asked for; where more is left, nothing."""
    with stage(server={"policy": "on-request"}, strategy=ConservativeStrategy()) as s:
        s.server.grant("AGENT", 10)
        s.server.grant("USER", 10)
        s.until(lambda: s.channel().granted == 20)
        s.fill("USER", 5)
        assert s.control(1, "FLOW_UPDATE") == [{"channel": "USER", "add_messages": 10}]
        assert s.settled().credits == 15
        s.until(lambda: len(s.events(CreditGranted)) == 3)
        _, grant, answer = s.events(CreditGranted)
        [request] = s.events(CreditRequested)
        assert grant.time_s + 1 <= request.time_s <= answer.time_s


def test_aggressive_strategy() -> None:
    """100 messages and 10 MiB are asked for on each channel at connect; what the caps do not let in is set aside, not lost."""
    with stage(server={"policy": "on-request"}, strategy=AggressiveStrategy(channels=CHANNELS)) as s:
        asked = {update["channel"]: update for update in s.control(3, "FLOW_UPDATE")}
        most = {"add_messages": 100, "add_bytes": 10 * MIB}
        assert asked == {channel: {"channel": channel, **most} for channel in CHANNELS}
        assert amounts([s.settled(channel) for channel in CHANNELS]) == [(100, 10, 10 * MIB, MIB)] * 3
        s.fill("USER", 36)  # 108 messages
        assert s.settled().credits == 2


def test_adaptive_strategy() -> None:
    """A channel that sends is asked for by its rate, for fifty at the most and before it runs dry; no other is asked for."""
    begun = threading.Event()

    class Announced(AdaptiveStrategy):
        def connected(self, views: Mapping[str, ChannelView], now_s: float) -> Sequence[CreditRequest]:
            requests = super().connected(views, now_s)
            begun.set()  # it measures from here on: what goes out before is no part of the rate
            return requests

    with stage(server={"policy": "on-request"}, strategy=Announced(period_s=0.05)) as s:
        assert begun.wait(PATIENCE_S)
        s.fill("USER", 2)
        [update] = s.control(1, "FLOW_UPDATE")
        assert update["channel"] == "USER"
        assert 1 <= update["add_messages"] <= 50
        s.until(lambda: s.channel().granted == 10 + update["add_messages"])
        s.client.send_text_message("USER", "the third")
        assert s.settled().credits == 1 + update["add_messages"]
        assert s.client.metrics().messages_blocked == 0


# ---- Flow Control Testing: Mock Flow Control Testing ------------------------------------------------------------------------


def test_mock_flow_control() -> None:
    """The page's sequence: one message of 100 bytes goes, ten more take what is left, and then nothing goes until more comes."""
    mock = MockFlowControl()
    assert mock.consume_credits("USER", 1, 100) is True
    assert [mock.consume_credits("USER", 1) for _ in range(10)] == [True] * 9 + [False]
    assert mock.consume_credits("USER", 1) is False
    assert mock.get_credits("USER") == (0, MIB - 100)
    assert [mock.get_credits(channel) for channel in ("AGENT", "SYSTEM")] == [(10, MIB)] * 2
    mock.add_credits("USER", 5, 100)
    assert mock.get_credits("USER") == (5, MIB)
    assert mock.consume_credits("USER", 1, MIB + 1) is False
    assert mock.get_credits("USER") == (5, MIB)


# ---- Flow Control Integration Testing: more of it is in seed_page/test_credit_limits.py -------------------------------------


def test_integration_respects_credit_limits() -> None:
    """Two texts take the credit of their six envelopes to the byte; the third fails with FLOW_CONTROL, nothing of it sent."""
    first_two = bytes_of("Message 1", "Message 2")
    server = {"token": "test-token", "initial_credits": 6, "initial_credit_bytes": first_two}
    with stage(server=server, token="test-token", transport="websocket") as s:
        s.client.send_text_message("USER", "Message 1", "user", "run-1")
        s.client.send_text_message("USER", "Message 2", "user", "run-1")
        with pytest.raises(FlowControlError, match="FLOW_CONTROL"):
            s.client.send_text_message("USER", "Message 3", "user", "run-1", timeout=0)
        assert amounts([s.settled()]) == [(0, 0, 0, 0)]
        assert s.texts(2) == ["Message 1", "Message 2"]


# ---- Performance Monitoring: Flow Control Metrics ---------------------------------------------------------------------------


def five_counters(s: Stage) -> tuple[float, ...]:
    """Return the page's five figures."""
    metrics = s.client.metrics()
    return (
        metrics.credit_requests,
        metrics.credit_received,
        metrics.messages_blocked,
        metrics.average_wait_time,
        metrics.total_wait_time,
    )


def test_flow_control_metrics() -> None:
    """The five figures count by themselves and agree with the server; utilisation is requests/received*100; reset clears them."""
    with stage(server={"policy": "on-request", "initial_credits": 3}) as s:
        assert five_counters(s) == (0, 0, 0, 0.0, 0.0)
        assert s.client.metrics().credit_utilization == 0
        s.fill("USER", 1)
        began_s = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            blocked = [pool.submit(s.client.send_text_message, "USER", str(n)) for n in range(2)]
            s.until(lambda: s.channel().waiting == 2)
            waited_s = s.channel().oldest_wait
            s.client.send_flow_update("USER", 5)
            s.client.send_flow_update("USER", 3)
            for future in blocked:
                future.result(PATIENCE_S)
        elapsed_s = time.monotonic() - began_s
        s.control(2, "FLOW_UPDATE")
        s.settled()
        metrics, granted = s.client.metrics(), s.session.books("USER").from_client.granted
        requests, received, messages_blocked, average_s, total_s = five_counters(s)
        assert (requests, received, messages_blocked) == (2, 8, 2) == (len(s.control(2, "FLOW_UPDATE")), granted - 3, 2)
        assert waited_s <= total_s <= 2 * elapsed_s
        assert average_s == pytest.approx(total_s / 2)
        assert metrics.credit_utilization == pytest.approx(2 / 8 * 100)
        s.client.reset_metrics()
        assert five_counters(s) == (0, 0, 0, 0.0, 0.0)
        assert (metrics.credit_requests, metrics.channels["USER"].credit_received) == (2, 8)
