"""Programs that end with a client open: they end, in time, without noise, and say what was lost."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from support.programs import Ended, Program, ended_sessions, run_program
from support.scripted_peer import Peer, peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import HAIPClient
from haip_sync.runtime.leaving import EXIT_S
from haip_sync.testing import DevServer, FaultProxy, Never

TIMES = int(os.environ.get("HAIP_SYNC_EXITS", "3"))
"""How often each program runs: what daemon threads do at the end of the interpreter differs from time to time."""

HEAD = """
import sys, threading, time
from haip_sync import FlowControlConfig, HAIPClient
url = sys.argv[1]
never = threading.Event()

def on_a_daemon(work):
    began = threading.Event()
    def run():
        began.set()
        work()
    threading.Thread(target=run, daemon=True).start()
    began.wait()
"""


def _ends_quietly(source: str, url: str, *, code: int = 0) -> Iterator[Ended]:
    """Run a program several times; each ends with this code, and has nothing to say."""
    for _ in range(TIMES):
        ended = run_program(HEAD + source, url)
        assert (ended.code, ended.err) == (code, "")
        yield ended


QUIET = {
    "idle": "client = HAIPClient(url); client.connect()",
    "listeners": """
client = HAIPClient(url)
client.on("message", lambda event: print(event, flush=True))
client.connect()
for number in range(50):
    client.send_text_message("USER", str(number), timeout=20)
""",
    "threads that wait": """
client = HAIPClient(url, flow_control=FlowControlConfig(queue_max_messages=1))
client.connect()
call = client.call_tool("AGENT", "never")
client.pause_channel("HELD")
for work in (
    client.receive,
    lambda: list(client.messages()),
    call.result,
    lambda: client.send_text_message("HELD", "waits"),
    lambda: client.wait_for_credits("HELD"),
    client.texts("AGENT").__enter__().receive,
    client.run().wait,
):
    on_a_daemon(work)
""",
    "sys.exit": "client = HAIPClient(url); client.connect(); on_a_daemon(client.receive); sys.exit(0)",
    "closed late": """
import atexit
client = HAIPClient(url)
client.connect()
atexit.register(client.close)
""",
    "a stuck listener": """
client = HAIPClient(url)
client.on("handshake", lambda event: never.wait())
client.connect()
""",
    "two clients": """
clients = [HAIPClient(url), HAIPClient(url)]
for client in clients:
    client.connect()
""",
}


@pytest.mark.parametrize("name", sorted(QUIET))
def test_a_program_that_forgets_to_close_ends_without_a_word(name: str) -> None:
    """With nothing lost there is nothing to say, whatever daemon threads wait for, and the peer gets a close frame."""
    with DevServer() as server:
        for _ in _ends_quietly(QUIET[name], server.url):
            pass
        sessions = ended_sessions(server, TIMES * (2 if name == "two clients" else 1))
        assert {session.close_code for session in sessions} == {1000}


def test_a_close_behind_ours_returns_at_once() -> None:
    """A client that an exit handler closes after haip_sync has left it is closed, and holds nothing up."""
    source = (
        """
import atexit, sys, time
def last():
    began = time.monotonic()
    client.close(20)
    print(time.monotonic() - began < 15)
atexit.register(last)  # before haip_sync registers its own: called after it
"""
        + HEAD
        + "client = HAIPClient(url); client.connect()"
    )
    with DevServer() as server:
        ended = run_program(source, server.url)
        assert (ended.code, ended.out, ended.err) == (0, "True\n", "")


def test_what_is_queued_leaves_before_the_program_does() -> None:
    """Messages that were queued just before the end are sent, those too for which credit is still to come."""
    source = """
client = HAIPClient(url)
client.connect()
for number in range(200):
    client.enqueue_text_message("USER", str(number))
"""
    with DevServer() as server:
        for number, _ in enumerate(_ends_quietly(source, server.url), 1):
            assert [text.text for text in ended_sessions(server, number)[-1].texts()] == [str(n) for n in range(200)]


def test_what_stays_unsent_is_told_in_one_line_and_to_callbacks() -> None:
    """Queued messages that get no credit within two seconds are counted on stderr, and their callbacks run."""
    source = """
client = HAIPClient(url, name="the pump")
client.connect()
handles = [client.enqueue_text_message(channel, "x") for channel in ("USER", "USER", "USER", "TOOLS")]
for handle in handles:
    handle.add_done_callback(lambda handle: print(repr(handle).split()[-1], flush=True))
"""
    with DevServer(initial_credits=4, policy=Never()) as server:
        ended = run_program(HEAD + source, server.url)
        assert ended.code == 0
        assert ended.err == (
            "the pump was still open when the program ended; not sent: 2 queued messages (2 on USER). Close clients before that\n"
        )
        assert ended.out.splitlines() == ["SendReceipt>"] * 2 + ["NotSentError>"] * 2
        assert ended_sessions(server, 1)[0].text_count == 2


def test_a_peer_that_does_not_read_holds_nobody_up() -> None:
    """With the peer's buffers full the program ends all the same, and says what nobody knows."""
    source = """
client = HAIPClient(url, name="the pump", flow_control=FlowControlConfig(max_credits=10**9, max_credit_bytes=10**12))
client.connect()
sys.stdin.readline()
for number in range(200):
    client.enqueue_text_message("USER", "x" * 100_000)
"""
    with DevServer(initial_credits=10**6, initial_credit_bytes=10**9) as server, FaultProxy(server.url) as proxy:
        with Program(HEAD + source, proxy.url) as program:
            server.wait_for_session(timeout=PATIENCE_S)
            proxy.stall("to_server")
            program.hears("go")
            ended = program.ends()
        assert ended.code == 0
        assert re.fullmatch(
            r"the pump was still open when the program ended; not sent: \d+ queued messages \(\d+ on USER\); "
            r"perhaps not received: \d+ messages?\. Close clients before that\n",
            ended.err,
        )


