"""Forked children: every call raises, the parent goes on, nothing hangs and nothing is said."""

from __future__ import annotations

import inspect
import os

import pytest
from support.programs import ended_sessions, run_program

import haip_sync
from haip_sync.runtime.conversation.run import Cancelled
from haip_sync.runtime.dispatch import _Subscription
from haip_sync.testing import DevServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

# From 3.12 on Python warns of every fork of a program that has threads, which these have to do.
UNWARNED = ("-W", "ignore::DeprecationWarning")

CALLS = """
import os, signal, sys, threading
from haip_sync import HAIPClient, Message, ForkedError, ManualStrategy

client = HAIPClient(sys.argv[1]).__enter__()
run = client.run().__enter__()
subscription = client.on("connect", print)
call = client.call_tool("AGENT", "never")
texts = client.texts("AGENT").__enter__()
client.send_text_message("USER", "hello", timeout=20)
text = texts.receive(20)
stream = client.text_stream("AUDIO_IN")
transaction = client.transaction("echo")
client.pause_channel("TOOLS")
pending = client.enqueue_text_message("TOOLS", "held")
messages, parts, updates = client.messages(), text.parts(), call.updates()

calls = {
    "HAIPClient.connect": lambda: client.connect(1),
    "HAIPClient.close": lambda: client.close(),
    "HAIPClient.flush": lambda: client.flush(1),
    "HAIPClient.send_text_message": lambda: client.send_text_message("USER", "hi", timeout=1),
    "HAIPClient.enqueue_text_message": lambda: client.enqueue_text_message("USER", "hi"),
    "HAIPClient.queue_length": lambda: client.queue_length("USER"),
    "HAIPClient.clear_queue": lambda: client.clear_queue("USER"),
    "HAIPClient.text_stream": lambda: client.text_stream("USER"),
    "HAIPClient.send": lambda: client.send("USER", "INFO", {}),
    "HAIPClient.send_audio_chunk": lambda: client.send_audio_chunk("USER", "m", "audio/pcm", b"1"),
    "HAIPClient.call_tool": lambda: client.call_tool("AGENT", "echo"),
    "HAIPClient.run": lambda: client.run(),
    "HAIPClient.texts": lambda: client.texts(),
    "HAIPClient.ping": lambda: client.ping(1),
    "HAIPClient.wait_for_credits": lambda: client.wait_for_credits("USER", timeout=1),
    "HAIPClient.transaction": lambda: client.transaction("echo", timeout=1),
    "HAIPClient.join_transaction": lambda: client.join_transaction("x", timeout=1),
    "HAIPClient.request_credits": lambda: client.request_credits("USER", messages=1),
    "HAIPClient.send_flow_update": lambda: client.send_flow_update("USER", 1),
    "HAIPClient.pause_channel": lambda: client.pause_channel("USER"),
    "HAIPClient.resume_channel": lambda: client.resume_channel("USER"),
    "HAIPClient.set_strategy": lambda: client.set_strategy(ManualStrategy()),
    "HAIPClient.metrics": lambda: client.metrics(),
    "HAIPClient.reset_metrics": lambda: client.reset_metrics(),
    "HAIPClient.explain": lambda: client.explain("USER"),
    "HAIPClient.connection_state": lambda: client.connection_state(),
    "HAIPClient.account": lambda: client.account(),
    "HAIPClient.receive": lambda: client.receive(1),
    "HAIPClient.messages": lambda: next(messages),
    "HAIPClient.subscribe": lambda: client.subscribe(print, Message),
    "HAIPClient.on": lambda: client.on("message", print),
    "PendingSend.done": lambda: pending.done(),
    "PendingSend.result": lambda: pending.result(1),
    "PendingSend.cancel": lambda: pending.cancel(),
    "PendingSend.add_done_callback": lambda: pending.add_done_callback(print),
    "Run.cancel": lambda: run.cancel(),
    "Run.finish": lambda: run.finish(),
    "Run.wait": lambda: run.wait(1),
    "Run.status": lambda: run.status,
    "Run.error": lambda: run.error,
    "Run.send": lambda: run.send("USER", "INFO", {}),
    "Run.send_text_message": lambda: run.send_text_message("USER", "hi"),
    "Run.enqueue_text_message": lambda: run.enqueue_text_message("USER", "hi"),
    "Run.send_audio_chunk": lambda: run.send_audio_chunk("USER", "m", "audio/pcm", b"1"),
    "Run.call_tool": lambda: run.call_tool("AGENT", "echo"),
    "Cancelled.is_set": lambda: run.cancelled.is_set(),
    "Cancelled.wait": lambda: run.cancelled.wait(1),
    "ToolCall.status": lambda: call.status,
    "ToolCall.progress": lambda: call.progress,
    "ToolCall.partial": lambda: call.partial,
    "ToolCall.done": lambda: call.done(),
    "ToolCall.result": lambda: call.result(1),
    "ToolCall.updates": lambda: next(updates),
    "ToolCall.cancel": lambda: call.cancel(),
    "ToolCall.add_done_callback": lambda: call.add_done_callback(print),
    "Transaction.is_open": lambda: transaction.is_open,
    "Transaction.history": lambda: transaction.history,
    "Transaction.send": lambda: transaction.send("USER", "INFO", {}),
    "Transaction.send_text_message": lambda: transaction.send_text_message("USER", "hi"),
    "Transaction.enqueue_text_message": lambda: transaction.enqueue_text_message("USER", "hi"),
    "Transaction.request_credits": lambda: transaction.request_credits("USER", messages=1),
    "Transaction.receive": lambda: transaction.receive(1),
    "Transaction.messages": lambda: next(transaction.messages()),
    "Transaction.end": lambda: transaction.end(),
    "TextStream.write": lambda: stream.write("more"),
    "TextStream.close": lambda: stream.close(),
    "TextStream.abandon": lambda: stream.abandon(),
    "IncomingTexts.close": lambda: texts.close(),
    "IncomingTexts.receive": lambda: texts.receive(1),
    "IncomingTexts.__iter__": lambda: next(iter(texts)),
    "IncomingText.complete": lambda: text.complete,
    "IncomingText.parts": lambda: next(parts),
    "IncomingText.__iter__": lambda: next(iter(text)),
    "IncomingText.text": lambda: text.text(1),
    "IncomingText.discard": lambda: text.discard(),
    "Subscription.close": lambda: subscription.close(),
}

# Every lock is in the hands of a thread that the child does not have.
held, over = threading.Event(), threading.Event()

def hold():
    rooms = client._connection.rooms
    with rooms.parking.lock, rooms.dispatcher._lock, stream._turn:
        held.set()
        over.wait()

holder = threading.Thread(target=hold)
holder.start()
held.wait()

child = os.fork()
if child == 0:
    signal.alarm(30)
    failed = []
    for name, call_it in calls.items():
        try:
            failed.append(f"{name} returned {call_it()!r}")
        except ForkedError as exc:
            if "make a client of" not in str(exc).lower() or "spawn" not in str(exc):
                failed.append(f"{name} does not say what to do: {exc}")
        except BaseException as exc:
            failed.append(f"{name} raised {exc!r}")
    # Leaving the blocks is no call: the exception that leaves them goes on.
    try:
        try:
            raise KeyError("mine")
        except KeyError as exc:
            for block in (stream, transaction, texts, run, client):
                block.__exit__(KeyError, exc, None)
                block.__exit__(None, None, None)
            raise
    except KeyError as exc:
        failed += getattr(exc, "__notes__", [])
    reprs = [repr(it) for it in (client, run, call, pending, transaction, stream, text)]
    print(f"{len(calls)} calls", *failed, sep="\\n", flush=True)
    sys.exit(7)

status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
over.set()
holder.join()
client.send_text_message("USER", "still here", timeout=20)
transaction.end()
client.resume_channel("TOOLS")
pending.result(20)
stream.write("the whole stream")
stream.close()
run.finish()
client.flush(20)
print("parent", status, client.connection_state().connected, *sorted(calls))
client.close()
"""

