"""Scripts and monitors that are real processes, stopped and killed in every phase; a server that is real as well."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from support.observed import Script, meeting_place, script
from support.rude import RudeMonitor
from support.stopwatch import within_a_second
from support.turnstiles import PATIENCE_S, until

from haip_sync import AttachError, ChannelPaused, CommandError
from haip_sync.observe import (
    Answer,
    ExplainChannel,
    ProgramLink,
    RequestCredits,
    ResumeChannel,
    SendTestMessage,
    list_programs,
)
from haip_sync.testing import DevServer, Generous, OnRequest

SENDER = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    for number in range(int(sys.argv[2])):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
        print(number)
"""
BUSY = """
import logging, sys
from haip_sync import HAIPClient
logging.basicConfig(format="%(message)s")
logging.getLogger("haip_sync.observe").setLevel(logging.DEBUG)
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    client.pause_channel("SYSTEM")
    while True:  # at the pace of the credit: a server that drowns in pauses grants none for seconds
        client.pause_channel("AGENT")
        client.resume_channel("AGENT")
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=60)
"""
MONITOR = """
import socket, sys, threading
from haip_sync.observe import ProgramLink, ResumeChannel, SendTestMessage, list_programs
from support.turnstiles import PATIENCE_S, until
phase, path = sys.argv[1:]
link = ProgramLink(path, monitor="victim")
if phase == "greeting":
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
elif phase != "listing":
    link.connect(PATIENCE_S)
if phase in ("idle", "flooded", "command"):
    link.attach("sender", every_event=phase == "flooded")
    until(lambda: link.snapshot("sender"))
if phase == "flooded":
    until(lambda: link.drain("sender", 100).events)
if phase == "command":
    link.ask(SendTestMessage(channel="SYSTEM", text="x"), "sender")
    until(lambda: link.snapshot("sender").channels["SYSTEM"].waiting)
print("ready", flush=True)
while phase == "listing":
    list_programs()
while phase == "detaching":
    link.attach("sender")
    until(lambda: link.snapshot("sender"))
    link.detach("sender")
while phase == "flooded":
    link.drain("sender", 1000)
threading.Event().wait()
"""
PHASES = ("listing", "greeting", "attaching", "idle", "flooded", "command", "detaching")
KNOWN_BY_NAME = ("attaching", "idle", "flooded", "command", "detaching")
"""Phases in which the script knows who is at the other end."""


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server that grants three messages, and more when it is asked."""
    with DevServer(agent=False, initial_credits=3, policy=OnRequest()) as running:
        yield running


@contextmanager
def busy_script() -> Iterator[Script]:
    """Run a script that sends all the time, and pauses and resumes another channel."""
    with DevServer(agent=False, policy=Generous()) as server, script(BUSY, server.url, mode="steer") as running:
        yield running


def progress_of(link: ProgramLink) -> Callable[[], bool]:
    """Return what tells whether the script has sent more than when this was called."""
    until(lambda: link.snapshot("sender"))

    def sent() -> int:
        state = link.snapshot("sender")
        return 0 if state is None else state.channels["USER"].sent_messages

    before = sent()
    return lambda: sent() > before


# ---- What it is for ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
def test_a_blocked_script_is_found_explained_and_freed(server: DevServer) -> None:
    """From another process: the list names channel and reason, a request for credit lets it go on, and its log says who did."""
    with script(SENDER, server.url, "5", mode="steer") as running:
        assert [running.line() for _ in range(3)] == ["0", "1", "2"]
        path = running.path()
        until(lambda: list_programs()[0].state == "blocked")
        (info,) = list_programs()
        assert (info.pid, info.worst.name, info.worst.worst, info.worst.cause) == (running.pid, "sender", "USER", "messages")
        assert "needs 1 message of credit and has 0" in info.worst.why
        with ProgramLink(path, monitor="night shift") as link:
            explanation = link.call(ExplainChannel(channel="USER"), "sender").explanation
            assert (explanation.cause, explanation.missing) == ("messages", 1)
            link.call(RequestCredits(channel="USER", messages=2, reason="3 a.m."), "sender")
            assert [running.line() for _ in range(2)] == ["3", "4"]
        log = running.errors()
    assert f"uid {os.geteuid()}, pid {os.getpid()}, 'night shift'" in log
    assert "RequestCredits of USER on client 'sender'" in log
    assert "3 a.m." in log


@pytest.mark.usefixtures("place")
def test_a_script_that_may_only_be_watched_is_not_steered(server: DevServer) -> None:
    """It is seen with its reason, and a command is refused with how to allow it; it stays where it is."""
    with script(SENDER, server.url, "5") as running:
        with ProgramLink(running.path()) as link:
            with pytest.raises(CommandError, match="HAIP_SYNC_MONITOR=steer") as caught:
                link.call(RequestCredits(channel="USER", messages=2), "sender")
            assert caught.value.refused
            link.attach("sender")
            until(lambda: link.snapshot("sender") and link.snapshot("sender").channels["USER"].waiting_for == "messages")
        running.process.kill()
        assert "RequestCredits" not in running.errors()


@pytest.mark.usefixtures("place")
def test_the_past_is_there_from_the_start(server: DevServer) -> None:
    """Who attaches later sees seconds from before."""
    with script(SENDER, server.url, "5") as running:
        path = running.path()
        link = ProgramLink(path)
        with link:
            pasts: list[float] = []

            def reaches_back() -> bool:
                with ProgramLink(path) as late:
                    late.attach("sender")
                    until(lambda: late.snapshot("sender"))
                    pasts[:] = [sample.time_s for sample in late.take_past("sender")]
                return len(pasts) >= 3

            until(reaches_back)
            assert pasts == sorted(pasts)
            assert pasts[-1] - pasts[0] > 1.5


@pytest.mark.usefixtures("place")
def test_a_script_that_is_stuck_in_connecting_is_seen() -> None:
    """Its client is offered from the moment that it begins to connect."""
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        script(SENDER, f"ws://127.0.0.1:{deaf.getsockname()[1]}", "1") as running,
    ):
        running.path("not connected")
        (info,) = list_programs()
    assert (info.state, info.clients[0].connected) == ("not connected", False)


# ---- The script stops or dies ------------------------------------------------------------------------------------------------


@contextmanager
def script_for(phase: str) -> Iterator[Script]:
    """Run a script that sends all the time, or one that stands still."""
    if phase == "idle":
        with DevServer(agent=False, policy=OnRequest(), initial_credits=3) as server, script(SENDER, server.url, "4") as running:
            running.path("blocked")
            yield running
    else:
        with busy_script() as running:
            yield running


def begin(phase: str, link: ProgramLink) -> Future[Answer] | None:
    """Bring a link into the phase in which the script is about to stop; return the answer that is waited for, if one is."""
    if phase in {"listing", "greeting"}:
        return None
    link.connect(PATIENCE_S)
    if phase == "attaching":
        return None
    link.attach("sender", every_event=phase == "flooded")
    until(lambda: link.snapshot("sender"))
    if phase == "flooded":
        until(lambda: any(isinstance(event, ChannelPaused) for event in link.drain("sender", 1_000).events))
    if phase == "command":
        future = link.ask(SendTestMessage(channel="SYSTEM", text="x"), "sender")
        until(lambda: link.snapshot("sender").channels["SYSTEM"].waiting)
        return future
    return None


def go_on(phase: str, link: ProgramLink) -> None:
    """Do what there is to do in a phase, now that the script does nothing. Nothing of it waits."""
    if phase == "attaching":
        link.attach("sender")
    elif phase == "detaching":
        link.detach("sender")
    elif phase != "listing":
        link.start()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
def test_a_script_that_is_stopped_is_silent_within_a_second_and_heard_again_within_one(phase: str) -> None:
    """The monitor says so and goes on, what it asked for is done later, and the list names the program."""
    with script_for(phase) as running:
        path = running.path()
        link = ProgramLink(path)
        try:
            future = begin(phase, link)
            os.kill(running.pid, signal.SIGSTOP)
            go_on(phase, link)
            if phase != "listing":
                within_a_second(lambda: link.trouble is not None and "has not answered for" in link.trouble, running.pid)
                assert (link.has_ended, link.silent_s is not None) == (False, True)
            within_a_second(
                lambda: [(info.pid, info.state) for info in list_programs()] == [(running.pid, "no answer")], running.pid
            )
            assert future is None or not future.done()
            os.kill(running.pid, signal.SIGCONT)
            link.start()
            within_a_second(lambda: link.trouble is None and link.clients(), running.pid)
            assert link.silent_s is None
            if future is not None:  # it had waited for credit, and had a second for that
                assert "test message" in future.result(PATIENCE_S).text or not future.result().ok
            link.attach("sender")
            within_a_second(lambda: link.snapshot("sender"), running.pid)
            assert link.call(ExplainChannel(channel="USER"), "sender").ok
        finally:
            link.close()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
def test_a_script_that_is_killed_is_over_for_the_monitor_within_a_second(phase: str, place: Path) -> None:
    """With what is known of a command that was under way; its socket is gone after the next list."""
    with script_for(phase) as running:
        path = running.path()
        link = ProgramLink(path)
        try:
            future = begin(phase, link)
            if phase not in {"idle", "flooded", "command"}:
                os.kill(running.pid, signal.SIGSTOP)  # so that nothing of what follows is answered
                go_on(phase, link)
            with ThreadPoolExecutor() as pool:
                listing = pool.submit(list_programs)
                running.process.kill()
                within_a_second(listing.done, running.pid)
            assert [info.trouble for info in listing.result()] in ([], ["it ended before it answered"], [None])
            if phase != "listing":
                within_a_second(lambda: link.has_ended, running.pid)
                assert "ended" in str(link.trouble)
            if future is not None:
                with pytest.raises(AttachError, match="whether the command was carried out is not known"):
                    future.result(0)
        finally:
            link.close()
        running.process.wait(PATIENCE_S)
        within_a_second(lambda: list_programs() == [], running.pid)
        assert list(place.iterdir()) == []


# ---- The monitor stops or dies -----------------------------------------------------------------------------------------------


class Log:
    """What a script logs, line by line, as it comes. The script is killed at the end of the `with` block."""

    def __init__(self, running: Script) -> None:
        self._running = running
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(running.process.stderr,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.process.kill()
        self._thread.join(PATIENCE_S)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.lines.append(line)

    def says(self, *words: str) -> bool:
        """Return whether a line has all of these words."""
        return any(all(word in line for word in words) for line in self.lines)


@contextmanager
def victim(phase: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a monitor in a process of its own, in this phase."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", MONITOR, phase, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as monitor:  # noqa: S603
        try:
            assert monitor.stdout.readline().strip() == "ready"
            yield monitor
        finally:
            monitor.kill()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_monitor_that_is_stopped_or_killed_costs_the_script_nothing(phase: str, how: signal.Signals) -> None:
    """The script goes on sending, another monitor is served meanwhile, and within a second the log says what happened."""
    with busy_script() as running, Log(running) as log, ProgramLink(running.path()) as link:
        link.attach("sender")
        progress_of(link)
        with victim(phase, running.path()) as monitor:
            os.kill(monitor.pid, how)
            within_a_second(progress_of(link), running.pid)
            if phase in KNOWN_BY_NAME and how is signal.SIGKILL:
                within_a_second(lambda: log.says("'victim'", "is gone: it has ended, or left"), running.pid)
            elif phase in KNOWN_BY_NAME:
                within_a_second(lambda: log.says("'victim'", "has said nothing for", "is it stopped?"), running.pid)
                os.kill(monitor.pid, signal.SIGCONT)
                within_a_second(lambda: log.says("'victim'", "is heard again"), running.pid, monitor.pid)
            assert link.call(ResumeChannel(channel="USER"), "sender").ok
            within_a_second(progress_of(link), running.pid)
            assert link.trouble is None


@pytest.mark.usefixtures("place")
def test_twenty_that_connect_and_say_nothing_hold_up_nobody() -> None:
    """Neither the script nor a monitor that has something to say."""
    with busy_script() as running:
        path = running.path()
        silent = [RudeMonitor(path) for _ in range(20)]
        try:
            with ProgramLink(path) as link:
                link.attach("sender")
                until(progress_of(link))
                assert all(monitor.is_sent_away() for monitor in silent)
                until(progress_of(link))
        finally:
            for monitor in silent:
                monitor.sock.close()


# ---- Through a forwarder -----------------------------------------------------------------------------------------------------

RELAY = """
import asyncio, sys
async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
async def take(reader, writer):
    far_reader, far_writer = await asyncio.open_unix_connection(sys.argv[1])
    await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer), return_exceptions=True)
