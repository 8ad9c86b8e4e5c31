"""`close` gets back in time whatever others do, and leaves nothing behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from support.certificates import client_context, server_context
from support.closing import Stuck, has_descriptor, timed
from support.lines import ONE_LINE
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    ConnectionClosedError,
    CreditRequest,
    FlowControlConfig,
    HAIPClient,
    HAIPError,
    HAIPTimeout,
    Limits,
    NotSentError,
    ReconnectPolicy,
    Strategy,
)
from haip_sync.runtime.link import Link
from haip_sync.testing import DevServer, FaultProxy

SLACK_S = 0.2
"""What `close` may take beyond its timeout."""


class Scene:
    """A client, a line that breaks as it is told to, and threads that use the client."""

    def __init__(self, stack: ExitStack, *, is_secure: bool) -> None:
        context = server_context() if is_secure else None
        server = stack.enter_context(DevServer(initial_credits=10**6, initial_credit_bytes=10**9, ssl_context=context))
        self.proxy = stack.enter_context(FaultProxy(server.url))
        self.client = HAIPClient(
            self.proxy.url,
            flow_control=FlowControlConfig(max_credits=10**6, max_credit_bytes=10**9),
            reconnect=ReconnectPolicy(initial_delay=0.01),
            ssl=client_context() if is_secure else None,
        )
        self.pool = stack.enter_context(ThreadPoolExecutor(8))
        stack.callback(self.client.close, 1.0)
        self.go_on = threading.Event()
        stack.callback(self.go_on.set)
        self.client.connect(PATIENCE_S)
        self.waiting: list[Future[Any]] = []

    def begin(self, *calls: Callable[[], object]) -> None:
        """Have threads make these calls."""
        self.waiting += [self.pool.submit(call) for call in calls]
        until(lambda: all(future.running() for future in self.waiting))


def _nothing(scene: Scene) -> None:
    """Leave the line idle."""


def _mute(scene: Scene) -> None:
    """Have the peer answer nothing, our close frame neither."""
    scene.proxy.stall("to_client")


def _does_not_read(scene: Scene) -> None:
    """Have the peer read nothing, and senders stuck in their writes."""
    scene.proxy.stall("to_server")

    def send() -> None:
        while True:
            scene.client.send_text_message("USER", "x" * 100_000)

    scene.begin(*[send] * 4)
    until(Stuck(scene.client))


def _stuck_listener(scene: Scene) -> None:
    """Have a listener that does not return."""
    entered = threading.Event()

    def listener(_: object) -> None:
        entered.set()
        scene.go_on.wait(PATIENCE_S)

    scene.client.on("channel_paused", listener)
    scene.client.pause_channel("TOOLS")
    assert entered.wait(PATIENCE_S)


class _Stuck(Strategy):
    def __init__(self, entered: threading.Event, go_on: threading.Event) -> None:
        super().__init__()
        self._entered, self._go_on = entered, go_on

    def connected(self, views: Any, now_s: float) -> list[CreditRequest]:
        self._entered.set()
        self._go_on.wait(PATIENCE_S)
        return []


def _stuck_strategy(scene: Scene) -> None:
    """Have a strategy that does not return, and a mute peer."""
    entered = threading.Event()
    scene.client.set_strategy(_Stuck(entered, scene.go_on))
    assert entered.wait(PATIENCE_S)
    scene.proxy.stall("to_client")


def _waiting_threads(scene: Scene) -> None:
    """Have threads wait for everything there is."""
    client = scene.client
    client.pause_channel("HELD")
    pending = client.enqueue_text_message("HELD", "queued")
    scene.begin(
        client.receive,
        lambda: client.send_text_message("HELD", "waits"),
        lambda: client.wait_for_credits("HELD"),
        client.call_tool("AGENT", "unknown").result,
        client.run().wait,
        pending.result,
        client.texts("AGENT").__enter__().receive,
    )


def _offline(scene: Scene) -> None:
    """Have the line broken, nobody there to connect to again, and threads that wait for it."""
    scene.proxy.refuse()
    scene.proxy.cut()
    until(lambda: scene.client.connection_state().phase == "offline")
    pending = scene.client.enqueue_text_message("USER", "queued")
    scene.begin(lambda: scene.client.send_text_message("USER", "waits"), pending.result, scene.client.receive)


def _hanging_attempt(scene: Scene) -> None:
    """Have the line broken, and the attempt to connect again hang."""
    scene.proxy.stall()
    scene.proxy.cut()
    scene.proxy.wait_for_connection(2)
    scene.begin(lambda: scene.client.send_text_message("USER", "waits"))


SCENES = {
    scene.__name__.strip("_"): scene
    for scene in (_nothing, _mute, _does_not_read, _stuck_listener, _stuck_strategy, _waiting_threads, _offline, _hanging_attempt)
}


@pytest.mark.parametrize("timeout", [0.0, 0.4])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", sorted(SCENES))
def test_close_is_back_in_time(name: str, is_secure: bool, timeout: float) -> None:
    """Within its timeout and 0.2 s it is back, whoever waits is told, and no descriptor is left once nobody is stuck."""
    for _ in range(3):
        with ExitStack() as stack:
            scene = Scene(stack, is_secure=is_secure)
            SCENES[name](scene)
            took = timed(partial(scene.client.close, timeout))
            for future in scene.waiting:
                assert isinstance(future.exception(PATIENCE_S), HAIPError)
            scene.go_on.set()
            until(lambda: not has_descriptor(scene.client))  # noqa: B023 - called here
        if took.seconds <= timeout + SLACK_S + took.lateness_s:
            return
    pytest.fail(f"close({timeout}) took {took}, and two times before that too long as well")


@pytest.mark.parametrize("name", ["mute", "does_not_read", "stuck_listener", "hanging_attempt"])
def test_two_threads_that_close_are_both_back_in_time(name: str) -> None:
    """Each has its own timeout, and keeps it."""
    for _ in range(3):
        with ExitStack() as stack:
            scene = Scene(stack, is_secure=False)
            SCENES[name](scene)
            others = [scene.pool.submit(timed, partial(scene.client.close, timeout)) for timeout in (0.2, 0.6)]
            took = [other.result(PATIENCE_S) for other in others]
            scene.go_on.set()
        if all(one.seconds <= timeout + SLACK_S + one.lateness_s for timeout, one in zip((0.2, 0.6), took, strict=True)):
            return
    pytest.fail(f"close(0.2) and close(0.6) took {took}")


def test_a_listener_may_close() -> None:
    """close() in a listener is back in time, though the thread that it runs on cannot be waited for."""
    for _ in range(3):
        with ExitStack() as stack:
            scene = Scene(stack, is_secure=False)
            took: list[Any] = []
            scene.client.on(
                "channel_paused", lambda _, scene=scene, took=took: took.append(timed(partial(scene.client.close, 0.4)))
            )
            _mute(scene)
            scene.client.pause_channel("TOOLS")
            until(lambda: bool(took))  # noqa: B023 - called here
        if took[0].seconds <= 0.4 + SLACK_S + took[0].lateness_s:
            return
    pytest.fail(f"close(0.4) took {took[0]}")


def test_a_connection_that_ends_by_itself_gives_its_descriptor_back() -> None:
    """Nobody has to call close for that."""
    with DevServer() as server:
        client = HAIPClient(server.url, reconnect=ONE_LINE)
        client.connect(PATIENCE_S)
        server.wait_for_session()
        server.drop()
        until(lambda: not has_descriptor(client))
        with pytest.raises(ConnectionClosedError):
            client.receive(0)
        client.close()


@pytest.fixture
def shut_under_lock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Note for each time that a line is shut whether the connection's lock was held."""
    held: list[bool] = []
    shut = Link.shut

    def noting(link: Link) -> None:
        held.append(link._rooms.parking.is_held_here())
        shut(link)

    monkeypatch.setattr(Link, "shut", noting)
    return held