def test_a_program_that_ends_while_it_is_offline_says_what_is_left() -> None:
    """With the line broken and nobody to connect to again the program ends in time, and what is queued is told."""
    source = """
client = HAIPClient(url, name="the pump")
client.connect()
print("connected", flush=True)
sys.stdin.readline()
while client.connection_state().phase != "offline":
    never.wait(0.01)
client.enqueue_text_message("USER", "for later")
on_a_daemon(lambda: client.send_text_message("USER", "waits"))
"""
    with DevServer() as server, FaultProxy(server.url) as proxy, Program(HEAD + source, proxy.url) as program:
        assert program.says() == "connected"
        server.wait_for_session(timeout=PATIENCE_S)
        proxy.refuse()
        proxy.cut()
        program.hears("go")
        ended = program.ends()
    assert ended.code == 0
    assert ended.err.endswith("not sent: 1 queued message (1 on USER). Close clients before that\n")
    assert "Traceback" not in ended.err


def test_what_was_sent_on_a_line_that_broke_is_told_as_well() -> None:
    """A client that is left while it is offline says how many sends the peer has not acknowledged."""
    over = threading.Event()

    def script(speaker: Peer) -> None:
        if over.is_set():
            return
        speaker.greets()
        speaker.hears("MESSAGE_END")
        over.set()
        speaker.connection.socket.shutdown(socket.SHUT_RDWR)

    with peer(script) as url:
        client = HAIPClient(url, name="the pump")
        client.connect(PATIENCE_S)
        client.send_text_message("USER", "x", timeout=PATIENCE_S)
        until(lambda: client.connection_state().phase == "offline")
        unsent = client._connection.give_up_queue()
        client.close()
    assert unsent == (
        "the pump was still open when the program ended; perhaps not received: 1 message. Close clients before that"
    )


def test_an_exception_in_a_block_ends_the_program_with_its_traceback_only() -> None:
    """An exception that leaves the with block is what the program says, and nothing else."""
    source = "with HAIPClient(url) as client: on_a_daemon(lambda: [m for m in client.messages()]); raise KeyError('mine')"
    with DevServer() as server:
        for _ in range(TIMES):
            ended = run_program(HEAD + source, server.url)
            assert ended.code == 1
            assert ended.err.splitlines()[-1] == "KeyError: 'mine'"
            assert ended.err.count("Traceback") == 1


def test_ctrl_c_cuts_the_wait_at_the_end_short() -> None:
    """An interrupt while the program ends stops the waiting for credit; what is unsent is told all the same."""
    source = """
client = HAIPClient(url, name="the pump")
client.connect()
client.pause_channel("USER")
client.enqueue_text_message("USER", "x")
wait = client._connection.wait_until_written
client._connection.wait_until_written = lambda timeout_s: print("ending", flush=True) or wait(60)
"""
    with DevServer() as server, Program(HEAD + source, server.url) as program:
        assert program.says() == "ending"
        program.process.send_signal(signal.SIGINT)
        ended = program.ends()
    assert ended.err == (
        "the pump was still open when the program ended; not sent: 1 queued message (1 on USER). Close clients before that\n"
    )


def test_an_uncaught_ctrl_c_in_the_middle_of_log_lines_is_no_abort() -> None:
    """The dispatch thread writes to stderr as the interpreter ends: the program dies of the signal, not of its own streams."""
    source = """
def fails(event):
    raise ValueError("a listener of ours")
client = HAIPClient(url, flow_control=FlowControlConfig(max_credits=10**6, max_credit_bytes=10**9))
client.subscribe(fails)
client.connect()
print("sends", flush=True)
while True:
    client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=20)
"""
    with DevServer(agent=False, initial_credits=10**6, initial_credit_bytes=10**9) as server:
        for number in range(TIMES):
            with Program(HEAD + source, server.url) as program:
                assert program.says() == "sends"
                server.wait_for_session(number + 1).wait_for(lambda session: session.received, PATIENCE_S)
                program.process.send_signal(signal.SIGINT)
                ended = program.ends()
            assert ended.code == -signal.SIGINT
            assert "\nKeyboardInterrupt\n" in ended.err
            assert "a listener of ours" in ended.err
            assert "Fatal Python error" not in ended.err


CHILD = """
import multiprocessing
from haip_sync import HAIPClient
import sys

def work(url):
    client = HAIPClient(url, name="the child's")
    client.connect()
    client.enqueue_text_message("USER", "from the child")
    client.pause_channel("TOOLS")
    client.enqueue_text_message("TOOLS", "lost")

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[2]).Process(target=work, args=(sys.argv[1],))
    child.start()
    child.join()
    print(child.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_children_of_multiprocessing_are_no_different() -> None:
    """A child process that forgets to close sends what it can and tells what it could not."""
    with DevServer() as server:
        ended = run_program(CHILD, server.url, "fork")
        assert (ended.code, ended.out) == (0, "0\n")
        assert "the child's was still open when the program ended; not sent: 1 queued message (1 on TOOLS)" in ended.err
        assert [text.text for text in ended_sessions(server, 1)[0].texts()] == ["from the child"]


def test_the_bound_is_small() -> None:
    """Two seconds are what the end of a program may take longer."""
    assert EXIT_S == 2.0