async def main():
    server = await asyncio.start_unix_server(take, sys.argv[2])
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def test_an_end_behind_a_forwarder_is_not_said_to_be_the_programs(place: Path) -> None:
    """As SSH forwards a socket: the link cannot know which of the two has ended, and says so; the script goes on."""
    near = place / "near.sock"
    with busy_script() as running, ProgramLink(running.path()) as direct:
        direct.attach("sender")
        command = [sys.executable, "-c", RELAY, str(running.path()), str(near)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:  # noqa: S603
            try:
                assert relay.stdout.readline().strip() == "ready"
                link = ProgramLink(near)
                link.connect(PATIENCE_S)
                assert (link.is_forwarded, direct.is_forwarded) == (True, False)
                assert link.call(ResumeChannel(channel="USER"), "sender").ok
                os.kill(relay.pid, signal.SIGSTOP)
                within_a_second(lambda: link.silent_s is not None, running.pid)
                os.kill(relay.pid, signal.SIGCONT)
                within_a_second(lambda: link.silent_s is None, running.pid, relay.pid)
            finally:
                relay.kill()
            within_a_second(lambda: link.has_ended, running.pid)
            assert f"the script has, or what forwards its socket (pid {relay.pid})" in str(link.trouble)
            link.close()
        within_a_second(progress_of(direct), running.pid)
        assert direct.trouble is None


# ---- Forks -------------------------------------------------------------------------------------------------------------------

FORKING = """
import os, signal, sys
from haip_sync import HAIPClient
client = HAIPClient(sys.argv[1], token="x", name="parents")
client.connect()
sys.stdin.readline()
if os.fork():
    os.write(1, b"parent\\n")  # in one piece: the other process writes there too
    while True:
        signal.pause()
os.write(1, f"child {os.getpid()}\\n".encode())
sys.stdin.readline()
own = HAIPClient(sys.argv[1], token="x", name="childs")
own.connect()
print("connected")
sys.stdin.readline()
"""


@pytest.mark.usefixtures("place")
def test_a_forked_child_answers_on_a_socket_of_its_own(server: DevServer) -> None:
    """It opens one with its first client, and holds none of the parent's, so that a monitor hears of the parent's end."""
    with script(FORKING, server.url) as running, ProgramLink(running.path()) as link:
        running.tell("fork")
        said = sorted(running.line() for _ in range(2))
        child = int(said[0].removeprefix("child "))
        try:
            assert [info.pid for info in list_programs()] == [running.pid]
            running.tell("connect")
            assert running.line() == "connected"
            until(lambda: len(list_programs()) == 2)
            names = {info.pid: [line.name for line in info.clients] for info in list_programs()}
            assert names == {running.pid: ["parents"], child: ["childs"]}
            assert link.trouble is None
            running.process.kill()
            until(lambda: link.has_ended)
            until(lambda: [info.pid for info in list_programs()] == [child])
        finally:
            os.kill(child, signal.SIGKILL)