def test_a_line_that_is_overrun_is_shut_without_the_lock(shut_under_lock: list[bool]) -> None:
    """Giving up a peer that reads no answers does no I/O under the lock, which every sender needs."""
    over = threading.Event()

    def script(speaker: Peer) -> None:
        speaker.greets()
        speaker.hears("MESSAGE_END")
        while not over.is_set():
            speaker.says("PING", {"nonce": "n" * 10_000})

    with peer(script) as url:
        client = HAIPClient(url, reconnect=ONE_LINE, limits=Limits(max_unwritten_answers_bytes=200_000))
        client.connect(PATIENCE_S)
        client.send_text_message("USER", "begin", timeout=PATIENCE_S)
        until(lambda: not client.connection_state().connected)
        over.set()
        client.close()
    assert shut_under_lock
    assert not any(shut_under_lock)


def test_control_frames_keep_their_timeout_where_the_peer_does_not_read() -> None:
    """ping() and send() of a control type are back in time; what they posted leaves once the peer reads."""
    with ExitStack() as stack:
        scene = Scene(stack, is_secure=False)
        _does_not_read(scene)
        with pytest.raises(HAIPTimeout, match="waits behind what the peer does not read"):
            scene.client.ping(0.1)
        receipt = scene.client.send("SYSTEM", "PING", {"nonce": "1"}, timeout=0.1)
        assert receipt.outcome == "sent"
        assert scene.client.send("SYSTEM", "PING", {"nonce": "2"}, timeout=0).seq == receipt.seq + 1
        connection = scene.client._connection
        assert connection.rooms.outgoing.pending_bytes > 0
        assert not connection.writer.is_writing_here()
        scene.client.close(0)


