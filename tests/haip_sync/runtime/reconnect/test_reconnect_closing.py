"""How a client gets out while it has no line: closed, its program ended, forked or interrupted."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest
from support.closing import timed
from support.lines import AT_ONCE, ONE_LINE
from support.live import listen
from support.outages import SLOW, broken, phase
from support.peers_in_turn import cut, greets_and_cuts, greets_and_stays, peers_in_turn
from support.programs import Program
from support.scripted_peer import Peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import ConnectionClosedError, Disconnected, HAIPClient, ReconnectPolicy, SendUnconfirmed
from haip_sync.runtime.crossing import Crossing
from haip_sync.runtime.link import LineEnd
from haip_sync.testing import DevServer, FaultProxy


def close_in_time(client: HAIPClient) -> None:
    """Close with a second's time, and check that it was enough, and that nothing is left."""
    took = timed(lambda: client.close(1.0))
    assert took.seconds <= 1.0 + 0.2 + took.lateness_s + 3.0, "as long as what it had to cut short"
    assert phase(client) == "closed"
    name = client.name
    until(lambda: not any(thread.name.startswith(name) for thread in threading.enumerate()))


OFFLINE = """
import sys, threading
from haip_sync import HAIPClient, ReconnectPolicy
client = HAIPClient(sys.argv[1], reconnect=ReconnectPolicy(initial_delay=60.0, max_delay=60.0))
is_offline = threading.Event()
client.on("reconnecting", lambda _: is_offline.set())
client.connect()
print("connected", flush=True)
is_offline.wait()
print("offline", flush=True)
"""

Running = Callable[[str], AbstractContextManager[Program]]
"""Runs a program whose client has no line."""

TRYING = """
import sys, threading
from haip_sync import HAIPClient, ReconnectPolicy
client = HAIPClient(sys.argv[1], reconnect=ReconnectPolicy(initial_delay=0.01, max_delay=0.01))
client.connect(60.0)
print("connected", flush=True)
tick = threading.Event()
while client.connection_state().phase != "offline" or client._connection.link.opening is None:
    tick.wait(0.01)
print("offline", flush=True)
"""


@contextmanager
def trying_program(source: str) -> Iterator[Program]:
    """Yield a program whose client has an attempt to connect under way that nobody answers, for a minute."""
    with DevServer(agent=False) as server, FaultProxy(server.url) as proxy, Program(TRYING + source, proxy.url) as program:
        assert program.says() == "connected"
        proxy.cut(reset=True)
        proxy.stall()
        assert program.says() == "offline"
        yield program


@contextmanager
def offline_program(source: str) -> Iterator[Program]:
    """Yield a program whose client is offline by now, for a minute."""
    with DevServer(agent=False) as server, FaultProxy(server.url) as proxy, Program(OFFLINE + source, proxy.url) as program:
        assert program.says() == "connected"
        proxy.refuse()
        proxy.cut(reset=True)
        assert program.says() == "offline"
        yield program


def test_close_while_waiting_for_the_next_attempt() -> None:
    """A wait of a minute ends at once; what was queued is handed back, who waits is told."""
    with broken(name="sleeper") as client, ThreadPoolExecutor(1) as pool:
        handle = client.enqueue_text_message("AUDIO_IN", "left over")
        sending = pool.submit(client.send_text_message, "USER", "waits", timeout=PATIENCE_S)
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        close_in_time(client)
        with pytest.raises(ConnectionClosedError, match="Nothing was sent"):
            sending.result(PATIENCE_S)
        assert handle.done()


def test_close_while_offline_leaves_open_what_became_of_the_last_sends() -> None:
    """What was sent before the line broke and was not acknowledged is indeterminate once no other line will say."""
    with DevServer(agent=False) as server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url, reconnect=SLOW) as client:
        seen = listen(client, SendUnconfirmed, Disconnected)
        proxy.stall()
        receipt = client.send_text_message("USER", "perhaps", timeout=PATIENCE_S)
        proxy.cut(reset=True)
        until(lambda: phase(client) == "offline")
        assert receipt.outcome == "sent"
        client.close(1.0)
        assert receipt.outcome == "indeterminate"
        until(lambda: len(seen) == 3)
        assert isinstance(seen[1], SendUnconfirmed)
        assert (seen[1].message_id, seen[1].seq, seen[1].channel) == (receipt.message_id, receipt.seq, "USER")


@pytest.mark.parametrize("policy", [ONE_LINE, ReconnectPolicy(initial_delay=0.01, max_delay=0.01, max_attempts=1)])
def test_what_may_not_have_arrived_is_reported_at_the_end_too(policy: ReconnectPolicy) -> None:
    """Where no other line comes, each send that was not acknowledged is told of once, before the end is."""
    with DevServer(agent=False) as server, FaultProxy(server.url) as proxy, HAIPClient(proxy.url, reconnect=policy) as client:
        seen = listen(client, SendUnconfirmed, Disconnected)
        proxy.stall()
        receipts = [client.send_text_message("USER", text, timeout=PATIENCE_S) for text in ("one", "two")]
        proxy.refuse()
        proxy.cut(reset=True)
        until(lambda: seen and isinstance(seen[-1], Disconnected) and not seen[-1].will_reconnect)
        reports = [event.message_id for event in seen if isinstance(event, SendUnconfirmed)]
        assert reports == [receipt.message_id for receipt in receipts]
        assert [receipt.outcome for receipt in receipts] == ["indeterminate"] * 2