VALUES = {
    "HAIPClient": {"name", "address"},
    "PendingSend": set(),
    "Run": {"begun", "arrive", "refused", "unreadable", "lost", "key"},
    "Cancelled": set(),
    "ToolCall": {"receipt", "key", "sent", "arrive", "refused", "unreadable", "missed", "lost"},
    "Transaction": {"id", "tool", "open", "leave"},
    "TextStream": {"open", "forget"},
    "IncomingTexts": {"wants", "begin", "end", "finish"},
    "IncomingText": {"yielded", "give_up", "arrive", "missed", "cut_off"},
    "Subscription": set(),
}
"""What may be read in a child, because it never changes, and what only the connection calls."""


def _public_calls() -> set[str]:
    """Return every method and property of what a client hands out, by class; inherited ones too."""
    classes = {name: getattr(haip_sync, name, None) for name in VALUES} | {"Cancelled": Cancelled, "Subscription": _Subscription}
    named = {
        f"{name}.{attribute}"
        for name, its_class in classes.items()
        for attribute, value in inspect.getmembers_static(its_class)
        if not attribute.startswith("_") and (callable(value) or isinstance(value, property))
        if attribute not in VALUES[name]
    }
    return named - {"PendingSend.settle"} | {f"{name}.__iter__" for name in ("IncomingText", "IncomingTexts")}