@pytest.mark.parametrize("how", ["block", "exception", "close"])
def test_what_is_left_over_is_counted_in_the_log(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody need keep a handle: messages that are handed back when a client closes are counted in one line."""
    with DevServer(policy="never", initial_credits=3) as server:
        client = HAIPClient(server.url, name="sender")
        client.connect(PATIENCE_S)
        for channel in ("USER", "USER", "USER", "AGENT", "AGENT"):
            client.enqueue_text_message(channel, "hello")
        if how == "close":
            client.close(PATIENCE_S)
        else:
            client.__exit__(ZeroDivisionError if how == "exception" else None, None, None)
    said = [record.getMessage() for record in caplog.records if "queued" in record.getMessage()]
    assert said == ["sender closed with 3 queued messages (1 on AGENT, 2 on USER) not sent; their handles say so"]


def test_a_client_that_has_sent_everything_closes_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing was left over the log says nothing of it."""
    with DevServer() as server, HAIPClient(server.url) as client:
        client.enqueue_text_message("USER", "hello")
    assert not [record for record in caplog.records if "queued" in record.getMessage()]


def test_of_what_is_left_over_an_error_is_made_when_somebody_asks() -> None:
    """Closing settles each queued message without making its error: of tens of thousands few are looked at."""

    def errors() -> int:
        return sum(isinstance(each, NotSentError) for each in gc.get_objects())

    with DevServer() as server:
        client = HAIPClient(server.url)
        client.connect(PATIENCE_S)
        client.pause_channel("USER")
        queued = [client.enqueue_text_message("USER", "x") for _ in range(100)]
        before = errors()
        client.close(0)
        assert all(pending.done() for pending in queued)
        assert errors() == before
        told: list[NotSentError] = []
        for _ in range(2):
            with pytest.raises(
                NotSentError, match=f"{queued[7].message_id} on USER was left over when the client closed"
            ) as caught:
                queued[7].result(0)
            told.append(caught.value)
        assert told[0] is told[1]
        assert told[0].reason == "closed"
        assert repr(queued[8]).endswith(": NotSentError>")