def test_a_close_in_good_order_reports_no_send() -> None:
    """A peer that says goodbye has read what came before: nothing is called unconfirmed."""
    with DevServer(agent=False) as server:
        client = HAIPClient(server.url)
        seen = listen(client, SendUnconfirmed)
        with client:
            receipt = client.send_text_message("USER", "x", timeout=PATIENCE_S)
        assert not seen
        assert receipt.outcome in ("sent", "acknowledged")


def test_close_while_a_loss_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is closed just as its line is lost does not wait for what this line will never send."""
    cut_now, closing = threading.Event(), threading.Event()
    break_off = Crossing.break_off

    def late(crossing: Crossing, how: LineEnd) -> None:
        closing.set()
        until(lambda: crossing.is_closing)
        break_off(crossing, how)

    def first(talk: Peer) -> None:
        talk.greets()
        talk.hears("HAI")
        assert cut_now.wait(PATIENCE_S)
        cut(talk)

    monkeypatch.setattr(Crossing, "break_off", late)
    with peers_in_turn(first) as url, ThreadPoolExecutor(1) as pool:
        client = HAIPClient(url, reconnect=AT_ONCE)
        client.connect(PATIENCE_S)
        with client._connection.writer._pen:
            queueing = pool.submit(client.enqueue_text_message, "USER", "left over")
            until(lambda: not client._connection.rooms.outgoing.is_empty)
            cut_now.set()
            assert closing.wait(PATIENCE_S)
            ended = pool.submit(client.close, 10 * PATIENCE_S)
            until(lambda: client._connection.is_closing)
        ended.result(PATIENCE_S)
        assert queueing.result(PATIENCE_S).done()


def test_close_while_an_attempt_opens() -> None:
    """An attempt whose server accepts and says nothing is ended by `close`."""
    with (
        DevServer(agent=False) as server,
        FaultProxy(server.url) as proxy,
        HAIPClient(proxy.url, reconnect=AT_ONCE, name="opener") as client,
    ):
        proxy.stall()
        proxy.cut(reset=True)
        until(lambda: phase(client) == "offline" and isinstance(client._connection.link.opening, socket.socket))
        close_in_time(client)


def test_close_during_the_next_handshake() -> None:
    """A peer that opens the WebSocket and sends no HAI holds up no `close`."""
    reached = threading.Event()

    def mute(talk: Peer) -> None:
        talk.hears("HAI")
        reached.set()
        talk.stays()

    with peers_in_turn(greets_and_cuts, mute) as url, HAIPClient(url, reconnect=AT_ONCE, name="shaker") as client:
        assert reached.wait(PATIENCE_S)
        close_in_time(client)


def test_a_loss_leaves_no_descriptor_and_no_thread_behind() -> None:
    """After ten lines there are as many threads as after one."""
    scripts = [greets_and_cuts] * 10
    with peers_in_turn(*scripts, greets_and_stays) as url, HAIPClient(url, reconnect=AT_ONCE, name="ten") as client:
        until(lambda: client.connection_state().epoch == 11)
        mine = [thread.name for thread in threading.enumerate() if thread.name.startswith("ten-")]
        assert sorted(mine) == ["ten-dispatch", "ten-reader", "ten-service"]


def test_a_program_that_ends_offline_ends_at_once() -> None:
    """A client that waits a minute for its next attempt holds up the end of no program that has nothing queued."""
    with offline_program("") as program:
        assert program.ends(within_s=30.0).code == 0


def test_a_program_that_ends_while_it_connects_again_ends_at_once() -> None:
    """An attempt that nobody answers holds up the end of no program that has nothing queued."""
    with trying_program("") as program:
        assert program.ends(within_s=30.0).code == 0


@pytest.mark.parametrize("running", [offline_program, trying_program])
def test_a_child_that_is_forked_between_two_lines_may_not_use_the_client(running: Running) -> None:
    """`ForkedError` in the child, whose end is its own; the parent's client goes on trying."""
    source = """
import os
from haip_sync import ForkedError
pid = os.fork()
if pid == 0:
    try:
        client.send_text_message("USER", "x")
    except ForkedError:
        os._exit(7)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), client.connection_state().phase, flush=True)
client.close(1.0)
"""
    with running(source) as program:
        assert program.says() == "7 offline"
        assert program.ends(within_s=30.0).code == 0


@pytest.mark.parametrize("running", [offline_program, trying_program])
def test_ctrl_c_is_delivered_to_who_waits_for_a_line(running: Running) -> None:
    """A sender that waits offline for ever is ended by Ctrl-C, and the client closes in order; nothing was sent."""
    source = """
def tell():
    tick = threading.Event()
    while not client.connection_state().channels["USER"].waiting:
        tick.wait(0.01)
    print("waiting", flush=True)

threading.Thread(target=tell, daemon=True).start()
try:
    client.send_text_message("USER", "x")
except KeyboardInterrupt as interrupt:
    print(interrupt.__notes__[0], flush=True)
print(client.connection_state().channels["USER"].backlog, flush=True)
client.close(1.0)
print(client.connection_state().phase, flush=True)
"""
    with running(source) as program:
        assert program.says() == "waiting"
        program.process.send_signal(signal.SIGINT)
        assert program.says().endswith("was interrupted: nothing was sent.")
        assert (program.says(), program.says()) == ("0", "closed")
        assert program.ends(within_s=30.0).code == 0