def test_every_call_in_a_forked_child_raises_and_the_parent_goes_on() -> None:
    """With every lock held by a thread that the child lacks each call raises ForkedError there; the parent's line goes on."""
    with DevServer(dialect="all") as server:
        ended = run_program(CALLS, server.url, options=UNWARNED)
        assert ended.err == ""
        said = ended.out.splitlines()
        called = set(said[-1].split()[3:])
        assert called == _public_calls()
        assert said[0] == f"{len(called)} calls"
        assert said[1] == f"parent 7 True {' '.join(sorted(called))}"
        assert ended.code == 0
        (session,) = ended_sessions(server, 1)
        assert {"still here", "held", "the whole stream"} <= {text.text for text in session.texts()}
        assert session.close_code == 1000


CHILD_ENDS = """
import os, sys
from haip_sync import HAIPClient

def child():
    {child}

with HAIPClient(sys.argv[1]) as client:
    stream = client.text_stream("USER")
    pid = os.fork()
    if pid == 0:
        child()
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        stream.write("the parent's")
        stream.close()
        client.send_text_message("USER", "after the child", timeout=20)
"""


@pytest.mark.parametrize(
    ("child", "code", "said"),
    [
        ("sys.exit(3)", 3, ""),
        ("pass", 0, ""),
        ("raise KeyError('mine')", 1, "KeyError: 'mine'"),
        ("client.close()", 1, "haip_sync.errors.ForkedError: "),
        ("global client, stream; del client, stream; import gc; gc.collect()", 0, ""),
    ],
)
def test_a_child_that_ends_ends_as_it_would_without_a_client(child: str, code: int, said: str) -> None:
    """However a child leaves the parent's block, it ends without hang or noise of ours, and the parent's line is as before."""
    with DevServer() as server:
        ended = run_program(CHILD_ENDS.format(child=child), server.url, options=("-X", "dev", "-W", "ignore"))
        assert ended.out.splitlines() == [str(code)]
        assert ended.code == 0
        if said:
            assert said in ended.err.splitlines()[-1]
        else:
            assert ended.err == ""
        (session,) = ended_sessions(server, 1)
        assert [text.text for text in session.texts()] == ["the parent's", "after the child"]
        assert session.close_code == 1000


OWN_CLIENT = """
import os, sys
from haip_sync import HAIPClient

with HAIPClient(sys.argv[1], name="parent") as client:
    client.send_text_message("USER", "parent before", timeout=20)
    pid = os.fork()
    if pid == 0:
        with HAIPClient(sys.argv[1], name="child") as own:
            own.send_text_message("USER", "child", timeout=20)
            grandchild = os.fork()
            if grandchild == 0:
                with HAIPClient(sys.argv[1]) as third:
                    third.send_text_message("USER", "grandchild", timeout=20)
                sys.exit(5)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) + 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    client.send_text_message("USER", "parent after", timeout=20)
"""


def test_a_child_s_own_client_works() -> None:
    """A forked child, and its own forked child, each have a client of their own beside the parent's."""
    with DevServer() as server:
        ended = run_program(OWN_CLIENT, server.url, options=UNWARNED)
        assert (ended.code, ended.out, ended.err) == (0, "6\n", "")
        assert sorted([text.text for text in session.texts()] for session in ended_sessions(server, 3)) == [
            ["child"],
            ["grandchild"],
            ["parent before", "parent after"],
        ]


PROCESSES = """
import multiprocessing, sys
from haip_sync import ForkedError, HAIPClient

def work(number):
    try:
        client.send_text_message("USER", str(number), timeout=20)
    except ForkedError:
        with HAIPClient(sys.argv[1]) as own:
            own.send_text_message("USER", str(number), timeout=20)
        return "own"

with HAIPClient(sys.argv[1]) as client:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(*pool.map(work, range(4)))
    client.send_text_message("USER", "parent", timeout=20)
"""


def test_multiprocessing_with_a_client_in_the_parent() -> None:
    """Workers of a pool that forks get ForkedError from the parent's client and work with their own."""
    with DevServer() as server:
        ended = run_program(PROCESSES, server.url, options=UNWARNED)
        assert (ended.code, ended.out, ended.err) == (0, "own own own own\n", "")
        sessions = ended_sessions(server, 5)
        assert sorted(text.text for session in sessions for text in session.texts()) == ["0", "1", "2", "3", "parent"]
